//! What comes back from the HIS: results of orders, and 停诊.

use base::Ctx;
use records::his::{
    Operation, RefundReceipt, Registration, RegistrationConfirm, RegistrationRefund, SlotUnlock, StopClinic,
};
use records::id::{RefundId, VisitId};
use records::{Actor, HisCommandResult, Outcome};
use store::Tx;

use super::effects::{close_refund, hand, let_go, paid, perform, refund_of, text};
use super::orders;
use super::store as sql;
use super::{Hand, Visit, VisitState};
use crate::messages::post_system;
use crate::scheduling::ends_at;
use crate::{CareError, Touched};

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
    let within = |begin: &str, end: &str| {
        let from = notice.date.at(begin).unwrap_or_else(|| notice.date.start());
        visit.begins_at() < ends_at(notice.date, begin, end) && visit.ends_at() > from
    };
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
