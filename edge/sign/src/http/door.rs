//! The door that all requests of applications come through: who asks is found out before anything else is looked at, and
//! every refusal is entered in the log.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use utoipa::openapi::OpenApi;

use super::authenticate::{self, Nonces};
use super::json;
use super::listener::Peer;
use crate::fault::{Code, Fault};
use crate::service::{Caller, Interface, Service};
use crate::{revocation, soap, stamping, svs};

/// Bytes of a request: the largest data in Base64, and the rest.
const MAX_BODY: usize = 24 * 1024 * 1024;

/// What the routes share.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) service: Arc<Service>,
    nonces: Arc<Nonces>,
}

/// The routes.
pub fn router(service: Arc<Service>) -> Router {
    let door = Door {
        service,
        nonces: Arc::default(),
    };
    let (acts, document) = json::acts().split_for_parts();
    let document = Arc::new(document);
    let admit = |interface: Interface| {
        let door = door.clone();
        middleware::from_fn(move |request: Request, next: Next| admit(door.clone(), interface, request, next))
    };
    Router::new()
        .merge(acts.layer(admit(Interface::Json)))
        .merge(svs::routes().layer(admit(Interface::Svs)))
        .merge(soap::routes().layer(admit(Interface::Soap)))
        .merge(stamping::routes().layer(admit(Interface::Json)))
        .merge(soap::description())
        .merge(revocation::routes())
        .route(
            "/v1/openapi.json",
            axum::routing::get(move || async move { Json((*document).clone()) }),
        )
        .route("/health", axum::routing::get(async || "ok"))
        .route("/ready", axum::routing::get(ready))
        .fallback(async || json::answer(&Code::NotFound.into()))
        .method_not_allowed_fallback(async || json::answer(&Code::Method.into()))
        .with_state(door)
}

/// The JSON interface's description.
#[must_use]
pub fn document() -> OpenApi {
    json::acts().split_for_parts().1
}

async fn ready(State(door): State<Door>) -> Response {
    match door.service.ready() {
        Ok(()) => "ready".into_response(),
        Err(fault) => json::answer(&fault),
    }
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
        Err(fault) => {
            door.service.refuse_stranger(from, interface, &fault).await;
            return refused(interface, &form, &fault);
        }
    };
    let mut response = next.run(request).await;
    if let Some(Early(fault)) = response.extensions_mut().remove::<Early>() {
        door.service.refuse_early(&caller, &fault).await;
    }
    response
}

async fn identify(
    door: &Door,
    peer: &Peer,
    interface: Interface,
    request: Request,
) -> Result<(Request, Caller), Fault> {
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
        return Err(Fault::new(Code::Unauthenticated, why));
    }
    let body = axum::body::to_bytes(body, MAX_BODY)
        .await
        .map_err(|_| Fault::new(Code::TooLarge, format!("请求最多 {MAX_BODY} 字节，且须完整发送")))?;
    let now = door.service.engine.clock.now();
    let signed = (&parts.method, &parts.uri, &parts.headers, &body[..]);
    let application = authenticate::application(&state, peer, signed, &door.nonces, now)?;
    let caller = Caller {
        application,
        from: peer.address.ip(),
        interface,
    };
    parts.extensions.insert(caller.clone());
    Ok((Request::from_parts(parts, Body::from(body)), caller))
}
