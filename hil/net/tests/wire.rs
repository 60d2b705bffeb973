//! SMS gateway, printer, proxy and TPM driven over their sockets.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop"
)]

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bench_net::{printer, proxy, sms, tpm};
use rig::probe;
use serde_json::{Value, json};

const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// For whatever must come; making a TPM means finding big primes.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs a peer on a runtime of its own and waits for what it says when serving.
fn start<T: Send + 'static, F: Future<Output = Result<(), bench_net::NetError>>>(
    peer: impl FnOnce(mpsc::Sender<T>) -> F + Send + 'static,
) -> T {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(peer(send)).unwrap();
    });
    receive.recv_timeout(PATIENCE).unwrap()
}

fn openssl(args: &[&str], input: &[u8]) -> String {
    let mut child = Command::new("openssl")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let text = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    text.rsplit("= ").next().unwrap().trim().to_owned()
}

fn mac(key_hex: &str, text: &str) -> String {
    openssl(
        &[
            "dgst",
            "-sha256",
            "-mac",
            "HMAC",
            "-macopt",
            &format!("hexkey:{key_hex}"),
        ],
        text.as_bytes(),
    )
}

fn hex(text: &str) -> String {
    text.bytes().map(|b| format!("{b:02x}")).collect()
}

/// SendSms as the vendor's documentation signs it, by the openssl command.
fn send_sms(api: SocketAddr, now: i64, key: &str) -> Value {
    let body = r#"{"PhoneNumberSet":["+8613807460001"],"SmsSdkAppId":"1400","TemplateId":"1","SignName":"医院","TemplateParamSet":["123456"]}"#;
    let day = time::OffsetDateTime::from_unix_timestamp(now)
        .unwrap()
        .date()
        .to_string();
    let sha = |text: &str| openssl(&["dgst", "-sha256"], text.as_bytes());
    let canonical = format!(
        "POST\n/\n\ncontent-type:application/json; charset=utf-8\nhost:{api}\n\ncontent-type;host\n{}",
        sha(body)
    );
    let text = format!("TC3-HMAC-SHA256\n{now}\n{day}/sms/tc3_request\n{}", sha(&canonical));
    let key = ["sms", "tc3_request"]
        .into_iter()
        .fold(mac(&hex(&format!("TC3{key}")), &day), |key, part| mac(&key, part));
    let authorization = format!(
        "TC3-HMAC-SHA256 Credential=id/{day}/sms/tc3_request, SignedHeaders=content-type;host, Signature={}",
        mac(&key, &text)
    );
    let stamp = now.to_string();
    let headers = [
        ("Authorization", authorization.as_str()),
        ("Content-Type", "application/json; charset=utf-8"),
        ("X-TC-Action", "SendSms"),
        ("X-TC-Version", "2021-01-11"),
        ("X-TC-Timestamp", &stamp),
    ];
    probe::ask(api, "POST", "/", &headers, body.as_bytes()).unwrap().json()["Response"].clone()
}

#[test]
fn a_message_with_a_right_signature_reaches_the_phone_and_one_without_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("totp.json");
    std::fs::write(&file, r#"{"dr.zhang":"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"}"#).unwrap();
    let settings = sms::Settings {
        api: ANY,
        control: ANY,
        secret_id: "id".into(),
        secret_key: "secret".into(),
        totp: Some(file),
    };
    let (api, control) = start(move |told| sms::run(settings, move |a, c| told.send((a, c)).unwrap()));
    let now = rig::Clock::default().unix();
    assert_eq!(
        send_sms(api, now, "wrong")["Error"]["Code"],
        "AuthFailure.SignatureFailure"
    );
    assert_eq!(
        send_sms(api, now - 4_000, "secret")["Error"]["Code"],
        "AuthFailure.SignatureExpire"
    );
    assert_eq!(send_sms(api, now, "secret")["SendStatusSet"][0]["Code"], "Ok");
    let inbox = probe::control(control, "/control/messages?phone=13807460001", None).unwrap();
    assert_eq!(inbox.as_array().unwrap().len(), 1);
    assert_eq!(inbox[0]["params"][0], "123456");
    let page = probe::ask(api, "GET", "/", &[], b"").unwrap().text();
    assert!(page.contains("演示手机") && page.contains("123456") && page.contains("dr.zhang"));
    let code = probe::control(control, "/control/totp/dr.zhang", None).unwrap();
    assert_eq!(code["code"].as_str().unwrap().len(), 6);
    probe::control(
        control,
        "/control/faults",
        Some(json!({"op": "SendSms", "kind": "drop"})),
    )
    .unwrap();
    assert_eq!(send_sms(api, now, "secret")["SendStatusSet"][0]["Code"], "Ok");
    let inbox = probe::control(control, "/control/messages", None).unwrap();
    assert_eq!(inbox.as_array().unwrap().len(), 1, "accepted and lost");
}

