//! WeChat Pay's bodies, and what they mean in our words.

use money::channel::{ChannelOrder, ChannelRefund, ChannelRefundState, ChannelState};
use records::{Fen, Timestamp};
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
pub(crate) struct Amount {
    pub(crate) total: i64,
    pub(crate) currency: &'static str,
}

#[derive(Serialize)]
pub(crate) struct H5Info {
    pub(crate) r#type: &'static str,
}

#[derive(Serialize)]
pub(crate) struct Scene<'a> {
    pub(crate) payer_client_ip: &'a str,
    pub(crate) h5_info: H5Info,
}

#[derive(Serialize)]
pub(crate) struct PrepayRequest<'a> {
    pub(crate) appid: &'a str,
    pub(crate) mchid: &'a str,
    pub(crate) description: &'a str,
    pub(crate) out_trade_no: &'a str,
    pub(crate) time_expire: String,
    pub(crate) notify_url: &'a str,
    pub(crate) amount: Amount,
    pub(crate) scene_info: Scene<'a>,
}

#[derive(Deserialize)]
pub(crate) struct PrepayAnswer {
    pub(crate) h5_url: String,
}

#[derive(Serialize)]
pub(crate) struct CloseRequest<'a> {
    pub(crate) mchid: &'a str,
}

#[derive(Serialize)]
pub(crate) struct RefundAmount {
    pub(crate) refund: i64,
    pub(crate) total: i64,
    pub(crate) currency: &'static str,
}

#[derive(Serialize)]
pub(crate) struct RefundRequest<'a> {
    pub(crate) out_trade_no: &'a str,
    pub(crate) out_refund_no: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) notify_url: &'a str,
    pub(crate) amount: RefundAmount,
}

#[derive(Deserialize)]
pub(crate) struct Problem {
    #[serde(default)]
    pub(crate) code: String,
    #[serde(default)]
    pub(crate) message: String,
}

#[derive(Deserialize)]
pub(crate) struct TotalAmount {
    pub(crate) total: i64,
}

/// An order, in a query's answer and in a notice.
#[derive(Deserialize)]
pub(crate) struct Transaction {
    pub(crate) mchid: String,
    pub(crate) out_trade_no: String,
    pub(crate) trade_state: String,
    pub(crate) transaction_id: Option<String>,
    pub(crate) success_time: Option<String>,
    pub(crate) amount: Option<TotalAmount>,
}

impl Transaction {
    /// `None` for a state we do not know: then nothing is concluded.
    pub(crate) fn read(&self) -> Option<ChannelOrder> {
        let state = match self.trade_state.as_str() {
            "SUCCESS" | "REFUND" => ChannelState::Paid,
            "NOTPAY" | "USERPAYING" | "PAYERROR" => ChannelState::Unpaid,
            "CLOSED" | "REVOKED" => ChannelState::Closed,
            _ => return None,
        };
        Some(ChannelOrder {
            state,
            channel_number: self.transaction_id.clone(),
            amount_fen: self.amount.as_ref().map(|a| Fen(a.total)),
            paid_at: time(self.success_time.as_deref()),
        })
    }
}

#[derive(Deserialize)]
pub(crate) struct RefundedAmount {
    pub(crate) refund: i64,
}

/// A refund in an answer (`status`) and in a notice (`refund_status`).
#[derive(Deserialize)]
pub(crate) struct RefundBody {
    pub(crate) out_refund_no: String,
    pub(crate) refund_id: Option<String>,
    #[serde(alias = "refund_status")]
    pub(crate) status: String,
    pub(crate) success_time: Option<String>,
    pub(crate) amount: Option<RefundedAmount>,
    pub(crate) mchid: Option<String>,
}

impl RefundBody {
    pub(crate) fn read(&self) -> Option<ChannelRefund> {
        let state = match self.status.as_str() {
            "SUCCESS" => ChannelRefundState::Returned,
            "PROCESSING" => ChannelRefundState::Processing,
            "ABNORMAL" | "CLOSED" => ChannelRefundState::Failed,
            _ => return None,
        };
        Some(ChannelRefund {
            state,
            channel_refund_number: self.refund_id.clone(),
            amount_fen: self.amount.as_ref().map(|a| Fen(a.refund)),
            returned_at: time(self.success_time.as_deref()),
        })
    }
}

#[derive(Deserialize)]
pub(crate) struct NoticeBody {
    pub(crate) id: String,
    pub(crate) event_type: String,
    pub(crate) resource: Resource,
}

#[derive(Deserialize)]
pub(crate) struct Resource {
    pub(crate) algorithm: String,
    pub(crate) ciphertext: String,
    pub(crate) nonce: String,
    #[serde(default)]
    pub(crate) associated_data: String,
}

fn time(text: Option<&str>) -> Option<Timestamp> {
    Timestamp::parse(text?).ok()
}

/// `2026-11-21T16:00:00+08:00`, whole seconds, as the channel wants it.
pub(crate) fn china_time(at: Timestamp) -> String {
    let text = at.local_text();
    format!("{}+08:00", text.replacen(' ', "T", 1))
}
