//! Uploads of appliances that nobody went on with, and whole ones that nobody took: the answer that named them was lost.

use std::sync::Arc;
use std::time::Duration;

use base::Ctx;
use fleet::Fleet;
use link::blob::{Expired, FolderSink};
use link::cloud::Registry;
use store::{Scope, StoreError};
use tokio_util::sync::CancellationToken;

use crate::line::Register;

/// How often they are looked for.
const EVERY: Duration = Duration::from_secs(600);

/// Forgets what was not added to for `hours`, until we stop. An appliance that comes back begins that file anew.
pub(crate) async fn forget_stale(files: Arc<FolderSink>, fleet: Fleet, ctx: Ctx, hours: u32, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let before = ctx.now().minus(Duration::from_secs(u64::from(hours) * 3600));
        match files.expire(before).await {
            Ok(gone) => {
                for upload in gone {
                    note(&fleet, &ctx, upload, hours).await;
                }
            }
            Err(error) => tracing::error!(%error, "stale uploads not looked for"),
        }
        match files.expire_whole(before).await {
            Ok(gone) => {
                for (digest, bytes) in gone {
                    tracing::warn!(blob.digest = %digest, blob.bytes = bytes, "an upload that nobody took was forgotten");
                }
            }
            Err(error) => tracing::error!(%error, "untaken uploads not looked for"),
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// In the log, and in the audit of the hospital whose appliance it was.
async fn note(fleet: &Fleet, ctx: &Ctx, upload: Expired, hours: u32) {
    let Expired { edge, digest, bytes } = upload;
    tracing::warn!(blob.edge = %edge, blob.digest = %digest, blob.bytes = bytes, "a half-finished upload was forgotten");
    let Some(tenant) = Register(fleet.clone()).hospital(&edge).await else {
        return;
    };
    let detail = serde_json::json!({ "appliance": edge, "bytes": bytes, "hours": hours });
    let written = ctx
        .store
        .write(&Scope::system(tenant), move |tx| {
            let (digest, detail) = (digest.to_string(), detail.clone());
            Box::pin(async move {
                base::audit::record(tx, "upload.forget", &digest, detail).await?;
                Ok::<_, StoreError>(())
            })
        })
        .await;
    if let Err(error) = written {
        tracing::error!(%error, "a forgotten upload was not written to the audit");
    }
}
