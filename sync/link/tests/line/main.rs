//! Log and call between real ends over the embedded broker with mutual TLS.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod histories;
#[path = "../ward/mod.rs"]
mod ward;

use std::time::{Duration, Instant};

use link::{DownReason, Outage};
use records::{Outcome, PeerId};
use serde_json::json;
use ward::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_entry_crosses_both_ways_and_a_call_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (
        open_store(&folder.path().join("edge.db")).await,
        open_store(&folder.path().join("cloud.db")).await,
    );
    let authority = Authority::new("Device CA");
    let cloud = start_cloud(&there, &authority, LOCAL).await;
    let edge = edge_id(1);
    let appliance = start_edge(&here, &authority, &edge, cloud.broker_address().unwrap().port()).await;

    append(&here, &PeerId::cloud(), 0..3).await;
    append(&there, &PeerId::edge(&edge), 10..12).await;
    assert_eq!(wait_seen(&there, 3).await, [0, 1, 2]);
    assert_eq!(wait_seen(&here, 2).await, [10, 11]);

    let answer = cloud
        .call(&edge, "echo", Some("k1"), PATIENCE, &json!({"dept": "0301"}))
        .await;
    assert_eq!(answer, Outcome::Done(json!({"said": {"dept": "0301"}, "key": "k1"})));

    let status = wait_status(&mut appliance.status(), "drained and measured", |s| {
        s.buffer_depth == 0 && s.rtt.is_some()
    })
    .await;
    assert!(status.online);
    appliance.stop().await;
    cloud.stop().await;
}

/// A hospital on one machine: both stores, both ends, a breakable line between them.
struct Site {
    folder: tempfile::TempDir,
    here: store::Store,
    there: store::Store,
    authority: Authority,
    cloud: link::cloud::CloudLink,
    proxy: proxy::Proxy,
    appliance: link::edge::EdgeLink,
    edge: records::id::EdgeId,
}

impl Site {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let there = open_store(&folder.path().join("cloud.db")).await;
        Self::open_with(folder, there).await
    }

    async fn open_with(folder: tempfile::TempDir, there: store::Store) -> Self {
        let here = open_store(&folder.path().join("edge.db")).await;
        let authority = Authority::new("Device CA");
        let cloud = start_cloud(&there, &authority, LOCAL).await;
        let proxy = proxy::Proxy::to(cloud.broker_address().unwrap()).await;
        let edge = edge_id(1);
        let appliance = start_edge(&here, &authority, &edge, proxy.port).await;
        wait_online(&cloud, &edge).await;
        Self {
            folder,
            here,
            there,
            authority,
            cloud,
            proxy,
            appliance,
            edge,
        }
    }

    async fn call(&self, method: &str, body: serde_json::Value, deadline: Duration) -> Outcome<serde_json::Value> {
        self.cloud.call(&self.edge, method, None, deadline, &body).await
    }

    async fn close(self) {
        self.appliance.stop().await;
        self.cloud.stop().await;
    }
}

