//! Money on its way back, and what a person settles.

use records::id::{PaymentId, RefundId};
use records::{Actor, Fen, Outcome, TenantId, Timestamp};
use store::{Scope, Tx};

use super::{Cashier, Step};
use crate::channel::{ChannelRefund, ChannelRefundState, RefundOrder};
use crate::payments::{self, Payment, PaymentEvent};
use crate::refunds::{self, Refund, RefundState};
use crate::subject::WriteBack;
use crate::{MoneyError, PayError};

/// What a person decided about a charge whose amount is not the order's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The hospital takes the order as paid; the difference is its own affair.
    Accepted,
    /// What was charged goes back, and the order is over.
    Refused,
}

impl Cashier {
    /// A person has settled a charge whose amount is not the order's, and says why. The same decision again changes
    /// nothing.
    ///
    /// # Errors
    /// Unless a person had to look, or when the other decision was taken before.
    pub async fn settle_charge(&self, tx: &mut Tx<'_>, id: &PaymentId, found: Found, why: &str) -> Step<Payment> {
        let payment = payments::store::get(tx, id).await?;
        let from = payment.state;
        let (payment, event) = match found {
            Found::Accepted => payment.accept()?,
            Found::Refused => payment.give_back()?,
        };
        if event == PaymentEvent::Nothing {
            return Ok(payment);
        }
        payments::store::save(tx, &payment, from, event, why, None).await?;
        if found == Found::Accepted {
            return self.paid_in(tx, &payment).await;
        }
        if let Some(subject) = self.subjects.of(&payment) {
            // Nobody can pay this order any more.
            subject.on_closed(tx, &payment).await?;
        }
        crate::write_refund(tx, &self.ids, &payment, "支付金额与订单不符，款项原路退回").await?;
        payments::store::get(tx, id).await
    }

