//! Which hospital and prescription a public code names. The code is looked up without knowing the hospital, so these
//! rows are the operator's.

use ::store::{Scope, StoreError, Tx};
use base::{ApiError, Ctx};
use records::TenantId;
use records::id::PrescriptionId;

/// Makes a code findable.
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

/// The prescription behind a code.
pub(crate) async fn find(ctx: &Ctx, code: &str) -> Result<Option<(TenantId, PrescriptionId)>, ApiError> {
    let code = code.to_owned();
    ctx.store
        .read(&Scope::system(::store::operator()), move |tx| {
            let code = code.clone();
            Box::pin(async move {
                let operator = tx.tenant().clone();
                let sql =
                    "SELECT hospital_id, prescription_id FROM treatment_verify WHERE tenant_id = $1 AND code = $2";
                Ok(tx.opt(sql, &[&operator, &code]).await?)
            })
        })
        .await
}
