//! Settings of outside servers.

use std::path::PathBuf;

use gm::Trust;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Refusal;

/// A signature server of others, as in
/// ```toml
/// [[outside]]
/// name = "province"
/// url = "https://sign.example.cn:8443/svs"
/// roots = "/etc/signd/province-roots.pem"          # to whom doctors' certificates lead
/// tls_roots = "/etc/signd/province-tls.pem"        # to whom its HTTPS certificate leads
/// client_certificate = "/etc/signd/hospital.pem"   # mutual TLS; both or neither
/// client_key = "/run/credentials/signd.service/hospital.key"
/// [outside.contract]
/// begins = "2026-11-01"
/// signers = 200
/// signatures = 40000
/// beyond = "refuse"                                # or "allow": the surplus is paid for
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutsideConfig {
    /// Its name: 1 to 32 small letters, digits and `-`. Signers are bound to it; it never changes.
    pub name: String,
    /// Where its ASN.1 messages (GB/T 38629 annex A) are posted. `https://`.
    pub url: String,
    /// Roots, and authorities below them, that signers' certificates must lead to, PEM.
    pub roots: PathBuf,
    /// Roots that its HTTPS certificate must lead to, PEM.
    pub tls_roots: PathBuf,
    /// What is spoken: `classic`, `sm`, `sm-first`, `classic-first`.
    #[serde(default = "classic")]
    pub tls: String,
    /// Our certificate for mutual TLS and those above it, PEM.
    #[serde(default)]
    pub client_certificate: Option<PathBuf>,
    /// Its private key, PEM.
    #[serde(default)]
    pub client_key: Option<PathBuf>,
    /// Writes the request's CHOICE wrapped in an OCTET STRING, as some read `Request ::= OCTET STRING { … }`. Answers are
    /// read either way.
    #[serde(default)]
    pub wrapped: bool,
    /// Milliseconds within which it answers, 200 to 6,000: a doctor waits for it, and the line from the cloud gives up
    /// after 8 s.
    #[serde(default = "answer_ms")]
    pub answer_ms: u64,
    /// Requests at a time, 1 to 16.
    #[serde(default = "connections")]
    pub connections: usize,
    /// What was agreed with who runs it; without it signatures are counted by the calendar year and not limited.
    #[serde(default)]
    pub contract: Option<ContractConfig>,
}

/// What was agreed with who runs the server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContractConfig {
    /// The first day, `2026-11-01`, Chinese time. Each year begins anew on that day.
    pub begins: String,
    /// Signers at a time.
    pub signers: u64,
    /// Signatures a year.
    pub signatures: u64,
    /// What becomes of more.
    #[serde(default)]
    pub beyond: Beyond,
}

/// What becomes of more than was agreed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Beyond {
    /// It is refused.
    #[default]
    Refuse,
    /// It is done, counted, and shown as more than was agreed.
    Allow,
}

fn classic() -> String {
    smtls::Offer::Classic.name().to_owned()
}

fn answer_ms() -> u64 {
    4_000
}

fn connections() -> usize {
    4
}

impl OutsideConfig {
    /// Whether it can be used.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let named = (1..=32).contains(&self.name.len()) && self.name.bytes().all(letter);
        if !named || self.name == crate::keys::TPM {
            let text = "外部签名服务器名称应为 1 至 32 个小写字母、数字或连字符，且不能是 tpm。";
            return Err(Refusal::no("outside_name", text));
        }
        let bad = |text: String| Err(Refusal::no("outside_config", text));
        if !(self.url.starts_with("https://") && reqwest::Url::parse(&self.url).is_ok()) {
            return bad(format!("外部签名服务器 {} 的 url 应为 https:// 地址。", self.name));
        }
        if !(200..=6_000).contains(&self.answer_ms) {
            return bad(format!("外部签名服务器 {} 的 answer_ms 应为 200 至 6000。", self.name));
        }
        if !(1..=16).contains(&self.connections) {
            return bad(format!("外部签名服务器 {} 的 connections 应为 1 至 16。", self.name));
        }
        if self.client_certificate.is_some() != self.client_key.is_some() {
            return bad(format!(
                "外部签名服务器 {} 的 client_certificate 与 client_key 应同时配置。",
                self.name
            ));
        }
        Ok(())
    }

    /// Roots and authorities below them, to whom signers' certificates lead.
    pub(super) fn trust(&self) -> Result<Trust, Refusal> {
        let file = self.roots.display();
        let bad = |why: String| {
            let text = format!("外部签名服务器 {} 的信任根 {file} 不可用：{why}。", self.name);
            Refusal::no("outside_roots", text)
        };
        let bytes = std::fs::read(&self.roots).map_err(|error| bad(error.to_string()))?;
        let bundle = gm::pem::read_bundle(&bytes).map_err(|refused| bad(refused.person().to_owned()))?;
        let (roots, below): (Vec<_>, Vec<_>) = bundle
            .certificates
            .iter()
            .partition(|certificate| certificate.is_issued_by(certificate).is_ok());
        if roots.is_empty() {
            return Err(bad("其中没有自签名的根证书".to_owned()));
        }
        let trust = Trust::new(roots.iter().map(|certificate| &certificate.der))?;
        Ok(trust.with_authorities(below.iter().map(|certificate| &certificate.der))?)
    }
}
