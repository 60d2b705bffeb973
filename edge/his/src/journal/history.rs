//! What became of writes, for those who ask by what they concern.

use records::Timestamp;
use store::{Migration, StoreError, Tx};

use super::Entry;
use super::entry::{COLUMNS, Stored};

pub(crate) const MIGRATION: Migration = Migration {
    name: "his/0002_journal_method",
    sql: "CREATE INDEX his_journal_method ON his_journal (tenant_id, method, created_at);",
};

/// Rows of one operation about one subject, oldest first.
///
/// # Errors
/// Of the database.
pub async fn of_subject(tx: &mut Tx<'_>, subject: &str, method: &str) -> Result<Vec<Entry>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql =
        format!("SELECT {COLUMNS} FROM his_journal WHERE tenant_id = $1 AND subject = $2 AND method = $3 ORDER BY seq");
    let rows: Vec<Stored> = tx.all(&sql, &[&tenant, &subject, &method]).await?;
    Ok(rows.into_iter().map(Entry::from).collect())
}

/// Rows of one operation that came after an instant, oldest first.
///
/// # Errors
/// Of the database.
pub async fn since(tx: &mut Tx<'_>, method: &str, after: Timestamp) -> Result<Vec<Entry>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {COLUMNS} FROM his_journal WHERE tenant_id = $1 AND method = $2 AND created_at >= $3 ORDER BY seq"
    );
    let rows: Vec<Stored> = tx.all(&sql, &[&tenant, &method, &after]).await?;
    Ok(rows.into_iter().map(Entry::from).collect())
}
