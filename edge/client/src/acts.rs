//! The acts that applications ask for most, with their shapes; all others by [`Client::call`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Answered, Client, Error};

/// What is signed.
#[derive(Debug, Clone, Copy)]
pub enum Content<'a> {
    /// The data itself.
    Data(&'a [u8]),
    /// Its digest; for SM2 e = SM3(Z ‖ M) where raw data is signed.
    Digest(&'a [u8]),
}

impl Content<'_> {
    fn fields(&self) -> (Option<String>, Option<String>) {
        match self {
            Self::Data(bytes) => (Some(STANDARD.encode(bytes)), None),
            Self::Digest(bytes) => (None, Some(STANDARD.encode(bytes))),
        }
    }
}

/// Data to be signed (PKCS#1; GB/T 35276 for SM2).
#[derive(Debug, Clone)]
pub struct SignData<'a> {
    /// What.
    pub content: Content<'a>,
    /// The key's index; the policy's first when absent.
    pub key: Option<u32>,
    /// The key's access code, where it has one.
    pub access_code: Option<&'a str>,
    /// `SM2-SM3`, `RSA-PSS-SHA256` and so on; the key's usual one when absent.
    pub algorithm: Option<&'a str>,
}

/// A message to be made (PKCS#7; GB/T 35275 for SM2).
#[derive(Debug, Clone)]
pub struct SignMessage<'a> {
    /// What.
    pub content: Content<'a>,
    /// The message carries its content.
    pub attached: bool,
    /// The key's index; the policy's first when absent.
    pub key: Option<u32>,
    /// The key's access code, where it has one.
    pub access_code: Option<&'a str>,
    /// A time stamp is put beside the signature.
    pub stamp: bool,
}

/// A message to be verified.
#[derive(Debug, Clone)]
pub struct VerifyMessage<'a> {
    /// The message, DER.
    pub message: &'a [u8],
    /// The content, where the message does not carry it.
    pub data: Option<&'a [u8]>,
}

impl<'a> SignData<'a> {
    /// With the policy's first key and its usual algorithm.
    #[must_use]
    pub fn new(content: Content<'a>) -> Self {
        Self {
            content,
            key: None,
            access_code: None,
            algorithm: None,
        }
    }
}

impl<'a> SignMessage<'a> {
    /// Without its content, with the policy's first key.
    #[must_use]
    pub fn detached(content: Content<'a>) -> Self {
        Self {
            content,
            attached: false,
            key: None,
            access_code: None,
            stamp: false,
        }
    }
}

/// A raw signature.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Signature {
    /// DER for SM2 and ECDSA, the bare number for RSA.
    #[serde(deserialize_with = "base64")]
    pub signature: Vec<u8>,
    /// The key it was made with.
    pub key: u32,
    /// What it was made by.
    pub algorithm: String,
    /// The key's certificate, DER.
    #[serde(deserialize_with = "base64")]
    pub certificate: Vec<u8>,
}

/// A signed message.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct MessageSignature {
    /// DER.
    #[serde(deserialize_with = "base64")]
    pub message: Vec<u8>,
    /// The key it was made with.
    pub key: u32,
    /// Serial number of the signer's certificate, in hexadecimal.
    pub serial: String,
    /// The signing time in it, RFC 3339.
    pub signed_at: String,
}

/// A message that holds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Verified {
    /// Who signed it; at least one.
    pub signers: Vec<Signatory>,
}

/// Who signed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Signatory {
    /// Name.
    pub signer: String,
    /// Serial number of the certificate, in hexadecimal.
    pub serial: String,
    /// With what was signed.
    pub algorithm: String,
    /// When the signer says it was signed, RFC 3339.
    #[serde(default)]
    pub signed_at: Option<String>,
}

impl Client {
    /// Signs data.
    pub async fn sign_data(&self, asked: &SignData<'_>) -> Result<Answered<Signature>, Error> {
        self.call("/v1/data/sign", asked).await
    }

    /// Signs a message.
    pub async fn sign_message(&self, asked: &SignMessage<'_>) -> Result<Answered<MessageSignature>, Error> {
        self.call("/v1/message/sign", asked).await
    }

    /// Verifies a message and its signers' certificates. One that does not hold is [`Error::Refused`].
    pub async fn verify_message(&self, asked: &VerifyMessage<'_>) -> Result<Answered<Verified>, Error> {
        self.call("/v1/message/verify", asked).await
    }
}

/// The fields of all requests; what is absent is not sent.
#[derive(Default, Serialize)]
struct Fields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    algorithm: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    attached: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stamp: bool,
}

impl Serialize for SignData<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let (data, digest) = self.content.fields();
        let fields = Fields {
            key: self.key,
            access_code: self.access_code,
            algorithm: self.algorithm,
            data,
            digest,
            ..Fields::default()
        };
        fields.serialize(s)
    }
}

impl Serialize for SignMessage<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let (data, digest) = self.content.fields();
        let fields = Fields {
            key: self.key,
            access_code: self.access_code,
            data,
            digest,
            attached: self.attached,
            stamp: self.stamp,
            ..Fields::default()
        };
        fields.serialize(s)
    }
}

impl Serialize for VerifyMessage<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let fields = Fields {
            message: Some(STANDARD.encode(self.message)),
            data: self.data.map(|data| STANDARD.encode(data)),
            ..Fields::default()
        };
        fields.serialize(s)
    }
}

fn base64<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(d)?;
    STANDARD.decode(text).map_err(serde::de::Error::custom)
}