struct Paper {
    stream: TcpStream,
    control: SocketAddr,
}

impl Paper {
    fn start() -> (SocketAddr, SocketAddr) {
        let settings = printer::Settings {
            port: ANY,
            control: ANY,
            tongue: printer::Tongue::Escpos,
            dots: 576,
            dpi: 203,
            rows_per_s: 0,
            idle_s: 0,
            paper: true,
        };
        start(move |told| printer::run(settings, move |p, c| told.send((p, c)).unwrap()))
    }

    fn dial((port, control): (SocketAddr, SocketAddr)) -> Paper {
        let stream = TcpStream::connect(port).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Paper { stream, control }
    }

    fn say(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    fn byte(&mut self) -> u8 {
        let mut one = [0];
        self.stream.read_exact(&mut one).unwrap();
        one[0]
    }

    fn status(&mut self, n: u8) -> u8 {
        self.say(&[0x10, 0x04, n]);
        self.byte()
    }

    fn state(&self, with: Value) -> Value {
        probe::control(self.control, "/control/state", Some(with)).unwrap()
    }

    fn jobs(&self) -> Vec<Value> {
        probe::control(self.control, "/control/jobs", None)
            .unwrap()
            .as_array()
            .unwrap()
            .clone()
    }

    fn until(&self, what: &str, true_of: impl Fn(&[Value]) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !true_of(&self.jobs()) {
            assert!(Instant::now() < until, "{what}");
        }
    }
}

/// A picture 576 dots wide, every dot black.
fn picture(rows: u8) -> Vec<u8> {
    let mut out = vec![0x1d, b'v', b'0', 0, 72, 0, rows, 0];
    out.extend(std::iter::repeat_n(0xff, 72 * usize::from(rows)));
    out
}

const CUT: &[u8] = b"\x1dV\x00";
const FENCE: &[u8] = b"\x1dr\x01";

#[test]
fn a_slip_is_printed_and_its_picture_has_every_dot() {
    let mut paper = Paper::dial(Paper::start());
    assert_eq!([1, 2, 3, 4].map(|n| paper.status(n)), [0x12; 4]);
    paper.say(&[&picture(50), CUT, FENCE].concat());
    assert_eq!(paper.byte(), 0);
    let jobs = paper.jobs();
    assert_eq!(
        (&jobs[0]["rows"], &jobs[0]["black_dots"]),
        (&json!(50), &json!(50 * 576))
    );
    assert_eq!(jobs[0]["ended_by"], "cut");
    let png = probe::ask(paper.control, "GET", jobs[0]["png"].as_str().unwrap(), &[], b"")
        .unwrap()
        .body;
    let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
    let mut dots = vec![1; reader.output_buffer_size().unwrap()];
    let shape = reader.next_frame(&mut dots).unwrap();
    assert_eq!((shape.width, shape.height), (576, 50));
    assert!(dots.iter().all(|byte| *byte == 0), "all black");
}

#[test]
fn without_paper_status_is_answered_and_the_slip_comes_after_refilling() {
    let mut paper = Paper::dial(Paper::start());
    paper.state(json!({"paper": "out"}));
    assert_eq!([1, 2, 4].map(|n| paper.status(n)), [0x1a, 0x32, 0x7e]);
    paper.say(&[&picture(10), CUT, FENCE].concat());
    assert_eq!(paper.status(1), 0x1a, "the fence is not answered");
    assert!(paper.jobs().is_empty());
    paper.state(json!({"paper": "ok"}));
    assert_eq!(paper.byte(), 0);
    assert_eq!(paper.jobs().len(), 1);
    paper.state(json!({"cover_open": true}));
    assert_eq!(paper.status(2), 0x16);
}

#[test]
fn paper_that_ends_in_the_middle_leaves_the_rest_for_later() {
    let at = Paper::start();
    let rule = json!({"op": "job", "kind": "paper_out_after_rows", "rows": 30});
    probe::control(at.1, "/control/faults", Some(rule)).unwrap();
    let mut paper = Paper::dial(at);
    paper.say(&[&picture(100), CUT].concat());
    while paper.status(1) != 0x1a {}
    paper.state(json!({"power": false}));
    paper.until("torn slip", |jobs| jobs.len() == 1);
    let torn = &paper.jobs()[0];
    assert_eq!((&torn["rows"], &torn["ended_by"]), (&json!(30), &json!("power")));
    assert!(paper.stream.read(&mut [0]).is_err(), "reset");
}

#[test]
fn a_slip_whose_sender_went_away_still_comes_out() {
    let at = Paper::start();
    let mut paper = Paper::dial(at);
    paper.state(json!({"paper": "out"}));
    paper.say(&[&picture(10), CUT].concat());
    paper.status(1);
    drop(paper);
    let paper = Paper::dial(at);
    paper.state(json!({"paper": "ok"}));
    paper.until("kept slip", |jobs| jobs.len() == 1);
}

/// A server that sends back what it gets.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind(ANY).unwrap();
    let at = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let (mut from, mut to) = (stream.try_clone().unwrap(), stream);
                std::io::copy(&mut from, &mut to)
            });
        }
    });
    at
}

