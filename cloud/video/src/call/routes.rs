//! The call over HTTP.

use ::store::Tx;
use axum::extract::State as From;
use base::{ApiError, Ctx, Json, Path, Permission, Session, Who};
use care::consultation::{Visit, VisitState};
use records::Timestamp;
use records::id::{StaffId, VisitId};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::relay::IceServer;
use super::seat::signals;
use super::store::{self as table, Call, Recording};
use super::{Command, Refusal, Side, State, next};
use crate::Video;

impl std::convert::From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Side => Self::forbidden(),
            Refusal::State(..) => Self::conflict("video_state", refusal.to_string()),
        }
    }
}

/// A recording for replay.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct RecordingView {
    /// Id.
    pub(crate) id: String,
    /// The file.
    pub(crate) blob_id: String,
    /// Whose picture and sound.
    pub(crate) role: String,
    /// When it begins.
    #[schema(value_type = String)]
    pub(crate) started_at: Timestamp,
    /// About how long.
    pub(crate) duration_s: u64,
    /// Until when it is kept, at least.
    pub(crate) keep_until: String,
}

/// The video of a visit.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct VideoView {
    /// `idle`, `ringing`, `connected` or `ended`.
    pub(crate) state: String,
    /// In words.
    pub(crate) state_text: String,
    /// Why it ended.
    pub(crate) note: String,
    /// Recordings.
    pub(crate) recordings: Vec<RecordingView>,
}

/// Relays.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct IceView {
    /// For `RTCPeerConnection`.
    pub(crate) ice_servers: Vec<IceServer>,
}

pub(super) fn id_of(text: &str) -> Result<VisitId, ApiError> {
    VisitId::parse(text).ok_or_else(ApiError::not_found)
}

/// The visit and the side of who asks; anybody else finds nothing.
pub(super) async fn seated(tx: &mut Tx<'_>, session: &Session, id: &VisitId) -> Result<(Visit, Side), ApiError> {
    let found = care::consultation::participants(tx, session, id).await?;
    let (visit, side) = found.ok_or_else(ApiError::not_found)?;
    let side = match side.as_str() {
        "doctor" => Side::Doctor,
        _ => Side::Patient,
    };
    Ok((visit, side))
}

async fn view(tx: &mut Tx<'_>, id: &VisitId) -> Result<VideoView, ApiError> {
    let call = table::latest(tx, id).await?;
    let state = call.as_ref().map_or(State::Idle, |c| c.state);
    let recordings = table::of_visit(tx, id).await?.into_iter().filter_map(shown).collect();
    Ok(VideoView {
        state: state.as_str().to_owned(),
        state_text: state.text().to_owned(),
        note: call.map(|c| c.note).unwrap_or_default(),
        recordings,
    })
}

fn shown(r: Recording) -> Option<RecordingView> {
    Some(RecordingView {
        duration_s: r.ended_at.map_or(0, |end| end.since(r.started_at).as_secs()),
        id: r.id,
        blob_id: r.blob_id?.into_string(),
        role: r.role,
        started_at: r.started_at,
        keep_until: r.keep_until.to_string(),
    })
}

/// How the video stands, with recordings for replay.
#[utoipa::path(get, path = "/visits/{id}/video", tag = "video", params(("id" = String, Path)),
    responses((status = 200, body = VideoView)))]
async fn show(From(ctx): From<Ctx>, session: Session, Path(id): Path<String>) -> Result<Json<VideoView>, ApiError> {
    let id = id_of(&id)?;
    let (who, vault) = (session.clone(), ctx.vault.clone());
    let view = ctx
        .store
        .read(&session.scope(), move |tx| {
            let (id, who, vault) = (id.clone(), who.clone(), vault.clone());
            Box::pin(async move {
                let overseer = matches!(&who.who, Who::Staff(m) if m.may(Permission::Oversee));
                if overseer {
                    // Of this hospital's visits only.
                    let known = care::consultation::parties(tx, &vault, &id).await?;
                    known.ok_or_else(ApiError::not_found)?;
                } else {
                    seated(tx, &who, &id).await?;
                }
                view(tx, &id).await
            })
        })
        .await?;
    Ok(Json(view))
}

