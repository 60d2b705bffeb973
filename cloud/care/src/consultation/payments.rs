//! Visits as something that is paid for.

use async_trait::async_trait;
use base::Ctx;
use money::{Keep, Payment, PaymentSubject, Refund, WriteBack};
use records::TenantId;
use records::id::VisitId;
use store::{StoreError, Tx};

use super::effects::{SUBJECT, hand, perform, write_back};
use super::store as sql;
use super::{Visit, board, trail};
use crate::CareError;

/// Visits as something that is paid for.
#[derive(Clone)]
pub struct VisitPayments {
    ctx: Ctx,
}

impl VisitPayments {
    /// The subject to be registered with the cashier.
    pub const fn new(ctx: Ctx) -> Self {
        Self { ctx }
    }

    async fn visit(tx: &mut Tx<'_>, payment: &Payment) -> Result<Visit, CareError> {
        let id = VisitId::parse(&payment.subject_id).ok_or(CareError::Absent)?;
        sql::get(tx, &id).await
    }

    async fn paid(&self, tx: &mut Tx<'_>, payment: &Payment) -> Result<Keep, CareError> {
        let mut visit = Self::visit(tx, payment).await?;
        let (progress, event) = visit.progress().pay(&hand(tx));
        if event.word == "pay_late" {
            // Exactly this money goes back, whatever else the visit was paid with.
            trail::note(tx, &visit.id, &event).await?;
            return Ok(Keep::No { reason: event.note });
        }
        perform(tx, &self.ctx, &mut visit, (progress, event)).await?;
        Ok(Keep::Yes)
    }

    async fn closed(&self, tx: &mut Tx<'_>, payment: &Payment) -> Result<(), CareError> {
        let mut visit = Self::visit(tx, payment).await?;
        match visit.progress().end_unpaid(&hand(tx)) {
            Ok(moved) => perform(tx, &self.ctx, &mut visit, moved).await,
            Err(_) => Ok(()),
        }
    }

    async fn returned(&self, tx: &mut Tx<'_>, payment: &Payment) -> Result<(), CareError> {
        let mut visit = Self::visit(tx, payment).await?;
        let moved = visit.progress().return_money(&hand(tx));
        perform(tx, &self.ctx, &mut visit, moved).await
    }
}

/// The money's unit of work fails as a whole when the visit cannot follow.
fn as_store(error: CareError) -> StoreError {
    match error {
        CareError::Store(error) | CareError::Money(money::MoneyError::Store(error)) => error,
        other => StoreError::Constraint {
            message: other.to_string(),
        },
    }
}

#[async_trait]
impl PaymentSubject for VisitPayments {
    fn kind(&self) -> &'static str {
        SUBJECT
    }

    async fn on_paid(&self, tx: &mut Tx<'_>, payment: &Payment) -> Result<Keep, StoreError> {
        self.paid(tx, payment).await.map_err(as_store)
    }

    async fn on_closed(&self, tx: &mut Tx<'_>, payment: &Payment) -> Result<(), StoreError> {
        self.closed(tx, payment).await.map_err(as_store)
    }

    async fn on_returned(&self, tx: &mut Tx<'_>, payment: &Payment, _: &Refund) -> Result<WriteBack, StoreError> {
        self.returned(tx, payment).await.map_err(as_store)?;
        Ok(WriteBack::Pending)
    }

    async fn on_write_back_retry(&self, tx: &mut Tx<'_>, payment: &Payment, _: &Refund) -> Result<(), StoreError> {
        let visit = Self::visit(tx, payment).await.map_err(as_store)?;
        write_back(tx, &visit).await.map_err(as_store)
    }

    async fn on_settled_by_hand(&self, tx: &mut Tx<'_>, payment: &Payment, _: &Refund) -> Result<(), StoreError> {
        let mut visit = Self::visit(tx, payment).await.map_err(as_store)?;
        let (progress, event) = visit.progress().end_refund(&hand(tx));
        sql::save(tx, &mut visit, progress, &event).await
    }

    async fn announce(&self, tenant: &TenantId, payment: &Payment) {
        if let Some(id) = VisitId::parse(&payment.subject_id) {
            board::announce(&self.ctx, tenant, &id).await;
        }
    }
}
