//! SQL of catalogues fetched from the HIS: one row per list, as it came.

use records::Timestamp;
use records::his::{Department, Doctor};
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::{Migration, StoreError, Tx};

pub(crate) const MIGRATION: Migration = Migration {
    name: "care/0002_catalogues",
    sql: "
CREATE TABLE care_catalogue (
  tenant_id TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL, fetched_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, name)
);
",
};

/// Names of the kept lists.
pub(crate) const DEPARTMENTS: &str = "departments";
pub(crate) const DOCTORS: &str = "doctors";

/// A kept list and when it was fetched; a list that cannot be read counts as none.
pub(crate) async fn list<T: DeserializeOwned>(
    tx: &mut Tx<'_>,
    name: &str,
) -> Result<Option<(Vec<T>, Timestamp)>, StoreError> {
    let tenant = tx.tenant().clone();
    let row: Option<(String, Timestamp)> = tx
        .opt(
            "SELECT body, fetched_at FROM care_catalogue WHERE tenant_id = $1 AND name = $2",
            &[&tenant, &name],
        )
        .await?;
    Ok(row.and_then(|(body, at)| Some((serde_json::from_str(&body).ok()?, at))))
}

/// Keeps a list.
pub(crate) async fn keep<T: Serialize>(tx: &mut Tx<'_>, name: &str, list: &[T]) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let body = serde_json::to_string(list).map_err(|e| StoreError::Constraint { message: e.to_string() })?;
    tx.exec(
        "INSERT INTO care_catalogue (tenant_id, name, body, fetched_at) VALUES ($1,$2,$3,$4) \
         ON CONFLICT (tenant_id, name) DO UPDATE SET body = EXCLUDED.body, fetched_at = EXCLUDED.fetched_at",
        &[&tenant, &name, &body, &now],
    )
    .await?;
    Ok(())
}

/// A department by its code.
///
/// # Errors
/// When the database fails.
pub async fn department(tx: &mut Tx<'_>, code: &str) -> Result<Option<Department>, StoreError> {
    let kept = list::<Department>(tx, DEPARTMENTS).await?;
    Ok(kept.and_then(|(all, _)| all.into_iter().find(|d| d.code == code)))
}

/// A doctor by their code.
///
/// # Errors
/// When the database fails.
pub async fn doctor(tx: &mut Tx<'_>, code: &str) -> Result<Option<Doctor>, StoreError> {
    let kept = list::<Doctor>(tx, DOCTORS).await?;
    Ok(kept.and_then(|(all, _)| all.into_iter().find(|d| d.code == code)))
}
