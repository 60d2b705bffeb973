//! SQL of consents.

use records::{Ids, Timestamp};
use store::{Migration, StoreError, Tx};

use super::{Consent, FIRST_TEXT, FIRST_TITLE};

pub(crate) const MIGRATION: Migration = Migration {
    name: "care/0003_consents",
    sql: "
CREATE TABLE care_consent (
  tenant_id TEXT NOT NULL, id TEXT NOT NULL, version BIGINT NOT NULL,
  title TEXT NOT NULL, text TEXT NOT NULL, sm3 TEXT NOT NULL,
  valid_from BIGINT NOT NULL, valid_until BIGINT, created_at BIGINT NOT NULL, created_by TEXT NOT NULL,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, version)
);
",
};

store::row! {
    struct Row {
        id: String, version: u32, title: String, text: String, valid_from: Timestamp, valid_until: Option<Timestamp>,
    }
}

impl From<Row> for Consent {
    fn from(r: Row) -> Self {
        Self {
            id: r.id,
            version: r.version,
            title: r.title,
            text: r.text,
            valid_from: r.valid_from,
            valid_until: r.valid_until,
        }
    }
}

/// Every version, newest first.
pub(crate) async fn versions(tx: &mut Tx<'_>) -> Result<Vec<Consent>, StoreError> {
    let tenant = tx.tenant().clone();
    Ok(tx
        .all::<Row>(
            &format!(
                "SELECT {} FROM care_consent WHERE tenant_id = $1 ORDER BY version DESC",
                Row::COLUMNS
            ),
            &[&tenant],
        )
        .await?
        .into_iter()
        .map(Consent::from)
        .collect())
}

/// Puts a new version into force from now on.
pub(crate) async fn publish(
    tx: &mut Tx<'_>,
    ids: &Ids,
    title: &str,
    text: &str,
    valid_until: Option<Timestamp>,
) -> Result<Consent, StoreError> {
    let (tenant, now, by) = (tx.tenant().clone(), tx.now(), tx.actor().to_string());
    let version = versions(tx).await?.first().map_or(1, |newest| newest.version + 1);
    let consent = Consent {
        id: ids.next("cst", now),
        version,
        title: title.to_owned(),
        text: text.to_owned(),
        valid_from: now,
        valid_until,
    };
    tx.exec(
        "INSERT INTO care_consent (tenant_id, id, version, title, text, sm3, valid_from, valid_until, created_at, created_by) \
         VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$7,$9)",
        &[
            &tenant,
            &consent.id,
            &consent.version,
            &consent.title,
            &consent.text,
            &consent.sm3(),
            &consent.valid_from,
            &consent.valid_until,
            &by,
        ],
    )
    .await?;
    Ok(consent)
}

/// Gives a hospital without any consent the first one.
pub(crate) async fn ensure_first(tx: &mut Tx<'_>, ids: &Ids) -> Result<(), StoreError> {
    if versions(tx).await?.is_empty() {
        publish(tx, ids, FIRST_TITLE, FIRST_TEXT, None).await?;
    }
    Ok(())
}
