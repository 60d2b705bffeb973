//! Which hospital and document a public code names. The code is looked up without knowing the hospital, so these rows
//! are the operator's.

use ::store::{Scope, StoreError, Tx};
use base::{ApiError, Ctx};
use records::TenantId;
use records::id::{OrderId, PrescriptionId, VisitId};

/// What a code names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// A prescription.
    Prescription(PrescriptionId),
    /// A version of the medical record of a visit.
    Record(VisitId, u32),
    /// An order of examinations or laboratory tests.
    Order(OrderId),
}

/// Makes a prescription's code findable.
pub(crate) async fn publish(tx: &mut Tx<'_>, code: &str, id: &PrescriptionId) -> Result<(), StoreError> {
    let (operator, hospital) = (::store::operator(), tx.tenant().clone());
    tx.exec(
        "INSERT INTO treatment_verify(tenant_id, code, hospital_id, prescription_id) VALUES ($1, $2, $3, $4) \
         ON CONFLICT DO NOTHING",
        &[&operator, &code, &hospital, id],
    )
    .await
    .map(drop)
}

/// Makes a record's code findable.
pub(crate) async fn publish_record(
    tx: &mut Tx<'_>,
    code: &str,
    visit: &VisitId,
    version: u32,
) -> Result<(), StoreError> {
    let (operator, hospital) = (::store::operator(), tx.tenant().clone());
    tx.exec(
        "INSERT INTO treatment_verify_record(tenant_id, code, hospital_id, visit_id, version) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        &[&operator, &code, &hospital, visit, &version],
    )
    .await
    .map(drop)
}

/// Makes an order's code findable.
pub(crate) async fn publish_order(tx: &mut Tx<'_>, code: &str, id: &OrderId) -> Result<(), StoreError> {
    let (operator, hospital) = (::store::operator(), tx.tenant().clone());
    tx.exec(
        "INSERT INTO treatment_verify_order(tenant_id, code, hospital_id, order_id) VALUES ($1, $2, $3, $4) \
         ON CONFLICT DO NOTHING",
        &[&operator, &code, &hospital, id],
    )
    .await
    .map(drop)
}

/// The document behind a code.
pub(crate) async fn find(ctx: &Ctx, code: &str) -> Result<Option<(TenantId, Named)>, ApiError> {
    let code = code.to_owned();
    ctx.store
        .read(&Scope::system(::store::operator()), move |tx| {
            let code = code.clone();
            Box::pin(async move {
                let operator = tx.tenant().clone();
                let sql =
                    "SELECT hospital_id, prescription_id FROM treatment_verify WHERE tenant_id = $1 AND code = $2";
                let found: Option<(TenantId, PrescriptionId)> = tx.opt(sql, &[&operator, &code]).await?;
                if let Some((hospital, id)) = found {
                    return Ok(Some((hospital, Named::Prescription(id))));
                }
                let sql = "SELECT hospital_id, order_id FROM treatment_verify_order WHERE tenant_id = $1 AND code = $2";
                let found: Option<(TenantId, OrderId)> = tx.opt(sql, &[&operator, &code]).await?;
                if let Some((hospital, id)) = found {
                    return Ok(Some((hospital, Named::Order(id))));
                }
                let sql = "SELECT hospital_id, visit_id, version FROM treatment_verify_record \
                           WHERE tenant_id = $1 AND code = $2";
                let found: Option<(TenantId, VisitId, u32)> = tx.opt(sql, &[&operator, &code]).await?;
                Ok(found.map(|(hospital, visit, version)| (hospital, Named::Record(visit, version))))
            })
        })
        .await
}
