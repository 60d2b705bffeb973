//! One try of one request at one server, and what is known afterwards.

use std::sync::Arc;
use std::time::Duration;

use records::{Clock, Timestamp};
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use tokio::time::Instant;

use crate::authorization::{self, Signing};
use crate::server::{Server, Standing};
use crate::{Error, Identity, Refusal};

/// What became of a try.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It was done, with this answer.
    Done(Vec<u8>),
    /// It was refused; asking again changes nothing.
    Refused(Refusal),
    /// This server does not know the application or the key; another one may, until both have the same settings.
    NotKnownHere(Refusal),
    /// Certainly nothing was done.
    NotDone(String),
    /// Nothing was done: signed anew, it is accepted.
    SignAnew(Anew),
    /// The connection broke after the request had begun to leave: it may have been done.
    Broken(String),
    /// No answer in time: it may have been done, or may still be.
    Silent,
}

/// How a request is to be signed anew.
#[derive(Debug)]
pub(crate) enum Anew {
    /// For a time after this one.
    After(Option<Timestamp>),
    /// For the server of this name: it is not called as it was.
    For(Option<String>),
}

/// Refusals that say nothing was done and another server might do it.
const ELSEWHERE: [&str; 7] = [
    "draining",
    "busy",
    "self_test",
    "clock_untrusted",
    "log_unwritten",
    "device_absent",
    "device_refused",
];
/// Those after which this server gets no requests until it says that it is ready.
const LEAVING: [&str; 3] = ["draining", "self_test", "clock_untrusted"];
/// What a server whose settings lag behind would say.
const NOT_KNOWN: [&str; 2] = ["unauthenticated", "key_index"];

/// What a server says that started after a request may have been signed, and where it says after which time to sign.
const BEFORE_START: &str = "signed_before_start";
const SIGN_AFTER: &str = "sign-after";
/// What a server says for which the request was not signed, and where it says its name.
const OTHER_SERVER: &str = "other_server";
const SIGN_FOR: &str = "sign-for";
/// Where it says its name unasked.
pub(crate) const SERVER_NAME: &str = "server-name";
/// Servers ask for no time further ahead than this: they accept none.
const AHEAD: Duration = Duration::from_secs(600);

/// A request, the same at every try.
pub(crate) struct Sending<'s> {
    pub(crate) http: &'s reqwest::Client,
    pub(crate) identity: &'s Identity,
    /// Signed for instead of the server's own name.
    pub(crate) common_name: Option<&'s str>,
    pub(crate) clock: &'s dyn Clock,
    pub(crate) path: &'s str,
    /// The idempotency key.
    pub(crate) key: &'s str,
    pub(crate) body: &'s [u8],
}

impl Sending<'_> {
    /// Tries it once.
    pub(crate) async fn attempt(&self, server: &Server, patience: Duration) -> Result<Outcome, Error> {
        let until = Instant::now() + patience;
        let Ok(url) = server.url.join(self.path) else {
            return Err(Error::Request(format!("路径 {} 不正确", self.path)));
        };
        let mut request = self
            .http
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("idempotency-key", self.key)
            .body(self.body.to_vec());
        if let Identity::RequestKey { application, key } = self.identity {
            // A nonce is good once: each try has its own.
            let at = self.clock.now().max(server.sign_from());
            let Some(name) = self.name_of(server, until).await else {
                server.stands(Standing::Away);
                return Ok(Outcome::NotDone("没有说明本机名称，无法为它签名".to_owned()));
            };
            let by = Signing {
                application,
                key,
                server: &name,
            };
            let line = authorization::header(&by, self.path, self.body, at)?;
            request = request.header(AUTHORIZATION, line);
        }
        let _under_way = server.begin();
        let answered = async {
            let response = request.send().await?;
            let (status, headers) = (response.status(), response.headers().clone());
            Ok::<_, reqwest::Error>((status, headers, response.bytes().await?))
        };
        let outcome = match tokio::time::timeout_at(until, answered).await {
            Err(_) => Outcome::Silent,
            Ok(Ok((status, headers, body))) => judge(status, &headers, &body, self.common_name.is_some()),
            Ok(Err(error)) if error.is_connect() => Outcome::NotDone(cause(&error)),
            Ok(Err(error)) => Outcome::Broken(cause(&error)),
        };
        match &outcome {
            Outcome::NotDone(code) if LEAVING.contains(&code.as_str()) => server.stands(Standing::Leaving),
            Outcome::NotDone(code) if ELSEWHERE.contains(&code.as_str()) => {}
            Outcome::NotDone(_) | Outcome::Broken(_) => server.stands(Standing::Away),
            Outcome::Done(_) => server.stands(Standing::Ready),
            // One slow request does not make a server slow: the next question whether it is ready tells.
            Outcome::Silent | Outcome::Refused(_) | Outcome::NotKnownHere(_) => {}
            Outcome::SignAnew(Anew::After(None) | Anew::For(None)) => {}
            Outcome::SignAnew(Anew::After(Some(after))) if *after > self.clock.now().plus(AHEAD) => {}
            Outcome::SignAnew(Anew::After(Some(after))) => server.signs_after(*after),
            Outcome::SignAnew(Anew::For(Some(name))) => server.is_called(name),
        }
        Ok(outcome)
    }

    /// For which name a request to this server is signed; it is asked when it has not said yet.
    async fn name_of(&self, server: &Server, until: Instant) -> Option<Arc<str>> {
        if let Some(common) = self.common_name {
            return Some(common.into());
        }
        if server.called().is_none() {
            ask_name(self.http, server, until.saturating_duration_since(Instant::now())).await;
        }
        server.called()
    }
}

