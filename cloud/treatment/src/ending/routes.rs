//! The list before the end, and the end.

use axum::extract::State;
use base::permission::Prescribes;
use base::session::Member;
use base::{ApiError, Ctx, Json, Path, Staff};
use care::consultation::VisitState;
use records::id::VisitId;
use records::sign::Pin;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Scope, Tx};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{EndingDocument, Missing, Papers, Seen, documents};
use crate::visit;

/// Longest reason.
const LONGEST: usize = 100;

/// What the doctor is shown before the end, and after it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct EndingView {
    /// The visit is finished.
    pub(crate) finished: bool,
    /// Everything the doctor wrote, in the order of signing.
    pub(crate) documents: Vec<EndingDocument>,
    /// What should be there before the end.
    pub(crate) missing: Vec<Missing>,
    /// How many are to be signed: without any, no PIN is asked for.
    pub(crate) unsigned: usize,
}

impl EndingView {
    fn new(state: VisitState, papers: Papers) -> Self {
        Self {
            finished: state == VisitState::Finished,
            unsigned: papers.unsigned().len(),
            documents: papers.documents,
            missing: papers.missing,
        }
    }
}

/// The doctor ends the service.
#[derive(Clone, Deserialize, ToSchema)]
pub(crate) struct EndOfService {
    /// The doctor's PIN; not asked for when nothing is to be signed.
    #[serde(default)]
    pub(crate) pin: Option<String>,
    /// What stood on the list: nothing else is signed.
    #[serde(default)]
    pub(crate) seen: Vec<Seen>,
    /// Why the visit ends without a complete record.
    #[serde(default)]
    pub(crate) without_record: Option<String>,
}

/// The visit's state and its papers, for its doctor.
async fn gathered(tx: &mut Tx<'_>, ctx: &Ctx, id: &VisitId, doctor: &str) -> Result<(VisitState, Papers), ApiError> {
    let parties = visit::of_doctor(tx, &ctx.vault, id, doctor).await?;
    let state = parties.visit.state;
    if !matches!(state, VisitState::InProgress | VisitState::Finished) {
        let words = format!("当前状态“{}”不能结束服务", state.text());
        return Err(ApiError::conflict("visit_state", words));
    }
    Ok((state, documents::of(tx, ctx, id).await?))
}

async fn read(ctx: &Ctx, scope: &Scope, id: &VisitId, doctor: &str) -> Result<(VisitState, Papers), ApiError> {
    let (own, id, doctor) = (ctx.clone(), id.clone(), doctor.to_owned());
    ctx.store
        .read(scope, move |tx| {
            let (ctx, id, doctor) = (own.clone(), id.clone(), doctor.clone());
            Box::pin(async move { gathered(tx, &ctx, &id, &doctor).await })
        })
        .await
}

/// What will be signed at the end of service, what is signed, and what is missing.
#[utoipa::path(get, path = "/doctor/visits/{id}/end-of-service", tag = "end_of_service", params(("id" = String, Path)),
    responses((status = 200, body = EndingView), (status = 409, body = base::error::ErrorBody)))]
async fn show(
    State(ctx): State<Ctx>,
    staff: Staff<Prescribes>,
    Path(id): Path<String>,
) -> Result<Json<EndingView>, ApiError> {
    let id = VisitId::parse(&id).ok_or_else(ApiError::not_found)?;
    let (state, papers) = read(&ctx, &staff.scope(), &id, &staff.his_code).await?;
    Ok(Json(EndingView::new(state, papers)))
}

/// 结束服务: signs what is left with one PIN, submits it for review and finishes the visit. What fails leaves the visit in
/// progress, and every document as the list then says; asking again goes on with what is left.
#[utoipa::path(post, path = "/doctor/visits/{id}/end-of-service", tag = "end_of_service", params(("id" = String, Path)),
    request_body = EndOfService,
    responses((status = 200, body = EndingView), (status = 409, body = base::error::ErrorBody),
        (status = 422, body = base::error::ErrorBody),
        (status = 504, description = "unknown outcome: enter the PIN again", body = base::error::ErrorBody)))]
