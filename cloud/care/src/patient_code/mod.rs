//! The patient code (就诊码): what a person shows a terminal of the hospital instead of a card, see
//! [`records::patient_code`]. Made here for a patient the HIS knows; judged by the appliance, which was told the key
//! before, so that it works while the hospital has no line.
//!
//! The keys are derived from the installation's master key and stored nowhere. The appliance is told of them by a log
//! entry: at the first round after it was bound, each day, and after the keys changed.

mod routes;
mod store;
#[cfg(test)]
mod tests;

use ::store::{Scope, Tx};
use base::vault::VaultError;
use base::{Ctx, Vault, hospital};
use block::Gcm;
use gm::key::Signer;
use records::patient_code::{Bearer, LIFE, PatientCode, PatientCodeKey};
use records::{Ids, TenantId, Timestamp};

use crate::CareError;
pub(crate) use routes::routes;
pub(crate) use store::MIGRATION;

const SIGN: &str = "patient-code";

/// What the terminal may be asked to begin with, as it calls it.
const TASKS: [&str; 4] = ["check_in", "reports", "prescriptions", "fees"];

/// What the appliance of a hospital judges codes with.
pub fn key(vault: &Vault, hospital: &TenantId) -> Result<PatientCodeKey, VaultError> {
    Ok(PatientCodeKey {
        point: hex::encode(vault.signing_key(hospital, SIGN)?.public_key().bytes()),
        seal: hex::encode(vault.shared_secret(hospital, SIGN)?.as_slice()),
    })
}

/// A code that is good from now on for [`LIFE`].
pub(crate) fn make(
    vault: &Vault,
    ids: &Ids,
    hospital: &TenantId,
    bearer: &Bearer,
    now: Timestamp,
) -> Result<PatientCode, CareError> {
    let expires_at = Timestamp::from_seconds(now.plus(LIFE).as_seconds());
    let nonce: [u8; 12] = ids.random();
    let mut sealed = bearer.to_bytes();
    let gcm = Gcm::new(&*vault.shared_secret(hospital, SIGN)?);
    let tag = gcm.seal_in_place(&nonce, &PatientCode::bound(hospital, expires_at), &mut sealed);
    sealed.extend_from_slice(&tag);
    if sealed.len() > usize::from(u8::MAX) {
        return Err(CareError::Damaged);
    }
    let mut code = PatientCode {
        expires_at,
        nonce,
        sealed,
        signature: Vec::new(),
    };
    let signed = vault.signing_key(hospital, SIGN)?.sign(&code.signed(hospital));
    code.signature = signed.map_err(|_| CareError::Damaged)?;
    Ok(code)
}

/// Tells the appliance the key, unless this one was told it. Answers whether there is an appliance.
pub(crate) async fn tell(tx: &mut Tx<'_>, vault: &Vault) -> Result<bool, CareError> {
    let Some(peer) = hospital::appliance(tx).await? else {
        return Ok(false);
    };
    let key = key(vault, &tx.tenant().clone())?;
    if !store::is_told(tx, peer.as_str(), &key).await? {
        hospital::patient_code_key(tx, &key).await?;
        store::told(tx, peer.as_str(), &key).await?;
    }
    Ok(true)
}

/// One round: an appliance that does not know the key is told. Idempotent.
pub(crate) async fn tick(ctx: &Ctx, tenant: &TenantId) -> Result<(), CareError> {
    let (scope, vault) = (Scope::system(tenant.clone()), ctx.vault.clone());
    let expected = key(&vault, tenant)?;
    let known = ctx.store.read(&scope, move |tx| {
        let expected = expected.clone();
        Box::pin(async move {
            match hospital::appliance(tx).await? {
                Some(peer) => store::is_told(tx, peer.as_str(), &expected).await,
                None => Ok(true),
            }
        })
    });
    if known.await.map_err(CareError::Store)? {
        return Ok(());
    }
    let told = ctx.store.write(&scope, move |tx| {
        let vault = vault.clone();
        Box::pin(async move { tell(tx, &vault).await })
    });
    told.await.map(drop)
}
