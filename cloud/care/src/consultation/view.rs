//! A visit as the API shows it: masked for the patient's app and the administrator, in clear for its doctor.

use std::sync::Arc;

use async_trait::async_trait;
use base::Ctx;
use records::id::VisitId;
use records::{LocalDate, Timestamp};
use serde::Serialize;
use store::{StoreError, Tx};
use utoipa::ToSchema;

use super::effects::SUBJECT;
use super::policy::Moment;
use super::visit::{Rating, Statement};
use super::{ConsultationSettings, Visit, VisitState, lists};
use crate::CareError;
use crate::patients::{self, identity_card::age_text};

/// For whose eyes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Eyes {
    /// The patient's app.
    Patient,
    /// The doctor of the visit.
    Doctor,
    /// An administrator.
    Admin,
}

/// What other contexts add to a visit: its prescriptions, its video.
#[async_trait]
pub trait VisitExtras: Send + Sync {
    /// Prescriptions of the visit, as far as its patient or doctor may know of them.
    async fn prescriptions(
        &self,
        _: &mut Tx<'_>,
        _: &VisitId,
        _for_doctor: bool,
    ) -> Result<Vec<PrescriptionBrief>, StoreError> {
        Ok(Vec::new())
    }

    /// The medical record that the doctor has signed.
    async fn record(&self, _: &mut Tx<'_>, _: &VisitId) -> Result<Option<RecordBrief>, StoreError> {
        Ok(None)
    }

    /// State of the video call.
    async fn video(&self, _: &mut Tx<'_>, _: &VisitId) -> Result<Option<VideoBrief>, StoreError> {
        Ok(None)
    }
}

/// The registered extras; an extension of the router.
#[derive(Clone, Default)]
pub struct Extras(pub Vec<Arc<dyn VisitExtras>>);

/// A prescription in a visit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PrescriptionBrief {
    /// Id.
    pub id: String,
    /// State.
    pub state: String,
    /// State in words.
    pub state_text: String,
}

/// The newest signed version of the medical record of a visit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RecordBrief {
    /// Version.
    pub version: u32,
    /// When the doctor signed it.
    #[schema(value_type = String)]
    pub signed_at: Timestamp,
    /// Its sealed PDF can be fetched.
    pub has_pdf: bool,
    /// Code of its public verification page.
    pub verify_code: Option<String>,
}

/// The video call of a visit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct VideoBrief {
    /// State.
    pub state: String,
}

/// The patient in a visit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct VisitPatient {
    /// Id.
    pub id: String,
    /// Name with the middle hidden.
    pub name_masked: String,
    /// Name, for the doctor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Phone, for the doctor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// Identity card number with the middle hidden.
    pub id_number_masked: String,
    /// `M` or `F`.
    pub sex: String,
    /// Day of birth.
    #[schema(value_type = String)]
    pub birth_date: LocalDate,
    /// Age in words.
    pub age: String,
    /// Patient in the HIS, for the doctor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub his_patient_id: Option<String>,
}

/// The doctor in a visit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct VisitDoctor {
    /// Code in the HIS.
    pub code: String,
    /// Name.
    pub name: String,
    /// Title.
    pub title: String,
}

/// The slot of a visit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct VisitSlot {
    /// Shift.
    pub work_id: String,
    /// Day.
    #[schema(value_type = String)]
    pub date: LocalDate,
    /// `am`, `pm`, `night`, `day`.
    pub period: String,
    /// Begin.
    pub begin: String,
    /// End.
    pub end: String,
}

/// The payment of a visit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct VisitPayment {
    /// Number.
    pub id: String,
    /// State.
    pub state: String,
    /// State in words.
    pub state_text: String,
    /// Amount.
    pub amount_fen: i64,
    /// State of the refund, if there is one.
    pub refund_state: Option<String>,
}

