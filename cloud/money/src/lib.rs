//! Money: payment orders and refunds over a payment channel.
//!
//! A context that sells something writes a payment with [`open`] in its own unit of work, implements
//! [`PaymentSubject`], and calls [`Cashier`] after commit. Three books must always agree: this one, the HIS's and the
//! channel's; so every act at the channel is written down before it is made, every answer is idempotent, and
//! [`Cashier::tick`] finds out what stayed unknown.

pub mod cashier;
pub mod channel;
mod looks;
pub mod payments;
pub mod refunds;
mod routes;
mod subject;
#[cfg(test)]
extern crate self as money;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use records::id::{PaymentId, RefundId};
use records::{Fen, Ids, Timestamp};
use store::{Migration, StoreError, Tx};

pub use cashier::{Cashier, Found, NoticeEffect, NoticeError, Till};
pub use payments::store::PaymentStep;
pub use payments::{Payment, PaymentState};
pub use refunds::{Refund, RefundState};
pub use routes::{PaymentView, routes, tick};
pub use subject::{Keep, PaymentSubject, Subjects, WriteBack};

/// Tables of this crate.
pub const MIGRATIONS: &[Migration] = &[
    payments::store::MIGRATION,
    refunds::store::MIGRATION,
    payments::store::CHARGED,
];