/// Rows: YZ-N-009
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_written_while_the_line_was_cut_arrives_once_and_in_order_when_it_heals_without_new_input() {
    let site = Site::open().await;
    let edge = PeerId::edge(&site.edge);
    append(&site.here, &PeerId::cloud(), 0..50).await;
    wait_seen(&site.there, 50).await;

    site.proxy.cut().await;
    let mut status = site.appliance.status();
    wait_status(&mut status, "offline", |s| !s.online).await;
    assert!(site.proxy.cut_connections() >= 2, "the cut fired");
    append(&site.here, &PeerId::cloud(), 50..400).await;
    append(&site.there, &edge, 0..100).await;
    let waiting = wait_status(&mut status, "buffering", |s| s.buffer_depth >= 350).await;
    assert!(!waiting.online);

    site.proxy.set(proxy::Weather::Fair);
    assert_eq!(wait_seen(&site.there, 400).await, numbers(0..400));
    assert_eq!(wait_seen(&site.here, 100).await, numbers(0..100));
    wait_status(&mut status, "drained", |s| s.online && s.buffer_depth == 0).await;
    site.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_black_hole_is_noticed_and_the_backlog_drains_over_a_new_connection() {
    let site = Site::open().await;
    site.proxy.set(proxy::Weather::BlackHole);
    append(&site.here, &PeerId::cloud(), 0..200).await;
    append(&site.there, &PeerId::edge(&site.edge), 0..20).await;
    let mut status = site.appliance.status();
    let down = wait_status(&mut status, "offline", |s| !s.online).await;
    // The line's own word, or that of the connection it then gives up.
    let told = [
        Outage::Line(DownReason::Silent),
        Outage::Wire("the cloud is silent".to_owned()),
    ];
    let reason = down.reason.unwrap();
    assert!(told.contains(&reason), "{reason:?}");
    until("the black hole fired", async || site.proxy.swallowed_bytes() > 0).await;
    assert_eq!(seen(&site.there).await, Vec::<i64>::new());

    site.proxy.set(proxy::Weather::Fair);
    assert_eq!(wait_seen(&site.there, 200).await, numbers(0..200));
    assert_eq!(wait_seen(&site.here, 20).await, numbers(0..20));
    site.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_to_an_appliance_that_is_away_is_answered_without_waiting_for_it() {
    // Whoever waited would wait for minutes.
    let deadline = 5 * PATIENCE;
    let site = Site::open().await;
    let (unknown, body) = (edge_id(2), json!({}));
    let call = site.cloud.call(&unknown, "echo", None, deadline, &body);
    let answer = tokio::time::timeout(PATIENCE, call).await.unwrap();
    assert!(matches!(answer, Outcome::Later { .. }), "never heard of: {answer:?}");

    site.proxy.cut().await;
    until("the cloud notices the cut", async || !site.cloud.online(&site.edge)).await;
    let answer = tokio::time::timeout(PATIENCE, site.call("echo", json!({}), deadline))
        .await
        .unwrap();
    assert!(matches!(answer, Outcome::Later { .. }), "hung up: {answer:?}");
    site.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_swallowed_by_the_line_is_unknown_at_its_deadline_and_not_before_it_could_be_known() {
    let site = Site::open().await;
    site.proxy.set(proxy::Weather::BlackHole);
    let asked = Instant::now();
    let answer = site
        .cloud
        .call(&site.edge, "echo", Some("key"), Duration::from_millis(800), &json!({}))
        .await;
    assert_eq!(answer, Outcome::Unknown);
    assert!(asked.elapsed() >= Duration::from_millis(790), "{:?}", asked.elapsed());
    until("the black hole fired", async || site.proxy.swallowed_bytes() > 0).await;
    site.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_two_calls_run_sixty_four_wait_and_the_next_is_told_to_come_later() {
    let site = std::sync::Arc::new(Site::open().await);
    let (running, sign) = (site.folder.path().join("running"), site.folder.path().join("go on"));
    std::fs::create_dir(&running).unwrap();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..120 {
        let (site, body) = (site.clone(), json!({ "running": running, "until": sign }));
        calls.spawn(async move { site.call("held", body, 3 * PATIENCE).await });
    }
    for _ in 0..24 {
        let answer = calls.join_next().await.unwrap().unwrap();
        assert!(matches!(answer, Outcome::Later { .. }), "{answer:?}");
    }
    let at_once = || std::fs::read_dir(&running).unwrap().count();
    until("thirty-two run", async || at_once() >= 32).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(at_once(), 32, "the others wait their turn");

    std::fs::write(&sign, "").unwrap();
    for _ in 0..96 {
        let answer = calls.join_next().await.unwrap().unwrap();
        assert_eq!(answer, Outcome::Done(json!("at last")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_answer_arrives_and_one_beyond_the_frame_is_refused_by_name() {
    let site = Site::open().await;
    let answer = site
        .call("large", json!({"bytes": 2_000_000}), Duration::from_secs(10))
        .await;
    assert_eq!(answer.done().and_then(|v| v.as_str().map(str::len)), Some(2_000_000));
    let answer = site
        .call("large", json!({"bytes": 5_000_000}), Duration::from_secs(10))
        .await;
    assert!(
        matches!(answer, Outcome::Refused { ref code, .. } if code == "answer_too_large"),
        "{answer:?}"
    );
    site.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_kind_and_a_poisonous_entry_are_parked_and_the_log_goes_on() {
    let site = Site::open().await;
    append(&site.here, &PeerId::cloud(), 0..2).await;
    append_kind(&site.here, &PeerId::cloud(), "from.the.future", 2..3).await;
    append_kind(&site.here, &PeerId::cloud(), "test.poison", 3..4).await;
    append(&site.here, &PeerId::cloud(), 4..6).await;
    assert_eq!(
        wait_seen(&site.there, 4).await,
        [0, 1, 4, 5],
        "the poison left no trace"
    );
    let parked = site
        .there
        .read(&store::Scope::system(tenant()), |tx| {
            Box::pin(async move { tx.parked(10).await })
        })
        .await
        .unwrap();
    let told: Vec<_> = parked
        .iter()
        .map(|p| (p.entry.seq, p.entry.kind.as_str(), p.reason.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (3, "from.the.future", "unknown kind from.the.future"),
            (4, "test.poison", "cannot be digested")
        ]
    );
    site.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cloud_on_postgresql_takes_and_gives_the_same_log() {
    let there = open_postgres(&kit::postgres::database()).await;
    let site = Site::open_with(tempfile::tempdir().unwrap(), there).await;
    append(&site.here, &PeerId::cloud(), 0..300).await;
    append(&site.there, &PeerId::edge(&site.edge), 0..30).await;
    assert_eq!(wait_seen(&site.there, 300).await, numbers(0..300));
    assert_eq!(wait_seen(&site.here, 30).await, numbers(0..30));
    site.close().await;
}

/// An appliance keeps a text with U+0000, PostgreSQL does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_with_a_zero_character_is_parked_by_the_cloud_on_postgresql_and_the_log_goes_on() {
    let there = open_postgres(&kit::postgres::database()).await;
    let site = Site::open_with(tempfile::tempdir().unwrap(), there).await;
    append(&site.here, &PeerId::cloud(), 0..2).await;
    let scope = store::Scope::system(tenant());
    let written = site.here.write(&scope, |tx| {
        Box::pin(async move {
            let word = json!({ "word": "欧阳\0静" });
            tx.append(&PeerId::cloud(), records::Lane::Clinical, "test.word", "e\0", &word)
                .await
                .map(drop)
        })
    });
    written.await.unwrap_or_else(|e: store::StoreError| panic!("{e}"));
    append(&site.here, &PeerId::cloud(), 3..5).await;
    assert_eq!(wait_seen(&site.there, 4).await, [0, 1, 3, 4]);
    let parked = site
        .there
        .read(&scope, |tx| Box::pin(async move { tx.parked(10).await }))
        .await
        .unwrap();
    let told: Vec<_> = parked
        .iter()
        .map(|p| (p.entry.seq, p.entry.kind.as_str(), p.entry.entity.as_str()))
        .collect();
    assert_eq!(told, [(3, "test.word", "e ")]);
    site.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_cloud_with_its_broker_is_met_again_and_both_backlogs_drain() {
    let Site {
        folder,
        here,
        there,
        authority,
        cloud,
        proxy: line,
        appliance,
        edge,
    } = Site::open().await;
    let listen = cloud.broker_address().unwrap();
    append(&here, &PeerId::cloud(), 0..20).await;
    wait_seen(&there, 20).await;
    cloud.stop().await;
    let mut status = appliance.status();
    wait_status(&mut status, "offline", |s| !s.online).await;
    append(&here, &PeerId::cloud(), 20..60).await;

    let cloud = start_cloud(&there, &authority, listen).await;
    append(&there, &PeerId::edge(&edge), 0..10).await;
    assert_eq!(wait_seen(&there, 60).await, numbers(0..60));
    assert_eq!(wait_seen(&here, 10).await, numbers(0..10));
    appliance.stop().await;
    cloud.stop().await;
    drop((line, folder));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_appended_by_another_process_is_found_by_the_timer_alone() {
    let site = Site::open().await;
    let other = open_store(&site.folder.path().join("edge.db")).await;
    append(&other, &PeerId::cloud(), 0..3).await;
    assert_eq!(wait_seen(&site.there, 3).await, [0, 1, 2]);
    site.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_panics_answers_unknown_and_the_next_call_is_served() {
    let site = Site::open().await;
    for _ in 0..40 {
        assert_eq!(
            site.call("panic", json!({}), Duration::from_secs(10)).await,
            Outcome::Unknown
        );
    }
    assert!(matches!(
        site.call("echo", json!(1), Duration::from_secs(5)).await,
        Outcome::Done(_)
    ));
    site.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_appliance_that_stops_says_good_bye() {
    let site = Site::open().await;
    let mut changes = site.cloud.changes();
    site.appliance.stop().await;
    let offline = async {
        loop {
            let status = changes.recv().await.unwrap().status;
            if !status.online {
                return status.reason;
            }
        }
    };
    let noticed = tokio::time::timeout(PATIENCE, offline).await.unwrap().unwrap();
    // On a busy machine the good-bye may be overtaken by the end of its connection; silence would be noticed much later.
    let told = [
        Outage::Line(DownReason::PeerRestarted),
        Outage::Line(DownReason::Disconnected),
        Outage::Wire("the appliance hung up".to_owned()),
    ];
    assert!(told.contains(&noticed), "{noticed:?}");
    site.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_overtake_a_backlog_that_fills_a_narrow_line() {
    let folder = tempfile::tempdir().unwrap();
    let there = open_store(&folder.path().join("cloud.db")).await;
    let here = open_store(&folder.path().join("edge.db")).await;
    let authority = Authority::new("Device CA");
    let cloud = start_cloud(&there, &authority, LOCAL).await;
    // 10 Mbit/s and 30 ms there and back.
    let narrow = proxy::Narrow {
        bytes_per_second: 1_250_000.0,
        one_way: Duration::from_millis(15),
    };
    let line = proxy::Proxy::narrow(cloud.broker_address().unwrap(), narrow).await;
    let edge = edge_id(1);
    let appliance = start_edge(&here, &authority, &edge, line.port).await;
    wait_online(&cloud, &edge).await;

    let idle = passed_during_calls(&cloud, &edge, &line).await;
    append_noise(&here, 6000).await;
    wait_seen(&there, 1).await;
    let busy = passed_during_calls(&cloud, &edge, &line).await;
    let arrived = seen(&there).await.len();
    assert!(arrived < 6000, "the backlog was under way: {arrived} arrived");
    println!("bytes that pass while a call is answered: {idle} idle, {busy} beside a backlog of 12 MB");
    // A fifth of a second of this line; what waits in it alone is more than that when nobody gives way.
    assert!(busy < idle + 250_000, "idle {idle}, beside a backlog {busy}");
    appliance.stop().await;
    cloud.stop().await;
}

/// How many bytes the line carried between a question and its answer, the median of some: it tells the place in the
/// queue, whatever else the machine does.
async fn passed_during_calls(cloud: &link::cloud::CloudLink, edge: &records::id::EdgeId, line: &proxy::Proxy) -> u64 {
    let mut passed = Vec::new();
    for _ in 0..15 {
        let before = line.passed_bytes();
        let answer = cloud.call(edge, "echo", None, PATIENCE, &json!({})).await;
        assert!(matches!(answer, Outcome::Done(_)), "{answer:?}");
        passed.push(line.passed_bytes() - before);
    }
    passed.sort_unstable();
    passed[passed.len() / 2]
}

/// Entries that cannot be compressed, 2 kB each.
async fn append_noise(store: &store::Store, count: usize) {
    let noise: Vec<String> = (0..count)
        .map(|_| rand::random_iter::<char>().take(500).collect())
        .collect();
    let scope = store::Scope::system(tenant());
    let appended = store.write(&scope, move |tx| {
        let noise = noise.clone();
        Box::pin(async move {
            for (number, text) in noise.iter().enumerate() {
                let body = json!({ "number": number, "noise": text });
                tx.append(&PeerId::cloud(), records::Lane::Clinical, "test.number", "e", &body)
                    .await?;
            }
            Ok::<_, store::StoreError>(())
        })
    });
    appended.await.unwrap();
}
