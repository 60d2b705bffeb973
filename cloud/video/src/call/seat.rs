//! The WebSocket that carries signals between browser and room server: who may sit down, and when they got up.

use ::store::Scope;
use axum::extract::State as From;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use base::{ApiError, Ctx, Path, Session};
use records::TenantId;
use records::id::VisitId;

use super::routes::{id_of, seated};
use super::store::{self as table, Recording};
use super::{KEPT_DAYS, Side, may_sit};
use crate::Video;
use crate::engine::{Guest, Seat, Signal};

/// Signals to and from the room server. A browser sends its cookie with the upgrade; pages of other sites are refused by
/// the origin.
pub(super) async fn signals(
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
