//! The WeChat Pay adapter against the bench channel, over sockets: another implementation verifies what we sign, and
//! signs and encrypts what we read.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use bench_pay::{Addresses, Settings};
use connect::wechat_pay::{Merchant, WechatPay};
use money::channel::{
    Channel, ChannelRefundState, ChannelState, Closing, NoticeRefusal, Prepay, RawNotice, RefundOrder, Says,
};
use records::id::{PaymentId, RefundId};
use records::{Clock, Fen, Ids, Outcome, SeededEntropy, SystemClock, Timestamp};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

const MCHID: &str = "1900000109";

type Notice = (HeaderMap, Bytes);

struct Till {
    pay: WechatPay,
    control: String,
    http: reqwest::Client,
    notices: mpsc::UnboundedReceiver<Notice>,
    ids: Ids,
    _folder: tempfile::TempDir,
}

async fn take(State(to): State<mpsc::UnboundedSender<Notice>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let _ = to.send((headers, body));
    StatusCode::NO_CONTENT
}

async fn open() -> Till {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let settings = Settings {
        db: folder.path().join("pay.sqlite"),
        keys: folder.path().join("keys"),
        merchants: vec![MCHID.to_owned()],
        api: any,
        control: any,
        public_base: String::new(),
        refund_ms: 100,
        retry_ms: vec![100, 100, 100],
    };
    let keys = settings.keys.clone();
    let (tell, told) = oneshot::channel::<Addresses>();
    tokio::spawn(bench_pay::run(settings, move |at| {
        let _ = tell.send(at);
    }));
    let at = told.await.unwrap();
    let (to, notices) = mpsc::unbounded_channel();
    let listener = tokio::net::TcpListener::bind(any).await.unwrap();
    let callback = format!("http://{}/notice", listener.local_addr().unwrap());
    let router = Router::new().route("/notice", post(take)).with_state(to);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let card: Value = serde_json::from_slice(&std::fs::read(keys.join(MCHID).join("merchant.json")).unwrap()).unwrap();
    let text = |name: &str| card[name].as_str().unwrap().to_owned();
    let file = |name: &str| std::fs::read_to_string(card[name].as_str().unwrap()).unwrap();
    let merchant = Merchant {
        merchant_id: MCHID.to_owned(),
        app_id: text("appid"),
        serial: text("serial_no"),
        private_key_pem: file("merchant_private_key_file"),
        api_v3_key: text("api_v3_key"),
        wechat_keys: vec![(text("platform_public_key_id"), file("platform_public_key_file"))],
        base_url: format!("http://{}", at.api),
        notify_url: callback,
    };
    let ids = || Ids::new(SeededEntropy::new(11));
    Till {
        pay: WechatPay::new(merchant, Arc::new(SystemClock), Arc::new(ids())).unwrap(),
        control: format!("http://{}", at.control),
        http: reqwest::Client::new(),
        notices,
        ids: ids(),
        _folder: folder,
    }
}

fn done<T: std::fmt::Debug>(outcome: Outcome<T>) -> T {
    match outcome {
        Outcome::Done(value) => value,
        other => panic!("{other:?}"),
    }
}

impl Till {
    fn order(&self) -> Prepay {
        let now = SystemClock.now();
        Prepay {
            payment: PaymentId::generate(&self.ids, now),
            description: "线上复诊-心血管内科".to_owned(),
            amount_fen: Fen(2500),
            expires_at: now.plus(Duration::from_secs(900)),
            payer_ip: "10.1.2.3".to_owned(),
            return_url: Some("http://localhost/patient/pay/visit/con_1?a=b".to_owned()),
        }
    }

    async fn control(&self, path: &str, body: Value) -> Value {
        let answer = self
            .http
            .post(format!("{}/control/{path}", self.control))
            .json(&body)
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap()
    }

    async fn notice(&mut self) -> Notice {
        tokio::time::timeout(Duration::from_secs(60), self.notices.recv())
            .await
            .unwrap()
            .unwrap()
    }

    fn read(&self, notice: &Notice, now: Timestamp) -> Result<money::channel::Notice, NoticeRefusal> {
        let header = |name: &str| notice.0.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let raw = RawNotice {
            timestamp: header("wechatpay-timestamp"),
            nonce: header("wechatpay-nonce"),
            signature: header("wechatpay-signature"),
            serial: header("wechatpay-serial"),
            body: &notice.1,
        };
        self.pay.read_notice(&raw, now)
    }
}

