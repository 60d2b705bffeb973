//! The picture of an examination (检查影像), fetched from the hospital for this look and not kept.

use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use base::hospital::call;
use base::permission::Treats;
use base::{ApiError, Ctx, Path, Staff};
use records::his::{ExamReports, Operation, ReportQuestion};
use records::picture::ExamPicture;

use super::{LONGEST, of_years, patient_of};
use crate::hospital;

/// A picture of megabytes goes over the hospital's line first.
const PATIENCE: Duration = Duration::from_secs(15);

/// How often it is asked for when what came was taken by another look at the same moment.
const TRIES: usize = 2;

/// The picture of one examination of the visit's patient.
#[utoipa::path(get, path = "/doctor/visits/{id}/history/exams/{number}/picture", tag = "history",
    params(("id" = String, Path), ("number" = String, Path)),
    responses((status = 200, content_type = "image/png", body = Vec<u8>),
        (status = 404, body = base::error::ErrorBody), (status = 503, body = base::error::ErrorBody)))]
pub(super) async fn show(
    State(ctx): State<Ctx>,
    staff: Staff<Treats>,
    Path((id, number)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let patient = patient_of(&ctx, &staff, &id, ExamPicture::METHOD).await?;
    // The number names any report of the hospital: it must be one of this patient.
    let question = of_years(&ctx, patient, LONGEST);
    let reports = ApiError::of(hospital::ask::<ExamReports>(&ctx, &staff.tenant, &question).await)?;
    let report = reports
        .into_iter()
        .find(|r| r.report_number == number && !r.image.is_empty());
    let report = report.ok_or_else(ApiError::not_found)?;
    let question = ReportQuestion {
        report_number: report.report_number,
    };
    for _ in 0..TRIES {
        let answer = call::<ExamPicture>(&*ctx.hospital, &staff.tenant, &question, None, PATIENCE).await;
        let picture = ApiError::of(answer)?;
        let Some(bytes) = ctx.hospital.take_file(&picture.digest).await else {
            continue;
        };
        // The appliance says what it is; a browser is only given what we see it is.
        let kind = base::blobs::sniff(&bytes).filter(|k| k.mime.starts_with("image/"));
        let kind = kind.ok_or_else(|| ApiError::conflict("unknown_picture", "该影像不是可以查看的图片格式"))?;
        return Ok(([(header::CONTENT_TYPE, kind.mime)], bytes).into_response());
    }
    Err(ApiError::hospital_offline())
}
