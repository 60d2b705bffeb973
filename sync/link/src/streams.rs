//! The streams of one line as the store keeps them, plus what the store does not know: where an epoch began, which
//! entries are suspect (see [`engine`] on epochs), and the cursors of epochs that are not current.

use std::cmp::Ordering;
use std::sync::Arc;

use engine::{Item, Mark, OutState};
use records::id::EdgeId;
use records::{Actor, Lane, PeerId, TenantId};
use store::{Cursor, Entry, Migration, Scope, Store, StoreError, StreamKey, Taken, Tx};

use crate::ends::{ApplyError, Inbox};
use crate::marks;

/// Tables of the link; applied by [`crate::edge::EdgeLink::start`] and [`crate::cloud::CloudLink::start`].
pub const MIGRATIONS: &[Migration] = &[STREAMS, marks::MIGRATION];

const STREAMS: Migration = Migration {
    name: "link/0001_streams",
    sql: "CREATE TABLE link_stream(
            tenant_id TEXT NOT NULL, peer TEXT NOT NULL, lane BIGINT NOT NULL,
            epoch BIGINT NOT NULL, base BIGINT NOT NULL, next_base BIGINT NOT NULL, suspect_from BIGINT,
            PRIMARY KEY (tenant_id, peer, lane));
          CREATE TABLE link_epoch(
            tenant_id TEXT NOT NULL, peer TEXT NOT NULL, lane BIGINT NOT NULL,
            epoch BIGINT NOT NULL, seq BIGINT NOT NULL,
            PRIMARY KEY (tenant_id, peer, lane, epoch));",
};

/// Entries per read; the bytes usually end it earlier.
const READ_ENTRIES: usize = 512;

/// How far a new epoch's number is scattered: half an hour of microseconds.
const SCATTER: u64 = 1 << 31;

/// Bodies per read when only their marks are wanted.
const RECALL_BYTES: u64 = 1024 * 1024;

/// Telemetry that may wait before older values are dropped for newer ones: an hour of an appliance's health.
const TELEMETRY_AT_EASE: u64 = 64;
/// Telemetry that waits at most, whatever it is about.
const TELEMETRY_MOST: u64 = 1024;

/// The streams between this store and one peer.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    pub(crate) store: Store,
    pub(crate) tenant: TenantId,
    pub(crate) peer: PeerId,
}

/// At the start of a process: everything appended from now on is suspect until the peer's cursor was compared.
pub(crate) async fn suspect_all(store: &Store) -> Result<(), StoreError> {
    let scope = Scope::system(store::operator()).unordered();
    store
        .write_relieving(&scope, |tx| {
            Box::pin(async move {
                tx.exec(
                    "UPDATE link_stream SET suspect_from = (SELECT s.last_seq + 1 FROM store_stream s
                       WHERE s.tenant_id = link_stream.tenant_id AND s.peer = link_stream.peer AND s.lane = link_stream.lane)
                     WHERE suspect_from IS NULL",
                    &[],
                )
                .await
                .map(drop)
            })
        })
        .await
}

impl Streams {
    pub(crate) fn key(&self, lane: Lane) -> StreamKey {
        StreamKey::new(self.tenant.clone(), self.peer.clone(), lane)
    }

    fn scope(&self) -> Scope {
        Scope::system(self.tenant.clone())
    }

    /// The state of every outgoing stream.
    pub(crate) async fn load(&self) -> Result<Vec<(Lane, OutState)>, StoreError> {
        let mut out = Vec::with_capacity(Lane::ALL.len());
        for lane in Lane::ALL {
            out.push((lane, self.load_one(lane).await?));
        }
        Ok(out)
    }

    async fn load_one(&self, lane: Lane) -> Result<OutState, StoreError> {
        let key = self.key(lane);
        let stream = self.store.stream(&key).await?;
        let (epoch, next) = (stream.epoch, stream.last_seq + 1);
        let (base, suspect_from) = self
            .store
            .write_relieving(&self.scope(), move |tx| {
                let key = key.clone();
                Box::pin(async move { origin(tx, &key, epoch, next).await })
            })
            .await?;
        Ok(OutState {
            lane: lane.number(),
            epoch,
            base,
            first: stream.first_retained,
            next,
            acked: Some(stream.acked_seq),
            suspect_from,
        })
    }

