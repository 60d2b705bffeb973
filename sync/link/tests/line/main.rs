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
    assert_eq!(wait_seen(&there, 3, Duration::from_secs(20)).await, [0, 1, 2]);
    assert_eq!(wait_seen(&here, 2, Duration::from_secs(20)).await, [10, 11]);

    let asked = Instant::now();
    let answer = cloud
        .call(
            &edge,
            "echo",
            Some("k1"),
            Duration::from_secs(5),
            &json!({"dept": "0301"}),
        )
        .await;
    assert_eq!(answer, Outcome::Done(json!({"said": {"dept": "0301"}, "key": "k1"})));
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());

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
    wait_seen(&site.there, 50, Duration::from_secs(20)).await;

    site.proxy.set(proxy::Weather::Cut);
    let mut status = site.appliance.status();
    wait_status(&mut status, "offline", |s| !s.online).await;
    assert!(site.proxy.cut_connections() >= 2, "the cut fired");
    append(&site.here, &PeerId::cloud(), 50..400).await;
    append(&site.there, &edge, 0..100).await;
    let waiting = wait_status(&mut status, "buffering", |s| s.buffer_depth >= 350).await;
    assert!(!waiting.online);

    site.proxy.set(proxy::Weather::Fair);
    assert_eq!(
        wait_seen(&site.there, 400, Duration::from_secs(30)).await,
        numbers(0..400)
    );
    assert_eq!(
        wait_seen(&site.here, 100, Duration::from_secs(30)).await,
        numbers(0..100)
    );
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
    assert_eq!(down.reason.as_deref(), Some("Silent"));
    assert!(site.proxy.swallowed_bytes() > 0, "the black hole fired");
    assert_eq!(seen(&site.there).await, Vec::<i64>::new());

    site.proxy.set(proxy::Weather::Fair);
    assert_eq!(
        wait_seen(&site.there, 200, Duration::from_secs(60)).await,
        numbers(0..200)
    );
    assert_eq!(wait_seen(&site.here, 20, Duration::from_secs(30)).await, numbers(0..20));
    site.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_to_an_appliance_that_is_away_is_answered_within_ten_milliseconds() {
    let site = Site::open().await;
    let away = edge_id(2);
    let asked = Instant::now();
    let answer = site
        .cloud
        .call(&away, "echo", None, Duration::from_secs(5), &json!({}))
        .await;
    assert!(matches!(answer, Outcome::Later { .. }), "{answer:?}");
    assert!(
        asked.elapsed() < Duration::from_millis(10),
        "never heard of: {:?}",
        asked.elapsed()
    );

    site.proxy.set(proxy::Weather::Cut);
    let end = Instant::now() + Duration::from_secs(10);
    while site.cloud.online(&site.edge) {
        assert!(Instant::now() < end, "the cloud never noticed the cut");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let asked = Instant::now();
    let answer = site.call("echo", json!({}), Duration::from_secs(5)).await;
    assert!(matches!(answer, Outcome::Later { .. }), "{answer:?}");
    assert!(
        asked.elapsed() < Duration::from_millis(10),
        "hung up: {:?}",
        asked.elapsed()
    );
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
    assert!(asked.elapsed() >= Duration::from_millis(790) && asked.elapsed() < Duration::from_millis(2500));
    assert!(site.proxy.swallowed_bytes() > 0, "the black hole fired");
    site.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_two_calls_run_sixty_four_wait_and_the_next_is_told_to_come_later() {
    let site = std::sync::Arc::new(Site::open().await);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..120 {
        let site = site.clone();
        calls.spawn(async move { site.call("slow", json!({"ms": 600}), Duration::from_secs(20)).await });
    }
    let (mut done, mut later) = (0, 0);
    while let Some(answer) = calls.join_next().await {
        match answer.unwrap() {
            Outcome::Done(_) => done += 1,
            Outcome::Later { .. } => later += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((done, later), (96, 24));
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
        wait_seen(&site.there, 4, Duration::from_secs(20)).await,
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
    assert_eq!(
        wait_seen(&site.there, 300, Duration::from_secs(30)).await,
        numbers(0..300)
    );
    assert_eq!(wait_seen(&site.here, 30, Duration::from_secs(30)).await, numbers(0..30));
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
    wait_seen(&there, 20, Duration::from_secs(20)).await;
    cloud.stop().await;
    let mut status = appliance.status();
    wait_status(&mut status, "offline", |s| !s.online).await;
    append(&here, &PeerId::cloud(), 20..60).await;

    let cloud = start_cloud(&there, &authority, listen).await;
    append(&there, &PeerId::edge(&edge), 0..10).await;
    assert_eq!(wait_seen(&there, 60, Duration::from_secs(30)).await, numbers(0..60));
    assert_eq!(wait_seen(&here, 10, Duration::from_secs(30)).await, numbers(0..10));
    appliance.stop().await;
    cloud.stop().await;
    drop((line, folder));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_appended_by_another_process_is_found_by_the_timer_alone() {
    let site = Site::open().await;
    let other = open_store(&site.folder.path().join("edge.db")).await;
    append(&other, &PeerId::cloud(), 0..3).await;
    assert_eq!(wait_seen(&site.there, 3, Duration::from_secs(10)).await, [0, 1, 2]);
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
    let stopped = Instant::now();
    site.appliance.stop().await;
    let offline = async {
        loop {
            if !changes.recv().await.unwrap().status.online {
                return stopped.elapsed();
            }
        }
    };
    let noticed = tokio::time::timeout(Duration::from_secs(5), offline).await.unwrap();
    assert!(noticed < Duration::from_secs(1), "{noticed:?}");
    site.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_stay_quick_beside_a_backlog_that_fills_a_narrow_line() {
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

    let idle = round_trips(&cloud, &edge, 10).await;
    append_noise(&here, 3000).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let busy = round_trips(&cloud, &edge, 15).await;
    let arrived = seen(&there).await.len();
    assert!(
        (1..3000).contains(&arrived),
        "the backlog was under way: {arrived} arrived"
    );
    println!("call over 10 Mbit/s, 30 ms: idle p50 {idle:?}, beside a backlog p50 {busy:?}");
    assert!(idle >= Duration::from_millis(30), "the line is narrow: {idle:?}");
    assert!(
        busy < idle + Duration::from_millis(200),
        "idle {idle:?}, beside a backlog {busy:?}"
    );
    appliance.stop().await;
    cloud.stop().await;
}

/// Median of some calls.
async fn round_trips(cloud: &link::cloud::CloudLink, edge: &records::id::EdgeId, n: usize) -> Duration {
    let mut times = Vec::new();
    for _ in 0..n {
        let asked = Instant::now();
        let answer = cloud
            .call(edge, "echo", None, Duration::from_secs(10), &json!({}))
            .await;
        assert!(matches!(answer, Outcome::Done(_)), "{answer:?}");
        times.push(asked.elapsed());
    }
    times.sort();
    times[n / 2]
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
