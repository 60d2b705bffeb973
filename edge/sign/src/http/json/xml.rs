use axum::Json;
use axum::extract::{Extension, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Answer, Asked, No, Refused, Signer, bytes, choice, encode, optional};
use crate::application::KeyIndex;
use crate::http::door::Door;
use crate::service::{Caller, Level, SignXml, VerifyXml, XmlKind};

/// XML to be signed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignXmlRequest {
    /// The key's index; the policy's first when absent.
    key: Option<KeyIndex>,
    /// The key's access code, where it has one.
    access_code: Option<String>,
    /// As for data; the key's usual one when absent.
    algorithm: Option<String>,
    /// Where the signature goes.
    #[serde(default)]
    kind: XmlKind,
    /// The document (UTF-8), or any bytes for a detached signature; Base64.
    data: String,
    /// Id of the element to be signed (enveloped); the whole document when absent.
    id: Option<String>,
    /// The name under which a detached signature knows its content; `content` when absent.
    uri: Option<String>,
    /// The signing time is stated and signed.
    #[serde(default)]
    signing_time: bool,
}

/// A signed document.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct XmlSignature {
    /// The document with its signature, or the detached signature; Base64.
    document: String,
    /// The key it was made with.
    key: KeyIndex,
    /// Serial number of the signer's certificate, in hexadecimal.
    serial: String,
}

/// Signs XML (XML-DSig).
#[utoipa::path(post, path = "/v1/xml/sign", operation_id = "sign_xml", request_body = SignXmlRequest,
    responses((status = 200, body = XmlSignature), (status = 400, body = Refused)))]
pub(super) async fn sign(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Asked(asked): Asked<SignXmlRequest>,
) -> Answer<XmlSignature> {
    let act = SignXml {
        with: choice(asked.key, asked.access_code, asked.algorithm.as_deref())?,
        kind: asked.kind,
        document: bytes(&asked.data, "data")?,
        id: asked.id,
        uri: asked.uri,
        timed: asked.signing_time,
    };
    let signed = door.service.sign_xml(&caller, act).await.map_err(No::Act)?;
    Ok(Json(XmlSignature {
        document: encode(signed.document.as_bytes()),
        key: signed.key,
        serial: signed.serial,
    }))
}

/// A signed document to be verified.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VerifyXmlRequest {
    /// The document, Base64.
    document: String,
    /// Content of a detached signature, Base64.
    data: Option<String>,
    /// Its name in the signature; `content` when absent.
    uri: Option<String>,
    /// The signer's certificate, DER, Base64, where the signature does not carry it.
    certificate: Option<String>,
    /// How much of the certificates is looked at.
    #[serde(default)]
    level: Level,
}

/// Something that was signed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Covered {
    /// As the signature names it.
    uri: String,
    /// Its canonical bytes, Base64: this and nothing else of the document was signed.
    data: String,
}

/// A signature that holds.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct XmlHeld {
    /// Who signed.
    signer: Signer,
    /// What was signed.
    covered: Vec<Covered>,
}

/// Verifies every signature of an XML document. One that does not hold refuses all.
#[utoipa::path(post, path = "/v1/xml/verify", operation_id = "verify_xml", request_body = VerifyXmlRequest,
    responses((status = 200, body = Vec<XmlHeld>), (status = 422, body = Refused)))]
pub(super) async fn verify(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Asked(asked): Asked<VerifyXmlRequest>,
) -> Answer<Vec<XmlHeld>> {
    let data = optional(asked.data.as_deref(), "data")?;
    let uri = asked.uri.unwrap_or_else(|| "content".to_owned());
    let act = VerifyXml {
        document: bytes(&asked.document, "document")?,
        beside: data.map(|data| (uri, data)),
        certificate: optional(asked.certificate.as_deref(), "certificate")?,
        level: asked.level,
    };
    let verified = door.service.verify_xml(&caller, act).await.map_err(No::Act)?;
    let held = verified.into_iter().map(|one| XmlHeld {
        signer: one.signatory.into(),
        covered: one
            .covered
            .into_iter()
            .map(|(uri, bytes)| Covered {
                uri,
                data: encode(&bytes),
            })
            .collect(),
    });
    Ok(Json(held.collect()))
}