    /// The peer's cursor agreed: nothing is suspect any more.
    pub(crate) async fn verified(&self, lane: Lane) -> Result<(), StoreError> {
        let key = self.key(lane);
        self.store
            .write_relieving(&self.scope(), move |tx| {
                let key = key.clone();
                Box::pin(async move {
                    tx.exec(
                        "UPDATE link_stream SET suspect_from = NULL WHERE tenant_id = $1 AND peer = $2 AND lane = $3",
                        &[&key.tenant, &key.peer, &key.lane],
                    )
                    .await
                    .map(drop)
                })
            })
            .await
    }

    /// Begins a new epoch after entry `after`. `chance` is random: twins whose clock is wrong would else choose one epoch.
    pub(crate) async fn rebase(&self, lane: Lane, after: u64, chance: u64) -> Result<OutState, StoreError> {
        let key = self.key(lane);
        // First where the next epoch begins, then the epoch: a crash in between repeats both.
        let planned = key.clone();
        self.store
            .write_relieving(&self.scope(), move |tx| {
                let key = planned.clone();
                Box::pin(async move {
                    tx.exec(
                        "UPDATE link_stream SET next_base = $4 WHERE tenant_id = $1 AND peer = $2 AND lane = $3",
                        &[&key.tenant, &key.peer, &key.lane, &after],
                    )
                    .await
                    .map(drop)
                })
            })
            .await?;
        self.store.renew_epoch(&key, chance % SCATTER).await?;
        self.load_one(lane).await
    }

    pub(crate) async fn read(
        &self,
        lane: Lane,
        after: u64,
        max_bytes: u64,
    ) -> Result<Vec<(u64, engine::Entry)>, StoreError> {
        let bytes = usize::try_from(max_bytes).unwrap_or(usize::MAX);
        let entries = self
            .store
            .outbox_after(&self.key(lane), after, READ_ENTRIES, bytes)
            .await?;
        Ok(entries.into_iter().map(|e| (e.seq, to_wire(e))).collect())
    }

    /// The marks of our own entries after `after` up to `upto` that are still there, ascending.
    pub(crate) async fn recall(&self, lane: Lane, after: u64, upto: u64) -> Result<Vec<Mark>, StoreError> {
        let mut from = after;
        let mut found = Vec::new();
        while from < upto {
            let entries = self.read(lane, from, RECALL_BYTES).await?;
            let Some((last, _)) = entries.last() else { break };
            from = *last;
            found.extend(
                entries
                    .iter()
                    .filter(|(seq, _)| *seq <= upto)
                    .map(|(seq, e)| Mark::of(*seq, e)),
            );
        }
        Ok(found)
    }

    pub(crate) async fn acked(&self, lane: Lane, epoch: u64, upto: u64) -> Result<(), StoreError> {
        self.store.outbox_ack(&self.key(lane), epoch, upto).await
    }

    /// Keeps telemetry from growing while the peer is away or slow: the newest value of each thing stays.
    pub(crate) async fn relieve(&self) -> Result<(), StoreError> {
        let key = self.key(Lane::Telemetry);
        if self.store.outbox_waiting(&key).await? <= TELEMETRY_AT_EASE {
            return Ok(());
        }
        let dropped = self.store.outbox_coalesce(&key, TELEMETRY_MOST).await?;
        if dropped > 0 {
            tracing::warn!(link.peer = %self.peer, link.dropped = dropped, "telemetry waits for long; older values were dropped for newer ones");
        }
        Ok(())
    }

    /// Entries that wait for the peer.
    pub(crate) async fn depth(&self) -> Result<u64, StoreError> {
        let clinical = self.key(Lane::Clinical);
        let streams = self.store.streams(&self.scope()).await?;
        let clinical = streams.iter().find(|s| s.key == clinical);
        // Numbers of telemetry have holes.
        let telemetry = self.store.outbox_waiting(&self.key(Lane::Telemetry)).await?;
        Ok(clinical.map_or(0, store::StreamState::depth) + telemetry)
    }

