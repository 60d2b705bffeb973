use axum::Json;
use axum::extract::{Extension, Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::data::{DataSignature, Holder, whose};
use super::message::{Held, MessageSignature};
use super::{Answer, Asked, No, Refused, algorithm, bytes, choice, optional};
use crate::application::KeyIndex;
use crate::http::door::Door;
use crate::service::{Begin, Caller, Level, Purpose, Whose};

/// What a session is for.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum For {
    /// A raw signature, by any algorithm.
    SignData,
    /// Verifying one.
    VerifyData,
    /// A message without its content.
    SignMessage,
    /// Verifying one.
    VerifyMessage,
}

impl From<For> for Purpose {
    fn from(what: For) -> Self {
        match what {
            For::SignData => Self::SignData,
            For::VerifyData => Self::VerifyData,
            For::SignMessage => Self::SignMessage,
            For::VerifyMessage => Self::VerifyMessage,
        }
    }
}

/// A session to begin.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BeginRequest {
    /// What it is for.
    purpose: For,
    /// As for data; the key's usual one when absent.
    algorithm: Option<String>,
    /// The key's index, to sign; when absent the policy's first, or with an algorithm other than SM2 whichever signs.
    key: Option<KeyIndex>,
    /// The signer's certificate, to verify; DER, Base64.
    certificate: Option<String>,
    /// SM2's user id where it is not `1234567812345678`.
    signer_id: Option<String>,
    /// The first part of the data, Base64.
    data: Option<String>,
}

/// A session.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Session {
    /// Its id; it lapses when it is not fed for five minutes.
    session: String,
}

/// Begins to sign or verify long data.
#[utoipa::path(post, path = "/v1/session", operation_id = "begin_session", request_body = BeginRequest,
    responses((status = 200, body = Session), (status = 429, body = Refused)))]
pub(super) async fn begin(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Asked(asked): Asked<BeginRequest>,
) -> Answer<Session> {
    let act = Begin {
        purpose: asked.purpose.into(),
        algorithm: algorithm(asked.algorithm.as_deref())?,
        public_key: None,
        signer: optional(asked.certificate.as_deref(), "certificate")?.map(Whose::Certificate),
        with: choice(asked.key, None, None)?,
        signer_id: asked.signer_id.map(String::into_bytes),
        data: optional(asked.data.as_deref(), "data")?.unwrap_or_default(),
    };
    let session = door.service.begin(&caller, act).await.map_err(No::Act)?;
    Ok(Json(Session { session }))
}

/// More data.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FeedRequest {
    /// What the session is for.
    purpose: For,
    /// At most 16 MiB, Base64.
    data: String,
}

/// How much it has been.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Fed {
    /// Bytes so far.
    bytes: u64,
}

/// Takes more data in.
#[utoipa::path(post, path = "/v1/session/{session}/feed", operation_id = "feed_session", request_body = FeedRequest,
    params(("session" = String, Path)), responses((status = 200, body = Fed), (status = 404, body = Refused)))]
pub(super) async fn feed(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Path(session): Path<String>,
    Asked(asked): Asked<FeedRequest>,
) -> Answer<Fed> {
    let data = bytes(&asked.data, "data")?;
    let fed = door.service.feed(&caller, asked.purpose.into(), session, data).await;
    Ok(Json(Fed {
        bytes: fed.map_err(No::Act)?,
    }))
}

/// The key that signs.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FinishRequest {
    /// The key's index; the policy's first when absent.
    key: Option<KeyIndex>,
    /// The key's access code, where it has one.
    access_code: Option<String>,
}

/// Signs what was fed.
#[utoipa::path(post, path = "/v1/session/{session}/sign-data", operation_id = "finish_signing",
    request_body = FinishRequest, params(("session" = String, Path)),
    responses((status = 200, body = DataSignature), (status = 404, body = Refused)))]
pub(super) async fn finish_signing(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Path(session): Path<String>,
    Asked(asked): Asked<FinishRequest>,
) -> Answer<DataSignature> {
    let with = choice(asked.key, asked.access_code, None)?;
    let signed = door
        .service
        .finish_signing(&caller, session, with)
        .await
        .map_err(No::Act)?;
    Ok(Json(signed.into()))
}

/// Signs what was fed as a message without its content.
#[utoipa::path(post, path = "/v1/session/{session}/sign-message", operation_id = "finish_message",
    request_body = FinishRequest, params(("session" = String, Path)),
    responses((status = 200, body = MessageSignature), (status = 404, body = Refused)))]
pub(super) async fn finish_message(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Path(session): Path<String>,
    Asked(asked): Asked<FinishRequest>,
) -> Answer<MessageSignature> {
    let with = choice(asked.key, asked.access_code, None)?;
    let signed = door
        .service
        .finish_message(&caller, session, with, true)
        .await
        .map_err(No::Act)?;
    Ok(Json(signed.into()))
}

/// The signature over what was fed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FinishVerifyingRequest {
    /// The signer's certificate, DER, Base64.
    certificate: Option<String>,
    /// Instead its serial number in hexadecimal.
    serial: Option<String>,
    /// Base64.
    signature: String,
    /// How much of the certificate is looked at.
    #[serde(default)]
    level: Level,
}

/// Verifies a signature over what was fed.
#[utoipa::path(post, path = "/v1/session/{session}/verify-data", operation_id = "finish_verifying",
    request_body = FinishVerifyingRequest, params(("session" = String, Path)),
    responses((status = 200, body = Holder), (status = 422, body = Refused)))]
pub(super) async fn finish_verifying(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Path(session): Path<String>,
    Asked(asked): Asked<FinishVerifyingRequest>,
) -> Answer<Holder> {
    let signer = whose(asked.certificate.as_deref(), asked.serial)?;
    let signature = bytes(&asked.signature, "signature")?;
    let judged = door
        .service
        .finish_verifying(&caller, session, signer, signature, asked.level)
        .await;
    Ok(Json(judged.map_err(No::Act)?.into()))
}

/// The message over what was fed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FinishMessageRequest {
    /// DER, Base64.
    message: String,
}

/// Verifies a message over what was fed.
#[utoipa::path(post, path = "/v1/session/{session}/verify-message", operation_id = "finish_verifying_message",
    request_body = FinishMessageRequest, params(("session" = String, Path)),
    responses((status = 200, body = Held), (status = 422, body = Refused)))]
pub(super) async fn finish_verifying_message(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Path(session): Path<String>,
    Asked(asked): Asked<FinishMessageRequest>,
) -> Answer<Held> {
    let message = bytes(&asked.message, "message")?;
    let verified = door.service.finish_verifying_message(&caller, session, message).await;
    Ok(Json(verified.map_err(No::Act)?.into()))
}
