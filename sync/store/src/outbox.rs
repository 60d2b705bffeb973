//! What waits for the peer. An entry is appended in the unit that makes the business change; sequence numbers of a
//! stream have no holes and follow commit order, because the stream's row is the queue of its writers.
//!
//! An entry stays after its acknowledgement until [`Store::outbox_prune`], so that a peer restored from a backup can
//! be served again.

use records::{Lane, PeerId, Timestamp};
use serde_json::Value as Json;

use crate::{Dialect, Scope, Store, StoreError, StreamKey, ToValue, Tx};

/// Run on a full disk once the ballast is gone: frees telemetry that a newer value replaces, and what the peer has already.
pub(crate) const RELIEF: [&str; 5] = [
    "PRAGMA wal_checkpoint(TRUNCATE)",
    "DELETE FROM store_outbox WHERE lane = 3 AND seq NOT IN (
        SELECT MAX(n.seq) FROM store_outbox n WHERE n.lane = 3 GROUP BY n.tenant_id, n.peer, n.kind, n.entity)",
    "DELETE FROM store_outbox WHERE seq <= (SELECT acked_seq FROM store_stream s WHERE s.tenant_id = store_outbox.tenant_id
        AND s.peer = store_outbox.peer AND s.lane = store_outbox.lane)",
    "PRAGMA incremental_vacuum",
    "PRAGMA wal_checkpoint(TRUNCATE)",
];

/// A log entry as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Position in its stream, from 1.
    pub seq: u64,
    /// What it is, e.g. `his.command`.
    pub kind: String,
    /// What it is about; orders and routes, may be empty.
    pub entity: String,
    /// When it was appended, by the sender's clock.
    pub at: Timestamp,
    /// JSON text.
    pub body: String,
}

impl crate::FromRow for Entry {
    fn from_row(row: &crate::Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            seq: row.get(0)?,
            kind: row.get(1)?,
            entity: row.get(2)?,
            at: row.get(3)?,
            body: row.get(4)?,
        })
    }
}

/// Where a stream towards a peer stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamState {
    /// Which stream.
    pub key: StreamKey,
    /// Changes when this end lost its past (restored, cloned); cursors of another epoch mean nothing.
    pub epoch: u64,
    /// The newest entry; 0 before the first.
    pub last_seq: u64,
    /// The peer has applied up to here.
    pub acked_seq: u64,
    /// The oldest entry still stored (`last_seq + 1` when none is).
    pub first_retained: u64,
}

impl StreamState {
    /// Entries that wait for the peer.
    pub const fn depth(&self) -> u64 {
        self.last_seq.saturating_sub(self.acked_seq)
    }
}

/// Takes the next number of a stream.
const NUMBER: &str =
    "INSERT INTO store_stream(tenant_id, peer, lane, epoch, last_seq, acked_seq) VALUES ($1, $2, $3, $4, 1, 0)
    ON CONFLICT (tenant_id, peer, lane) DO UPDATE SET last_seq = store_stream.last_seq + 1 RETURNING last_seq";

impl Tx<'_> {
    /// Appends an entry to the stream towards `to`, to be committed with this unit. Answers its sequence number.
    pub async fn append(
        &mut self,
        to: &PeerId,
        lane: Lane,
        kind: &str,
        entity: &str,
        body: &Json,
    ) -> Result<u64, StoreError> {
        let (tenant, now) = (self.tenant().clone(), self.now());
        let seq = match self.dialect() {
            Dialect::Sqlite => {
                let (seq,): (u64,) = self.one(NUMBER, &[&tenant, to, &lane, &now]).await?;
                self.exec(
                    "INSERT INTO store_outbox(tenant_id, peer, lane, seq, kind, entity, at, body)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                    &[&tenant, to, &lane, &seq, &kind, &entity, &now, body],
                )
                .await?;
                seq
            }
            // SQLite has no INSERT in a WITH; here it saves a way to the server and back.
            Dialect::Postgres => {
                let sql = format!(
                    "WITH number AS ({NUMBER})
                     INSERT INTO store_outbox(tenant_id, peer, lane, seq, kind, entity, at, body)
                     SELECT $1, $2, $3, last_seq, $5, $6, $4, $7 FROM number RETURNING seq"
                );
                let params: [&dyn ToValue; 7] = [&tenant, to, &lane, &now, &kind, &entity, body];
                let (seq,): (u64,) = self.one(&sql, &params).await?;
                seq
            }
        };
        self.trace.grown.push((StreamKey::new(tenant, to.clone(), lane), seq));
        Ok(seq)
    }
}

