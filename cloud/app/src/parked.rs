//! Entries from appliances that nobody could apply: shown to the administrator, tried again after an upgrade, or
//! settled with a note. None is ever dropped.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use base::permission::Settles;
use base::{ApiError, Ctx, Json, Staff, audit};
use records::{Lane, PeerId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Parked, StoreError, Tx};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::contexts::{self, Desks};

/// Entries shown at once.
const SHOWN: usize = 100;

/// Names an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
struct Name {
    /// From whom.
    peer: String,
    /// Lane.
    lane: u8,
    /// The sender's epoch.
    epoch: u64,
    /// Number in the stream.
    seq: u64,
}

/// An entry kept aside.
#[derive(Debug, Serialize, ToSchema)]
struct ParkedView {
    #[serde(flatten)]
    name: Name,
    /// What it is.
    kind: String,
    /// What it is about.
    entity: String,
    /// When it was made there.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Its content.
    #[schema(value_type = Object)]
    body: Value,
    /// Why it was kept aside.
    reason: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    parked_at: Timestamp,
}

/// How an entry was settled.
#[derive(Debug, Clone, Deserialize, ToSchema)]
struct Settled {
    #[serde(flatten)]
    name: Name,
    /// What was done about it.
    note: String,
}

fn name(parked: &Parked) -> Name {
    Name {
        peer: parked.peer.to_string(),
        lane: parked.lane.number(),
        epoch: parked.epoch,
        seq: parked.entry.seq,
    }
}

async fn waiting(tx: &mut Tx<'_>, wanted: &Name) -> Result<Parked, ApiError> {
    let all = tx.parked(10 * SHOWN).await?;
    all.into_iter()
        .find(|p| name(p) == *wanted)
        .ok_or_else(ApiError::not_found)
}

async fn settle(tx: &mut Tx<'_>, wanted: &Name, note: &str) -> Result<(), ApiError> {
    let (Some(peer), Some(lane)) = (PeerId::parse(&wanted.peer), Lane::from_number(wanted.lane)) else {
        return Err(ApiError::not_found());
    };
    if !tx.parked_settled((&peer, lane, wanted.epoch, wanted.seq), note).await? {
        return Err(ApiError::not_found());
    }
    let subject = format!("{}/{}/{}/{}", wanted.peer, wanted.lane, wanted.epoch, wanted.seq);
    Ok(audit::record(tx, "parked.settle", &subject, json!({ "note": note })).await?)
}

/// Entries nobody could apply, oldest first.
#[utoipa::path(get, path = "/admin/parked", tag = "admin", responses((status = 200, body = Vec<ParkedView>)))]
async fn list(State(ctx): State<Ctx>, staff: Staff<Settles>) -> Result<Json<Vec<ParkedView>>, ApiError> {
    let parked = ctx
        .store
        .read(&staff.scope(), |tx| Box::pin(async move { tx.parked(SHOWN).await }))
        .await
        .map_err(|e: StoreError| e)?;
    let view = |parked: Parked| ParkedView {
        name: name(&parked),
        kind: parked.entry.kind,
        entity: parked.entry.entity,
        at: parked.entry.at,
        body: serde_json::from_str(&parked.entry.body).unwrap_or(Value::String(parked.entry.body)),
        reason: parked.reason,
        parked_at: parked.parked_at,
    };
    Ok(Json(parked.into_iter().map(view).collect()))
}

/// Applies one again.
#[utoipa::path(post, path = "/admin/parked/replay", tag = "admin", request_body = Name,
    responses((status = 204), (status = 404, body = base::error::ErrorBody), (status = 409, body = base::error::ErrorBody)))]
async fn replay(
    State(ctx): State<Ctx>,
    staff: Staff<Settles>,
    Extension(desks): Extension<Desks>,
    Json(wanted): Json<Name>,
) -> Result<StatusCode, ApiError> {
    let own = ctx.clone();
    ctx.store
        .write(&staff.scope(), move |tx| {
            let (ctx, desks, wanted) = (own.clone(), desks.clone(), wanted.clone());
            Box::pin(async move {
                let parked = waiting(tx, &wanted).await?;
                let applied = contexts::apply(&ctx, &desks, tx, &parked.peer, &parked.entry).await;
                applied.map_err(|error| match error {
                    link::ApplyError::Park(why) => ApiError::conflict("still_parked", format!("仍无法处理：{why}")),
                    link::ApplyError::Store(error) => error.into(),
                })?;
                settle(tx, &wanted, "replayed").await
            })
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Settles one with a note.
#[utoipa::path(post, path = "/admin/parked/settle", tag = "admin", request_body = Settled,
    responses((status = 204), (status = 404, body = base::error::ErrorBody), (status = 422, body = base::error::ErrorBody)))]
async fn settle_by_hand(
    State(ctx): State<Ctx>,
    staff: Staff<Settles>,
    Json(settled): Json<Settled>,
) -> Result<StatusCode, ApiError> {
    if settled.note.trim().is_empty() {
        return Err(ApiError::field("note", "请写明处理情况"));
    }
    ctx.store
        .write(&staff.scope(), move |tx| {
            let settled = settled.clone();
            Box::pin(async move { settle(tx, &settled.name, settled.note.trim()).await })
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(replay))
        .routes(routes!(settle_by_hand))
}
