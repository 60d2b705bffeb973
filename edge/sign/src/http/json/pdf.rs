use axum::Json;
use axum::extract::{Extension, State};
use records::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::message::MessageSignature;
use super::{Answer, Asked, No, Refused, Signer, bytes, choice};
use crate::application::KeyIndex;
use crate::http::door::Door;
use crate::service::{Caller, Kind, Over, SignMessage};
use crate::stamping::Extras;

/// A PDF's digest to be signed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignPdfRequest {
    /// The key's index; the policy's first when absent.
    key: Option<KeyIndex>,
    /// The key's access code, where it has one.
    access_code: Option<String>,
    /// As for data; the key's usual one when absent. Readers outside China know RSA and ECDSA.
    algorithm: Option<String>,
    /// Digest of the bytes that the signature's `/ByteRange` covers, by the algorithm's hash; Base64.
    digest: String,
    /// A time stamp of this server's unit is put beside the signature (needs the format `stamp`).
    #[serde(default)]
    stamp: bool,
    /// Evidence that the signer's certificate is not revoked is put beside the signature.
    #[serde(default)]
    evidence: bool,
}

/// Makes the message for the gap of a PDF (`adbe.pkcs7.detached`) over the digest of its byte range.
#[utoipa::path(post, path = "/v1/pdf/sign", operation_id = "sign_pdf", request_body = SignPdfRequest,
    responses((status = 200, body = MessageSignature), (status = 400, body = Refused)))]
pub(super) async fn sign(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Asked(asked): Asked<SignPdfRequest>,
) -> Answer<MessageSignature> {
    let act = SignMessage {
        over: Over::Digest(bytes(&asked.digest, "digest")?),
        with: choice(asked.key, asked.access_code, asked.algorithm.as_deref())?,
        kind: Kind::Pdf,
        chain: true,
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

/// A PDF file to be verified.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VerifyPdfRequest {
    /// The file, Base64.
    file: String,
}

/// A signature of a file that holds.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PdfHeld {
    /// Who signed; of a time stamp over the file, its unit.
    signer: Signer,
    /// The time that a time stamp proves.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    stamped_at: Option<Timestamp>,
    /// It is a time stamp over the file.
    stamp: bool,
    /// Bytes that were added to the file afterwards; those are in nobody's name unless a later signature covers them.
    added_after: usize,
    /// A later signature covers what was added.
    covered_by_later: bool,
}

/// Verifies every signature of a PDF file. One that does not hold refuses all.
#[utoipa::path(post, path = "/v1/pdf/verify", operation_id = "verify_pdf", request_body = VerifyPdfRequest,
    responses((status = 200, body = Vec<PdfHeld>), (status = 422, body = Refused)))]
pub(super) async fn verify(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Asked(asked): Asked<VerifyPdfRequest>,
) -> Answer<Vec<PdfHeld>> {
    let file = bytes(&asked.file, "file")?;
    let found = door.service.verify_pdf(&caller, file).await.map_err(No::Act)?;
    let held = found.into_iter().map(|one| PdfHeld {
        signer: one.signatory.into(),
        stamped_at: one.stamped_at,
        stamp: one.stamp,
        added_after: one.added_after,
        covered_by_later: one.covered_by_later,
    });
    Ok(Json(held.collect()))
}
