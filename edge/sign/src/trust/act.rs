//! What administrators do with chains and kept certificates. Every act is logged with who did it.

use gm::Certificate;
use records::Timestamp;

use super::ChainSettings;
use crate::Refusal;
use crate::application::{ChainId, Policy};
use crate::engine::Engine;
use crate::vault::{CertificateRow, ChainRow};

impl Engine {
    /// Makes a chain of these certificates: roots and intermediates of one authority, in any order.
    pub fn import_chain(
        &self,
        by: &str,
        id: &ChainId,
        name: &str,
        certificates: &[Certificate],
    ) -> Result<(), Refusal> {
        let name = name.trim();
        if name.is_empty() || name.chars().count() > 64 {
            return Err(Refusal::no("name", "名称应为 1 至 64 个字。"));
        }
        if !certificates.iter().any(|c| c.is_issued_by(c).is_ok()) {
            return Err(Refusal::no("chain_root", "证书链中没有根证书（自签证书）。"));
        }
        for certificate in certificates {
            certificate.may_issue(0)?;
        }
        let now = self.clock.now();
        self.vault.write(|unit| {
            let known = unit.chains()?.into_iter().find(|row| row.id == id.0);
            let row = ChainRow {
                id: id.0.clone(),
                name: name.to_owned(),
                settings: known
                    .as_ref()
                    .map_or_else(|| "{}".to_owned(), |row| row.settings.clone()),
                made_at: known.map_or(now, |row| row.made_at),
                certificates: Vec::new(),
            };
            unit.put_chain(&row)?;
            let mut added = 0;
            for certificate in certificates {
                let fingerprint = gm::key::sha256(&certificate.der);
                added += u32::from(unit.add_chain_certificate(&id.0, &fingerprint, &certificate.der, now)?);
            }
            unit.log(now, "chain.imported", by, &format!("{} {added} certificates", id.0))
        })
    }

    /// Forgets a chain that no application's policy names.
    pub fn remove_chain(&self, by: &str, id: &ChainId) -> Result<(), Refusal> {
        let now = self.clock.now();
        self.vault.write(|unit| {
            for row in unit.applications()? {
                let policy: Policy = serde_json::from_str(&row.policy).map_err(|_| Refusal::Damaged("policy"))?;
                if policy.chains.contains(id) {
                    let text = format!("应用系统 {} 正在使用该证书链，请先修改其访问策略。", row.name);
                    return Err(Refusal::no("chain_used", text));
                }
            }
            if !unit.remove_chain(&id.0)? {
                return Err(Refusal::no("chain_unknown", format!("没有编号为 {} 的证书链。", id.0)));
            }
            unit.log(now, "chain.removed", by, &id.0)
        })
    }

    /// Sets where the state of a chain's certificates is found out.
    pub fn set_chain(&self, by: &str, id: &ChainId, settings: &ChainSettings) -> Result<(), Refusal> {
        settings.check()?;
        let text = serde_json::to_string(settings).map_err(|_| Refusal::Damaged("chain's settings"))?;
        let now = self.clock.now();
        self.vault.write(|unit| {
            let known = unit.chains()?.into_iter().find(|row| row.id == id.0);
            let unknown = || Refusal::no("chain_unknown", format!("没有编号为 {} 的证书链。", id.0));
            let mut row = known.ok_or_else(unknown)?;
            row.settings.clone_from(&text);
            unit.put_chain(&row)?;
            unit.log(now, "chain.changed", by, &format!("{} {text}", id.0))
        })
    }

    /// The root and the issuing certificate of the hospital's own authority, as a chain.
    pub fn import_own_chain(&self, by: &str, id: &ChainId, organisation: &str) -> Result<(), Refusal> {
        let now = self.trusted_now()?;
        let authority = self.authority(&self.kek()?, organisation, now)?;
        self.import_chain(by, id, organisation, &[authority.root, authority.issuing])
    }

    /// Keeps a certificate; `false` when it is kept already.
    pub fn keep_certificate(&self, by: &str, certificate: &Certificate, note: &str) -> Result<bool, Refusal> {
        let now = self.clock.now();
        let row = CertificateRow {
            fingerprint: gm::key::sha256(&certificate.der).to_vec(),
            serial: certificate.serial_hex(),
            subject: certificate.subject.common_name.clone(),
            issuer: certificate.issuer.common_name.clone(),
            not_before: Timestamp::from_offset(certificate.not_before),
            not_after: Timestamp::from_offset(certificate.not_after),
            algorithm: certificate.public_key.describe(),
            note: note.trim().to_owned(),
            certificate: certificate.der.clone(),
            imported_at: now,
        };
        self.vault.write(|unit| {
            let kept = unit.put_certificate(&row)?;
            if kept {
                unit.log(now, "certificate.kept", by, &format!("{} {}", row.serial, row.subject))?;
            }
            Ok(kept)
        })
    }
}
