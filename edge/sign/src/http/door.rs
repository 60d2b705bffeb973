//! The door that all requests of applications come through: who asks is found out before anything else is looked at, and
//! every refusal is entered in the log.

use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use tokio::sync::Semaphore;
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{OpenApi, Required};

use super::authenticate::{self, Unproven};
use super::json;
use super::listener::Peer;
use super::nonces::Nonces;
use crate::Refusal;
use crate::fault::{Code, Fault};
use crate::service::{Caller, Interface, Once, Replayed, Service};
use crate::{revocation, soap, stamping, svs};

/// Bytes of a request: the largest data in Base64, and the rest.
const MAX_BODY: usize = 24 * 1024 * 1024;

/// Longer bodies of those who have proven nothing yet are read few at a time: what is read stays in locked memory.
const SHORT: u64 = 64 * 1024;
/// So many.
const UNPROVEN: usize = 4;

/// Names a request, so that it is done once however often it is sent: see [`crate::service`]'s `once`.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Says this server's name.
const SERVER_NAME: &str = "server-name";
/// Says that the answer is that of the first sending.
const REPLAYED: &str = "idempotency-replayed";

/// How a request is signed with a key, for who writes a client.
const REQUEST_KEY: &str = "`YQ-HMAC-SM3 app=…,server=…,time=…,nonce=…,mac=…`: mac is HMAC-SM3 in hexadecimal, under the \
    application's request key, over the lines METHOD, path and query, server, time, nonce, SM3 of the body in hexadecimal, \
    joined by line feeds. `server` is the name of the server the request is sent to: header `server-name` of GET /ready, also \
    on the management page; or the common name of servers behind a balancer, where one is configured. `time` is RFC 3339, \
    within five minutes of the server's; `nonce`, 8 to 64 letters and digits, is good once. Refused with `other_server`, a \
    request is signed anew for the server that the header `sign-for` names; with `signed_before_start`, for a time after the \
    one that `sign-after` says.";

/// What the routes share.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) service: Arc<Service>,
    nonces: Arc<Nonces>,
    unproven: Arc<Semaphore>,
}

/// The routes.
pub fn router(service: Arc<Service>) -> Result<Router, Refusal> {
    let nonces = Nonces::start(Arc::clone(&service.engine.vault))?;
    let door = Door {
        service: Arc::clone(&service),
        nonces: Arc::new(nonces),
        unproven: Arc::new(Semaphore::new(UNPROVEN)),
    };
    let (acts, _) = json::acts().split_for_parts();
    let document = Arc::new(document());
    let admit = |interface: Interface| {
        let door = door.clone();
        middleware::from_fn(move |request: Request, next: Next| admit(door.clone(), interface, request, next))
    };
    let router = Router::new()
        .merge(acts.layer(admit(Interface::Json)))
        .merge(svs::routes().layer(admit(Interface::Svs)))
        .merge(soap::routes().layer(admit(Interface::Soap)))
        .merge(stamping::routes().layer(admit(Interface::Json)))
        .merge(soap::description())
        .merge(revocation::routes(Arc::clone(&service.engine)))
        .route(
            "/v1/openapi.json",
            axum::routing::get(move || async move { Json((*document).clone()) }),
        )
        .route("/health", axum::routing::get(async || "ok"))
        .route("/ready", axum::routing::get(ready))
        .fallback(async || json::answer(&Code::NotFound.into()))
        .method_not_allowed_fallback(async || json::answer(&Code::Method.into()))
        .with_state(door);
    Ok(router)
}

/// The JSON interface's description.
#[must_use]
pub fn document() -> OpenApi {
    let (_, mut document) = json::acts().split_for_parts();
    let key = ParameterBuilder::new()
        .name(IDEMPOTENCY_KEY)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "8 to 64 letters, digits, - or _: a request that is sent again under its key within ten minutes is signed and \
             logged once and gets the same answer; another request under the key is refused (key_reused).",
        ))
        .build();
    for item in document.paths.paths.values_mut() {
        if let Some(act) = &mut item.post {
            act.parameters
                .get_or_insert_default()
                .push(utoipa::openapi::RefOr::T(key.clone()));
        }
    }
    let components = document.components.get_or_insert_default();
    components.add_security_scheme(
        "certificate",
        SecurityScheme::MutualTls {
            description: Some(
                "The client certificate of the connection is one that the application registered.".to_owned(),
            ),
            deprecated: None,
            extensions: None,
        },
    );
    let signed = ApiKeyValue::with_description("authorization", REQUEST_KEY);
    components.add_security_scheme("request_key", SecurityScheme::ApiKey(ApiKey::Header(signed)));
    let either = ["certificate", "request_key"].map(|way| SecurityRequirement::new::<_, [&str; 0], &str>(way, []));
    document.security = Some(either.into());
    document
}

async fn ready(State(door): State<Door>) -> Response {
    let mut response = match door.service.ready() {
        Ok(()) => "ready".into_response(),
        Err(fault) => json::answer(&fault),
    };
    // Signed requests are signed for this name.
    if let Ok(own) = HeaderValue::from_str(door.service.names.own.as_str()) {
        response.headers_mut().insert(SERVER_NAME, own);
    }
    response
}