async fn act(
    ctx: &Ctx,
    video: &Video,
    session: &Session,
    id: &str,
    command: Command,
) -> Result<Json<VideoView>, ApiError> {
    let id = id_of(id)?;
    let (who, wanted) = (session.clone(), id.clone());
    let call_id = ctx.ids.next("vid", ctx.now());
    let view = ctx
        .store
        .write(&session.scope(), move |tx| {
            let (id, who, call_id) = (wanted.clone(), who.clone(), call_id.clone());
            Box::pin(async move {
                let (visit, side) = seated(tx, &who, &id).await?;
                step(tx, &who, &visit, side, command, call_id).await?;
                view(tx, &id).await
            })
        })
        .await?;
    if view.state == State::Ended.as_str() {
        video.engine.close(id.as_str()).await;
    }
    care::consultation::board::announce(ctx, &session.tenant, &id).await;
    Ok(Json(view))
}

async fn step(
    tx: &mut Tx<'_>,
    who: &Session,
    visit: &Visit,
    side: Side,
    command: Command,
    call_id: String,
) -> Result<(), ApiError> {
    let now = tx.now();
    let latest = table::latest(tx, &visit.id).await?;
    let state = latest.as_ref().map_or(State::Idle, |c| c.state);
    let to = next(state, command, Some(side))?;
    if command != Command::End && visit.state != VisitState::InProgress {
        return Err(ApiError::conflict("visit_state", "只有问诊中才能视频"));
    }
    base::audit::record(
        tx,
        "video.call",
        visit.id.as_str(),
        serde_json::json!({ "to": to.as_str() }),
    )
    .await?;
    let Some(mut call) = latest.filter(|_| command != Command::Start) else {
        let doctor = StaffId::parse(who.subject()).ok_or_else(ApiError::forbidden)?;
        let call = Call {
            id: call_id,
            visit_id: visit.id.clone(),
            state: to,
            doctor_id: doctor,
            started_at: now,
            accepted_at: None,
            ended_at: None,
            note: String::new(),
        };
        return Ok(table::insert(tx, &call).await?);
    };
    call.state = to;
    match command {
        Command::Accept => call.accepted_at = Some(now),
        _ => {
            call.ended_at = Some(now);
            let who = if side == Side::Doctor { "医生" } else { "患者" };
            call.note = format!("{who}{}", command.text());
        }
    }
    Ok(table::save(tx, &call).await?)
}

macro_rules! acts {
    ($($(#[$doc:meta])* $name:ident = $path:literal, $command:expr;)*) => {$(
        $(#[$doc])*
        #[utoipa::path(post, path = $path, tag = "video", params(("id" = String, Path)),
            responses((status = 200, body = VideoView), (status = 409, body = base::error::ErrorBody)))]
        async fn $name(
            From(ctx): From<Ctx>,
            axum::Extension(video): axum::Extension<Video>,
            session: Session,
            Path(id): Path<String>,
        ) -> Result<Json<VideoView>, ApiError> {
            act(&ctx, &video, &session, &id, $command).await
        }
    )*};
}

acts! {
    /// The doctor calls.
    start = "/visits/{id}/video/start", Command::Start;
    /// The patient accepts.
    accept = "/visits/{id}/video/accept", Command::Accept;
    /// The patient declines.
    decline = "/visits/{id}/video/decline", Command::Decline;
    /// Either side ends.
    end = "/visits/{id}/video/end", Command::End;
}

/// Relays for a browser behind a strict network.
#[utoipa::path(get, path = "/visits/{id}/video/ice", tag = "video", params(("id" = String, Path)),
    responses((status = 200, body = IceView)))]
async fn ice(
    From(ctx): From<Ctx>,
    axum::Extension(video): axum::Extension<Video>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Json<IceView>, ApiError> {
    let id = id_of(&id)?;
    let who = session.clone();
    let visit = id.to_string();
    let (_, side) = ctx
        .store
        .read(&session.scope(), move |tx| {
            let (id, who) = (id.clone(), who.clone());
            Box::pin(async move { seated(tx, &who, &id).await })
        })
        .await?;
    let (who, now) = (format!("{visit}/{}", side.as_str()), ctx.now());
    Ok(Json(IceView {
        ice_servers: video.relays.iter().map(|r| r.ice_server(&who, now)).collect(),
    }))
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(show))
        .routes(routes!(start))
        .routes(routes!(accept))
        .routes(routes!(decline))
        .routes(routes!(end))
        .routes(routes!(ice))
        .route("/visits/{id}/video/ws", axum::routing::get(signals))
}