    /// The cursor of an epoch of the peer's stream, which becomes the current one, and its marks beyond `settled`; below
    /// that all of them, because this store was restored from a backup.
    pub(crate) async fn cursor(
        &self,
        lane: Lane,
        epoch: u64,
        base: u64,
        settled: u64,
    ) -> Result<(u64, Vec<Mark>), StoreError> {
        let key = self.key(lane);
        self.store
            .write(&self.scope(), move |tx| {
                let key = key.clone();
                Box::pin(async move {
                    let applied = switch_epoch(tx, &key, epoch, base).await?;
                    let marks = match applied.cmp(&settled) {
                        Ordering::Greater => marks::after(tx, &key, epoch, settled).await?,
                        Ordering::Equal => Vec::new(),
                        Ordering::Less => marks::after(tx, &key, epoch, base).await?,
                    };
                    Ok((applied, marks))
                })
            })
            .await
    }

    /// Applies items, moves the cursor and keeps their marks, in one commit. Answers the cursor, or `None` when it is not
    /// where the session left it; nothing was done then.
    pub(crate) async fn apply(
        &self,
        lane: Lane,
        epoch: u64,
        items: Vec<Item>,
        inbox: Arc<dyn Inbox>,
    ) -> Result<Option<u64>, StoreError> {
        let (key, items) = (self.key(lane), Arc::new(items));
        let actor = EdgeId::parse(self.peer.as_str()).map_or(Actor::System, Actor::Edge);
        self.store
            .write(&Scope::new(self.tenant.clone(), actor), move |tx| {
                let (key, items, inbox) = (key.clone(), items.clone(), inbox.clone());
                Box::pin(async move {
                    let before = tx.cursor(&key.peer, key.lane).await?;
                    if before.epoch != epoch || !marks::continue_from(tx, &key, before, &items).await? {
                        return Ok(None);
                    }
                    for item in items.iter() {
                        apply_item(tx, &key, epoch, item, &inbox).await?;
                    }
                    let after = tx.cursor(&key.peer, key.lane).await?.seq;
                    marks::keep(tx, &key, epoch, (before.seq, after), &items).await?;
                    Ok(Some(after))
                })
            })
            .await
    }
}

/// Where the present epoch of an outgoing stream begins, and its first suspect entry.
async fn origin(tx: &mut Tx<'_>, key: &StreamKey, epoch: u64, next: u64) -> Result<(u64, Option<u64>), StoreError> {
    let row: Option<(u64, u64, u64, Option<u64>)> = tx
        .opt(
            "SELECT epoch, base, next_base, suspect_from FROM link_stream WHERE tenant_id = $1 AND peer = $2 AND lane = $3",
            &[&key.tenant, &key.peer, &key.lane],
        )
        .await?;
    let (base, suspect) = match row {
        Some((known, base, _, suspect)) if known == epoch => return Ok((base, suspect)),
        // The epoch was renewed for the suspect entries, which nobody but us has.
        Some((_, _, next_base, _)) => (next_base, None),
        None => (0, Some(next)),
    };
    tx.exec(
        "INSERT INTO link_stream(tenant_id, peer, lane, epoch, base, next_base, suspect_from) VALUES ($1, $2, $3, $4, $5, $5, $6)
         ON CONFLICT (tenant_id, peer, lane) DO UPDATE SET epoch = EXCLUDED.epoch, base = EXCLUDED.base,
           next_base = EXCLUDED.next_base, suspect_from = EXCLUDED.suspect_from",
        &[&key.tenant, &key.peer, &key.lane, &epoch, &base, &suspect],
    )
    .await?;
    Ok((base, suspect))
}

