//! Network Time Security (RFC 8915): keys are agreed over TLS 1.3, questions and answers are protected by them.
//!
//! A cookie is the server's memory, kept by the client; each is used once, so that nobody can link two questions.

mod fields;
pub(crate) mod ke;
mod records;
pub(crate) mod tls;

use std::collections::VecDeque;

use aes_siv::KeyInit;
use aes_siv::siv::Aes128Siv;
use zeroize::Zeroizing;

use crate::error::{Invalid, SourceError};
use crate::packet::{HEADER_LEN, Header};
use crate::reader::Reader;
use fields::Field;

/// What the server wants back with the next question; opaque.
pub type Cookie = Vec<u8>;

/// Cookies kept at most (RFC 8915, 5.7 advises eight).
const COOKIES: usize = 8;

/// Longest cookie that is used; a longer one would not travel in one datagram with its placeholders.
const COOKIE_LEN: usize = 400;

/// A question never grows beyond this, so that it passes every network unfragmented.
const QUESTION_LEN: usize = 1_200;

const IDENTIFIER_LEN: usize = 32;
const NONCE_LEN: usize = 16;

/// Key of AEAD_AES_SIV_CMAC_256.
type Key = Zeroizing<[u8; 32]>;

/// Keys and cookies agreed with one server.
pub(crate) struct Session {
    to_server: Key,
    from_server: Key,
    cookies: VecDeque<Cookie>,
    /// Where time is asked, when the key exchange names another host.
    pub(crate) host: Option<String>,
    /// The port time is asked at.
    pub(crate) port: u16,
}

/// How the answer to a question must be protected.
pub struct Expected {
    identifier: [u8; IDENTIFIER_LEN],
    from_server: Key,
}

impl Session {
    /// Whether a further question can be asked.
    pub(crate) fn has_cookie(&self) -> bool {
        !self.cookies.is_empty()
    }

    /// Adds the protection to a question, using up a cookie; `None` when none is left.
    pub(crate) fn protect(&mut self, header: &Header) -> Result<Option<(Vec<u8>, Expected)>, SourceError> {
        let Some(cookie) = self.cookies.pop_front() else {
            return Ok(None);
        };
        let mut identifier = [0; IDENTIFIER_LEN];
        let mut nonce = [0; NONCE_LEN];
        for bytes in [&mut identifier[..], &mut nonce[..]] {
            getrandom::fill(bytes).map_err(|_| SourceError::NoRandom)?;
        }
        let mut question = header.to_bytes();
        fields::append(&mut question, Field::IDENTIFIER, &identifier);
        fields::append(&mut question, Field::COOKIE, &cookie);
        // Each placeholder asks for one more cookie, so that the store is full again after the answer.
        let sealed_len = 4 + 4 + NONCE_LEN + 16;
        for _ in self.cookies.len() + 1..COOKIES {
            if question.len() + 4 + cookie.len() + 3 + sealed_len > QUESTION_LEN {
                break;
            }
            fields::append(&mut question, Field::PLACEHOLDER, &vec![0; cookie.len()]);
        }
        let sealed = seal(&self.to_server, &question, &nonce, &[])?;
        fields::append(&mut question, Field::SEALED, &sealed);
        let expected = Expected {
            identifier,
            from_server: self.from_server.clone(),
        };
        Ok(Some((question, expected)))
    }

    /// Keeps cookies of an answer, up to the number that is useful.
    pub(crate) fn keep(&mut self, cookies: Vec<Cookie>) {
        for cookie in cookies {
            if self.cookies.len() < COOKIES && fits(&cookie) {
                self.cookies.push_back(cookie);
            }
        }
    }
}

/// A cookie this client can carry. One that is no multiple of four would have to be padded, and could not be told from
/// its padding.
fn fits(cookie: &[u8]) -> bool {
    (1..=COOKIE_LEN).contains(&cookie.len()) && cookie.len().is_multiple_of(4)
}

impl std::fmt::Debug for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Expected").finish_non_exhaustive()
    }
}

impl Expected {
    /// Whether the answer carries our identifier, protected or not.
    pub(crate) fn is_echoed(&self, datagram: &[u8]) -> bool {
        fields::all(datagram).is_some_and(|found| {
            found
                .iter()
                .any(|field| field.kind == Field::IDENTIFIER && field.body == self.identifier)
        })
    }

    /// Checks the protection of an answer and takes out the cookies it carries.
    pub(crate) fn open(&self, datagram: &[u8]) -> Result<Vec<Cookie>, Invalid> {
        let found = fields::all(datagram).ok_or(Invalid::Truncated)?;
        // What follows the protection is not protected, and is not looked at.
        let end = found
            .iter()
            .position(|field| field.kind == Field::SEALED)
            .ok_or(Invalid::Unprotected)?;
        let (before, sealed) = found.split_at(end);
        let sealed = sealed.first().ok_or(Invalid::Unprotected)?;
        let mut identifiers = before.iter().filter(|field| field.kind == Field::IDENTIFIER);
        match (identifiers.next(), identifiers.next()) {
            (Some(field), None) if field.body == self.identifier => {}
            _ => return Err(Invalid::WrongOrigin),
        }
        let covered = datagram.get(..sealed.begin).ok_or(Invalid::Truncated)?;
        let inner = unseal(&self.from_server, covered, sealed.body)?;
        let inner = fields::list(&inner, HEADER_LEN).ok_or(Invalid::Truncated)?;
        Ok(inner
            .into_iter()
            .filter(|field| field.kind == Field::COOKIE)
            .map(|field| field.body.to_vec())
            .collect())
    }
}

/// The body of the authenticator field: lengths, nonce, ciphertext (RFC 8915, 5.6).
fn seal(key: &Key, covered: &[u8], nonce: &[u8; NONCE_LEN], plain: &[u8]) -> Result<Vec<u8>, SourceError> {
    let sealed = Aes128Siv::new((&**key).into())
        .encrypt([covered, nonce], plain)
        .map_err(|_| SourceError::NoRandom)?;
    let mut body = Vec::with_capacity(4 + NONCE_LEN + sealed.len());
    for length in [NONCE_LEN, sealed.len()] {
        body.extend(u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    }
    body.extend(nonce);
    body.extend(sealed);
    Ok(body)
}

fn unseal(key: &Key, covered: &[u8], body: &[u8]) -> Result<Vec<u8>, Invalid> {
    let parts = || {
        let mut bytes = Reader::new(body);
        let (nonce_len, sealed_len) = (usize::from(bytes.u16()?), usize::from(bytes.u16()?));
        let nonce = bytes.take(nonce_len)?;
        bytes.take(nonce_len.next_multiple_of(4) - nonce_len)?;
        Some((nonce, bytes.take(sealed_len)?))
    };
    let (nonce, sealed) = parts().ok_or(Invalid::Truncated)?;
    if nonce.is_empty() {
        return Err(Invalid::Forged);
    }
    Aes128Siv::new((&**key).into())
        .decrypt([covered, nonce], sealed)
        .map_err(|_| Invalid::Forged)
}

#[cfg(test)]
mod tests;
