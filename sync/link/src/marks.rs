//! What a receiver remembers of the entries it committed: their marks (see [`engine::Mark`]), a row per few dozen numbers.
//!
//! They are written in the commit that applies the entries, so that they are as true as the cursor.

use engine::{Item, Mark};
use store::{Cursor, Migration, StoreError, StreamKey, Tx};

/// The table of marks. Each row holds those of [`BUCKET`] numbers as hexadecimal text: 16 digits of number, 16 of digest.
pub(crate) const MIGRATION: Migration = Migration {
    name: "link/0002_marks",
    sql: "CREATE TABLE link_mark(
            tenant_id TEXT NOT NULL, peer TEXT NOT NULL, lane BIGINT NOT NULL, epoch BIGINT NOT NULL, bucket BIGINT NOT NULL,
            marks TEXT NOT NULL,
            PRIMARY KEY (tenant_id, peer, lane, epoch, bucket));",
};

/// Numbers back from the cursor whose marks are kept: more entries than a sender may have unacknowledged (its credit is a
/// mebibyte, and the smallest entries of this product take about 250 bytes of it).
pub(crate) const REMEMBERED: u64 = 4096;
/// Numbers per row: a commit writes about one page.
const BUCKET: u64 = 64;
const DIGITS: usize = 16;

/// Keeps the marks of the items that moved the cursor from one number to another, and forgets those too old.
pub(crate) async fn keep(
    tx: &mut Tx<'_>,
    key: &StreamKey,
    epoch: u64,
    (before, after): (u64, u64),
    items: &[Item],
) -> Result<(), StoreError> {
    let oldest = after.saturating_sub(REMEMBERED) / BUCKET;
    let oldest_number = oldest * BUCKET;
    let fresh: Vec<Mark> = items
        .iter()
        .filter_map(|item| match item {
            Item::Entry(seq, entry) if *seq > before && *seq <= after => Some(Mark::of(*seq, entry)),
            // Where the memory begins with a gap, that is known as such and not as forgotten.
            Item::Gap { first, last } if *last > before && *first <= after => {
                Some(Mark::of_gap((*first).max(before + 1).max(oldest_number)))
            }
            _ => None,
        })
        .collect();
    for run in fresh.chunk_by(|a, b| a.seq / BUCKET == b.seq / BUCKET) {
        let bucket = run.first().map_or(0, |m| m.seq / BUCKET);
        let text: String = run.iter().map(|m| format!("{:016x}{:016x}", m.seq, m.digest)).collect();
        tx.exec(
            "INSERT INTO link_mark(tenant_id, peer, lane, epoch, bucket, marks) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (tenant_id, peer, lane, epoch, bucket) DO UPDATE SET marks = link_mark.marks || EXCLUDED.marks",
            &[&key.tenant, &key.peer, &key.lane, &epoch, &bucket, &text],
        )
        .await?;
    }
    if oldest > before.saturating_sub(REMEMBERED) / BUCKET {
        tx.exec(
            "DELETE FROM link_mark WHERE tenant_id = $1 AND peer = $2 AND lane = $3 AND epoch = $4 AND bucket < $5",
            &[&key.tenant, &key.peer, &key.lane, &epoch, &oldest],
        )
        .await?;
    }
    Ok(())
}

/// Whether items continue from the cursor. Those at or below it were committed by a try whose answer was lost; then they
/// have the marks that were kept, and not those of a twin that another process serves.
pub(crate) async fn continue_from(
    tx: &mut Tx<'_>,
    key: &StreamKey,
    at: Cursor,
    items: &[Item],
) -> Result<bool, StoreError> {
    let first = match items.first() {
        Some(Item::Entry(first, _) | Item::Gap { first, .. }) => *first,
        None => return Ok(true),
    };
    if first > at.seq {
        return Ok(first == at.seq + 1);
    }
    let kept = after(tx, key, at.epoch, first - 1).await?;
    Ok(items.iter().all(|item| match item {
        Item::Entry(seq, entry) if *seq <= at.seq => kept.contains(&Mark::of(*seq, entry)),
        _ => true,
    }))
}

/// The marks beyond a number that are still known, ascending.
pub(crate) async fn after(tx: &mut Tx<'_>, key: &StreamKey, epoch: u64, number: u64) -> Result<Vec<Mark>, StoreError> {
    let rows: Vec<(String,)> = tx
        .all(
            "SELECT marks FROM link_mark WHERE tenant_id = $1 AND peer = $2 AND lane = $3 AND epoch = $4 AND bucket >= $5
             ORDER BY bucket",
            &[&key.tenant, &key.peer, &key.lane, &epoch, &(number / BUCKET)],
        )
        .await?;
    let marks = rows.iter().flat_map(|(text,)| read(text));
    Ok(marks.filter(|m| m.seq > number).collect())
}

/// The marks in a row's text; the first that cannot be read ends it, as if the rest had been forgotten.
fn read(text: &str) -> impl Iterator<Item = Mark> {
    let hex = |digits: &str| u64::from_str_radix(digits, 16).ok();
    let mut rest = text;
    std::iter::from_fn(move || {
        let (seq, more) = rest.split_at_checked(DIGITS)?;
        let (digest, more) = more.split_at_checked(DIGITS)?;
        rest = more;
        Some(Mark {
            seq: hex(seq)?,
            digest: hex(digest)?,
        })
    })
}
