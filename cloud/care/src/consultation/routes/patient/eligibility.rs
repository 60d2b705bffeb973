//! Whether a patient may be seen online (复诊校验), asked of the hospital; each look is written down.

use axum::extract::State;
use base::{ApiError, Ctx, Json, Patient};
use records::LocalDate;
use records::his::PastVisit;
use records::id::PatientId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::consultation::{ConsultationSettings, booking};
use crate::{CareError, patients};

#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(super) struct EligibilityQuestion {
    /// Patient.
    patient_id: String,
    /// Department.
    department_code: String,
}

/// The visit an answer rests on: what the rule needs and no more. Whoever knows a person's name and number can enter
/// them as their patient; diagnoses and doctors stay between the hospital and the doctor of the visit (个人信息保护法 第二十八条).
#[derive(Clone, Debug, Serialize, ToSchema)]
struct LastVisit {
    /// Day.
    #[schema(value_type = String)]
    date: LocalDate,
    /// Department.
    department_name: String,
}

/// Whether the patient may be seen online.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Eligibility {
    /// Whether.
    eligible: bool,
    /// Why not, in plain words.
    reason: String,
    /// The hospital's period.
    within_days: u32,
    /// The visit it rests on.
    last_visit: Option<LastVisit>,
}

/// Asks the hospital whether the patient may be seen online in a department (复诊校验).
#[utoipa::path(post, path = "/visits/eligibility", tag = "visits", request_body = EligibilityQuestion,
    responses((status = 200, body = Eligibility), (status = 503, body = base::error::ErrorBody)))]
pub(super) async fn eligibility(
    State(ctx): State<Ctx>,
    patient: Patient,
    Json(question): Json<EligibilityQuestion>,
) -> Result<Json<Eligibility>, ApiError> {
    let id = PatientId::parse(&question.patient_id).ok_or_else(ApiError::not_found)?;
    let account = patient.account.clone();
    let (row, rules) = ctx
        .store
        .read(&patient.scope(), move |tx| {
            let (id, account) = (id.clone(), account.clone());
            Box::pin(async move {
                let row = patients::store::own(tx, &account, &id).await?;
                Ok::<_, CareError>((row, base::settings::get::<ConsultationSettings>(tx).await?))
            })
        })
        .await?;
    let binding = row.binding();
    let his = binding
        .his_patient_id()
        .ok_or_else(|| ApiError::conflict("patient_unbound", "该就诊人尚未关联院内档案，请先在就诊人页面重试"))?;
    let answer = booking::follow_up(&ctx, &patient.tenant, his, &question.department_code, &rules).await;
    let answer = ApiError::of(answer)?;
    write_look(&ctx, &patient, &row.id, &question.department_code, answer.eligible).await?;
    let reason = match (answer.eligible, answer.reason.is_empty()) {
        (false, true) => format!(
            "近{}天内未在该科室就诊，不能线上复诊，请到医院就诊",
            rules.follow_up_days
        ),
        _ => answer.reason,
    };
    // A visit to another department is not what was asked about.
    let asked_about = |v: &PastVisit| v.department_code == question.department_code;
    Ok(Json(Eligibility {
        eligible: answer.eligible,
        reason,
        within_days: rules.follow_up_days,
        last_visit: answer.last_visit.filter(asked_about).map(|v| LastVisit {
            date: v.date,
            department_name: v.department_name,
        }),
    }))
}

/// Every look into the hospital's files is written down, before it is answered.
async fn write_look(
    ctx: &Ctx,
    patient: &Patient,
    id: &PatientId,
    department: &str,
    eligible: bool,
) -> Result<(), ApiError> {
    let (id, department) = (id.clone(), department.to_owned());
    ctx.store
        .write(&patient.scope(), move |tx| {
            let (id, department) = (id.clone(), department.clone());
            Box::pin(async move {
                let detail = serde_json::json!({ "department": department, "eligible": eligible });
                base::audit::record(tx, "patient.eligibility", id.as_str(), detail).await?;
                Ok::<_, CareError>(())
            })
        })
        .await?;
    Ok(())
}
