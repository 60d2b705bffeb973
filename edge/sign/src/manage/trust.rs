//! What the page does with chains and kept certificates beside importing them.

use gm::Certificate;

use super::Manage;
use crate::Refusal;
use crate::application::ChainId;
use crate::engine::Engine;

impl Manage {
    /// A chain that there is.
    pub(crate) fn known_chain(&self, id: ChainId) -> Result<ChainId, Refusal> {
        if self.service.state().chains.contains_key(&id) {
            Ok(id)
        } else {
            Err(unknown(&id))
        }
    }

    /// Makes a chain or adds to one; with what is there already it must hold a root.
    pub(crate) fn import_chain(
        &self,
        by: &str,
        id: &ChainId,
        name: &str,
        certificates: &[Certificate],
    ) -> Result<(), Refusal> {
        let state = self.service.state();
        let before = state
            .chains
            .get(id)
            .map(|chain| chain.certificates.as_slice())
            .unwrap_or_default();
        let all: Vec<Certificate> = before.iter().chain(certificates).cloned().collect();
        self.engine().import_chain(by, id, name, &all)
    }

    /// Forgets a kept certificate, confirmed by its serial number.
    pub(crate) fn remove_certificate(&self, by: &str, fingerprint: &[u8], confirm: &str) -> Result<(), Refusal> {
        let engine = self.engine();
        let now = engine.clock.now();
        engine.vault.write(|unit| {
            let row = unit.certificate(fingerprint)?;
            let row = row.ok_or_else(|| Refusal::no("certificate_unknown", "没有这张证书。"))?;
            if !row.serial.eq_ignore_ascii_case(confirm.trim()) {
                return Err(Refusal::no("confirm", "输入的序列号与该证书不一致，未删除。"));
            }
            unit.remove_certificate(fingerprint)?;
            let detail = format!("{} {} {}", row.serial, row.subject, hex::encode(fingerprint));
            unit.log(now, "certificate.removed", by, &detail)
        })
    }
}

impl Engine {
    /// Forgets one certificate of a chain; a chain keeps a root.
    pub(crate) fn remove_chain_certificate(&self, by: &str, id: &ChainId, fingerprint: &[u8]) -> Result<(), Refusal> {
        let now = self.clock.now();
        self.vault.write(|unit| {
            if !unit.remove_chain_certificate(&id.0, fingerprint)? {
                return Err(Refusal::no("certificate_unknown", "该证书链中没有这张证书。"));
            }
            let chain = unit
                .chains()?
                .into_iter()
                .find(|row| row.id == id.0)
                .ok_or_else(|| unknown(id))?;
            let mut rooted = false;
            for der in &chain.certificates {
                rooted |= Certificate::parse(der)?.is_self_issued();
            }
            if !rooted {
                return Err(Refusal::no(
                    "chain_root",
                    "证书链要保留根证书；不再需要时请删除整条链。",
                ));
            }
            let detail = format!("{} {}", id.0, hex::encode(fingerprint));
            unit.log(now, "chain.certificate_removed", by, &detail)
        })
    }
}

fn unknown(id: &ChainId) -> Refusal {
    Refusal::no("chain_unknown", format!("没有编号为 {} 的证书链。", id.0))
}