#[tokio::test]
async fn an_order_is_placed_paid_told_refunded_and_asked_for() {
    let mut till = open().await;
    let order = till.order();
    assert_eq!(done(till.pay.query(&order.payment).await).state, ChannelState::Absent);
    let page = done(till.pay.prepay(&order).await);
    assert!(page.url.contains("prepay_id="));
    assert!(
        page.url
            .ends_with("&redirect_url=http%3A%2F%2Flocalhost%2Fpatient%2Fpay%2Fvisit%2Fcon_1%3Fa%3Db")
    );
    let prepay_id = |url: &str| url.split('&').next().unwrap().to_owned();
    let again = done(till.pay.prepay(&order).await);
    assert_eq!(
        prepay_id(&again.url),
        prepay_id(&page.url),
        "placed again: the same order, on a fresh page"
    );
    assert_eq!(done(till.pay.query(&order.payment).await).state, ChannelState::Unpaid);
    till.control(&format!("pay/{}", order.payment), json!({})).await;
    let seen = done(till.pay.query(&order.payment).await);
    assert_eq!((seen.state, seen.amount_fen), (ChannelState::Paid, Some(Fen(2500))));
    assert!(seen.paid_at.is_some());
    let notice = till.notice().await;
    let read = till.read(&notice, SystemClock.now()).unwrap();
    assert_eq!(read.says, Says::Payment(order.payment.clone(), seen));
    assert_eq!(done(till.pay.close(&order.payment).await), Closing::AlreadyPaid);
    assert!(matches!(till.pay.prepay(&order).await, Outcome::Refused { code, .. } if code == "ORDERPAID"));

    let refund = RefundOrder {
        refund: RefundId::generate(&till.ids, SystemClock.now()),
        payment: order.payment.clone(),
        amount_fen: Fen(2500),
        paid_fen: Fen(2500),
        reason: "医生停诊：医生外出会诊，费用将原路退回，请留意微信服务通知并重新预约其他时段".to_owned(),
    };
    assert_eq!(
        done(till.pay.query_refund(&refund.refund).await).state,
        ChannelRefundState::Absent
    );
    let sent = done(till.pay.refund(&refund).await);
    assert_eq!(sent.state, ChannelRefundState::Processing);
    let again = done(till.pay.refund(&refund).await);
    assert_eq!(
        again.channel_refund_number, sent.channel_refund_number,
        "the same refund"
    );
    let notice = till.notice().await;
    let Says::Refund(id, told) = till.read(&notice, SystemClock.now()).unwrap().says else {
        panic!("a refund")
    };
    assert_eq!((id, told.state), (refund.refund.clone(), ChannelRefundState::Returned));
    let seen = done(till.pay.query_refund(&refund.refund).await);
    assert_eq!(
        (seen.state, seen.amount_fen),
        (ChannelRefundState::Returned, Some(Fen(2500)))
    );
    let ledger: Value = till
        .http
        .get(format!("{}/control/ledger", till.control))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!((&ledger["paid_fen"], &ledger["balance_fen"]), (&json!(2500), &json!(0)));
}

#[tokio::test]
async fn a_closed_order_cannot_be_paid_and_closing_again_is_closing() {
    let till = open().await;
    let order = till.order();
    done(till.pay.prepay(&order).await);
    assert_eq!(done(till.pay.close(&order.payment).await), Closing::Closed);
    assert_eq!(done(till.pay.close(&order.payment).await), Closing::Closed);
    assert_eq!(done(till.pay.query(&order.payment).await).state, ChannelState::Closed);
    assert!(matches!(till.pay.prepay(&order).await, Outcome::Refused { .. }));
    let never = till.order().payment;
    assert_eq!(
        done(till.pay.close(&never).await),
        Closing::Closed,
        "nobody can pay what was never placed"
    );
}

#[tokio::test]
async fn a_changed_forged_or_old_notice_is_not_believed() {
    let mut till = open().await;
    let order = till.order();
    done(till.pay.prepay(&order).await);
    till.control(&format!("forge/{}", order.payment), json!({})).await;
    let forged = till.notice().await;
    assert_eq!(till.read(&forged, SystemClock.now()), Err(NoticeRefusal::Forged));
    till.control(&format!("pay/{}", order.payment), json!({})).await;
    let (headers, body) = till.notice().await;
    let now = SystemClock.now();
    for at in [0, body.len() / 2, body.len() - 1] {
        let mut changed = body.to_vec();
        changed[at] ^= 1;
        assert_eq!(
            till.read(&(headers.clone(), changed.into()), now),
            Err(NoticeRefusal::Forged)
        );
    }
    let mut other = headers.clone();
    other.insert("wechatpay-serial", "PUB_KEY_ID_0".parse().unwrap());
    assert_eq!(till.read(&(other, body.clone()), now), Err(NoticeRefusal::Forged));
    let late = now.plus(Duration::from_secs(310));
    assert_eq!(
        till.read(&(headers.clone(), body.clone()), late),
        Err(NoticeRefusal::Stale),
        "a replay"
    );
    let mut bare = HeaderMap::new();
    bare.insert("wechatpay-timestamp", "soon".parse().unwrap());
    assert_eq!(till.read(&(bare, body.clone()), now), Err(NoticeRefusal::Forged));
    assert!(till.read(&(headers, body), now).is_ok());
}

#[tokio::test]
async fn an_answer_that_cannot_be_believed_concludes_nothing() {
    let till = open().await;
    let order = till.order();
    let fault = |op: &str, kind: &str| json!({ "op": op, "kind": kind, "times": 1 });
    till.control("faults", fault("h5", "bad_signature")).await;
    assert_eq!(till.pay.prepay(&order).await, Outcome::Unknown);
    till.control("faults", fault("query", "error")).await;
    assert_eq!(till.pay.query(&order.payment).await, Outcome::Unknown);
    assert_eq!(
        done(till.pay.query(&order.payment).await).state,
        ChannelState::Unpaid,
        "it had been placed"
    );
    till.control(
        "faults",
        json!({ "op": "close", "kind": "error", "status": 429, "code": "FREQUENCY_LIMITED", "times": 1 }),
    )
    .await;
    assert!(matches!(till.pay.close(&order.payment).await, Outcome::Later { .. }));
}
