//! A payment order (支付订单): what the patient owes the hospital for one thing (a visit, a prescription).
//!
//! ```text
//! created ──pages──▶ pending ──charged──▶ paid ──confirming──▶ his_confirming ──done──▶ done
//!    │                  │                  │  └────────────── reverse ───────────┴──────▶ reversing ──▶ reversed
//!    └────── close ─────┴──▶ closing ──▶ closed          (money that arrives after closing: paid, then reversed)
//! any, charged with another amount ──▶ manual ──accept──▶ paid
//!                                          └───give back──▶ reversing
//! ```
//!
//! Invariants:
//! - the order's number is the channel's `out_trade_no`; one number is charged at most once;
//! - whatever the channel says twice, or in another order, ends in the same state;
//! - money that arrived is never forgotten: a charge is accepted in *every* state, and when the thing it was for is
//!   gone the whole amount is returned;
//! - the channel's order is closed before the thing it pays for is let go.

pub(crate) mod store;
#[cfg(test)]
mod tests;

use records::id::PaymentId;
use records::{Fen, Timestamp};
use serde::Serialize;

/// States of a payment order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentState {
    /// Written down; the channel may have heard of it.
    Created,
    /// The payer has the channel's page.
    Pending,
    /// Being closed at the channel; no page is handed out any more.
    Closing,
    /// The channel has the money.
    Paid,
    /// The HIS is being told.
    HisConfirming,
    /// The HIS knows; nothing is left to do.
    Done,
    /// Nobody paid and nobody can.
    Closed,
    /// The money is on its way back.
    Reversing,
    /// The money is back with the payer.
    Reversed,
    /// A person has to look.
    Manual,
}

impl PaymentState {
    /// Every state.
    pub const ALL: [Self; 10] = [
        Self::Created,
        Self::Pending,
        Self::Closing,
        Self::Paid,
        Self::HisConfirming,
        Self::Done,
        Self::Closed,
        Self::Reversing,
        Self::Reversed,
        Self::Manual,
    ];

    /// Word in the database and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Pending => "pending",
            Self::Closing => "closing",
            Self::Paid => "paid",
            Self::HisConfirming => "his_confirming",
            Self::Done => "done",
            Self::Closed => "closed",
            Self::Reversing => "reversing",
            Self::Reversed => "reversed",
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
            Self::Created | Self::Pending => "待支付",
            Self::Closing => "正在关闭",
            Self::Paid => "已支付",
            Self::HisConfirming => "已支付，医院确认中",
            Self::Done => "支付完成",
            Self::Closed => "已关闭",
            Self::Reversing => "退款中",
            Self::Reversed => "已退款",
            Self::Manual => "人工处理中",
        }
    }

    /// Whether the channel holds the payer's money in this state.
    pub const fn holds_money(self) -> bool {
        matches!(self, Self::Paid | Self::HisConfirming | Self::Done | Self::Reversing)
    }
}

/// What is written into the history of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentEvent {
    /// The payer got the channel's page.
    Pages,
    /// The channel has the money.
    Charged,
    /// The channel has the money for an order that was closed here.
    ChargedAfterClose,
    /// The channel's amount is not ours.
    AmountDiffers,
    /// A person took that amount as payment.
    Accepted,
    /// Closing began.
    Closes,
    /// Closed at the channel.
    Closed,
    /// The HIS is being told.
    Confirming,
    /// The HIS knows.
    Done,
    /// A refund began.
    Reversing,
    /// The money is back.
    Reversed,
    /// A person has to look.
    Held,
    /// Nothing new: the same was known before.
    Nothing,
}

impl PaymentEvent {
    /// Word in the history.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pages => "pages",
            Self::Charged => "charged",
            Self::ChargedAfterClose => "charged_after_close",
            Self::AmountDiffers => "amount_differs",
            Self::Accepted => "accepted",
            Self::Closes => "closes",
            Self::Closed => "closed",
            Self::Confirming => "his_confirming",
            Self::Done => "done",
            Self::Reversing => "reversing",
            Self::Reversed => "reversed",
            Self::Held => "held",
            Self::Nothing => "nothing",
        }
    }
}

/// An act that the state does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("payment is {} and cannot {act}", .state.as_str())]
pub struct Refusal {
    /// State it is in.
    pub state: PaymentState,
    /// What was asked.
    pub act: &'static str,
}

/// What a payment is for and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// Number, also at the channel.
    pub id: PaymentId,
    /// `visit` or `prescription`.
    pub subject_kind: String,
    /// Which one.
    pub subject_id: String,
    /// Account that pays.
    pub account_id: String,
    /// What the payer reads.
    pub description: String,
    /// How much.
    pub amount_fen: Fen,
    /// Where it stands.
    pub state: PaymentState,
    /// The channel's page, while it may be paid.
    pub pay_url: Option<String>,
    /// The channel's transaction number.
    pub channel_number: Option<String>,
    /// What the channel took, where that is not `amount_fen`.
    pub charged_fen: Option<Fen>,
    /// When the channel took the money.
    pub paid_at: Option<Timestamp>,
    /// When it lapses.
    pub expires_at: Timestamp,
    /// When it was written down.
    pub created_at: Timestamp,
}

/// A transition's result.
pub type Moved = Result<(Payment, PaymentEvent), Refusal>;

impl Payment {
    fn refuse(&self, act: &'static str) -> Moved {
        Err(Refusal { state: self.state, act })
    }

    fn to(mut self, state: PaymentState, event: PaymentEvent) -> Moved {
        self.state = state;
        if !matches!(state, PaymentState::Pending) {
            self.pay_url = None;
        }
        Ok((self, event))
    }

