//! The patient's history in the hospital, for the doctor of the visit: live from the HIS, never stored here.

mod picture;
#[cfg(test)]
mod tests;

use axum::extract::State;
use base::permission::Treats;
use base::{ApiError, Ctx, Json, Path, Query, Staff, audit};
use records::his::{
    ExamReport, ExamReports, HistoryQuestion, LabReport, LabReports, Operation, PastPrescription, PastPrescriptions,
    PastVisit, VisitList,
};
use records::id::VisitId;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::consultation::for_doctor;
use crate::{CareError, hospital};

/// Years that are looked back at most.
const LONGEST: u32 = 20;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Range {
    /// Years to look back, 1 to 20.
    years: Option<u32>,
}

/// The patient of a visit in the HIS, for its doctor; the look is written into the audit chain.
async fn patient_of(ctx: &Ctx, staff: &Staff<Treats>, id: &str, looks_at: &'static str) -> Result<String, ApiError> {
    let id = VisitId::parse(id).ok_or_else(ApiError::not_found)?;
    let (deps, doctor) = (ctx.clone(), staff.his_code.clone());
    let parties = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (id, deps, doctor) = (id.clone(), deps.clone(), doctor.clone());
            Box::pin(async move {
                let parties = for_doctor(tx, &deps.vault, &id, &doctor)
                    .await?
                    .ok_or(CareError::Absent)?;
                audit::record(tx, "history.read", id.as_str(), json!({ "kind": looks_at })).await?;
                Ok::<_, CareError>(parties)
            })
        })
        .await?;
    Ok(parties.patient.his_patient_id)
}

fn of_years(ctx: &Ctx, his_patient_id: String, years: u32) -> HistoryQuestion {
    let today = ctx.now().local_date();
    HistoryQuestion {
        his_patient_id,
        from: today.plus_days(-366 * i64::from(years)),
        to: today,
    }
}

/// Asks the HIS for one kind of history of the visit's patient.
async fn ask<O>(ctx: &Ctx, staff: &Staff<Treats>, id: &str, range: &Range) -> Result<Json<O::Response>, ApiError>
where
    O: Operation<Request = HistoryQuestion>,
{
    let patient = patient_of(ctx, staff, id, O::METHOD).await?;
    let question = of_years(ctx, patient, range.years.unwrap_or(3).clamp(1, LONGEST));
    let answer = ApiError::of(hospital::ask::<O>(ctx, &staff.tenant, &question).await)?;
    Ok(Json(answer))
}

/// Past visits.
#[utoipa::path(get, path = "/doctor/visits/{id}/history/visits", tag = "history", params(("id" = String, Path), Range),
    responses((status = 200, body = Vec<serde_json::Value>), (status = 503, body = base::error::ErrorBody)))]
async fn visits(
    State(ctx): State<Ctx>,
    staff: Staff<Treats>,
    Path(id): Path<String>,
    Query(range): Query<Range>,
) -> Result<Json<Vec<PastVisit>>, ApiError> {
    ask::<VisitList>(&ctx, &staff, &id, &range).await
}

/// Past prescriptions.
#[utoipa::path(get, path = "/doctor/visits/{id}/history/prescriptions", tag = "history", params(("id" = String, Path), Range),
    responses((status = 200, body = Vec<serde_json::Value>), (status = 503, body = base::error::ErrorBody)))]
async fn prescriptions(
    State(ctx): State<Ctx>,
    staff: Staff<Treats>,
    Path(id): Path<String>,
    Query(range): Query<Range>,
) -> Result<Json<Vec<PastPrescription>>, ApiError> {
    ask::<PastPrescriptions>(&ctx, &staff, &id, &range).await
}

/// Laboratory reports.
#[utoipa::path(get, path = "/doctor/visits/{id}/history/labs", tag = "history", params(("id" = String, Path), Range),
    responses((status = 200, body = Vec<serde_json::Value>), (status = 503, body = base::error::ErrorBody)))]
async fn labs(
    State(ctx): State<Ctx>,
    staff: Staff<Treats>,
    Path(id): Path<String>,
    Query(range): Query<Range>,
) -> Result<Json<Vec<LabReport>>, ApiError> {
    ask::<LabReports>(&ctx, &staff, &id, &range).await
}

/// An examination report as the doctor reads it.
#[derive(Debug, Serialize)]
struct ExamView {
    #[serde(flatten)]
    report: ExamReport,
    /// There is a picture: `history/exams/{report_number}/picture`.
    has_picture: bool,
}

/// Examination reports.
#[utoipa::path(get, path = "/doctor/visits/{id}/history/exams", tag = "history", params(("id" = String, Path), Range),
    responses((status = 200, body = Vec<serde_json::Value>), (status = 503, body = base::error::ErrorBody)))]
async fn exams(
    State(ctx): State<Ctx>,
    staff: Staff<Treats>,
    Path(id): Path<String>,
    Query(range): Query<Range>,
) -> Result<Json<Vec<ExamView>>, ApiError> {
    let Json(reports) = ask::<ExamReports>(&ctx, &staff, &id, &range).await?;
    let shown = |mut report: ExamReport| {
        // Where it lies in the hospital's network is nobody's business outside.
        let has_picture = !std::mem::take(&mut report.image).is_empty();
        ExamView { report, has_picture }
    };
    Ok(Json(reports.into_iter().map(shown).collect()))
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(visits))
        .routes(routes!(prescriptions))
        .routes(routes!(labs))
        .routes(routes!(exams))
        .routes(routes!(picture::show))
}