type StateRow = (PeerId, Lane, u64, u64, u64, u64);

const STATES: &str = "SELECT s.peer, s.lane, s.epoch, s.last_seq, s.acked_seq,
    COALESCE((SELECT MIN(o.seq) FROM store_outbox o WHERE o.tenant_id = s.tenant_id AND o.peer = s.peer AND o.lane = s.lane),
             s.last_seq + 1)
    FROM store_stream s WHERE s.tenant_id = $1 ORDER BY s.peer, s.lane";

/// The outbox as the line reads it.
impl Store {
    /// All streams of a hospital that ever had an entry.
    pub async fn streams(&self, scope: &Scope) -> Result<Vec<StreamState>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(scope, move |tx| {
            let tenant = tenant.clone();
            Box::pin(async move {
                let rows: Vec<StateRow> = tx.all(STATES, &[&tenant]).await?;
                Ok(rows
                    .into_iter()
                    .map(|(peer, lane, epoch, last_seq, acked_seq, first_retained)| StreamState {
                        key: StreamKey::new(tenant.clone(), peer, lane),
                        epoch,
                        last_seq,
                        acked_seq,
                        first_retained,
                    })
                    .collect())
            })
        })
        .await
    }

    /// One stream, opened if it never had an entry (so that it has its epoch from the first greeting on).
    pub async fn stream(&self, key: &StreamKey) -> Result<StreamState, StoreError> {
        let scope = Scope::system(key.tenant.clone());
        let known = self.streams(&scope).await?.into_iter().find(|s| s.key == *key);
        if let Some(state) = known {
            return Ok(state);
        }
        let wanted = key.clone();
        self.write_relieving(&scope, move |tx| {
            let key = wanted.clone();
            Box::pin(async move {
                let now = tx.now();
                tx.exec(
                    "INSERT INTO store_stream(tenant_id, peer, lane, epoch, last_seq, acked_seq) VALUES ($1, $2, $3, $4, 0, 0)
                     ON CONFLICT (tenant_id, peer, lane) DO NOTHING",
                    &[&key.tenant, &key.peer, &key.lane, &now],
                )
                .await?;
                Ok::<_, StoreError>(())
            })
        })
        .await?;
        self.streams(&scope)
            .await?
            .into_iter()
            .find(|s| s.key == *key)
            .ok_or(StoreError::Closed)
    }

    /// Entries after `seq`, in order: at most `max_entries`, and at most `max_bytes` of bodies (but always one).
    pub async fn outbox_after(
        &self,
        key: &StreamKey,
        seq: u64,
        max_entries: usize,
        max_bytes: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let wanted = key.clone();
        let mut entries: Vec<Entry> = self
            .read(&Scope::system(key.tenant.clone()), move |tx| {
                let key = wanted.clone();
                Box::pin(async move {
                    tx.all(
                        "SELECT seq, kind, entity, at, body FROM store_outbox
                         WHERE tenant_id = $1 AND peer = $2 AND lane = $3 AND seq > $4 ORDER BY seq LIMIT $5",
                        &[&key.tenant, &key.peer, &key.lane, &seq, &max_entries],
                    )
                    .await
                })
            })
            .await?;
        let mut bytes = 0;
        let fits = entries
            .iter()
            .take_while(|entry| {
                bytes += entry.body.len();
                bytes <= max_bytes
            })
            .count();
        entries.truncate(fits.max(1));
        Ok(entries)
    }

    /// The peer has applied everything up to `seq` of this epoch. Older and foreign acknowledgements change nothing.
    pub async fn outbox_ack(&self, key: &StreamKey, epoch: u64, seq: u64) -> Result<(), StoreError> {
        let wanted = key.clone();
        self.write_relieving(&Scope::system(key.tenant.clone()), move |tx| {
            let key = wanted.clone();
            Box::pin(async move {
                tx.exec(
                    "UPDATE store_stream SET acked_seq = $5 WHERE tenant_id = $1 AND peer = $2 AND lane = $3
                     AND epoch = $4 AND acked_seq < $5 AND last_seq >= $5",
                    &[&key.tenant, &key.peer, &key.lane, &epoch, &seq],
                )
                .await
                .map(drop)
            })
        })
        .await
    }

    /// Entries of a stream that wait for the peer and are still there.
    pub async fn outbox_waiting(&self, key: &StreamKey) -> Result<u64, StoreError> {
        let wanted = key.clone();
        self.read(&Scope::system(key.tenant.clone()), move |tx| {
            let key = wanted.clone();
            Box::pin(async move {
                let (waiting,): (u64,) = tx
                    .one(
                        "SELECT COUNT(*) FROM store_outbox WHERE tenant_id = $1 AND peer = $2 AND lane = $3 AND seq > (
                            SELECT s.acked_seq FROM store_stream s WHERE s.tenant_id = $1 AND s.peer = $2 AND s.lane = $3)",
                        &[&key.tenant, &key.peer, &key.lane],
                    )
                    .await?;
                Ok(waiting)
            })
        })
        .await
    }

    /// Of what waits on a lane, keeps the newest entry of each kind and entity, and of those at most the newest `most`;
    /// answers how many went. The peer is told of the hole when the next entry is sent. For lanes whose entries are
    /// states, not events.
    pub async fn outbox_coalesce(&self, key: &StreamKey, most: u64) -> Result<u64, StoreError> {
        const WAITING: &str =
            "tenant_id = $1 AND peer = $2 AND lane = $3 AND seq > (SELECT s.acked_seq FROM store_stream s
            WHERE s.tenant_id = $1 AND s.peer = $2 AND s.lane = $3)";
        let wanted = key.clone();
        self.write_relieving(&Scope::system(key.tenant.clone()), move |tx| {
            let key = wanted.clone();
            Box::pin(async move {
                let older = format!(
                    "DELETE FROM store_outbox WHERE {WAITING} AND seq NOT IN (
                        SELECT MAX(seq) FROM store_outbox WHERE tenant_id = $1 AND peer = $2 AND lane = $3 GROUP BY kind, entity)"
                );
                let beyond = format!(
                    "DELETE FROM store_outbox WHERE {WAITING} AND seq <= (
                        SELECT seq FROM store_outbox WHERE {WAITING} ORDER BY seq DESC LIMIT 1 OFFSET $4)"
                );
                let older = tx.exec(&older, &[&key.tenant, &key.peer, &key.lane]).await?;
                let beyond = tx.exec(&beyond, &[&key.tenant, &key.peer, &key.lane, &most]).await?;
                Ok(older + beyond)
            })
        })
        .await
    }

    /// Forgets acknowledged entries appended before `before`; answers how many.
    pub async fn outbox_prune(&self, scope: &Scope, before: Timestamp) -> Result<u64, StoreError> {
        self.write_relieving(scope, move |tx| {
            Box::pin(async move {
                let tenant = tx.tenant().clone();
                tx.exec(
                    "DELETE FROM store_outbox WHERE tenant_id = $1 AND at < $2 AND seq <= (
                        SELECT s.acked_seq FROM store_stream s WHERE s.tenant_id = store_outbox.tenant_id
                        AND s.peer = store_outbox.peer AND s.lane = store_outbox.lane)",
                    &[&tenant, &before],
                )
                .await
            })
        })
        .await
    }

    /// This end lost its past: the peer knows entries of this stream that we do not. Begins a new epoch, in which the
    /// retained entries keep their numbers; nothing is counted as acknowledged. Its number is the time, or one beyond the
    /// present when the clock is behind it, plus `scatter`: copies of one disk must not choose the same.
    pub async fn renew_epoch(&self, key: &StreamKey, scatter: u64) -> Result<StreamState, StoreError> {
        let wanted = key.clone();
        self.write_relieving(&Scope::system(key.tenant.clone()), move |tx| {
            let key = wanted.clone();
            Box::pin(async move {
                let now = tx.now();
                tx.exec(
                    "UPDATE store_stream SET epoch = CASE WHEN epoch >= $4 THEN epoch + 1 ELSE $4 END + $5, acked_seq = 0
                     WHERE tenant_id = $1 AND peer = $2 AND lane = $3",
                    &[&key.tenant, &key.peer, &key.lane, &now, &scatter],
                )
                .await
                .map(drop)
            })
        })
        .await?;
        self.stream(key).await
    }
}
