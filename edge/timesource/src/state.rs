//! Where the clock stands, in types and in words for people.

use records::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// Why a poll gave no measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Failure {
    /// No source gave a usable answer.
    NoAnswer,
    /// Fewer gave one than must agree.
    TooFew {
        /// How many did.
        answered: usize,
        /// How many must.
        needed: usize,
    },
    /// The sources contradict each other and none is in the majority.
    Disagree,
}

impl Failure {
    /// For the administrator.
    pub fn text(self) -> String {
        match self {
            Self::NoAnswer => "所有时间源都没有可用的应答".to_owned(),
            Self::TooFew { answered, needed } => {
                format!("可用时间源只有 {answered} 个，策略要求至少 {needed} 个一致")
            }
            Self::Disagree => "时间源互相矛盾，无法判断哪个正确".to_owned(),
        }
    }
}

/// Whether the clock may be believed, and why.
///
/// ```text
///               measured                 last poll failed or is overdue
/// unsynchronised ──────▶ trusted ───────────────────────────────▶ holdover
///        ▲                ▲  ▲                                       │
///        │ sources        │  └──────────── measured ────────────────┤
///        │ changed        │ measured, within bounds                  │ error beyond the bound, or too old
///        └── (any)        └───────────── untrusted ◀─────────────────┘ or the machine's clock was set
/// off: the policy says so
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Synchronisation is switched off: the machine's clock is believed as it is.
    Off,
    /// Nothing has been measured yet.
    Unsynchronised {
        /// What the last poll failed of, if there was one.
        failure: Option<Failure>,
    },
    /// Measured lately.
    Trusted(Known),
    /// Measured some time ago, and the polls since then failed or are overdue.
    Holdover(Known),
    /// Measured, but not to be believed now.
    Untrusted {
        /// Why.
        reason: Reason,
    },
}

/// What is known about the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Known {
    /// What to add to the machine's clock now, microseconds.
    pub offset_us: i64,
    /// Largest error of the corrected time now, microseconds.
    pub error_us: u64,
    /// Lowest stratum of the sources.
    pub stratum: u8,
    /// Age of the measurement in seconds.
    pub age_s: u64,
}

/// Why the clock is not to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Reason {
    /// The sources say that the machine's clock is further off than may be corrected.
    OffsetTooLarge {
        /// As measured, microseconds.
        offset_us: i64,
    },
    /// Somebody set the machine's clock since the measurement.
    ClockSet {
        /// By how much, microseconds; negative is back.
        by_us: i64,
    },
    /// The error has grown beyond the bound.
    ErrorTooLarge {
        /// Microseconds.
        error_us: u64,
    },
    /// The last measurement is too old.
    TooOld {
        /// Seconds.
        age_s: u64,
    },
}

impl Reason {
    /// For the administrator and whoever was refused a signature.
    pub fn text(self) -> String {
        match self {
            Self::OffsetTooLarge { offset_us } => format!(
                "服务器时钟与时间源相差 {} 秒，超过允许的最大偏差，请先校正操作系统时间",
                seconds(offset_us)
            ),
            Self::ClockSet { by_us } => format!("服务器时钟被改动（{} 秒），正在等待重新校时", seconds(by_us)),
            Self::ErrorTooLarge { error_us } => format!(
                "时间误差可能达到 {} 秒，超过可信上限，请检查时间源",
                seconds(i64::try_from(error_us).unwrap_or(i64::MAX))
            ),
            Self::TooOld { age_s } => format!("已有 {} 分钟未能校时，超过测量有效期，请检查时间源", age_s / 60),
        }
    }
}

fn seconds(us: i64) -> String {
    let whole = us.unsigned_abs() / 1_000;
    let sign = if us < 0 { "-" } else { "" };
    format!("{sign}{}.{:03}", whole / 1_000, whole % 1_000)
}

/// The time to sign with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Believed {
    /// The machine's clock plus the offset. It may step back a little when a new measurement comes.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Largest error in microseconds; absent while synchronisation is off, because then nobody knows.
    pub error_us: Option<u64>,
}

/// The time is not to be believed; nothing may be signed with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("服务器时间不可信：{text}")]
pub struct NotBelieved {
    /// Where it stands.
    pub state: State,
    /// For people.
    pub text: String,
}

/// A point of the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Point {
    /// The machine's clock at the end of the poll.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The sources agreed.
    Measured {
        /// Microseconds.
        offset_us: i64,
        /// Microseconds.
        error_us: u64,
        /// Microseconds.
        delay_us: u64,
        /// Lowest of those that agreed.
        stratum: u8,
        /// How many agreed.
        agreeing: usize,
        /// Whether the offset lies within what may be corrected.
        accepted: bool,
    },
    /// They did not.
    Failed(Failure),
}

/// A change of the machine's clock that nobody told us of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Jump {
    /// The machine's clock after it.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// By how much, microseconds; negative is back.
    pub by_us: i64,
    /// Whether it came at once; otherwise little by little.
    pub step: bool,
}