async fn switch_epoch(tx: &mut Tx<'_>, key: &StreamKey, epoch: u64, base: u64) -> Result<u64, StoreError> {
    let current = tx.cursor(&key.peer, key.lane).await?;
    if current.epoch == epoch {
        return Ok(current.seq);
    }
    if current != Cursor::default() {
        tx.exec(
            "INSERT INTO link_epoch(tenant_id, peer, lane, epoch, seq) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (tenant_id, peer, lane, epoch) DO UPDATE SET seq = EXCLUDED.seq",
            &[&key.tenant, &key.peer, &key.lane, &current.epoch, &current.seq],
        )
        .await?;
    }
    let kept: Option<(u64,)> = tx
        .opt(
            "SELECT seq FROM link_epoch WHERE tenant_id = $1 AND peer = $2 AND lane = $3 AND epoch = $4",
            &[&key.tenant, &key.peer, &key.lane, &epoch],
        )
        .await?;
    let seq = match kept {
        Some((seq,)) => seq,
        None => base.min(furthest(tx, key).await?),
    };
    tx.cursor_reset(&key.peer, key.lane, Cursor { epoch, seq }).await?;
    Ok(seq)
}

/// How far any epoch of the peer's stream got. An epoch begins after an entry that was committed here; when none got so
/// far, this store was restored from a backup, and the sender's retained rows hold what is missing.
async fn furthest(tx: &mut Tx<'_>, key: &StreamKey) -> Result<u64, StoreError> {
    let current = tx.cursor(&key.peer, key.lane).await?.seq;
    let (kept,): (u64,) = tx
        .one(
            "SELECT COALESCE(MAX(seq), 0) FROM link_epoch WHERE tenant_id = $1 AND peer = $2 AND lane = $3",
            &[&key.tenant, &key.peer, &key.lane],
        )
        .await?;
    Ok(current.max(kept))
}

/// Applies one item that continues from the cursor, or lies before it.
async fn apply_item(
    tx: &mut Tx<'_>,
    key: &StreamKey,
    epoch: u64,
    item: &Item,
    inbox: &Arc<dyn Inbox>,
) -> Result<(), StoreError> {
    match item {
        Item::Gap { first, last } => {
            let at = tx.cursor(&key.peer, key.lane).await?;
            if at.seq < *last {
                tracing::warn!(link.peer = %key.peer, link.first = first, link.last = last, "the sender no longer has these entries");
                tx.skip(
                    &key.peer,
                    key.lane,
                    epoch,
                    (at.seq + 1, *last),
                    "not retained by the sender",
                )
                .await?;
            }
            Ok(())
        }
        Item::Entry(seq, wire) => {
            let entry = from_wire(*seq, wire);
            let (key2, entry2, inbox) = (key.clone(), entry.clone(), inbox.clone());
            let done: Result<(), ApplyError> = tx
                .nested(move |tx| {
                    Box::pin(async move {
                        let taken = tx.take(&key2.peer, key2.lane, epoch, entry2.seq).await?;
                        if taken == Taken::Fresh {
                            inbox.apply(tx, &key2.peer, &entry2).await?;
                        }
                        Ok(())
                    })
                })
                .await;
            match done {
                Ok(()) => Ok(()),
                Err(ApplyError::Store(e)) if !is_the_entrys_fault(&e) => Err(e),
                Err(e) => {
                    let reason = e.to_string();
                    tracing::warn!(link.peer = %key.peer, link.seq = seq, link.kind = %entry.kind, reason, "entry parked");
                    tx.take(&key.peer, key.lane, epoch, entry.seq).await?;
                    tx.park(&key.peer, key.lane, epoch, &entry, &reason).await?;
                    Ok(())
                }
            }
        }
    }
}

/// Failures that would come back for ever: the entry is parked instead of blocking its lane.
const fn is_the_entrys_fault(e: &StoreError) -> bool {
    matches!(
        e,
        StoreError::Unique { .. }
            | StoreError::Constraint { .. }
            | StoreError::Missing { .. }
            | StoreError::Column { .. }
            | StoreError::Panicked
    )
}

fn to_wire(e: Entry) -> engine::Entry {
    engine::Entry {
        kind: e.kind,
        entity: e.entity,
        at_us: e.at.as_micros(),
        body: e.body.into_bytes(),
    }
}

fn from_wire(seq: u64, e: &engine::Entry) -> Entry {
    Entry {
        seq,
        kind: e.kind.clone(),
        entity: e.entity.clone(),
        at: records::Timestamp::from_micros(e.at_us),
        body: String::from_utf8_lossy(&e.body).into_owned(),
    }
}
