//! SQL of signers, attempts and signatures. Signed bytes name patients, so they are sealed; digests and serials are not.

use ::store::{Scope, StoreError, Tx};
use base::{ApiError, Ctx, Vault};
use records::id::{BlobId, StaffId};
use records::{Ids, Timestamp};

use super::{Attempt, Order, Purpose, Signed};

const SEALED: &str = "signing.document";

::store::id_value!(Purpose);

::store::row! {
    /// A person whose key is in the hospital's custody.
    #[derive(Clone, Debug)]
    pub(crate) struct Signer {
        pub(crate) certificate: Vec<u8>,
        pub(crate) certificate_serial: String,
        pub(crate) not_after: Option<Timestamp>,
        pub(crate) picture_blob: BlobId,
    }
}

pub(crate) async fn signer(tx: &mut Tx<'_>, staff: &StaffId) -> Result<Option<Signer>, StoreError> {
    let tenant = tx.tenant().clone();
    let columns = Signer::COLUMNS;
    let sql = format!("SELECT {columns} FROM treatment_signer WHERE tenant_id = $1 AND staff_id = $2");
    tx.opt(&sql, &[&tenant, staff]).await
}

pub(crate) async fn signer_now(ctx: &Ctx, scope: &Scope, staff: &StaffId) -> Result<Option<Signer>, ApiError> {
    let staff = staff.clone();
    ctx.store
        .read(scope, move |tx| {
            let staff = staff.clone();
            Box::pin(async move { Ok(signer(tx, &staff).await?) })
        })
        .await
}

/// Enrols a signer, or changes the picture and certificate of one.
pub(crate) async fn enrol(tx: &mut Tx<'_>, staff: &StaffId, s: &Signer) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.exec(
        "INSERT INTO treatment_signer(tenant_id, staff_id, certificate, certificate_serial, not_after, picture_blob, \
         enrolled_at) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tenant_id, staff_id) DO UPDATE SET \
         certificate = EXCLUDED.certificate, certificate_serial = EXCLUDED.certificate_serial, \
         not_after = EXCLUDED.not_after, picture_blob = EXCLUDED.picture_blob",
        &[
            &tenant,
            staff,
            &s.certificate,
            &s.certificate_serial,
            &s.not_after,
            &s.picture_blob,
            &now,
        ],
    )
    .await?;
    let detail = serde_json::json!({ "certificate_serial": s.certificate_serial });
    base::audit::record(tx, "signing.enrol", staff.as_str(), detail).await
}

/// Writes an attempt down, or goes on with the open one for the same wish. An open attempt for another wish is given up:
/// its signature, should it come, is never looked at.
pub(crate) async fn begin(tx: &mut Tx<'_>, vault: &Vault, ids: &Ids, order: &Order) -> Result<Attempt, ApiError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    if signer(tx, &order.signer).await?.is_none() {
        return Err(ApiError::conflict("no_signature", "请先设置电子签名"));
    }
    let open: Option<(String, String, Vec<u8>)> = tx
        .opt(
            "SELECT key, intent, document_sealed FROM treatment_signing WHERE tenant_id = $1 AND subject = $2 \
             AND purpose = $3 AND signer_id = $4 AND state = 'open'",
            &[&tenant, &order.subject, &order.purpose, &order.signer],
        )
        .await?;
    let attempt = |key: String, document: Vec<u8>| Attempt {
        key,
        purpose: order.purpose,
        subject: order.subject.clone(),
        signer: order.signer.clone(),
        document,
    };
    if let Some((key, intent, sealed)) = open {
        if intent == order.intent {
            return Ok(attempt(key, vault.open(&tenant, SEALED, &sealed)?.to_vec()));
        }
        settle(tx, &key, "abandoned").await?;
    }
    let key = ids.next("sgn", now);
    let sealed = vault.seal(&tenant, SEALED, &order.document)?;
    tx.exec(
        "INSERT INTO treatment_signing(tenant_id, key, purpose, subject, intent, signer_id, document_sealed, state, \
         begun_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 'open', $8)",
        &[
            &tenant,
            &key,
            &order.purpose,
            &order.subject,
            &order.intent,
            &order.signer,
            &sealed,
            &now,
        ],
    )
    .await?;
    Ok(attempt(key, order.document.clone()))
}

