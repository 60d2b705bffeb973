//! Many users at the same time.

use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use reqwest::StatusCode;
use serde_json::json;
use tokio::time::{sleep, timeout};

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
    // A few at a time: a handshake has its deadline, and all have one machine.
    let come = stream::iter(&users).map(|user| user.get("/ready"));
    let ready: Vec<Answer> = come.buffer_unordered(16).collect().await;
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

/// What one address may have in the test.
const BOUND: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_takes_all_it_may_have_keeps_nobody_else_out() {
    let [greedy, other, balancer] = [1, 2, 3].map(|last| IpAddr::from([127, 0, 0, last]));
    let settings = format!("[service]\nconnections_per_address = {BOUND}\nbalancers = [\"{balancer}\"]\n");
    let site = Site::with(&["sm2"], &settings, |_| {});
    // Each client keeps its one connection.
    let come = |from: IpAddr| App::from(site.port, &site.pem, from);
    let mut held: Vec<App> = (0..BOUND).map(|_| come(greedy)).collect();
    for app in &held {
        assert!(app.is_let_in().await);
    }
    for _ in 0..3 {
        assert!(!come(greedy).is_let_in().await, "closed at once");
    }
    let served = come(other).post("/v1/data/sign", json!({"data": b64("处方")})).await;
    served.done();
    let behind_balancer: Vec<App> = (0..2 * BOUND).map(|_| come(balancer)).collect();
    for app in held.iter().chain(&behind_balancer) {
        assert!(app.is_let_in().await, "what it has it keeps");
    }
    // Who leaves makes room.
    held.pop();
    let room = async {
        while !come(greedy).is_let_in().await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(30), room).await.expect("room was made");
}
