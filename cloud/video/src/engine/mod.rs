//! The port to whatever carries pictures and sound, and the built-in engine.

mod client;
mod crypto;
mod film;
mod server;
#[cfg(test)]
mod tests;
pub mod webm;

use std::path::PathBuf;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

pub use server::{RoomServer, ServerConfig};

/// A signal between a browser and the engine, as JSON over the WebSocket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Signal {
    /// Session description offered.
    Offer {
        /// SDP.
        sdp: String,
    },
    /// Session description answered.
    Answer {
        /// SDP.
        sdp: String,
    },
    /// A network candidate of the browser.
    Candidate {
        /// As the browser writes it.
        candidate: BrowserCandidate,
    },
    /// The other party went away (and may come back).
    Left,
    /// The call is over.
    Ended,
    /// It cannot go on.
    Error {
        /// Plain words.
        reason: String,
    },
}

/// `RTCIceCandidateInit`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrowserCandidate {
    /// The candidate line; empty at the end.
    #[serde(default)]
    pub candidate: String,
    /// Media line.
    #[serde(rename = "sdpMid", default)]
    pub sdp_mid: Option<String>,
}

/// Who takes a seat in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// Which room: the visit.
    pub room: String,
    /// Who; taking a seat twice frees the first one.
    pub who: String,
    /// Id of the recording that is made of them.
    pub recording: String,
}

/// A seat: signals in and out, and what was recorded when it is left.
#[derive(Debug)]
pub struct Seat {
    /// To the engine. Dropping it leaves the room.
    pub up: mpsc::Sender<Signal>,
    /// From the engine; ends when the seat is lost.
    pub down: mpsc::Receiver<Signal>,
}

/// The engine is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the video engine is not running")]
pub struct EngineGone;

/// Carries pictures and sound. The built-in one is [`RoomServer`].
#[async_trait]
pub trait VideoEngine: Send + Sync {
    /// Takes a seat.
    async fn join(&self, guest: Guest) -> Result<Seat, EngineGone>;

    /// Ends a room: every seat hears [`Signal::Ended`].
    async fn close(&self, room: &str);

    /// Folder and name of a recording, also of one that was cut off.
    fn recording(&self, id: &str) -> PathBuf;

    /// Whether a recording is being written now.
    fn is_writing(&self, id: &str) -> bool;
}
