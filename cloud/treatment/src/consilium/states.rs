//! Where a consilium can stand, what can be done to it, and which command leads where. Pure; the table of all pairs is
//! `transitions.md`.

use serde::{Deserialize, Serialize};

/// Where a consilium stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// 待接受: the expert has not answered.
    Invited,
    /// 会诊中: the expert reads and writes.
    Open,
    /// 已出具意见: the opinion is signed.
    Concluded,
    /// 已评价: the inviter judged it.
    Evaluated,
    /// 已谢绝: the expert declined.
    Declined,
    /// 已撤回: the inviter took it back.
    Withdrawn,
    /// 已超时: nobody answered in time.
    Lapsed,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Invited,
        Self::Open,
        Self::Concluded,
        Self::Evaluated,
        Self::Declined,
        Self::Withdrawn,
        Self::Lapsed,
    ];

    /// The word in rows and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invited => "invited",
            Self::Open => "open",
            Self::Concluded => "concluded",
            Self::Evaluated => "evaluated",
            Self::Declined => "declined",
            Self::Withdrawn => "withdrawn",
            Self::Lapsed => "lapsed",
        }
    }

    /// From its word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == word)
    }

    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Invited => "待接受",
            Self::Open => "会诊中",
            Self::Concluded => "已出具意见",
            Self::Evaluated => "已评价",
            Self::Declined => "已谢绝",
            Self::Withdrawn => "已撤回",
            Self::Lapsed => "已超时",
        }
    }
}

::store::id_value!(State);

/// What can be done to a consilium.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// The expert accepts (接受).
    Accept,
    /// The expert declines (谢绝), also one accepted before.
    Decline,
    /// The expert signs the opinion (签署意见).
    Sign,
    /// The inviter judges (评价).
    Evaluate,
    /// The inviter takes it back (撤回).
    Withdraw,
    /// Its time is over (超时).
    Lapse,
}

impl Command {
    /// Every command.
    pub const ALL: [Self; 6] = [
        Self::Accept,
        Self::Decline,
        Self::Sign,
        Self::Evaluate,
        Self::Withdraw,
        Self::Lapse,
    ];

    /// The word of the trail, the audit and `allowed`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Decline => "decline",
            Self::Sign => "sign",
            Self::Evaluate => "evaluate",
            Self::Withdraw => "withdraw",
            Self::Lapse => "lapse",
        }
    }

    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Accept => "接受",
            Self::Decline => "谢绝",
            Self::Sign => "签署意见",
            Self::Evaluate => "评价",
            Self::Withdraw => "撤回",
            Self::Lapse => "超时",
        }
    }
}

/// The one place that says which command leads where.
pub const fn next(state: State, command: Command) -> Option<State> {
    use Command as C;
    use State as S;
    match (state, command) {
        (S::Invited, C::Accept) => Some(S::Open),
        (S::Invited | S::Open, C::Decline) => Some(S::Declined),
        (S::Invited | S::Open, C::Withdraw) => Some(S::Withdrawn),
        (S::Invited | S::Open, C::Lapse) => Some(S::Lapsed),
        (S::Open, C::Sign) => Some(S::Concluded),
        (S::Concluded, C::Evaluate) => Some(S::Evaluated),
        _ => None,
    }
}