/// What went wrong with money, for code.
#[derive(Debug, thiserror::Error)]
pub enum MoneyError {
    /// No such payment or refund in this hospital.
    #[error("no such payment")]
    Absent,
    /// The payment's state does not allow it.
    #[error(transparent)]
    Payment(#[from] payments::Refusal),
    /// The refund's state does not allow it.
    #[error(transparent)]
    Refund(#[from] refunds::Refusal),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a payer cannot pay now.
#[derive(Debug, thiserror::Error)]
pub enum PayError {
    /// Paid, closed or being closed.
    #[error("payment is {}", .0.as_str())]
    NotOpen(PaymentState),
    /// The hospital has no account at a channel.
    #[error("the hospital has no payment channel")]
    NoTill,
    /// The channel said no.
    #[error("channel refused: {code} {text}")]
    Refused {
        /// Stable word.
        code: String,
        /// Its words.
        text: String,
    },
    /// The channel cannot be reached, or its answer is unknown.
    #[error("channel busy")]
    ChannelBusy,
    /// The books failed.
    #[error(transparent)]
    Money(MoneyError),
}

impl From<MoneyError> for PayError {
    fn from(error: MoneyError) -> Self {
        match error {
            MoneyError::Payment(refusal) => Self::NotOpen(refusal.state),
            other => Self::Money(other),
        }
    }
}

/// A payment to be opened.
#[derive(Clone, Debug)]
pub struct NewPayment {
    /// `visit` or `prescription`.
    pub subject_kind: &'static str,
    /// Which one.
    pub subject_id: String,
    /// Account that pays.
    pub account_id: String,
    /// What the payer reads.
    pub description: String,
    /// How much.
    pub amount_fen: Fen,
    /// When it lapses.
    pub expires_at: Timestamp,
}

/// Writes a payment down, in the subject's unit of work. While one is open for the subject, answers that one.
///
/// # Errors
/// When the database fails.
pub async fn open(tx: &mut Tx<'_>, ids: &Ids, new: &NewPayment) -> Result<Payment, MoneyError> {
    let before = payments::store::of_subject(tx, new.subject_kind, &new.subject_id).await?;
    let alive = before.into_iter().find(|p| {
        !matches!(
            p.state,
            PaymentState::Closed | PaymentState::Reversing | PaymentState::Reversed
        )
    });
    if let Some(payment) = alive {
        return Ok(payment);
    }
    let payment = Payment {
        id: PaymentId::generate(ids, tx.now()),
        subject_kind: new.subject_kind.to_owned(),
        subject_id: new.subject_id.clone(),
        account_id: new.account_id.clone(),
        description: new.description.clone(),
        amount_fen: new.amount_fen,
        state: PaymentState::Created,
        pay_url: None,
        channel_number: None,
        charged_fen: None,
        paid_at: None,
        expires_at: new.expires_at,
        created_at: tx.now(),
    };
    let look = tx.now().plus(looks::FIRST);
    payments::store::insert(tx, &payment, look).await?;
    Ok(payment)
}

/// The payment of that number.
///
/// # Errors
/// When there is none, or the database fails.
pub async fn payment(tx: &mut Tx<'_>, id: &PaymentId) -> Result<Payment, MoneyError> {
    payments::store::get(tx, id).await
}

/// Payments of one thing, newest first.
///
/// # Errors
/// When the database fails.
pub async fn payments_of(tx: &mut Tx<'_>, kind: &str, subject_id: &str) -> Result<Vec<Payment>, StoreError> {
    payments::store::of_subject(tx, kind, subject_id).await
}

/// The history of a payment.
///
/// # Errors
/// When the database fails.
pub async fn history(tx: &mut Tx<'_>, id: &PaymentId) -> Result<Vec<PaymentStep>, StoreError> {
    payments::store::history(tx, id).await
}

/// The refund of a payment, if there is one.
///
/// # Errors
/// When the database fails.
pub async fn refund_of(tx: &mut Tx<'_>, id: &PaymentId) -> Result<Option<Refund>, StoreError> {
    refunds::store::of_payment(tx, id).await
}

/// Lets go of an unpaid payment: no page is handed out any more, and the channel's order will be closed (call
/// [`Cashier::finish_closing`] after commit; the tick does it otherwise). The subject hears of it by
/// [`PaymentSubject::on_closed`], or by [`PaymentSubject::on_paid`] when the payer was faster.
///
/// # Errors
/// When it is paid already.
pub async fn begin_close(tx: &mut Tx<'_>, id: &PaymentId, why: &str) -> Result<Payment, MoneyError> {
    let payment = payments::store::get(tx, id).await?;
    let from = payment.state;
    let (payment, event) = payment.close()?;
    let look = Some(tx.now());
    payments::store::save(tx, &payment, from, event, why, look).await?;
    Ok(payment)
}

/// The HIS is being told of the payment.
///
/// # Errors
/// Unless paid.
pub async fn his_confirming(tx: &mut Tx<'_>, id: &PaymentId) -> Result<(), MoneyError> {
    let payment = payments::store::get(tx, id).await?;
    let from = payment.state;
    let (payment, event) = payment.confirming()?;
    Ok(payments::store::save(tx, &payment, from, event, "", None).await?)
}

/// The HIS knows of the payment.
///
/// # Errors
/// Unless paid.
pub async fn his_done(tx: &mut Tx<'_>, id: &PaymentId) -> Result<(), MoneyError> {
    let payment = payments::store::get(tx, id).await?;
    let from = payment.state;
    let (payment, event) = payment.done()?;
    Ok(payments::store::save(tx, &payment, from, event, "", None).await?)
}

/// Returns the whole amount of a paid payment. Answers the refund that exists when it was asked before.
///
/// # Errors
/// Unless paid.
pub async fn open_refund(tx: &mut Tx<'_>, ids: &Ids, id: &PaymentId, reason: &str) -> Result<Refund, MoneyError> {
    if let Some(refund) = refunds::store::of_payment(tx, id).await? {
        return Ok(refund);
    }
    let payment = payments::store::get(tx, id).await?;
    let from = payment.state;
    let (payment, event) = payment.reverse()?;
    payments::store::save(tx, &payment, from, event, reason, None).await?;
    write_refund(tx, ids, &payment, reason).await
}

/// Writes down the refund of everything that the channel took for a payment.
pub(crate) async fn write_refund(
    tx: &mut Tx<'_>,
    ids: &Ids,
    payment: &Payment,
    reason: &str,
) -> Result<Refund, MoneyError> {
    let refund = Refund {
        id: RefundId::generate(ids, tx.now()),
        payment_id: payment.id.clone(),
        amount_fen: payment.received_fen(),
        reason: reason.to_owned(),
        state: RefundState::Requested,
        channel_refund_number: None,
        returned_at: None,
        his_refund_number: None,
        note: None,
        created_at: tx.now(),
    };
    refunds::store::insert(tx, &refund).await?;
    Ok(refund)
}

/// The HIS has the refund in its books (or need not have it): the refund is over.
///
/// # Errors
/// Unless the payer has the money.
pub async fn written_back(
    tx: &mut Tx<'_>,
    id: &RefundId,
    his_refund_number: Option<String>,
) -> Result<Refund, MoneyError> {
    let refund = refunds::store::get(tx, id).await?;
    let from = refund.state;
    if from == RefundState::Refunded {
        return Ok(refund);
    }
    let refund = refund.written_back(his_refund_number)?;
    refunds::store::save(tx, &refund, from, "", None).await?;
    let payment = payments::store::get(tx, &refund.payment_id).await?;
    let before = payment.state;
    let (payment, event) = payment.reversed()?;
    payments::store::save(tx, &payment, before, event, "", None).await?;
    Ok(refund)
}

/// A person has to look at a refund, e.g. because the HIS refused the write-back.
///
/// # Errors
/// When the database fails.
pub async fn hold_refund(tx: &mut Tx<'_>, id: &RefundId, note: &str) -> Result<(), MoneyError> {
    let refund = refunds::store::get(tx, id).await?;
    let from = refund.state;
    let refund = refund.hold(note);
    if refund.state != from {
        refunds::store::save(tx, &refund, from, note, None).await?;
    }
    Ok(())
}

/// Payments a person has to look at (the channel's amount is not ours), oldest first.
///
/// # Errors
/// When the database fails.
pub async fn held_payments(tx: &mut Tx<'_>, most: i64) -> Result<Vec<Payment>, StoreError> {
    payments::store::held(tx, most).await
}

/// Refunds a person has to look at, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn held_refunds(tx: &mut Tx<'_>, most: i64) -> Result<Vec<Refund>, StoreError> {
    refunds::store::held(tx, most).await
}

/// A person says: send the refund again. Answers it; when the payer has the money already, what is left is the
/// write-back, which the subject has to ask for again.
///
/// # Errors
/// Unless a person had to look.
pub(crate) async fn retry_refund(tx: &mut Tx<'_>, id: &RefundId) -> Result<Refund, MoneyError> {
    let refund = refunds::store::get(tx, id).await?;
    let from = refund.state;
    let refund = refund.retry()?;
    let look = (refund.state == RefundState::Requested).then(|| tx.now());
    refunds::store::save(tx, &refund, from, "人工重试", look).await?;
    Ok(refund)
}

/// The refund of that number.
///
/// # Errors
/// When there is none, or the database fails.
pub async fn refund(tx: &mut Tx<'_>, id: &RefundId) -> Result<Refund, MoneyError> {
    refunds::store::get(tx, id).await
}
