//! Files of derived objects that nobody names. What is made goes among the kept files first and gets its row after; who dies
//! between leaves a file behind. So that it is found again, a note with its digest is written before ([`noted`]) and goes away
//! with the row. A note as old as [`FORGOTTEN`] belongs to somebody who died: its file goes, unless a row or an original has
//! the same content. Files without a note, originals among them, are never looked at.

use std::time::Duration;

use base::{ApiError, Ctx};
use records::Timestamp;
use store::{Scope, StoreError, Tx};

use super::DerivedId;

/// The longest job takes eight hours, and its note is written at its end.
const FORGOTTEN: Duration = Duration::from_secs(24 * 3600);
/// Notes looked at in a round.
const AT_ONCE: u32 = 50;

/// Notes that a file of this digest is about to be taken in.
pub(super) async fn noted(tx: &mut Tx<'_>, digest: &str, object: &DerivedId) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.exec(
        "INSERT INTO nursing_taking(tenant_id, digest, object, since) VALUES ($1, $2, $3, $4)
         ON CONFLICT (tenant_id, digest) DO UPDATE SET object = excluded.object, since = excluded.since",
        &[&tenant, &digest, object, &now],
    )
    .await
    .map(drop)
}

/// Its row is there.
pub(super) async fn named(tx: &mut Tx<'_>, digest: &str) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    tx.exec(
        "DELETE FROM nursing_taking WHERE tenant_id = $1 AND digest = $2",
        &[&tenant, &digest],
    )
    .await
    .map(drop)
}

/// Removes what was forgotten.
pub(super) async fn sweep(ctx: &Ctx, scope: &Scope) -> Result<(), ApiError> {
    let before = ctx.now().minus(FORGOTTEN);
    let old: Vec<(String,)> = ctx
        .store
        .read(scope, move |tx| {
            Box::pin(async move {
                let tenant = tx.tenant().clone();
                tx.all(
                    "SELECT digest FROM nursing_taking WHERE tenant_id = $1 AND since < $2 ORDER BY since LIMIT $3",
                    &[&tenant, &before, &AT_ONCE],
                )
                .await
            })
        })
        .await
        .map_err(|e: StoreError| e)?;
    for (digest,) in old {
        let (outer, wanted) = (ctx.clone(), digest.clone());
        let removed = ctx
            .store
            .write(scope, move |tx| {
                let (ctx, digest) = (outer.clone(), wanted.clone());
                Box::pin(async move { forget(&ctx, tx, &digest, before).await })
            })
            .await?;
        if removed {
            tracing::info!(blob.digest = digest, "a derived file that nobody named was removed");
        }
    }
    Ok(())
}

/// The file goes within the unit that takes its note away: whoever makes the same content meanwhile waits with the note of
/// their own, and brings the file again after it.
async fn forget(ctx: &Ctx, tx: &mut Tx<'_>, digest: &str, before: Timestamp) -> Result<bool, ApiError> {
    let tenant = tx.tenant().clone();
    let taken = tx
        .exec(
            "DELETE FROM nursing_taking WHERE tenant_id = $1 AND digest = $2 AND since < $3",
            &[&tenant, &digest, &before],
        )
        .await?;
    let (known,): (u64,) = tx
        .one(
            "SELECT (SELECT COUNT(*) FROM base_blob WHERE tenant_id = $1 AND digest = $2)
                  + (SELECT COUNT(*) FROM nursing_clip WHERE tenant_id = $1 AND sm3 = $2)",
            &[&tenant, &digest],
        )
        .await?;
    if taken == 0 || known > 0 {
        return Ok(false);
    }
    ctx.blobs.drop_nameless(&tenant, digest).map_err(ApiError::internal)
}
