//! The doctor's side of a visit (接诊中心).

use axum::extract::State;
use base::permission::Treats;
use base::{ApiError, Ctx, Json, Page, Paged, Path, Query, Staff};
use records::id::VisitId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::effects::{hand, perform};
use super::super::lists::{self, Group};
use super::super::view::{Eyes, VisitView};
use super::super::{Hand, Moved, Progress, board, store as sql};
use super::{MaybeExtras, extras, read, views, visit_id};
use crate::CareError;
use crate::messages::post_system;

/// Names are sealed, so a search by name reads this many of the group at most.
const SEARCHED: u32 = 2000;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// `waiting`, `checked_in`, `in_progress` or `finished`.
    #[param(inline)]
    group: Group,
    /// Part of the patient's name, or the visit's id.
    q: Option<String>,
    /// From 1.
    page: Option<u32>,
    /// Up to 100.
    size: Option<u32>,
}

/// One group of the doctor's visits.
#[utoipa::path(get, path = "/doctor/visits", tag = "doctor", params(Wanted), responses((status = 200, body = Paged<VisitView>)))]
async fn list(
    State(ctx): State<Ctx>,
    given: MaybeExtras,
    staff: Staff<Treats>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Paged<VisitView>>, ApiError> {
    let page = Page {
        page: wanted.page.unwrap_or(1),
        size: wanted.size.unwrap_or(20),
    };
    let q = wanted.q.unwrap_or_default().trim().to_owned();
    let (deps, extras, doctor, group) = (ctx.clone(), extras(given), staff.his_code.clone(), wanted.group);
    let (items, total) = ctx
        .store
        .read(&staff.scope(), move |tx| {
            let (deps, extras, doctor, q) = (deps.clone(), extras.clone(), doctor.clone(), q.clone());
            Box::pin(async move {
                if q.is_empty() {
                    let (rows, total) = lists::of_doctor(tx, &doctor, group, page.limit(), page.offset()).await?;
                    return Ok((views(tx, &deps, &extras, &rows, Eyes::Doctor).await?, total));
                }
                let (rows, _) = lists::of_doctor(tx, &doctor, group, SEARCHED, 0).await?;
                let mut found = Vec::new();
                let tenant = tx.tenant().clone();
                for row in rows {
                    let patient = crate::patients::store::get(tx, &row.patient_id).await?;
                    let name = crate::patients::identity(&patient, &deps.vault, &tenant)?.name;
                    if name.contains(&q) || row.id.as_str() == q {
                        found.push(row);
                    }
                }
                let total = u64::try_from(found.len()).unwrap_or(u64::MAX);
                let skip = usize::try_from(page.offset()).unwrap_or(usize::MAX);
                let take = usize::try_from(page.limit()).unwrap_or(20);
                let shown: Vec<_> = found.into_iter().skip(skip).take(take).collect();
                Ok::<_, CareError>((views(tx, &deps, &extras, &shown, Eyes::Doctor).await?, total))
            })
        })
        .await?;
    Ok(Json(page.of(items, total)))
}

/// How many visits each group has.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Counts {
    /// 待报到.
    waiting: u64,
    /// 待接诊.
    checked_in: u64,
    /// 问诊中.
    in_progress: u64,
    /// 已结束.
    finished: u64,
}

/// How many visits each group has.
#[utoipa::path(get, path = "/doctor/visits/counts", tag = "doctor", responses((status = 200, body = Counts)))]
async fn counts(State(ctx): State<Ctx>, staff: Staff<Treats>) -> Result<Json<Counts>, ApiError> {
    let doctor = staff.his_code.clone();
    let counts = ctx
        .store
        .read(&staff.scope(), move |tx| {
            let doctor = doctor.clone();
            Box::pin(async move {
                Ok::<_, CareError>(Counts {
                    waiting: lists::of_doctor(tx, &doctor, Group::Waiting, 0, 0).await?.1,
                    checked_in: lists::of_doctor(tx, &doctor, Group::CheckedIn, 0, 0).await?.1,
                    in_progress: lists::of_doctor(tx, &doctor, Group::InProgress, 0, 0).await?.1,
                    finished: lists::of_doctor(tx, &doctor, Group::Finished, 0, 0).await?.1,
                })
            })
        })
        .await?;
    Ok(Json(counts))
}

async fn own(ctx: &Ctx, staff: &Staff<Treats>, given: MaybeExtras, id: &VisitId) -> Result<VisitView, ApiError> {
    let doctor = staff.his_code.clone();
    read(ctx, &staff.scope(), &extras(given), id, Eyes::Doctor, move |v| {
        v.doctor_code == doctor
    })
    .await
}

