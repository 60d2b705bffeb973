//! What comes from a peer: the cursor moves in the unit that applies the entry, so its effect happens exactly once.

use futures_util::future::BoxFuture;
use records::{Lane, PeerId, Timestamp};

use crate::{Entry, Scope, Store, StoreError, StreamKey, Tx};

/// How far a stream from a peer was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor {
    /// The sender's epoch; 0 before the first entry.
    pub epoch: u64,
    /// The last entry applied.
    pub seq: u64,
}

/// What [`Tx::take`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// The next one: the cursor moved, apply it.
    Fresh,
    /// Applied before: do nothing, acknowledge again.
    Duplicate,
    /// Entries before it are missing.
    Gap {
        /// The one to send.
        expected: u64,
    },
    /// Another epoch than the cursor's: greet first ([`Tx::cursor_reset`]).
    OtherEpoch {
        /// The cursor's.
        known: u64,
    },
}

/// What [`Store::apply`] did with a batch.
#[derive(Debug)]
pub struct Applied<E> {
    /// The cursor after the commit; acknowledge this.
    pub cursor: Cursor,
    /// The entry that could not be applied, and why. It and all after it were left alone.
    pub failed: Option<(u64, E)>,
    /// Entries are missing or of another epoch: the sender must start over from the cursor.
    pub out_of_step: bool,
}

/// An entry that was kept aside because nobody here knows what to do with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// From whom.
    pub peer: PeerId,
    /// On which lane.
    pub lane: Lane,
    /// The sender's epoch.
    pub epoch: u64,
    /// The entry.
    pub entry: Entry,
    /// Why, for the operator.
    pub reason: String,
    /// When it was put aside.
    pub parked_at: Timestamp,
}

impl crate::FromRow for Parked {
    fn from_row(row: &crate::Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            peer: row.get(0)?,
            lane: row.get(1)?,
            epoch: row.get(2)?,
            entry: Entry {
                seq: row.get(3)?,
                kind: row.get(4)?,
                entity: row.get(5)?,
                at: row.get(6)?,
                body: row.get(7)?,
            },
            reason: row.get(8)?,
            parked_at: row.get(9)?,
        })
    }
}

impl Tx<'_> {
    /// How far the stream from this peer was applied.
    pub async fn cursor(&mut self, from: &PeerId, lane: Lane) -> Result<Cursor, StoreError> {
        let tenant = self.tenant().clone();
        let row: Option<(u64, u64)> = self
            .opt(
                "SELECT epoch, seq FROM store_cursor WHERE tenant_id = $1 AND peer = $2 AND lane = $3",
                &[&tenant, from, &lane],
            )
            .await?;
        Ok(row.map_or_else(Cursor::default, |(epoch, seq)| Cursor { epoch, seq }))
    }

    /// Moves the cursor over entry `seq` if it is the next one. Apply the entry in the same unit, and only on `Fresh`.
    pub async fn take(&mut self, from: &PeerId, lane: Lane, epoch: u64, seq: u64) -> Result<Taken, StoreError> {
        let at = self.cursor(from, lane).await?;
        if at.epoch != epoch && at != Cursor::default() {
            return Ok(Taken::OtherEpoch { known: at.epoch });
        }
        if seq <= at.seq {
            return Ok(Taken::Duplicate);
        }
        if seq > at.seq + 1 {
            return Ok(Taken::Gap { expected: at.seq + 1 });
        }
        self.cursor_reset(from, lane, Cursor { epoch, seq }).await?;
        Ok(Taken::Fresh)
    }

    /// Sets the cursor: at a greeting with a new epoch, or over entries the sender no longer has.
    pub async fn cursor_reset(&mut self, from: &PeerId, lane: Lane, to: Cursor) -> Result<(), StoreError> {
        let tenant = self.tenant().clone();
        self.exec(
            "INSERT INTO store_cursor(tenant_id, peer, lane, epoch, seq) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (tenant_id, peer, lane) DO UPDATE SET epoch = EXCLUDED.epoch, seq = EXCLUDED.seq",
            &[&tenant, from, &lane, &to.epoch, &to.seq],
        )
        .await
        .map(drop)
    }

    /// Entries `first..=last` are lost for good (the sender says so): writes that down and moves the cursor over them.
    pub async fn skip(
        &mut self,
        from: &PeerId,
        lane: Lane,
        epoch: u64,
        (first, last): (u64, u64),
        reason: &str,
    ) -> Result<(), StoreError> {
        let (tenant, now) = (self.tenant().clone(), self.now());
        self.exec(
            "INSERT INTO store_gap(tenant_id, peer, lane, epoch, first_seq, last_seq, reason, at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
            &[&tenant, from, &lane, &epoch, &first, &last, &reason, &now],
        )
        .await?;
        self.cursor_reset(from, lane, Cursor { epoch, seq: last }).await
    }

    /// Keeps an entry nobody here can apply (unknown kind, unreadable body), so that it is not dropped. The cursor is
    /// moved by [`Tx::take`] in the same unit.
    pub async fn park(
        &mut self,
        from: &PeerId,
        lane: Lane,
        epoch: u64,
        entry: &Entry,
        reason: &str,
    ) -> Result<(), StoreError> {
        let (tenant, now) = (self.tenant().clone(), self.now());
        // PostgreSQL keeps no U+0000, and what cannot be applied must at least be kept.
        let [kind, entity, body, reason] =
            [entry.kind.as_str(), &entry.entity, &entry.body, reason].map(|text| text.replace('\0', " "));
        self.exec(
            "INSERT INTO store_parked(tenant_id, peer, lane, epoch, seq, kind, entity, at, body, reason, parked_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING",
            &[
                &tenant, from, &lane, &epoch, &entry.seq, &kind, &entity, &entry.at, &body, &reason, &now,
            ],
        )
        .await
        .map(drop)
    }

    /// Entries kept aside and not yet settled, oldest first.
    pub async fn parked(&mut self, limit: usize) -> Result<Vec<Parked>, StoreError> {
        let tenant = self.tenant().clone();
        self.all(
            "SELECT peer, lane, epoch, seq, kind, entity, at, body, reason, parked_at FROM store_parked
             WHERE tenant_id = $1 AND settled_at IS NULL ORDER BY parked_at, seq LIMIT $2",
            &[&tenant, &limit],
        )
        .await
    }

    /// A parked entry was dealt with; `note` says how. `false` when there is no such entry waiting.
    pub async fn parked_settled(
        &mut self,
        (from, lane, epoch, seq): (&PeerId, Lane, u64, u64),
        note: &str,
    ) -> Result<bool, StoreError> {
        let (tenant, now) = (self.tenant().clone(), self.now());
        let rows = self
            .exec(
                "UPDATE store_parked SET settled_at = $6, note = $7 WHERE tenant_id = $1 AND peer = $2 AND lane = $3
                 AND epoch = $4 AND seq = $5 AND settled_at IS NULL",
                &[&tenant, from, &lane, &epoch, &seq, &now, &note],
            )
            .await?;
        Ok(rows == 1)
    }
}

