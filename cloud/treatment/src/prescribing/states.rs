//! Where a prescription can stand, what can be done to it, and which command leads where. Pure; the table of all pairs is
//! `transitions.md`.

use serde::{Deserialize, Serialize};

/// Where a prescription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// 草稿: being written.
    Draft,
    /// 已签名: signed by the doctor, not yet handed to the pharmacists.
    Signed,
    /// 待审方: in the pharmacists' queue.
    InReview,
    /// 审方通过: approved with a pharmacist's signature; on its way to the HIS.
    Approved,
    /// 已提交医院: the HIS has it and makes the bill.
    SentToHis,
    /// 待缴费: the bill is there.
    AwaitingPayment,
    /// 已缴费: paid at the channel; the HIS is being told.
    Paid,
    /// 调配中: the pharmacy is picking the drugs.
    Dispensing,
    /// 待取药: at the window.
    Ready,
    /// 配送中: with the courier.
    Shipped,
    /// 已取药: in the patient's hands.
    Collected,
    /// 审方未通过: rejected by the pharmacist, or refused by the HIS.
    Rejected,
    /// 已修改: replaced by a new prescription.
    Revised,
    /// 已申诉: the doctor objects to the rejection; the pharmacists look again.
    Appealed,
    /// 已撤销: taken back.
    Revoked,
    /// 已过期: past its last day.
    Expired,
}

impl State {
    /// Every state, in the order of a prescription's life.
    pub const ALL: [Self; 16] = [
        Self::Draft,
        Self::Signed,
        Self::InReview,
        Self::Approved,
        Self::SentToHis,
        Self::AwaitingPayment,
        Self::Paid,
        Self::Dispensing,
        Self::Ready,
        Self::Shipped,
        Self::Collected,
        Self::Rejected,
        Self::Revised,
        Self::Appealed,
        Self::Revoked,
        Self::Expired,
    ];

    /// The word in rows and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Signed => "signed",
            Self::InReview => "in_review",
            Self::Approved => "approved",
            Self::SentToHis => "sent_to_his",
            Self::AwaitingPayment => "awaiting_payment",
            Self::Paid => "paid",
            Self::Dispensing => "dispensing",
            Self::Ready => "ready",
            Self::Shipped => "shipped",
            Self::Collected => "collected",
            Self::Rejected => "rejected",
            Self::Revised => "revised",
            Self::Appealed => "appealed",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
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
            Self::Signed => "已签名",
            Self::InReview => "待审方",
            Self::Approved => "审方通过",
            Self::SentToHis => "已提交医院",
            Self::AwaitingPayment => "待缴费",
            Self::Paid => "已缴费",
            Self::Dispensing => "调配中",
            Self::Ready => "待取药",
            Self::Shipped => "配送中",
            Self::Collected => "已取药",
            Self::Rejected => "审方未通过",
            Self::Revised => "已修改",
            Self::Appealed => "申诉中",
            Self::Revoked => "已撤销",
            Self::Expired => "已过期",
        }
    }

    /// The pharmacist's signature stands on it and it is valid for the patient.
    pub const fn is_effective(self) -> bool {
        matches!(
            self,
            Self::Approved
                | Self::SentToHis
                | Self::AwaitingPayment
                | Self::Paid
                | Self::Dispensing
                | Self::Ready
                | Self::Shipped
                | Self::Collected
        )
    }
}

::store::id_value!(State);

/// What can be done to a prescription. The names are the ward's verbs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// The doctor signs (签名).
    Sign,
    /// Into the pharmacists' queue (提交审方).
    Submit,
    /// The pharmacist approves (审方通过).
    Approve,
    /// The pharmacist rejects (审方不通过).
    Reject,
    /// The doctor writes a new one instead (修改重开).
    Revise,
    /// The doctor objects (申诉).
    Appeal,
    /// The HIS took it (提交医院).
    Send,
    /// The HIS made the bill (生成账单).
    Bill,
    /// The channel has the money (缴费).
    Pay,
    /// The HIS took the payment; the pharmacy begins (调配).
    Dispense,
    /// Lies at the window (备好).
    Prepare,
    /// Given to the courier (发货).
    Ship,
    /// In the patient's hands (取药).
    Collect,
    /// The HIS refuses it (医院拒收).
    Decline,
    /// Taken back (撤销).
    Revoke,
    /// Its last day is over (过期).
    Expire,
}

impl Command {
    /// Every command.
    pub const ALL: [Self; 16] = [
        Self::Sign,
        Self::Submit,
        Self::Approve,
        Self::Reject,
        Self::Revise,
        Self::Appeal,
        Self::Send,
        Self::Bill,
        Self::Pay,
        Self::Dispense,
        Self::Prepare,
        Self::Ship,
        Self::Collect,
        Self::Decline,
        Self::Revoke,
        Self::Expire,
    ];

    /// The word in the trail and in `allowed`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sign => "sign",
            Self::Submit => "submit",
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Revise => "revise",
            Self::Appeal => "appeal",
            Self::Send => "send",
            Self::Bill => "bill",
            Self::Pay => "pay",
            Self::Dispense => "dispense",
            Self::Prepare => "prepare",
            Self::Ship => "ship",
            Self::Collect => "collect",
            Self::Decline => "decline",
            Self::Revoke => "revoke",
            Self::Expire => "expire",
        }
    }

    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Sign => "签名",
            Self::Submit => "提交审方",
            Self::Approve => "审方通过",
            Self::Reject => "审方不通过",
            Self::Revise => "修改重开",
            Self::Appeal => "申诉",
            Self::Send => "提交医院",
            Self::Bill => "生成账单",
            Self::Pay => "缴费",
            Self::Dispense => "调配",
            Self::Prepare => "备好",
            Self::Ship => "发货",
            Self::Collect => "取药",
            Self::Decline => "医院拒收",
            Self::Revoke => "撤销",
            Self::Expire => "过期",
        }
    }
}

/// The one place that says which command leads where.
pub const fn next(state: State, command: Command) -> Option<State> {
    use Command as C;
    use State as S;
    match (state, command) {
        (S::Draft, C::Sign) => Some(S::Signed),
        (S::Signed, C::Submit) => Some(S::InReview),
        (S::InReview | S::Appealed, C::Approve) => Some(S::Approved),
        (S::InReview | S::Appealed, C::Reject) | (S::Approved | S::SentToHis, C::Decline) => Some(S::Rejected),
        (S::Rejected, C::Revise) => Some(S::Revised),
        (S::Rejected, C::Appeal) => Some(S::Appealed),
        (S::Approved, C::Send) => Some(S::SentToHis),
        (S::SentToHis, C::Bill) => Some(S::AwaitingPayment),
        (S::AwaitingPayment, C::Pay) => Some(S::Paid),
        (S::Paid, C::Dispense) => Some(S::Dispensing),
        (S::Dispensing, C::Prepare) => Some(S::Ready),
        (S::Dispensing, C::Ship) => Some(S::Shipped),
        (S::Ready | S::Shipped, C::Collect) => Some(S::Collected),
        // The HIS refused a payment: the money goes back and the prescription with it.
        (S::Paid, C::Decline)
        | (
            S::Signed
            | S::InReview
            | S::Approved
            | S::SentToHis
            | S::AwaitingPayment
            | S::Dispensing
            | S::Rejected
            | S::Appealed,
            C::Revoke,
        ) => Some(S::Revoked),
        (
            S::Signed | S::InReview | S::Approved | S::SentToHis | S::AwaitingPayment | S::Rejected | S::Appealed,
            C::Expire,
        ) => Some(S::Expired),
        _ => None,
    }
}
