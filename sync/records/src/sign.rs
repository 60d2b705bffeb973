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
    /// 6 to 12 digits.
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
