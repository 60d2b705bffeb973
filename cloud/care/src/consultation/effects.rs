//! What follows from the transitions: orders to the HIS, money, words to the patient; and what comes back.

use std::time::Duration;

use async_trait::async_trait;
use base::{Ctx, audit, hospital, identity, settings, sms};
use futures_util::stream::{self, StreamExt};
use money::{Cashier, Keep, Payment, PaymentSubject, Refund, WriteBack};
use records::his::{
    HisOrderState, Operation, OrderEnd, OrderQuestion, RefundReceipt, RefundRecord, Registration, RegistrationConfirm,
    RegistrationPayment, RegistrationRefund, RegistrationState, RegistrationStatus, SlotUnlock, StopClinic,
};
use records::id::{RefundId, VisitId};
use records::{Actor, HisCommand, HisCommandResult, Outcome, TenantId};
use serde_json::json;
use store::{Scope, StoreError, Tx};

use super::orders;
use super::store as sql;
use super::{ConsultationSettings, Duty, Event, Hand, Progress, Visit, VisitState};
use crate::messages::post_system;
use crate::{CareError, Touched};

/// The kind under which a visit's payments stand in the books.
pub(crate) const SUBJECT: &str = "visit";

/// A lock that was not answered is asked for after this while.
const LOCK_PATIENCE: Duration = Duration::from_secs(20);
/// After this while without any certainty the place is given up (and unlocked, whenever the line is back).
const LOCK_DESPAIR: Duration = Duration::from_secs(120);

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

async fn paid(tx: &mut Tx<'_>, visit: &VisitId) -> Result<Payment, CareError> {
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

async fn refund_of(tx: &mut Tx<'_>, visit: &VisitId) -> Result<Option<Refund>, CareError> {
    let payment = paid(tx, visit).await?;
    Ok(money::refund_of(tx, &payment.id).await?)
}

/// Tells the HIS of money that went back.
async fn write_back(tx: &mut Tx<'_>, visit: &Visit) -> Result<(), CareError> {
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
async fn close_refund(tx: &mut Tx<'_>, visit: &mut Visit, his_number: Option<String>) -> Result<(), CareError> {
    if let Some(refund) = refund_of(tx, &visit.id).await? {
        money::written_back(tx, &refund.id, his_number).await?;
    }
    let (progress, event) = visit.progress().end_refund(&hand(tx));
    Ok(sql::save(tx, visit, progress, &event).await?)
}

/// Queues a text message to the account holder.
async fn text(tx: &mut Tx<'_>, ctx: &Ctx, visit: &Visit, template: &str, words: &[String]) -> Result<(), CareError> {
    if let Some(phone) = identity::phone_of(ctx, tx, &visit.account_id).await? {
        sms::enqueue(tx, ctx, &phone, template, words).await?;
    }
    Ok(())
}

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
            sql::note(tx, &visit.id, &event).await?;
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
            super::board::announce(&self.ctx, tenant, &id).await;
        }
    }
}

/// Takes the result of an order to the HIS. `None`: not one of ours.
///
/// # Errors
/// When the database fails.
pub async fn on_command_result(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    result: &HisCommandResult,
) -> Result<Option<Touched>, CareError> {
    let ours = [
        RegistrationConfirm::METHOD,
        RegistrationRefund::METHOD,
        SlotUnlock::METHOD,
    ];
    if !ours.contains(&result.method.as_str()) {
        return Ok(None);
    }
    let found = match VisitId::parse(&result.subject) {
        Some(id) => sql::find(tx, &id).await?,
        None => None,
    };
    let Some(mut visit) = found else {
        tracing::error!(his.key = result.key, "result for a visit that is not there");
        return Ok(Some(Touched::default()));
    };
    orders::settled(tx, result).await?;
    if result.method == RegistrationConfirm::METHOD {
        confirmed(tx, ctx, &mut visit, result).await?;
    } else if result.method == RegistrationRefund::METHOD {
        refund_written(tx, &mut visit, result).await?;
    } else if !matches!(result.outcome, Outcome::Done(_)) {
        tracing::warn!(visit.id = %visit.id, "the HIS did not unlock the place");
    }
    Ok(Some(Touched(vec![visit.id])))
}

