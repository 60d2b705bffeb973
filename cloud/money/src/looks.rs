//! Whose turn it is to be looked after, of payments as of refunds: `look_at` and `looks` of their rows.

use std::time::Duration;

use store::{FromValue, StoreError, ToValue, Tx};

/// How long after handing out the channel's page the first look is taken: notices usually come sooner.
pub(crate) const FIRST: Duration = Duration::from_secs(5);

/// Growing pauses between looks: 2, 4, 8 … 60 seconds.
pub(crate) fn backoff(looks: i64) -> Duration {
    let doublings = u32::try_from(looks.clamp(0, 5)).unwrap_or(5);
    Duration::from_secs((2u64 << doublings).min(60))
}

/// Takes rows of `table` whose turn it is, and puts their next turn off by a growing while, so that another replica does
/// not take them at once.
pub(crate) async fn claim<Id>(tx: &mut Tx<'_>, table: &'static str, most: i64) -> Result<Vec<Id>, StoreError>
where
    Id: FromValue + ToValue + Send,
{
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let sql = format!("SELECT id, looks FROM {table} WHERE tenant_id = $1 AND look_at <= $2 ORDER BY look_at LIMIT $3");
    let due: Vec<(Id, i64)> = tx.all(&sql, &[&tenant, &now, &most]).await?;
    let off = format!("UPDATE {table} SET look_at = $3, looks = looks + 1 WHERE tenant_id = $1 AND id = $2");
    let mut taken = Vec::with_capacity(due.len());
    for (id, looks) in due {
        let next = now.plus(backoff(looks));
        tx.exec(&off, &[&tenant, &id, &next]).await?;
        taken.push(id);
    }
    Ok(taken)
}
