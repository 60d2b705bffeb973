//! WeChat Pay APIv3 (微信支付), H5. Requests are signed with the merchant's key, answers and notices are believed only
//! when WeChat's signature verifies; an answer that cannot be believed counts as `Unknown`.

mod sign;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use money::channel::{
    Channel, ChannelOrder, ChannelRefund, ChannelRefundState, ChannelState, Closing, Notice, NoticeRefusal, PayPage,
    Prepay, RawNotice, RefundOrder, Says,
};
use records::id::{PaymentId, RefundId};
use records::{Clock, Ids, Outcome, Timestamp};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, USER_AGENT};
use serde::de::DeserializeOwned;

pub use sign::{Distrust, KeyError, Keys, Signed, WINDOW};

/// Settings of one merchant account.
#[derive(Clone)]
pub struct Merchant {
    /// Merchant number (`mchid`).
    pub merchant_id: String,
    /// Application (`appid`).
    pub app_id: String,
    /// Serial of the merchant's certificate.
    pub serial: String,
    /// The merchant's private key, PEM.
    pub private_key_pem: String,
    /// APIv3 key, 32 characters.
    pub api_v3_key: String,
    /// WeChat's public keys: serial (`PUB_KEY_ID_…` or of a platform certificate) and PEM.
    pub wechat_keys: Vec<(String, String)>,
    /// Address of the API, e.g. `https://api.mch.weixin.qq.com`.
    pub base_url: String,
    /// Our callback for this merchant.
    pub notify_url: String,
}

impl std::fmt::Debug for Merchant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Merchant")
            .field("merchant_id", &self.merchant_id)
            .field("base_url", &self.base_url)
            .finish_non_exhaustive()
    }
}

/// The adapter.
pub struct WechatPay {
    http: reqwest::Client,
    keys: Keys,
    merchant: Merchant,
    clock: Arc<dyn Clock>,
    ids: Arc<Ids>,
}

impl std::fmt::Debug for WechatPay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WechatPay")
            .field("merchant", &self.merchant)
            .finish_non_exhaustive()
    }
}

/// How long one request may take. The outcome of a longer one is unknown.
const DEADLINE: Duration = Duration::from_secs(8);

/// A believed answer: its status and body.
struct Answer {
    status: u16,
    body: Vec<u8>,
}

impl WechatPay {
    /// An adapter for this merchant.
    ///
    /// # Errors
    /// When a key cannot be read or the HTTP client cannot start.
    pub fn new(merchant: Merchant, clock: Arc<dyn Clock>, ids: Arc<Ids>) -> Result<Self, OpenError> {
        let keys = Keys::read(
            &merchant.merchant_id,
            &merchant.serial,
            &merchant.private_key_pem,
            &merchant.wechat_keys,
            &merchant.api_v3_key,
        )?;
        let http = reqwest::Client::builder()
            .timeout(DEADLINE)
            .connect_timeout(Duration::from_secs(3))
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self {
            http,
            keys,
            merchant,
            clock,
            ids,
        })
    }

    /// Sends a signed request and believes the answer, or says why nothing can be concluded.
    async fn send(&self, post: bool, path: &str, body: String) -> Outcome<Answer> {
        let nonce = hex::encode_upper(self.ids.random::<16>());
        let method = if post { "POST" } else { "GET" };
        let Some(authorization) = self.keys.authorize(method, path, &body, self.clock.now(), &nonce) else {
            return Outcome::refused("channel_key", "支付密钥不可用，请联系医院");
        };
        let url = format!("{}{path}", self.merchant.base_url);
        let request = if post {
            self.http.post(url).header(CONTENT_TYPE, "application/json").body(body)
        } else {
            self.http.get(url)
        };
        let request = request
            .header(AUTHORIZATION, authorization)
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, "yiqiao/0.1");
        let request = match self.keys.wechat_serial() {
            Some(serial) => request.header("Wechatpay-Serial", serial),
            None => request,
        };
        let response = match request.send().await {
            Ok(response) => response,
            // Nothing was sent when no connection came about.
            Err(e) if e.is_connect() => return Outcome::Later { after_ms: 2_000 },
            Err(_) => return Outcome::Unknown,
        };
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let Ok(bytes) = response.bytes().await else {
            return Outcome::Unknown;
        };
        self.believe(status, &headers, bytes.to_vec())
    }

    fn believe(&self, status: u16, headers: &HeaderMap, body: Vec<u8>) -> Outcome<Answer> {
        let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let signed = Signed {
            timestamp: header("Wechatpay-Timestamp"),
            nonce: header("Wechatpay-Nonce"),
            signature: header("Wechatpay-Signature"),
            serial: header("Wechatpay-Serial"),
        };
        if status == 401 {
            // Our signature was not accepted: nothing happened, and such an answer is not signed.
            return Outcome::refused("channel_unauthorised", "支付渠道未接受本院签名，请联系医院");
        }
        if let Err(distrust) = self.keys.verify(&signed, &body, self.clock.now()) {
            tracing::error!(channel.status = status, channel.distrust = %distrust, "answer of the channel not believed");
            return Outcome::Unknown;
        }
        match status {
            429 => Outcome::Later { after_ms: 5_000 },
            500.. => Outcome::Unknown,
            _ => Outcome::Done(Answer { status, body }),
        }
    }

    async fn post<T: serde::Serialize>(&self, path: &str, body: &T) -> Outcome<Answer> {
        match serde_json::to_string(body) {
            Ok(text) => self.send(true, path, text).await,
            Err(e) => Outcome::refused("channel_request", e.to_string()),
        }
    }
}

