//! SQL of the medical record: versions, sealed.

use base::{ApiError, Vault};
use records::Timestamp;
use records::id::{StaffId, VisitId};
use store::Tx;

use super::{Record, RecordWish};

const SEALED: &str = "record.body";

/// A version of a record.
#[derive(Clone, Debug)]
pub(crate) struct Saved {
    pub(crate) version: u32,
    pub(crate) record: Record,
    pub(crate) saved_at: Timestamp,
}

/// The newest version of a visit's record.
pub(crate) async fn latest(tx: &mut Tx<'_>, vault: &Vault, visit: &VisitId) -> Result<Option<Saved>, ApiError> {
    newest(tx, vault, visit, "").await
}

/// The newest version that carries the doctor's signature.
pub(crate) async fn latest_signed(tx: &mut Tx<'_>, vault: &Vault, visit: &VisitId) -> Result<Option<Saved>, ApiError> {
    let signed = "AND EXISTS (SELECT 1 FROM treatment_signature s WHERE s.tenant_id = r.tenant_id \
                  AND s.purpose = 'record' AND s.subject = r.visit_id || '/' || r.version)";
    newest(tx, vault, visit, signed).await
}

async fn newest(tx: &mut Tx<'_>, vault: &Vault, visit: &VisitId, which: &str) -> Result<Option<Saved>, ApiError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT r.version, r.body_sealed, r.saved_at FROM treatment_record r WHERE r.tenant_id = $1 AND r.visit_id = $2 \
         {which} ORDER BY r.version DESC LIMIT 1"
    );
    let row: Option<(u32, Vec<u8>, Timestamp)> = tx.opt(&sql, &[&tenant, visit]).await?;
    let Some((version, sealed, saved_at)) = row else {
        return Ok(None);
    };
    let plain = vault.open(&tenant, SEALED, &sealed)?;
    let record = serde_json::from_slice(&plain).map_err(ApiError::internal)?;
    Ok(Some(Saved {
        version,
        record,
        saved_at,
    }))
}

/// Adds a version on top of `based_on`. One that says the same as the newest is none, so that a lost answer may be asked
/// for again.
///
/// # Errors
/// When somebody saved another version meanwhile.
pub(crate) async fn add(
    tx: &mut Tx<'_>,
    vault: &Vault,
    visit: &VisitId,
    doctor: &StaffId,
    wish: &RecordWish,
) -> Result<Saved, ApiError> {
    let RecordWish { record, based_on } = wish;
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let before = latest(tx, vault, visit).await?;
    if let Some(before) = before.as_ref().filter(|b| b.record == *record) {
        return Ok(before.clone());
    }
    let newest = before.as_ref().map_or(0, |b| b.version);
    if newest != *based_on {
        return Err(changed(before.as_ref()));
    }
    let version = newest + 1;
    let plain = serde_json::to_vec(record).map_err(ApiError::internal)?;
    let sealed = vault.seal(&tenant, SEALED, &plain)?;
    tx.exec(
        "INSERT INTO treatment_record(tenant_id, visit_id, version, doctor_id, body_sealed, saved_at) \
         VALUES ($1, $2, $3, $4, $5, $6)",
        &[&tenant, visit, &version, doctor, &sealed, &now],
    )
    .await?;
    base::audit::record(
        tx,
        "record.save",
        visit.as_str(),
        serde_json::json!({ "version": version }),
    )
    .await?;
    Ok(Saved {
        version,
        record: record.clone(),
        saved_at: now,
    })
}

/// Another version than the one that was shown is the newest.
pub(crate) fn changed(newest: Option<&Saved>) -> ApiError {
    let text = newest.map_or_else(
        || "病历已发生变化，请刷新后再保存".to_owned(),
        |n| {
            let version = n.version;
            format!("病历已在其他窗口或设备上保存为第{version}版，您的内容尚未保存，请先查看最新内容")
        },
    );
    ApiError::conflict("record_changed", text)
}
