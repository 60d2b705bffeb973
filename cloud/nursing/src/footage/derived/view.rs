//! What is shown of a clip's derived objects.

use media::{Facts, Made};
use records::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::bench::nurse;
use super::footing::Footing;
use super::playing::{nothing, playable};
use super::store::Derived;
use super::workshop::Tools;
use super::{CANCELLED, DerivedId, Kind, State};

impl Footing {
    pub(super) fn view(&self, d: &Derived) -> DerivedMedia {
        DerivedMedia {
            id: d.id.to_string(),
            kind: d.kind,
            state: MediaState::of(d),
            progress: d.progress,
            note: d.note.clone(),
            derived_from: d.derived_from.clone(),
            tools: d.tools.clone(),
            size: self.sizes.get(d.id.as_str()).copied(),
            wanted_by: d.wanted_by.clone(),
            wanted_at: d.wanted_at,
            finished_at: d.finished_at,
            reason: d.reason.clone(),
            from_ms: d.from_ms,
            to_ms: d.to_ms,
        }
    }
}

/// Where a derived object stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum MediaState {
    /// To be made.
    Wanted,
    /// Being made.
    Making,
    /// There.
    Made,
    /// Could not be made; its note says why.
    Failed,
    /// A person did not want it any more.
    Cancelled,
}

impl MediaState {
    fn of(object: &Derived) -> Self {
        match object.state {
            State::Wanted => Self::Wanted,
            State::Making => Self::Making,
            State::Made => Self::Made,
            State::Failed if object.fault == CANCELLED => Self::Cancelled,
            State::Failed => Self::Failed,
        }
    }
}

/// A derived object.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct DerivedMedia {
    /// Id.
    id: String,
    /// What it is.
    kind: Kind,
    /// Where it stands.
    state: MediaState,
    /// Percent.
    progress: u64,
    /// Plain words: why it could not be made, what was rescued.
    note: String,
    /// SHA-256 of the original it comes from, hex.
    derived_from: String,
    /// Versions of what made it.
    tools: String,
    /// Bytes.
    size: Option<u64>,
    /// Who asked for it.
    wanted_by: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    wanted_at: Timestamp,
    /// When it was there, or was given up.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
    /// Why it was asked for.
    reason: String,
    /// Begin of the part, milliseconds.
    from_ms: Option<u64>,
    /// Its end.
    to_ms: Option<u64>,
}

/// Whether derived objects can be made.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct MediaTools {
    /// They can.
    ready: bool,
    /// Versions, or what is missing.
    text: String,
}

/// How pictures are coded.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct MediaVideo {
    /// `h264`, `h265`, `mjpeg`, …
    codec: String,
    /// Pixels.
    width: u32,
    /// Pixels.
    height: u32,
    /// Pictures in 1000 seconds.
    rate_milli: Option<u64>,
}

/// How sound is coded.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct MediaAudio {
    /// `aac`, `pcm`, `alaw`, …
    codec: String,
    /// Channels.
    channels: u32,
    /// Samples a second.
    rate: u32,
}

/// What is in the original.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct MediaFacts {
    /// `mp4`, `ts`, `avi`, `wav`, `jpeg`, `other`.
    container: String,
    /// `complete`, `truncated`, `damaged`, `unknown`.
    condition: String,
    /// Length, counted from the container itself.
    duration_ms: Option<u64>,
    /// Begin by the recorder's own clock, seconds since 1970.
    created_at: Option<i64>,
    /// Pictures.
    video: Option<MediaVideo>,
    /// Sound.
    audio: Option<MediaAudio>,
}

impl From<Facts> for MediaFacts {
    fn from(f: Facts) -> Self {
        Self {
            container: f.container,
            condition: f.condition,
            duration_ms: f.duration_ms,
            created_at: f.created_at,
            video: f.video.map(|v| MediaVideo {
                codec: v.codec,
                width: v.width,
                height: v.height,
                rate_milli: v.rate_milli,
            }),
            audio: f.audio.map(|a| MediaAudio {
                codec: a.codec,
                channels: a.channels,
                rate: a.rate,
            }),
        }
    }
}

/// What kind of file a browser is to play.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum PlayKind {
    /// As it came.
    Original,
    /// Its pictures as they are, for browsers.
    Remux,
    /// What was rescued of it.
    Salvage,
    /// The small one.
    Proxy,
    /// Nothing yet.
    None,
}

/// What a browser is to play.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct MediaPlay {
    /// What it is.
    kind: PlayKind,
    /// For `play`: `original` or the id of an object.
    object: Option<String>,
    /// Plain words: why nothing can be played, and what to do.
    text: String,
}

/// Key frames on one picture: tile `i` in column `i % columns`, row `i / columns`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct MediaStrip {
    /// Tiles in a row.
    columns: u32,
    /// Rows.
    rows: u32,
    /// Pixels of a tile.
    width: u32,
    /// Pixels of a tile.
    height: u32,
    /// Time of each tile in the recording, milliseconds.
    times_ms: Vec<u64>,
}

/// What there is of a recording besides the original.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ClipMedia {
    /// The clip.
    clip: String,
    /// When the recording began, by the hospital's time: where the watermark's clock begins.
    #[schema(value_type = String, format = DateTime)]
    began_at: Timestamp,
    /// Length of what can be played.
    duration_ms: Option<u64>,
    /// For the watermark.
    hospital: String,
    /// For the watermark.
    nurse: String,
    /// Whether derived objects can be made.
    tools: MediaTools,
    /// What is in the original; absent while it was not looked into.
    probe: Option<MediaFacts>,
    /// What a browser is to play.
    play: MediaPlay,
    /// Whether there is a poster.
    poster: bool,
    /// Key frames, when they are there.
    strip: Option<MediaStrip>,
    /// Everything derived or asked for, oldest first.
    objects: Vec<DerivedMedia>,
}

pub(super) fn media_of(footing: &Footing, tools: &Tools) -> ClipMedia {
    let clip = &footing.clip;
    let play = match playable(footing) {
        Some(play) => MediaPlay {
            kind: play.kind,
            object: Some(
                play.object
                    .map_or_else(|| "original".to_owned(), DerivedId::into_string),
            ),
            text: String::new(),
        },
        None => MediaPlay {
            kind: PlayKind::None,
            object: None,
            text: nothing(footing, tools),
        },
    };
    let strip = match footing.one(Kind::Strip).and_then(Derived::made) {
        Some(Made::Strip(s)) => Some(MediaStrip {
            columns: s.columns,
            rows: s.rows,
            width: s.width,
            height: s.height,
            times_ms: s.times_ms,
        }),
        _ => None,
    };
    ClipMedia {
        clip: clip.id.to_string(),
        began_at: clip.began_at,
        duration_ms: footing.duration_ms(),
        hospital: footing.hospital.clone(),
        nurse: nurse(clip).to_owned(),
        tools: MediaTools {
            ready: tools.ready,
            text: tools.text.clone(),
        },
        probe: footing.facts().map(MediaFacts::from),
        play,
        poster: footing.made(Kind::Poster).is_some(),
        strip,
        objects: footing.objects.iter().map(|d| footing.view(d)).collect(),
    }
}
