//! A journal row, as it is stored and as it is read.

use records::Timestamp;
use serde_json::Value;

use super::{Origin, State, Work};

pub(super) const COLUMNS: &str = Stored::COLUMNS;

store::row! {
    pub(super) struct Stored {
        key: String, seq: u64, origin: Origin, method: String, subject: String, request: Value, digest: String,
        state: State, generation: u32, sent: u32, attempts: u32, next_at: Timestamp, created_at: Timestamp,
        unknown_since: Option<Timestamp>, claimed: Option<Value>, outcome: Option<Value>, reason: String,
        changed_at: Timestamp,
    }
}

/// A journal row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Idempotency key.
    pub key: String,
    /// Order of arrival.
    pub seq: u64,
    /// Who wants it.
    pub origin: Origin,
    /// Operation.
    pub method: String,
    /// What it concerns.
    pub subject: String,
    /// The request.
    pub request: Value,
    /// Digest of operation and request.
    pub digest: String,
    /// Where it stands.
    pub work: Work,
    /// Last change.
    pub changed_at: Timestamp,
}

impl From<Stored> for Entry {
    fn from(s: Stored) -> Self {
        let read = |v: Option<Value>| v.and_then(|v| serde_json::from_value(v).ok());
        Self {
            key: s.key,
            seq: s.seq,
            origin: s.origin,
            method: s.method,
            subject: s.subject,
            request: s.request,
            digest: s.digest,
            work: Work {
                state: s.state,
                generation: s.generation,
                sent: s.sent,
                attempts: s.attempts,
                next_at: s.next_at,
                created_at: s.created_at,
                unknown_since: s.unknown_since,
                claimed: read(s.claimed),
                outcome: read(s.outcome),
                reason: s.reason,
            },
            changed_at: s.changed_at,
        }
    }
}