async fn settle(tx: &mut Tx<'_>, key: &str, state: &str) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.exec(
        "UPDATE treatment_signing SET state = $3, settled_at = $4 WHERE tenant_id = $1 AND key = $2 AND state = 'open'",
        &[&tenant, &key, &state, &now],
    )
    .await
    .map(drop)
}

/// Settles an attempt in a unit of its own.
pub(crate) async fn settle_now(ctx: &Ctx, scope: &Scope, key: &str, state: &'static str) -> Result<(), ApiError> {
    let key = key.to_owned();
    ctx.store
        .write(scope, move |tx| {
            let key = key.clone();
            Box::pin(async move { Ok(settle(tx, &key, state).await?) })
        })
        .await
}

/// Whether an attempt is still open: a signature that comes after its attempt was given up does not count.
async fn is_open(tx: &mut Tx<'_>, key: &str) -> Result<bool, StoreError> {
    let tenant = tx.tenant().clone();
    let row: Option<(String,)> = tx
        .opt(
            "SELECT state FROM treatment_signing WHERE tenant_id = $1 AND key = $2",
            &[&tenant, &key],
        )
        .await?;
    Ok(row.is_some_and(|(state,)| state == "open"))
}

/// Keeps a verified signature, in the unit of work of the act it stands for.
pub(crate) async fn keep(tx: &mut Tx<'_>, vault: &Vault, s: &Signed, role: &str, name: &str) -> Result<(), ApiError> {
    let tenant = tx.tenant().clone();
    if !is_open(tx, &s.attempt.key).await? {
        return Err(ApiError::conflict("changed", "内容在签名期间被修改，请核对后重新签名"));
    }
    let sealed = vault.seal(&tenant, SEALED, &s.attempt.document)?;
    tx.exec(
        "INSERT INTO treatment_signature(tenant_id, key, purpose, subject, signer_id, role, name, document_sealed, \
         document_sm3, cms, certificate_serial, signed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        &[
            &tenant,
            &s.attempt.key,
            &s.attempt.purpose,
            &s.attempt.subject,
            &s.attempt.signer,
            &role,
            &name,
            &sealed,
            &s.document_sm3,
            &s.cms,
            &s.certificate_serial,
            &s.signed_at,
        ],
    )
    .await?;
    settle(tx, &s.attempt.key, "done").await?;
    let detail = serde_json::json!({ "key": s.attempt.key, "document_sm3": s.document_sm3 });
    let action = format!("signing.{}", s.attempt.purpose.as_str());
    base::audit::record(tx, &action, &s.attempt.subject, detail).await?;
    Ok(())
}

::store::row! {
    /// A kept signature.
    #[derive(Clone, Debug)]
    pub(crate) struct Kept {
        pub(crate) signer_id: StaffId,
        pub(crate) role: String,
        pub(crate) name: String,
        pub(crate) document_sealed: Vec<u8>,
        pub(crate) document_sm3: String,
        pub(crate) cms: Vec<u8>,
        pub(crate) certificate_serial: String,
        pub(crate) signed_at: Timestamp,
    }
}

impl Kept {
    /// The bytes that were signed.
    pub(crate) fn document(&self, vault: &Vault, tenant: &records::TenantId) -> Result<Vec<u8>, ApiError> {
        Ok(vault.open(tenant, SEALED, &self.document_sealed)?.to_vec())
    }
}

/// The newest signature of a purpose over a subject.
pub(crate) async fn of_subject(tx: &mut Tx<'_>, purpose: Purpose, subject: &str) -> Result<Option<Kept>, StoreError> {
    let tenant = tx.tenant().clone();
    let columns = Kept::COLUMNS;
    let sql = format!(
        "SELECT {columns} FROM treatment_signature WHERE tenant_id = $1 AND subject = $2 AND purpose = $3 \
         ORDER BY signed_at DESC, key DESC LIMIT 1"
    );
    tx.opt(&sql, &[&tenant, &subject, &purpose]).await
}
