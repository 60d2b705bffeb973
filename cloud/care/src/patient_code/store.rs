//! SQL: which appliance was told which key.

use std::time::Duration;

use records::Timestamp;
use records::patient_code::PatientCodeKey;
use store::{Migration, StoreError, Tx};

pub(crate) const MIGRATION: Migration = Migration {
    name: "care/0007_patient_code_key",
    sql: "
CREATE TABLE care_patient_code_key (
  tenant_id TEXT NOT NULL, appliance TEXT NOT NULL, point TEXT NOT NULL, told_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id)
);
",
};

/// It is told anew each day: an appliance of before could not read it, one restored from a backup may have lost it.
const ANEW: Duration = Duration::from_secs(24 * 3600);

/// Whether this appliance knows this key.
pub(super) async fn is_told(tx: &mut Tx<'_>, appliance: &str, key: &PatientCodeKey) -> Result<bool, StoreError> {
    let (tenant, stale) = (tx.tenant().clone(), tx.now().minus(ANEW));
    let row: Option<(String, String, Timestamp)> = tx
        .opt(
            "SELECT appliance, point, told_at FROM care_patient_code_key WHERE tenant_id = $1",
            &[&tenant],
        )
        .await?;
    Ok(row.is_some_and(|(known, point, at)| known == appliance && point == key.point && at > stale))
}

/// It is being told, in this unit.
pub(super) async fn told(tx: &mut Tx<'_>, appliance: &str, key: &PatientCodeKey) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.exec(
        "INSERT INTO care_patient_code_key (tenant_id, appliance, point, told_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (tenant_id) DO UPDATE SET appliance = $2, point = $3, told_at = $4",
        &[&tenant, &appliance, &key.point, &now],
    )
    .await
    .map(drop)
}
