//! What administrators do with outside servers and the signers bound to them.

use gm::Certificate;
use records::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::{BindingState, BindingView, Server, ServerView, chain};
use crate::Refusal;
use crate::engine::Engine;
use crate::vault::{BindingRow, Unit};
use crate::wrap::Wrapping;

/// A certificate at an outside server, led to the roots of the settings.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = OutsideCertificate)]
pub struct Found {
    /// Whom it names.
    pub subject: String,
    /// Its organisation.
    pub organization: String,
    /// Who issued it.
    pub issuer: String,
    /// Its serial number, hexadecimal.
    pub serial: String,
    /// SHA-256 of it, hexadecimal.
    pub fingerprint: String,
    /// Its end.
    #[schema(value_type = String, format = DateTime)]
    pub not_after: Timestamp,
}

/// A signer's key at an outside server.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OutsideBind)]
pub struct Bind {
    /// The signer's id, as the hospital's platform has it.
    pub signer: String,
    /// By which name the certificate is exported there.
    pub identification: String,
    /// The key's index there, from 1.
    pub key_index: u32,
    /// The access password of the key. Not printed.
    pub password: String,
    /// SHA-256, hexadecimal, of the certificate that the administrator was shown: another one is refused.
    pub fingerprint: String,
}

/// The owner's name under which an access password is wrapped until the signer's PIN takes it over.
pub(crate) fn password_owner(signer: &str) -> String {
    format!("outside password {signer}")
}

impl Found {
    fn of(certificate: &Certificate) -> Self {
        Self {
            subject: certificate.subject.common_name.clone(),
            organization: certificate.subject.organization.clone(),
            issuer: certificate.issuer.common_name.clone(),
            serial: certificate.serial_hex(),
            fingerprint: hex::encode(gm::key::sha256(&certificate.der)),
            not_after: Timestamp::from_offset(certificate.not_after),
        }
    }
}

impl Engine {
    /// The outside servers of the settings, as they are now. Asks none of them.
    pub fn outside_servers(&self) -> Result<Vec<ServerView>, Refusal> {
        self.vault
            .read(|unit| self.outside.all().map(|server| server.view(unit)).collect())
    }

    /// The signers bound to one.
    pub fn outside_signers(&self, server: &str) -> Result<Vec<BindingView>, Refusal> {
        self.outside.named(server)?;
        let rows = self.vault.read(|unit| unit.outside_signers(server))?;
        rows.iter().map(view).collect()
    }

    /// A certificate that a server exports now, led to the roots of the settings.
    pub fn outside_certificate(&self, server: &str, identification: &str) -> Result<Found, Refusal> {
        let chain = self.outside.named(server)?.export(identification)?;
        chain.first().map(Found::of).ok_or(Refusal::Damaged("certificate"))
    }

    /// Binds a signer to a key at a server. It is used from when the signer sets up the signature with the PIN.
    pub fn bind_outside(&self, by: &str, server: &str, asked: Bind) -> Result<BindingView, Refusal> {
        let password = Zeroizing::new(asked.password);
        let fits = |text: &str, most: usize| {
            (1..=most).contains(&text.chars().count()) && !text.chars().any(char::is_control) && text.trim() == text
        };
        if !fits(&asked.signer, 64) {
            return Err(Refusal::no("signer_id", "人员编号应为 1 至 64 个字符。"));
        }
        if !fits(&asked.identification, 128) || !(1..=0x7fff_ffff).contains(&asked.key_index) {
            return Err(Refusal::no(
                "outside_key",
                "证书标识应为 1 至 128 个字符，密钥索引从 1 开始。",
            ));
        }
        if !(1..=256).contains(&password.len()) {
            return Err(Refusal::no("outside_password", "密钥口令应为 1 至 256 个字符。"));
        }
        let server = self.outside.named(server)?;
        let path = server.export(&asked.identification)?;
        let own = expected(&path, &asked.fingerprint)?;
        let kek = self.kek()?;
        let owner = password_owner(&asked.signer);
        let wrapped = Wrapping::derive(&kek, None, &owner)?.wrap(password.as_bytes(), &owner)?;
        drop(kek);
        let now = self.clock.now();
        let row = self.vault.write(|unit| {
            let before = unit.outside_signer(&asked.signer)?;
            let rows = unit.outside_signers(&server.name)?;
            let live = |row: &&BindingRow| row.state != BindingState::Ended.name() && row.signer != asked.signer;
            if let Some(other) = rows.iter().filter(live).find(|row| row.key_index == asked.key_index) {
                let text = format!("密钥索引 {} 已登记给 {}。", asked.key_index, other.signer);
                return Err(Refusal::no("outside_key_used", text));
            }
            if !server.has_room(rows.iter().filter(live).count() as u64) {
                let text = format!("外部签名服务器 {} 的签名人数已达合同上限。", server.name);
                return Err(Refusal::no("outside_full", text));
            }
            let row = BindingRow {
                signer: asked.signer.clone(),
                server: server.name.clone(),
                key_index: asked.key_index,
                identification: asked.identification.clone(),
                chain: path.iter().flat_map(|c| c.der.iter().copied()).collect(),
                state: BindingState::Waiting.name().to_owned(),
                held: before.is_some_and(|before| before.held),
                password: Some(wrapped),
                seen: None,
                bound_by: by.to_owned(),
                bound_at: now,
            };
            unit.put_outside_signer(&row, now)?;
            self.add_root(unit, server, &path, now)?;
            let detail = format!(
                "{} key {} {} certificate {}",
                server.name,
                row.key_index,
                row.identification,
                own.serial_hex()
            );
            unit.log(now, "outside.bound", by, &format!("{} {detail}", row.signer))?;
            Ok(row)
        })?;
        view(&row)
    }

