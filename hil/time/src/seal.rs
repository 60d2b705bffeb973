//! Extension fields and the protection of NTS, from the server's side. The server keeps the keys itself; a cookie is
//! only the number under which it finds them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aes_siv::KeyInit;
use aes_siv::siv::Aes128Siv;

pub(crate) const IDENTIFIER: u16 = 0x0104;
pub(crate) const COOKIE: u16 = 0x0204;
const PLACEHOLDER: u16 = 0x0304;
pub(crate) const SEALED: u16 = 0x0404;

const HEADER: usize = 48;
const COOKIE_LEN: usize = 100;

/// Keys of both directions.
#[derive(Clone, Copy)]
pub(crate) struct Pair {
    pub(crate) to_server: [u8; 32],
    pub(crate) from_server: [u8; 32],
}

/// A question whose protection holds.
pub(crate) struct Session {
    pub(crate) keys: Pair,
    /// Cookies it asks for.
    pub(crate) wanted: usize,
}

/// What is behind the cookies.
#[derive(Default)]
pub(crate) struct Keys(Mutex<HashMap<Vec<u8>, Pair>>);

impl Keys {
    fn known(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Pair>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn forget(&self) {
        self.known().clear();
    }

    /// A new cookie for these keys.
    pub(crate) fn cookie(&self, keys: Pair) -> Vec<u8> {
        let mut cookie = vec![0; COOKIE_LEN];
        random(&mut cookie);
        self.known().insert(cookie.clone(), keys);
        cookie
    }

    /// Checks a question's protection. Each cookie is good once, so that a client that uses one twice is found out.
    pub(crate) fn open(&self, question: &[u8]) -> Option<Session> {
        let fields = fields(question)?;
        let (_, cookie, _) = fields.iter().find(|(kind, ..)| *kind == COOKIE)?;
        let (_, body, begin) = fields.iter().find(|(kind, ..)| *kind == SEALED)?;
        let keys = self.known().remove(*cookie)?;
        let nonce_len = usize::from(u16::from_be_bytes(body.first_chunk().copied()?));
        let sealed_len = usize::from(u16::from_be_bytes(body.get(2..4)?.try_into().ok()?));
        let nonce = body.get(4..4 + nonce_len)?;
        let from = 4 + nonce_len.next_multiple_of(4);
        let sealed = body.get(from..from + sealed_len)?;
        Aes128Siv::new((&keys.to_server).into())
            .decrypt([question.get(..*begin)?, nonce], sealed)
            .ok()?;
        let same = |(kind, body, _): &&(u16, &[u8], usize)| *kind == PLACEHOLDER && body.len() == cookie.len();
        Some(Session {
            keys,
            wanted: 1 + fields.iter().filter(same).count(),
        })
    }
}

/// The question's identifier.
pub(crate) fn identifier(question: &[u8]) -> Option<Vec<u8>> {
    let fields = fields(question)?;
    let (_, body, _) = fields.iter().find(|(kind, ..)| *kind == IDENTIFIER)?;
    (body.len() >= 32).then(|| body.to_vec())
}

/// The body of an authenticator field.
pub(crate) fn seal(key: &[u8; 32], covered: &[u8], inside: &[u8]) -> Vec<u8> {
    let mut nonce = [0; 16];
    random(&mut nonce);
    let sealed = Aes128Siv::new(key.into())
        .encrypt([covered, &nonce], inside)
        .unwrap_or_default();
    let mut body = vec![0, 16];
    body.extend(u16::try_from(sealed.len()).unwrap_or_default().to_be_bytes());
    body.extend(nonce);
    body.extend(sealed);
    body
}

pub(crate) fn append(out: &mut Vec<u8>, kind: u16, body: &[u8]) {
    let length = body.len().next_multiple_of(4);
    out.extend(kind.to_be_bytes());
    out.extend(u16::try_from(length + 4).unwrap_or_default().to_be_bytes());
    out.extend(body);
    out.resize(out.len() + length - body.len(), 0);
}

/// Type, body and where each begins.
fn fields(datagram: &[u8]) -> Option<Vec<(u16, &[u8], usize)>> {
    let (mut at, mut found) = (HEADER, Vec::new());
    while at < datagram.len() {
        let kind = u16::from_be_bytes(datagram.get(at..at + 2)?.try_into().ok()?);
        let length = usize::from(u16::from_be_bytes(datagram.get(at + 2..at + 4)?.try_into().ok()?));
        found.push((kind, datagram.get(at + 4..at + length)?, at));
        at += length;
    }
    Some(found)
}

pub(crate) fn random(bytes: &mut [u8]) {
    if let Err(error) = getrandom::fill(bytes) {
        tracing::error!(%error, "no random numbers");
    }
}