/// A visit of the doctor's, in clear.
#[utoipa::path(get, path = "/doctor/visits/{id}", tag = "doctor", params(("id" = String, Path)), responses((status = 200, body = VisitView)))]
async fn show(
    State(ctx): State<Ctx>,
    given: MaybeExtras,
    staff: Staff<Treats>,
    Path(id): Path<String>,
) -> Result<Json<VisitView>, ApiError> {
    Ok(Json(own(&ctx, &staff, given, &visit_id(&id)?).await?))
}

/// Makes one transition of the doctor's own visit, with words of the system into the room.
async fn transition(
    ctx: &Ctx,
    staff: &Staff<Treats>,
    id: &VisitId,
    said: &str,
    step: impl Fn(Progress, &Hand) -> Moved + Clone + Send + Sync + 'static,
) -> Result<(), ApiError> {
    let (wanted, deps, doctor, said) = (id.clone(), ctx.clone(), staff.his_code.clone(), said.to_owned());
    ctx.store
        .write(&staff.scope(), move |tx| {
            let (id, deps, doctor, said) = (wanted.clone(), deps.clone(), doctor.clone(), said.clone());
            let step = step.clone();
            Box::pin(async move {
                let mut visit = sql::get(tx, &id).await?;
                if visit.doctor_code != doctor {
                    return Err(CareError::Absent);
                }
                let moved = step(visit.progress(), &hand(tx))?;
                perform(tx, &deps, &mut visit, moved).await?;
                post_system(tx, &deps.vault, &id, &said).await?;
                Ok::<_, CareError>(())
            })
        })
        .await?;
    board::announce(ctx, &staff.tenant, id).await;
    Ok(())
}

#[derive(Clone, Debug, Deserialize, ToSchema)]
struct Reason {
    /// Why, in words for the patient.
    reason: String,
}

impl Reason {
    fn words(&self) -> Result<String, ApiError> {
        let words = self.reason.trim();
        if words.is_empty() {
            return Err(ApiError::field("reason", "请填写原因"));
        }
        if words.chars().count() > 200 {
            return Err(ApiError::field("reason", "原因最多200字"));
        }
        Ok(words.to_owned())
    }
}

/// 接诊.
#[utoipa::path(post, path = "/doctor/visits/{id}/accept", tag = "doctor", params(("id" = String, Path)),
    responses((status = 200, body = VisitView), (status = 409, body = base::error::ErrorBody)))]
async fn accept(
    State(ctx): State<Ctx>,
    given: MaybeExtras,
    staff: Staff<Treats>,
    Path(id): Path<String>,
) -> Result<Json<VisitView>, ApiError> {
    let id = visit_id(&id)?;
    let said = format!("{}医生已接诊", staff.name);
    transition(&ctx, &staff, &id, &said, |p, hand| p.accept(hand)).await?;
    Ok(Json(own(&ctx, &staff, given, &id).await?))
}

/// 拒绝接诊: the fee is refunded.
#[utoipa::path(post, path = "/doctor/visits/{id}/decline", tag = "doctor", params(("id" = String, Path)), request_body = Reason,
    responses((status = 200, body = VisitView), (status = 409, body = base::error::ErrorBody)))]
async fn decline(
    State(ctx): State<Ctx>,
    given: MaybeExtras,
    staff: Staff<Treats>,
    Path(id): Path<String>,
    Json(reason): Json<Reason>,
) -> Result<Json<VisitView>, ApiError> {
    let (id, words) = (visit_id(&id)?, reason.words()?);
    let said = format!("医生未接诊：{words}。费用将原路退回");
    let told = said.clone();
    transition(&ctx, &staff, &id, &said, move |p, hand| p.decline(&told, hand)).await?;
    Ok(Json(own(&ctx, &staff, given, &id).await?))
}

/// 取消接诊 of a visit begun: the fee is refunded.
#[utoipa::path(post, path = "/doctor/visits/{id}/withdraw", tag = "doctor", params(("id" = String, Path)), request_body = Reason,
    responses((status = 200, body = VisitView), (status = 409, body = base::error::ErrorBody)))]
async fn withdraw(
    State(ctx): State<Ctx>,
    given: MaybeExtras,
    staff: Staff<Treats>,
    Path(id): Path<String>,
    Json(reason): Json<Reason>,
) -> Result<Json<VisitView>, ApiError> {
    let (id, words) = (visit_id(&id)?, reason.words()?);
    let said = format!("医生取消接诊：{words}。费用将原路退回");
    let told = said.clone();
    transition(&ctx, &staff, &id, &said, move |p, hand| p.withdraw(&told, hand)).await?;
    Ok(Json(own(&ctx, &staff, given, &id).await?))
}

pub(super) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(counts))
        .routes(routes!(show))
        .routes(routes!(accept))
        .routes(routes!(decline))
        .routes(routes!(withdraw))
}
