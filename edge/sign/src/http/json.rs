//! The JSON interface.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, FromRequest, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use records::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Peer;
use super::authenticate::{self, Nonces};
use crate::application::KeyIndex;
use crate::fault::{Code, Fault};
use crate::service::{Caller, Interface, Service, SignData, SignMessage, VerifyData, VerifyMessage};

/// Bytes of a request: the largest data in Base64, and the rest.
const MAX_BODY: usize = 24 * 1024 * 1024;

/// What the routes share.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) service: Arc<Service>,
    pub(crate) nonces: Arc<Nonces>,
}

/// The routes.
pub fn router(service: Arc<Service>) -> Router {
    let door = Door {
        service,
        nonces: Arc::default(),
    };
    let (acts, document) = acts().split_for_parts();
    let document = Arc::new(document);
    acts.layer(middleware::from_fn_with_state(door.clone(), admit))
        .route(
            "/v1/openapi.json",
            axum::routing::get(move || async move { Json((*document).clone()) }),
        )
        .route("/health", axum::routing::get(async || "ok"))
        .route("/ready", axum::routing::get(ready))
        .fallback(async || answer(Fault::from(Code::NotFound)))
        .method_not_allowed_fallback(async || answer(Fault::from(Code::Method)))
        .with_state(door)
}

/// The interface's description.
#[must_use]
pub fn document() -> OpenApi {
    acts().split_for_parts().1
}

fn acts() -> OpenApiRouter<Door> {
    OpenApiRouter::new()
        .routes(routes!(sign_data))
        .routes(routes!(verify_data))
        .routes(routes!(sign_message))
        .routes(routes!(verify_message))
}

/// Finds out who asks, before anything else is looked at.
async fn admit(State(door): State<Door>, request: Request, next: Next) -> Response {
    match identify(&door, request).await {
        Ok(request) => next.run(request).await,
        Err(fault) => answer(fault),
    }
}

async fn identify(door: &Door, request: Request) -> Result<Request, Fault> {
    let (mut parts, body) = request.into_parts();
    let peer = parts.extensions.get::<Peer>().cloned().ok_or(Code::Internal)?;
    let body = axum::body::to_bytes(body, MAX_BODY)
        .await
        .map_err(|_| Fault::new(Code::TooLarge, format!("请求最多 {MAX_BODY} 字节，且须完整发送")))?;
    let now = door.service.engine.clock.now();
    let request = (&parts.method, &parts.uri, &parts.headers, &body[..]);
    let application = authenticate::application(&door.service.state(), &peer, request, &door.nonces, now)?;
    parts.extensions.insert(Caller {
        application,
        from: peer.address.ip(),
        interface: Interface::Json,
    });
    Ok(Request::from_parts(parts, Body::from(body)))
}

async fn ready(State(door): State<Door>) -> Response {
    match door.service.ready() {
        Ok(()) => "ready".into_response(),
        Err(fault) => answer(fault),
    }
}

/// A request's JSON; what does not fit is named.
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Asked<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let body = Bytes::from_request(request, state)
            .await
            .map_err(|_| answer(Fault::from(Code::RequestRejected)))?;
        serde_json::from_slice(&body)
            .map(Self)
            .map_err(|error| answer(Fault::new(Code::RequestRejected, error.to_string())))
    }
}

/// A refusal on the wire.
#[derive(Debug, Serialize, ToSchema)]
pub struct Refused {
    /// The number of GB/T 38629, or this server's.
    pub number: u32,
    /// The stable name.
    pub code: &'static str,
    /// Plain words.
    pub text: String,
}

pub(crate) fn answer(fault: Fault) -> Response {
    let status = StatusCode::from_u16(fault.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let refused = Refused {
        number: fault.code.number(),
        code: fault.code.name(),
        text: fault.to_string(),
    };
    (status, Json(refused)).into_response()
}

type Answer<T> = Result<Json<T>, Response>;

fn bytes(text: &str, field: &str) -> Result<Vec<u8>, Fault> {
    STANDARD
        .decode(text)
        .map_err(|_| Fault::new(Code::DataFormat, format!("{field} 不是 Base64")))
}

/// Data to be signed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignRequest {
    /// The key's index; the policy's first when absent.
    key: Option<KeyIndex>,
    /// The key's access code, where it has one.
    access_code: Option<String>,
    /// The data, Base64.
    data: String,
}

/// A raw signature.
#[derive(Debug, Serialize, ToSchema)]
struct DataSignature {
    /// Base64: DER for SM2 and ECDSA, the bare number for RSA.
    signature: String,
    /// The key it was made with.
    key: KeyIndex,
    /// The key's certificate, DER, Base64.
    certificate: String,
}

