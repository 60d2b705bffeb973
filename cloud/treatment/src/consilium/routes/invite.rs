//! The doctor of a visit invites an expert; lists of both sides.

use axum::extract::State;
use base::permission::Treats;
use base::{ApiError, Ctx, Json, Page, Paged, Path, Query, Role, Staff, identity};
use care::consultation::VisitState;
use records::id::{StaffId, VisitId};
use serde::{Deserialize, Serialize};
use store::Tx;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{announce, number, words};
use crate::consilium::store::{self as table, Invitation, Row};
use crate::consilium::view::{self, ConsiliumDoctor};
use crate::consilium::{ANSWER_WITHIN, ConsiliumId, ConsiliumView, LONGEST_QUESTION, LONGEST_SUMMARY, State as Stands};
use crate::signed::{self, Document as _, own};
use crate::visit;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Part of a name or department.
    q: Option<String>,
}

/// Doctors of the hospital who can be asked.
#[utoipa::path(get, path = "/doctor/experts", tag = "consilium", params(Wanted),
    responses((status = 200, body = Vec<ConsiliumDoctor>)))]
async fn experts(
    State(ctx): State<Ctx>,
    staff: Staff<Treats>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Vec<ConsiliumDoctor>>, ApiError> {
    let q = wanted.q.unwrap_or_default().trim().to_owned();
    let own = staff.id.clone();
    let doctors = ctx
        .store
        .read(&staff.scope(), |tx| {
            Box::pin(async move { Ok::<_, ApiError>(identity::staff::with_role(tx, Role::Doctor).await?) })
        })
        .await?;
    let fits = |d: &ConsiliumDoctor| d.name.contains(&q) || d.department_name.contains(&q);
    let others = doctors.iter().filter(|m| m.id != own).map(ConsiliumDoctor::from);
    Ok(Json(others.filter(fits).collect()))
}

/// An invitation.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct ConsiliumWish {
    /// The app's own name of the request; a repeat adds nothing.
    pub(crate) key: String,
    /// The doctor who is asked.
    pub(crate) expert_id: String,
    /// What is asked (会诊目的).
    pub(crate) question: String,
    /// The case in short (病情摘要).
    pub(crate) summary: String,
}

/// Invites an expert to a visit of the doctor's, during it or after it.
#[utoipa::path(post, path = "/doctor/visits/{id}/consilia", tag = "consilium", params(("id" = String, Path)),
    request_body = ConsiliumWish, responses((status = 200, body = ConsiliumView),
        (status = 409, body = base::error::ErrorBody), (status = 422, body = base::error::ErrorBody)))]
async fn invite(
    State(ctx): State<Ctx>,
    staff: Staff<Treats>,
    Path(id): Path<String>,
    Json(wish): Json<ConsiliumWish>,
) -> Result<Json<ConsiliumView>, ApiError> {
    let visit = VisitId::parse(&id).ok_or_else(ApiError::not_found)?;
    let nobody = || ApiError::field("expert_id", "请选择会诊专家");
    let expert = StaffId::parse(&wish.expert_id).ok_or_else(nobody)?;
    if wish.key.is_empty() || wish.key.len() > 64 {
        return Err(ApiError::field("key", "请求编号不正确"));
    }
    let invitation = Invitation {
        id: ConsiliumId::generate(&ctx.ids, ctx.now()),
        question: words("question", "会诊目的", &wish.question, LONGEST_QUESTION)?,
        summary: words("summary", "病情摘要", &wish.summary, LONGEST_SUMMARY)?,
        until: ctx.now().plus(ANSWER_WITHIN),
        key: wish.key,
        visit,
    };
    let (deps, member) = (ctx.clone(), staff.member.clone());
    let view = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (ctx, member) = (deps.clone(), member.clone());
            let (wish, expert) = (invitation.clone(), expert.clone());
            Box::pin(async move {
                if let Some(before) = table::by_key(tx, &member.id, &wish.key).await? {
                    return view::of(tx, &ctx, &before, &member).await;
                }
                let parties = visit::of_doctor(tx, &ctx.vault, &wish.visit, &member.his_code).await?;
                if !matches!(parties.visit.state, VisitState::InProgress | VisitState::Finished) {
                    return Err(ApiError::conflict("visit_state", "接诊后才能邀请会诊"));
                }
                let found = identity::staff::member(tx, &expert).await?;
                let found = found.filter(|m| m.roles.contains(&Role::Doctor)).ok_or_else(nobody)?;
                if found.id == member.id {
                    return Err(ApiError::field("expert_id", "不能邀请自己会诊"));
                }
                not_asked_already(tx, &wish.visit, &found.id).await?;
                table::insert(tx, &ctx.vault, &wish, &member, &found).await?;
                let told = format!("医生已邀请{}{}医生会诊", found.department_name, found.name);
                care::messages::post_system(tx, &ctx.vault, &wish.visit, &told).await?;
                let row: Row = own(tx, &member, &wish.id).await?;
                row.shown(tx, &ctx, &member).await
            })
        })
        .await?;
    let asked = StaffId::parse(&view.expert.id).ok_or_else(ApiError::not_found)?;
    announce(&ctx, &staff.tenant, &view.id, [&staff.id, &asked]);
    care::consultation::announce(&ctx, &staff.tenant, &parsed(&id)?).await;
    Ok(Json(view))
}

