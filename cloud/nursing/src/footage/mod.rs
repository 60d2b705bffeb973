//! Footage (视音频) and its custody: what came up the line is judged here before the appliance hears that it is kept.
//!
//! ```text
//! received ──judge──▶ confirmed      (signature, hashes and chain hold; the bytes lie in our own place, synced)
//!     │  └───────────▶ refused       (they do not: a person looks; the recorder keeps the clip)
//!     └──────────────▶ missing ──sent again──▶ received
//! ```

mod around;
pub mod derived;
mod judge;
mod look;
mod routes;
pub(crate) mod store;

use std::str::FromStr;

pub use judge::judge_new;
pub(crate) use routes::routes;
pub use store::{cleared, sealed};

/// Where a clip stands with us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its entry came; nothing was judged.
    Received,
    /// Its bytes are not here: asked for again.
    Missing,
    /// Kept.
    Confirmed,
    /// Entry, signature and bytes do not fit each other.
    Refused,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Received, Self::Missing, Self::Confirmed, Self::Refused];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Missing => "missing",
            Self::Confirmed => "confirmed",
            Self::Refused => "refused",
        }
    }
}

impl FromStr for State {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|s| s.as_str() == text)
            .ok_or_else(|| format!("no footage state {text}"))
    }
}

::store::text_value!(State);
