//! What the spool keeps, and for how long. A slip says who somebody is and what they have; once it is on paper, or given
//! up, nobody needs it here: after a while its content is blanked. Key, kind, printer, states and times stay, so that it
//! is still printed once and still accounted for. What waits, or may be on paper, is never touched.
//!
//! A blanked slip is printed again only by whoever brings its content once more ([`Hub::reprint`]).

use std::time::Duration;

use records::{PrintJob, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Migration, StoreError, Tx};
use tokio_util::sync::CancellationToken;

use crate::hub::Hub;
use crate::spool::{self, Job, Refusal, Step};

pub(crate) const MIGRATION: Migration = Migration {
    name: "hub/0003_blanked",
    sql: "
ALTER TABLE print_job ADD COLUMN blanked_at BIGINT;
CREATE INDEX print_job_kept ON print_job (tenant_id, changed_at) WHERE blanked_at IS NULL;
",
};

/// `[print_spool]` of the appliance's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keeping {
    /// Minutes the content of a slip is kept after it was printed or given up; long enough for another copy of a slip
    /// that jammed.
    pub printed_min: u32,
}

impl Default for Keeping {
    fn default() -> Self {
        Self { printed_min: 60 }
    }
}

/// Between two looks.
const LOOK: Duration = Duration::from_secs(60);

/// Blanks what was printed or given up before.
async fn blank(tx: &mut Tx<'_>, before: Timestamp) -> Result<u64, StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let sql = "UPDATE print_job SET slip = 'null', blanked_at = $3
               WHERE tenant_id = $1 AND changed_at < $2 AND blanked_at IS NULL AND state IN ('printed', 'failed')";
    tx.exec(sql, &[&tenant, &before, &now]).await
}

impl Hub {
    /// Blanks slips that were printed or given up before an instant; how many.
    ///
    /// # Errors
    /// Of the database.
    pub async fn blank(&self, before: Timestamp) -> Result<u64, StoreError> {
        let done = self.inner.store.write(&self.inner.scope, move |tx| {
            Box::pin(async move { blank(tx, before).await })
        });
        done.await
    }

    /// Blanks what is due until stopped.
    pub async fn forget(&self, keeping: Keeping, stop: CancellationToken) {
        let kept = Duration::from_secs(u64::from(keeping.printed_min) * 60);
        loop {
            let before = self.inner.store.clock().now().minus(kept);
            match self.blank(before).await {
                Ok(0) => {}
                Ok(count) => tracing::info!(print.blanked = count, "the content of printed slips was blanked"),
                Err(error) => tracing::error!(%error, "printed slips were not blanked"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Another copy of a job that is over, with its content brought once more, at the printer the job now names.
    ///
    /// # Errors
    /// Of the database; `Ok(Err(_))` when it is not over, or was never there.
    pub async fn reprint(&self, job: PrintJob, by: &str) -> Result<Result<Job, Refusal>, StoreError> {
        let note = format!("人工要求补打（{by}）");
        let done = self.inner.store.write(&self.inner.scope, move |tx| {
            let (job, note) = (job.clone(), note.clone());
            Box::pin(async move {
                let slip = serde_json::to_value(&job.slip).unwrap_or_default();
                let tenant = tx.tenant().clone();
                tx.exec(
                    "UPDATE print_job SET printer = $3, kind = $4, slip = $5, blanked_at = NULL
                     WHERE tenant_id = $1 AND key = $2 AND state IN ('printed', 'failed')",
                    &[&tenant, &job.key, &job.printer, &job.kind.as_str(), &slip],
                )
                .await?;
                spool::step(tx, &job.key, Step::Reprint, &note).await
            })
        });
        let done = done.await;
        self.wake();
        done
    }
}