/// The consent the patient accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct VisitConsent {
    /// Id.
    pub id: String,
    /// Version.
    pub version: u32,
    /// SM3 of the text.
    pub sm3: String,
}

/// A visit.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct VisitView {
    /// Id.
    pub id: String,
    /// State.
    pub state: String,
    /// State in words.
    pub state_text: String,
    /// As what it ended before the money went back: `declined`, `withdrawn`, `cancelled`, `stopped`, `refunding`.
    pub ended_as: Option<String>,
    /// Words for the patient on what happened.
    pub message: Option<String>,
    /// `follow_up` or `renew_prescription`.
    pub purpose: String,
    /// Patient.
    pub patient: VisitPatient,
    /// Department.
    pub department_code: String,
    /// Its name.
    pub department_name: String,
    /// Doctor.
    pub doctor: VisitDoctor,
    /// Slot.
    pub slot: VisitSlot,
    /// Fee.
    pub fee_fen: i64,
    /// The patient's words.
    pub statement: Statement,
    /// Photos, as files.
    pub photos: Vec<String>,
    /// Consent accepted.
    pub consent: VisitConsent,
    /// Until when it may be paid.
    #[schema(value_type = Option<String>)]
    pub lock_expires_at: Option<Timestamp>,
    /// From when the patient may check in, when that is not at once.
    #[schema(value_type = Option<String>)]
    pub check_in_from: Option<Timestamp>,
    /// Payment.
    pub payment: Option<VisitPayment>,
    /// The HIS's receipt number.
    pub receipt_number: Option<String>,
    /// The HIS's queue number.
    pub serial_number: Option<String>,
    /// Place among those who have checked in with this doctor, from 1.
    pub queue_position: Option<u64>,
    /// Video call.
    pub video: Option<VideoBrief>,
    /// Judgement.
    pub rating: Option<Rating>,
    /// Prescriptions.
    pub prescriptions: Vec<PrescriptionBrief>,
    /// The signed medical record.
    pub record: Option<RecordBrief>,
    /// What may be done now.
    pub allowed: Vec<String>,
    /// What the HIS knew of the last visit, for the doctor.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub last_visit: Option<serde_json::Value>,
    /// Booked.
    #[schema(value_type = String)]
    pub created_at: Timestamp,
    /// 报到.
    #[schema(value_type = Option<String>)]
    pub checked_in_at: Option<Timestamp>,
    /// 接诊.
    #[schema(value_type = Option<String>)]
    pub accepted_at: Option<Timestamp>,
    /// 结束.
    #[schema(value_type = Option<String>)]
    pub finished_at: Option<Timestamp>,
}

async fn payment_of(tx: &mut Tx<'_>, visit: &Visit) -> Result<Option<VisitPayment>, StoreError> {
    let Some(payment) = money::payments_of(tx, SUBJECT, visit.id.as_str())
        .await?
        .into_iter()
        .next()
    else {
        return Ok(None);
    };
    let refund = money::refund_of(tx, &payment.id).await?;
    Ok(Some(VisitPayment {
        id: payment.id.as_str().to_owned(),
        state: payment.state.as_str().to_owned(),
        state_text: payment.state.text().to_owned(),
        amount_fen: payment.amount_fen.0,
        refund_state: refund.map(|r| r.state.as_str().to_owned()),
    }))
}

async fn patient_of(tx: &mut Tx<'_>, ctx: &Ctx, visit: &Visit, eyes: Eyes) -> Result<VisitPatient, CareError> {
    let tenant = tx.tenant().clone();
    let row = patients::store::get(tx, &visit.patient_id).await?;
    let clear = match eyes {
        Eyes::Doctor => Some(patients::identity(&row, &ctx.vault, &tenant)?),
        Eyes::Patient | Eyes::Admin => None,
    };
    let (name, phone, his_patient_id) = clear.map_or((None, None, None), |p| {
        (Some(p.name), Some(p.phone), Some(p.his_patient_id))
    });
    Ok(VisitPatient {
        id: row.id.as_str().to_owned(),
        age: age_text(row.birth_date, tx.now().local_date()),
        name_masked: row.name_masked,
        id_number_masked: row.id_number_masked,
        sex: row.sex,
        birth_date: row.birth_date,
        name,
        phone,
        his_patient_id,
    })
}

