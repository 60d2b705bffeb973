//! The port to a payment channel (支付渠道). One implementation per vendor lives in `connect`; nothing here knows a
//! vendor's words. Every act answers an [`Outcome`]: `Unknown` means it may have happened and is asked about later.

use async_trait::async_trait;
use records::id::{PaymentId, RefundId};
use records::{Fen, Outcome, Timestamp};

/// A payment channel with one merchant account.
#[async_trait]
pub trait Channel: Send + Sync {
    /// Places an order and answers the page on which the payer pays. The same order may be placed again: the channel
    /// knows it by its number and answers a fresh page.
    async fn prepay(&self, order: &Prepay) -> Outcome<PayPage>;
    /// How an order stands.
    async fn query(&self, payment: &PaymentId) -> Outcome<ChannelOrder>;
    /// Closes an unpaid order, so that nobody can pay it any more.
    async fn close(&self, payment: &PaymentId) -> Outcome<Closing>;
    /// Sends money back. Idempotent by the refund's number.
    async fn refund(&self, order: &RefundOrder) -> Outcome<ChannelRefund>;
    /// How a refund stands; `Absent` when the channel never heard of it.
    async fn query_refund(&self, refund: &RefundId) -> Outcome<ChannelRefund>;
    /// Verifies, decrypts and reads a notice of the channel.
    ///
    /// # Errors
    /// When the notice is not the channel's, is too old, or cannot be read.
    fn read_notice(&self, notice: &RawNotice<'_>, now: Timestamp) -> Result<Notice, NoticeRefusal>;
}

/// An order to be placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepay {
    /// Our number (`out_trade_no`).
    pub payment: PaymentId,
    /// What the payer reads.
    pub description: String,
    /// How much.
    pub amount_fen: Fen,
    /// When the order lapses.
    pub expires_at: Timestamp,
    /// The payer's address, which the channel demands for risk control.
    pub payer_ip: String,
    /// Where the payer's browser goes afterwards.
    pub return_url: Option<String>,
}

/// Where the payer pays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayPage {
    /// Address of the channel's page.
    pub url: String,
}

/// State of an order at the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelState {
    /// The channel has no such order.
    Absent,
    /// Not paid (yet).
    Unpaid,
    /// Paid; also when parts were refunded later.
    Paid,
    /// Closed; it cannot be paid any more.
    Closed,
}

/// An order as the channel knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelOrder {
    /// State.
    pub state: ChannelState,
    /// The channel's transaction number (`agtOrdNum`), when paid.
    pub channel_number: Option<String>,
    /// Amount of the order, when the channel says it.
    pub amount_fen: Option<Fen>,
    /// When it was paid.
    pub paid_at: Option<Timestamp>,
}

/// What became of closing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// Nobody can pay the order any more.
    Closed,
    /// It had been paid before.
    AlreadyPaid,
}

/// Money to be sent back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundOrder {
    /// Our number (`out_refund_no`).
    pub refund: RefundId,
    /// The payment it returns.
    pub payment: PaymentId,
    /// How much to return.
    pub amount_fen: Fen,
    /// How much the payment was.
    pub paid_fen: Fen,
    /// Why, as the payer reads it.
    pub reason: String,
}

/// State of a refund at the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelRefundState {
    /// The channel has no such refund.
    Absent,
    /// Under way.
    Processing,
    /// The payer has the money.
    Returned,
    /// The channel gave up (account closed …): a person has to act.
    Failed,
}

/// A refund as the channel knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelRefund {
    /// State.
    pub state: ChannelRefundState,
    /// The channel's refund number (`agtRefOrdNum`).
    pub channel_refund_number: Option<String>,
    /// Amount returned, when the channel says it.
    pub amount_fen: Option<Fen>,
    /// When the payer got it.
    pub returned_at: Option<Timestamp>,
}

/// A notice as it came over HTTP: the exact bytes, and the headers the channel signs.
#[derive(Clone, Copy, Debug)]
pub struct RawNotice<'a> {
    /// Timestamp header.
    pub timestamp: &'a str,
    /// Nonce header.
    pub nonce: &'a str,
    /// Signature header.
    pub signature: &'a str,
    /// Header that names the key.
    pub serial: &'a str,
    /// Body, byte for byte.
    pub body: &'a [u8],
}

/// A notice that was verified and decrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The channel's number of the notice; the same notice may come more than once.
    pub id: String,
    /// What it says.
    pub says: Says,
}

/// Content of a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Says {
    /// About an order.
    Payment(PaymentId, ChannelOrder),
    /// About a refund.
    Refund(RefundId, ChannelRefund),
    /// Something we do not act upon.
    Other(String),
}

/// Why a notice was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoticeRefusal {
    /// Its timestamp lies outside the five minutes allowed: an old notice sent again, or a wrong clock.
    #[error("notice timestamp outside the allowed window")]
    Stale,
    /// Signed by a key we do not know, or not signed by it.
    #[error("notice signature is not the channel's")]
    Forged,
    /// Genuine, but it cannot be decrypted or read.
    #[error("notice cannot be read")]
    Unreadable,
}

impl NoticeRefusal {
    /// Stable word for the audit trail.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Forged => "forged",
            Self::Unreadable => "unreadable",
        }
    }
}
