//! Migrations: one text for both databases, applied once, forward only, each recorded with its digest.

use sha2::{Digest, Sha256};

use crate::{Dialect, Scope, Store, StoreError, Tx, sql};

/// A step of the schema. Its name says whose it is and orders nothing: steps run in the order given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// `context/0001_what`.
    pub name: &'static str,
    /// Statements for both databases. Column types: TEXT, BIGINT, DOUBLE PRECISION, BLOB.
    pub sql: &'static str,
}

/// The store's own tables.
pub(crate) const OWN: &[Migration] = &[Migration {
    name: "store/0001_streams",
    sql: include_str!("schema.sql"),
}];

const TABLE: &str =
    "CREATE TABLE IF NOT EXISTS store_migration(name TEXT PRIMARY KEY, digest TEXT NOT NULL, at BIGINT NOT NULL)";

pub(crate) async fn run(store: &Store, set: &[Migration]) -> Result<(), StoreError> {
    let scope = Scope::system(crate::operator()).unordered();
    store
        .write(&scope, |tx| Box::pin(async move { prepare(tx).await }))
        .await?;
    for step in set.iter().copied() {
        store
            .write(&scope, move |tx| Box::pin(async move { apply(tx, step).await }))
            .await?;
    }
    Ok(())
}

async fn prepare(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    if tx.dialect() == Dialect::Postgres {
        // Two replicas that start together would race for the table's name.
        let there: Option<(bool,)> = tx.opt("SELECT to_regclass('store_migration') IS NOT NULL", &[]).await?;
        if there == Some((true,)) {
            return Ok(());
        }
    }
    tx.batch(TABLE).await
}

async fn apply(tx: &mut Tx<'_>, step: Migration) -> Result<(), StoreError> {
    if tx.dialect() == Dialect::Postgres {
        tx.batch("LOCK TABLE store_migration IN EXCLUSIVE MODE").await?;
    }
    let wrong = |message: String| StoreError::Migration {
        name: step.name.to_owned(),
        message,
    };
    let digest = hex::encode(Sha256::digest(step.sql));
    let known: Option<(String,)> = tx
        .opt("SELECT digest FROM store_migration WHERE name = $1", &[&step.name])
        .await?;
    if let Some((known,)) = known {
        if known == digest {
            return Ok(());
        }
        return Err(wrong("its text was changed after it was applied".to_owned()));
    }
    let text = match tx.dialect() {
        Dialect::Sqlite => step.sql.to_owned(),
        Dialect::Postgres => sql::ddl_for_postgres(step.sql),
    };
    tx.batch(&text).await.map_err(|e| wrong(e.to_string()))?;
    let now = tx.now();
    tx.exec(
        "INSERT INTO store_migration(name, digest, at) VALUES ($1, $2, $3)",
        &[&step.name, &digest, &now],
    )
    .await?;
    tracing::info!(migration.name = step.name, "migration applied");
    Ok(())
}