/// Signs data (PKCS#1; GB/T 35276 for SM2).
#[utoipa::path(post, path = "/v1/data/sign", request_body = SignRequest,
    responses((status = 200, body = DataSignature), (status = 400, body = Refused)))]
async fn sign_data(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Asked(asked): Asked<SignRequest>,
) -> Answer<DataSignature> {
    let data = bytes(&asked.data, "data").map_err(answer)?;
    let asked = SignData {
        key: asked.key,
        access_code: asked.access_code,
        data,
    };
    let signed = door.service.sign_data(&caller, asked).await.map_err(answer)?;
    Ok(Json(DataSignature {
        signature: STANDARD.encode(&signed.signature),
        key: signed.key,
        certificate: STANDARD.encode(&signed.certificate.der),
    }))
}

/// A raw signature to be verified.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct VerifyDataRequest {
    /// The signer's certificate, DER, Base64.
    certificate: String,
    /// The data, Base64.
    data: String,
    /// The signature, Base64.
    signature: String,
}

/// Who signed.
#[derive(Debug, Serialize, ToSchema)]
struct Verified {
    /// Name of the signer.
    signer: String,
    /// Serial number of the certificate, in hexadecimal.
    serial: String,
    /// When the signer says it was signed, where the signature says so.
    #[schema(value_type = Option<String>)]
    signed_at: Option<Timestamp>,
}

/// Verifies a raw signature and its certificate. A signature that does not hold is a refusal.
#[utoipa::path(post, path = "/v1/data/verify", request_body = VerifyDataRequest,
    responses((status = 200, body = Verified), (status = 422, body = Refused)))]
async fn verify_data(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Asked(asked): Asked<VerifyDataRequest>,
) -> Answer<Verified> {
    let read = || -> Result<VerifyData, Fault> {
        Ok(VerifyData {
            certificate: bytes(&asked.certificate, "certificate")?,
            data: bytes(&asked.data, "data")?,
            signature: bytes(&asked.signature, "signature")?,
        })
    };
    let asked = read().map_err(answer)?;
    let signer = door.service.verify_data(&caller, asked).await.map_err(answer)?;
    Ok(Json(Verified {
        signer: signer.subject.common_name.clone(),
        serial: signer.serial_hex(),
        signed_at: None,
    }))
}

/// A signed message.
#[derive(Debug, Serialize, ToSchema)]
struct Message {
    /// DER, Base64.
    message: String,
    /// The key it was made with.
    key: KeyIndex,
    /// Serial number of the signer's certificate, in hexadecimal.
    serial: String,
    /// The signing time in it.
    #[schema(value_type = String)]
    signed_at: Timestamp,
}

/// Signs a message without its content (PKCS#7 detached; GB/T 35275 for SM2).
#[utoipa::path(post, path = "/v1/message/sign", request_body = SignRequest,
    responses((status = 200, body = Message), (status = 400, body = Refused)))]
async fn sign_message(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Asked(asked): Asked<SignRequest>,
) -> Answer<Message> {
    let data = bytes(&asked.data, "data").map_err(answer)?;
    let asked = SignMessage {
        key: asked.key,
        access_code: asked.access_code,
        data,
    };
    let signed = door.service.sign_message(&caller, asked).await.map_err(answer)?;
    Ok(Json(Message {
        message: STANDARD.encode(&signed.message),
        key: signed.key,
        serial: signed.serial,
        signed_at: signed.signed_at,
    }))
}

/// A message to be verified.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct VerifyMessageRequest {
    /// DER, Base64.
    message: String,
    /// The content, Base64.
    data: String,
}

/// Verifies a message and its signer's certificate. A signature that does not hold is a refusal.
#[utoipa::path(post, path = "/v1/message/verify", request_body = VerifyMessageRequest,
    responses((status = 200, body = Verified), (status = 422, body = Refused)))]
async fn verify_message(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Asked(asked): Asked<VerifyMessageRequest>,
) -> Answer<Verified> {
    let read = || -> Result<VerifyMessage, Fault> {
        Ok(VerifyMessage {
            message: bytes(&asked.message, "message")?,
            data: bytes(&asked.data, "data")?,
        })
    };
    let asked = read().map_err(answer)?;
    let verified = door.service.verify_message(&caller, asked).await.map_err(answer)?;
    Ok(Json(Verified {
        signer: verified.signer.subject.common_name.clone(),
        serial: verified.signer.serial_hex(),
        signed_at: Some(verified.signed_at),
    }))
}
