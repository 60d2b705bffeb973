//! What the authority serves, and how it misbehaves while it does.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rig::{Clock, Faults, Fired};
use time::OffsetDateTime;

use crate::authority::{Authority, CaError, Kind, Turn};
use crate::der::{element, elements, only, sequence};
use crate::tsa;

/// How the site can misbehave: on the line, then in what it says.
const KINDS: &[&str] = &[
    "delay",
    "slow",
    "half",
    "huge",
    "garbage",
    "error",
    "stale",
    "future",
    "wrong_signature",
    "wrong_nonce",
    "no_nonce",
    "unauthorised",
    "refuse",
];

/// The running site.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) authority: Authority,
    pub(crate) faults: Arc<Faults>,
    clock: Clock,
}

impl Site {
    pub(crate) fn new(authority: Authority) -> Self {
        Self {
            authority,
            faults: Arc::new(Faults::new(KINDS)),
            clock: Clock::default(),
        }
    }
}

pub(crate) fn routes(site: Arc<Site>) -> Router {
    Router::new()
        .route("/ca.cer", get(certificate))
        .route(
            "/full.crl",
            get(async |site: State<Arc<Site>>| list(site, "full").await),
        )
        .route(
            "/delta.crl",
            get(async |site: State<Arc<Site>>| list(site, "delta").await),
        )
        .route("/ocsp", post(ocsp))
        .route("/ocsp/{request}", get(ocsp_get))
        .route("/tsa", post(stamp))
        .with_state(site)
}

async fn certificate(State(site): State<Arc<Site>>) -> Response {
    let fired = site.faults.next("ca.cer", &site.clock);
    let body = site.authority.turn().await.get("ca.cer").map_err(CaError::from);
    answered("application/pkix-cert", body, fired).await
}

async fn list(State(site): State<Arc<Site>>, name: &'static str) -> Response {
    let fired = site.faults.next(name, &site.clock);
    let turn = site.authority.turn().await;
    let body = match fired.as_ref().map(|f| f.kind.as_str()) {
        Some("stale") => turn.dated(name, (-30, -20)).await,
        Some("future") => turn.dated(name, (20, 30)).await,
        _ => turn.get(&format!("{name}.crl")).map_err(CaError::from),
    };
    drop(turn);
    let body = body.map(|body| {
        if said(&fired, "wrong_signature") {
            bent(body)
        } else {
            body
        }
    });
    answered("application/pkix-crl", body, fired).await
}

async fn ocsp(State(site): State<Arc<Site>>, request: Bytes) -> Response {
    let fired = site.faults.next("ocsp", &site.clock);
    let turn = site.authority.turn().await;
    let body = status(&turn, &request, fired.as_ref().map_or("", |f| f.kind.as_str())).await;
    drop(turn);
    answered("application/ocsp-response", body, fired).await
}