    /// Sends a refund to the channel, or asks how it stands when it was sent before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn push_refund(&self, tenant: &TenantId, id: &RefundId) -> Result<(), PayError> {
        let wanted = id.clone();
        let (refund, payment) = self
            .store
            .read(&Scope::system(tenant.clone()), move |tx| {
                let wanted = wanted.clone();
                Box::pin(async move {
                    let refund = refunds::store::get(tx, &wanted).await?;
                    let payment = payments::store::get(tx, &refund.payment_id).await?;
                    Ok::<_, MoneyError>((refund, payment))
                })
            })
            .await?;
        let open = matches!(refund.state, RefundState::Requested | RefundState::Processing);
        if !open {
            return Ok(());
        }
        if refund.amount_fen == Fen(0) {
            let at = self.clock.now();
            self.take_refund(tenant, Actor::System, id, returned_nothing(at))
                .await?;
            return Ok(());
        }
        let till = self.till(tenant)?;
        let order = RefundOrder {
            refund: refund.id.clone(),
            payment: payment.id.clone(),
            amount_fen: refund.amount_fen,
            paid_fen: payment.received_fen(),
            reason: refund.reason.clone(),
        };
        let answer = if refund.state == RefundState::Processing {
            let queried = self
                .attempt(tenant, id.as_str(), "refund_query", till.channel.query_refund(id))
                .await?;
            match queried {
                // Accepted once and unknown now: the same number may be sent again, it never pays twice.
                Outcome::Done(r) if r.state == ChannelRefundState::Absent => {
                    self.attempt(tenant, id.as_str(), "refund", till.channel.refund(&order))
                        .await?
                }
                other => other,
            }
        } else {
            self.attempt(tenant, id.as_str(), "refund", till.channel.refund(&order))
                .await?
        };
        match answer {
            Outcome::Done(seen) => {
                self.take_refund(tenant, Actor::Channel, id, seen).await?;
            }
            Outcome::Refused { code, text } => {
                self.hold_refund(tenant, id, format!("渠道拒绝退款（{code}）：{text}"))
                    .await?
            }
            Outcome::Later { .. } | Outcome::Unknown => {}
        }
        Ok(())
    }

    async fn hold_refund(&self, tenant: &TenantId, id: &RefundId, note: String) -> Step<()> {
        let id = id.clone();
        self.write(Scope::new(tenant.clone(), Actor::Channel), move |tx| {
            let (id, note) = (id.clone(), note.clone());
            Box::pin(async move { crate::hold_refund(tx, &id, &note).await })
        })
        .await
    }

    /// Takes what the channel says about a refund.
    pub(super) async fn take_refund(
        &self,
        tenant: &TenantId,
        actor: Actor,
        id: &RefundId,
        seen: ChannelRefund,
    ) -> Step<bool> {
        let (id, this) = (id.clone(), self.clone());
        let moved = self
            .write(Scope::new(tenant.clone(), actor), move |tx| {
                let (id, seen, this) = (id.clone(), seen.clone(), this.clone());
                Box::pin(async move { this.take_refund_in(tx, &id, &seen).await })
            })
            .await?;
        if let Some(payment) = &moved {
            self.announce(tenant, payment).await;
        }
        Ok(moved.is_some())
    }

    async fn take_refund_in(&self, tx: &mut Tx<'_>, id: &RefundId, seen: &ChannelRefund) -> Step<Option<Payment>> {
        let refund = refunds::store::get(tx, id).await?;
        let from = refund.state;
        match seen.state {
            ChannelRefundState::Absent => Ok(None),
            ChannelRefundState::Processing => {
                let refund = refund.accepted(seen.channel_refund_number.clone());
                if refund.state != from {
                    let look = Some(tx.now().plus(crate::looks::FIRST));
                    refunds::store::save(tx, &refund, from, "", look).await?;
                }
                Ok(None)
            }
            ChannelRefundState::Failed => {
                crate::hold_refund(tx, id, "渠道退款异常，请人工处理").await?;
                Ok(None)
            }
            ChannelRefundState::Returned => self.returned_in(tx, refund, seen).await,
        }
    }

    async fn returned_in(&self, tx: &mut Tx<'_>, refund: Refund, seen: &ChannelRefund) -> Step<Option<Payment>> {
        let (id, from) = (refund.id.clone(), refund.state);
        if seen.amount_fen.is_some_and(|a| a != refund.amount_fen) {
            crate::hold_refund(tx, &id, "渠道退款金额与申请不符").await?;
            return Ok(None);
        }
        let at = seen.returned_at.unwrap_or(tx.now());
        let Some(refund) = refund.returned(seen.channel_refund_number.clone(), at) else {
            return Ok(None);
        };
        refunds::store::save(tx, &refund, from, "款项已退回", None).await?;
        let payment = payments::store::get(tx, &refund.payment_id).await?;
        let write_back = match self.subjects.of(&payment) {
            Some(subject) => subject.on_returned(tx, &payment, &refund).await?,
            None => WriteBack::NotNeeded,
        };
        if write_back == WriteBack::NotNeeded {
            crate::written_back(tx, &id, None).await?;
        }
        Ok(Some(payments::store::get(tx, &payment.id).await?))
    }

    /// A person says: send the refund again, or, when the payer has the money, tell the HIS again.
    ///
    /// # Errors
    /// Unless a person had to look.
    pub async fn retry_refund(&self, tx: &mut Tx<'_>, id: &RefundId) -> Step<Payment> {
        let refund = crate::retry_refund(tx, id).await?;
        let payment = payments::store::get(tx, &refund.payment_id).await?;
        if let Some(subject) = self.subjects.of(&payment).filter(|_| refund.returned_at.is_some()) {
            subject.on_write_back_retry(tx, &payment, &refund).await?;
        }
        Ok(payment)
    }

    /// A person has settled the refund with the hospital: it is over in all books.
    ///
    /// # Errors
    /// Unless the payer has the money.
    pub async fn settle_refund(&self, tx: &mut Tx<'_>, id: &RefundId) -> Step<Payment> {
        let refund = crate::written_back(tx, id, None).await?;
        let payment = payments::store::get(tx, &refund.payment_id).await?;
        if let Some(subject) = self.subjects.of(&payment) {
            subject.on_settled_by_hand(tx, &payment, &refund).await?;
        }
        Ok(payment)
    }
}

fn returned_nothing(at: Timestamp) -> ChannelRefund {
    ChannelRefund {
        state: ChannelRefundState::Returned,
        channel_refund_number: Some("FREE".to_owned()),
        amount_fen: Some(Fen(0)),
        returned_at: Some(at),
    }
}