async fn confirmed(tx: &mut Tx<'_>, ctx: &Ctx, visit: &mut Visit, result: &HisCommandResult) -> Result<(), CareError> {
    let hand = hand(tx);
    let back = refund_of(tx, &visit.id).await?.is_some_and(|r| r.returned_at.is_some());
    let moved = match &result.outcome {
        _ if result.needs_hand => visit
            .progress()
            .hold("医院未能确认挂号结果，工作人员正在处理，请耐心等待", &hand),
        Outcome::Done(answer) => {
            if let Ok(registration) = serde_json::from_value::<Registration>(answer.clone()) {
                visit.receipt_number = Some(registration.receipt_number);
                visit.serial_number = Some(registration.serial_number);
            }
            visit.progress().register(back, &hand)
        }
        Outcome::Refused { text, .. } => {
            let words = format!("医院未能确认挂号：{text}。费用将原路退回");
            visit.progress().refuse_registration(&words, back, &hand)
        }
        Outcome::Later { .. } | Outcome::Unknown => return Ok(()),
    };
    match moved {
        Ok(moved) => {
            let registered = moved.1.to == VisitState::Waiting;
            perform(tx, ctx, visit, moved).await?;
            if registered {
                let payment = paid(tx, &visit.id).await?;
                money::his_done(tx, &payment.id).await?;
                let when = format!("{} {}", visit.slot_date, visit.slot_begin);
                let words = [visit.department_name.clone(), visit.doctor_name.clone(), when];
                text(tx, ctx, visit, "visit_registered", &words).await?;
            }
        }
        // The same result again, or one that was settled by hand meanwhile.
        Err(refusal) => tracing::info!(visit.id = %visit.id, %refusal, "result of the HIS changes nothing"),
    }
    Ok(())
}

async fn refund_written(tx: &mut Tx<'_>, visit: &mut Visit, result: &HisCommandResult) -> Result<(), CareError> {
    let id = result
        .key
        .split(':')
        .next()
        .and_then(RefundId::parse)
        .ok_or(CareError::Absent)?;
    match &result.outcome {
        Outcome::Done(answer) if !result.needs_hand => {
            let receipt: Option<RefundReceipt> = serde_json::from_value(answer.clone()).ok();
            close_refund(tx, visit, receipt.map(|r| r.his_refund_number)).await
        }
        Outcome::Refused { text, .. } if !result.needs_hand => {
            let note = format!("款项已退回患者，医院登记退费被拒：{text}");
            Ok(money::hold_refund(tx, &id, &note).await?)
        }
        _ if result.needs_hand => {
            Ok(money::hold_refund(tx, &id, "款项已退回患者，医院登记退费结果不明，请核对").await?)
        }
        _ => Ok(()),
    }
}

fn concerned(visit: &Visit, notice: &StopClinic) -> bool {
    if !notice.order_numbers.is_empty() {
        return notice.order_numbers.iter().any(|n| n == visit.id.as_str());
    }
    let within = |begin: &str, end: &str| visit.slot_begin.as_str() < end && visit.slot_end.as_str() > begin;
    visit.department_code == notice.department_code
        && notice.work_id.as_ref().is_none_or(|work| *work == visit.work_id)
        && match (&notice.begin, &notice.end) {
            (Some(begin), Some(end)) => within(begin, end),
            _ => true,
        }
}

