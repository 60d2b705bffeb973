//! What time brings: locks nobody answered for, visits not paid, not attended to, not ended.

use std::time::Duration;

use base::{Ctx, settings};
use futures_util::stream::{self, StreamExt};
use money::Cashier;
use records::his::{HisOrderState, OrderQuestion, RegistrationState, RegistrationStatus};
use records::id::VisitId;
use records::{Outcome, TenantId};
use store::{Scope, StoreError, Tx};

use super::effects::{hand, let_go, perform};
use super::store as sql;
use super::{ConsultationSettings, Visit, VisitState, board};
use crate::messages::post_system;
use crate::{CareError, Touched};

/// A lock that was not answered is asked for after this while.
const LOCK_PATIENCE: Duration = Duration::from_secs(20);
/// After this while without any certainty the place is given up (and unlocked, whenever the line is back).
const LOCK_DESPAIR: Duration = Duration::from_secs(120);

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
        board::announce(ctx, tenant, &visit.id).await;
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
            None => board::announce(ctx, tenant, &visit).await,
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
