//! Messages over HTTP.

use axum::extract::State;
use axum::http::StatusCode;
use base::{ApiError, Audience, Ctx, Event, Json, Path, Query, Session, blobs, identity};
use records::id::{BlobId, VisitId};
use serde::Deserialize;
use store::Tx;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::store::{Message, New};
use super::{Draft, Kind, store as sql, voice};
use crate::CareError;
use crate::consultation::Side;
use crate::consultation::{Visit, VisitState, participants};

/// Messages answered at once.
const MOST: u32 = 200;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct After {
    /// Only messages with greater numbers.
    #[serde(default)]
    after: Option<u64>,
}

/// Messages of a visit, in order.
#[utoipa::path(get, path = "/visits/{id}/messages", tag = "messages", params(("id" = String, Path), After),
    responses((status = 200, body = Vec<Message>)))]
async fn list(
    State(ctx): State<Ctx>,
    session: Session,
    Path(id): Path<String>,
    Query(after): Query<After>,
) -> Result<Json<Vec<Message>>, ApiError> {
    let id = VisitId::parse(&id).ok_or_else(ApiError::not_found)?;
    let (deps, who) = (ctx.clone(), session.clone());
    let messages = ctx
        .store
        .read(&session.scope(), move |tx| {
            let (id, deps, who) = (id.clone(), deps.clone(), who.clone());
            Box::pin(async move {
                participants(tx, &who, &id).await?.ok_or(CareError::Absent)?;
                sql::after(tx, &deps.vault, &id, after.after.unwrap_or(0), MOST).await
            })
        })
        .await?;
    Ok(Json(messages))
}

/// Sends a message. A repeat with the same `client_id` answers the one sent before.
#[utoipa::path(post, path = "/visits/{id}/messages", tag = "messages", params(("id" = String, Path)), request_body = Draft,
    responses((status = 201, body = Message), (status = 409, body = base::error::ErrorBody), (status = 422, body = base::error::ErrorBody)))]
async fn send(
    State(ctx): State<Ctx>,
    session: Session,
    Path(id): Path<String>,
    Json(draft): Json<Draft>,
) -> Result<(StatusCode, Json<Message>), ApiError> {
    let id = VisitId::parse(&id).ok_or_else(ApiError::not_found)?;
    draft.check().map_err(|(field, words)| ApiError::field(field, words))?;
    let draft = voice::measured(&ctx, &session, draft).await?;
    let (deps, who) = (ctx.clone(), session.clone());
    let (message, visit, staff) = ctx
        .store
        .write(&session.scope(), move |tx| {
            let (id, deps, who, draft) = (id.clone(), deps.clone(), who.clone(), draft.clone());
            Box::pin(async move { send_in(tx, &deps, &who, &id, &draft).await })
        })
        .await?;
    let event = || Event::new("message.new", &visit.id);
    let audiences = [
        Some(Audience::Visit(visit.id.clone())),
        Some(Audience::Patient(visit.account_id.clone())),
        staff.map(Audience::Staff),
    ];
    for audience in audiences.into_iter().flatten() {
        ctx.events.publish(&session.tenant, audience, event());
    }
    Ok((StatusCode::CREATED, Json(message)))
}

type Sent = (Message, Visit, Option<records::id::StaffId>);

async fn send_in(tx: &mut Tx<'_>, ctx: &Ctx, who: &Session, id: &VisitId, draft: &Draft) -> Result<Sent, CareError> {
    let (visit, side) = participants(tx, who, id).await?.ok_or(CareError::Absent)?;
    if visit.state != VisitState::InProgress {
        let words = format!("当前状态“{}”不能发送消息", visit.state.text());
        return Err(ApiError::conflict("visit_state", words).into());
    }
    let doctor = identity::staff::by_his_code(tx, &visit.doctor_code)
        .await?
        .map(|m| m.id);
    if let Some(blob) = &draft.blob_id {
        let reader = match side {
            Side::Patient => doctor.as_ref().map(|d| d.as_str().to_owned()),
            Side::Doctor => Some(visit.account_id.as_str().to_owned()),
        };
        attach(tx, who, blob, draft.kind, reader).await?;
    }
    let text = draft.text.as_deref().filter(|_| draft.kind == Kind::Text);
    let new = New {
        side: side.as_str(),
        client_id: Some(&draft.client_id),
        kind: draft.kind.as_str(),
        text,
        blob_id: draft.blob_id.as_deref().filter(|_| draft.kind != Kind::Text),
        duration_s: draft.duration_s.filter(|_| draft.kind == Kind::Voice),
    };
    let seq = sql::append(tx, &ctx.vault, id, &new).await?;
    let message = sql::after(tx, &ctx.vault, id, seq - 1, 1)
        .await?
        .into_iter()
        .next()
        .ok_or(CareError::Absent)?;
    Ok((message, visit, doctor))
}

/// The file must be the sender's own and of the right kind; the other side may read it from now on.
pub(crate) async fn attach(
    tx: &mut Tx<'_>,
    who: &Session,
    blob: &str,
    kind: Kind,
    reader: Option<String>,
) -> Result<(), CareError> {
    let missing = || ApiError::field("blob_id", "文件不存在，请重新上传");
    let id = BlobId::parse(blob).ok_or_else(missing)?;
    let found = blobs::get(tx, &id)
        .await?
        .filter(|b| b.owner == who.subject())
        .ok_or_else(missing)?;
    let fits = match kind {
        Kind::Image => found.mime.starts_with("image/"),
        Kind::Voice => found.mime.starts_with("audio/") || found.mime == "video/webm" || found.mime == "video/mp4",
        Kind::Text => false,
    };
    if !fits {
        return Err(ApiError::field("blob_id", "文件类型不符").into());
    }
    if let Some(reader) = reader {
        blobs::grant(tx, &id, &reader).await?;
    }
    Ok(())
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new().routes(routes!(list, send))
}