/// Takes a stop-clinic notice (停诊): paid visits are stopped and refunded, unpaid ones closed, patients told. The same
/// notice may come again.
///
/// # Errors
/// When the database fails.
pub async fn on_stop_clinic(tx: &mut Tx<'_>, ctx: &Ctx, notice: &StopClinic) -> Result<Touched, CareError> {
    let visits = sql::of_doctor_on(tx, &notice.doctor_code, notice.date).await?;
    let mut touched = Touched::default();
    let hand = Hand {
        by: Actor::His,
        at: tx.now(),
    };
    for mut visit in visits.into_iter().filter(|v| concerned(v, notice)) {
        let why = match notice.reason.as_str() {
            "" => "医生停诊".to_owned(),
            reason => format!("医生停诊：{reason}"),
        };
        if visit.state == VisitState::AwaitingPayment {
            let_go(tx, ctx, &mut visit, VisitState::Stopped, &why, &hand).await?;
        } else if let Ok(moved) = visit.progress().stop(&format!("{why}。费用将原路退回"), &hand) {
            perform(tx, ctx, &mut visit, moved).await?;
        } else {
            continue;
        }
        post_system(tx, &ctx.vault, &visit.id, &why).await?;
        let when = format!("{} {}", visit.slot_date, visit.slot_begin);
        text(tx, ctx, &visit, "visit_stopped", &[visit.doctor_name.clone(), when]).await?;
        touched.0.push(visit.id);
    }
    Ok(touched)
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

/// One round of the visits' timers for one hospital.
///
/// # Errors
/// When the database fails; the round is made again.
pub async fn tick(ctx: &Ctx, cashier: &Cashier, tenant: &TenantId) -> Result<(), CareError> {
    expire(ctx, cashier, tenant).await?;
    tidy(ctx, tenant).await?;
    settle_locks(ctx, tenant).await
}

/// Locks asked for at once; a silent HIS then costs one deadline, not one for each.
const AT_ONCE: usize = 16;

async fn settle_locks(ctx: &Ctx, tenant: &TenantId) -> Result<(), CareError> {
    let open = ctx
        .store
        .read(&Scope::system(tenant.clone()), |tx| {
            Box::pin(async move {
                let since = tx.now().minus(LOCK_PATIENCE);
                let mut open = sql::resting(tx, VisitState::Locking, since, 50).await?;
                let now = tx.now();
                open.extend(sql::resting(tx, VisitState::LockUnknown, now, 50).await?);
                Ok::<_, StoreError>(open)
            })
        })
        .await?;
    let rounds = open
        .into_iter()
        .map(|visit| async move { settle_lock(ctx, tenant, &visit).await });
    let ends: Vec<Result<(), CareError>> = stream::iter(rounds).buffer_unordered(AT_ONCE).collect().await;
    ends.into_iter().collect()
}

/// Asks the HIS whether a place is ours, and takes what it says.
async fn settle_lock(ctx: &Ctx, tenant: &TenantId, visit: &Visit) -> Result<(), CareError> {
    let question = OrderQuestion {
        order_number: visit.id.as_str().to_owned(),
    };
    let answer = crate::hospital::ask::<RegistrationStatus>(ctx, tenant, &question).await;
    let (id, deps) = (visit.id.clone(), ctx.clone());
    let moved = ctx
        .store
        .write(&Scope::system(tenant.clone()), move |tx| {
            let (id, answer, deps) = (id.clone(), answer.clone(), deps.clone());
            Box::pin(async move { settle_lock_in(tx, &deps, &id, &answer).await })
        })
        .await?;
    if moved {
        super::board::announce(ctx, tenant, &visit.id).await;
    }
    Ok(())
}

async fn settle_lock_in(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    id: &VisitId,
    answer: &Outcome<RegistrationState>,
) -> Result<bool, CareError> {
    let mut visit = sql::get(tx, id).await?;
    if !matches!(visit.state, VisitState::Locking | VisitState::LockUnknown) {
        return Ok(false);
    }
    let hand = hand(tx);
    let waited = tx.now().since(visit.created_at);
    let give_up = |visit: &Visit, words: &str| {
        let lost = match visit.state {
            VisitState::Locking => visit.progress().lose_lock(&hand)?.0,
            _ => visit.progress(),
        };
        lost.refuse_lock(words, &hand)
    };
    let moved = match answer {
        Outcome::Done(state) => match state.state {
            HisOrderState::Unpaid => {
                super::booking::adopt(tx, &mut visit, state).await?;
                visit.progress().lock(&hand)
            }
            HisOrderState::Absent if waited < LOCK_PATIENCE => return Ok(false),
            HisOrderState::Paid | HisOrderState::CheckedIn | HisOrderState::Seen => {
                let lost = match visit.state {
                    VisitState::Locking => visit.progress().lose_lock(&hand)?.0,
                    _ => visit.progress(),
                };
                lost.hold("医院侧订单状态异常，工作人员正在处理", &hand)
            }
            _ => give_up(&visit, "医院未能锁定号源，请重新选择时段"),
        },
        _ if waited >= LOCK_DESPAIR => give_up(&visit, "暂时无法与医院确认号源，已为您取消，请稍后重新预约"),
        _ if visit.state == VisitState::Locking => visit.progress().lose_lock(&hand),
        _ => return Ok(false),
    }?;
    perform(tx, ctx, &mut visit, moved).await?;
    Ok(true)
}

/// Lets go of visits that were not paid in time: the channel's order is closed first.
async fn expire(ctx: &Ctx, cashier: &Cashier, tenant: &TenantId) -> Result<(), CareError> {
    let deps = ctx.clone();
    let scope = Scope::system(tenant.clone());
    let closing = ctx
        .store
        .write(&scope, move |tx| {
            let deps = deps.clone();
            Box::pin(async move {
                let mut closing = Vec::new();
                let hand = hand(tx);
                for mut visit in sql::overdue(tx, 100).await? {
                    let why = "超时未支付，号源已释放";
                    let payment = let_go(tx, &deps, &mut visit, VisitState::Expired, why, &hand).await?;
                    closing.push((visit.id, payment));
                }
                Ok::<_, CareError>(closing)
            })
        })
        .await?;
    for (visit, payment) in closing {
        match payment {
            Some(payment) => {
                if let Err(error) = cashier.finish_closing(tenant, &payment.id).await {
                    tracing::warn!(payment.id = %payment.id, %error, "closing goes on later");
                }
            }
            None => super::board::announce(ctx, tenant, &visit).await,
        }
    }
    Ok(())
}

/// Cancels visits nobody attended to, and finishes those left open.
async fn tidy(ctx: &Ctx, tenant: &TenantId) -> Result<(), CareError> {
    let deps = ctx.clone();
    let touched = ctx
        .store
        .write(&Scope::system(tenant.clone()), move |tx| {
            let deps = deps.clone();
            Box::pin(async move { tidy_in(tx, &deps).await })
        })
        .await?;
    touched.announce(ctx, tenant).await;
    Ok(())
}

async fn tidy_in(tx: &mut Tx<'_>, ctx: &Ctx) -> Result<Touched, CareError> {
    let rules: ConsultationSettings = settings::get(tx).await?;
    let (now, hand) = (tx.now(), hand(tx));
    let hours = |n: u32| Duration::from_secs(u64::from(n) * 3600);
    let mut touched = Touched::default();
    let unattended = now.minus(hours(rules.auto_cancel_hours));
    for mut visit in sql::unattended(tx, unattended.local_date(), 100).await? {
        if visit.ends_at() > unattended {
            continue;
        }
        let moved = visit.progress().cancel("超时未就诊，费用将原路退回", &hand)?;
        perform(tx, ctx, &mut visit, moved).await?;
        touched.0.push(visit.id);
    }
    let forgotten = now.minus(hours(rules.auto_finish_hours));
    for mut visit in sql::resting(tx, VisitState::InProgress, forgotten, 100).await? {
        let moved = visit.progress().finish(&hand)?;
        perform(tx, ctx, &mut visit, moved).await?;
        post_system(tx, &ctx.vault, &visit.id, "问诊已超时，自动结束").await?;
        touched.0.push(visit.id);
    }
    Ok(touched)
}
