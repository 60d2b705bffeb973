//! Booking: is the patient eligible, is the slot there, is the consent good; then the row, then the lock in the HIS.

use base::{ApiError, Ctx, Patient, Session, Who, audit, identity, settings};
use records::his::{
    FollowUp, FollowUpCheck, FollowUpQuestion, LockRequest, LockedSlot, RegistrationState, Slot, SlotLock,
};
use records::id::{AccountId, PatientId, VisitId};
use records::{LocalDate, Outcome, TenantId};
use serde::Deserialize;
use serde_json::json;
use store::{Scope, Tx};
use utoipa::ToSchema;

use super::effects::{hand, perform};
use super::visit::{SEALED_STATEMENT, Statement};
use super::{ConsultationSettings, Event, Progress, Visit, store as sql, trail};
use crate::messages::Kind;
use crate::messages::routes::attach;
use crate::{CareError, consent, directory, hospital, patients, scheduling};

/// A visit to be booked.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct NewVisit {
    /// The app's own name of the booking; a repeat books nothing.
    pub key: String,
    /// For whom.
    pub patient_id: String,
    /// `follow_up` or `renew_prescription`.
    pub purpose: String,
    /// Department.
    pub department_code: String,
    /// Doctor.
    pub doctor_code: String,
    /// Slot.
    pub slot: WantedSlot,
    /// Consent accepted.
    pub consent: AcceptedConsent,
    /// The patient's words.
    pub statement: Statement,
    /// Photos, as uploaded files.
    #[serde(default)]
    pub photo_ids: Vec<String>,
}

/// The slot chosen.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct WantedSlot {
    /// Shift.
    pub work_id: String,
    /// Day, `YYYY-MM-DD`.
    pub date: String,
    /// Begin, `HH:MM`.
    pub begin: String,
    /// End, `HH:MM`.
    pub end: String,
}

/// The consent accepted.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct AcceptedConsent {
    /// Id.
    pub id: String,
    /// Version.
    pub version: u32,
}

const MOST_PHOTOS: usize = 9;

fn text(field: &'static str, words: &str, most: usize) -> Result<(), ApiError> {
    if words.chars().count() > most {
        return Err(ApiError::field(field, format!("内容过长，最多{most}字")));
    }
    Ok(())
}

impl NewVisit {
    fn check(&self) -> Result<LocalDate, ApiError> {
        if self.key.is_empty() || self.key.len() > 64 {
            return Err(ApiError::field("key", "预约编号不正确"));
        }
        if !matches!(self.purpose.as_str(), "follow_up" | "renew_prescription") {
            return Err(ApiError::field("purpose", "请选择问诊目的"));
        }
        if self.statement.complaint.trim().is_empty() {
            return Err(ApiError::field("statement.complaint", "请描述病情"));
        }
        text("statement.complaint", &self.statement.complaint, 500)?;
        text("statement.duration", &self.statement.duration, 100)?;
        text("statement.history", &self.statement.history, 1000)?;
        text("statement.allergies", &self.statement.allergies, 500)?;
        text("statement.medications", &self.statement.medications, 1000)?;
        if self.photo_ids.len() > MOST_PHOTOS {
            return Err(ApiError::field("photo_ids", format!("最多上传{MOST_PHOTOS}张图片")));
        }
        LocalDate::parse(&self.slot.date).map_err(|_| ApiError::field("slot.date", "日期应为YYYY-MM-DD"))
    }
}

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
    if !scheduling::lies_ahead(slot.date, &slot.end, ctx.now()) {
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

/// Asks the HIS for the place and takes what it says.
async fn lock(ctx: &Ctx, tenant: &TenantId, visit: &Visit, his_patient_id: String) -> Result<(), CareError> {
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
    super::board::announce(ctx, tenant, &visit.id).await;
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
