//! The JSON interface `/v1`: what its routes share. Each file parses, calls an act, answers.

mod certificate;
mod cipher;
mod data;
mod message;
mod pdf;
mod session;
mod states;
mod xml;

use axum::Json;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gm::{Algorithm, Certificate};
use records::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::door::{Door, Early};
use crate::application::KeyIndex;
use crate::fault::{Code, Fault};
use crate::service::{Choice, Signatory};
use states::StateView;

/// The routes.
pub(super) fn acts() -> OpenApiRouter<Door> {
    OpenApiRouter::new()
        .routes(routes!(data::sign))
        .routes(routes!(data::verify))
        .routes(routes!(message::sign))
        .routes(routes!(message::verify))
        .routes(routes!(xml::sign))
        .routes(routes!(xml::verify))
        .routes(routes!(pdf::sign))
        .routes(routes!(pdf::verify))
        .routes(routes!(certificate::find))
        .routes(routes!(certificate::read))
        .routes(routes!(certificate::validate))
        .routes(routes!(cipher::encrypt))
        .routes(routes!(cipher::decrypt))
        .routes(routes!(cipher::encrypt_to))
        .routes(routes!(cipher::decrypt_with_key))
        .routes(routes!(cipher::digest))
        .routes(routes!(cipher::random))
        .routes(routes!(session::begin))
        .routes(routes!(session::feed))
        .routes(routes!(session::finish_signing))
        .routes(routes!(session::finish_verifying))
        .routes(routes!(session::finish_message))
        .routes(routes!(session::finish_verifying_message))
}

/// A request's JSON; what does not fit is named.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Asked<T> {
    type Rejection = Early;

    async fn from_request(request: Request, state: &S) -> Result<Self, Early> {
        let _ = state;
        // It was read, and bounded, at the door.
        let body = axum::body::to_bytes(request.into_body(), usize::MAX)
            .await
            .map_err(|_| Early(Code::RequestRejected.into()))?;
        serde_json::from_slice(&body)
            .map(Self)
            .map_err(|error| Early(Fault::new(Code::RequestRejected, error.to_string())))
    }
}

/// A refusal on the wire.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Refused {
    /// The number of GB/T 38629, or this server's.
    pub number: u32,
    /// The stable name.
    pub code: &'static str,
    /// Plain words.
    pub text: String,
}

/// A refusal as JSON.
pub(crate) fn answer(fault: &Fault) -> Response {
    let status = StatusCode::from_u16(fault.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let refused = Refused {
        number: fault.code.number(),
        code: fault.code.name(),
        text: fault.to_string(),
    };
    (status, Json(refused)).into_response()
}

/// Why there is no answer: an act refused (and entered it), or none was begun.
pub(super) enum No {
    Act(Fault),
    Early(Fault),
}

impl IntoResponse for No {
    fn into_response(self) -> Response {
        match self {
            Self::Act(fault) => answer(&fault),
            Self::Early(fault) => Early(fault).into_response(),
        }
    }
}

pub(super) type Answer<T> = Result<Json<T>, No>;

fn bytes(text: &str, field: &str) -> Result<Vec<u8>, No> {
    STANDARD
        .decode(text)
        .map_err(|_| No::Early(Fault::new(Code::DataFormat, format!("{field} 不是 Base64"))))
}

fn optional(text: Option<&str>, field: &str) -> Result<Option<Vec<u8>>, No> {
    text.map(|text| bytes(text, field)).transpose()
}

fn algorithm(name: Option<&str>) -> Result<Option<Algorithm>, No> {
    let unknown = |name: &str| No::Early(Fault::new(Code::SignMethod, name));
    name.map(|name| Algorithm::of_name(name).ok_or_else(|| unknown(name)))
        .transpose()
}

fn choice(key: Option<KeyIndex>, access_code: Option<String>, name: Option<&str>) -> Result<Choice, No> {
    Ok(Choice {
        key,
        access_code,
        algorithm: algorithm(name)?,
    })
}

fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn encode_path(path: &[Certificate]) -> Vec<String> {
    path.iter().map(|certificate| encode(&certificate.der)).collect()
}

/// Who signed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Signer {
    /// Name of the signer.
    signer: String,
    /// Serial number of the certificate, in hexadecimal.
    serial: String,
    /// With what was signed.
    algorithm: &'static str,
    /// When the signer says it was signed, where the signature says so.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_at: Option<Timestamp>,
    /// The time that a time stamp proves.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    stamped_at: Option<Timestamp>,
    /// What was seen of each certificate on the path, where revocation was looked at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    revocation: Vec<StateView>,
    /// From the signer's certificate to the root, each DER in Base64.
    path: Vec<String>,
}

impl From<Signatory> for Signer {
    fn from(who: Signatory) -> Self {
        Self {
            signer: who.certificate.subject.common_name.clone(),
            serial: who.certificate.serial_hex(),
            algorithm: who.algorithm.name(),
            signed_at: who.signed_at,
            stamped_at: who.stamped_at,
            revocation: states::views(&who.states),
            path: encode_path(&who.path),
        }
    }
}