fn parsed(id: &str) -> Result<VisitId, ApiError> {
    VisitId::parse(id).ok_or_else(ApiError::not_found)
}

/// One question at a time to each expert.
async fn not_asked_already(tx: &mut Tx<'_>, visit: &VisitId, expert: &StaffId) -> Result<(), ApiError> {
    let waiting = |state| matches!(state, Stands::Invited | Stands::Open);
    let all = table::of_visit(tx, visit).await?;
    if all.iter().any(|row| row.expert_id == *expert && waiting(row.state)) {
        let words = "已邀请该医生会诊，尚未结束";
        return Err(ApiError::conflict("already_invited", words));
    }
    Ok(())
}

/// The consilia of a visit, for its doctor, newest first.
#[utoipa::path(get, path = "/doctor/visits/{id}/consilia", tag = "consilium", params(("id" = String, Path)),
    responses((status = 200, body = Vec<ConsiliumView>)))]
async fn of_visit(
    State(ctx): State<Ctx>,
    staff: Staff<Treats>,
    Path(id): Path<String>,
) -> Result<Json<Vec<ConsiliumView>>, ApiError> {
    let id = parsed(&id)?;
    let views = signed::of_visit::<Row>(&ctx, &staff.scope(), &staff.member, &id).await?;
    Ok(Json(views))
}

/// Which side of consilia a list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ConsiliumSide {
    /// To which the doctor was invited.
    Expert,
    /// To which the doctor invited.
    Inviter,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Listed {
    /// `expert` or `inviter`.
    #[param(inline)]
    side: ConsiliumSide,
    /// From 1.
    page: Option<u32>,
    /// Up to 100.
    size: Option<u32>,
}

/// The doctor's consilia, newest first.
#[utoipa::path(get, path = "/doctor/consilia", tag = "consilium", params(Listed),
    responses((status = 200, body = Paged<ConsiliumView>)))]
async fn list(
    State(ctx): State<Ctx>,
    staff: Staff<Treats>,
    Query(listed): Query<Listed>,
) -> Result<Json<Paged<ConsiliumView>>, ApiError> {
    let page = Page {
        page: listed.page.unwrap_or(1),
        size: listed.size.unwrap_or(20),
    };
    let (deps, member, side) = (ctx.clone(), staff.member.clone(), listed.side);
    let (items, total) = ctx
        .store
        .read(&staff.scope(), move |tx| {
            let (ctx, member) = (deps.clone(), member.clone());
            Box::pin(async move {
                let (rows, total) = match side {
                    ConsiliumSide::Expert => table::asked(tx, &member.id, page).await?,
                    ConsiliumSide::Inviter => table::asking(tx, &member.id, page).await?,
                };
                let mut items = Vec::with_capacity(rows.len());
                for row in rows {
                    items.push(view::of(tx, &ctx, &row, &member).await?);
                }
                Ok::<_, ApiError>((items, total))
            })
        })
        .await?;
    Ok(Json(page.of(items, total)))
}

/// How many consilia wait for the doctor.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct ConsiliumCount {
    /// To answer, or to write an opinion for.
    waiting: u64,
}

/// How many consilia wait for the doctor as expert.
#[utoipa::path(get, path = "/doctor/consilia/count", tag = "consilium", responses((status = 200, body = ConsiliumCount)))]
async fn count(State(ctx): State<Ctx>, staff: Staff<Treats>) -> Result<Json<ConsiliumCount>, ApiError> {
    let own = staff.id.clone();
    let waiting = ctx
        .store
        .read(&staff.scope(), move |tx| {
            let own = own.clone();
            Box::pin(async move { Ok::<_, ApiError>(table::waiting(tx, &own).await?) })
        })
        .await?;
    Ok(Json(ConsiliumCount { waiting }))
}

/// One consilium, for its inviter or its expert.
#[utoipa::path(get, path = "/doctor/consilia/{id}", tag = "consilium", params(("id" = String, Path)),
    responses((status = 200, body = ConsiliumView)))]
async fn show(
    State(ctx): State<Ctx>,
    staff: Staff<Treats>,
    Path(id): Path<String>,
) -> Result<Json<ConsiliumView>, ApiError> {
    let id = number(&id)?;
    let view = signed::show::<Row>(&ctx, &staff.scope(), &staff.member, &id).await?;
    Ok(Json(view))
}

pub(super) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(experts))
        .routes(routes!(invite, of_visit))
        .routes(routes!(list))
        .routes(routes!(count))
        .routes(routes!(show))
}
