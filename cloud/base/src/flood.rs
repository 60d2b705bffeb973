//! What strangers may send as often as they like, and what is written down of it: the first few of a minute in full,
//! the rest as a number. A minute that is over becomes one row of the audit chain, and its counters go.
//!
//! A source's address can be made up, so there is also a limit for all sources together; beyond it nothing but one
//! number grows.

use std::collections::BTreeMap;

use serde_json::json;
use store::{StoreError, Tx};

use crate::audit;

/// Kept in full of one source in one minute.
const EACH: u64 = 5;
/// Kept in full of all sources in one minute.
const ALL: u64 = 50;
/// The name under which all sources are counted.
const TOGETHER: &str = "*";
/// Longest name of a source.
const LONGEST: usize = 64;

const MINUTE: i64 = 60_000_000;

async fn one_more(tx: &mut Tx<'_>, kind: &str, source: &str) -> Result<u64, StoreError> {
    let (tenant, minute) = (tx.tenant().clone(), tx.now().as_micros() / MINUTE);
    let (times,): (u64,) = tx
        .one(
            "INSERT INTO base_flood(tenant_id, kind, minute, source, times) VALUES ($1, $2, $3, $4, 1)
             ON CONFLICT (tenant_id, kind, minute, source) DO UPDATE SET times = base_flood.times + 1 RETURNING times",
            &[&tenant, &kind, &minute, &source],
        )
        .await?;
    Ok(times)
}

/// Counts one of a kind (e.g. `payment.notice_refused`) from a source (an address). Answers whether it is to be written
/// down in full.
pub async fn count(tx: &mut Tx<'_>, kind: &str, source: &str) -> Result<bool, StoreError> {
    if one_more(tx, kind, TOGETHER).await? > ALL {
        return Ok(false);
    }
    let source: String = source.chars().take(LONGEST).collect();
    Ok(one_more(tx, kind, &source).await? <= EACH)
}

/// Puts minutes that are over into the audit chain, where more came than was kept in full, and forgets their counters.
pub(crate) async fn sum_up(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now().as_micros() / MINUTE);
    let rows: Vec<(String, i64, String, u64)> = tx
        .all(
            "SELECT kind, minute, source, times FROM base_flood WHERE tenant_id = $1 AND minute < $2 ORDER BY minute, kind",
            &[&tenant, &now],
        )
        .await?;
    if rows.is_empty() {
        return Ok(());
    }
    let mut minutes: BTreeMap<(i64, String), (u64, BTreeMap<String, u64>)> = BTreeMap::new();
    for (kind, minute, source, times) in rows {
        let (all, sources) = minutes.entry((minute, kind)).or_default();
        if source == TOGETHER {
            *all = times;
        } else {
            sources.insert(source, times);
        }
    }
    for ((minute, kind), (all, mut sources)) in minutes {
        sources.retain(|_, times| *times > EACH);
        if all > ALL || !sources.is_empty() {
            let minute = records::Timestamp::from_micros(minute * MINUTE);
            let detail = json!({ "minute": minute.to_string(), "times": all, "sources": sources });
            audit::record(tx, &format!("{kind}.flood"), "", detail).await?;
        }
    }
    tx.exec(
        "DELETE FROM base_flood WHERE tenant_id = $1 AND minute < $2",
        &[&tenant, &now],
    )
    .await
    .map(drop)
}
