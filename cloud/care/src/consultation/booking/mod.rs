//! Booking: is the patient eligible, is the slot there, is the consent good; then the row, then the lock in the HIS.

mod lock;
mod wanted;

use base::{ApiError, Ctx, Patient, Session, Who, audit, identity, settings};
use records::his::{FollowUp, FollowUpCheck, FollowUpQuestion, Slot};
use records::id::{AccountId, PatientId, VisitId};
use records::{LocalDate, Outcome, TenantId};
use serde_json::json;
use store::{Scope, Tx};

pub(crate) use lock::adopt;
pub(crate) use wanted::NewVisit;

use super::effects::hand;
use super::visit::SEALED_STATEMENT;
use super::{ConsultationSettings, Event, Progress, Visit, store as sql, trail};
use crate::messages::Kind;
use crate::messages::routes::attach;
use crate::{CareError, consent, directory, hospital, patients, scheduling};
use lock::lock;

/// What stands in our own books for a booking.
struct Ground {
    his_patient_id: String,
    consent_sm3: String,
    rules: ConsultationSettings,
}

/// The department's name; the lists are fetched when they do not know it.
async fn department_name(ctx: &Ctx, tenant: &TenantId, code: &str) -> Result<String, CareError> {
    for known in [false, true] {
        if known && !directory::routes::refresh(ctx, tenant).await? {
            break;
        }
        let wanted = code.to_owned();
        let found = ctx
            .store
            .read(&Scope::system(tenant.clone()), move |tx| {
                let code = wanted.clone();
                Box::pin(async move { directory::department(tx, &code).await })
            })
            .await
            .map_err(CareError::Store)?;
        if let Some(found) = found {
            return Ok(found.name);
        }
    }
    Ok(code.to_owned())
}

async fn ground(tx: &mut Tx<'_>, account: &AccountId, new: &NewVisit) -> Result<Ground, CareError> {
    let patient = PatientId::parse(&new.patient_id).ok_or(CareError::Absent)?;
    let row = patients::store::own(tx, account, &patient).await?;
    let his_patient_id = row
        .binding()
        .his_patient_id()
        .ok_or_else(|| ApiError::conflict("patient_unbound", "该就诊人尚未关联院内档案，请先在就诊人页面重试"))?
        .to_owned();
    let versions = consent::store::versions(tx).await?;
    let accepted = consent::judge(&versions, &new.consent.id, new.consent.version, tx.now())
        .map_err(|e| ApiError::conflict(e.code(), e.to_string()))?;
    let rules: ConsultationSettings = settings::get(tx).await?;
    if !rules.shows_department(&new.department_code) || !rules.shows_doctor(&new.doctor_code) {
        return Err(CareError::Absent);
    }
    Ok(Ground {
        his_patient_id,
        consent_sm3: accepted.sm3(),
        rules,
    })
}

/// Asks the HIS whether the patient may be seen online in a department.
pub(crate) async fn follow_up(
    ctx: &Ctx,
    tenant: &TenantId,
    his_patient_id: &str,
    department: &str,
    rules: &ConsultationSettings,
) -> Outcome<FollowUp> {
    let question = FollowUpQuestion {
        his_patient_id: his_patient_id.to_owned(),
        department_code: department.to_owned(),
        within_days: rules.follow_up_days,
    };
    hospital::ask::<FollowUpCheck>(ctx, tenant, &question).await
}

/// The chosen slot as the HIS has it now.
fn choose(slots: Vec<Slot>, new: &NewVisit, date: LocalDate, ctx: &Ctx) -> Result<Slot, ApiError> {
    let slot = slots
        .into_iter()
        .find(|s| {
            s.work_id == new.slot.work_id
                && s.date == date
                && s.begin == new.slot.begin
                && s.end == new.slot.end
                && s.doctor_code == new.doctor_code
                && s.department_code == new.department_code
        })
        .ok_or_else(|| ApiError::conflict("slot_gone", "该时段已不存在，请重新选择"))?;
    if slot.stopped {
        return Err(ApiError::conflict("slot_stopped", "该时段医生已停诊，请重新选择"));
    }
    if !scheduling::lies_ahead(&slot, ctx.now()) {
        return Err(ApiError::conflict("slot_past", "该时段已过，请重新选择"));
    }
    if slot.left == 0 {
        return Err(ApiError::conflict("slot_full", "该时段号源已满，请重新选择"));
    }
    Ok(slot)
}

