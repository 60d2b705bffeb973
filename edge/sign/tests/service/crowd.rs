//! Many users at the same time.

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::json;

use crate::site::{Answer, App, Site, b64};

const USERS: usize = 500;

/// Connections that stand to this port, as the system counts them.
fn connections(port: u16) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp6").expect("connections");
    let (local, established) = (format!(":{port:04X}"), "01");
    let rows = table
        .lines()
        .skip(1)
        .map(|row| row.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[1].ends_with(&local) && row[3] == established)
        .count()
}

/// Each user's connection stands before the first of them asks for a signature, and all of them ask at once.
///
/// Rows: AP-231
#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_users_at_once_are_each_signed_for() {
    let site = Site::new(&["sm2"]);
    let users: Vec<App> = (0..USERS).map(|_| site.his()).collect();
    let ready = join_all(users.iter().map(|user| user.get("/ready"))).await;
    assert!(ready.iter().all(|answer| answer.status == StatusCode::OK));
    assert!(connections(site.port) >= USERS, "{}", connections(site.port));

    let data = |n: usize| b64(format!("处方 {n}"));
    let asked = users.iter().enumerate();
    let signed = join_all(asked.map(|(n, user)| user.post("/v1/data/sign", json!({"data": data(n)})))).await;
    let signed: Vec<_> = signed.into_iter().map(Answer::done).collect();
    let checked = users.iter().zip(&signed).enumerate().map(|(n, (user, signed))| {
        let body = json!({"data": data(n), "signature": signed["signature"], "certificate": signed["certificate"]});
        user.post("/v1/data/verify", body)
    });
    for answer in join_all(checked).await {
        answer.done();
    }
    assert!(connections(site.port) >= USERS, "nobody had to come again");
    let log = rusqlite::Connection::open(site.state().join("signd.db")).expect("log");
    let entries: u32 = log
        .query_row("SELECT count(*) FROM log WHERE act = 'data.signed'", [], |row| {
            row.get(0)
        })
        .expect("count");
    assert_eq!(entries as usize, USERS);
}
