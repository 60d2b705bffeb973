//! Parse, call, answer.

mod accounts;
mod applications;
mod backup;
mod certificates;
mod chains;
mod devices;
mod gate;
mod keys;
mod log;
mod outside;
mod outside_notices;
mod overview;
mod replica;
mod revocation;
mod session;
mod settings;
mod time;
mod tls;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, FromRequest, Request};
use axum::http::StatusCode;
use axum::{Json, Router, middleware};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gm::Certificate;
use records::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;
use utoipa::openapi::{Info, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::failure::Failure;
use super::{Manage, bundle, web};
use crate::Refusal;
use crate::state::Fingerprint;

/// Bytes of a request: many certificates at once, or a backup file in Base64. Only who is signed in may send so many.
const MAX_BODY: usize = 96 * 1024 * 1024;

pub(super) type Door = Arc<Manage>;
pub(super) type Answer<T> = Result<Json<T>, Failure>;

/// The routes, and the page.
pub fn router(manage: Arc<Manage>) -> Router {
    let (acts, _) = acts().split_for_parts();
    let document = Arc::new(document());
    let page = web::page(manage.config.web.as_deref());
    acts.route(
        "/manage/v1/openapi.json",
        axum::routing::get(move || async move { Json((*document).clone()) }),
    )
    .method_not_allowed_fallback(async || Failure::new(StatusCode::METHOD_NOT_ALLOWED, "method", "不支持的请求方法。"))
    .layer(middleware::from_fn_with_state(Arc::clone(&manage), gate::admit))
    .layer(DefaultBodyLimit::max(MAX_BODY))
    .route("/manage/{*rest}", axum::routing::any(async || not_found()))
    .with_state(manage)
    .fallback_service(page)
    .layer(middleware::from_fn(web::harden))
}

fn not_found() -> Failure {
    Failure::new(StatusCode::NOT_FOUND, "not_found", "没有这个接口。")
}

/// The interface's description.
#[must_use]
pub fn document() -> OpenApi {
    let (_, mut document) = acts().split_for_parts();
    document.info = Info::new("签名验签服务器管理接口", env!("CARGO_PKG_VERSION"));
    // Handlers are named by their verb (`list`, `change`); in the document each operation needs a name of its own.
    for (path, item) in &mut document.paths.paths {
        let words = path
            .trim_start_matches("/manage/v1")
            .split(|c: char| !c.is_ascii_alphanumeric());
        let noun = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_");
        let operations = [
            ("get", &mut item.get),
            ("post", &mut item.post),
            ("put", &mut item.put),
            ("delete", &mut item.delete),
        ];
        for (verb, operation) in operations {
            if let Some(operation) = operation {
                operation.operation_id = Some(format!("{verb}_{noun}"));
            }
        }
    }
    document
}

fn acts() -> OpenApiRouter<Door> {
    OpenApiRouter::new()
        .routes(routes!(session::current, session::sign_in, session::sign_out))
        .routes(routes!(session::sign_in_by_certificate))
        .routes(routes!(session::finish_first))
        .routes(routes!(session::change_password))
        .routes(routes!(session::set_up))
        .routes(routes!(overview::overview))
        .routes(routes!(overview::meter))
        .routes(routes!(overview::self_test))
        .routes(routes!(accounts::list, accounts::create))
        .routes(routes!(accounts::change, accounts::remove))
        .routes(routes!(accounts::recover))
        .routes(routes!(accounts::add_certificate))
        .routes(routes!(accounts::remove_certificate))
        .routes(routes!(keys::list, keys::generate))
        .routes(routes!(keys::request))
        .routes(routes!(keys::import_certificate))
        .routes(routes!(keys::certify))
        .routes(routes!(keys::activate))
        .routes(routes!(keys::retire))
        .routes(routes!(keys::destroy))
        .routes(routes!(keys::adopt))
        .routes(routes!(keys::import))
        .routes(routes!(devices::list))
        .routes(routes!(devices::keys))
        .routes(routes!(devices::retry))
        .routes(routes!(devices::give_pin))
        .routes(routes!(outside::list))
        .routes(routes!(outside::signers, outside::bind))
        .routes(routes!(outside::certificate))
        .routes(routes!(outside::retry))
        .routes(routes!(outside::accept))
        .routes(routes!(outside::unbind))
        .routes(routes!(tls::list))
        .routes(routes!(tls::import))
        .routes(routes!(tls::renew))
        .routes(routes!(backup::custodians, backup::appoint))
        .routes(routes!(backup::share))
        .routes(routes!(backup::backup))
        .routes(routes!(backup::preview))
        .routes(routes!(backup::apply))
        .routes(routes!(replica::show))
        .routes(routes!(replica::propose))
        .routes(routes!(replica::approve))
        .routes(routes!(replica::end))
        .routes(routes!(replica::package))
        .routes(routes!(replica::import))
        .routes(routes!(replica::take))
        .routes(routes!(applications::list, applications::register))
        .routes(routes!(applications::change))
        .routes(routes!(applications::add_certificate))
        .routes(routes!(applications::remove_certificate))
        .routes(routes!(applications::renew_secret))
        .routes(routes!(chains::list, chains::import))
        .routes(routes!(chains::import_own))
        .routes(routes!(chains::remove))
        .routes(routes!(chains::remove_certificate))
        .routes(routes!(revocation::show))
        .routes(routes!(revocation::set_chain))
        .routes(routes!(revocation::fetch))
        .routes(routes!(revocation::import))
        .routes(routes!(revocation::own, revocation::revoke))
        .routes(routes!(revocation::stamping, revocation::set_stamping))
        .routes(routes!(revocation::certify_stamp))
        .routes(routes!(certificates::find, certificates::import))
        .routes(routes!(certificates::detail))
        .routes(routes!(certificates::file))
        .routes(routes!(certificates::remove))
        .routes(routes!(settings::all))
        .routes(routes!(settings::set_web_service))
        .routes(routes!(settings::set_syslog))
        .routes(routes!(settings::set_log_keeping))
        .routes(routes!(settings::set_time))
        .routes(routes!(settings::set_own_lists))
        .routes(routes!(time::status))
        .routes(routes!(time::history))
        .routes(routes!(time::poll))
        .routes(routes!(time::syslog))
        .routes(routes!(log::find))
        .routes(routes!(log::export))
        .routes(routes!(log::checkpoints))
        .routes(routes!(log::progress, log::check))
}

/// A request's JSON; what does not fit is named.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Asked<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let body = axum::body::Bytes::from_request(request, state).await.map_err(|_| {
            let text = format!("请求最多 {} MiB，且须完整发送。", MAX_BODY / 1024 / 1024);
            Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", text)
        })?;
        serde_json::from_slice(&body).map(Self).map_err(|error| {
            Failure::new(
                StatusCode::BAD_REQUEST,
                "bad_request",
                format!("请求格式不正确：{error}"),
            )
        })
    }
}

