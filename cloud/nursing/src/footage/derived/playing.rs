//! What a browser is to play of a clip: the best there is now, or why there is nothing yet.

use media::{Made, Reason};

use super::footing::Footing;
use super::store::Derived;
use super::view::PlayKind;
use super::workshop::Tools;
use super::{DerivedId, Kind, State};

impl Kind {
    /// Whether a browser may play it.
    pub(super) const fn is_film(self) -> bool {
        matches!(self, Self::Remux | Self::Salvage | Self::Proxy | Self::Export)
    }
}

/// What a browser is to play.
pub(super) struct Playable {
    pub(super) kind: PlayKind,
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
pub(super) fn nothing(footing: &Footing, tools: &Tools) -> String {
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
