//! The cashier: the acts at the channel, each written down before it is made, and what their answers do.
//!
//! Nothing here is trusted to happen once: every act is keyed by our number, every answer goes through the pure
//! transitions, and what stayed unknown is asked for again by [`Cashier::tick`].

mod notices;
mod paying;
mod returning;

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use records::id::PaymentId;
use records::{Clock, Ids, Outcome, TenantId};
use store::{Scope, Store, Tx};

use crate::channel::Channel;
use crate::payments::{self, Payment, PaymentState};
use crate::refunds;
use crate::subject::Subjects;
use crate::{MoneyError, PayError};

pub use notices::{NoticeEffect, NoticeError};
pub use returning::Found;

/// A hospital's account at a channel.
#[derive(Clone)]
pub struct Till {
    /// The hospital.
    pub tenant: TenantId,
    /// Merchant number at the channel, as it stands in the callback's address.
    pub merchant_id: String,
    /// The channel.
    pub channel: Arc<dyn Channel>,
    /// Where the payer's browser goes after paying; `{kind}` and `{id}` stand for the subject.
    pub return_url: Option<String>,
}

impl fmt::Debug for Till {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Till")
            .field("tenant", &self.tenant)
            .field("merchant_id", &self.merchant_id)
            .finish_non_exhaustive()
    }
}

/// Pays, closes, refunds and reconciles. Cheap to clone.
#[derive(Clone)]
pub struct Cashier {
    store: Store,
    clock: Arc<dyn Clock>,
    ids: Arc<Ids>,
    tills: Arc<[Till]>,
    subjects: Subjects,
}

impl fmt::Debug for Cashier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cashier")
            .field("tills", &self.tills)
            .finish_non_exhaustive()
    }
}

type Step<T> = Result<T, MoneyError>;

impl Cashier {
    /// A cashier over these tills, for these subjects.
    pub fn new(store: Store, clock: Arc<dyn Clock>, ids: Arc<Ids>, tills: Vec<Till>, subjects: Subjects) -> Self {
        Self {
            store,
            clock,
            ids,
            tills: tills.into(),
            subjects,
        }
    }

    /// Hospitals that have a till.
    pub fn tenants(&self) -> impl Iterator<Item = &TenantId> {
        self.tills.iter().map(|till| &till.tenant)
    }

    fn till(&self, tenant: &TenantId) -> Result<&Till, PayError> {
        self.tills
            .iter()
            .find(|till| till.tenant == *tenant)
            .ok_or(PayError::NoTill)
    }

    async fn write<T, F>(&self, scope: Scope, f: F) -> Step<T>
    where
        T: Send + 'static,
        F: for<'a, 'c> Fn(&'a mut Tx<'c>) -> BoxFuture<'a, Step<T>> + Send + Sync + 'static,
    {
        self.store.write(&scope, f).await
    }

    async fn load(&self, tenant: &TenantId, id: &PaymentId) -> Step<Payment> {
        let id = id.clone();
        self.store
            .read(&Scope::system(tenant.clone()), move |tx| {
                let id = id.clone();
                Box::pin(async move { payments::store::get(tx, &id).await })
            })
            .await
    }

    async fn announce(&self, tenant: &TenantId, payment: &Payment) {
        if let Some(subject) = self.subjects.of(payment) {
            subject.announce(tenant, payment).await;
        }
    }

    /// Writes an attempt down, makes it, and writes down how it ended.
    async fn attempt<T, Fut>(&self, tenant: &TenantId, subject: &str, act: &'static str, deed: Fut) -> Step<Outcome<T>>
    where
        Fut: Future<Output = Outcome<T>> + Send,
    {
        let id = self.ids.next("att", self.clock.now());
        let scope = Scope::system(tenant.clone());
        let (attempt, about) = (id.clone(), subject.to_owned());
        self.write(scope.clone(), move |tx| {
            let (attempt, about) = (attempt.clone(), about.clone());
            Box::pin(async move {
                if let Some(payment) = PaymentId::parse(&about).filter(|_| act == "prepay") {
                    // Nothing may reach the channel for an order that is being let go of.
                    payments::store::get(tx, &payment).await?.pages(String::new())?;
                }
                Ok(payments::store::begin_attempt(tx, &attempt, &about, act).await?)
            })
        })
        .await?;
        let outcome = deed.await;
        let word = match &outcome {
            Outcome::Done(_) => "done".to_owned(),
            Outcome::Refused { code, .. } => format!("refused {code}"),
            Outcome::Later { .. } => "later".to_owned(),
            Outcome::Unknown => "unknown".to_owned(),
        };
        tracing::info!(
            channel.act = act,
            channel.subject = subject,
            channel.outcome = word,
            "channel asked"
        );
        self.write(scope, move |tx| {
            let (id, word) = (id.clone(), word.clone());
            Box::pin(async move { Ok(payments::store::end_attempt(tx, &id, &word).await?) })
        })
        .await?;
        Ok(outcome)
    }

    /// Tells the apps, after a unit of work that moved this payment.
    pub async fn tell(&self, tenant: &TenantId, payment: &Payment) {
        self.announce(tenant, payment).await;
    }

    /// One round of the reconciler: looks after payments that are open or being closed, and refunds under way.
    ///
    /// # Errors
    /// When the database fails; the round is simply made again.
    pub async fn tick(&self) -> Result<(), PayError> {
        for till in self.tills.iter() {
            let scope = Scope::system(till.tenant.clone());
            let payments = self
                .write(scope.clone(), |tx| {
                    Box::pin(async move { Ok(payments::store::claim_due(tx, 50).await?) })
                })
                .await?;
            for payment in payments {
                self.look_after(&till.tenant, &payment).await?;
            }
            let refunds = self
                .write(scope, |tx| {
                    Box::pin(async move { Ok(refunds::store::claim_due(tx, 50).await?) })
                })
                .await?;
            for refund in refunds {
                self.push_refund(&till.tenant, &refund.id).await?;
            }
        }
        Ok(())
    }

    async fn look_after(&self, tenant: &TenantId, payment: &Payment) -> Result<(), PayError> {
        match payment.state {
            PaymentState::Closing => {
                self.finish_closing(tenant, &payment.id).await?;
            }
            PaymentState::Created | PaymentState::Pending => {
                if self.was_sent(tenant, &payment.id).await? {
                    self.look(tenant, &payment.id).await?;
                }
            }
            _ => self.rest(tenant, &payment.id).await?,
        }
        Ok(())
    }

    /// A settled payment needs no more looks.
    async fn rest(&self, tenant: &TenantId, id: &PaymentId) -> Step<()> {
        let id = id.clone();
        self.write(Scope::system(tenant.clone()), move |tx| {
            let id = id.clone();
            Box::pin(async move { Ok(payments::store::rest(tx, &id).await?) })
        })
        .await
    }
}
