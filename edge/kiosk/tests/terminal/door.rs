//! Who may open the page, and what the unit may do.

use std::net::SocketAddr;
use std::time::Duration;

use kiosk::Config;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::hall::Hall;

#[tokio::test(flavor = "multi_thread")]
async fn only_the_terminal_under_its_own_name_sees_a_page() {
    let hall = Hall::open().await;
    hall.until("a screen", |s| s["view"] == "home").await;
    let asked = |path: &str, name: &'static str, value: &'static str| {
        hall.http.get(format!("{}{path}", hall.page)).header(name, value).send()
    };
    assert_eq!(asked("/", "x-nothing", "1").await.unwrap().status(), 200);
    assert_eq!(asked("/", "host", "evil.example").await.unwrap().status(), 403);
    assert_eq!(
        asked("/api/screen", "sec-fetch-site", "cross-site")
            .await
            .unwrap()
            .status(),
        403
    );
    let page = asked("/kiosk.js", "x-nothing", "1").await.unwrap();
    assert!(
        page.headers()["content-security-policy"]
            .to_str()
            .unwrap()
            .contains("default-src 'none'")
    );
    for body in [
        "",
        "{}",
        "[]",
        r#"{"session":1,"act":"admin"}"#,
        r#"{"session":-1,"act":"back"}"#,
    ] {
        let url = format!("{}/api/tap", hall.page);
        let sent = hall
            .http
            .post(url)
            .header("content-type", "application/json")
            .body(body)
            .send();
        assert_eq!(sent.await.unwrap().status(), 400, "{body}");
    }
    // The watchdog hears of a page that draws.
    let health = async || {
        hall.http
            .get(format!("{}/health", hall.page))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    };
    assert_eq!(health().await, r#"{"page_silent_s":null}"#);
    hall.post(format!("{}/api/drawn", hall.page), json!({})).await;
    assert!(health().await.starts_with(r#"{"page_silent_s":"#) && !health().await.contains("null"));
    // On another address only with a list of who may come.
    let open: Config = serde_json::from_value(json!({ "listen": "0.0.0.0:8093", "hospital": "医院" })).unwrap();
    assert!(open.check(std::iter::empty()).is_err());
    hall.stop.cancel();
}

/// A connection from this machine's other address, as of another terminal.
async fn connected(page: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 2], 0))).unwrap();
    socket.connect(page).await.unwrap()
}

/// Until the other side ends it.
async fn ends(mut line: TcpStream) {
    let mut answer = Vec::new();
    let end = timeout(Duration::from_secs(120), line.read_to_end(&mut answer)).await;
    // A reset ends it as well; a connection that says nothing must not stay for ever.
    drop(end.unwrap());
}

/// A terminal out of order, or somebody at its socket, opens connections and says nothing, or half of something. It has as
/// many as one address may have and no more, the patient at the other terminal is served all the while, and in the end
/// each of them is closed and makes room.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_say_nothing_are_ended_and_keep_no_patient_from_being_served() {
    let hall = Hall::open().await;
    hall.until("a screen", |s| s["view"] == "home").await;
    let page: SocketAddr = hall.page.strip_prefix("http://").unwrap().parse().unwrap();
    let halves: [&[u8]; 3] = [
        b"",
        b"GET /api/screen HTTP/1.1\r\nhost: ",
        b"POST /api/tap HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{",
    ];
    let mut silent = Vec::new();
    for n in 0..100 {
        let mut line = connected(page).await;
        // Closed at once when there are too many.
        let _ = line.write_all(halves[n % halves.len()]).await;
        silent.push(line);
    }
    hall.tap("task:fees").await;
    hall.until("the patient served", |s| s["view"] == "identify").await;
    hall.tap("back").await;
    hall.until("the patient served", |s| s["view"] == "home").await;
    for line in silent {
        ends(line).await;
    }
    // There is room again where there was none.
    let mut again = connected(page).await;
    let ask = format!("GET /health HTTP/1.1\r\nhost: {page}\r\nconnection: close\r\n\r\n");
    again.write_all(ask.as_bytes()).await.unwrap();
    let mut answer = String::new();
    again.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    hall.stop.cancel();
}

/// The unit says nothing that systemd does not know, and leaves its program little: judged by systemd's own tools. On the
/// bench there is no compositor to start.
#[test]
fn the_unit_is_one_that_systemd_understands_and_locks_down() {
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/yiqiao-kiosk.service");
    let judged = |args: &[&str]| {
        let out = std::process::Command::new("systemd-analyze")
            .args(args)
            .arg(unit)
            .output();
        let out = out.unwrap();
        let said = [out.stdout, out.stderr].concat();
        (out.status.success(), String::from_utf8_lossy(&said).into_owned())
    };
    let (_, said) = judged(&["verify", "--man=no"]);
    let others: Vec<&str> = said
        .lines()
        .filter(|l| !l.contains("/usr/bin/cage is not executable"))
        .collect();
    assert!(others.is_empty(), "{said}");
    // Tenths: 2.6 of 10, where more is worse.
    let (fits, said) = judged(&["security", "--offline=true", "--no-pager", "--threshold=30"]);
    assert!(fits, "{said}");
}
