//! What follows from the transitions, in the same unit of work: orders to the HIS, money, words to the patient.

use base::{Ctx, audit, hospital, identity, sms};
use money::{Payment, Refund};
use records::his::{
    Operation, OrderEnd, RefundRecord, RegistrationConfirm, RegistrationPayment, RegistrationRefund, SlotUnlock,
};
use records::id::VisitId;
use records::{Actor, HisCommand};
use serde_json::json;
use store::Tx;

use super::orders;
use super::store as sql;
use super::{Duty, Event, Hand, Progress, Visit, VisitState};
use crate::CareError;

/// The kind under which a visit's payments stand in the books.
pub(crate) const SUBJECT: &str = "visit";

/// The hand of this unit of work.
pub(crate) fn hand(tx: &Tx<'_>) -> Hand {
    Hand {
        by: tx.actor().clone(),
        at: tx.now(),
    }
}

/// Writes a transition and does its duties, in this unit of work.
pub(crate) async fn perform(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    visit: &mut Visit,
    moved: (Progress, Event),
) -> Result<(), CareError> {
    let (progress, event) = moved;
    sql::save(tx, visit, progress, &event).await?;
    if matches!(event.by, Actor::Patient(_) | Actor::Staff(_)) {
        let action = format!("visit.{}", event.word);
        audit::record(tx, &action, visit.id.as_str(), json!({ "to": event.to.as_str() })).await?;
    }
    tracing::info!(visit.id = %visit.id, visit.event = event.word, visit.state = event.to.as_str(), "visit moved");
    for duty in event.duties {
        match duty {
            Duty::Unlock => unlock(tx, visit).await?,
            Duty::Confirm => confirm(tx, visit).await?,
            Duty::Refund => refund(tx, ctx, visit, &event.note).await?,
            Duty::WriteBack => write_back(tx, visit).await?,
            Duty::CloseRefund => close_refund(tx, visit, None).await?,
        }
    }
    Ok(())
}

async fn order<O: Operation>(
    tx: &mut Tx<'_>,
    visit: &VisitId,
    key: String,
    request: &O::Request,
) -> Result<(), CareError> {
    let request = serde_json::to_value(request).map_err(|_| CareError::Damaged)?;
    let command = HisCommand {
        key,
        method: O::METHOD.to_owned(),
        subject: visit.as_str().to_owned(),
        request,
    };
    orders::ordered(tx, &command).await?;
    Ok(hospital::command(tx, &command).await?)
}

async fn unlock(tx: &mut Tx<'_>, visit: &Visit) -> Result<(), CareError> {
    let end = OrderEnd {
        order_number: visit.id.as_str().to_owned(),
        his_order_number: visit.his_order_number.clone(),
        reason: visit.message.clone().unwrap_or_else(|| "释放号源".to_owned()),
    };
    order::<SlotUnlock>(tx, &visit.id, format!("{}:{}", visit.id, SlotUnlock::METHOD), &end).await
}

pub(super) async fn paid(tx: &mut Tx<'_>, visit: &VisitId) -> Result<Payment, CareError> {
    let payments = money::payments_of(tx, SUBJECT, visit.as_str()).await?;
    payments
        .into_iter()
        .find(|p| p.paid_at.is_some())
        .ok_or(CareError::Absent)
}

async fn confirm(tx: &mut Tx<'_>, visit: &mut Visit) -> Result<(), CareError> {
    let payment = paid(tx, &visit.id).await?;
    money::his_confirming(tx, &payment.id).await?;
    let told = RegistrationPayment {
        order_number: visit.id.as_str().to_owned(),
        his_order_number: visit.his_order_number.clone().unwrap_or_default(),
        channel_number: payment.channel_number.unwrap_or_default(),
        amount_fen: payment.amount_fen,
        paid_at: payment.paid_at.unwrap_or(tx.now()),
    };
    // A repeat that a person asked for is a new order; the HIS knows the registration by its own number.
    let key = format!("{}:{}:{}", payment.id, RegistrationConfirm::METHOD, visit.tells);
    visit.tells += 1;
    sql::count_tell(tx, visit).await?;
    order::<RegistrationConfirm>(tx, &visit.id, key, &told).await
}

async fn refund(tx: &mut Tx<'_>, ctx: &Ctx, visit: &Visit, why: &str) -> Result<(), CareError> {
    let payment = paid(tx, &visit.id).await?;
    let why = if why.is_empty() { "问诊取消" } else { why };
    money::open_refund(tx, &ctx.ids, &payment.id, why).await?;
    Ok(())
}

pub(super) async fn refund_of(tx: &mut Tx<'_>, visit: &VisitId) -> Result<Option<Refund>, CareError> {
    let payment = paid(tx, visit).await?;
    Ok(money::refund_of(tx, &payment.id).await?)
}

/// Tells the HIS of money that went back.
pub(super) async fn write_back(tx: &mut Tx<'_>, visit: &Visit) -> Result<(), CareError> {
    let payment = paid(tx, &visit.id).await?;
    let refund = money::refund_of(tx, &payment.id).await?.ok_or(CareError::Absent)?;
    let tries = orders::count(tx, &visit.id, RegistrationRefund::METHOD).await?;
    let record = RefundRecord {
        order_number: visit.id.as_str().to_owned(),
        his_order_number: visit.his_order_number.clone().unwrap_or_default(),
        refund_number: refund.id.as_str().to_owned(),
        channel_refund_number: refund.channel_refund_number.unwrap_or_default(),
        // What the HIS was told of, also where the channel took another amount.
        amount_fen: payment.amount_fen,
        refunded_at: refund.returned_at.unwrap_or(tx.now()),
        reason: refund.reason,
    };
    let key = format!("{}:{}:{tries}", refund.id, RegistrationRefund::METHOD);
    order::<RegistrationRefund>(tx, &visit.id, key, &record).await
}

/// The refund of a visit is over in all books.
pub(super) async fn close_refund(
    tx: &mut Tx<'_>,
    visit: &mut Visit,
    his_number: Option<String>,
) -> Result<(), CareError> {
    if let Some(refund) = refund_of(tx, &visit.id).await? {
        money::written_back(tx, &refund.id, his_number).await?;
    }
    let (progress, event) = visit.progress().end_refund(&hand(tx));
    Ok(sql::save(tx, visit, progress, &event).await?)
}

/// Queues a text message to the account holder.
pub(super) async fn text(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    visit: &Visit,
    template: &str,
    words: &[String],
) -> Result<(), CareError> {
    if let Some(phone) = identity::phone_of(ctx, tx, &visit.account_id).await? {
        sms::enqueue(tx, ctx, &phone, template, words).await?;
    }
    Ok(())
}

/// Lets go of an unpaid visit: its order is closed at the channel first; without one it ends at once.
pub(crate) async fn let_go(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    visit: &mut Visit,
    wish: VisitState,
    why: &str,
    hand: &Hand,
) -> Result<Option<Payment>, CareError> {
    if visit.closing_as.is_none() {
        let moved = visit.progress().let_go(wish, why, hand)?;
        perform(tx, ctx, visit, moved).await?;
    }
    let open = money::payments_of(tx, SUBJECT, visit.id.as_str()).await?;
    if let Some(payment) = open.into_iter().find(|p| p.state != money::PaymentState::Closed) {
        return Ok(Some(money::begin_close(tx, &payment.id, why).await?));
    }
    let moved = visit.progress().end_unpaid(hand)?;
    perform(tx, ctx, visit, moved).await?;
    Ok(None)
}
