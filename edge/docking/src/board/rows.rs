//! Rows of renewals of the board's firmware.

use std::str::FromStr;

use records::Timestamp;
use store::{Migration, StoreError, Tx};

pub(super) const MIGRATIONS: &[Migration] = &[Migration {
    name: "docking/0002_firmware",
    sql: include_str!("firmware.sql"),
}];

/// Where a renewal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RenewalState {
    /// Kept; the board is not touched yet, or is to be touched again.
    Asked,
    /// Carried over and tried.
    Running,
    /// The board runs it.
    Confirmed,
    /// It did not come up; the board went back by itself.
    GivenUp,
    /// The board does not take it.
    Refused,
    /// The board did not come back; a person has to look.
    Failed,
    /// A person took it back before it began.
    Cancelled,
}

impl RenewalState {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::Asked,
        Self::Running,
        Self::Confirmed,
        Self::GivenUp,
        Self::Refused,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Running => "running",
            Self::Confirmed => "confirmed",
            Self::GivenUp => "given_up",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it may become this one next.
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Asked => matches!(next, Self::Running | Self::Cancelled),
            // Asked: the line was lost, or we ended; it is begun anew.
            Self::Running => matches!(
                next,
                Self::Asked | Self::Confirmed | Self::GivenUp | Self::Refused | Self::Failed
            ),
            _ => false,
        }
    }

    /// Whether it goes on without a person.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Asked | Self::Running)
    }
}

impl FromStr for RenewalState {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|s| s.as_str() == text);
        found.ok_or_else(|| format!("no such state of a renewal: {text}"))
    }
}

store::text_value!(RenewalState);

store::row! {
    /// A renewal of the board's firmware.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Renewal {
        /// Id.
        pub id: String,
        /// Version of the image.
        pub version: String,
        /// SHA-256 of the package, hex.
        pub sha256: String,
        /// Who asked for it.
        pub asked_by: String,
        /// Where it stands.
        pub state: RenewalState,
        /// Plain words.
        pub note: String,
        /// When it was asked for.
        pub asked_at: Timestamp,
        /// Last change.
        pub changed_at: Timestamp,
    }
}

pub(super) async fn insert(tx: &mut Tx<'_>, row: &Renewal, package: &[u8]) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    tx.exec(
        "INSERT INTO docking_firmware(tenant_id, id, version, sha256, asked_by, state, note, package, asked_at, changed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)",
        &[
            &tenant,
            &row.id,
            &row.version,
            &row.sha256,
            &row.asked_by,
            &row.state,
            &row.note,
            &package,
            &row.asked_at,
        ],
    )
    .await?;
    crate::rows::trail(tx, &row.id, "ask", row.state.as_str(), &row.asked_by).await
}

/// The newest first.
pub(super) async fn latest(tx: &mut Tx<'_>, limit: u32) -> Result<Vec<Renewal>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {} FROM docking_firmware WHERE tenant_id = $1 ORDER BY asked_at DESC, id DESC LIMIT $2",
        Renewal::COLUMNS
    );
    tx.all(&sql, &[&tenant, &limit]).await
}

/// The one that goes on without a person.
pub(super) async fn open(tx: &mut Tx<'_>) -> Result<Option<Renewal>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {} FROM docking_firmware WHERE tenant_id = $1 AND state IN ('asked', 'running') ORDER BY asked_at LIMIT 1",
        Renewal::COLUMNS
    );
    tx.opt(&sql, &[&tenant]).await
}

pub(super) async fn package(tx: &mut Tx<'_>, id: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let tenant = tx.tenant().clone();
    let found: Option<(Option<Vec<u8>>,)> = tx
        .opt(
            "SELECT package FROM docking_firmware WHERE tenant_id = $1 AND id = $2",
            &[&tenant, &id],
        )
        .await?;
    Ok(found.and_then(|(package,)| package))
}

/// Moves one on; `false`, and nothing changed, when it does not fit. What has ended needs its package no more.
pub(super) async fn step(tx: &mut Tx<'_>, id: &str, next: RenewalState, note: &str) -> Result<bool, StoreError> {
    let tenant = tx.tenant().clone();
    let found: Option<(RenewalState,)> = tx
        .opt(
            "SELECT state FROM docking_firmware WHERE tenant_id = $1 AND id = $2",
            &[&tenant, &id],
        )
        .await?;
    let Some((state,)) = found.filter(|(state,)| state.may_become(next)) else {
        return Ok(false);
    };
    let now = tx.now();
    tx.exec(
        "UPDATE docking_firmware SET state = $3, note = $4, changed_at = $5 WHERE tenant_id = $1 AND id = $2",
        &[&tenant, &id, &next, &note, &now],
    )
    .await?;
    if !next.is_open() {
        tx.exec(
            "UPDATE docking_firmware SET package = NULL WHERE tenant_id = $1 AND id = $2",
            &[&tenant, &id],
        )
        .await?;
    }
    tracing::info!(
        firmware.renewal = id,
        firmware.from = state.as_str(),
        firmware.to = next.as_str(),
        note,
        "dock firmware"
    );
    crate::rows::trail(tx, id, "step", next.as_str(), note)
        .await
        .map(|()| true)
}
