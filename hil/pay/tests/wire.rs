//! The channel as a merchant sees it. Signatures are made and checked by the openssl command, not by the channel's library.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bench_pay::{Addresses, Settings};
use rig::probe::{self, Answered};
use serde_json::{Value, json};
use tempfile::TempDir;

const MCHID: &str = "1900000109";

struct Shop {
    at: Addresses,
    card: Value,
    dir: TempDir,
}

fn openssl(args: &[&str], input: &[u8]) -> (bool, Vec<u8>) {
    let mut child = Command::new("openssl")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let done = child.wait_with_output().unwrap();
    (done.status.success(), done.stdout)
}

impl Shop {
    fn open() -> Shop {
        let dir = tempfile::tempdir().unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let settings = Settings {
            db: dir.path().join("pay.sqlite"),
            keys: dir.path().join("keys"),
            merchants: vec![MCHID.into()],
            api: any,
            control: any,
            public_base: String::new(),
            refund_ms: 100,
            retry_ms: vec![100, 100, 100],
        };
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime
                .block_on(bench_pay::run(settings, |at| send.send(at).unwrap()))
                .unwrap();
        });
        let at = receive.recv_timeout(Duration::from_secs(120)).unwrap();
        let card = std::fs::read(dir.path().join("keys").join(MCHID).join("merchant.json")).unwrap();
        Shop {
            at,
            card: serde_json::from_slice(&card).unwrap(),
            dir,
        }
    }

    fn text(&self, field: &str) -> String {
        self.card[field].as_str().unwrap().to_owned()
    }

    fn sign(&self, text: &str) -> String {
        let key = self.text("merchant_private_key_file");
        STANDARD.encode(openssl(&["dgst", "-sha256", "-sign", &key], text.as_bytes()).1)
    }

    /// Whether the platform signed these bytes.
    fn signed(&self, head: &dyn Fn(&str) -> String, body: &str) -> bool {
        let file: PathBuf = self.dir.path().join("signature");
        std::fs::write(&file, STANDARD.decode(head("wechatpay-signature")).unwrap_or_default()).unwrap();
        let text = format!("{}\n{}\n{body}\n", head("wechatpay-timestamp"), head("wechatpay-nonce"));
        let key = self.text("platform_public_key_file");
        let args = ["dgst", "-sha256", "-verify", &key, "-signature", file.to_str().unwrap()];
        head("wechatpay-serial") == self.text("platform_public_key_id") && openssl(&args, text.as_bytes()).0
    }

    fn call_with(&self, method: &str, path: &str, body: Option<Value>, spoil: &str) -> Answered {
        let body = body.map(|b| b.to_string()).unwrap_or_default();
        let stamp = probe::control(self.at.control, "/control/clock", None).unwrap()["now"]
            .as_str()
            .unwrap()
            .to_owned();
        let format = &time::format_description::well_known::Rfc3339;
        let unix = time::OffsetDateTime::parse(&stamp, format).unwrap().unix_timestamp();
        let signature = self.sign(&format!("{method}\n{path}\n{unix}\nn0nce\n{body}{spoil}\n"));
        let authorization = format!(
            "WECHATPAY2-SHA256-RSA2048 mchid=\"{MCHID}\",nonce_str=\"n0nce\",signature=\"{signature}\",timestamp=\"{unix}\",serial_no=\"{}\"",
            self.text("serial_no")
        );
        let headers = [
            ("Authorization", authorization.as_str()),
            ("Accept", "application/json"),
            ("User-Agent", "test"),
            ("Content-Type", "application/json"),
        ];
        probe::ask(self.at.api, method, path, &headers, body.as_bytes()).unwrap()
    }

    fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answered {
        let answered = self.call_with(method, path, body, "");
        let head = |name: &str| answered.header(name).unwrap_or("").to_owned();
        assert!(self.signed(&head, &answered.text()), "reply to {path} is not signed");
        answered
    }

    fn order(&self, number: &str, notify: &str) -> Answered {
        self.call(
            "POST",
            "/v3/pay/transactions/h5",
            Some(json!({
            "appid": self.text("appid"), "mchid": MCHID, "description": "挂号费", "out_trade_no": number,
            "notify_url": notify, "amount": {"total": 5000, "currency": "CNY"},
            "scene_info": {"payer_client_ip": "127.0.0.1", "h5_info": {"type": "Wap"}}})),
        )
    }

    fn query(&self, number: &str) -> Value {
        self.call(
            "GET",
            &format!("/v3/pay/transactions/out-trade-no/{number}?mchid={MCHID}"),
            None,
        )
        .json()
    }

    fn control(&self, path: &str, body: Option<Value>) -> Value {
        probe::control(self.at.control, path, body).unwrap()
    }
}

