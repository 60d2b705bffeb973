use axum::Json;
use axum::extract::{Extension, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::states::{self, StateView};
use super::{Answer, Asked, No, Refused, algorithm, bytes, choice, encode, encode_path, optional};
use crate::application::KeyIndex;
use crate::fault::{Code, Fault};
use crate::http::door::Door;
use crate::service::{Caller, Level, Over, SignData, VerifyData, Whose};

/// Data to be signed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignRequest {
    /// The key's index; the policy's first when absent.
    key: Option<KeyIndex>,
    /// The key's access code, where it has one.
    access_code: Option<String>,
    /// `SM2-SM3`, `ECDSA-P256-SHA256`, `RSA-PKCS1-SHA256`, `RSA-PSS-SHA256` and so on; the key's usual one when absent.
    algorithm: Option<String>,
    /// The data, Base64.
    data: Option<String>,
    /// Instead of the data its digest, Base64; for SM2 e = SM3(Z ‖ M).
    digest: Option<String>,
    /// SM2's user id where it is not `1234567812345678`.
    signer_id: Option<String>,
}

/// A raw signature.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DataSignature {
    /// Base64: DER for SM2 and ECDSA, the bare number for RSA.
    signature: String,
    /// The key it was made with.
    key: KeyIndex,
    /// What it was made by.
    algorithm: &'static str,
    /// The key's certificate, DER, Base64.
    certificate: String,
}

/// What is signed or verified.
pub(super) fn over(data: Option<&str>, digest: Option<&str>) -> Result<Over, No> {
    match (data, digest) {
        (Some(data), None) => Ok(Over::Data(bytes(data, "data")?)),
        (None, Some(digest)) => Ok(Over::Digest(bytes(digest, "digest")?)),
        _ => Err(No::Early(Fault::new(
            Code::RequestRejected,
            "data 与 digest 应给出其中一个",
        ))),
    }
}

/// Signs data (PKCS#1; GB/T 35276 for SM2).
#[utoipa::path(post, path = "/v1/data/sign", operation_id = "sign_data", request_body = SignRequest,
    responses((status = 200, body = DataSignature), (status = 400, body = Refused)))]
pub(super) async fn sign(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Asked(asked): Asked<SignRequest>,
) -> Answer<DataSignature> {
    let act = SignData {
        over: over(asked.data.as_deref(), asked.digest.as_deref())?,
        with: choice(asked.key, asked.access_code, asked.algorithm.as_deref())?,
        signer_id: asked.signer_id.map(String::into_bytes),
    };
    let signed = door.service.sign_data(&caller, act).await.map_err(No::Act)?;
    Ok(Json(signed.into()))
}

impl From<crate::service::SignedData> for DataSignature {
    fn from(signed: crate::service::SignedData) -> Self {
        Self {
            signature: encode(&signed.signature),
            key: signed.key,
            algorithm: signed.algorithm.name(),
            certificate: encode(&signed.certificate.der),
        }
    }
}

/// A raw signature to be verified.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VerifyRequest {
    /// The signer's certificate, DER, Base64.
    certificate: Option<String>,
    /// Instead its serial number in hexadecimal: of a key here, or of a kept certificate.
    serial: Option<String>,
    /// What the signature was made by; the key's usual one when absent.
    algorithm: Option<String>,
    /// The data, Base64.
    data: Option<String>,
    /// Instead of the data its digest, Base64.
    digest: Option<String>,
    /// SM2's user id where it is not `1234567812345678`.
    signer_id: Option<String>,
    /// The signature, Base64.
    signature: String,
    /// How much of the certificate is looked at.
    #[serde(default)]
    level: Level,
    /// Gives the evidence of the certificate's state, to be kept.
    #[serde(default)]
    evidence: bool,
}

/// A certificate that holds.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Holder {
    /// Name of its holder.
    signer: String,
    /// Its serial number, in hexadecimal.
    serial: String,
    /// From it to the root, each DER in Base64.
    path: Vec<String>,
    /// What was seen of each certificate on the path, where revocation was looked at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    revocation: Vec<StateView>,
    /// Evidence of that, where it was asked for: `RevocationValues` (CAdES), DER, Base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) evidence: Option<String>,
}

impl From<crate::service::Judged> for Holder {
    fn from(judged: crate::service::Judged) -> Self {
        Self {
            signer: judged.certificate.subject.common_name.clone(),
            serial: judged.certificate.serial_hex(),
            path: encode_path(&judged.path),
            revocation: states::views(&judged.states),
            evidence: None,
        }
    }
}

/// A certificate by itself or by its serial number.
pub(super) fn whose(certificate: Option<&str>, serial: Option<String>) -> Result<Whose, No> {
    match (optional(certificate, "certificate")?, serial) {
        (Some(certificate), None) => Ok(Whose::Certificate(certificate)),
        (None, Some(serial)) => Ok(Whose::Serial(serial)),
        _ => Err(No::Early(Fault::new(
            Code::Certificate,
            "certificate 与 serial 应给出其中一个",
        ))),
    }
}

/// Verifies a raw signature and its certificate. A signature that does not hold is a refusal.
#[utoipa::path(post, path = "/v1/data/verify", operation_id = "verify_data", request_body = VerifyRequest,
    responses((status = 200, body = Holder), (status = 422, body = Refused)))]
pub(super) async fn verify(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Asked(asked): Asked<VerifyRequest>,
) -> Answer<Holder> {
    let act = VerifyData {
        signer: whose(asked.certificate.as_deref(), asked.serial)?,
        algorithm: algorithm(asked.algorithm.as_deref())?,
        over: over(asked.data.as_deref(), asked.digest.as_deref())?,
        signer_id: asked.signer_id.map(String::into_bytes),
        signature: bytes(&asked.signature, "signature")?,
        level: asked.level,
    };
    let judged = door.service.verify_data(&caller, act).await.map_err(No::Act)?;
    let evidence = states::evidence(&door, std::slice::from_ref(&judged.states), asked.evidence).await?;
    let mut holder = Holder::from(judged);
    holder.evidence = evidence;
    Ok(Json(holder))
}
