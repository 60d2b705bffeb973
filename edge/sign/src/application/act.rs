//! What administrators do with applications. Every act is logged with who did it, in the unit that does it.

use gm::Certificate;
use zeroize::Zeroizing;

use super::{ApplicationId, Policy};
use crate::Refusal;
use crate::engine::Engine;
use crate::state::secret_owner;
use crate::vault::{ApplicationCertificateRow, ApplicationRow, Unit};
use crate::wrap::{self, Wrapping};

/// Bytes of a request key.
const SECRET: usize = 32;

impl Engine {
    /// Registers an application. Its policy must name keys and chains that there are.
    pub fn register_application(&self, by: &str, id: &str, name: &str, policy: &Policy) -> Result<(), Refusal> {
        check_id(id)?;
        let name = check_name(name)?;
        let now = self.clock.now();
        self.vault.write(|unit| {
            if unit.applications()?.iter().any(|row| row.id == id) {
                return Err(Refusal::no(
                    "application_exists",
                    format!("应用系统编号 {id} 已被使用。"),
                ));
            }
            check_policy(unit, policy)?;
            let row = ApplicationRow {
                id: id.to_owned(),
                name: name.to_owned(),
                enabled: true,
                policy: text(policy)?,
                secret: None,
                made_at: now,
            };
            unit.put_application(&row, now)?;
            unit.log(now, "application.registered", by, &format!("{id} {}", row.policy))
        })
    }

    /// Changes an application's name, policy, and whether it is served.
    pub fn change_application(
        &self,
        by: &str,
        id: &ApplicationId,
        name: &str,
        enabled: bool,
        policy: &Policy,
    ) -> Result<(), Refusal> {
        let name = check_name(name)?;
        let now = self.clock.now();
        self.vault.write(|unit| {
            let mut row = row(unit, id)?;
            check_policy(unit, policy)?;
            row.name = name.to_owned();
            row.enabled = enabled;
            row.policy = text(policy)?;
            unit.put_application(&row, now)?;
            let detail = format!("{} enabled {enabled} {}", id.0, row.policy);
            unit.log(now, "application.changed", by, &detail)
        })
    }

    /// Lets an application sign in by this certificate.
    pub fn add_application_certificate(
        &self,
        by: &str,
        id: &ApplicationId,
        certificate: &Certificate,
    ) -> Result<(), Refusal> {
        let now = self.clock.now();
        certificate.is_valid_at(now.offset())?;
        let added = ApplicationCertificateRow {
            application: id.0.clone(),
            fingerprint: gm::key::sha256(&certificate.der).to_vec(),
            certificate: certificate.der.clone(),
        };
        self.vault.write(|unit| {
            row(unit, id)?;
            if !unit.add_application_certificate(&added, now)? {
                return Err(Refusal::no("certificate_used", "该证书已用于一个应用系统的登录。"));
            }
            let detail = format!("{} {}", id.0, hex::encode(&added.fingerprint));
            unit.log(now, "application.certificate_added", by, &detail)
        })
    }

    /// The application no longer signs in by this certificate.
    pub fn remove_application_certificate(
        &self,
        by: &str,
        id: &ApplicationId,
        fingerprint: &[u8],
    ) -> Result<(), Refusal> {
        let now = self.clock.now();
        self.vault.write(|unit| {
            if !unit.remove_application_certificate(&id.0, fingerprint)? {
                return Err(Refusal::no("certificate_unknown", "该应用系统没有登记这张证书。"));
            }
            let detail = format!("{} {}", id.0, hex::encode(fingerprint));
            unit.log(now, "application.certificate_removed", by, &detail)
        })
    }

    /// Gives an application a new request key, shown this once; the one before ends at the next reload.
    pub fn renew_application_secret(&self, by: &str, id: &ApplicationId) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let secret = Zeroizing::new(wrap::random::<SECRET>()?.to_vec());
        let (kek, now) = (self.kek()?, self.clock.now());
        let owner = secret_owner(&id.0);
        let wrapped = Wrapping::derive(&kek, None, &owner)?.wrap(&secret, &owner)?;
        self.vault.write(|unit| {
            let mut row = row(unit, id)?;
            row.secret = Some(wrapped.clone());
            unit.put_application(&row, now)?;
            unit.log(now, "application.key_renewed", by, &id.0)
        })?;
        Ok(secret)
    }
}

fn row(unit: &Unit<'_>, id: &ApplicationId) -> Result<ApplicationRow, Refusal> {
    let found = unit.applications()?.into_iter().find(|row| row.id == id.0);
    found.ok_or_else(|| Refusal::no("application_unknown", format!("没有编号为 {} 的应用系统。", id.0)))
}

fn text(policy: &Policy) -> Result<String, Refusal> {
    serde_json::to_string(policy).map_err(|_| Refusal::Damaged("policy"))
}

fn check_id(id: &str) -> Result<(), Refusal> {
    let fits = id.strip_prefix("app_").is_some_and(|rest| {
        (1..=40).contains(&rest.len())
            && rest
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    });
    if fits {
        Ok(())
    } else {
        Err(Refusal::no(
            "application_id",
            "应用系统编号应为 app_ 加 1 至 40 位字母、数字、“_”或“-”。",
        ))
    }
}

fn check_name(name: &str) -> Result<&str, Refusal> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > 64 || name.chars().any(char::is_control) {
        return Err(Refusal::no("name", "名称应为 1 至 64 个字。"));
    }
    Ok(name)
}

fn check_policy(unit: &Unit<'_>, policy: &Policy) -> Result<(), Refusal> {
    let keys = unit.keys()?;
    if let Some(absent) = policy
        .keys
        .iter()
        .find(|index| !keys.iter().any(|key| key.index == index.0))
    {
        return Err(Refusal::no("key_unknown", format!("没有索引为 {} 的密钥。", absent.0)));
    }
    let chains = unit.chains()?;
    if let Some(absent) = policy
        .chains
        .iter()
        .find(|id| !chains.iter().any(|chain| chain.id == id.0))
    {
        return Err(Refusal::no(
            "chain_unknown",
            format!("没有编号为 {} 的证书链。", absent.0),
        ));
    }
    Ok(())
}
