//! Walking the chain.

use std::collections::{BTreeMap, BTreeSet};

use gm::PublicKey;
use gm::key::Signer;
use records::{TenantId, Timestamp};
use store::{Scope, Store, StoreError, Tx};

use super::checkpoint::{self, Checkpoint};
use super::{first, link};
use crate::vault::{Vault, VaultError};

/// Rows read at once.
const STRIDE: u32 = 1000;

/// Why a chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A row does not follow from the one before.
    #[error("row {0} was changed, or the row before it was")]
    Link(u64),
    /// A row is missing.
    #[error("row {0} is missing")]
    Missing(u64),
    /// The end was cut off.
    #[error("the chain ends at row {found}, its head says {head}")]
    Cut {
        /// The last row.
        found: u64,
        /// What the head says.
        head: u64,
    },
    /// The links hold, but are not those that were signed for: the chain was computed anew.
    #[error("the chain up to row {0} is not the one that the checkpoint at that row was signed for")]
    Rewritten(u64),
    /// A checkpoint was changed or is not ours.
    #[error("the checkpoint at row {0} does not bear our signature")]
    Forged(u64),
    /// A checkpoint was taken away.
    #[error("the checkpoint at row {0} is missing")]
    NoCheckpoint(u64),
    /// It could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key of the checkpoints is not at hand.
    #[error(transparent)]
    Key(#[from] VaultError),
}

impl Broken {
    /// The first row that is not as it was written; `None` when the chain could not be judged.
    pub const fn row(&self) -> Option<u64> {
        match self {
            Self::Link(row)
            | Self::Missing(row)
            | Self::Rewritten(row)
            | Self::Forged(row)
            | Self::NoCheckpoint(row) => Some(*row),
            Self::Cut { found, head } => Some(if *found < *head { *found + 1 } else { *head + 1 }),
            Self::Store(_) | Self::Key(_) => None,
        }
    }

    /// In words for the auditor.
    pub fn person(&self) -> String {
        match self {
            Self::Link(row) => format!("第{row}条记录被改动过（或它前面的一条被改动过）"),
            Self::Missing(row) => format!("第{row}条记录缺失"),
            Self::Cut { found, head } => format!("记录只到第{found}条，链尾登记的是第{head}条：末尾被截断或添加过"),
            Self::Rewritten(row) => format!("第{row}条及以前的记录与当时签名的检查点不符：链条被整体重算过"),
            Self::Forged(row) => format!("第{row}条处的检查点签名无效"),
            Self::NoCheckpoint(row) => format!("第{row}条处的检查点缺失"),
            Self::Store(_) | Self::Key(_) => "暂时无法校验，请稍后再试".to_owned(),
        }
    }
}

/// A chain that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// Rows.
    pub rows: u64,
    /// The last link.
    pub head: String,
    /// Checkpoints that bear our signature.
    pub checkpoints: u64,
}

type Link = (u64, Timestamp, String, String, String, String, String);

struct Walk {
    seq: u64,
    hash: String,
    /// Checkpoints not passed yet.
    ahead: BTreeMap<u64, Checkpoint>,
    /// Rows for which a checkpoint noted itself that was not there when the walk began.
    missed: Vec<u64>,
    known: BTreeSet<u64>,
}

impl Walk {
    fn step(&mut self, (seq, at, actor, action, subject, detail, kept): Link) -> Result<(), Broken> {
        self.seq += 1;
        if seq != self.seq {
            return Err(Broken::Missing(self.seq));
        }
        self.hash = link(&self.hash, seq, at, [&actor, &action, &subject], &detail);
        if self.hash != kept {
            return Err(Broken::Link(seq));
        }
        let signed = self.ahead.remove(&seq);
        if signed.is_some_and(|signed| signed.hash != self.hash) {
            return Err(Broken::Rewritten(seq));
        }
        if action == checkpoint::ACTION {
            let noted = subject.parse().unwrap_or(0);
            if !self.known.contains(&noted) {
                self.missed.push(noted);
            }
        }
        Ok(())
    }
}