/// Books a visit. Answers it as it stands afterwards: awaiting payment, declined by the HIS, or not certain yet.
pub(crate) async fn book(ctx: &Ctx, patient: &Patient, new: NewVisit) -> Result<VisitId, ApiError> {
    let date = new.check()?;
    let (account, wanted) = (patient.account.clone(), new.clone());
    let (known, ground) = ctx
        .store
        .read(&patient.scope(), move |tx| {
            let (account, wanted) = (account.clone(), wanted.clone());
            Box::pin(async move {
                if let Some(known) = sql::by_key(tx, &account, &wanted.key).await? {
                    return Ok((Some(known.id), None));
                }
                Ok::<_, CareError>((None, Some(ground(tx, &account, &wanted).await?)))
            })
        })
        .await?;
    let ground = match (known, ground) {
        (Some(known), _) => return Ok(known),
        (None, Some(ground)) => ground,
        (None, None) => return Err(ApiError::not_found()),
    };
    let department_name = department_name(ctx, &patient.tenant, &new.department_code).await?;
    let (eligible, slots) = tokio::join!(
        follow_up(
            ctx,
            &patient.tenant,
            &ground.his_patient_id,
            &new.department_code,
            &ground.rules
        ),
        scheduling::look_up(ctx, &patient.tenant, &new.department_code, &new.doctor_code, date),
    );
    let eligible = ApiError::of(eligible)?;
    if !eligible.eligible {
        let words = match eligible.reason.as_str() {
            "" => "未查到符合条件的院内就诊记录，不能线上复诊，请到医院就诊".to_owned(),
            reason => reason.to_owned(),
        };
        return Err(ApiError::conflict("not_eligible", words));
    }
    let slot = choose(ApiError::of(slots)?, &new, date, ctx)?;
    let his_patient_id = ground.his_patient_id.clone();
    let (visit, fresh) = write(ctx, patient, new, ground, department_name, slot, eligible).await?;
    if fresh {
        lock(ctx, &patient.tenant, &visit, his_patient_id).await?;
    }
    Ok(visit.id)
}

/// Writes the visit down before the HIS is asked for its place. Answers whether it is new.
async fn write(
    ctx: &Ctx,
    patient: &Patient,
    new: NewVisit,
    ground: Ground,
    department_name: String,
    slot: Slot,
    eligible: FollowUp,
) -> Result<(Visit, bool), ApiError> {
    let session = Session {
        id: String::new(),
        tenant: patient.tenant.clone(),
        who: Who::Patient(patient.account.clone()),
    };
    let mut visit = row(ctx, patient, &new, &ground, &slot, &eligible)?;
    visit.department_name = department_name;
    let written = ctx
        .store
        .write(&patient.scope(), move |tx| {
            let (visit, session, new) = (visit.clone(), session.clone(), new.clone());
            Box::pin(async move { write_in(tx, &session, visit, &new).await })
        })
        .await?;
    Ok(written)
}

async fn write_in(
    tx: &mut Tx<'_>,
    session: &Session,
    visit: Visit,
    new: &NewVisit,
) -> Result<(Visit, bool), CareError> {
    if let Some(known) = sql::by_key(tx, &visit.account_id, &new.key).await? {
        return Ok((known, false));
    }
    if sql::booked_already(tx, &visit).await? {
        return Err(ApiError::conflict("already_booked", "该就诊人已预约此时段，请勿重复预约").into());
    }
    sql::insert(tx, &visit, &new.key).await?;
    let hand = hand(tx);
    let begun = Event {
        word: "book",
        from: visit.state,
        to: visit.state,
        note: String::new(),
        by: hand.by,
        at: hand.at,
        duties: &[],
    };
    trail::note(tx, &visit.id, &begun).await?;
    let detail = json!({ "consent": visit.consent_id, "consent_version": visit.consent_version, "consent_sm3": visit.consent_sm3 });
    audit::record(tx, "visit.book", visit.id.as_str(), detail).await?;
    if !new.photo_ids.is_empty() {
        let doctor = identity::staff::by_his_code(tx, &visit.doctor_code).await?;
        for photo in &new.photo_ids {
            let reader = doctor.as_ref().map(|d| d.id.as_str().to_owned());
            attach(tx, session, photo, Kind::Image, reader).await?;
        }
    }
    Ok((visit, true))
}

fn row(
    ctx: &Ctx,
    patient: &Patient,
    new: &NewVisit,
    ground: &Ground,
    slot: &Slot,
    eligible: &FollowUp,
) -> Result<Visit, CareError> {
    let now = ctx.now();
    let statement = serde_json::to_vec(&new.statement).map_err(|_| CareError::Damaged)?;
    let progress = Progress::begin();
    Ok(Visit {
        id: VisitId::generate(&ctx.ids, now),
        account_id: patient.account.clone(),
        patient_id: PatientId::parse(&new.patient_id).ok_or(CareError::Absent)?,
        purpose: new.purpose.clone(),
        department_code: slot.department_code.clone(),
        department_name: String::new(),
        doctor_code: slot.doctor_code.clone(),
        doctor_name: slot.doctor_name.clone(),
        doctor_title: slot.doctor_title.clone(),
        work_id: slot.work_id.clone(),
        slot_date: slot.date,
        slot_period: slot.period.clone(),
        slot_begin: slot.begin.clone(),
        slot_end: slot.end.clone(),
        fee_fen: slot.fee_fen,
        state: progress.state,
        ended_as: None,
        his: progress.his,
        closing_as: None,
        message: None,
        his_order_number: None,
        receipt_number: None,
        serial_number: None,
        pay_until: None,
        consent_id: new.consent.id.clone(),
        consent_version: new.consent.version,
        consent_sm3: ground.consent_sm3.clone(),
        statement: ctx.vault.seal(&patient.tenant, SEALED_STATEMENT, &statement)?,
        photos: json!(new.photo_ids),
        eligibility: json!(eligible),
        created_at: now,
        updated_at: now,
        checked_in_at: None,
        accepted_at: None,
        finished_at: None,
        rating: None,
        tells: 0,
    })
}
