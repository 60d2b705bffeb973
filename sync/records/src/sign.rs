//! Operations of the signature server as called over the line (`sign.*`) and over its socket.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::his::Operation;

/// `sign.enrol`: makes a signer's SM2 key in custody and issues the certificate. Key: signer id.
#[derive(Debug, Clone, Copy)]
pub enum Enrol {}
/// `sign.document`: signs a document with a signer's key. Key: caller's idempotency key.
#[derive(Debug, Clone, Copy)]
pub enum SignDocument {}
/// `sign.seal_pdf`: the hospital's seal over a PDF's ByteRange digest. Key: caller's idempotency key.
#[derive(Debug, Clone, Copy)]
pub enum SealPdf {}
/// `sign.status`: state of a signer.
#[derive(Debug, Clone, Copy)]
pub enum Status {}

impl Operation for Enrol {
    const METHOD: &'static str = "sign.enrol";
    const WRITES: bool = true;
    type Request = EnrolRequest;
    type Response = SignerStatus;
}

impl Operation for SignDocument {
    const METHOD: &'static str = "sign.document";
    const WRITES: bool = true;
    type Request = SignRequest;
    type Response = Signature;
}

impl Operation for SealPdf {
    const METHOD: &'static str = "sign.seal_pdf";
    const WRITES: bool = true;
    type Request = SealRequest;
    type Response = Seal;
}

impl Operation for Status {
    const METHOD: &'static str = "sign.status";
    const WRITES: bool = false;
    type Request = StatusRequest;
    type Response = SignerStatus;
}

/// A personal identification number on its way to the signature server: never logged, never stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pin(pub String);

/// Why a PIN is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinFault {
    /// No 4 to 12 digits.
    Shape,
    /// The first that anybody tries: one digit repeated, or digits in their order upwards or downwards.
    Guessable,
}

impl Pin {
    /// Digits of a PIN. With five tries four digits are guessed once in two thousand; the fewest a hospital allows stand in
    /// the settings of its signature server.
    pub const DIGITS: std::ops::RangeInclusive<usize> = 4..=12;

    /// Could these be the digits of a PIN at all? What cannot be one costs no try.
    pub fn has_shape(&self) -> bool {
        Self::DIGITS.contains(&self.0.len()) && self.0.bytes().all(|b| b.is_ascii_digit())
    }

    /// What speaks against choosing this PIN.
    ///
    /// # Errors
    /// The fault.
    pub fn choose(&self) -> Result<(), PinFault> {
        if !self.has_shape() {
            return Err(PinFault::Shape);
        }
        // 0 follows 9 and precedes 1 on the keyboard.
        let steps = |by: u8| {
            self.0
                .as_bytes()
                .windows(2)
                .all(|w| matches!(w, [a, b] if (a - b'0' + by) % 10 == b - b'0'))
        };
        if steps(0) || steps(1) || steps(9) {
            return Err(PinFault::Guessable);
        }
        Ok(())
    }
}

impl std::fmt::Debug for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pin(…)")
    }
}

/// Request of [`Enrol`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolRequest {
    /// Staff id.
    pub signer_id: String,
    /// Name for the certificate's subject.
    pub name: String,
    /// `doctor` or `pharmacist`, the organisational unit of the subject.
    pub role: String,
    /// Name of the hospital, the organisation of the subject.
    pub organisation: String,
    /// 4 to 12 digits, not guessable at first sight: [`Pin::choose`].
    pub pin: Pin,
}

/// Request of [`Status`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusRequest {
    /// Staff id.
    pub signer_id: String,
}

/// State of a signer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignerStatus {
    /// Staff id.
    pub signer_id: String,
    /// Has a key and a certificate.
    pub enrolled: bool,
    /// PIN locked after too many wrong tries.
    pub locked: bool,
    /// Tries left.
    pub tries_left: u32,
    /// Serial number of the certificate, hex.
    pub certificate_serial: Option<String>,
    /// The certificate, DER, base64.
    pub certificate: Option<String>,
    /// End of the certificate.
    pub not_after: Option<Timestamp>,
}

/// Request of [`SignDocument`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignRequest {
    /// Staff id.
    pub signer_id: String,
    /// The signer's PIN.
    pub pin: Pin,
    /// The exact bytes to be signed, base64.
    pub document: String,
}

/// A detached signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// PKCS#7 SignedData, detached (GB/T 35275), DER, base64, with the certificate chain.
    pub cms: String,
    /// SM3 of the document, hex.
    pub document_sm3: String,
    /// Serial number of the signer's certificate, hex.
    pub certificate_serial: String,
    /// Signing time in the signed attributes.
    pub signed_at: Timestamp,
}

/// Request of [`SealPdf`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealRequest {
    /// SHA-256 of the bytes covered by the ByteRange, hex.
    pub digest_sha256: String,
    /// Name of the hospital for the seal's certificate.
    pub organisation: String,
}

/// A seal for a PDF.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// CMS SignedData, detached, DER, base64.
    pub cms: String,
    /// Serial number of the hospital's certificate, hex.
    pub certificate_serial: String,
}

