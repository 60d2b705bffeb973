use axum::Json;
use axum::extract::{Extension, State};
use records::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::data::over;
use super::states;
use super::{Answer, Asked, No, Refused, Signer, bytes, choice, encode, optional};
use crate::application::KeyIndex;
use crate::http::door::Door;
use crate::revocation::States;
use crate::service::{Caller, Kind, Level, SignMessage, SignedMessage, VerifiedMessage, VerifyMessage};
use crate::stamping::Extras;

/// A message to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignMessageRequest {
    /// The key's index; the policy's first when absent.
    key: Option<KeyIndex>,
    /// The key's access code, where it has one.
    access_code: Option<String>,
    /// As for data; the key's usual one when absent.
    algorithm: Option<String>,
    /// The content, Base64.
    data: Option<String>,
    /// Instead of the content its digest, Base64 (detached only).
    digest: Option<String>,
    /// The message carries its content.
    #[serde(default)]
    attached: bool,
    /// The message carries the certificates above the signer's own too.
    #[serde(default = "yes")]
    chain: bool,
    /// A time stamp of this server's unit is put beside the signature (needs the format `stamp`).
    #[serde(default)]
    stamp: bool,
    /// Evidence that the signer's certificate is not revoked is put beside the signature.
    #[serde(default)]
    evidence: bool,
}

fn yes() -> bool {
    true
}

/// A signed message.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MessageSignature {
    /// DER, Base64.
    message: String,
    /// The key it was made with.
    key: KeyIndex,
    /// Serial number of the signer's certificate, in hexadecimal.
    serial: String,
    /// The signing time in it.
    #[schema(value_type = String, format = DateTime)]
    signed_at: Timestamp,
}

impl From<SignedMessage> for MessageSignature {
    fn from(signed: SignedMessage) -> Self {
        Self {
            message: encode(&signed.message),
            key: signed.key,
            serial: signed.serial,
            signed_at: signed.signed_at,
        }
    }
}

/// Signs a message with or without its content (PKCS#7 attached, detached; GB/T 35275 for SM2).
#[utoipa::path(post, path = "/v1/message/sign", operation_id = "sign_message", request_body = SignMessageRequest,
    responses((status = 200, body = MessageSignature), (status = 400, body = Refused)))]
pub(super) async fn sign(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Asked(asked): Asked<SignMessageRequest>,
) -> Answer<MessageSignature> {
    let act = SignMessage {
        over: over(asked.data.as_deref(), asked.digest.as_deref())?,
        with: choice(asked.key, asked.access_code, asked.algorithm.as_deref())?,
        kind: if asked.attached { Kind::Attached } else { Kind::Detached },
        chain: asked.chain,
    };
    let extras = Extras {
        stamp: asked.stamp,
        evidence: asked.evidence,
    };
    let signed = door
        .service
        .sign_message_with(&caller, act, extras)
        .await
        .map_err(No::Act)?;
    Ok(Json(signed.into()))
}

/// A message to be verified.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VerifyMessageRequest {
    /// DER, Base64.
    message: String,
    /// The content, Base64, where the message does not carry it.
    data: Option<String>,
    /// The signer's certificate, DER, Base64, where the message does not carry it.
    certificate: Option<String>,
    /// How much of the certificates is looked at.
    #[serde(default)]
    level: Level,
    /// Gives the evidence of the certificates' states, to be kept.
    #[serde(default)]
    evidence: bool,
}

/// A message that holds.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Held {
    /// Name of the first signer.
    signer: String,
    /// Serial number of the first signer's certificate, in hexadecimal.
    serial: String,
    /// When the first signer says it was signed.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_at: Option<Timestamp>,
    /// All signers.
    signers: Vec<Signer>,
    /// The content, Base64, where the message carried it.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
    /// Evidence of the certificates' states, where it was asked for: `RevocationValues` (CAdES), DER, Base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<String>,
}

impl From<VerifiedMessage> for Held {
    fn from(verified: VerifiedMessage) -> Self {
        let first = verified.signers.first();
        Self {
            signer: first
                .map(|who| who.certificate.subject.common_name.clone())
                .unwrap_or_default(),
            serial: first.map(|who| who.certificate.serial_hex()).unwrap_or_default(),
            signed_at: first.and_then(|who| who.signed_at),
            data: verified.content.as_deref().map(encode),
            evidence: None,
            signers: verified.signers.into_iter().map(Signer::from).collect(),
        }
    }
}

/// Verifies a message and its signers' certificates. A signature that does not hold is a refusal.
#[utoipa::path(post, path = "/v1/message/verify", operation_id = "verify_message",
    request_body = VerifyMessageRequest, responses((status = 200, body = Held), (status = 422, body = Refused)))]
pub(super) async fn verify(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Asked(asked): Asked<VerifyMessageRequest>,
) -> Answer<Held> {
    let act = VerifyMessage {
        message: bytes(&asked.message, "message")?,
        data: optional(asked.data.as_deref(), "data")?,
        certificate: optional(asked.certificate.as_deref(), "certificate")?,
        level: asked.level,
    };
    let verified = door.service.verify_message(&caller, act).await.map_err(No::Act)?;
    let all: Vec<States> = verified.signers.iter().map(|who| who.states.clone()).collect();
    let evidence = states::evidence(&door, &all, asked.evidence).await?;
    let mut held = Held::from(verified);
    held.evidence = evidence;
    Ok(Json(held))
}