/// A refusal before any act began: entered in the log by [`admit`].
#[derive(Debug, Clone)]
pub(crate) struct Early(pub(crate) Fault);

impl IntoResponse for Early {
    fn into_response(self) -> Response {
        let mut response = json::answer(&self.0);
        response.extensions_mut().insert(self);
        response
    }
}

/// How the sender wants to be answered.
fn refused(interface: Interface, form: &svs::Form, fault: &Fault) -> Response {
    match interface {
        Interface::Svs => svs::refused(form, fault),
        Interface::Soap => soap::refused(fault),
        Interface::Json | Interface::Socket => json::answer(fault),
    }
}

/// Finds out who asks.
async fn admit(door: Door, interface: Interface, request: Request, next: Next) -> Response {
    let form = svs::Form::of(&request);
    let Some(peer) = request.extensions().get::<Peer>().cloned() else {
        return json::answer(&Code::Internal.into());
    };
    let from = peer.address.ip();
    if interface == Interface::Soap && !door.service.web_service() {
        let fault = Fault::from(Code::SwitchedOff);
        door.service.refuse_stranger(from, interface, &fault).await;
        return refused(interface, &form, &fault);
    }
    let (request, caller) = match identify(&door, &peer, interface, request).await {
        Ok(known) => known,
        Err(Unproven { fault, anew }) => {
            door.service.refuse_stranger(from, interface, &fault).await;
            let mut response = refused(interface, &form, &fault);
            if let Some((name, value)) = anew.map(|anew| anew.header())
                && let Ok(value) = HeaderValue::try_from(value)
            {
                response.headers_mut().insert(name, value);
            }
            return response;
        }
    };
    let mut response = next.run(request).await;
    if let Some(Early(fault)) = response.extensions_mut().remove::<Early>() {
        door.service.refuse_early(&caller, &fault).await;
    }
    match caller.once.clone() {
        None => response,
        Some(once) => answer_once(&door, &caller, &once, response).await,
    }
}

/// Enters the act with its answer, and gives the answer of the request's first sending.
async fn answer_once(door: &Door, caller: &Caller, once: &Once, response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else {
        return json::answer(&Code::Internal.into());
    };
    let kept = parts.status.is_success().then_some(&body[..]);
    match door.service.finish(&caller.application.id, once, kept).await {
        Ok(Replayed::No) => Response::from_parts(parts, Body::from(body)),
        Ok(Replayed::Yes(before)) => {
            let mut response = Response::from_parts(parts, Body::from(before));
            // Its length is another one.
            response.headers_mut().remove(header::CONTENT_LENGTH);
            let replayed = HeaderValue::from_static("true");
            response.headers_mut().insert(REPLAYED, replayed);
            response
        }
        Err(fault) => {
            if fault.code == Code::KeyReused {
                door.service.refuse_early(caller, &fault).await;
            }
            json::answer(&fault)
        }
    }
}

async fn identify(
    door: &Door,
    peer: &Peer,
    interface: Interface,
    request: Request,
) -> Result<(Request, Caller), Unproven> {
    let (mut parts, body) = request.into_parts();
    let state = door.service.state();
    let registered = peer
        .certificate
        .as_ref()
        .is_some_and(|id| state.by_certificate.contains_key(id));
    if !registered && !parts.headers.contains_key(header::AUTHORIZATION) {
        // A stranger's body is not read.
        let why = match peer.certificate {
            Some(_) => "客户端证书未登记",
            None => "既没有客户端证书，也没有请求签名",
        };
        return Err(Fault::new(Code::Unauthenticated, why).into());
    }
    let claims = authenticate::claim(&state, &parts.headers, door.service.engine.clock.now())?.is_some();
    let long = body.size_hint().upper().is_none_or(|bytes| bytes > SHORT);
    let turn = if claims && !registered && long {
        Some(door.unproven.acquire().await.map_err(|_| Code::Draining)?)
    } else {
        None
    };
    let body = axum::body::to_bytes(body, MAX_BODY)
        .await
        .map_err(|_| Fault::new(Code::TooLarge, format!("请求最多 {MAX_BODY} 字节，且须完整发送")))?;
    let now = door.service.engine.clock.now();
    let signed = (&parts.method, &parts.uri, &parts.headers, &body[..]);
    let application = authenticate::application((&state, &door.service.names), peer, signed, &door.nonces, now).await?;
    drop(turn);
    let once = match parts
        .headers
        .get(IDEMPOTENCY_KEY)
        .filter(|_| interface == Interface::Json)
    {
        None => None,
        Some(key) => {
            let key = key.to_str().unwrap_or_default();
            let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
            Some(Arc::new(Once::new(key, parts.method.as_str(), path, &body)?))
        }
    };
    let caller = Caller {
        application,
        from: peer.address.ip(),
        interface,
        once,
    };
    parts.extensions.insert(caller.clone());
    Ok((Request::from_parts(parts, Body::from(body)), caller))
}
