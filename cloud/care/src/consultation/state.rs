//! The states of a visit, and how far the HIS knows of it.

use serde::{Deserialize, Serialize};

/// States of a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VisitState {
    /// The HIS is being asked for the place.
    Locking,
    /// The HIS did not answer in time: it is being asked whether the place is ours.
    LockUnknown,
    /// The place is ours until the lock runs out.
    AwaitingPayment,
    /// Paid; the HIS is being told.
    Confirming,
    /// 待报到.
    Waiting,
    /// 待接诊.
    CheckedIn,
    /// 问诊中.
    InProgress,
    /// 已结束.
    Finished,
    /// 未接诊: the HIS gave no place, or the doctor declined.
    Declined,
    /// 取消接诊: the doctor gave up a visit begun.
    Withdrawn,
    /// 已取消.
    Cancelled,
    /// 已停诊.
    Stopped,
    /// Not paid in time.
    Expired,
    /// The HIS did not take the payment; the money goes back.
    Refunding,
    /// The money is back.
    Refunded,
    /// A person has to look.
    Manual,
}

impl VisitState {
    /// Every state.
    pub const ALL: [Self; 16] = [
        Self::Locking,
        Self::LockUnknown,
        Self::AwaitingPayment,
        Self::Confirming,
        Self::Waiting,
        Self::CheckedIn,
        Self::InProgress,
        Self::Finished,
        Self::Declined,
        Self::Withdrawn,
        Self::Cancelled,
        Self::Stopped,
        Self::Expired,
        Self::Refunding,
        Self::Refunded,
        Self::Manual,
    ];

    /// Word in the database and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Locking => "locking",
            Self::LockUnknown => "lock_unknown",
            Self::AwaitingPayment => "awaiting_payment",
            Self::Confirming => "confirming",
            Self::Waiting => "waiting",
            Self::CheckedIn => "checked_in",
            Self::InProgress => "in_progress",
            Self::Finished => "finished",
            Self::Declined => "declined",
            Self::Withdrawn => "withdrawn",
            Self::Cancelled => "cancelled",
            Self::Stopped => "stopped",
            Self::Expired => "expired",
            Self::Refunding => "refunding",
            Self::Refunded => "refunded",
            Self::Manual => "manual",
        }
    }

    /// The state of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == word)
    }

    /// In words for people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Locking => "正在锁定号源",
            Self::LockUnknown => "正在与医院确认号源",
            Self::AwaitingPayment => "待支付",
            Self::Confirming => "已支付，医院确认中",
            Self::Waiting => "待报到",
            Self::CheckedIn => "待接诊",
            Self::InProgress => "问诊中",
            Self::Finished => "已结束",
            Self::Declined => "未接诊",
            Self::Withdrawn => "已取消接诊",
            Self::Cancelled => "已取消",
            Self::Stopped => "已停诊",
            Self::Expired => "超时未支付",
            Self::Refunding => "退款中",
            Self::Refunded => "已退款",
            Self::Manual => "人工处理中",
        }
    }
}

/// How far the HIS knows of the visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HisSide {
    /// Nothing certain.
    Nothing,
    /// It holds the place for us.
    Locked,
    /// It is being told of the payment.
    Telling,
    /// It has the registration as paid.
    Confirmed,
    /// It refused the payment.
    Refused,
    /// It was told to let the place go.
    Released,
    /// It has the refund in its books.
    Refunded,
}

impl HisSide {
    const ALL: [Self; 7] = [
        Self::Nothing,
        Self::Locked,
        Self::Telling,
        Self::Confirmed,
        Self::Refused,
        Self::Released,
        Self::Refunded,
    ];

    /// Word in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Locked => "locked",
            Self::Telling => "telling",
            Self::Confirmed => "confirmed",
            Self::Refused => "refused",
            Self::Released => "released",
            Self::Refunded => "refunded",
        }
    }

    /// The side of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == word)
    }
}
