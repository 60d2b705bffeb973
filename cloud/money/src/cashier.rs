//! The cashier: the acts at the channel, each written down before it is made, and what their answers do.
//!
//! Nothing here is trusted to happen once: every act is keyed by our number, every answer goes through the pure
//! transitions, and what stayed unknown is asked for again by [`Cashier::tick`].

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use records::id::{PaymentId, RefundId};
use records::{Actor, Clock, Fen, Ids, Outcome, TenantId, Timestamp};
use store::{Scope, Store, StoreError, Tx};

use crate::channel::{
    Channel, ChannelOrder, ChannelRefund, ChannelRefundState, ChannelState, Closing, NoticeRefusal, Prepay, RawNotice,
    RefundOrder, Says,
};
use crate::payments::{self, Payment, PaymentEvent, PaymentState};
use crate::refunds::{self, Refund, RefundState};
use crate::subject::{Keep, Subjects, WriteBack};
use crate::{MoneyError, PayError, open_refund};

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

/// What a notice did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeEffect {
    /// It was news.
    Applied,
    /// It had come before, or said nothing new.
    Known,
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
                    let look = Some(now.plus(crate::FIRST_LOOK));
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
    async fn settle(&self, tenant: &TenantId, actor: Actor, id: &PaymentId, order: ChannelOrder) -> Step<Payment> {
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
                let keep = match self.subjects.of(&payment) {
                    Some(subject) => subject.on_paid(tx, &payment).await?,
                    None => Keep::No {
                        reason: "订单不存在".to_owned(),
                    },
                };
                if let Keep::No { reason } = keep {
                    open_refund(tx, &self.ids, &payment.id, &reason).await?;
                }
                Ok((payments::store::get(tx, &payment.id).await?, true))
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
    async fn was_sent(&self, tenant: &TenantId, id: &PaymentId) -> Step<bool> {
        let id = id.clone();
        self.store
            .read(&Scope::system(tenant.clone()), move |tx| {
                let id = id.clone();
                Box::pin(async move { Ok(payments::store::attempted(tx, id.as_str(), "prepay").await?) })
            })
            .await
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
            paid_fen: payment.amount_fen,
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
    async fn take_refund(&self, tenant: &TenantId, actor: Actor, id: &RefundId, seen: ChannelRefund) -> Step<bool> {
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
                    let look = Some(tx.now().plus(crate::FIRST_LOOK));
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

    /// Tells the apps, after a unit of work that moved this payment.
    pub async fn tell(&self, tenant: &TenantId, payment: &Payment) {
        self.announce(tenant, payment).await;
    }

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

fn returned_nothing(at: Timestamp) -> ChannelRefund {
    ChannelRefund {
        state: ChannelRefundState::Returned,
        channel_refund_number: Some("FREE".to_owned()),
        amount_fen: Some(Fen(0)),
        returned_at: Some(at),
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
