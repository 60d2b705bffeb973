//! Which application asks.
//!
//! **By certificate**: the connection's client certificate is one that the application registered.
//!
//! **By request key**: each request carries
//! ```text
//! Authorization: YQ-HMAC-SM3 app=app_his,time=2026-11-21T06:00:00Z,nonce=…,mac=…
//! ```
//! where `mac` is HMAC-SM3 (hexadecimal) under the application's key over
//! `METHOD \n path-and-query \n time \n nonce \n SM3(body) in hexadecimal`. The time lies within five minutes of the
//! server's, and a nonce (8 to 64 letters and digits) is accepted once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, Method, Uri, header};
use hmac::{Hmac, KeyInit, Mac};
use records::Timestamp;
use sm3::Sm3;

use super::Peer;
use crate::application::{Application, ApplicationId};
use crate::fault::{Code, Fault};
use crate::state::State;

/// The scheme's name.
pub const SCHEME: &str = "YQ-HMAC-SM3";
/// Clocks may differ by this much.
const TOLERANCE: Duration = Duration::from_secs(300);
/// Nonces remembered; when there are more, requests wait for the oldest to lapse.
const NONCES: usize = 1 << 20;

/// Nonces that were used.
#[derive(Debug, Default)]
pub struct Nonces(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// Those of the present period and of the one before, each as long as a request is good.
    present: HashMap<Box<str>, ()>,
    before: HashMap<Box<str>, ()>,
    since: Option<Timestamp>,
}

impl Nonces {
    /// Takes a nonce that was not used within the tolerance.
    fn take(&self, application: &ApplicationId, nonce: &str, now: Timestamp) -> Result<(), Fault> {
        let key: Box<str> = format!("{} {nonce}", application.0).into();
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A request is good from five minutes before to five minutes after its time: ten minutes.
        if seen.since.is_none_or(|since| now > since.plus(TOLERANCE * 2)) {
            seen.before = std::mem::take(&mut seen.present);
            seen.since = Some(now);
        }
        if seen.present.contains_key(&key) || seen.before.contains_key(&key) {
            return Err(Code::Replayed.into());
        }
        if seen.present.len() >= NONCES {
            return Err(Code::Busy.into());
        }
        seen.present.insert(key, ());
        Ok(())
    }
}

/// What a request that is signed with a key says of itself; nothing of it is proven.
pub(super) struct Claim<'r> {
    application: Arc<Application>,
    time: &'r str,
    nonce: &'r str,
    mac: Vec<u8>,
}

/// The claim of a request's head, so that nothing of a stranger's body is read that could not be an application's.
pub(super) fn claim<'r>(state: &State, headers: &'r HeaderMap, now: Timestamp) -> Result<Option<Claim<'r>>, Fault> {
    let Some(line) = headers.get(header::AUTHORIZATION) else {
        return Ok(None);
    };
    let line = line.to_str().map_err(|_| refused("Authorization 不是文本"))?;
    Claim::read(state, line, now).map(Some)
}

/// The application behind a request. `nonces` remembers signed requests.
pub fn application(
    state: &State,
    peer: &Peer,
    request: (&Method, &Uri, &HeaderMap, &[u8]),
    nonces: &Nonces,
    now: Timestamp,
) -> Result<Arc<Application>, Fault> {
    let (method, uri, headers, body) = request;
    if let Some(claim) = claim(state, headers, now)? {
        return claim.prove((method, uri, body), nonces, now);
    }
    let Some(certificate) = &peer.certificate else {
        return Err(refused("既没有客户端证书，也没有请求签名"));
    };
    let id = state.by_certificate.get(certificate);
    let application = id.and_then(|id| state.applications.get(id));
    application.cloned().ok_or_else(|| refused("客户端证书未登记"))
}

impl<'r> Claim<'r> {
    fn read(state: &State, line: &'r str, now: Timestamp) -> Result<Self, Fault> {
        let fields = line
            .strip_prefix(SCHEME)
            .ok_or_else(|| refused("不支持的 Authorization 方式"))?;
        let field = |name: &str| {
            let mut found = fields.split(',').filter_map(|part| part.trim().split_once('='));
            let value = found.find(|(key, _)| *key == name).map(|(_, value)| value);
            value.ok_or_else(|| refused(&format!("Authorization 缺少 {name}")))
        };
        let (id, time, nonce, mac) = (field("app")?, field("time")?, field("nonce")?, field("mac")?);
        let when = Timestamp::parse(time).map_err(|_| refused("time 不是 RFC 3339 时间"))?;
        if when > now.plus(TOLERANCE) || now > when.plus(TOLERANCE) {
            return Err(Fault::new(Code::RequestExpired, time));
        }
        let fits = (8..=64).contains(&nonce.len()) && nonce.bytes().all(|b| b.is_ascii_alphanumeric());
        if !fits {
            return Err(refused("nonce 应为 8 至 64 位字母或数字"));
        }
        // An unknown application, one without key and a wrong signature are told apart only in the log.
        let application = state
            .applications
            .get(&ApplicationId(id.to_owned()))
            .ok_or_else(wrong)?;
        Ok(Self {
            application: Arc::clone(application),
            time,
            nonce,
            mac: hex::decode(mac).map_err(|_| wrong())?,
        })
    }

    fn prove(
        &self,
        (method, uri, body): (&Method, &Uri, &[u8]),
        nonces: &Nonces,
        now: Timestamp,
    ) -> Result<Arc<Application>, Fault> {
        let application = &self.application;
        let secret = application.secret.as_ref().ok_or_else(wrong)?;
        let text = signed_text(method.as_str(), uri, self.time, self.nonce, body);
        let mut expected = Hmac::<Sm3>::new_from_slice(&secret.0).map_err(|_| wrong())?;
        expected.update(text.as_bytes());
        expected.verify_slice(&self.mac).map_err(|_| wrong())?;
        nonces.take(&application.id, self.nonce, now)?;
        Ok(Arc::clone(application))
    }
}

fn wrong() -> Fault {
    refused("请求签名不正确")
}

/// What is signed of a request.
#[must_use]
pub fn signed_text(method: &str, uri: &Uri, time: &str, nonce: &str, body: &[u8]) -> String {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let digest = hex::encode(gm::sm3(body));
    format!("{method}\n{path}\n{time}\n{nonce}\n{digest}")
}

fn refused(detail: &str) -> Fault {
    Fault::new(Code::Unauthenticated, detail)
}