/// The inbox as the line writes it.
impl Store {
    /// How far the stream from this peer was applied.
    pub async fn cursor(&self, key: &StreamKey) -> Result<Cursor, StoreError> {
        let wanted = key.clone();
        self.read(&Scope::system(key.tenant.clone()), move |tx| {
            let key = wanted.clone();
            Box::pin(async move { tx.cursor(&key.peer, key.lane).await })
        })
        .await
    }

    /// Applies entries in order, each with its cursor step, all in one commit. An entry whose `effect` fails is undone
    /// and left for the next try with all after it; what came before it stands. Duplicates are passed over.
    pub async fn apply<E, F>(
        &self,
        scope: &Scope,
        key: &StreamKey,
        epoch: u64,
        entries: Vec<Entry>,
        effect: F,
    ) -> Result<Applied<E>, StoreError>
    where
        E: From<StoreError> + Send + 'static,
        F: for<'a, 'c> Fn(&'a mut Tx<'c>, &'a Entry) -> BoxFuture<'a, Result<(), E>> + Send + Sync + 'static,
    {
        let (key, effect) = (key.clone(), std::sync::Arc::new(effect));
        let entries = std::sync::Arc::new(entries);
        self.write(scope, move |tx| {
            let (key, effect, entries) = (key.clone(), effect.clone(), entries.clone());
            Box::pin(async move {
                let (mut failed, mut out_of_step) = (None, false);
                for entry in entries.iter() {
                    match apply_one(tx, &key, epoch, entry, effect.clone()).await {
                        Ok(Taken::Fresh | Taken::Duplicate) => {}
                        Ok(Taken::Gap { .. } | Taken::OtherEpoch { .. }) => out_of_step = true,
                        Err(error) => failed = Some((entry.seq, error)),
                    }
                    if out_of_step || failed.is_some() {
                        break;
                    }
                }
                let cursor = tx.cursor(&key.peer, key.lane).await?;
                Ok(Applied {
                    cursor,
                    failed,
                    out_of_step,
                })
            })
        })
        .await
    }
}

async fn apply_one<'c, E, F>(
    tx: &mut Tx<'c>,
    key: &StreamKey,
    epoch: u64,
    entry: &Entry,
    effect: std::sync::Arc<F>,
) -> Result<Taken, E>
where
    E: From<StoreError> + Send + 'static,
    F: for<'a, 'd> Fn(&'a mut Tx<'d>, &'a Entry) -> BoxFuture<'a, Result<(), E>> + Send + Sync + 'static,
{
    let (key, entry) = (key.clone(), entry.clone());
    tx.nested(move |tx| {
        Box::pin(async move {
            let taken = tx.take(&key.peer, key.lane, epoch, entry.seq).await?;
            if taken == Taken::Fresh {
                effect(tx, &entry).await?;
            }
            Ok(taken)
        })
    })
    .await
}
