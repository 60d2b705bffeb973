//! Client of `signd`'s socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use records::Outcome;
use records::his::Operation;
use serde_json::Value;
use tokio::net::UnixStream;
use zeroize::Zeroizing;

use crate::wire::{self, Request};

/// Speaks to `signd`. Cheap to clone; each call opens its own connection.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
    patience: Duration,
}

impl Client {
    /// For the socket at this path.
    #[must_use]
    pub fn new(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
            patience: Duration::from_secs(20),
        }
    }

    /// Waits at most this long for an answer.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Calls an operation of `records::sign`.
    pub async fn call<O: Operation>(&self, key: Option<&str>, asked: &O::Request) -> Outcome<O::Response> {
        let Ok(body) = serde_json::to_value(asked) else {
            return Outcome::refused("bad_request", "请求格式不正确。");
        };
        match self.call_raw(O::METHOD, key, body).await {
            Outcome::Done(value) => match serde_json::from_value(value) {
                Ok(answer) => Outcome::Done(answer),
                Err(_) => Outcome::Unknown,
            },
            Outcome::Refused { code, text } => Outcome::Refused { code, text },
            Outcome::Later { after_ms } => Outcome::Later { after_ms },
            Outcome::Unknown => Outcome::Unknown,
        }
    }

    /// Calls by name, as the line from the cloud does. A server that cannot be reached is `Later`; an answer that does
    /// not come is `Unknown` (ask again with the same key).
    pub async fn call_raw(&self, method: &str, key: Option<&str>, body: Value) -> Outcome<Value> {
        let Ok(mut stream) = UnixStream::connect(&self.socket).await else {
            return Outcome::Later { after_ms: 1000 };
        };
        let request = Request {
            method: method.to_owned(),
            key: key.map(str::to_owned),
            body,
        };
        let Ok(frame) = serde_json::to_vec(&request).map(Zeroizing::new) else {
            return Outcome::refused("bad_request", "请求格式不正确。");
        };
        let asked = async {
            wire::write(&mut stream, &frame).await?;
            wire::read(&mut stream).await
        };
        match tokio::time::timeout(self.patience, asked).await {
            Ok(Ok(Some(answer))) => serde_json::from_slice(&answer).unwrap_or(Outcome::Unknown),
            _ => Outcome::Unknown,
        }
    }
}
