//! The roots a hospital's signatures and seals must lead to: set by the administrator, or, while none is set, asked once
//! of the hospital's own attested appliance and pinned from then on. Pinned ones stay: what was signed under a root must
//! verify for as long as prescriptions are kept, so an administrator may only add (a new certificate authority).

use std::time::Duration;

use ::store::{Scope, Tx};
use base::hospital::call as ask;
use base::settings::Setting;
use base::{ApiError, Ctx};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use gm::{Certificate, Trust};
use records::Outcome;
use records::sign::{Roots, TrustRequest, TrustRoots};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Roots of the signature server (签名服务器信任根).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SigningSettings {
    /// SM2 roots of signers, DER, base64.
    pub roots: Vec<String>,
    /// P-256 roots of PDF seals, DER, base64.
    pub seals: Vec<String>,
}

impl Setting for SigningSettings {
    const NAME: &'static str = "treatment.signing";

    fn check(&self) -> Result<(), String> {
        let both = [&self.roots, &self.seals];
        both.into_iter()
            .try_for_each(|all| read(all).map(drop))
            .map_err(|e| format!("信任根证书无法识别：{e}"))
    }

    fn change(&self, before: &Self) -> Result<Value, String> {
        let roots = added("签名信任根", &before.roots, &self.roots)?;
        let seals = added("签章信任根", &before.seals, &self.seals)?;
        Ok(json!({ "roots_added": roots, "seals_added": seals }))
    }
}

/// The serial numbers of what `after` has beyond `before`.
fn added(what: &str, before: &[String], after: &[String]) -> Result<Vec<String>, String> {
    let (before, after) = (ders(before)?, ders(after)?);
    if before.iter().any(|root| !after.contains(root)) {
        let text = "不能删除或替换：已签名的处方和病历依靠它验证。如需启用新证书，请在原有证书之后添加";
        return Err(format!("{what}{text}"));
    }
    let new = after.iter().filter(|root| !before.contains(root));
    new.map(|der| {
        let root = Certificate::parse(der).map_err(|e| format!("{what}证书无法识别：{e}"))?;
        root.may_issue(0)
            .map_err(|_| format!("{what}应为CA证书，{}不是", root.subject.common_name))?;
        Ok(root.serial_hex())
    })
    .collect()
}

fn ders(roots: &[String]) -> Result<Vec<Vec<u8>>, String> {
    let read = roots.iter().map(|r| BASE64.decode(r.trim()));
    read.collect::<Result<_, _>>().map_err(|e| e.to_string())
}

fn read(roots: &[String]) -> Result<Trust, String> {
    Trust::new(ders(roots)?).map_err(|e| e.to_string())
}

/// What is trusted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Anchors {
    /// For signatures of people.
    pub(crate) signers: Trust,
    /// For seals of PDFs.
    pub(crate) seals: Trust,
}

impl SigningSettings {
    fn anchors(&self) -> Result<Anchors, ApiError> {
        Ok(Anchors {
            signers: read(&self.roots).map_err(ApiError::internal)?,
            seals: read(&self.seals).map_err(ApiError::internal)?,
        })
    }
}

/// The roots set for the unit's hospital; none of a kind means nothing of that kind verifies.
pub(crate) async fn anchors_in(tx: &mut Tx<'_>) -> Result<Anchors, ApiError> {
    base::settings::get::<SigningSettings>(tx).await?.anchors()
}

/// The roots set for the hospital; asked of its appliance when there are none yet.
pub(crate) async fn anchors(ctx: &Ctx, scope: &Scope) -> Result<Anchors, ApiError> {
    let known = ctx
        .store
        .read(scope, |tx| {
            Box::pin(async move { Ok::<_, ApiError>(base::settings::get::<SigningSettings>(tx).await?) })
        })
        .await?;
    if !known.roots.is_empty() && !known.seals.is_empty() {
        return known.anchors();
    }
    let question = TrustRequest::default();
    let told = ask::<TrustRoots>(&*ctx.hospital, &scope.tenant, &question, None, Duration::from_secs(5)).await;
    match told {
        Outcome::Done(roots) => pin(ctx, scope, roots).await,
        _ => known.anchors(),
    }
}

/// Pins what the appliance told, for the kinds that have no root yet.
async fn pin(ctx: &Ctx, scope: &Scope, told: Roots) -> Result<Anchors, ApiError> {
    let settings = ctx
        .store
        .write(&Scope::system(scope.tenant.clone()), move |tx| {
            let told = told.clone();
            Box::pin(async move {
                let mut settings = base::settings::get::<SigningSettings>(tx).await?;
                let before = settings.clone();
                if settings.roots.is_empty() {
                    settings.roots = told.signers;
                }
                if settings.seals.is_empty() {
                    settings.seals = told.seals;
                }
                if settings == before {
                    return Ok(settings);
                }
                settings.check().map_err(ApiError::internal)?;
                base::settings::put(tx, &settings).await?;
                let detail = serde_json::json!({ "roots": settings.roots.len(), "seals": settings.seals.len() });
                base::audit::record(tx, "signing.roots_pinned", "", detail).await?;
                Ok::<_, ApiError>(settings)
            })
        })
        .await?;
    tracing::warn!(tenant.id = %scope.tenant, "signature roots pinned as the appliance told them");
    settings.anchors()
}
