//! What the two ends bring along: what entries do, who answers calls, and how a line stands.

use std::time::Duration;

use async_trait::async_trait;
use engine::{Alarm, DownReason};
use records::{Outcome, PeerId, Timestamp};
use serde_json::Value;
use store::{Entry, StoreError, Tx};

/// Why an entry could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Nobody here knows this entry, or it cannot be read: it is kept aside with this reason, and the log goes on.
    #[error("{0}")]
    Park(String),
    /// The store refused; transient refusals are tried again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ApplyError {
    /// The usual answer to a kind this build does not know.
    pub fn unknown_kind(kind: &str) -> Self {
        Self::Park(format!("unknown kind {kind}"))
    }
}

/// What log entries from the other end do here.
#[async_trait]
pub trait Inbox: Send + Sync + 'static {
    /// Applies one entry inside the unit of work that also moves the cursor. It is called exactly once per entry in
    /// effect; what it wrote is undone when it fails. Await nothing but `tx`.
    async fn apply(&self, tx: &mut Tx<'_>, from: &PeerId, entry: &Entry) -> Result<(), ApplyError>;
}

/// A call as its handler sees it.
#[derive(Clone, Debug)]
pub struct Call {
    /// Canonical operation name.
    pub method: String,
    /// Idempotency key; present exactly when the call writes.
    pub key: Option<String>,
    /// The operation's request.
    pub body: Value,
    /// How long the asker still waits. Nothing need be begun that takes longer.
    pub remaining: Duration,
}

/// Answers calls.
#[async_trait]
pub trait Calls: Send + Sync + 'static {
    /// Answers one call. A reading call may be stopped at any await when nobody waits any more; a writing call (with
    /// a key) never is.
    async fn handle(&self, call: Call) -> Outcome<Value>;
}

/// Why a line is down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outage {
    /// The ends told each other, or one heard nothing from the other.
    Line(DownReason),
    /// The connection failed; in the words of who noticed, for the engineer.
    Wire(String),
}

/// How a line stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkStatus {
    /// Whether the other end is there.
    pub online: bool,
    /// Since when it is (or is not).
    pub since: Timestamp,
    /// The last measured round trip (measured by the appliance).
    pub rtt: Option<Duration>,
    /// Entries that wait for the other end.
    pub buffer_depth: u64,
    /// Why the line is down.
    pub reason: Option<Outage>,
    /// The last alarm, if any.
    pub alarm: Option<Alarm>,
}

impl LinkStatus {
    pub(crate) const fn new(since: Timestamp) -> Self {
        Self {
            online: false,
            since,
            rtt: None,
            buffer_depth: 0,
            reason: None,
            alarm: None,
        }
    }
}
