//! What an appliance shows of its TPM, and how others judge it without one.

use evidence::{Certified, Quoted, TpmKey};
use gm::key::Kind;
use gm::{Certificate, PublicKey, Trust};
use records::Timestamp;
use serde::{Deserialize, Serialize};

use super::Belief;
use crate::Refusal;

/// The format that is written; older ones are read.
const FORMAT: u16 = 1;
/// An introduction is shorter.
const MAX: usize = 64 * 1024;

/// Public keys of an appliance's TPM, each as its `TPMT_PUBLIC`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keys {
    pub(super) endorsement: Vec<u8>,
    /// The maker's certificate for it and those above, DER; none where the chip carries none.
    pub(super) endorsement_certificates: Vec<Vec<u8>>,
    pub(super) attestation: Vec<u8>,
    /// Signs packages and receipts.
    pub(super) signing: Vec<u8>,
}

impl Keys {
    /// SHA-256 over the three keys: the same at every introduction, as long as they are.
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        let mut bytes = b"signd appliance".to_vec();
        for part in [&self.endorsement, &self.attestation, &self.signing] {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        gm::key::sha256(&bytes)
    }

    /// What the TPM's statements answer: they hold for these keys under this name at this time only.
    pub(super) fn nonce(&self, name: &str, made_at: Timestamp) -> [u8; 32] {
        let text = format!("{}\n{name}\n{}", hex::encode(self.fingerprint()), made_at.as_micros());
        gm::key::sha256(text.as_bytes())
    }
}

/// As it is carried, JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Introduction {
    format: u16,
    name: String,
    made_at: Timestamp,
    endorsement: String,
    endorsement_certificates: Vec<String>,
    attestation: String,
    signing: String,
    /// The attestation key certifies the signing key.
    certified: Statement,
    /// The measured state.
    quoted: Statement,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    attest: String,
    signature: String,
}

/// An introduction that holds.
#[derive(Debug, Clone)]
pub(super) struct Judged {
    pub(super) name: String,
    pub(super) endorsement: TpmKey,
    pub(super) attestation: TpmKey,
    pub(super) signing: TpmKey,
    pub(super) fingerprint: [u8; 32],
    pub(super) quoted: Quoted,
    pub(super) belief: Belief,
}

fn wrong(why: &str) -> Refusal {
    Refusal::no("replica_introduction", format!("对端设备的名片不可信：{why}。"))
}

fn unhex(text: &str) -> Result<Vec<u8>, Refusal> {
    hex::decode(text).map_err(|_| wrong("编码有误"))
}

impl Introduction {
    pub(super) fn new(
        keys: &Keys,
        name: &str,
        made_at: Timestamp,
        certified: (Vec<u8>, Vec<u8>),
        quoted: (Vec<u8>, Vec<u8>),
    ) -> Self {
        let statement = |(attest, signature): (Vec<u8>, Vec<u8>)| Statement {
            attest: hex::encode(attest),
            signature: hex::encode(signature),
        };
        Self {
            format: FORMAT,
            name: name.to_owned(),
            made_at,
            endorsement: hex::encode(&keys.endorsement),
            endorsement_certificates: keys.endorsement_certificates.iter().map(hex::encode).collect(),
            attestation: hex::encode(&keys.attestation),
            signing: hex::encode(&keys.signing),
            certified: statement(certified),
            quoted: statement(quoted),
        }
    }

    pub(super) fn read(text: &str) -> Result<Self, Refusal> {
        if text.len() > MAX {
            return Err(wrong("文件过长"));
        }
        let read: Self = serde_json::from_str(text.trim()).map_err(|_| wrong("不是名片文件，或已损坏"))?;
        if read.format != FORMAT {
            return Err(wrong("由其他版本的签名服务器制作，请先升级"));
        }
        Ok(read)
    }

    /// Judges it. `roots` are the makers' of TPMs; without them the endorsement key is believed by people alone.
    pub(super) fn judge(&self, roots: Option<&Trust>, now: Timestamp) -> Result<Judged, Refusal> {
        let certificates = self.endorsement_certificates.iter().map(|text| unhex(text));
        let keys = Keys {
            endorsement: unhex(&self.endorsement)?,
            endorsement_certificates: certificates.collect::<Result<_, _>>()?,
            attestation: unhex(&self.attestation)?,
            signing: unhex(&self.signing)?,
        };
        let name = self.name.trim();
        if name.is_empty() || name.chars().count() > 64 || name.chars().any(char::is_control) {
            return Err(wrong("设备名称应为 1 至 64 个字"));
        }
        let refused = |refused: evidence::Refused| wrong(&format!("可信芯片的证明不成立（{refused}）"));
        let endorsement = TpmKey::parse(&keys.endorsement, "endorsement key").map_err(refused)?;
        let attestation = TpmKey::parse(&keys.attestation, "attestation key").map_err(refused)?;
        let signing = TpmKey::parse(&keys.signing, "device key").map_err(refused)?;
        endorsement.is_endorsement().map_err(refused)?;
        attestation.is_attestation().map_err(refused)?;
        signing.is_device().map_err(refused)?;
        let nonce = keys.nonce(&self.name, self.made_at);
        let said = |statement: &Statement| Ok::<_, Refusal>((unhex(&statement.attest)?, unhex(&statement.signature)?));
        let (attest, signature) = said(&self.certified)?;
        Certified::check(&attest, &signature, &attestation, &signing, &nonce).map_err(refused)?;
        let (attest, signature) = said(&self.quoted)?;
        let quoted = Quoted::check(&attest, &signature, &attestation, &nonce).map_err(refused)?;
        let belief = match roots {
            None => Belief::People,
            Some(roots) => {
                certified_by_maker(&keys, &endorsement, roots, now)?;
                Belief::Certificate
            }
        };
        Ok(Judged {
            name: name.to_owned(),
            fingerprint: keys.fingerprint(),
            endorsement,
            attestation,
            signing,
            quoted,
            belief,
        })
    }
}

/// The endorsement key's certificate leads to a maker's root.
fn certified_by_maker(keys: &Keys, endorsement: &TpmKey, roots: &Trust, now: Timestamp) -> Result<(), Refusal> {
    let no = |why: &str| wrong(&format!("可信芯片的厂商证书{why}"));
    let parsed = keys.endorsement_certificates.iter().map(|der| Certificate::parse(der));
    let parsed: Vec<Certificate> = parsed.collect::<Result<_, _>>().map_err(|_| no("无法解析"))?;
    let (own, others) = parsed
        .split_first()
        .ok_or_else(|| no("缺失，而本设备要求核对厂商证书"))?;
    if !PublicKey::from_point(Kind::P256, endorsement.point()).is_ok_and(|key| key == own.public_key) {
        return Err(no("不是该芯片的"));
    }
    let path = roots.path(own, others, now.offset());
    path.map(|_| ())
        .map_err(|reason| no(&format!("不能追溯到配置的厂商根证书（{}）", reason.person())))
}

/// A fingerprint as people compare it: 32 digits in groups of four, 128 bits.
pub(super) fn shown(fingerprint: &[u8; 32]) -> String {
    let digits = hex::encode_upper(fingerprint.get(..16).unwrap_or_default());
    let groups: Vec<&str> = (0..8).filter_map(|n| digits.get(n * 4..n * 4 + 4)).collect();
    groups.join("-")
}

/// The id of an appliance.
pub(super) fn id(fingerprint: &[u8; 32]) -> String {
    format!("dev_{}", hex::encode(fingerprint.get(..8).unwrap_or_default()))
}
