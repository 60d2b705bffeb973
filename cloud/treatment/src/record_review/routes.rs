//! The reviewers' side over HTTP, and what the doctor hears of it.

use axum::extract::State;
use base::permission::{ReviewsRecords, Treats};
use base::{ApiError, Audience, Ctx, Event, Json, Page, Paged, Path, Query, Staff};
use records::TenantId;
use records::id::{StaffId, VisitId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::Tx;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::store::{self as table, Row};
use super::view::{RecordReviewBrief, RecordReviewCase, RecordReviewRow, brief, case, listed, signed};
use super::{Command, Refusal, State as Stands};
use crate::visit;

/// Longest words of a reviewer.
const LONGEST: usize = 500;

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::conflict("record_review_state", refusal.to_string())
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// State; the queue is `in_review`.
    state: Option<String>,
    /// From 1.
    page: Option<u32>,
    /// Up to 100.
    size: Option<u32>,
}

/// Signed records of the hospital by state of their review, longest waiting first.
#[utoipa::path(get, path = "/record-reviews", tag = "record_review", params(Wanted),
    responses((status = 200, body = Paged<RecordReviewRow>)))]
async fn list(
    State(ctx): State<Ctx>,
    staff: Staff<ReviewsRecords>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Paged<RecordReviewRow>>, ApiError> {
    let word = wanted.state.as_deref().filter(|s| !s.is_empty()).unwrap_or("in_review");
    let state = Stands::parse(word).ok_or_else(|| ApiError::field("state", "没有这种审核状态"))?;
    let page = Page {
        page: wanted.page.unwrap_or(1),
        size: wanted.size.unwrap_or(20),
    };
    let (own, asks) = (ctx.clone(), staff.id.clone());
    let (items, total) = ctx
        .store
        .read(&staff.scope(), move |tx| {
            let (ctx, asks) = (own.clone(), asks.clone());
            Box::pin(async move {
                let tenant = tx.tenant().clone();
                let (rows, total) = table::in_state(tx, state, page).await?;
                let mut items = Vec::with_capacity(rows.len());
                for row in rows {
                    let (document, _) = signed(tx, &ctx, &row).await?;
                    items.push(listed(&ctx, &tenant, &row, &document, &asks)?);
                }
                Ok::<_, ApiError>((items, total))
            })
        })
        .await?;
    Ok(Json(page.of(items, total)))
}

async fn found(tx: &mut Tx<'_>, visit: &VisitId, version: u32) -> Result<Row, ApiError> {
    table::find(tx, visit, version).await?.ok_or_else(ApiError::not_found)
}

/// A signed version with everything needed to judge it. The look is written into the audit chain.
#[utoipa::path(get, path = "/record-reviews/{visit}/{version}", tag = "record_review",
    params(("visit" = String, Path), ("version" = u32, Path)), responses((status = 200, body = RecordReviewCase)))]
async fn show(
    State(ctx): State<Ctx>,
    staff: Staff<ReviewsRecords>,
    Path((visit, version)): Path<(String, u32)>,
) -> Result<Json<RecordReviewCase>, ApiError> {
    let visit = VisitId::parse(&visit).ok_or_else(ApiError::not_found)?;
    let (own, asks) = (ctx.clone(), staff.id.clone());
    let view = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (ctx, asks, visit) = (own.clone(), asks.clone(), visit.clone());
            Box::pin(async move {
                let row = found(tx, &visit, version).await?;
                let detail = json!({ "version": version });
                base::audit::record(tx, "record.review.read", visit.as_str(), detail).await?;
                case(tx, &ctx, &row, &asks).await
            })
        })
        .await?;
    Ok(Json(view))
}

/// Why a record goes back.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct ReturnBody {
    /// In words for the doctor.
    pub(crate) reason: String,
}

/// Approves a signed version.
#[utoipa::path(post, path = "/record-reviews/{visit}/{version}/approve", tag = "record_review",
    params(("visit" = String, Path), ("version" = u32, Path)),
    responses((status = 200, body = RecordReviewCase), (status = 409, body = base::error::ErrorBody)))]
async fn approve(
    State(ctx): State<Ctx>,
    staff: Staff<ReviewsRecords>,
    Path((visit, version)): Path<(String, u32)>,
) -> Result<Json<RecordReviewCase>, ApiError> {
    decide(&ctx, &staff, &visit, version, None).await
}

