//! Requests that carry an idempotency key: signed, logged and answered once.
//!
//! An application that did not get its answer (a line that broke, a box that went away) does not know whether there is a
//! signature. It sends the request again under the same key: on the same server it gets the very same answer, and the log
//! has one entry. Keys are kept for ten minutes, the newest hundred thousand of them, per application. A refusal is not
//! kept: it may be asked again.
//!
//! Keys do not travel between servers: on another one the same key makes a new signature with an entry of its own. That is
//! harmless, both are good and both are accounted for, whereas waiting for another server's word would make each of them
//! depend on all.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::Service;
use crate::application::ApplicationId;
use crate::fault::{Code, Fault};
use crate::vault::{AnswerRow, Entry, Written};

/// A request's key, and the entry of its act until the answer is known.
#[derive(Debug)]
pub(crate) struct Once {
    key: String,
    digest: [u8; 32],
    entry: Mutex<Option<(Entry, Instant)>>,
}

/// Whose answer it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Replayed {
    /// This act's.
    No,
    /// An earlier one's, to be given instead.
    Yes(Vec<u8>),
}

impl Once {
    /// Of a request with this key: 8 to 64 letters, digits, `-` or `_`.
    pub(crate) fn new(key: &str, method: &str, path: &str, body: &[u8]) -> Result<Self, Fault> {
        // The standard's draft writes it as a quoted string.
        let key = key.trim().trim_matches('"');
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if !(8..=64).contains(&key.len()) || !key.bytes().all(letter) {
            let text = "Idempotency-Key 应为 8 至 64 位字母、数字、“-”或“_”";
            return Err(Fault::new(Code::RequestRejected, text));
        }
        let request = format!("{method}\n{path}\n{}", hex::encode(gm::sm3(body)));
        Ok(Self {
            key: key.to_owned(),
            digest: gm::sm3(request.as_bytes()),
            entry: Mutex::new(None),
        })
    }

    /// Holds the entry of the request's act. A second act's is given back.
    pub(super) fn hold(&self, entry: Entry, begun: Instant) -> Option<Entry> {
        let mut held = self.entry.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_some() {
            return Some(entry);
        }
        *held = Some((entry, begun));
        None
    }
}

impl Service {
    /// Writes the entry that waited, with the answer where there is one to be kept, and says whose answer is to be given.
    pub(crate) async fn finish(
        self: &Arc<Self>,
        application: &ApplicationId,
        once: &Once,
        answer: Option<&[u8]>,
    ) -> Result<Replayed, Fault> {
        let held = once.entry.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((entry, begun)) = held else {
            return Ok(Replayed::No);
        };
        let at = entry.at;
        let written = match answer {
            None => self.ledger.append(entry).await.map(|()| Written::Now),
            Some(body) => {
                let answer = AnswerRow {
                    application: application.0.clone(),
                    key: once.key.clone(),
                    digest: once.digest,
                    body: body.to_vec(),
                };
                self.ledger.append_once(entry, answer).await
            }
        };
        let good = matches!(written, Ok(Written::Now | Written::Before(_)));
        self.meter.count(at, begun.elapsed(), good);
        match written? {
            Written::Now => Ok(Replayed::No),
            Written::Before(body) => Ok(Replayed::Yes(body)),
            Written::Reused => Err(Code::KeyReused.into()),
        }
    }
}
