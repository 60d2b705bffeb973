//! SQL of forms, their versions, and what was filled in.

use records::Timestamp;
use serde_json::Value;
use store::{StoreError, Tx};

use super::FormId;

store::row! {
    /// A version of a form.
    #[derive(Clone, Debug)]
    pub(crate) struct Version {
        pub(crate) id: FormId,
        pub(crate) version: u32,
        pub(crate) name: String,
        /// A list of services.
        pub(crate) services: Value,
        pub(crate) body: Value,
        pub(crate) made_at: Timestamp,
        pub(crate) made_by: String,
    }
}

store::row! {
    /// A form as it was filled in.
    #[derive(Clone, Debug)]
    pub(crate) struct Answer {
        pub(crate) form_id: FormId,
        pub(crate) form_version: u32,
        pub(crate) body_sealed: Vec<u8>,
        pub(crate) score: Option<i32>,
        pub(crate) verdict: String,
        pub(crate) filled_at: Timestamp,
    }
}

const NEWEST: &str = "SELECT f.id, f.version, f.name, f.services, f.body, f.made_at, f.made_by FROM nursing_form f
    JOIN nursing_form_head h ON h.tenant_id = f.tenant_id AND h.id = f.id AND h.version = f.version WHERE f.tenant_id = $1";

/// The newest version of every form, by name; with when it was retired.
pub(crate) async fn all(tx: &mut Tx<'_>) -> Result<Vec<(Version, Option<Timestamp>)>, StoreError> {
    let tenant = tx.tenant().clone();
    let forms: Vec<Version> = tx.all(&format!("{NEWEST} ORDER BY f.name, f.id"), &[&tenant]).await?;
    let heads: Vec<(FormId, Option<Timestamp>)> = tx
        .all(
            "SELECT id, retired_at FROM nursing_form_head WHERE tenant_id = $1",
            &[&tenant],
        )
        .await?;
    let retired = |id: &FormId| heads.iter().find(|(h, _)| h == id).and_then(|(_, at)| *at);
    Ok(forms
        .into_iter()
        .map(|form| {
            let at = retired(&form.id);
            (form, at)
        })
        .collect())
}

/// The form in use for a service.
pub(crate) async fn for_service(tx: &mut Tx<'_>, service: &str) -> Result<Option<Version>, StoreError> {
    let tenant = tx.tenant().clone();
    let forms: Vec<Version> = tx
        .all(
            &format!("{NEWEST} AND h.retired_at IS NULL ORDER BY f.made_at DESC, f.id"),
            &[&tenant],
        )
        .await?;
    Ok(forms.into_iter().find(|f| serves(f, service)))
}

/// Whether a form is for a service.
pub(crate) fn serves(form: &Version, service: &str) -> bool {
    let services = form.services.as_array();
    services.is_some_and(|all| all.iter().any(|s| s.as_str() == Some(service)))
}

/// A version of a form.
pub(crate) async fn version(tx: &mut Tx<'_>, id: &FormId, version: u32) -> Result<Option<Version>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {} FROM nursing_form WHERE tenant_id = $1 AND id = $2 AND version = $3",
        Version::COLUMNS
    );
    tx.opt(&sql, &[&tenant, id, &version]).await
}

/// Every version of a form, newest first.
pub(crate) async fn versions(tx: &mut Tx<'_>, id: &FormId) -> Result<Vec<Version>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {} FROM nursing_form WHERE tenant_id = $1 AND id = $2 ORDER BY version DESC",
        Version::COLUMNS
    );
    tx.all(&sql, &[&tenant, id]).await
}

/// One version more, in use from now on.
pub(crate) async fn put(
    tx: &mut Tx<'_>,
    id: &FormId,
    name: &str,
    services: &Value,
    body: &Value,
    by: &str,
) -> Result<u32, StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let (version,): (u32,) = tx
        .one(
            "INSERT INTO nursing_form_head(tenant_id, id, version) VALUES ($1, $2, 1)
             ON CONFLICT (tenant_id, id) DO UPDATE SET version = nursing_form_head.version + 1 RETURNING version",
            &[&tenant, id],
        )
        .await?;
    tx.exec(
        "INSERT INTO nursing_form(tenant_id, id, version, name, services, body, made_at, made_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        &[&tenant, id, &version, &name, services, body, &now, &by],
    )
    .await?;
    Ok(version)
}

/// Takes a form out of use, or into it again.
pub(crate) async fn retire(tx: &mut Tx<'_>, id: &FormId, at: Option<Timestamp>) -> Result<u64, StoreError> {
    let tenant = tx.tenant().clone();
    tx.exec(
        "UPDATE nursing_form_head SET retired_at = $3 WHERE tenant_id = $1 AND id = $2",
        &[&tenant, id, &at],
    )
    .await
}

/// What was last filled in for an order.
pub(crate) async fn last_answer(tx: &mut Tx<'_>, order: &str) -> Result<Option<Answer>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {} FROM nursing_answer WHERE tenant_id = $1 AND order_id = $2 ORDER BY revision DESC LIMIT 1",
        Answer::COLUMNS
    );
    tx.opt(&sql, &[&tenant, &order]).await
}

/// Keeps what was filled in, beside what was before.
pub(crate) async fn answer(
    tx: &mut Tx<'_>,
    order: &str,
    (form, version): (&FormId, u32),
    sealed: &[u8],
    score: Option<i32>,
    verdict: &str,
) -> Result<(), StoreError> {
    let (tenant, now, by) = (tx.tenant().clone(), tx.now(), tx.actor().to_string());
    tx.exec(
        "INSERT INTO nursing_answer(tenant_id, order_id, revision, form_id, form_version, body_sealed, score, verdict,
            filled_at, filled_by)
         VALUES ($1, $2, (SELECT COUNT(*) + 1 FROM nursing_answer WHERE tenant_id = $1 AND order_id = $2),
            $3, $4, $5, $6, $7, $8, $9)",
        &[&tenant, &order, form, &version, &sealed, &score, &verdict, &now, &by],
    )
    .await
    .map(drop)
}