/// What keeps the adapter from starting.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A key cannot be read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The HTTP client cannot start.
    #[error("http client: {0}")]
    Http(#[from] reqwest::Error),
}

/// A success body, or the channel's refusal. A success that cannot be read concludes nothing.
fn read<T: DeserializeOwned>(answer: &Answer) -> Outcome<T> {
    if (200..300).contains(&answer.status) {
        return match serde_json::from_slice(&answer.body) {
            Ok(body) => Outcome::Done(body),
            Err(_) => Outcome::Unknown,
        };
    }
    let problem = problem(answer);
    Outcome::Refused {
        code: problem.code,
        text: problem.message,
    }
}

fn problem(answer: &Answer) -> wire::Problem {
    serde_json::from_slice(&answer.body).unwrap_or(wire::Problem {
        code: format!("http_{}", answer.status),
        message: String::new(),
    })
}

/// A value that was read from a body, or nothing to be concluded.
fn known<T>(read: Option<T>) -> Outcome<T> {
    read.map_or(Outcome::Unknown, Outcome::Done)
}

/// Continues with a done answer; passes everything else on.
macro_rules! done {
    ($outcome:expr) => {
        match $outcome {
            Outcome::Done(value) => value,
            Outcome::Refused { code, text } => return Outcome::Refused { code, text },
            Outcome::Later { after_ms } => return Outcome::Later { after_ms },
            Outcome::Unknown => return Outcome::Unknown,
        }
    };
}

