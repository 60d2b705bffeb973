//! The call over HTTP, and the WebSocket that carries signals between browser and room server.

use ::store::{Scope, Tx};
use axum::extract::State as From;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use base::{ApiError, Ctx, Json, Path, Permission, Session, Vault, Who};
use care::consultation::{Visit, VisitState};
use records::id::{StaffId, VisitId};
use records::{TenantId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::relay::IceServer;
use super::store::{self as table, Call, Recording};
use super::{Command, KEPT_DAYS, Refusal, Side, State, has_lapsed, may_sit, next};
use crate::Video;
use crate::engine::{Guest, Seat, Signal};

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

fn id_of(text: &str) -> Result<VisitId, ApiError> {
    VisitId::parse(text).ok_or_else(ApiError::not_found)
}

/// The visit and the side of who asks; anybody else finds nothing.
async fn seated(tx: &mut Tx<'_>, session: &Session, id: &VisitId) -> Result<(Visit, Side), ApiError> {
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

/// Signals to and from the room server. A browser sends its cookie with the upgrade; pages of other sites are refused by
/// the origin.
async fn signals(
    From(ctx): From<Ctx>,
    axum::Extension(video): axum::Extension<Video>,
    session: Session,
    Path(id): Path<String>,
    headers: axum::http::HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, ApiError> {
    same_origin(&headers)?;
    let id = id_of(&id)?;
    let (recording, side) = sit_down(&ctx, &video, &session, &id).await?;
    let guest = Guest {
        room: id.to_string(),
        who: side.as_str().to_owned(),
        recording: recording.clone(),
    };
    let seat = video.engine.join(guest).await.map_err(ApiError::internal)?;
    let (ctx, tenant) = (ctx.clone(), session.tenant.clone());
    Ok(upgrade
        .max_message_size(256 << 10)
        .on_upgrade(move |socket| async move {
            carry(socket, seat).await;
            got_up(&ctx, &tenant, recording).await;
        }))
}

fn same_origin(headers: &axum::http::HeaderMap) -> Result<(), ApiError> {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    let Some(origin) = text("origin") else {
        return Ok(());
    };
    let host = origin.split_once("://").map_or(origin, |(_, host)| host);
    let own = text("x-forwarded-host").or_else(|| text("host"));
    if own == Some(host) {
        Ok(())
    } else {
        Err(ApiError::forbidden())
    }
}

async fn sit_down(ctx: &Ctx, video: &Video, session: &Session, id: &VisitId) -> Result<(String, Side), ApiError> {
    let (who, id) = (session.clone(), id.clone());
    let (recording, boot) = (ctx.ids.next("rec", ctx.now()), video.boot.to_string());
    ctx.store
        .write(&session.scope(), move |tx| {
            let (who, id) = (who.clone(), id.clone());
            let (recording, boot) = (recording.clone(), boot.clone());
            Box::pin(async move {
                let (visit, side) = seated(tx, &who, &id).await?;
                let call = table::latest(tx, &id).await?.filter(|c| may_sit(c.state, side));
                let call = call.ok_or_else(|| ApiError::conflict("video_state", "视频尚未接通"))?;
                let now = tx.now();
                let row = Recording {
                    id: recording.clone(),
                    visit_id: visit.id,
                    call_id: call.id,
                    role: side.as_str().to_owned(),
                    boot,
                    started_at: now,
                    ended_at: None,
                    blob_id: None,
                    empty: false,
                    keep_until: now.local_date().plus_days(KEPT_DAYS),
                };
                table::sat_down(tx, &row).await?;
                Ok::<_, ApiError>((recording, side))
            })
        })
        .await
}

async fn carry(mut socket: WebSocket, mut seat: Seat) {
    loop {
        tokio::select! {
            signal = seat.down.recv() => {
                let Some(signal) = signal else { return };
                let last = matches!(signal, Signal::Ended | Signal::Error { .. });
                let Ok(text) = serde_json::to_string(&signal) else { return };
                if socket.send(Message::Text(text.into())).await.is_err() || last {
                    return;
                }
            }
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => match serde_json::from_str::<Signal>(&text) {
                    Ok(signal) => if seat.up.send(signal).await.is_err() { return },
                    Err(error) => tracing::debug!(%error, "unreadable signal"),
                },
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            }
        }
    }
}

async fn got_up(ctx: &Ctx, tenant: &TenantId, recording: String) {
    let written = ctx
        .store
        .write(&Scope::system(tenant.clone()), move |tx| {
            let recording = recording.clone();
            Box::pin(async move { table::got_up(tx, &recording).await })
        })
        .await;
    if let Err(error) = written {
        tracing::error!(%error, "end of a recording not written");
    }
}

/// One round for every hospital: calls nobody answers end, calls of visits that are over end, finished recordings become
/// files for replay. Idempotent.
pub async fn tick(ctx: &Ctx, video: &Video) {
    let tenants = match base::tenants::all(&ctx.store).await {
        Ok(tenants) => tenants,
        Err(error) => return tracing::error!(%error, "hospitals not read"),
    };
    for tenant in tenants {
        if let Err(error) = lapse(ctx, video, &tenant.id).await {
            tracing::error!(tenant.id = %tenant.id, %error, "calls not looked after");
        }
        if let Err(error) = keep(ctx, video, &tenant.id).await {
            tracing::error!(tenant.id = %tenant.id, %error, "recordings not kept");
        }
    }
}

async fn lapse(ctx: &Ctx, video: &Video, tenant: &TenantId) -> Result<(), ApiError> {
    let vault = ctx.vault.clone();
    let over = ctx
        .store
        .write(&Scope::system(tenant.clone()), move |tx| {
            let vault = vault.clone();
            Box::pin(async move {
                let (now, mut over) = (tx.now(), Vec::new());
                for mut call in table::open(tx).await? {
                    let parties = care::consultation::parties(tx, &vault, &call.visit_id).await?;
                    let going_on = parties.is_some_and(|p| p.visit.state == VisitState::InProgress);
                    let (command, note) = match (going_on, has_lapsed(call.started_at, now)) {
                        (false, _) => (Command::End, "问诊已结束"),
                        (true, true) => (Command::Lapse, "无人接听"),
                        (true, false) => continue,
                    };
                    if let Ok(to) = next(call.state, command, None) {
                        call.state = to;
                        call.ended_at = Some(now);
                        call.note = note.to_owned();
                        table::save(tx, &call).await?;
                        over.push(call.visit_id);
                    }
                }
                Ok::<_, ApiError>(over)
            })
        })
        .await?;
    for visit in over {
        video.engine.close(visit.as_str()).await;
        care::consultation::board::announce(ctx, tenant, &visit).await;
    }
    Ok(())
}

async fn keep(ctx: &Ctx, video: &Video, tenant: &TenantId) -> Result<(), ApiError> {
    let scope = Scope::system(tenant.clone());
    let waiting = ctx
        .store
        .read(&scope, |tx| Box::pin(async move { table::unkept(tx).await }))
        .await?;
    for recording in waiting {
        // A seat of this run that is still taken; one of an earlier run was cut off with it.
        let sitting = recording.ended_at.is_none() && *recording.boot == *video.boot;
        if sitting || video.engine.is_writing(&recording.id) {
            continue;
        }
        keep_one(ctx, video, &scope, recording).await?;
    }
    Ok(())
}

async fn keep_one(ctx: &Ctx, video: &Video, scope: &Scope, recording: Recording) -> Result<(), ApiError> {
    let path = video.engine.recording(&recording.id);
    let bytes = match tokio::fs::read(&path).await {
        Ok(bytes) if !bytes.is_empty() => Some(bytes),
        Ok(_) => None,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(ApiError::internal(error)),
    };
    let blob = match bytes {
        Some(bytes) => Some(base::blobs::put(ctx, scope, "video_recording", &bytes).await?.id),
        None => None,
    };
    let vault = ctx.vault.clone();
    ctx.store
        .write(scope, move |tx| {
            let (recording, blob, vault) = (recording.clone(), blob.clone(), vault.clone());
            Box::pin(async move {
                table::kept(tx, &recording.id, blob.as_ref()).await?;
                let Some(blob) = blob else { return Ok(()) };
                for reader in readers(tx, &vault, &recording).await? {
                    base::blobs::grant(tx, &blob, &reader).await?;
                }
                let detail = serde_json::json!({ "blob": blob.as_str(), "keep_until": recording.keep_until });
                Ok::<_, ApiError>(base::audit::record(tx, "video.keep", recording.visit_id.as_str(), detail).await?)
            })
        })
        .await?;
    // The blob is durable now; the file was only its draft.
    match tokio::fs::remove_file(&path).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(ApiError::internal(error)),
        _ => Ok(()),
    }
}

/// The patient's account and the doctor.
async fn readers(tx: &mut Tx<'_>, vault: &Vault, recording: &Recording) -> Result<Vec<String>, ApiError> {
    let call = table::latest(tx, &recording.visit_id).await?;
    let parties = care::consultation::parties(tx, vault, &recording.visit_id).await?;
    let account = parties.map(|p| p.visit.account_id.into_string());
    let doctor = call.map(|c| c.doctor_id.into_string());
    Ok([account, doctor].into_iter().flatten().collect())
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
