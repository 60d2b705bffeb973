//! Figures of the line on this machine: both ends, both stores and the broker in one process, mutual TLS on loopback.
//!
//! `cargo run -p link --example figures [entries]` prints JSON: durable log entries per second from edge to cloud, delay
//! of a single entry on an idle line, round trips of calls on an idle line and beside a backlog.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a measurement stops at the first surprise"
)]

#[path = "../tests/ward/mod.rs"]
mod ward;

use std::time::{Duration, Instant};

use records::{Outcome, PeerId};
use serde_json::json;
use ward::*;

const ENTRIES: i64 = 20_000;

fn percentile(sorted: &[Duration], p: f64) -> f64 {
    let at = ((sorted.len() as f64 - 1.0) * p).round() as usize;
    sorted.get(at).copied().unwrap_or_default().as_secs_f64() * 1000.0
}

fn report(name: &str, mut times: Vec<Duration>) -> serde_json::Value {
    times.sort();
    json!({ "name": name, "unit": "ms", "n": times.len(), "p50": percentile(&times, 0.5), "p99": percentile(&times, 0.99) })
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let entries = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(ENTRIES);
    let folder = tempfile::tempdir().expect("a folder");
    let here = open_store(&folder.path().join("edge.db")).await;
    let there = open_store(&folder.path().join("cloud.db")).await;
    let authority = Authority::new("Device CA");
    let cloud = start_cloud(&there, &authority, LOCAL).await;
    let edge = edge_id(1);
    let port = cloud.broker_address().expect("embedded").port();
    let appliance = start_edge(&here, &authority, &edge, port).await;
    wait_online(&cloud, &edge).await;

    let mut single = Vec::new();
    for n in 0..200 {
        let begun = Instant::now();
        append(&here, &PeerId::cloud(), n..n + 1).await;
        while newest(&there).await < n {
            tokio::time::sleep(Duration::from_micros(300)).await;
        }
        single.push(begun.elapsed());
    }
    let idle = calls(&cloud, &edge, 500).await;

    let begun = Instant::now();
    for chunk in (200..200 + entries).step_by(1000) {
        append(&here, &PeerId::cloud(), chunk..(chunk + 1000).min(200 + entries)).await;
    }
    let appended = begun.elapsed();
    let beside = calls(&cloud, &edge, 100).await;
    while newest(&there).await < 199 + entries {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let rate = entries as f64 / begun.elapsed().as_secs_f64();
    let seen = seen(&there).await;
    assert_eq!(seen, numbers(0..200 + entries), "exactly once, in order");
    let results = json!({ "cores": std::thread::available_parallelism().map_or(0, usize::from), "results": [
        { "name": "log, durable end to end", "unit": "entries/s", "value": rate, "appended_in_s": appended.as_secs_f64() },
        report("log, one entry on an idle line, appended to applied", single),
        report("call on an idle line", idle),
        report("call beside a backlog", beside),
    ]});
    println!("{results:#}");
    appliance.stop().await;
    cloud.stop().await;
}

async fn newest(store: &store::Store) -> i64 {
    let scope = store::Scope::system(tenant());
    let read = store.read(&scope, |tx| {
        Box::pin(async move {
            tx.one::<(i64,)>("SELECT COALESCE(MAX(place), 0) - 1 FROM test_seen", &[])
                .await
        })
    });
    read.await.map_or(-1, |(n,)| n)
}

async fn calls(cloud: &link::cloud::CloudLink, edge: &records::id::EdgeId, n: usize) -> Vec<Duration> {
    let mut times = Vec::with_capacity(n);
    for _ in 0..n {
        let asked = Instant::now();
        let answer = cloud
            .call(edge, "echo", None, Duration::from_secs(5), &json!({"dept": "0301"}))
            .await;
        assert!(matches!(answer, Outcome::Done(_)), "{answer:?}");
        times.push(asked.elapsed());
    }
    times
}
