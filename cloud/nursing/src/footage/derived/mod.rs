//! What is derived from a clip (派生文件): facts, pictures, playable files, what was rescued, exports. The original is read
//! and never touched; each derived object names the SHA-256 of the original it comes from.
//!
//! ```text
//! wanted ──claim──▶ making ──▶ made        (a blob of its own, and a report)
//!   ▲                 ├──passing fault, up to 3 times──▶ wanted
//!   └──asked again── failed ◀──┘ ◀── cancelled by a person
//!
//! probe ─┬─ whole ──▶ poster, strip, remux (H.264)
//!        └─ not whole ──▶ salvage ──▶ poster, strip (of what was rescued)
//! proxy, export: when a person asks
//! ```
//!
//! Made outside any unit of work, by `media-worker` in a process of its own. A job whose maker died is noticed by its pulse
//! ([`STILL`]) and begun anew, what it left among the kept files is swept up ([`sweep`]); a rescue that lacked a good file of its recorder is begun anew when one comes.

mod bench;
mod footing;
mod playing;
mod routes;
pub(super) mod store;
mod sweep;
mod view;
mod work;
mod workshop;

use std::str::FromStr;
use std::time::Duration;

use media::{Facts, Made};
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) use routes::routes;
pub use work::{Lane, round};
pub use workshop::Workshop;

records::id_type!(
    /// A derived object.
    DerivedId,
    "drv"
);
::store::id_value!(DerivedId);

/// Attempts before a passing fault counts as the end.
const ATTEMPTS: u64 = 3;
/// A job without a pulse for so long has lost its maker.
const STILL: Duration = Duration::from_secs(120);
/// Between two beats of its pulse.
const BEAT: Duration = Duration::from_secs(2);
/// Before a job with a passing fault is tried again.
const PAUSE: Duration = Duration::from_secs(30);

/// Fault of what a person did not want any more.
const CANCELLED: &str = "cancelled";

/// What kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MediaKind)]
pub enum Kind {
    /// What is in the file; has no file of its own.
    Probe,
    /// A picture.
    Poster,
    /// Key frames on one picture.
    Strip,
    /// As it is, for browsers.
    Remux,
    /// What was rescued of a damaged file.
    Salvage,
    /// Small, for browsers and slow lines.
    Proxy,
    /// With the watermark burnt in.
    Export,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Probe,
        Self::Poster,
        Self::Strip,
        Self::Remux,
        Self::Salvage,
        Self::Proxy,
        Self::Export,
    ];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Poster => "poster",
            Self::Strip => "strip",
            Self::Remux => "remux",
            Self::Salvage => "salvage",
            Self::Proxy => "proxy",
            Self::Export => "export",
        }
    }
}

impl FromStr for Kind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|k| k.as_str() == text);
        known.ok_or_else(|| format!("no kind of derived object {text}"))
    }
}

/// Where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// To be made.
    Wanted,
    /// Being made.
    Making,
    /// There.
    Made,
    /// Could not be made; its note says why.
    Failed,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Wanted, Self::Making, Self::Made, Self::Failed];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wanted => "wanted",
            Self::Making => "making",
            Self::Made => "made",
            Self::Failed => "failed",
        }
    }
}

impl FromStr for State {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|s| s.as_str() == text);
        known.ok_or_else(|| format!("no state of a derived object {text}"))
    }
}

::store::text_value!(Kind, State);

/// What is made of a file once it is known what is in it.
fn after_probe(facts: &Facts) -> Vec<Kind> {
    if matches!(facts.container.as_str(), "jpeg" | "wav") {
        return Vec::new();
    }
    if !facts.whole() {
        return vec![Kind::Salvage];
    }
    let mut wanted = pictures(facts);
    if facts.is("h264") {
        wanted.push(Kind::Remux);
    }
    wanted
}

fn pictures(facts: &Facts) -> Vec<Kind> {
    if facts.video.is_some() {
        vec![Kind::Poster, Kind::Strip]
    } else {
        Vec::new()
    }
}

/// What a report says to people.
fn note(made: &Made) -> String {
    match made {
        Made::Rescued(r) => format!(
            "已恢复{}帧画面，时长{}秒{}；另有{}字节无法使用",
            r.frames,
            r.duration_ms / 1000,
            if r.sound { "，含声音" } else { "，无声音" },
            r.unused
        ),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests;