    /// Takes a certificate that differs from the accepted one. The signer sets up the signature again with it.
    pub fn accept_outside(&self, by: &str, server: &str, signer: &str, fingerprint: &str) -> Result<(), Refusal> {
        let server = self.outside.named(server)?;
        let row = self.bound(&server.name, signer)?;
        let seen = row.seen.as_deref();
        let seen = seen.ok_or_else(|| Refusal::no("outside_unchanged", "该签名人的证书没有变化。"))?;
        let path = server.judged(seen)?;
        let own = expected(&path, fingerprint)?;
        let now = self.clock.now();
        self.vault.write(|unit| {
            let mut row = unit
                .outside_signer(signer)?
                .filter(|now| now.seen == row.seen && now.server == row.server)
                .ok_or_else(|| Refusal::no("outside_moved", "该签名人的登记刚刚变化，请刷新后再试。"))?;
            row.chain = path.iter().flat_map(|c| c.der.iter().copied()).collect();
            row.seen = None;
            row.state = BindingState::Waiting.name().to_owned();
            unit.put_outside_signer(&row, now)?;
            self.add_root(unit, server, &path, now)?;
            let detail = format!("{signer} {} certificate {}", server.name, own.serial_hex());
            unit.log(now, "outside.accepted", by, &detail)
        })
    }

    /// Unbinds a signer, who signs there no more.
    pub fn unbind_outside(&self, by: &str, server: &str, signer: &str) -> Result<(), Refusal> {
        self.outside.named(server)?;
        self.bound(server, signer)?;
        let now = self.clock.now();
        self.vault.write(|unit| {
            let row = unit.outside_signer(signer)?.filter(|row| row.server == server);
            let Some(mut row) = row else { return Ok(()) };
            row.password = None;
            row.seen = None;
            row.state = BindingState::Ended.name().to_owned();
            if row.held {
                unit.put_outside_signer(&row, now)?;
            } else {
                // It was never used: the signer goes on as before.
                unit.forget_outside_signer(signer)?;
            }
            unit.log(now, "outside.unbound", by, &format!("{signer} {server}"))
        })
    }

    /// Has a server tried now, whatever its schedule says, and its certificates looked at.
    pub fn retry_outside(&self, by: &str, server: &str) -> Result<(), Refusal> {
        let server = self.outside.named(server)?;
        let now = self.clock.now();
        self.vault
            .write(|unit| unit.log(now, "outside.retried", by, &server.name))?;
        server.retry();
        Ok(())
    }

    fn bound(&self, server: &str, signer: &str) -> Result<BindingRow, Refusal> {
        let row = self.vault.read(|unit| unit.outside_signer(signer))?;
        let bound = row.filter(|row| row.server == server && row.state != BindingState::Ended.name());
        bound.ok_or_else(|| Refusal::no("outside_signer_unknown", "该外部签名服务器上没有登记这位签名人。"))
    }

    /// What was signed with a certificate verifies for as long as its root is known.
    fn add_root(&self, unit: &Unit<'_>, server: &Server, path: &[Certificate], now: Timestamp) -> Result<(), Refusal> {
        let root = path.last().ok_or(Refusal::Damaged("certificate"))?;
        unit.add_outside_root(&server.name, &root.der, now)
    }
}

/// The signer's certificate, when it is the one that the administrator saw.
fn expected<'p>(path: &'p [Certificate], fingerprint: &str) -> Result<&'p Certificate, Refusal> {
    let own = path.first().ok_or(Refusal::Damaged("certificate"))?;
    if hex::encode(gm::key::sha256(&own.der)).eq_ignore_ascii_case(fingerprint) {
        return Ok(own);
    }
    let text = "外部签名服务器现在的证书与您查看的不是同一张，请重新读取并核对。";
    Err(Refusal::no("outside_other_certificate", text))
}

fn view(row: &BindingRow) -> Result<BindingView, Refusal> {
    let own = chain(row)?.into_iter().next().ok_or(Refusal::Damaged("certificate"))?;
    let own = Found::of(&own);
    let seen = row.seen.as_deref().map(Certificate::parse).transpose().ok().flatten();
    Ok(BindingView {
        signer: row.signer.clone(),
        state: BindingState::of(row)?,
        key_index: row.key_index,
        identification: row.identification.clone(),
        subject: own.subject,
        organization: own.organization,
        issuer: own.issuer,
        serial: own.serial,
        fingerprint: own.fingerprint,
        not_after: own.not_after,
        seen: seen.as_ref().map(Found::of),
        bound_by: row.bound_by.clone(),
        bound_at: row.bound_at,
    })
}
