//! Where the nurse was during a visit (轨迹): positions of the phone, posted in batches, sealed, read for an order.
//!
//! A batch has a name of the phone's making, so that one sent again is kept once. The phone says its own time at sending;
//! what it is ahead is taken off each position, so that positions and footage stand on the hospital's time. Coordinates are
//! WGS-84, as browsers give them. Nothing outside of the visit (from its start to its end, or of the
//! part of it that was the nurse's) is kept.

use axum::extract::State as Extract;
use axum::http::StatusCode;
use base::permission::{Nurses, SeesFootage};
use base::vault::Vault;
use base::{ApiError, Ctx, Json, Path, Staff, audit};
use records::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::Tx;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::store as sql;
use super::{OrderId, part};

/// What a batch is sealed for.
const PURPOSE: &str = "nursing.track";
/// Positions of one batch.
const MOST: usize = 1_000;
/// A phone's clock this near is right.
const NEAR_MS: i64 = 2_000;

/// Where somebody was.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = TrackPosition)]
pub struct Position {
    /// When, by the hospital's time once kept.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Degrees north (WGS-84).
    pub latitude: f64,
    /// Degrees east (WGS-84).
    pub longitude: f64,
    /// Radius in metres within which the phone believes itself, two times in three.
    pub accuracy_m: f64,
}

impl Position {
    /// Whether it is a place on Earth.
    pub fn is_sound(&self) -> bool {
        (-90.0..=90.0).contains(&self.latitude)
            && (-180.0..=180.0).contains(&self.longitude)
            && (0.0..=100_000.0).contains(&self.accuracy_m)
    }

    /// By the hospital's time, when the phone is so much ahead.
    #[must_use]
    pub(crate) fn corrected(self, ahead_ms: i64) -> Self {
        let micros = self.at.as_micros().saturating_sub(ahead_ms.saturating_mul(1000));
        Self {
            at: Timestamp::from_micros(micros),
            ..self
        }
    }
}

/// Milliseconds by which a phone that says `sent_at` now is ahead; small differences are the way's.
pub(crate) fn ahead_ms(sent_at: Timestamp, now: Timestamp) -> i64 {
    let ahead = sent_at.as_micros().saturating_sub(now.as_micros()) / 1000;
    if ahead.abs() < NEAR_MS { 0 } else { ahead }
}

/// The positions of an order, oldest first.
///
/// # Errors
/// Of the database, or when a batch was tampered with.
pub async fn positions(tx: &mut Tx<'_>, vault: &Vault, order: &OrderId) -> Result<Vec<Position>, ApiError> {
    let tenant = tx.tenant().clone();
    let batches: Vec<(Vec<u8>,)> = tx
        .all(
            "SELECT body_sealed FROM nursing_track WHERE tenant_id = $1 AND order_id = $2 ORDER BY from_at, batch",
            &[&tenant, order],
        )
        .await?;
    let mut all = Vec::new();
    for (sealed,) in batches {
        let body = vault.open(&tenant, PURPOSE, &sealed)?;
        let batch: Vec<Position> = serde_json::from_slice(&body).map_err(ApiError::internal)?;
        all.extend(batch);
    }
    all.sort_by_key(|p| p.at);
    // Batches of a phone that lost an answer overlap.
    all.dedup_by_key(|p| p.at);
    Ok(all)
}

/// Positions as the phone has them.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[schema(as = TrackBatch)]
struct Batch {
    /// Name of the phone's making, up to 64 letters, digits and `-`; the same again is kept once.
    batch: String,
    /// The phone's time as it sends.
    #[schema(value_type = String, format = DateTime)]
    sent_at: Timestamp,
    /// Where it was, by the phone's time; up to 1000.
    positions: Vec<Position>,
}

async fn keep(
    tx: &mut Tx<'_>,
    vault: &Vault,
    order: &OrderId,
    spans: &[(Timestamp, Timestamp)],
    batch: &Batch,
) -> Result<(), ApiError> {
    let (tenant, now): (TenantId, _) = (tx.tenant().clone(), tx.now());
    let ahead = ahead_ms(batch.sent_at, now);
    let within = |p: &Position| spans.iter().any(|(start, end)| p.at >= *start && p.at <= *end);
    let kept: Vec<Position> = batch
        .positions
        .iter()
        .map(|p| p.corrected(ahead))
        .filter(within)
        .collect();
    let (Some(from), Some(to)) = (kept.iter().map(|p| p.at).min(), kept.iter().map(|p| p.at).max()) else {
        return Ok(());
    };
    let body = serde_json::to_vec(&kept).map_err(ApiError::internal)?;
    let (body, count) = (vault.seal(&tenant, PURPOSE, &body)?, kept.len());
    tx.exec(
        "INSERT INTO nursing_track(tenant_id, order_id, batch, from_at, to_at, positions, clock_ahead_ms, body_sealed, received_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
        &[&tenant, order, &batch.batch, &from, &to, &count, &ahead, &body, &now],
    )
    .await?;
    Ok(())
}

