//! What is shown of a clip's derived objects.

use std::collections::BTreeMap;

use media::{Facts, Made, Reason};
use records::Timestamp;
use records::id::BlobId;
use serde::Serialize;
use utoipa::ToSchema;

use super::store::Derived;
use super::work::{Tools, nurse};
use super::{CANCELLED, DerivedId, Kind, State};
use crate::footage::store::Clip;

/// A kept clip with everything derived from it.
pub(super) struct Footing {
    pub(super) clip: Clip,
    pub(super) hospital: String,
    pub(super) objects: Vec<Derived>,
    /// Bytes of each object.
    pub(super) sizes: BTreeMap<String, u64>,
}

impl Kind {
    /// Whether a browser may play it.
    pub(super) const fn is_film(self) -> bool {
        matches!(self, Self::Remux | Self::Salvage | Self::Proxy | Self::Export)
    }
}

impl Footing {
    fn one(&self, kind: Kind) -> Option<&Derived> {
        self.objects.iter().find(|d| d.kind == kind)
    }

    pub(super) fn facts(&self) -> Option<Facts> {
        match self.one(Kind::Probe).and_then(Derived::made) {
            Some(Made::Facts(facts)) => Some(facts),
            _ => None,
        }
    }

    /// The object of this kind, when it is there.
    pub(super) fn made(&self, kind: Kind) -> Option<(Option<DerivedId>, BlobId)> {
        let object = self.one(kind)?;
        Some((Some(object.id.clone()), object.blob_id.clone()?))
    }

    /// The bytes of an object; of the original without one.
    pub(super) fn blob_of(&self, object: Option<&DerivedId>) -> Option<(Option<DerivedId>, BlobId)> {
        let blob = match object {
            None => self.clip.blob_id.clone()?,
            Some(id) => self.objects.iter().find(|d| d.id == *id)?.blob_id.clone()?,
        };
        Some((object.cloned(), blob))
    }

    /// Length of what can be played.
    pub(super) fn duration_ms(&self) -> Option<u64> {
        let rescued = self.one(Kind::Salvage).and_then(Derived::made);
        match rescued {
            Some(Made::Rescued(r)) => Some(r.duration_ms),
            _ => self.facts().and_then(|f| f.duration_ms).or(self.clip.duration_ms),
        }
    }

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

/// What a browser is to play.
pub(super) struct Playable {
    kind: PlayKind,
    /// None for the original.
    pub(super) object: Option<DerivedId>,
}

/// The best there is now.
pub(super) fn playable(footing: &Footing) -> Option<Playable> {
    let object = |kind: Kind| {
        let (object, _) = footing.made(kind)?;
        let kind = match kind {
            Kind::Remux => PlayKind::Remux,
            Kind::Salvage => PlayKind::Salvage,
            _ => PlayKind::Proxy,
        };
        Some(Playable { kind, object })
    };
    let rescued = match footing.one(Kind::Salvage).and_then(Derived::made) {
        Some(Made::Rescued(r)) if r.codec == "h264" => object(Kind::Salvage),
        _ => None,
    };
    object(Kind::Remux)
        .or(rescued)
        .or_else(|| object(Kind::Proxy))
        .or_else(|| {
            let own = footing.facts().is_some_and(|f| f.plays());
            let plain =
                matches!(footing.clip.container.as_str(), "wav" | "jpeg") && footing.clip.condition == "complete";
            (own || plain).then_some(Playable {
                kind: PlayKind::Original,
                object: None,
            })
        })
}

/// Why nothing can be played, and what to do.
fn nothing(footing: &Footing, tools: &Tools) -> String {
    let pending = |kind| {
        footing
            .one(kind)
            .is_some_and(|d| matches!(d.state, State::Wanted | State::Making))
    };
    let failed = |kind| {
        footing
            .one(kind)
            .filter(|d| d.state == State::Failed)
            .map(|d| d.note.clone())
    };
    if !tools.ready {
        return tools.text.clone();
    }
    if pending(Kind::Proxy) {
        return "正在生成预览，请稍候".to_owned();
    }
    if footing.facts().is_none() && footing.one(Kind::Probe).is_none_or(|d| d.state != State::Failed) {
        return "正在识别文件，请稍候".to_owned();
    }
    if pending(Kind::Remux) {
        return "正在准备播放文件，请稍候".to_owned();
    }
    if pending(Kind::Salvage) {
        return "文件不完整，正在恢复，请稍候".to_owned();
    }
    let told = failed(Kind::Proxy)
        .or_else(|| failed(Kind::Salvage))
        .or_else(|| failed(Kind::Probe));
    told.unwrap_or_else(|| {
        let pictures = footing.facts().is_some_and(|f| f.video.is_some()) || footing.made(Kind::Salvage).is_some();
        let reason = if pictures {
            Reason::NeedsProxy
        } else {
            Reason::Unreadable
        };
        reason.text().to_owned()
    })
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