#[test]
fn a_line_is_cut_swallowed_and_slowed_on_command_and_the_counters_say_so() {
    let pair: proxy::Pair = format!("line=0={}", echo())
        .replace("=0=", "=127.0.0.1:0=")
        .parse()
        .unwrap();
    let (line, control) = start(move |told| {
        proxy::run(vec![pair], ANY, move |lines, control| {
            told.send((lines["line"], control)).unwrap()
        })
    });
    let set = |with: Value| probe::control(control, "/control/lines/line", Some(with)).unwrap();
    let counter = |name: &str| {
        probe::control(control, "/control/lines", None).unwrap()["line"]["counters"][name]
            .as_u64()
            .unwrap()
    };
    let until = |name: &str, count: u64| {
        let until = Instant::now() + PATIENCE;
        while counter(name) < count {
            assert!(Instant::now() < until, "{name} is {}", counter(name));
        }
        assert_eq!(counter(name), count, "{name}");
    };
    let dial = || {
        let stream = TcpStream::connect(line).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    };
    let says_nothing = |stream: &mut TcpStream| {
        stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let error = stream.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "neither bytes nor end");
    };
    let mut byte = [0];
    let mut stream = dial();
    stream.write_all(b"a").unwrap();
    stream.read_exact(&mut byte).unwrap();
    set(json!({"black_hole": true}));
    stream.write_all(b"b").unwrap();
    until("swallowed_bytes", 1);
    says_nothing(&mut stream);
    let mut mute = dial();
    until("connections", 2);
    says_nothing(&mut mute);
    set(json!({"delay_ms": 200}));
    let began = Instant::now();
    let mut slow = dial();
    slow.write_all(b"c").unwrap();
    slow.read_exact(&mut byte).unwrap();
    assert!(began.elapsed() >= Duration::from_millis(400) && counter("delayed") == 2);
    set(json!({"cut": true}));
    assert!(slow.read(&mut byte).is_err(), "reset");
    assert!(dial().read(&mut byte).is_err(), "refused by reset");
    assert!(counter("cut") >= 1 && counter("refused") == 1);
}

#[test]
fn the_software_tpm_answers_commands_and_has_a_certificate() {
    let free = || TcpListener::bind(ANY).unwrap().local_addr().unwrap().port();
    let dir = tempfile::tempdir().unwrap();
    let settings = tpm::Settings {
        state: dir.path().join("tpm"),
        bind: ANY.ip(),
        port: free(),
        control: free(),
    };
    let port = settings.port;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (told, serving) = mpsc::channel();
    let running = runtime.spawn(tpm::run(settings, move || told.send(()).unwrap()));
    serving.recv_timeout(PATIENCE).unwrap();
    let mut stream = TcpStream::connect((ANY.ip(), port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // TPM2_GetRandom of 8 bytes.
    stream
        .write_all(&[0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x7b, 0, 8])
        .unwrap();
    let mut head = [0; 20];
    stream.read_exact(&mut head).unwrap();
    assert_eq!((&head[..2], &head[6..12]), (&[0x80, 0x01][..], &[0, 0, 0, 0, 0, 8][..]));
    let made = std::fs::read_to_string(dir.path().join("tpm/manufactured")).unwrap();
    assert_eq!(made.trim(), "with EK certificate");
    running.abort();
    assert!(runtime.block_on(running).unwrap_err().is_cancelled());
    // The process ends with the peer.
    assert_eq!(stream.read(&mut head).unwrap_or(0), 0);
}
