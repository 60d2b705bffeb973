//! Who may open the page, and what the unit may do.

use kiosk::Config;
use serde_json::json;

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