    /// The channel placed the order: the payer may pay at `url`.
    ///
    /// # Errors
    /// When the payment is being closed or is settled.
    pub fn pages(mut self, url: String) -> Moved {
        match self.state {
            PaymentState::Created | PaymentState::Pending => {
                self.pay_url = Some(url);
                self.to(PaymentState::Pending, PaymentEvent::Pages)
            }
            _ => self.refuse("pages"),
        }
    }

    /// The channel says it has the money. Never refused: money that arrived must be dealt with.
    pub fn charged(
        mut self,
        amount: Option<Fen>,
        channel_number: Option<String>,
        at: Timestamp,
    ) -> (Self, PaymentEvent) {
        use PaymentState as S;
        match self.state {
            S::Paid | S::HisConfirming | S::Done | S::Reversing | S::Reversed | S::Manual => {
                (self, PaymentEvent::Nothing)
            }
            S::Created | S::Pending | S::Closing | S::Closed => {
                let late = self.state == S::Closed;
                self.pay_url = None;
                self.channel_number = channel_number;
                self.paid_at = Some(at);
                if amount.is_some_and(|a| a != self.amount_fen) {
                    self.state = S::Manual;
                    self.charged_fen = amount;
                    return (self, PaymentEvent::AmountDiffers);
                }
                self.state = S::Paid;
                let event = if late {
                    PaymentEvent::ChargedAfterClose
                } else {
                    PaymentEvent::Charged
                };
                (self, event)
            }
        }
    }

    /// What the channel holds once it was paid.
    pub fn received_fen(&self) -> Fen {
        self.charged_fen.unwrap_or(self.amount_fen)
    }

    /// A person says: the order counts as paid, although the channel took another amount.
    ///
    /// # Errors
    /// Unless that is what a person had to look at.
    pub fn accept(self) -> Moved {
        match (self.state, self.charged_fen) {
            (PaymentState::Manual, Some(_)) => self.to(PaymentState::Paid, PaymentEvent::Accepted),
            (PaymentState::Paid | PaymentState::HisConfirming | PaymentState::Done, Some(_)) => {
                Ok((self, PaymentEvent::Nothing))
            }
            _ => self.refuse("accept"),
        }
    }

    /// A person says: what the channel took goes back, because it is another amount.
    ///
    /// # Errors
    /// Unless that is what a person had to look at.
    pub fn give_back(self) -> Moved {
        match (self.state, self.charged_fen) {
            (PaymentState::Manual, Some(_)) => self.to(PaymentState::Reversing, PaymentEvent::Reversing),
            (PaymentState::Reversing | PaymentState::Reversed, Some(_)) => Ok((self, PaymentEvent::Nothing)),
            _ => self.refuse("give_back"),
        }
    }

    /// Let go of an unpaid order: from here on no page is handed out, and the channel's order is closed.
    ///
    /// # Errors
    /// When it is paid or settled.
    pub fn close(self) -> Moved {
        match self.state {
            PaymentState::Created | PaymentState::Pending => self.to(PaymentState::Closing, PaymentEvent::Closes),
            PaymentState::Closing | PaymentState::Closed => Ok((self, PaymentEvent::Nothing)),
            _ => self.refuse("close"),
        }
    }

    /// The channel closed the order. After a charge it changes nothing.
    pub fn closed(self) -> (Self, PaymentEvent) {
        match self.state {
            PaymentState::Created | PaymentState::Pending | PaymentState::Closing => {
                let mut closed = self;
                closed.state = PaymentState::Closed;
                closed.pay_url = None;
                (closed, PaymentEvent::Closed)
            }
            _ => (self, PaymentEvent::Nothing),
        }
    }

    /// The HIS is being told of the payment.
    ///
    /// # Errors
    /// Unless paid.
    pub fn confirming(self) -> Moved {
        match self.state {
            PaymentState::Paid => self.to(PaymentState::HisConfirming, PaymentEvent::Confirming),
            PaymentState::HisConfirming => Ok((self, PaymentEvent::Nothing)),
            _ => self.refuse("confirming"),
        }
    }

    /// The HIS knows of the payment.
    ///
    /// # Errors
    /// Unless paid.
    pub fn done(self) -> Moved {
        match self.state {
            PaymentState::Paid | PaymentState::HisConfirming => self.to(PaymentState::Done, PaymentEvent::Done),
            PaymentState::Done => Ok((self, PaymentEvent::Nothing)),
            _ => self.refuse("done"),
        }
    }

    /// The money goes back.
    ///
    /// # Errors
    /// Unless paid.
    pub fn reverse(self) -> Moved {
        match self.state {
            PaymentState::Paid | PaymentState::HisConfirming | PaymentState::Done => {
                self.to(PaymentState::Reversing, PaymentEvent::Reversing)
            }
            PaymentState::Reversing | PaymentState::Reversed => Ok((self, PaymentEvent::Nothing)),
            _ => self.refuse("reverse"),
        }
    }

    /// The money is back with the payer.
    ///
    /// # Errors
    /// Unless on its way.
    pub fn reversed(self) -> Moved {
        match self.state {
            PaymentState::Reversing => self.to(PaymentState::Reversed, PaymentEvent::Reversed),
            PaymentState::Reversed => Ok((self, PaymentEvent::Nothing)),
            _ => self.refuse("reversed"),
        }
    }

    /// A person has to look.
    pub fn hold(mut self) -> (Self, PaymentEvent) {
        self.state = PaymentState::Manual;
        self.pay_url = None;
        (self, PaymentEvent::Held)
    }
}
