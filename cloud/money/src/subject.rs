//! What a payment pays for: contexts that sell something plug in here, and move in the same unit of work as the money.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use records::TenantId;
use store::{StoreError, Tx};

use crate::payments::Payment;
use crate::refunds::Refund;

/// Whether the money is kept for its purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Yes: the thing goes on.
    Yes,
    /// No: the thing is gone; the whole amount goes back.
    No {
        /// Why, as the payer reads it.
        reason: String,
    },
}

/// Whether the HIS has to be told of a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteBack {
    /// The HIS never knew of the payment (or there is nothing to tell): the refund is over.
    NotNeeded,
    /// The HIS is being told, or will be; the subject calls [`crate::written_back`] when it knows.
    Pending,
}

/// Something that is paid for. All methods run inside the unit of work that moves the money; none may wait for
/// anything but the database, and each may be called again when the unit is retried.
#[async_trait]
pub trait PaymentSubject: Send + Sync {
    /// `visit` or `prescription`: the [`Payment::subject_kind`] this answers for.
    fn kind(&self) -> &'static str;

    /// The channel has the money.
    async fn on_paid(&self, tx: &mut Tx<'_>, payment: &Payment) -> Result<Keep, StoreError>;

    /// The order was closed at the channel: nobody can pay it any more.
    async fn on_closed(&self, tx: &mut Tx<'_>, payment: &Payment) -> Result<(), StoreError>;

    /// The payer has the money back.
    async fn on_returned(&self, tx: &mut Tx<'_>, payment: &Payment, refund: &Refund) -> Result<WriteBack, StoreError>;

    /// A person says: tell the HIS of the refund again. The payer has the money already.
    async fn on_write_back_retry(&self, _: &mut Tx<'_>, _: &Payment, _: &Refund) -> Result<(), StoreError> {
        Ok(())
    }

    /// A person has settled the refund with the hospital: it is over.
    async fn on_settled_by_hand(&self, _: &mut Tx<'_>, _: &Payment, _: &Refund) -> Result<(), StoreError> {
        Ok(())
    }

    /// After commit: tell the apps that the thing changed.
    async fn announce(&self, tenant: &TenantId, payment: &Payment);
}

/// The registered subjects.
#[derive(Clone, Default)]
pub struct Subjects(Arc<HashMap<&'static str, Arc<dyn PaymentSubject>>>);

impl Subjects {
    /// These subjects.
    pub fn new(subjects: impl IntoIterator<Item = Arc<dyn PaymentSubject>>) -> Self {
        Self(Arc::new(subjects.into_iter().map(|s| (s.kind(), s)).collect()))
    }

    pub(crate) fn of(&self, payment: &Payment) -> Option<&Arc<dyn PaymentSubject>> {
        let found = self.0.get(payment.subject_kind.as_str());
        if found.is_none() {
            tracing::error!(payment.id = %payment.id, payment.subject = payment.subject_kind, "nobody answers for this payment");
        }
        found
    }
}

impl fmt::Debug for Subjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
