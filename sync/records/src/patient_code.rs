//! The patient code (就诊码): a QR symbol on a person's phone that tells a terminal of the hospital who stands there. The
//! cloud makes it, the appliance judges it without the cloud.
//!
//! ```text
//! text      = "YQP1" ‖ upper-case hexadecimal of body ‖ signature      (letters of the QR alphanumeric mode)
//! body      = expires_at (4, seconds, big endian) ‖ nonce (12) ‖ length of sealed (1) ‖ sealed
//! sealed    = SM4-GCM of [`Bearer`] under the hospital's code key, nonce as above, bound to hospital and expiry; tag at the end
//! signature = SM2 (DER) over "yiqiao-patient-code-1\n" hospital "\n" body
//! ```
//!
//! What protects: the signature (only the cloud makes codes, and a code of one hospital is none in another), the short
//! [`LIFE`], and that an appliance takes a nonce once: a photographed code is worth nothing at any terminal of the
//! hospital after its owner has used it. Who photographs it reads nothing in it, for what it says is sealed.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{TenantId, Timestamp};

/// How long a code is good: long enough for the way from the entrance, where there is a network, to the terminal.
pub const LIFE: Duration = Duration::from_secs(300);

/// How far apart the clocks of cloud and appliance may be.
pub const SKEW: Duration = Duration::from_secs(60);

const PREFIX: &str = "YQP1";

/// Bytes of the authentication tag at the end of what is sealed.
pub const TAG: usize = 16;

/// cloud → edge, log entry `patient.code_key`: what codes are judged with from now on.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatientCodeKey {
    /// The SM2 key they are signed with: uncompressed point, hexadecimal.
    pub point: String,
    /// The SM4 key their content is sealed under, hexadecimal.
    pub seal: String,
}

impl fmt::Debug for PatientCodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PatientCodeKey")
            .field("point", &self.point)
            .finish_non_exhaustive()
    }
}

/// Who shows the code. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Bearer {
    /// Patient in the HIS.
    pub his_patient_id: String,
    /// Name.
    pub name: String,
    /// What they came for, as the terminal calls it (`reports`, `prescriptions` …); empty when they did not say.
    pub task: String,
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer(…)")
    }
}

impl Bearer {
    /// As it is sealed.
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.task, &self.his_patient_id, &self.name]
            .map(String::as_str)
            .join("\0")
            .into_bytes()
    }

    /// Reads what was sealed.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(bytes).ok()?.split('\0').map(str::to_owned);
        let bearer = Self {
            task: parts.next()?,
            his_patient_id: parts.next()?,
            name: parts.next()?,
        };
        (parts.next().is_none() && !bearer.his_patient_id.is_empty()).then_some(bearer)
    }
}

/// A code, taken apart and not judged yet.
#[derive(Clone, PartialEq, Eq)]
pub struct PatientCode {
    /// From then on it is none, seconds precise.
    pub expires_at: Timestamp,
    /// Makes it one of its kind.
    pub nonce: [u8; 12],
    /// [`Bearer`], sealed, with its tag.
    pub sealed: Vec<u8>,
    /// DER.
    pub signature: Vec<u8>,
}

impl fmt::Debug for PatientCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PatientCode(…)")
    }
}

impl PatientCode {
    /// Whether a scanned text means to be one.
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// What the sealing is bound to.
    pub fn bound(hospital: &TenantId, expires_at: Timestamp) -> Vec<u8> {
        format!("yiqiao-patient-code-1\n{hospital}\n{}", expires_at.as_seconds()).into_bytes()
    }

    /// What is signed.
    pub fn signed(&self, hospital: &TenantId) -> Vec<u8> {
        [format!("yiqiao-patient-code-1\n{hospital}\n").as_bytes(), &self.body()].concat()
    }

    fn body(&self) -> Vec<u8> {
        let expiry = u32::try_from(self.expires_at.as_seconds()).unwrap_or(0);
        let length = u8::try_from(self.sealed.len()).unwrap_or(u8::MAX);
        [&expiry.to_be_bytes()[..], &self.nonce, &[length], &self.sealed].concat()
    }

    /// The text of the symbol.
    pub fn text(&self) -> String {
        let hex = |bytes: &[u8]| hex::encode_upper(bytes);
        format!("{PREFIX}{}{}", hex(&self.body()), hex(&self.signature))
    }

    /// Takes a text apart; `None` when it is no code.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = hex::decode(text.strip_prefix(PREFIX)?).ok()?;
        let (expiry, rest) = bytes.split_first_chunk::<4>()?;
        let (nonce, rest) = rest.split_first_chunk::<12>()?;
        let (length, rest) = rest.split_first()?;
        let (sealed, signature) = rest.split_at_checked(usize::from(*length))?;
        let code = Self {
            expires_at: Timestamp::from_seconds(i64::from(u32::from_be_bytes(*expiry))),
            nonce: *nonce,
            sealed: sealed.to_vec(),
            signature: signature.to_vec(),
        };
        // Written one way only, so that a code cannot be told as two.
        (code.text() == text).then_some(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code() -> PatientCode {
        PatientCode {
            expires_at: Timestamp::from_seconds(1_795_000_000),
            nonce: *b"nonce-nonce-",
            sealed: vec![7; 40],
            signature: vec![9; 71],
        }
    }

    #[test]
    fn a_code_is_read_back_and_what_is_cut_or_written_otherwise_is_none() {
        let text = code().text();
        assert_eq!(PatientCode::parse(&text), Some(code()));
        assert!(PatientCode::is_meant(&text) && !PatientCode::is_meant("8000000001"));
        assert_eq!(PatientCode::parse(&text.to_lowercase()), None);
        assert_eq!(PatientCode::parse(&text.replace("YQP1", "YQP2")), None);
        for cut in [0, 4, 5, 12, 36, 38, 60] {
            assert_eq!(PatientCode::parse(&text[..cut]), None, "{cut}");
        }
        // The QR alphanumeric mode, and short enough for a scanner.
        assert!(text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()) && text.len() < 400);
    }

    #[test]
    fn a_bearer_is_read_back_whole_or_not_at_all() {
        let bearer = Bearer {
            his_patient_id: "P000001".to_owned(),
            name: "阿卜杜拉·买买提".to_owned(),
            task: "reports".to_owned(),
        };
        assert_eq!(Bearer::from_bytes(&bearer.to_bytes()), Some(bearer.clone()));
        assert!(!format!("{bearer:?}").contains("P000001"));
        for none in [&b""[..], b"a\0b", b"a\0b\0c\0d", b"a\0\0c", b"\xff\0b\0c"] {
            assert_eq!(Bearer::from_bytes(none), None, "{none:?}");
        }
    }
}
