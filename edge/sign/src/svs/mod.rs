//! The messages of GB/T 38629-2020 (GM/T 0029) in their three forms, all through the same acts as `/v1`:
//!
//! | form | request | content type |
//! |---|---|---|
//! | ASN.1 (annex A) | `POST /svs` | `application/octet-stream` |
//! | HTTP (annex B) | `POST /svs/SignData` | `application/x-www-form-urlencoded` |
//! | JSON (annex C) | `POST /svs/SignData` | `application/json` |
//!
//! # How the text of the standard is read
//! * OCTET STRINGs are Base64 in the two text forms, BOOLEANs `TRUE`/`FALSE`, numbers decimal or `0x…`, as strings or
//!   bare. A session's id is text as it was answered; a certificate's serial number (`certSN`) is hexadecimal text.
//! * `Request ::= OCTET STRING { … [n] IMPLICIT … }` is read as a CHOICE by context tag, and also wrapped in an OCTET
//!   STRING; the answer comes in the form of the request.
//! * `[n] Certificate` is read implicitly and explicitly tagged; the two cannot be confused.
//! * A time stamp in the request (`reqTimeStampToken`) is verified over the DER of the request's CHOICE.
//! * Status 200 carries every code of the standard; reasons of this server's own have their HTTP status too.

mod act;
mod asn1;
mod fields;
mod text;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Extension, Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use records::Timestamp;

use crate::fault::{Code, Fault};
use crate::http::door::{Door, Early};
use crate::service::Caller;

use act::Answer;
use fields::Operation;

/// The routes.
pub(crate) fn routes() -> Router<Door> {
    Router::new()
        .route("/svs", post(by_type))
        .route("/svs/{operation}", post(by_name))
}

/// How a request is written, and so its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Syntax {
    Json,
    Urlencoded,
    Der { wrapped: bool },
}

/// What an answer must know of its request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    syntax: Syntax,
    operation: Option<Operation>,
}

impl Form {
    /// From a request's head.
    pub(crate) fn of(request: &Request) -> Self {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        let syntax = if kind.eq_ignore_ascii_case("application/json") {
            Syntax::Json
        } else if kind.eq_ignore_ascii_case("application/octet-stream") {
            Syntax::Der { wrapped: false }
        } else {
            Syntax::Urlencoded
        };
        let name = request.uri().path().strip_prefix("/svs/");
        Self {
            syntax,
            operation: name.and_then(Operation::at_path),
        }
    }
}

async fn by_name(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let form = Form::of(&request);
    if Operation::at_path(&name).is_none() {
        return early(
            &form,
            Fault::new(Code::NotFound, name.chars().take(40).collect::<String>()),
        );
    }
    answer(&door, &caller, form, request).await
}

async fn by_type(State(door): State<Door>, Extension(caller): Extension<Caller>, request: Request) -> Response {
    let form = Form::of(&request);
    answer(&door, &caller, form, request).await
}

async fn answer(door: &Door, caller: &Caller, mut form: Form, request: Request) -> Response {
    let version = request.headers().get("svs-request-version").cloned();
    // It was read, and bounded, at the door.
    let Ok(body) = axum::body::to_bytes(request.into_body(), usize::MAX).await else {
        return early(&form, Code::RequestRejected.into());
    };
    let asked = match read(&mut form, version.as_ref(), &body) {
        Ok(asked) => asked,
        Err(fault) => return early(&form, fault),
    };
    if let Some((token, over)) = &asked.stamp
        && let Err(fault) = door.service.check_stamp(caller, token, over)
    {
        return early(&form, fault);
    }
    match act::act(&door.service, caller, asked.operation, &asked.fields).await {
        Ok(answer) => write(&form, &Ok(answer)),
        Err(act::No::Act(fault)) => refused(&form, &fault),
        Err(act::No::Early(fault)) => early(&form, fault),
    }
}

/// A request that has been read.
struct Asked {
    operation: Operation,
    fields: fields::Fields,
    /// A time stamp and what it is over.
    stamp: Option<(Vec<u8>, Vec<u8>)>,
}

fn read(form: &mut Form, version: Option<&HeaderValue>, body: &Bytes) -> Result<Asked, Fault> {
    if version.is_some_and(|version| version.as_bytes() != b"v1") {
        return Err(Fault::new(Code::RequestRejected, "只支持版本 v1"));
    }
    let asked = match form.syntax {
        Syntax::Json => text::read_json(form.operation, body)?,
        Syntax::Urlencoded => text::read_form(form.operation, body)?,
        Syntax::Der { .. } => {
            let (asked, wrapped) = asn1::read(body)?;
            form.syntax = Syntax::Der { wrapped };
            asked
        }
    };
    if form.operation.is_some_and(|named| named != asked.operation) {
        return Err(Fault::new(Code::RequestRejected, "请求类型与地址不符"));
    }
    form.operation = Some(asked.operation);
    Ok(asked)
}

/// A refusal, as the sender wants it.
pub(crate) fn refused(form: &Form, fault: &Fault) -> Response {
    write(form, &Err(fault.clone()))
}

fn early(form: &Form, fault: Fault) -> Response {
    let mut response = refused(form, &fault);
    response.extensions_mut().insert(Early(fault));
    response
}

fn write(form: &Form, answer: &Result<Answer, Fault>) -> Response {
    let now = Timestamp::from_offset(time::OffsetDateTime::now_utc());
    let operation = form.operation;
    let (kind, body) = match form.syntax {
        Syntax::Json => (
            "application/json",
            text::write_json(operation, answer, now).into_bytes(),
        ),
        Syntax::Urlencoded => (
            "application/x-www-form-urlencoded",
            text::write_form(answer).into_bytes(),
        ),
        Syntax::Der { wrapped } => ("application/octet-stream", asn1::write(operation, answer, now, wrapped)),
    };
    let status = match answer {
        Err(fault) if fault.code.number() > 0x0400_00ff => StatusCode::from_u16(fault.code.status()),
        _ => Ok(StatusCode::OK),
    };
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, [(header::CONTENT_TYPE, kind)], body).into_response();
    let headers = response.headers_mut();
    headers.insert("svs-response-version", HeaderValue::from_static("v1"));
    if let Some(operation) = operation {
        headers.insert("svs-response-type", HeaderValue::from_static(operation.name()));
    }
    if let Ok(time) = HeaderValue::from_str(&text::moment(now)) {
        headers.insert("svs-response-time", time);
    }
    response
}
