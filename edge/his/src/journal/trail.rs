//! The history of a journal row: each state it took, when and by whom.

use records::Timestamp;
use store::{StoreError, Tx};

use super::State;

/// Appends a step.
pub(super) async fn step(tx: &mut Tx<'_>, key: &str, state: State, note: &str) -> Result<(), StoreError> {
    let (tenant, now, actor) = (tx.tenant().clone(), tx.now(), tx.actor().to_string());
    tx.exec(
        "INSERT INTO his_journal_trail (tenant_id, key, step, at, state, actor, note)
         VALUES ($1, $2, (SELECT COALESCE(MAX(step), 0) + 1 FROM his_journal_trail WHERE tenant_id = $1 AND key = $2), $3, $4, $5, $6)",
        &[&tenant, &key, &now, &state, &actor, &note],
    )
    .await
    .map(drop)
}

/// One step of a row's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trail {
    /// When.
    pub at: Timestamp,
    /// New state.
    pub state: State,
    /// Who.
    pub actor: String,
    /// Words.
    pub note: String,
}

/// History of a row, oldest first.
///
/// # Errors
/// Of the database.
pub async fn trail(tx: &mut Tx<'_>, key: &str) -> Result<Vec<Trail>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = "SELECT at, state, actor, note FROM his_journal_trail WHERE tenant_id = $1 AND key = $2 ORDER BY step";
    let rows: Vec<(Timestamp, State, String, String)> = tx.all(sql, &[&tenant, &key]).await?;
    Ok(rows
        .into_iter()
        .map(|(at, state, actor, note)| Trail { at, state, actor, note })
        .collect())
}
