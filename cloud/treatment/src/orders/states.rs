//! Where an order can stand, what can be done to it, and which command leads where. Pure; the table of all pairs is
//! `transitions.md`.

use serde::{Deserialize, Serialize};

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// 草稿: being written; nothing is opened.
    Draft,
    /// 提交中: signed by the doctor, on its way to the HIS.
    Signed,
    /// 已开立: the HIS has it; the patient may come.
    Open,
    /// 医院未受理: the HIS refused it, in its words.
    Refused,
    /// 提交待核实: nobody knows whether the HIS has it.
    Unknown,
    /// 撤回中: the doctor took it back, the HIS is being told.
    Revoking,
    /// 撤回待核实: nobody knows whether the HIS has taken that.
    RevokeUnknown,
    /// 已撤回: taken back.
    Revoked,
}

impl State {
    /// Every state, in the order of an order's life.
    pub const ALL: [Self; 8] = [
        Self::Draft,
        Self::Signed,
        Self::Open,
        Self::Refused,
        Self::Unknown,
        Self::Revoking,
        Self::RevokeUnknown,
        Self::Revoked,
    ];

    /// The word in rows and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Signed => "signed",
            Self::Open => "open",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
            Self::Revoking => "revoking",
            Self::RevokeUnknown => "revoke_unknown",
            Self::Revoked => "revoked",
        }
    }

    /// From its word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == word)
    }

    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Draft => "草稿",
            Self::Signed => "提交中",
            Self::Open => "已开立",
            Self::Refused => "医院未受理",
            Self::Unknown => "提交待核实",
            Self::Revoking => "撤回中",
            Self::RevokeUnknown => "撤回待核实",
            Self::Revoked => "已撤回",
        }
    }

    /// Void: whoever holds it must not rely on it.
    pub const fn is_void(self) -> bool {
        matches!(self, Self::Refused | Self::Revoked)
    }
}

::store::id_value!(State);

/// What can be done to an order. The names are the ward's verbs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// The doctor signs (签名).
    Sign,
    /// The HIS took it (医院受理).
    Take,
    /// The HIS refuses it (医院拒收).
    Refuse,
    /// The HIS could not be made to say what became of it (结果未知).
    Doubt,
    /// The HIS is asked again (再次核实).
    Retry,
    /// The doctor takes it back (撤回).
    Revoke,
    /// The HIS has it no more (医院已撤回).
    Withdraw,
    /// The HIS does not let it go (医院不同意撤回).
    Keep,
}

impl Command {
    /// Every command.
    pub const ALL: [Self; 8] = [
        Self::Sign,
        Self::Take,
        Self::Refuse,
        Self::Doubt,
        Self::Retry,
        Self::Revoke,
        Self::Withdraw,
        Self::Keep,
    ];

    /// The word in the trail and in `allowed`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sign => "sign",
            Self::Take => "take",
            Self::Refuse => "refuse",
            Self::Doubt => "doubt",
            Self::Retry => "retry",
            Self::Revoke => "revoke",
            Self::Withdraw => "withdraw",
            Self::Keep => "keep",
        }
    }

    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Sign => "签名",
            Self::Take => "医院受理",
            Self::Refuse => "医院拒收",
            Self::Doubt => "结果未知",
            Self::Retry => "再次核实",
            Self::Revoke => "撤回",
            Self::Withdraw => "医院已撤回",
            Self::Keep => "医院不同意撤回",
        }
    }
}

/// The one place that says which command leads where.
pub const fn next(state: State, command: Command) -> Option<State> {
    use Command as C;
    use State as S;
    match (state, command) {
        (S::Draft, C::Sign) | (S::Unknown, C::Retry) => Some(S::Signed),
        (S::Signed | S::Unknown, C::Take) | (S::Revoking | S::RevokeUnknown, C::Keep) => Some(S::Open),
        (S::Signed | S::Unknown, C::Refuse) => Some(S::Refused),
        (S::Signed, C::Doubt) => Some(S::Unknown),
        // What is on its way is withdrawn as soon as the HIS has answered.
        (S::Signed | S::Open, C::Revoke) | (S::RevokeUnknown, C::Retry) => Some(S::Revoking),
        (S::Revoking, C::Doubt) => Some(S::RevokeUnknown),
        // The HIS's books have the last word, also when an older question is answered late.
        (S::Open | S::Revoking | S::RevokeUnknown, C::Withdraw) => Some(S::Revoked),
        _ => None,
    }
}
