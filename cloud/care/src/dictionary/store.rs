//! SQL of dictionaries.

use std::collections::HashMap;

use records::Timestamp;
use store::{Migration, StoreError, Tx};

use super::{Entry, needle};

pub(crate) const MIGRATION: Migration = Migration {
    name: "care/0004_dictionaries",
    sql: "
CREATE TABLE care_term (
  tenant_id TEXT NOT NULL, dictionary TEXT NOT NULL, code TEXT NOT NULL,
  code_upper TEXT NOT NULL, name_upper TEXT NOT NULL, pinyin TEXT NOT NULL, place BIGINT NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (tenant_id, dictionary, code)
);
CREATE TABLE care_dictionary (
  tenant_id TEXT NOT NULL, dictionary TEXT NOT NULL, fetched_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, dictionary)
);
",
};

/// When a dictionary was fetched.
pub(crate) async fn fetched_at(tx: &mut Tx<'_>, dictionary: &str) -> Result<Option<Timestamp>, StoreError> {
    let tenant = tx.tenant().clone();
    let row: Option<(Timestamp,)> = tx
        .opt(
            "SELECT fetched_at FROM care_dictionary WHERE tenant_id = $1 AND dictionary = $2",
            &[&tenant, &dictionary],
        )
        .await?;
    Ok(row.map(|(at,)| at))
}

/// Names of the dictionaries that were fetched once.
pub(crate) async fn kept(tx: &mut Tx<'_>) -> Result<Vec<String>, StoreError> {
    let tenant = tx.tenant().clone();
    let rows: Vec<(String,)> = tx
        .all(
            "SELECT dictionary FROM care_dictionary WHERE tenant_id = $1",
            &[&tenant],
        )
        .await?;
    Ok(rows.into_iter().map(|(name,)| name).collect())
}

/// Makes the kept dictionary equal to the fetched one; only what differs is written. Answers how many rows that were.
pub(crate) async fn replace<E: Entry>(tx: &mut Tx<'_>, fresh: &[E]) -> Result<u64, StoreError> {
    let (tenant, now, dictionary) = (tx.tenant().clone(), tx.now(), E::DICTIONARY);
    let rows: Vec<(String, String, i64)> = tx
        .all(
            "SELECT code, body, place FROM care_term WHERE tenant_id = $1 AND dictionary = $2",
            &[&tenant, &dictionary],
        )
        .await?;
    let mut kept: HashMap<String, (String, i64)> = rows.into_iter().map(|(c, b, p)| (c, (b, p))).collect();
    let mut written = 0;
    for (place, entry) in fresh.iter().enumerate() {
        let place = i64::try_from(place).unwrap_or(i64::MAX);
        let body = serde_json::to_string(entry).map_err(|e| StoreError::Constraint { message: e.to_string() })?;
        if kept.remove(entry.code()).is_some_and(|(b, p)| b == body && p == place) {
            continue;
        }
        let (code, name) = (entry.code(), entry.name().to_uppercase());
        tx.exec(
            "INSERT INTO care_term (tenant_id, dictionary, code, code_upper, name_upper, pinyin, place, body) \
             VALUES ($1,$2,$3,$4,$5,$6,$7,$8) ON CONFLICT (tenant_id, dictionary, code) DO UPDATE SET \
             code_upper = EXCLUDED.code_upper, name_upper = EXCLUDED.name_upper, pinyin = EXCLUDED.pinyin, \
             place = EXCLUDED.place, body = EXCLUDED.body",
            &[
                &tenant,
                &dictionary,
                &code,
                &code.to_uppercase(),
                &name,
                &entry.pinyin().to_uppercase(),
                &place,
                &body,
            ],
        )
        .await?;
        written += 1;
    }
    for code in kept.into_keys() {
        tx.exec(
            "DELETE FROM care_term WHERE tenant_id = $1 AND dictionary = $2 AND code = $3",
            &[&tenant, &dictionary, &code],
        )
        .await?;
        written += 1;
    }
    tx.exec(
        "INSERT INTO care_dictionary (tenant_id, dictionary, fetched_at) VALUES ($1,$2,$3) \
         ON CONFLICT (tenant_id, dictionary) DO UPDATE SET fetched_at = EXCLUDED.fetched_at",
        &[&tenant, &dictionary, &now],
    )
    .await?;
    Ok(written)
}

/// Entries whose code, name or initials fit: an exact code first, then beginnings, then parts; all, in the order of the
/// HIS, for an empty text.
///
/// # Errors
/// When the database fails.
pub async fn search<E: Entry>(tx: &mut Tx<'_>, q: &str, most: u32) -> Result<Vec<E>, StoreError> {
    let (tenant, dictionary, wanted) = (tx.tenant().clone(), E::DICTIONARY, needle(q));
    let (begins, inside) = (format!("{wanted}%"), format!("%{wanted}%"));
    let rows: Vec<(String,)> = tx
        .all(
            "SELECT body FROM care_term WHERE tenant_id = $1 AND dictionary = $2 \
             AND (code_upper LIKE $4 OR name_upper LIKE $5 OR pinyin LIKE $5) \
             ORDER BY CASE WHEN code_upper = $3 OR name_upper = $3 THEN 0 WHEN code_upper LIKE $4 OR name_upper LIKE $4 \
             OR pinyin LIKE $4 THEN 1 ELSE 2 END, place LIMIT $6",
            &[&tenant, &dictionary, &wanted, &begins, &inside, &most],
        )
        .await?;
    Ok(rows
        .into_iter()
        .filter_map(|(body,)| serde_json::from_str(&body).ok())
        .collect())
}

/// The entry of that code, e.g. `lookup::<records::his::Drug>(tx, code)`.
///
/// # Errors
/// When the database fails.
pub async fn lookup<E: Entry>(tx: &mut Tx<'_>, code: &str) -> Result<Option<E>, StoreError> {
    let (tenant, dictionary) = (tx.tenant().clone(), E::DICTIONARY);
    let row: Option<(String,)> = tx
        .opt(
            "SELECT body FROM care_term WHERE tenant_id = $1 AND dictionary = $2 AND code = $3",
            &[&tenant, &dictionary, &code],
        )
        .await?;
    Ok(row.and_then(|(body,)| serde_json::from_str(&body).ok()))
}
