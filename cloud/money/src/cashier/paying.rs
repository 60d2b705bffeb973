//! Paying and letting go: what the channel is asked for about a payment, and what its answers move.

use records::id::PaymentId;
use records::{Actor, Fen, Outcome, TenantId, Timestamp};
use store::{Scope, Tx};

use super::{Cashier, Step, Till};
use crate::channel::{ChannelOrder, ChannelState, Closing, Prepay};
use crate::payments::{self, Payment, PaymentEvent, PaymentState};
use crate::subject::Keep;
use crate::{MoneyError, PayError, open_refund};

impl Cashier {
    /// Places the order at the channel and answers the payment with the channel's page. May be called again while the
    /// payment is open; a payment of nothing is paid at once.
    ///
    /// # Errors
    /// When the payment is settled or being closed, or when the channel cannot be reached.
    pub async fn pay(&self, tenant: &TenantId, id: &PaymentId, payer_ip: &str) -> Result<Payment, PayError> {
        let payment = self.load(tenant, id).await?;
        if !matches!(payment.state, PaymentState::Created | PaymentState::Pending) {
            return Err(PayError::NotOpen(payment.state));
        }
        if payment.amount_fen == Fen(0) {
            let now = self.clock.now();
            return Ok(self.settle(tenant, Actor::System, id, paid_nothing(now)).await?);
        }
        if payment.expires_at <= self.clock.now() {
            return Err(PayError::NotOpen(PaymentState::Closing));
        }
        let till = self.till(tenant)?;
        let order = prepay_order(&payment, payer_ip, till);
        let answer = self
            .attempt(tenant, id.as_str(), "prepay", till.channel.prepay(&order))
            .await?;
        match answer {
            Outcome::Done(page) => self.hand_out(tenant, id, page.url).await,
            Outcome::Refused { code, text } => {
                // 已支付 and 已关闭 come as refusals: look before blaming anybody.
                let seen = self.look(tenant, id).await?;
                // So does 参数不一致 from another network: the page handed out before still stands.
                if seen.state.holds_money() || seen.pay_url.is_some() {
                    return Ok(seen);
                }
                Err(PayError::Refused { code, text })
            }
            Outcome::Later { .. } | Outcome::Unknown => Err(PayError::ChannelBusy),
        }
    }

    async fn hand_out(&self, tenant: &TenantId, id: &PaymentId, url: String) -> Result<Payment, PayError> {
        let id = id.clone();
        let now = self.clock.now();
        let answer = self
            .write(Scope::system(tenant.clone()), move |tx| {
                let (id, url) = (id.clone(), url.clone());
                Box::pin(async move {
                    let payment = payments::store::get(tx, &id).await?;
                    let from = payment.state;
                    let (payment, event) = payment.pages(url)?;
                    let look = Some(now.plus(crate::looks::FIRST));
                    payments::store::save(tx, &payment, from, event, "", look).await?;
                    Ok(payment)
                })
            })
            .await;
        match answer {
            Err(MoneyError::Payment(refusal)) => Err(PayError::NotOpen(refusal.state)),
            other => Ok(other?),
        }
    }

    /// Asks the channel how a payment stands, and takes what it says.
    ///
    /// # Errors
    /// When the database fails; an unreachable channel is no error.
    pub async fn look(&self, tenant: &TenantId, id: &PaymentId) -> Result<Payment, PayError> {
        let till = self.till(tenant)?;
        let answer = self
            .attempt(tenant, id.as_str(), "query", till.channel.query(id))
            .await?;
        match answer {
            Outcome::Done(order) => Ok(self.settle(tenant, Actor::Channel, id, order).await?),
            _ => Ok(self.load(tenant, id).await?),
        }
    }

    /// Takes what the channel says about an order.
    pub(super) async fn settle(
        &self,
        tenant: &TenantId,
        actor: Actor,
        id: &PaymentId,
        order: ChannelOrder,
    ) -> Step<Payment> {
        let (id, this) = (id.clone(), self.clone());
        let (payment, moved) = self
            .write(Scope::new(tenant.clone(), actor), move |tx| {
                let (id, order, this) = (id.clone(), order.clone(), this.clone());
                Box::pin(async move { this.settle_in(tx, &id, &order).await })
            })
            .await?;
        if moved {
            self.announce(tenant, &payment).await;
        }
        Ok(payment)
    }

    async fn settle_in(&self, tx: &mut Tx<'_>, id: &PaymentId, order: &ChannelOrder) -> Step<(Payment, bool)> {
        let payment = payments::store::get(tx, id).await?;
        let from = payment.state;
        match order.state {
            ChannelState::Paid => {
                let at = order.paid_at.unwrap_or(tx.now());
                let (payment, event) = payment.charged(order.amount_fen, order.channel_number.clone(), at);
                self.charged_in(tx, payment, from, event, order).await
            }
            ChannelState::Closed => self.closed_in(tx, payment).await,
            ChannelState::Absent | ChannelState::Unpaid => Ok((payment, false)),
        }
    }

