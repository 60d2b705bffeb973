//! How often something may be tried, counted in the database so that restarts and replicas count together.

use std::time::Duration;

use records::Timestamp;
use store::Tx;

use crate::ApiError;

/// The longest window that may be counted in.
pub const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Counts one try of `name` (e.g. `sms:` and the phone's index); refuses when more than `limit` fall in one `window`
/// of at most [`LONGEST`].
///
/// The count must survive the refusal, so call it in a unit of its own and look at the answer outside.
pub async fn hit(
    tx: &mut Tx<'_>,
    name: &str,
    limit: u32,
    window: Duration,
) -> Result<Result<(), ApiError>, store::StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let oldest = now.minus(window);
    let (start, count): (Timestamp, u32) = tx
        .one(
            "INSERT INTO base_throttle(tenant_id, name, window_start, count) VALUES ($1, $2, $3, 1)
             ON CONFLICT (tenant_id, name) DO UPDATE SET
                count = CASE WHEN base_throttle.window_start <= $4 THEN 1 ELSE base_throttle.count + 1 END,
                window_start = CASE WHEN base_throttle.window_start <= $4 THEN EXCLUDED.window_start ELSE base_throttle.window_start END
             RETURNING window_start, count",
            &[&tenant, &name, &now, &oldest],
        )
        .await?;
    if count > limit {
        let wait = start.plus(window).since(now).as_secs().max(1);
        return Ok(Err(ApiError::too_many(wait)));
    }
    Ok(Ok(()))
}

/// Forgets counters that count no more: names can be made up without end.
pub(crate) async fn forget(tx: &mut Tx<'_>) -> Result<u64, store::StoreError> {
    let (tenant, over) = (tx.tenant().clone(), tx.now().minus(LONGEST));
    tx.exec(
        "DELETE FROM base_throttle WHERE tenant_id = $1 AND window_start <= $2",
        &[&tenant, &over],
    )
    .await
}