/// Where the nurse is, in batches; while the visit goes on, and after it what the line held up.
#[utoipa::path(post, path = "/nurse/orders/{id}/track", tag = "nursing", params(("id" = String, Path)), request_body = Batch,
    responses((status = 204), (status = 404, body = base::error::ErrorBody), (status = 409, body = base::error::ErrorBody),
        (status = 422, body = base::error::ErrorBody)))]
async fn post(
    Extract(ctx): Extract<Ctx>,
    staff: Staff<Nurses>,
    Path(id): Path<String>,
    Json(batch): Json<Batch>,
) -> Result<StatusCode, ApiError> {
    let id = OrderId::parse(&id).ok_or_else(ApiError::not_found)?;
    let named =
        (1..=64).contains(&batch.batch.len()) && batch.batch.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !named {
        return Err(ApiError::field("batch", "批次号应为64位以内的字母、数字或“-”"));
    }
    if batch.positions.len() > MOST || !batch.positions.iter().all(Position::is_sound) {
        return Err(ApiError::field("positions", "定位数据有误"));
    }
    let (nurse, deps) = (staff.id.clone(), ctx.clone());
    ctx.store
        .write(&staff.scope(), move |tx| {
            let (id, nurse, deps, batch) = (id.clone(), nurse.clone(), deps.clone(), batch.clone());
            Box::pin(async move {
                let order = sql::get(tx, &id).await?.ok_or_else(ApiError::not_found)?;
                let parts = part::of_order(tx, &id).await?;
                let spans = part::spans(&order, &parts, nurse.as_str(), tx.now());
                if spans.is_empty() {
                    return Err(if order.nurse_id == nurse.as_str() {
                        ApiError::conflict("order_state", "服务尚未开始，不记录轨迹")
                    } else {
                        ApiError::not_found()
                    });
                }
                keep(tx, &deps.vault, &id, &spans, &batch).await
            })
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The track of an order.
#[derive(Debug, Serialize, ToSchema)]
struct TrackView {
    /// Id of the order.
    order: String,
    /// Its number, as custody entries name it.
    order_no: String,
    /// Who went.
    nurse_name: String,
    /// When the visit began.
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
    /// Where the nurse was, oldest first, by the hospital's time.
    positions: Vec<Position>,
}

/// Where the nurse of an order was, found by the order's id or number. Each look is audited.
#[utoipa::path(get, path = "/admin/nursing/orders/{id}/track", tag = "nursing",
    params(("id" = String, Path, description = "Id or number of the order")),
    responses((status = 200, body = TrackView), (status = 404, body = base::error::ErrorBody)))]
async fn show(
    Extract(ctx): Extract<Ctx>,
    staff: Staff<SeesFootage>,
    Path(name): Path<String>,
) -> Result<Json<TrackView>, ApiError> {
    let vault = ctx.vault.clone();
    let track = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (name, vault) = (name.clone(), vault.clone());
            Box::pin(async move {
                let order = sql::named(tx, &name).await?.ok_or_else(ApiError::not_found)?;
                let positions = positions(tx, &vault, &order.id).await?;
                let detail = json!({ "positions": positions.len() });
                audit::record(tx, "nursing.track", order.id.as_str(), detail).await?;
                Ok::<_, ApiError>(TrackView {
                    order: order.id.into_string(),
                    order_no: order.no,
                    nurse_name: order.nurse_name,
                    started_at: order.started_at,
                    finished_at: order.finished_at,
                    positions,
                })
            })
        })
        .await?;
    Ok(Json(track))
}

pub(super) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new().routes(routes!(post)).routes(routes!(show))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_whose_clock_is_wrong_is_put_right_and_one_that_is_near_is_left_alone() {
        let now = Timestamp::from_seconds(1_000_000);
        assert_eq!(ahead_ms(Timestamp::from_seconds(1_000_001), now), 0);
        assert_eq!(ahead_ms(Timestamp::from_seconds(1_000_180), now), 180_000);
        assert_eq!(ahead_ms(Timestamp::from_seconds(999_000), now), -1_000_000);
        let there = Position {
            at: Timestamp::from_seconds(1_000_180),
            latitude: 26.42,
            longitude: 111.61,
            accuracy_m: 12.0,
        };
        assert_eq!(there.corrected(180_000).at, now);
        assert!(there.is_sound());
        for (latitude, longitude, accuracy_m) in [
            (91.0, 0.0, 1.0),
            (0.0, 181.0, 1.0),
            (0.0, 0.0, -1.0),
            (f64::NAN, 0.0, 1.0),
        ] {
            assert!(
                !Position {
                    latitude,
                    longitude,
                    accuracy_m,
                    ..there
                }
                .is_sound()
            );
        }
    }
}
