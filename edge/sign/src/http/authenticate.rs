//! Which application asks.
//!
//! **By certificate**: the connection's client certificate is one that the application registered.
//!
//! **By request key**: each request carries
//! ```text
//! Authorization: YQ-HMAC-SM3 app=app_his,server=srv_…,time=2026-11-21T06:00:00Z,nonce=…,mac=…
//! ```
//! where `mac` is HMAC-SM3 (hexadecimal) under the application's key over
//! `METHOD \n path-and-query \n server \n time \n nonce \n SM3(body) in hexadecimal`. The server is the name of the one that
//! the request is sent to (header `server-name` of `/ready`), or the common name of those behind a balancer: see
//! [`crate::names`]. The time lies within five minutes of the server's, and a nonce (8 to 64 letters and digits) is accepted
//! once.
//!
//! A request that was signed for another server is refused (`other_server`) with the header `sign-for`, which says this
//! server's name: paired servers know the same keys, and what was taken down at one of them is not done again at another.
//!
//! After a restart of the server, requests whose time may have been accepted before it are refused (`signed_before_start`)
//! with the header `sign-after`: signed anew, for a time after that one where the application's clock is not there yet, and
//! with a new nonce, they are accepted at once.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, Method, Uri, header};
use hmac::{Hmac, KeyInit, Mac};
use records::Timestamp;
use sm3::Sm3;

use super::Peer;
use super::nonces::Nonces;
use crate::ServerName;
use crate::application::{Application, ApplicationId};
use crate::fault::{Code, Fault};
use crate::names::Names;
use crate::state::State;

/// The scheme's name.
pub const SCHEME: &str = "YQ-HMAC-SM3";
/// Says with a refusal after which time the request is to be signed anew.
pub const SIGN_AFTER: &str = "sign-after";
/// Says with a refusal for which server the request is to be signed anew.
pub const SIGN_FOR: &str = "sign-for";
/// Clocks may differ by this much.
pub(super) const TOLERANCE: Duration = Duration::from_secs(300);
/// Why a request's sender is not taken for an application.
#[derive(Debug)]
pub(crate) struct Unproven {
    pub(crate) fault: Fault,
    /// Signed anew so, the request is accepted.
    pub(crate) anew: Option<Anew>,
}

/// How a request is to be signed anew.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Anew {
    /// For a time after this one.
    After(Timestamp),
    /// For this server.
    For(ServerName),
}

impl Anew {
    /// The header that says so.
    pub(crate) fn header(&self) -> (&'static str, String) {
        match self {
            Self::After(mark) => (SIGN_AFTER, mark.to_string()),
            Self::For(server) => (SIGN_FOR, server.to_string()),
        }
    }
}

impl Unproven {
    /// It may have been accepted before this server started.
    pub(super) fn before_the_start(mark: Timestamp) -> Self {
        Self {
            fault: Fault::new(Code::SignedBeforeStart, format!("请以晚于 {mark} 的时间签名")),
            anew: Some(Anew::After(mark)),
        }
    }

    /// It is signed, by this application, for another server.
    fn for_another(application: &Application, named: &str, here: &Names) -> Self {
        let detail = format!("{} 的请求签给 {named}，本机为 {}", application.id.0, here.own);
        Self {
            fault: Fault::new(Code::OtherServer, detail),
            anew: Some(Anew::For(here.own.clone())),
        }
    }
}

impl From<Fault> for Unproven {
    fn from(fault: Fault) -> Self {
        Self { fault, anew: None }
    }
}

impl From<Code> for Unproven {
    fn from(code: Code) -> Self {
        Fault::from(code).into()
    }
}

/// What a request that is signed with a key says of itself; nothing of it is proven.
pub(super) struct Claim<'r> {
    application: Arc<Application>,
    server: &'r str,
    time: &'r str,
    at: Timestamp,
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

/// The application behind a request. `names`: what the request may be signed for; `nonces` remembers signed requests.
pub(super) async fn application(
    (state, names): (&State, &Names),
    peer: &Peer,
    request: (&Method, &Uri, &HeaderMap, &[u8]),
    nonces: &Arc<Nonces>,
    now: Timestamp,
) -> Result<Arc<Application>, Unproven> {
    let (method, uri, headers, body) = request;
    if let Some(claim) = claim(state, headers, now)? {
        let application = claim.prove((method, uri, body))?;
        if !names.has(claim.server) {
            return Err(Unproven::for_another(&application, claim.server, names));
        }
        nonces.take(&application.id, claim.nonce, claim.at, now).await?;
        return Ok(application);
    }
    let Some(certificate) = &peer.certificate else {
        return Err(refused("既没有客户端证书，也没有请求签名").into());
    };
    let id = state.by_certificate.get(certificate);
    let application = id.and_then(|id| state.applications.get(id));
    application.cloned().ok_or_else(|| refused("客户端证书未登记").into())
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
        let (id, server) = (field("app")?, field("server")?);
        let (time, nonce, mac) = (field("time")?, field("nonce")?, field("mac")?);
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
            server,
            time,
            at: when,
            nonce,
            mac: hex::decode(mac).map_err(|_| wrong())?,
        })
    }

    /// That it is signed with the application's key.
    fn prove(&self, (method, uri, body): (&Method, &Uri, &[u8])) -> Result<Arc<Application>, Fault> {
        let application = &self.application;
        let secret = application.secret.as_ref().ok_or_else(wrong)?;
        let text = self.signed_text(method, uri, body);
        let mut expected = Hmac::<Sm3>::new_from_slice(&secret.0).map_err(|_| wrong())?;
        expected.update(text.as_bytes());
        expected.verify_slice(&self.mac).map_err(|_| wrong())?;
        Ok(Arc::clone(application))
    }

    /// What is signed of a request.
    fn signed_text(&self, method: &Method, uri: &Uri, body: &[u8]) -> String {
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let digest = hex::encode(gm::sm3(body));
        format!(
            "{method}\n{path}\n{}\n{}\n{}\n{digest}",
            self.server, self.time, self.nonce
        )
    }
}

fn wrong() -> Fault {
    refused("请求签名不正确")
}

fn refused(detail: &str) -> Fault {
    Fault::new(Code::Unauthenticated, detail)
}
