//! Messages of enrolment, JSON; byte strings are Base64.

use records::Timestamp;
use serde::{Deserialize, Serialize};

mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&STANDARD.encode(bytes))
    }
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(d)?;
        STANDARD.decode(text).map_err(D::Error::custom)
    }
}

/// What the factory knows of an appliance; carried to the fleet service, without which nothing enrols.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactoryRecord {
    /// Serial number on the label.
    pub serial: String,
    /// Kind of board.
    pub board: String,
    /// SHA-256 of the endorsement key's `TPMT_PUBLIC`, hex.
    pub ek_sha256: String,
    /// The chip maker's certificate of the endorsement key, DER, Base64, where the chip carries one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ek_certificate: Option<String>,
    /// SHA-256 of the claim code, hex.
    pub claim_sha256: String,
}

/// The code on the label: 25 characters of an alphabet without look-alikes (125 bits).
#[derive(Clone, PartialEq, Eq)]
pub struct ClaimCode(String);

impl std::fmt::Debug for ClaimCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClaimCode(…)")
    }
}

const ALPHABET: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";

impl ClaimCode {
    /// From random bytes.
    #[must_use]
    pub fn new(random: &[u8; 25]) -> Self {
        let letter = |b: &u8| ALPHABET.get(usize::from(b & 31)).copied().map_or('2', char::from);
        Self(random.iter().map(letter).collect())
    }

    /// As a person types it: spaces, dashes and lower case are forgiven.
    #[must_use]
    pub fn typed(text: &str) -> Option<Self> {
        let code: String = text
            .chars()
            .filter(|c| !c.is_whitespace() && *c != '-')
            .map(|c| c.to_ascii_uppercase())
            .collect();
        (code.len() == 25 && code.bytes().all(|b| ALPHABET.contains(&b))).then_some(Self(code))
    }

    /// In groups of five, as it stands on the label.
    #[must_use]
    pub fn label(&self) -> String {
        let letters: Vec<char> = self.0.chars().collect();
        letters.chunks(5).map(String::from_iter).collect::<Vec<_>>().join("-")
    }

    /// What the factory record keeps of it.
    #[must_use]
    pub fn sha256(&self) -> String {
        crate::sha256_hex(self.0.as_bytes())
    }
}

/// `POST /enrol/v1/attest`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttestRequest {
    /// Serial number.
    pub serial: String,
    /// Endorsement key, `TPMT_PUBLIC`.
    #[serde(with = "base64_bytes")]
    pub ek: Vec<u8>,
    /// Attestation key, `TPMT_PUBLIC`.
    #[serde(with = "base64_bytes")]
    pub ak: Vec<u8>,
    /// Device key, `TPMT_PUBLIC`.
    #[serde(with = "base64_bytes")]
    pub device_key: Vec<u8>,
}

/// Answer to [`AttestRequest`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Challenge {
    /// Names the challenge.
    pub challenge_id: String,
    /// `TPM2B_ID_OBJECT` content.
    #[serde(with = "base64_bytes")]
    pub credential: Vec<u8>,
    /// `TPM2B_ENCRYPTED_SECRET` content.
    #[serde(with = "base64_bytes")]
    pub secret: Vec<u8>,
    /// To be answered in the certification of the device key.
    #[serde(with = "base64_bytes")]
    pub nonce: Vec<u8>,
    /// The server's time, for a device whose clock cannot be trusted.
    pub now: Timestamp,
}

/// `POST /enrol/v1/activate`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActivateRequest {
    /// Of the challenge.
    pub challenge_id: String,
    /// The secret, as the TPM gave it back.
    #[serde(with = "base64_bytes")]
    pub answer: Vec<u8>,
    /// `TPMS_ATTEST`: the attestation key certifies the device key.
    #[serde(with = "base64_bytes")]
    pub certified: Vec<u8>,
    /// Its signature, DER.
    #[serde(with = "base64_bytes")]
    pub signature: Vec<u8>,
    /// PKCS#10 signed by the device key, DER.
    #[serde(with = "base64_bytes")]
    pub csr: Vec<u8>,
}

/// Answer to [`ActivateRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activated {
    /// The appliance's id.
    pub edge_id: String,
    /// The hospital it serves.
    pub hospital: String,
    /// Device certificate first, then its issuers without the root, DER, Base64.
    pub chain: Vec<String>,
    /// Start of the certificate.
    pub not_before: Timestamp,
    /// End of the certificate.
    pub not_after: Timestamp,
}