/// A merchant's notification address: hears one request, answers a status.
struct Bell(TcpListener);

impl Bell {
    fn hang() -> Bell {
        Bell(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    fn url(&self) -> String {
        format!("http://{}/notify", self.0.local_addr().unwrap())
    }

    fn hear(&self, status: u16) -> (Vec<(String, String)>, String) {
        let (mut stream, _) = self.0.accept().unwrap();
        let mut text = Vec::new();
        let mut bytes = [0; 8192];
        loop {
            let count = stream.read(&mut bytes).unwrap();
            text.extend_from_slice(&bytes[..count]);
            let all = String::from_utf8_lossy(&text).into_owned();
            let Some((head, body)) = all.split_once("\r\n\r\n") else {
                continue;
            };
            let headers: Vec<(String, String)> = head
                .lines()
                .filter_map(|line| line.split_once(": "))
                .map(|(k, v)| (k.to_lowercase(), v.to_owned()))
                .collect();
            let length = headers
                .iter()
                .find(|(k, _)| k == "content-length")
                .unwrap()
                .1
                .parse::<usize>()
                .unwrap();
            if body.len() >= length {
                write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n").unwrap();
                return (headers, body.to_owned());
            }
        }
    }
}

fn header_of(headers: &[(String, String)]) -> impl Fn(&str) -> String {
    move |name| {
        headers
            .iter()
            .find(|(k, _)| k == name)
            .map_or(String::new(), |(_, v)| v.clone())
    }
}

#[test]
fn an_order_is_paid_on_the_page_and_told_until_it_is_accepted() {
    let (shop, bell) = (Shop::open(), Bell::hang());
    let made = shop.order("order_001", &bell.url());
    let url = made.json()["h5_url"].as_str().unwrap().to_owned();
    assert_eq!(shop.query("order_001")["trade_state"], "NOTPAY");
    let page = url.strip_prefix(&format!("http://{}", shop.at.api)).unwrap();
    let page = probe::ask(
        shop.at.api,
        "GET",
        &format!("{page}&redirect_url=http%3A%2F%2Fshop%2Fback"),
        &[],
        b"",
    )
    .unwrap();
    assert!(page.text().contains("确认支付") && page.text().contains("50.00"));
    let prepay = url.split("prepay_id=").nth(1).unwrap().split('&').next().unwrap();
    let form = format!("prepay_id={prepay}&redirect_url=http%3A%2F%2Fshop%2Fback");
    let kind = [("Content-Type", "application/x-www-form-urlencoded")];
    let back = probe::ask(shop.at.api, "POST", "/h5/pay", &kind, form.as_bytes()).unwrap();
    assert_eq!((back.status, back.header("location")), (303, Some("http://shop/back")));
    let (headers, first) = bell.hear(500);
    assert!(shop.signed(&header_of(&headers), &first));
    let (headers, second) = bell.hear(204);
    assert!(shop.signed(&header_of(&headers), &second));
    let id = |text: &str| serde_json::from_str::<Value>(text).unwrap()["id"].clone();
    assert_eq!(id(&first), id(&second));
    let paid = shop.query("order_001");
    assert_eq!(
        (&paid["trade_state"], &paid["amount"]["total"]),
        (&json!("SUCCESS"), &json!(5000))
    );
    assert_eq!(shop.order("order_001", &bell.url()).json()["code"], "ORDERPAID");
}

#[test]
fn a_wrong_signature_or_an_old_request_is_refused() {
    let shop = Shop::open();
    let path = format!("/v3/pay/transactions/out-trade-no/order_001?mchid={MCHID}");
    assert_eq!(shop.call_with("GET", &path, None, "x").status, 401);
    assert_eq!(shop.call("GET", &path, None).status, 404);
    let old = shop.sign(&format!("GET\n{path}\n1700000000\nn0nce\n\n"));
    let authorization = format!(
        "WECHATPAY2-SHA256-RSA2048 mchid=\"{MCHID}\",nonce_str=\"n0nce\",signature=\"{old}\",timestamp=\"1700000000\",serial_no=\"{}\"",
        shop.text("serial_no")
    );
    let headers = [
        ("Authorization", authorization.as_str()),
        ("Accept", "*/*"),
        ("User-Agent", "test"),
    ];
    assert_eq!(
        probe::ask(shop.at.api, "GET", &path, &headers, b"").unwrap().status,
        401
    );
}

#[test]
fn asking_again_gives_the_same_order_and_changed_parameters_are_refused() {
    let shop = Shop::open();
    let prepay = |a: &Answered| {
        a.json()["h5_url"]
            .as_str()
            .unwrap()
            .split('&')
            .next()
            .unwrap()
            .to_owned()
    };
    let (first, second) = (
        shop.order("order_001", "http://x/n"),
        shop.order("order_001", "http://x/n"),
    );
    assert_eq!(prepay(&first), prepay(&second));
    assert_eq!(
        shop.order("order_001", "http://x/other").json()["code"],
        "INVALID_REQUEST"
    );
    let close = "/v3/pay/transactions/out-trade-no/order_001/close";
    assert_eq!(shop.call("POST", close, Some(json!({"mchid": MCHID}))).status, 204);
    assert_eq!(shop.query("order_001")["trade_state"], "CLOSED");
    assert!(probe::control(shop.at.control, "/control/pay/order_001", Some(json!({}))).is_err());
}

#[test]
fn a_refund_is_processing_first_and_the_ledger_knows_it_once() {
    let (shop, bell) = (Shop::open(), Bell::hang());
    shop.order("order_001", &bell.url());
    shop.control("/control/pay/order_001", Some(json!({})));
    bell.hear(204);
    shop.control(
        "/control/faults",
        Some(json!({"op": "refund", "kind": "refund_processing", "ms": 3_600_000})),
    );
    let refund = |number: &str, amount: i64| {
        let body = json!({"out_trade_no": "order_001", "out_refund_no": number, "notify_url": bell.url(),
            "amount": {"refund": amount, "total": 5000, "currency": "CNY"}});
        shop.call("POST", "/v3/refund/domestic/refunds", Some(body)).json()
    };
    let first = refund("ref_1", 2000);
    assert_eq!(first["status"], "PROCESSING");
    assert_eq!(refund("ref_1", 2000)["refund_id"], first["refund_id"]);
    assert_eq!(refund("ref_2", 3001)["code"], "INVALID_REQUEST");
    let state = || shop.call("GET", "/v3/refund/domestic/refunds/ref_1", None).json()["status"].clone();
    assert_eq!(state(), "PROCESSING");
    shop.control("/control/refunds/ref_1", Some(json!({"status": "SUCCESS"})));
    let (headers, body) = bell.hear(200);
    assert!(shop.signed(&header_of(&headers), &body) && body.contains("REFUND.SUCCESS"));
    assert_eq!(state(), "SUCCESS");
    let ledger = shop.control("/control/ledger", None);
    assert_eq!(
        (&ledger["paid_fen"], &ledger["refunded_fen"]),
        (&json!(5000), &json!(2000))
    );
}

#[test]
fn forged_tampered_and_probing_notifications_are_distinguishable_and_followed_by_a_proper_one() {
    let (shop, bell) = (Shop::open(), Bell::hang());
    for (n, kind) in ["notify_forged", "notify_probe", "notify_tampered"]
        .into_iter()
        .enumerate()
    {
        let number = format!("order_00{n}");
        shop.order(&number, &bell.url());
        shop.control(
            "/control/faults",
            Some(json!({"op": "notify.transaction", "kind": kind})),
        );
        shop.control(&format!("/control/pay/{number}"), Some(json!({})));
        let (headers, body) = bell.hear(401);
        // A tampered one is signed over its tampered bytes: only the decryption tells.
        assert_eq!(
            shop.signed(&header_of(&headers), &body),
            kind == "notify_tampered",
            "{kind}"
        );
        let (headers, body) = bell.hear(204);
        assert!(shop.signed(&header_of(&headers), &body), "{kind}");
    }
    shop.control(
        "/control/faults",
        Some(json!({"op": "notify.transaction", "kind": "notify_drop"})),
    );
    shop.order("order_009", &bell.url());
    shop.control("/control/pay/order_009", Some(json!({})));
    let until = Instant::now() + Duration::from_secs(60);
    let lost = || {
        shop.control("/control/notifies", None)
            .as_array()
            .unwrap()
            .iter()
            .any(|n| n["state"] == "lost")
    };
    while !lost() {
        assert!(Instant::now() < until, "never dropped");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(shop.query("order_009")["trade_state"], "SUCCESS");
    assert!(Path::new(&shop.text("merchant_private_key_file")).exists());
}
