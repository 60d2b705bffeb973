//! Notices of the channel.

use records::{Actor, TenantId};
use store::{Scope, StoreError};

use super::Cashier;
use crate::MoneyError;
use crate::channel::{NoticeRefusal, RawNotice, Says};
use crate::payments;

/// What a notice did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeEffect {
    /// It was news.
    Applied,
    /// It had come before, or said nothing new.
    Known,
}

impl Cashier {
    /// Takes a notice that came to the callback of `merchant_id`. The answer is given after everything is committed.
    ///
    /// # Errors
    /// When the notice is refused (which is written down), or when the database fails (the channel will send again).
    pub async fn notified(&self, merchant_id: &str, raw: &RawNotice<'_>) -> Result<NoticeEffect, NoticeError> {
        let till = self
            .tills
            .iter()
            .find(|till| till.merchant_id == merchant_id)
            .ok_or(NoticeError::NoTill)?;
        let notice = till
            .channel
            .read_notice(raw, self.clock.now())
            .map_err(|refusal| NoticeError::Refused(till.tenant.clone(), refusal))?;
        let subject = match &notice.says {
            Says::Payment(id, _) => id.as_str().to_owned(),
            Says::Refund(id, _) => id.as_str().to_owned(),
            Says::Other(kind) => kind.clone(),
        };
        let (id, about) = (notice.id.clone(), subject);
        let times = self
            .write(Scope::new(till.tenant.clone(), Actor::Channel), move |tx| {
                let (id, about) = (id.clone(), about.clone());
                Box::pin(async move { Ok(payments::store::count_notice(tx, &id, &about).await?) })
            })
            .await?;
        // A repeat is applied again: the first may have died between the count and its effect. The transitions know.
        let applied = match &notice.says {
            Says::Payment(id, order) => {
                let before = self.load(&till.tenant, id).await?.state;
                self.settle(&till.tenant, Actor::Channel, id, order.clone())
                    .await?
                    .state
                    != before
            }
            Says::Refund(id, seen) => self.take_refund(&till.tenant, Actor::Channel, id, seen.clone()).await?,
            Says::Other(_) => false,
        };
        tracing::info!(
            notice.id = notice.id,
            notice.times = times,
            notice.applied = applied,
            "channel notice"
        );
        Ok(if applied {
            NoticeEffect::Applied
        } else {
            NoticeEffect::Known
        })
    }
}

/// Why a notice was not taken.
#[derive(Debug, thiserror::Error)]
pub enum NoticeError {
    /// No such merchant here.
    #[error("no till of that merchant")]
    NoTill,
    /// Refused; to be written into the hospital's audit trail.
    #[error("{1}")]
    Refused(TenantId, NoticeRefusal),
    /// The database failed.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

impl From<StoreError> for NoticeError {
    fn from(error: StoreError) -> Self {
        Self::Money(error.into())
    }
}