/// Sends a signed version back to its doctor, who writes and signs a new one.
#[utoipa::path(post, path = "/record-reviews/{visit}/{version}/return", tag = "record_review",
    params(("visit" = String, Path), ("version" = u32, Path)), request_body = ReturnBody,
    responses((status = 200, body = RecordReviewCase), (status = 409, body = base::error::ErrorBody),
        (status = 422, body = base::error::ErrorBody)))]
async fn send_back(
    State(ctx): State<Ctx>,
    staff: Staff<ReviewsRecords>,
    Path((visit, version)): Path<(String, u32)>,
    Json(body): Json<ReturnBody>,
) -> Result<Json<RecordReviewCase>, ApiError> {
    let reason = body.reason.trim().to_owned();
    if reason.is_empty() {
        return Err(ApiError::field("reason", "请写明退回原因"));
    }
    if reason.chars().count() > LONGEST {
        return Err(ApiError::field("reason", format!("退回原因不超过{LONGEST}字")));
    }
    decide(&ctx, &staff, &visit, version, Some(reason)).await
}

/// Decides; with a reason it goes back.
async fn decide(
    ctx: &Ctx,
    staff: &Staff<ReviewsRecords>,
    visit: &str,
    version: u32,
    reason: Option<String>,
) -> Result<Json<RecordReviewCase>, ApiError> {
    let visit = VisitId::parse(visit).ok_or_else(ApiError::not_found)?;
    let (own, member, id) = (ctx.clone(), staff.member.clone(), visit.clone());
    let (view, author) = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (ctx, member) = (own.clone(), member.clone());
            let (visit, reason) = (id.clone(), reason.clone());
            Box::pin(async move {
                let by = tx.actor().clone();
                let row = found(tx, &visit, version).await?;
                let (review, command) = match &reason {
                    None => (row.review().approve(&by)?, Command::Approve),
                    Some(reason) => (row.review().send_back(&by, reason)?, Command::SendBack),
                };
                // What is approved must be what the doctor signed: checked here, not believed.
                if command == Command::Approve && !signed(tx, &ctx, &row).await?.1.valid {
                    return Err(ApiError::conflict(
                        "signature_invalid",
                        "医师签名未通过验证，不能审核通过",
                    ));
                }
                let decision = (&member, reason.as_deref());
                table::decide(tx, &ctx.vault, &row, command, review.state, decision).await?;
                let now = found(tx, &visit, version).await?;
                Ok::<_, ApiError>((case(tx, &ctx, &now, &member.id).await?, row.doctor_id))
            })
        })
        .await?;
    announce(ctx, &staff.tenant, &visit, author);
    Ok(Json(view))
}

/// Tells the doctor and the reviewers that the review of a visit's record changed; after the commit.
pub(crate) fn announce(ctx: &Ctx, tenant: &TenantId, visit: &VisitId, author: StaffId) {
    for audience in [Audience::Staff(author), Audience::RecordReviewers] {
        ctx.events
            .publish(tenant, audience, Event::new("record.reviewed", visit));
    }
}

/// A record that came back to its doctor.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ReturnedRecord {
    /// Visit.
    pub(crate) visit_id: String,
    /// Patient.
    pub(crate) patient_name: String,
    /// How it stands.
    #[serde(flatten)]
    pub(crate) review: RecordReviewBrief,
}

/// The doctor's records that were sent back and have no newer signed version, longest waiting first.
#[utoipa::path(get, path = "/doctor/records/returned", tag = "record_review",
    responses((status = 200, body = Vec<ReturnedRecord>)))]
async fn returned(State(ctx): State<Ctx>, staff: Staff<Treats>) -> Result<Json<Vec<ReturnedRecord>>, ApiError> {
    let (own, asks) = (ctx.clone(), staff.id.clone());
    let views = ctx
        .store
        .read(&staff.scope(), move |tx| {
            let (ctx, asks) = (own.clone(), asks.clone());
            Box::pin(async move {
                let tenant = tx.tenant().clone();
                let mut views = Vec::new();
                for row in table::returned_to(tx, &asks).await? {
                    let parties = visit::of(tx, &ctx.vault, &row.visit_id).await?;
                    views.push(ReturnedRecord {
                        visit_id: row.visit_id.to_string(),
                        patient_name: parties.patient.name,
                        review: brief(&ctx, &tenant, &row)?,
                    });
                }
                Ok::<_, ApiError>(views)
            })
        })
        .await?;
    Ok(Json(views))
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(approve))
        .routes(routes!(send_back))
        .routes(routes!(returned))
}
