//! The video call of a visit (视频问诊).
//!
//! Only the doctor starts; the patient accepts or declines; either side ends; while the visit is in progress a new call
//! may follow. Both sides are recorded from the first frame, and kept at least three years (互联网诊疗监管细则 art. 20:
//! 音视频资料保存不少于3年).
//!
//! ```text
//! idle ─ start (doctor) ─▶ ringing ─ accept (patient) ─▶ connected ─ end ─▶ ended ─ start ─▶ …
//!                             └─ decline · nobody answers · end ──────────────┘
//! ```

mod relay;
mod routes;
mod seat;
pub(crate) mod store;
#[cfg(test)]
mod tests;
mod tick;

use std::time::Duration;

use records::Timestamp;
use serde::{Deserialize, Serialize};

pub use relay::Relay;
pub(crate) use routes::routes;
pub use tick::tick;

/// How long it rings.
pub const RINGS: Duration = Duration::from_secs(60);
/// Days a recording is kept, at least: three years and a day for the leap year.
pub const KEPT_DAYS: i64 = 3 * 365 + 1;

/// Where a visit's video stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// No call yet.
    Idle,
    /// The doctor calls.
    Ringing,
    /// Both are in the room.
    Connected,
    /// Over; another may follow.
    Ended,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Idle, Self::Ringing, Self::Connected, Self::Ended];

    /// Word in rows and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Ringing => "ringing",
            Self::Connected => "connected",
            Self::Ended => "ended",
        }
    }

    /// From its word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == word)
    }

    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Idle => "未呼叫",
            Self::Ringing => "呼叫中",
            Self::Connected => "通话中",
            Self::Ended => "已结束",
        }
    }
}

::store::id_value!(State);

/// Which side of the visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The doctor.
    Doctor,
    /// The patient.
    Patient,
}

impl Side {
    /// Word in rows and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Doctor => "doctor",
            Self::Patient => "patient",
        }
    }
}

/// What may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// 发起.
    Start,
    /// 接听.
    Accept,
    /// 拒绝.
    Decline,
    /// 挂断.
    End,
    /// Nobody answered.
    Lapse,
}

impl Command {
    /// Every command.
    pub const ALL: [Self; 5] = [Self::Start, Self::Accept, Self::Decline, Self::End, Self::Lapse];

    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Start => "发起视频",
            Self::Accept => "接听",
            Self::Decline => "拒绝",
            Self::End => "挂断",
            Self::Lapse => "无人接听",
        }
    }
}

/// It may not be done now, or not by this side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Wrong side.
    #[error("只有医生可以发起视频，患者接听")]
    Side,
    /// Wrong state.
    #[error("视频{}，不能{}", .0.text(), .1.text())]
    State(State, Command),
}

/// The one place that says who may do what when. `None` is a timer.
///
/// # Errors
/// When the side may not, or the state does not allow it.
pub const fn next(state: State, command: Command, by: Option<Side>) -> Result<State, Refusal> {
    use Command as C;
    use State as S;
    let side = matches!(
        (command, by),
        (C::Start, Some(Side::Doctor)) | (C::Accept | C::Decline, Some(Side::Patient)) | (C::End, _) | (C::Lapse, None)
    );
    if !side {
        return Err(Refusal::Side);
    }
    match (state, command) {
        (S::Idle | S::Ended, C::Start) => Ok(S::Ringing),
        (S::Ringing, C::Accept) => Ok(S::Connected),
        (S::Ringing, C::Decline | C::Lapse) | (S::Ringing | S::Connected, C::End) => Ok(S::Ended),
        _ => Err(Refusal::State(state, command)),
    }
}

/// May this side sit in the room? The doctor while it rings and after, the patient once they accepted.
pub const fn may_sit(state: State, side: Side) -> bool {
    matches!((state, side), (State::Connected, _) | (State::Ringing, Side::Doctor))
}

/// Rings no longer.
pub fn has_lapsed(started_at: Timestamp, now: Timestamp) -> bool {
    now.since(started_at) >= RINGS
}
