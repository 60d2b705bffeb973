//! The web service (webservice 接口): the operations that hospital systems know from CA products, `SOF_…` (GM/T 0020), as
//! SOAP 1.1 and 1.2 at `/soap`, described by `/soap?wsdl`. It answers while the setting is on; it is switched without
//! restart.
//!
//! * `InData` is text; what is signed are its UTF-8 bytes. Signatures, certificates and messages are Base64.
//! * `CertID` is a key's index; without it the policy's first key is taken.
//! * Every reason why something does not hold is a fault with the number and the name of [`Code`]; an operation that
//!   answers `true` never answers `false`.
//! * Applications sign in as everywhere: by client certificate or request signature.

mod act;
mod envelope;
mod wsdl;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Extension, RawQuery, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use crate::fault::{Code, Fault};
use crate::http::door::{Door, Early};
use crate::service::Caller;

use envelope::Version;

/// The routes of applications.
pub(crate) fn routes() -> Router<Door> {
    Router::new().route("/soap", post(call))
}

/// The description, for anybody.
pub(crate) fn description() -> Router<Door> {
    Router::new().route("/soap", get(describe))
}

async fn describe(State(door): State<Door>, RawQuery(query): RawQuery, request: Request) -> Response {
    if !door.service.web_service() {
        return refused(&Code::SwitchedOff.into());
    }
    if !query.is_some_and(|query| query.eq_ignore_ascii_case("wsdl")) {
        return refused(&Code::NotFound.into());
    }
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let text = wsdl::write(host.unwrap_or("localhost"));
    ([(header::CONTENT_TYPE, "text/xml; charset=utf-8")], text).into_response()
}

async fn call(State(door): State<Door>, Extension(caller): Extension<Caller>, body: Request) -> Response {
    // It was read, and bounded, at the door.
    let read = axum::body::to_bytes(body.into_body(), usize::MAX).await;
    let call = read
        .map_err(|_| Code::RequestRejected.into())
        .and_then(|body: Bytes| envelope::read(&body));
    let call = match call {
        Ok(call) => call,
        Err(fault) => return early(Version::One, fault),
    };
    match act::act(&door.service, &caller, &call).await {
        Ok(value) => respond(
            call.version,
            StatusCode::OK,
            envelope::answer(call.version, &call.operation, &value),
        ),
        Err(act::No::Act(fault)) => fault_of(call.version, &fault),
        Err(act::No::Early(fault)) => early(call.version, fault),
    }
}

/// A refusal of a request that was not read.
pub(crate) fn refused(fault: &Fault) -> Response {
    fault_of(Version::One, fault)
}

fn early(version: Version, fault: Fault) -> Response {
    let mut response = fault_of(version, &fault);
    response.extensions_mut().insert(Early(fault));
    response
}

/// SOAP has one status for faults; those of the door keep theirs, so that proxies and people see them.
fn fault_of(version: Version, fault: &Fault) -> Response {
    let status = match fault.code {
        Code::SwitchedOff | Code::Unauthenticated | Code::NotFound | Code::TooMany => fault.code.status(),
        _ => 500,
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    respond(version, status, envelope::fault(version, fault))
}

fn respond(version: Version, status: StatusCode, text: String) -> Response {
    (status, [(header::CONTENT_TYPE, version.content_type())], text).into_response()
}