    async fn charged_in(
        &self,
        tx: &mut Tx<'_>,
        payment: Payment,
        from: PaymentState,
        event: PaymentEvent,
        order: &ChannelOrder,
    ) -> Step<(Payment, bool)> {
        match event {
            PaymentEvent::Charged | PaymentEvent::ChargedAfterClose => {
                payments::store::save(tx, &payment, from, event, "", None).await?;
                Ok((self.paid_in(tx, &payment).await?, true))
            }
            PaymentEvent::AmountDiffers => {
                let words = format!(
                    "渠道金额 {} 与订单金额 {} 不符",
                    order.amount_fen.unwrap_or_default(),
                    payment.amount_fen
                );
                payments::store::save(tx, &payment, from, event, &words, None).await?;
                Ok((payment, true))
            }
            _ => Ok((payment, false)),
        }
    }

    /// The money is there: the thing it is for goes on, or the money goes back.
    pub(super) async fn paid_in(&self, tx: &mut Tx<'_>, payment: &Payment) -> Step<Payment> {
        let keep = match self.subjects.of(payment) {
            Some(subject) => subject.on_paid(tx, payment).await?,
            None => Keep::No {
                reason: "订单不存在".to_owned(),
            },
        };
        if let Keep::No { reason } = keep {
            open_refund(tx, &self.ids, &payment.id, &reason).await?;
        }
        payments::store::get(tx, &payment.id).await
    }

    async fn closed_in(&self, tx: &mut Tx<'_>, payment: Payment) -> Step<(Payment, bool)> {
        let from = payment.state;
        let (payment, event) = payment.closed();
        if event == PaymentEvent::Nothing {
            return Ok((payment, false));
        }
        payments::store::save(tx, &payment, from, event, "", None).await?;
        if let Some(subject) = self.subjects.of(&payment) {
            subject.on_closed(tx, &payment).await?;
        }
        Ok((payment, true))
    }

    /// Closes the channel's order of a payment that [`crate::begin_close`] let go of. Answers the payment as it is
    /// afterwards: closed, paid (the payer was faster), or still closing (the channel did not answer; the tick goes
    /// on).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn finish_closing(&self, tenant: &TenantId, id: &PaymentId) -> Result<Payment, PayError> {
        let payment = self.load(tenant, id).await?;
        if payment.state != PaymentState::Closing {
            return Ok(payment);
        }
        let never_sent = payment.amount_fen == Fen(0) || !self.was_sent(tenant, id).await?;
        if never_sent {
            return Ok(self.settle(tenant, Actor::System, id, closed_order()).await?);
        }
        let till = self.till(tenant)?;
        let answer = self
            .attempt(tenant, id.as_str(), "close", till.channel.close(id))
            .await?;
        match answer {
            Outcome::Done(Closing::Closed) => Ok(self.settle(tenant, Actor::Channel, id, closed_order()).await?),
            Outcome::Done(Closing::AlreadyPaid) | Outcome::Refused { .. } => self.look(tenant, id).await,
            Outcome::Later { .. } | Outcome::Unknown => Ok(self.load(tenant, id).await?),
        }
    }

    /// Whether the channel may have heard of the payment.
    pub(super) async fn was_sent(&self, tenant: &TenantId, id: &PaymentId) -> Step<bool> {
        let id = id.clone();
        self.store
            .read(&Scope::system(tenant.clone()), move |tx| {
                let id = id.clone();
                Box::pin(async move { Ok(payments::store::attempted(tx, id.as_str(), "prepay").await?) })
            })
            .await
    }
}

fn prepay_order(payment: &Payment, payer_ip: &str, till: &Till) -> Prepay {
    Prepay {
        payment: payment.id.clone(),
        description: payment.description.clone(),
        amount_fen: payment.amount_fen,
        expires_at: payment.expires_at,
        payer_ip: payer_ip.to_owned(),
        return_url: till.return_url.as_ref().map(|url| {
            url.replace("{kind}", &payment.subject_kind)
                .replace("{id}", &payment.subject_id)
        }),
    }
}

fn paid_nothing(at: Timestamp) -> ChannelOrder {
    ChannelOrder {
        state: ChannelState::Paid,
        channel_number: Some("FREE".to_owned()),
        amount_fen: Some(Fen(0)),
        paid_at: Some(at),
    }
}

fn closed_order() -> ChannelOrder {
    ChannelOrder {
        state: ChannelState::Closed,
        channel_number: None,
        amount_fen: None,
        paid_at: None,
    }
}
