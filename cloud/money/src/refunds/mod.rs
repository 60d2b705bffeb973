//! A refund (退款): money of one payment on its way back, in whole.
//!
//! ```text
//! requested ──accepted──▶ processing ──returned──▶ his_write_back ──written_back──▶ refunded
//!     └────────────── returned (at once, or nothing was charged) ──▲   └─ no write-back needed ─▶ refunded
//! any ──▶ manual (the channel gave up, the HIS refused the write-back) ──retry──▶ requested
//! ```
//!
//! The number is the channel's `out_refund_no` and the HIS's `psRefOrdNum`; sending it again never returns money twice.

pub(crate) mod store;
#[cfg(test)]
mod tests;

use records::id::{PaymentId, RefundId};
use records::{Fen, Timestamp};
use serde::Serialize;

/// States of a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    /// Written down; the channel may have heard of it.
    Requested,
    /// The channel is at it.
    Processing,
    /// The payer has the money; the HIS is being told.
    HisWriteBack,
    /// Over.
    Refunded,
    /// A person has to look.
    Manual,
}

impl RefundState {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::Requested,
        Self::Processing,
        Self::HisWriteBack,
        Self::Refunded,
        Self::Manual,
    ];

    /// Word in the database and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Processing => "processing",
            Self::HisWriteBack => "his_write_back",
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
            Self::Requested | Self::Processing => "退款中",
            Self::HisWriteBack => "已退回，医院登记中",
            Self::Refunded => "已退款",
            Self::Manual => "人工处理中",
        }
    }
}

/// A refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// Number, also at the channel and towards the HIS.
    pub id: RefundId,
    /// The payment it returns.
    pub payment_id: PaymentId,
    /// How much.
    pub amount_fen: Fen,
    /// Why.
    pub reason: String,
    /// Where it stands.
    pub state: RefundState,
    /// The channel's refund number.
    pub channel_refund_number: Option<String>,
    /// When the payer got the money.
    pub returned_at: Option<Timestamp>,
    /// The HIS's refund number.
    pub his_refund_number: Option<String>,
    /// Plain words on what a person has to look at.
    pub note: Option<String>,
    /// When it was written down.
    pub created_at: Timestamp,
}

/// An act that the state does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("refund is {} and cannot {act}", .state.as_str())]
pub struct Refusal {
    /// State it is in.
    pub state: RefundState,
    /// What was asked.
    pub act: &'static str,
}

impl Refund {
    /// The channel took the refund and is at it.
    pub fn accepted(mut self, channel_refund_number: Option<String>) -> Self {
        if self.state == RefundState::Requested {
            self.state = RefundState::Processing;
        }
        if channel_refund_number.is_some() {
            self.channel_refund_number = channel_refund_number;
        }
        self
    }

    /// The payer has the money. `None` when that was known before.
    pub fn returned(mut self, channel_refund_number: Option<String>, at: Timestamp) -> Option<Self> {
        // A refund held for a person counts too: the channel may have finished it meanwhile.
        let open = matches!(
            self.state,
            RefundState::Requested | RefundState::Processing | RefundState::Manual
        );
        if !open || self.returned_at.is_some() {
            return None;
        }
        self.state = RefundState::HisWriteBack;
        if channel_refund_number.is_some() {
            self.channel_refund_number = channel_refund_number;
        }
        self.returned_at = Some(at);
        self.note = None;
        Some(self)
    }

    /// The HIS has it in its books, or need not.
    ///
    /// # Errors
    /// Unless the payer has the money.
    pub fn written_back(mut self, his_refund_number: Option<String>) -> Result<Self, Refusal> {
        match self.state {
            RefundState::Refunded => Ok(self),
            _ if self.returned_at.is_some() => {
                self.state = RefundState::Refunded;
                self.his_refund_number = his_refund_number.or(self.his_refund_number);
                self.note = None;
                Ok(self)
            }
            state => Err(Refusal {
                state,
                act: "written_back",
            }),
        }
    }

    /// A person has to look. A finished refund stays finished.
    #[must_use]
    pub fn hold(mut self, note: impl Into<String>) -> Self {
        if self.state != RefundState::Refunded {
            self.state = RefundState::Manual;
            self.note = Some(note.into());
        }
        self
    }

    /// A person says: try again.
    ///
    /// # Errors
    /// Unless a person had to look.
    pub fn retry(mut self) -> Result<Self, Refusal> {
        if self.state != RefundState::Manual {
            return Err(Refusal {
                state: self.state,
                act: "retry",
            });
        }
        self.state = if self.returned_at.is_some() {
            RefundState::HisWriteBack
        } else {
            RefundState::Requested
        };
        self.note = None;
        Ok(self)
    }
}