/// The view of a visit for these eyes.
pub(crate) async fn view(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    extras: &Extras,
    rules: &ConsultationSettings,
    visit: &Visit,
    eyes: Eyes,
) -> Result<VisitView, CareError> {
    let tenant = tx.tenant().clone();
    let patient = patient_of(tx, ctx, visit, eyes).await?;
    let payment = payment_of(tx, visit).await?;
    let queue_position = match visit.state {
        VisitState::CheckedIn => Some(lists::ahead_of(tx, visit).await? + 1),
        _ => None,
    };
    let (mut prescriptions, mut video, mut record) = (Vec::new(), None, None);
    for extra in &extras.0 {
        prescriptions.extend(extra.prescriptions(tx, &visit.id, eyes == Eyes::Doctor).await?);
        video = extra.video(tx, &visit.id).await?.or(video);
        // A clinical text is not the administrator's business.
        if eyes != Eyes::Admin {
            record = extra.record(tx, &visit.id).await?.or(record);
        }
    }
    let check_in_from = rules.check_in_from(visit.slot_date, &visit.slot_begin);
    let progress = visit.progress();
    let moment = Moment {
        progress: &progress,
        pay_until: visit.pay_until,
        check_in_from,
        rated: visit.rating.is_some(),
        now: tx.now(),
    };
    let allowed = match eyes {
        Eyes::Patient => moment.patient_may(),
        Eyes::Doctor => moment.doctor_may(),
        Eyes::Admin => Vec::new(),
    };
    // A clinical text is not the administrator's business.
    let statement = match eyes {
        Eyes::Admin => Statement::default(),
        Eyes::Patient | Eyes::Doctor => visit.statement(&ctx.vault, &tenant)?,
    };
    Ok(VisitView {
        id: visit.id.as_str().to_owned(),
        state: visit.state.as_str().to_owned(),
        state_text: visit.state.text().to_owned(),
        ended_as: visit.ended_as.map(|s| s.as_str().to_owned()),
        message: visit.message.clone(),
        purpose: visit.purpose.clone(),
        patient,
        department_code: visit.department_code.clone(),
        department_name: visit.department_name.clone(),
        doctor: VisitDoctor {
            code: visit.doctor_code.clone(),
            name: visit.doctor_name.clone(),
            title: visit.doctor_title.clone(),
        },
        slot: VisitSlot {
            work_id: visit.work_id.clone(),
            date: visit.slot_date,
            period: visit.slot_period.clone(),
            begin: visit.slot_begin.clone(),
            end: visit.slot_end.clone(),
        },
        fee_fen: visit.fee_fen.0,
        statement,
        photos: if eyes == Eyes::Admin {
            Vec::new()
        } else {
            visit.photos()
        },
        consent: VisitConsent {
            id: visit.consent_id.clone(),
            version: visit.consent_version,
            sm3: visit.consent_sm3.clone(),
        },
        lock_expires_at: visit.pay_until.filter(|_| visit.state == VisitState::AwaitingPayment),
        check_in_from: check_in_from.filter(|_| visit.state == VisitState::Waiting),
        payment,
        receipt_number: visit.receipt_number.clone(),
        serial_number: visit.serial_number.clone(),
        queue_position,
        video,
        rating: visit.rating(),
        prescriptions,
        record,
        allowed: allowed.into_iter().map(str::to_owned).collect(),
        last_visit: (eyes == Eyes::Doctor).then(|| visit.eligibility.clone()),
        created_at: visit.created_at,
        checked_in_at: visit.checked_in_at,
        accepted_at: visit.accepted_at,
        finished_at: visit.finished_at,
    })
}