#[async_trait]
impl Channel for WechatPay {
    async fn prepay(&self, order: &Prepay) -> Outcome<PayPage> {
        let request = wire::PrepayRequest {
            appid: &self.merchant.app_id,
            mchid: &self.merchant.merchant_id,
            description: &order.description,
            out_trade_no: order.payment.as_str(),
            time_expire: wire::china_time(order.expires_at),
            notify_url: &self.merchant.notify_url,
            amount: wire::Amount {
                total: order.amount_fen.0,
                currency: "CNY",
            },
            scene_info: wire::Scene {
                payer_client_ip: &order.payer_ip,
                h5_info: wire::H5Info { r#type: "Wap" },
            },
        };
        let answer = done!(self.post("/v3/pay/transactions/h5", &request).await);
        let page: wire::PrepayAnswer = done!(read(&answer));
        let url = match &order.return_url {
            None => page.h5_url,
            Some(back) => {
                let joint = if page.h5_url.contains('?') { '&' } else { '?' };
                format!("{}{joint}redirect_url={}", page.h5_url, percent(back))
            }
        };
        Outcome::Done(PayPage { url })
    }

    async fn query(&self, payment: &PaymentId) -> Outcome<ChannelOrder> {
        let path = format!(
            "/v3/pay/transactions/out-trade-no/{payment}?mchid={}",
            self.merchant.merchant_id
        );
        let answer = done!(self.send(false, &path, String::new()).await);
        if answer.status == 404 {
            return Outcome::Done(ChannelOrder {
                state: ChannelState::Absent,
                channel_number: None,
                amount_fen: None,
                paid_at: None,
            });
        }
        let transaction: wire::Transaction = done!(read(&answer));
        if transaction.out_trade_no != payment.as_str() || transaction.mchid != self.merchant.merchant_id {
            return Outcome::Unknown;
        }
        known(transaction.read())
    }

    async fn close(&self, payment: &PaymentId) -> Outcome<Closing> {
        let path = format!("/v3/pay/transactions/out-trade-no/{payment}/close");
        let request = wire::CloseRequest {
            mchid: &self.merchant.merchant_id,
        };
        let answer = done!(self.post(&path, &request).await);
        if (200..300).contains(&answer.status) {
            return Outcome::Done(Closing::Closed);
        }
        let problem = problem(&answer);
        match problem.code.as_str() {
            "ORDERPAID" | "ORDER_PAID" => Outcome::Done(Closing::AlreadyPaid),
            // Closed before, or never placed: nobody can pay it. No page was handed out for one that lands later.
            "ORDERCLOSED" | "ORDER_CLOSED" | "ORDERNOTEXIST" | "ORDER_NOT_EXIST" => Outcome::Done(Closing::Closed),
            _ => Outcome::Refused {
                code: problem.code,
                text: problem.message,
            },
        }
    }

    async fn refund(&self, order: &RefundOrder) -> Outcome<ChannelRefund> {
        let reason: String = order.reason.chars().take(26).collect();
        let request = wire::RefundRequest {
            out_trade_no: order.payment.as_str(),
            out_refund_no: order.refund.as_str(),
            reason: &reason,
            notify_url: &self.merchant.notify_url,
            amount: wire::RefundAmount {
                refund: order.amount_fen.0,
                total: order.paid_fen.0,
                currency: "CNY",
            },
        };
        let answer = done!(self.post("/v3/refund/domestic/refunds", &request).await);
        let body: wire::RefundBody = done!(read(&answer));
        if body.out_refund_no != order.refund.as_str() {
            return Outcome::Unknown;
        }
        known(body.read())
    }

    async fn query_refund(&self, refund: &RefundId) -> Outcome<ChannelRefund> {
        let path = format!("/v3/refund/domestic/refunds/{refund}");
        let answer = done!(self.send(false, &path, String::new()).await);
        if answer.status == 404 {
            return Outcome::Done(ChannelRefund {
                state: ChannelRefundState::Absent,
                channel_refund_number: None,
                amount_fen: None,
                returned_at: None,
            });
        }
        let body: wire::RefundBody = done!(read(&answer));
        if body.out_refund_no != refund.as_str() {
            return Outcome::Unknown;
        }
        known(body.read())
    }

    fn read_notice(&self, raw: &RawNotice<'_>, now: Timestamp) -> Result<Notice, NoticeRefusal> {
        let signed = Signed {
            timestamp: raw.timestamp,
            nonce: raw.nonce,
            signature: raw.signature,
            serial: raw.serial,
        };
        self.keys
            .verify(&signed, raw.body, now)
            .map_err(|distrust| match distrust {
                Distrust::Stale => NoticeRefusal::Stale,
                Distrust::Forged => NoticeRefusal::Forged,
            })?;
        self.read_body(raw.body).ok_or(NoticeRefusal::Unreadable)
    }
}

impl WechatPay {
    /// Reads a believed notice; `None` when it cannot be opened, read, or is another merchant's.
    fn read_body(&self, body: &[u8]) -> Option<Notice> {
        let notice: wire::NoticeBody = serde_json::from_slice(body).ok()?;
        if notice.resource.algorithm != "AEAD_AES_256_GCM" {
            return None;
        }
        let plain = self.keys.open(
            &notice.resource.ciphertext,
            &notice.resource.nonce,
            &notice.resource.associated_data,
        )?;
        let says = if notice.event_type.starts_with("TRANSACTION.") {
            let transaction: wire::Transaction = serde_json::from_slice(&plain).ok()?;
            if transaction.mchid != self.merchant.merchant_id {
                return None;
            }
            Says::Payment(PaymentId::parse(&transaction.out_trade_no)?, transaction.read()?)
        } else if notice.event_type.starts_with("REFUND.") {
            let refund: wire::RefundBody = serde_json::from_slice(&plain).ok()?;
            if refund.mchid.as_deref().is_some_and(|m| m != self.merchant.merchant_id) {
                return None;
            }
            Says::Refund(RefundId::parse(&refund.out_refund_no)?, refund.read()?)
        } else {
            Says::Other(notice.event_type)
        };
        Some(Notice { id: notice.id, says })
    }
}

/// Percent-encodes everything but unreserved characters.
fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