async fn end(
    State(ctx): State<Ctx>,
    staff: Staff<Prescribes>,
    Path(id): Path<String>,
    Json(wish): Json<EndOfService>,
) -> Result<Json<EndingView>, ApiError> {
    let id = VisitId::parse(&id).ok_or_else(ApiError::not_found)?;
    let scope = staff.scope();
    let (state, papers) = read(&ctx, &scope, &id, &staff.his_code).await?;
    let reason = reason(&wish)?;
    may_end(state, &papers, &wish.seen, reason.as_deref())?;
    sign_all(&ctx, &staff, &id, (&papers, wish.pin.as_deref())).await?;
    let (state, papers) = finish(&ctx, &scope, &staff.member, &id, (wish.seen, reason)).await?;
    care::consultation::announce(&ctx, &staff.tenant, &id).await;
    Ok(Json(EndingView::new(state, papers)))
}

fn reason(wish: &EndOfService) -> Result<Option<String>, ApiError> {
    let words = wish.without_record.as_deref().map(str::trim).filter(|w| !w.is_empty());
    if words.is_some_and(|w| w.chars().count() > LONGEST) {
        return Err(ApiError::field("without_record", format!("原因不超过{LONGEST}字")));
    }
    Ok(words.map(str::to_owned))
}

fn may_end(state: VisitState, papers: &Papers, seen: &[Seen], reason: Option<&str>) -> Result<(), ApiError> {
    if let Some(paper) = papers.unseen(seen) {
        let words = format!("{}在清单显示之后有变化，请核对后再签名", paper.title);
        return Err(ApiError::conflict("papers_changed", words));
    }
    match papers.missing.first() {
        Some(missing) if state == VisitState::InProgress && reason.is_none() => {
            let words = format!("{}，请先完成病历，或写明不写病历的原因", missing.text);
            Err(ApiError::conflict(missing.code, words))
        }
        _ => Ok(()),
    }
}

/// Signs one after the other; the first that fails ends the round.
async fn sign_all(
    ctx: &Ctx,
    staff: &Staff<Prescribes>,
    id: &VisitId,
    (papers, pin): (&Papers, Option<&str>),
) -> Result<(), ApiError> {
    let left = papers.unsigned();
    if left.is_empty() {
        return Ok(());
    }
    let pin = pin.ok_or_else(|| ApiError::field("pin", "请输入签名密码"))?;
    for (done, paper) in left.iter().enumerate() {
        let signed = documents::sign(ctx, staff, id, &paper.seen, Pin(pin.to_owned())).await;
        if let Err(error) = signed {
            return Err(stopped(error, &paper.title, done, left.len()));
        }
    }
    Ok(())
}

/// The refusal of one document, with what became of the others.
fn stopped(error: ApiError, title: &str, done: usize, many: usize) -> ApiError {
    if many == 1 {
        return error;
    }
    let before = if done == 0 {
        "尚未签署任何文书".to_owned()
    } else {
        format!("已签署{done}份，其余未签")
    };
    ApiError {
        message: format!("{title}：{}（{before}，问诊未结束）", error.message).into(),
        ..error
    }
}

/// Finishes the visit, unless something was written meanwhile that nobody signed.
async fn finish(
    ctx: &Ctx,
    scope: &Scope,
    member: &Member,
    id: &VisitId,
    (seen, reason): (Vec<Seen>, Option<String>),
) -> Result<(VisitState, Papers), ApiError> {
    let (own, doctor, id) = (ctx.clone(), member.his_code.clone(), id.clone());
    ctx.store
        .write(scope, move |tx| {
            let (ctx, doctor, id) = (own.clone(), doctor.clone(), id.clone());
            let (seen, reason) = (seen.clone(), reason.clone());
            Box::pin(async move {
                let (state, papers) = gathered(tx, &ctx, &id, &doctor).await?;
                may_end(state, &papers, &seen, reason.as_deref())?;
                if let Some(left) = papers.unsigned().first() {
                    let words = format!("{}尚未签名，请核对后再签名", left.title);
                    return Err(ApiError::conflict("papers_changed", words));
                }
                if care::consultation::finish(tx, &ctx, &id, &doctor).await? {
                    let detail = json!({ "documents": papers.documents.len(), "without_record": reason });
                    base::audit::record(tx, "visit.end_of_service", id.as_str(), detail).await?;
                }
                Ok::<_, ApiError>((VisitState::Finished, papers))
            })
        })
        .await
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new().routes(routes!(show, end))
}
