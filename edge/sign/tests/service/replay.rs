//! Requests signed with a key that somebody took down and sends again after a restart of the server.

use std::time::Duration;

use records::Timestamp;
use serde_json::json;

use crate::site::{Answer, App, Site, b64};

const SIGN: &str = "/v1/data/sign";

/// A request as it went over the line.
struct Captured {
    authorization: String,
    body: String,
}

impl Captured {
    fn new(site: &Site, nonce: &str, at: Timestamp) -> Self {
        let body = json!({"data": b64(format!("处方 {nonce}"))}).to_string();
        let authorization = site.authorization(SIGN, body.as_bytes(), nonce, at);
        Self { authorization, body }
    }

    async fn send(&self, from: &App) -> Answer {
        let headers = [
            ("content-type", "application/json"),
            ("authorization", self.authorization.as_str()),
        ];
        from.send(SIGN, &headers, self.body.clone()).await
    }
}

fn now() -> Timestamp {
    Timestamp::from_offset(time::OffsetDateTime::now_utc())
}

/// How many signatures there are in the log.
fn signed(site: &Site) -> u32 {
    let log = rusqlite::Connection::open(site.state().join("signd.db")).expect("log");
    let sql = "SELECT count(*) FROM log WHERE act = 'data.signed'";
    log.query_row(sql, [], |row| row.get(0)).expect("count")
}

#[tokio::test]
async fn what_was_captured_before_the_power_went_signs_nothing_after_it() {
    let mut site = Site::new(&["sm2"]);
    // What is signed for so long ago is still heard after two restarts, however long they take.
    let two_minutes = Duration::from_secs(120);
    // Clocks that are right, behind and ahead.
    let captured = [
        Captured::new(&site, "right00001", now()),
        Captured::new(&site, "behind0001", now().minus(two_minutes)),
        Captured::new(&site, "ahead00001", now().plus(two_minutes)),
    ];
    let line = site.caller(None);
    for request in &captured {
        request.send(&line).await.done();
        assert_eq!(request.send(&line).await.refused(), "replayed");
    }
    assert_eq!(signed(&site), 3);

    for life in 1..=2 {
        site.again("", |_| {});
        let line = site.caller(None);
        let mut after = None;
        for request in &captured {
            let answer = request.send(&line).await;
            let said = answer.headers["sign-after"].to_str().expect("text").to_owned();
            after = Some(Timestamp::parse(&said).expect("time"));
            assert!(
                answer.text().contains(&said),
                "a person reads it as well: {}",
                answer.text()
            );
            assert_eq!(answer.refused(), "signed_before_start");
            site.logged("signed_before_start");
        }
        // Nobody waits: signed anew, for the time that was said, it is done at once.
        let after = after.expect("said").plus(Duration::from_millis(1));
        let anew = Captured::new(&site, &format!("anew{life}00001"), after);
        anew.send(&line).await.done();
        assert_eq!(anew.send(&line).await.refused(), "replayed");
        // Who has a certificate is not concerned.
        site.his().post(SIGN, json!({"data": b64("处方")})).await.done();
        assert_eq!(signed(&site), 3 + 2 * life);
    }
}

#[tokio::test]
async fn an_application_whose_clock_is_right_signs_anew_within_seconds() {
    let mut site = Site::new(&["sm2"]);
    let before = Captured::new(&site, "before0001", now());
    before.send(&site.caller(None)).await.done();
    site.again("", |_| {});
    let line = site.caller(None);
    let answer = before.send(&line).await;
    let mark = Timestamp::parse(answer.headers["sign-after"].to_str().expect("text")).expect("time");
    assert_eq!(answer.refused(), "signed_before_start");
    let ahead = mark.since(now());
    assert!(
        ahead <= Duration::from_secs(2),
        "no further ahead than a mark is raised: {ahead:?}"
    );
    for number in 0.. {
        let at = now();
        let answer = Captured::new(&site, &format!("anew{number:06}"), at).send(&line).await;
        if answer.status.is_success() {
            break;
        }
        assert_eq!(answer.refused(), "signed_before_start");
        assert!(at <= mark, "its own time has come");
    }
}