/// `sign.change_pin`: changes a signer's PIN. Key: caller's idempotency key.
#[derive(Debug, Clone, Copy)]
pub enum ChangePin {}
/// `sign.unlock`: two administrators give a locked signer new tries. Key: caller's idempotency key.
#[derive(Debug, Clone, Copy)]
pub enum Unlock {}
/// `sign.trust`: the roots under which this appliance signs and seals, to be pinned by verifiers.
#[derive(Debug, Clone, Copy)]
pub enum TrustRoots {}
/// `sign.lists`: what the appliance's own authorities have revoked, for verifiers elsewhere.
#[derive(Debug, Clone, Copy)]
pub enum RevocationLists {}
/// `sign.verify`: verifies a detached signature under the appliance's own roots.
#[derive(Debug, Clone, Copy)]
pub enum Verify {}
/// `sign.health`: state of the signature server itself.
#[derive(Debug, Clone, Copy)]
pub enum Health {}

impl Operation for ChangePin {
    const METHOD: &'static str = "sign.change_pin";
    const WRITES: bool = true;
    type Request = ChangePinRequest;
    type Response = SignerStatus;
}

impl Operation for Unlock {
    const METHOD: &'static str = "sign.unlock";
    const WRITES: bool = true;
    type Request = UnlockRequest;
    type Response = SignerStatus;
}

impl Operation for TrustRoots {
    const METHOD: &'static str = "sign.trust";
    const WRITES: bool = false;
    type Request = TrustRequest;
    type Response = Roots;
}

impl Operation for RevocationLists {
    const METHOD: &'static str = "sign.lists";
    const WRITES: bool = false;
    type Request = ListsRequest;
    type Response = Lists;
}

impl Operation for Verify {
    const METHOD: &'static str = "sign.verify";
    const WRITES: bool = false;
    type Request = VerifyRequest;
    type Response = Verification;
}

impl Operation for Health {
    const METHOD: &'static str = "sign.health";
    const WRITES: bool = false;
    type Request = HealthRequest;
    type Response = ServerHealth;
}

/// Request of [`ChangePin`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangePinRequest {
    /// Staff id.
    pub signer_id: String,
    /// The present PIN.
    pub pin: Pin,
    /// The new PIN, 6 to 12 digits.
    pub new_pin: Pin,
}

/// Request of [`Unlock`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnlockRequest {
    /// Staff id of the locked signer.
    pub signer_id: String,
    /// Staff ids of two different administrators, neither of them the signer.
    pub administrators: [String; 2],
}

/// Request of [`TrustRoots`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustRequest {}

/// The roots of the appliance's authorities.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roots {
    /// SM2 roots of signers, DER, base64.
    pub signers: Vec<String>,
    /// P-256 roots of PDF seals, DER, base64.
    pub seals: Vec<String>,
}

/// Request of [`RevocationLists`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListsRequest {}

/// The newest revocation lists of the appliance's authorities. They prove themselves by their signatures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lists {
    /// `CertificateList` (RFC 5280), DER, base64.
    pub lists: Vec<String>,
}

/// Request of [`Verify`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyRequest {
    /// The detached signature, DER, base64.
    pub cms: String,
    /// The document, base64.
    pub document: String,
}

/// What verification found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// The signature holds.
    pub valid: bool,
    /// Name of the reason when it does not.
    pub reason: Option<String>,
    /// Plain words when it does not.
    pub text: Option<String>,
    /// Name in the signer's certificate.
    pub signer: Option<String>,
    /// Serial number of the signer's certificate, hex.
    pub certificate_serial: Option<String>,
    /// Signing time in the signed attributes.
    pub signed_at: Option<Timestamp>,
}

/// Request of [`Health`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthRequest {}

/// State of the signature server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerHealth {
    /// `ok`, `new` (nothing sealed yet), `absent`, `replaced`, `state_changed`, `locked_out`, `misconfigured`.
    pub tpm: String,
    /// `ok` or `untrusted`.
    pub clock: String,
    /// Signers with a certificate.
    pub signers: u32,
    /// Signers whose PIN is locked.
    pub locked: u32,
    /// Entries of the operation log.
    pub log_entries: u64,
    /// Whether the chain of the operation log is whole.
    pub log_intact: bool,
    /// Whether the process could lock its memory.
    pub memory_locked: bool,
    /// Version of the server.
    pub version: String,
}

#[cfg(test)]
mod tests {
    use super::{Pin, PinFault};

    #[test]
    fn four_digits_are_enough_unless_anybody_would_try_them_first() {
        for good in ["7392", "1357", "2580", "1122", "202611", "739204815522"] {
            assert_eq!(Pin(good.to_owned()).choose(), Ok(()), "{good}");
        }
        for weak in ["1111", "1234", "4321", "7890", "0987", "000000", "123456"] {
            assert_eq!(Pin(weak.to_owned()).choose(), Err(PinFault::Guessable), "{weak}");
        }
        for none in ["", "739", "7392048155221", "73a2", "７３９２", " 7392"] {
            assert_eq!(Pin(none.to_owned()).choose(), Err(PinFault::Shape), "{none}");
        }
    }
}