async fn ocsp_get(site: State<Arc<Site>>, Path(request): Path<String>) -> Response {
    match STANDARD.decode(request) {
        Ok(request) => ocsp(site, request.into()).await,
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

async fn status(turn: &Turn<'_>, request: &[u8], kind: &str) -> Result<Vec<u8>, CaError> {
    if kind == "refuse" {
        return Ok(vec![0x30, 3, 0x0a, 1, 3]); // try later
    }
    let request = match kind {
        "wrong_nonce" => bent(request.to_vec()),
        "no_nonce" => without_nonce(request).ok_or_else(|| CaError::Asked("OCSP request".to_owned()))?,
        _ => request.to_vec(),
    };
    turn.put("asked.req", request)?;
    let signer = if kind == "unauthorised" {
        "bystander"
    } else {
        "responder"
    };
    let (pem, key) = (format!("{signer}.pem"), format!("{signer}.key"));
    let mut words = vec![
        "ocsp",
        "-index",
        "index.txt",
        "-CA",
        "ca.pem",
        "-ndays",
        "1",
        "-rsigner",
        &pem,
        "-rkey",
        &key,
    ];
    words.extend([
        "-rmd",
        turn.kind().hash(),
        "-reqin",
        "asked.req",
        "-respout",
        "answer.resp",
    ]);
    turn.openssl(&turn.signing(&words, "-rsigopt")).await?;
    let answer = turn.get("answer.resp")?;
    let shifted = |days| signed_again(turn, &answer, move |body| shift(body, days), "responder");
    match kind {
        "stale" => shifted(-30).await,
        "future" => shifted(30).await,
        "wrong_signature" => signed_again(turn, &answer, <[u8]>::to_vec, "stranger").await,
        _ => Ok(answer),
    }
}

/// The request without its extensions.
fn without_nonce(request: &[u8]) -> Option<Vec<u8>> {
    let body = elements(only(request)?.value)?;
    let parts = elements(body.first()?.value)?;
    let kept: Vec<&[u8]> = parts
        .iter()
        .filter(|part| part.tag != 0xa2)
        .map(|part| part.raw)
        .collect();
    Some(sequence(&[&sequence(&kept)]))
}

/// An answer whose signed part was changed, signed anew.
async fn signed_again(
    turn: &Turn<'_>,
    answer: &[u8],
    change: impl Fn(&[u8]) -> Vec<u8>,
    key: &str,
) -> Result<Vec<u8>, CaError> {
    let read = || {
        let outer = elements(only(answer)?.value)?;
        let typed = elements(only(outer.get(1)?.value)?.value)?;
        let kind = typed.first()?.raw;
        Some((kind, elements(only(typed.get(1)?.value)?.value)?))
    };
    let (kind, parts) = read().ok_or_else(|| CaError::Asked("OCSP answer".to_owned()))?;
    let [body, algorithm, _, rest @ ..] = parts.as_slice() else {
        return Err(CaError::Asked("OCSP answer".to_owned()));
    };
    let body = change(body.raw);
    let signature = turn.sign(key, &body).await?;
    let rest: Vec<&[u8]> = rest.iter().map(|part| part.raw).collect();
    let basic = sequence(&[
        &body,
        algorithm.raw,
        &element(3, &[&[0], signature.as_slice()].concat()),
        &rest.concat(),
    ]);
    let typed = sequence(&[kind, &element(4, &basic)]);
    Ok(sequence(&[&[0x0a, 1, 0], &element(0xa0, &typed)]))
}

/// The times of an answer's body moved by so many days, but for the first: when it was signed.
fn shift(body: &[u8], days: i64) -> Vec<u8> {
    use time::macros::format_description;
    let form = format_description!("[year][month][day][hour][minute][second]Z");
    let mut out = body.to_vec();
    let mut seen = 0;
    for at in 0..out.len().saturating_sub(16) {
        let Some([0x18, 15, text @ ..]) = out.get(at..at + 17) else {
            continue;
        };
        let moved = std::str::from_utf8(text)
            .ok()
            .and_then(|text| time::PrimitiveDateTime::parse(text, &form).ok())
            .and_then(|time| (time + time::Duration::days(days)).format(&form).ok());
        seen += usize::from(moved.is_some());
        if seen < 2 {
            continue;
        }
        if let (Some(moved), Some(place)) = (moved, out.get_mut(at + 2..at + 17)) {
            place.copy_from_slice(moved.as_bytes());
        }
    }
    out
}

async fn stamp(State(site): State<Arc<Site>>, request: Bytes) -> Response {
    let fired = site.faults.next("tsa", &site.clock);
    let turn = site.authority.turn().await;
    let body = stamped(&turn, &request, fired.as_ref().map_or("", |f| f.kind.as_str())).await;
    drop(turn);
    answered("application/timestamp-reply", body, fired).await
}

async fn stamped(turn: &Turn<'_>, request: &[u8], kind: &str) -> Result<Vec<u8>, CaError> {
    match kind {
        // rejection, timeNotAvailable
        "refuse" => return Ok(vec![0x30, 9, 0x30, 7, 2, 1, 2, 3, 2, 0x01, 0x02]),
        "future" | "stale" if turn.kind() != Kind::Sm2 => {
            return Err(CaError::Asked("stamps of another time are SM2 only".to_owned()));
        }
        _ => {}
    }
    let request = if kind == "wrong_nonce" {
        bent_nonce(request)
    } else {
        request.to_vec()
    };
    let mut reply = if turn.kind() == Kind::Sm2 {
        let days = match kind {
            "future" => 30,
            "stale" => -30,
            _ => 0,
        };
        tsa::reply(turn, &request, OffsetDateTime::now_utc() + time::Duration::days(days)).await?
    } else {
        turn.put("asked.tsq", &request)?;
        turn.openssl(&[
            "ts",
            "-reply",
            "-config",
            "ca.cnf",
            "-section",
            "unit",
            "-queryfile",
            "asked.tsq",
            "-out",
            "r.tsr",
        ])
        .await?;
        turn.get("r.tsr")?
    };
    if kind == "wrong_signature" {
        reply = bent(reply);
    }
    Ok(reply)
}

/// The request with another nonce.
fn bent_nonce(request: &[u8]) -> Vec<u8> {
    let nonce = || {
        let whole = only(request)?;
        let parts = elements(whole.value)?;
        let nonce = parts.iter().skip(1).find(|part| part.tag == 2)?;
        // How far from the end its last byte stands.
        let behind: usize = parts
            .iter()
            .skip_while(|part| !std::ptr::eq(part.raw, nonce.raw))
            .skip(1)
            .map(|p| p.raw.len())
            .sum();
        Some(request.len() - behind - 1)
    };
    let mut out = request.to_vec();
    if let Some(last) = nonce().and_then(|at| out.get_mut(at)) {
        *last ^= 1;
    }
    out
}

/// With its last byte changed: of a list and a token that is the signature's, of a request the nonce's.
pub(crate) fn bent(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    bytes
}

fn said(fired: &Option<Fired>, kind: &str) -> bool {
    fired.as_ref().is_some_and(|fired| fired.kind == kind)
}

/// Sends an answer, as badly as asked.
pub(crate) async fn answered(kind: &'static str, body: Result<Vec<u8>, CaError>, fired: Option<Fired>) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(error) => {
            tracing::warn!(%error, "the authority could not answer");
            return (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response();
        }
    };
    let headers = [(header::CONTENT_TYPE, kind)];
    let Some(fired) = fired else {
        return (headers, body).into_response();
    };
    let ms = Duration::from_millis(fired.number("ms", 1_000));
    match fired.kind.as_str() {
        "delay" => {
            tokio::time::sleep(ms).await;
            (headers, body).into_response()
        }
        "slow" => {
            let pieces: Vec<Vec<u8>> = body
                .chunks(body.len().div_ceil(10).max(1))
                .map(<[u8]>::to_vec)
                .collect();
            let stream = futures_util::stream::unfold(pieces.into_iter(), move |mut rest| async move {
                tokio::time::sleep(ms).await;
                rest.next().map(|piece| (Ok::<_, Infallible>(piece), rest))
            });
            (headers, Body::from_stream(stream)).into_response()
        }
        "half" => {
            let whole = body.len().to_string();
            let half = body.get(..body.len() / 2).unwrap_or_default().to_vec();
            let end = std::io::Error::other("half an answer");
            let stream = futures_util::stream::iter([Ok(half), Err(end)]);
            let headers = [(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_LENGTH, whole)];
            (headers, Body::from_stream(stream)).into_response()
        }
        "huge" => {
            let megabytes = fired.number("mb", 200);
            let stream = futures_util::stream::iter((0..megabytes).map(|_| Ok::<_, Infallible>(vec![0x30u8; 1 << 20])));
            (headers, Body::from_stream(stream)).into_response()
        }
        "garbage" => (headers, body.iter().rev().copied().collect::<Vec<u8>>()).into_response(),
        "error" => {
            let status = u16::try_from(fired.number("status", 500)).unwrap_or(500);
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, "not today").into_response()
        }
        _ => (headers, body).into_response(),
    }
}