/// Done, and nothing to say.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct Done {}

/// A certificate, for people.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CertificateView {
    /// SHA-256, hexadecimal.
    pub(super) fingerprint: String,
    /// Serial number, hexadecimal.
    pub(super) serial: String,
    /// Subject's common name.
    pub(super) subject: String,
    /// Subject's organisation.
    pub(super) organization: String,
    /// Issuer's common name.
    pub(super) issuer: String,
    /// The key's kind, e.g. `SM2`.
    pub(super) algorithm: String,
    /// Start of validity.
    #[schema(value_type = String, format = DateTime)]
    pub(super) not_before: Timestamp,
    /// End of validity.
    #[schema(value_type = String, format = DateTime)]
    pub(super) not_after: Timestamp,
    /// Issued by itself: a root.
    pub(super) root: bool,
}

impl CertificateView {
    pub(super) fn of(certificate: &Certificate) -> Self {
        Self {
            fingerprint: hex::encode(gm::key::sha256(&certificate.der)),
            serial: certificate.serial_hex(),
            subject: certificate.subject.common_name.clone(),
            organization: certificate.subject.organization.clone(),
            issuer: certificate.issuer.common_name.clone(),
            algorithm: certificate.public_key.describe(),
            not_before: Timestamp::from_offset(certificate.not_before),
            not_after: Timestamp::from_offset(certificate.not_after),
            root: certificate.is_self_issued(),
        }
    }
}

/// A file's bytes from Base64.
pub(super) fn file(text: &str) -> Result<Vec<u8>, Refusal> {
    let bare: String = text.split_ascii_whitespace().collect();
    STANDARD
        .decode(bare)
        .map_err(|_| Refusal::no("bad_request", "请求中的文件内容不是 Base64。"))
}

/// The only certificate of a file in Base64.
pub(super) fn only_certificate(text: &str) -> Result<Certificate, Refusal> {
    bundle::certificate(&file(text)?)
}

pub(super) fn fingerprint(text: &str) -> Result<Fingerprint, Refusal> {
    let bytes = hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| Refusal::no("certificate_unknown", "没有这张证书。"))
}