/// Walks the whole chain of a hospital and its checkpoints.
///
/// # Errors
/// The first row that is not as it was written, and why.
pub async fn verify(store: &Store, vault: &Vault, tenant: &TenantId) -> Result<Whole, Broken> {
    let scope = Scope::system(tenant.clone());
    let key = checkpoint::key(vault, tenant)?.public_key().clone();
    let ahead = signed(store, &scope, &key).await?;
    let checkpoints = ahead.len() as u64;
    let (mut walk, mut more) = (
        Walk {
            seq: 0,
            hash: first(),
            known: ahead.keys().copied().collect(),
            ahead,
            missed: Vec::new(),
        },
        true,
    );
    while more {
        let rows = stride(store, &scope, walk.seq).await?;
        more = rows.len() >= usize::try_from(STRIDE).unwrap_or(usize::MAX);
        rows.into_iter().try_for_each(|row| walk.step(row))?;
    }
    end(store, &scope, &walk).await?;
    if !walk.missed.is_empty() {
        // One that was signed while we walked is there by now.
        let now = signed(store, &scope, &key).await?;
        let gone = walk.missed.iter().find(|row| !now.contains_key(row));
        gone.map_or(Ok(()), |row| Err(Broken::NoCheckpoint(*row)))?;
    }
    Ok(Whole {
        rows: walk.seq,
        head: walk.hash,
        checkpoints,
    })
}

async fn signed(store: &Store, scope: &Scope, key: &PublicKey) -> Result<BTreeMap<u64, Checkpoint>, Broken> {
    let all: Vec<Checkpoint> = store
        .read(scope, |tx| Box::pin(async move { checkpoint::all(tx).await }))
        .await?;
    let mut ahead = BTreeMap::new();
    for checkpoint in all {
        if !checkpoint.is_signed_by(key, &scope.tenant) {
            return Err(Broken::Forged(checkpoint.seq));
        }
        ahead.insert(checkpoint.seq, checkpoint);
    }
    Ok(ahead)
}

async fn stride(store: &Store, scope: &Scope, after: u64) -> Result<Vec<Link>, StoreError> {
    store
        .read(scope, move |tx| {
            Box::pin(async move {
                let tenant = tx.tenant().clone();
                tx.all(
                    "SELECT seq, at, actor, action, subject, detail, hash FROM base_audit
                     WHERE tenant_id = $1 AND seq > $2 ORDER BY seq LIMIT $3",
                    &[&tenant, &after, &STRIDE],
                )
                .await
            })
        })
        .await
}

/// Whether the walk ended where the chain does. Rows that were added while we walked are not missing.
async fn end(store: &Store, scope: &Scope, walk: &Walk) -> Result<(), Broken> {
    let seq = walk.seq;
    let (head, next): (Option<(u64, String)>, Option<(u64,)>) = store
        .read(scope, move |tx| {
            Box::pin(async move { Ok::<_, StoreError>((head(tx).await?, row_after(tx, seq).await?)) })
        })
        .await?;
    match head {
        Some((head, _)) if head < seq => Err(Broken::Cut { found: seq, head }),
        Some((head, end)) if head == seq && end != walk.hash => Err(Broken::Link(seq)),
        Some((head, _)) if head > seq && next.is_none() => Err(Broken::Cut { found: seq, head }),
        None if seq > 0 => Err(Broken::Cut { found: seq, head: 0 }),
        _ => match walk.ahead.keys().next() {
            // What was signed for is not there any more, and the head was set back with it.
            Some(&signed) if next.is_none() => Err(Broken::Cut {
                found: seq,
                head: signed,
            }),
            _ => Ok(()),
        },
    }
}

async fn head(tx: &mut Tx<'_>) -> Result<Option<(u64, String)>, StoreError> {
    let tenant = tx.tenant().clone();
    tx.opt("SELECT seq, hash FROM base_audit_head WHERE tenant_id = $1", &[&tenant])
        .await
}

async fn row_after(tx: &mut Tx<'_>, seq: u64) -> Result<Option<(u64,)>, StoreError> {
    let tenant = tx.tenant().clone();
    tx.opt(
        "SELECT seq FROM base_audit WHERE tenant_id = $1 AND seq = $2",
        &[&tenant, &(seq + 1)],
    )
    .await
}