/// Asks a server whether it is ready and what it is called.
pub(crate) async fn ask_name(http: &reqwest::Client, server: &Server, patience: Duration) -> Standing {
    let Ok(url) = server.url.join("/ready") else {
        return Standing::Away;
    };
    let Ok(answer) = http.get(url).timeout(patience).send().await else {
        return Standing::Away;
    };
    if let Some(name) = text(answer.headers(), SERVER_NAME) {
        server.is_called(name);
    }
    if answer.status().is_success() {
        Standing::Ready
    } else {
        Standing::Leaving
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// What an answer says. `common`: the request was signed for a name that this server should share.
fn judge(status: StatusCode, headers: &HeaderMap, body: &[u8], common: bool) -> Outcome {
    if status == StatusCode::OK {
        return Outcome::Done(body.to_vec());
    }
    let Ok(refusal) = serde_json::from_slice::<Refusal>(body) else {
        // Not the server's own words: something between us and it.
        return Outcome::Broken(format!("HTTP {status}"));
    };
    match refusal.code.as_str() {
        BEFORE_START => {
            let after = text(headers, SIGN_AFTER).and_then(|after| Timestamp::parse(after).ok());
            Outcome::SignAnew(Anew::After(after))
        }
        OTHER_SERVER if common => Outcome::NotKnownHere(refusal),
        OTHER_SERVER => Outcome::SignAnew(Anew::For(text(headers, SIGN_FOR).map(str::to_owned))),
        code if ELSEWHERE.contains(&code) => Outcome::NotDone(refusal.code),
        code if NOT_KNOWN.contains(&code) => Outcome::NotKnownHere(refusal),
        _ => Outcome::Refused(refusal),
    }
}

/// The innermost reason of an error.
fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_certainly_was_not_done_may_be_done_elsewhere() {
        let said = |code: &str| format!("{{\"number\":1,\"code\":\"{code}\",\"text\":\"…\"}}");
        let of = |status: u16, body: &str| {
            let status = StatusCode::from_u16(status).expect("status");
            judge(status, &HeaderMap::new(), body.as_bytes(), false)
        };
        assert!(matches!(of(200, "{}"), Outcome::Done(_)));
        assert!(matches!(of(503, &said("draining")), Outcome::NotDone(_)));
        assert!(matches!(of(503, &said("log_unwritten")), Outcome::NotDone(_)));
        assert!(matches!(of(401, &said("unauthenticated")), Outcome::NotKnownHere(_)));
        assert!(matches!(
            of(401, &said("signed_before_start")),
            Outcome::SignAnew(Anew::After(None))
        ));
        assert!(matches!(
            of(401, &said("other_server")),
            Outcome::SignAnew(Anew::For(None))
        ));
        assert!(matches!(of(422, &said("signature_invalid")), Outcome::Refused(_)));
        assert!(matches!(of(429, &said("too_many")), Outcome::Refused(_)));
        assert!(matches!(of(500, &said("internal")), Outcome::Refused(_)));
        assert!(matches!(of(502, "<html>bad gateway"), Outcome::Broken(_)));
        assert!(matches!(of(504, ""), Outcome::Broken(_)));
    }
}
