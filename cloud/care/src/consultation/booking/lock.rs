//! The place is locked in the HIS, and what the HIS says of it is taken over.

use base::{Ctx, settings};
use records::his::{LockRequest, LockedSlot, RegistrationState, SlotLock};
use records::id::VisitId;
use records::{Outcome, TenantId};
use store::{Scope, Tx};

use crate::consultation::effects::{hand, perform};
use crate::consultation::{ConsultationSettings, Visit, board, store as sql};
use crate::{CareError, hospital};

/// Asks the HIS for the place and takes what it says.
pub(super) async fn lock(ctx: &Ctx, tenant: &TenantId, visit: &Visit, his_patient_id: String) -> Result<(), CareError> {
    let request = LockRequest {
        order_number: visit.id.as_str().to_owned(),
        his_patient_id,
        work_id: visit.work_id.clone(),
        department_code: visit.department_code.clone(),
        doctor_code: visit.doctor_code.clone(),
        date: visit.slot_date,
        begin: visit.slot_begin.clone(),
        end: visit.slot_end.clone(),
        fee_fen: visit.fee_fen,
    };
    let answer = hospital::act::<SlotLock>(ctx, tenant, visit.id.as_str(), &request).await;
    let (id, deps) = (visit.id.clone(), ctx.clone());
    ctx.store
        .write(&Scope::new(tenant.clone(), records::Actor::His), move |tx| {
            let (id, answer, deps) = (id.clone(), answer.clone(), deps.clone());
            Box::pin(async move { locked_in(tx, &deps, &id, answer).await })
        })
        .await?;
    board::announce(ctx, tenant, &visit.id).await;
    Ok(())
}

async fn locked_in(tx: &mut Tx<'_>, ctx: &Ctx, id: &VisitId, answer: Outcome<LockedSlot>) -> Result<(), CareError> {
    let mut visit = sql::get(tx, id).await?;
    let hand = hand(tx);
    let moved = match answer {
        Outcome::Done(locked) => {
            let state = RegistrationState {
                state: records::his::HisOrderState::Unpaid,
                his_order_number: Some(locked.his_order_number),
                fee_fen: Some(locked.fee_fen),
                expires_at: locked.expires_at,
                receipt_number: None,
                his_refund_number: None,
            };
            adopt(tx, &mut visit, &state).await?;
            visit.progress().lock(&hand)
        }
        Outcome::Refused { text, .. } => visit.progress().refuse_lock(&text, &hand),
        Outcome::Later { .. } => visit
            .progress()
            .refuse_lock("医院系统暂时无法连接，号源未锁定，请稍后再试", &hand),
        Outcome::Unknown => visit.progress().lose_lock(&hand),
    };
    match moved {
        Ok(moved) => perform(tx, ctx, &mut visit, moved).await,
        // The reconciler was faster.
        Err(_) => Ok(()),
    }
}

/// Takes the HIS's numbers of a locked place: its order, its fee, its end.
pub(crate) async fn adopt(tx: &mut Tx<'_>, visit: &mut Visit, state: &RegistrationState) -> Result<(), CareError> {
    let rules: ConsultationSettings = settings::get(tx).await?;
    visit.his_order_number = Some(state.his_order_number.clone().unwrap_or_default());
    if let Some(fee) = state.fee_fen {
        visit.fee_fen = fee;
    }
    visit.pay_until = Some(rules.pay_until(tx.now(), state.expires_at));
    Ok(())
}
