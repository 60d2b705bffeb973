//! Looks at a recording: each is written to the audit.
//!
//! A player asks for a recording in many parts; what begins at the beginning is a look, and the parts after it belong to it.
//! A part that belongs to no look is one itself: who asks for all but the first byte has seen the recording as well.

use std::time::Duration;

use axum::extract::Request;
use axum::http::header;
use base::audit;
use records::footage::ClipId;
use serde_json::Value;
use store::{StoreError, Tx};

/// For so long after a look the parts somebody asks for belong to it.
const LASTS: Duration = Duration::from_secs(3600);

/// What is done, and whether from the beginning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    act: &'static str,
    begins: bool,
}

impl Look {
    /// The look that a request for bytes is.
    pub(super) fn of(act: &'static str, request: &Request) -> Self {
        let range = request.headers().get(header::RANGE).and_then(|r| r.to_str().ok());
        Self {
            act,
            begins: range.is_none_or(|r| r.starts_with("bytes=0-")),
        }
    }

    /// Writes it to the audit, unless it goes on with one that stands there.
    pub(super) async fn written(self, tx: &mut Tx<'_>, clip: &ClipId, detail: Value) -> Result<(), StoreError> {
        if !self.begins && self.goes_on(tx, clip).await? {
            return Ok(());
        }
        audit::record(tx, self.act, clip.as_str(), detail).await
    }

    async fn goes_on(self, tx: &mut Tx<'_>, clip: &ClipId) -> Result<bool, StoreError> {
        let (tenant, actor, since) = (tx.tenant().clone(), tx.actor().to_string(), tx.now().minus(LASTS));
        let (known,): (u64,) = tx
            .one(
                "SELECT COUNT(*) FROM base_audit WHERE tenant_id = $1 AND subject = $2 AND actor = $3 AND action = $4 AND at > $5",
                &[&tenant, &clip.as_str(), &actor, &self.act, &since],
            )
            .await?;
        Ok(known > 0)
    }
}
