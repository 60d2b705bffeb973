//! Both ends are real processes that append all the time and are killed with SIGKILL again and again. At the end every
//! entry must have been applied exactly once and in order, in both directions, and both outboxes must be empty.
//!
//! The same program is the judge and, with an argument, one of the two ends. `YIQIAO_CHAOS_SECONDS` sets the length of
//! the killing (default 12).

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod ward;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kit::process::Process;
use link::cloud::{BrokerChoice, CloudLink};
use link::edge::EdgeLink;
use records::{Lane, PeerId};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use store::{Scope, Store, StoreError};
use ward::*;

/// The sign to append no more.
const CALM: &str = "calm";

/// The sign that an end has seen it.
fn calm(role: &str) -> String {
    format!("{role} is calm")
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["end", "edge", folder, port] => runtime.block_on(edge(Path::new(folder), port.parse().unwrap())),
        ["end", "cloud", folder, port] => runtime.block_on(cloud(Path::new(folder), port.parse().unwrap())),
        // Asked by a test runner what there is.
        ["--list", ..] => println!("both_ends_killed_again_and_again_lose_repeat_and_reorder_nothing: test"),
        _ => both_ends_killed_again_and_again_lose_repeat_and_reorder_nothing(),
    }
}

/// Rows: YZ-N-009
fn both_ends_killed_again_and_again_lose_repeat_and_reorder_nothing() {
    let seconds = std::env::var("YIQIAO_CHAOS_SECONDS")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(12);
    let folder = tempfile::tempdir().unwrap();
    write_papers(folder.path());
    let port = kit::ports::free_port();
    let start = |role| spawn(role, folder.path(), port);
    let (mut edge, mut cloud) = (start("edge"), start("cloud"));
    let (mut kills, mut dice) = ([0u32; 2], 0x5DEE_CE66_D123_4567_u64);
    let end = Instant::now() + Duration::from_secs(seconds);
    let least = u32::try_from(seconds / 4).unwrap();
    let busy = || ["edge", "cloud"].iter().all(|name| appended(folder.path(), name) > 100);
    while Instant::now() < end || kills.iter().any(|k| *k < least) || !busy() {
        assert!(
            Instant::now() < end + 3 * PATIENCE,
            "killed {kills:?}, appended too little"
        );
        dice = dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_millis(100 + (dice >> 33) % 500));
        let (role, process) = if (dice >> 60) % 2 == 0 {
            ("edge", &mut edge)
        } else {
            ("cloud", &mut cloud)
        };
        process.kill();
        *process = start(role);
        kills[usize::from(role == "cloud")] += 1;
    }
    std::fs::write(folder.path().join(CALM), "").unwrap();
    let said = Instant::now();
    for role in ["edge", "cloud"] {
        while !folder.path().join(calm(role)).exists() {
            assert!(said.elapsed() < PATIENCE, "{role} goes on appending");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    // The processes go on; what they hold drains without new input.
    let drained = drain(folder.path(), 2 * PATIENCE);
    let (up, down) = (
        check(folder.path(), "edge", "cloud"),
        check(folder.path(), "cloud", "edge"),
    );
    println!(
        "killed edge {} times, cloud {} times in {seconds} s; {up} entries up, {down} down, none lost, repeated or reordered; \
         drained {drained:?} after the last kill",
        kills[0], kills[1]
    );
    assert!(up > 100 && down > 100, "{up} and {down} entries");
}

fn write_papers(folder: &Path) {
    let authority = Authority::new("Device CA");
    let (server, server_key) = authority.server_pem();
    let (edge, edge_key) = authority.edge_pem(&edge_id(1));
    let papers = [
        ("ca.pem", &authority.pem),
        ("cloud.pem", &server),
        ("cloud.key", &server_key),
        ("edge.pem", &edge),
        ("edge.key", &edge_key),
    ];
    for (name, text) in papers {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

fn spawn(role: &str, folder: &Path, port: u16) -> Process {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["end", role, folder.to_str().unwrap(), &port.to_string()]);
    Process::spawn(command).ready(PATIENCE)
}

fn read(path: &Path, sql: &str) -> Vec<i64> {
    let db = rusqlite::Connection::open(path).unwrap();
    db.busy_timeout(PATIENCE).unwrap();
    let mut statement = db.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

/// How many entries one end has appended.
fn appended(folder: &Path, name: &str) -> i64 {
    let sql = "SELECT last_seq FROM store_stream WHERE lane = 1";
    read(&folder.join(format!("{name}.db")), sql)
        .first()
        .copied()
        .unwrap_or(0)
}

/// Waits until both outboxes are acknowledged, after the last append; answers how long that took.
fn drain(folder: &Path, patience: Duration) -> Duration {
    let begun = Instant::now();
    let waiting = |name: &str| {
        read(
            &folder.join(format!("{name}.db")),
            "SELECT last_seq - acked_seq FROM store_stream WHERE lane = 1",
        )
    };
    loop {
        let open = [waiting("edge"), waiting("cloud")];
        if open.iter().all(|depths| depths.iter().all(|d| *d == 0)) {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < patience, "not drained: {open:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Compares what one end appended with what the other applied; answers how many entries there were.
fn check(folder: &Path, from: &str, to: &str) -> usize {
    let applied = read(
        &folder.join(format!("{to}.db")),
        "SELECT number FROM test_seen ORDER BY place",
    );
    let expected = numbers(1..appended(folder, from) + 1);
    assert_eq!(applied.len(), expected.len(), "from {from} to {to}");
    assert!(
        applied == expected,
        "from {from} to {to}: entries are repeated or out of order"
    );
    assert_eq!(
        read(&folder.join(format!("{to}.db")), "SELECT COUNT(*) FROM store_gap"),
        [0]
    );
    assert_eq!(
        read(&folder.join(format!("{to}.db")), "SELECT COUNT(*) FROM store_parked"),
        [0]
    );
    applied.len()
}

fn load(folder: &Path, name: &str) -> (rustls::RootCertStore, Papers) {
    let file = |name: String| -> PathBuf { folder.join(name) };
    let authority = CertificateDer::from_pem_file(file("ca.pem".into())).unwrap();
    let certificate = CertificateDer::from_pem_file(file(format!("{name}.pem"))).unwrap();
    let key = PrivateKeyDer::from_pem_file(file(format!("{name}.key"))).unwrap();
    (link::tls::roots([&authority]).unwrap(), (vec![certificate], key))
}

/// Appends entries numbered like their place in the stream, a few per unit, until the sign of calm.
async fn append_all_the_time(store: Store, role: &str, to: PeerId, folder: &Path) {
    while !folder.join(CALM).exists() {
        let to = to.clone();
        let scope = Scope::system(tenant());
        let appended = store.write(&scope, move |tx| {
            let to = to.clone();
            Box::pin(async move {
                for _ in 0..5 {
                    let tenant = tx.tenant().clone();
                    let last: Option<(i64,)> = tx
                        .opt(
                            "SELECT last_seq FROM store_stream WHERE tenant_id = $1 AND peer = $2 AND lane = 1",
                            &[&tenant, &to],
                        )
                        .await?;
                    let number = last.map_or(1, |(n,)| n + 1);
                    tx.append(&to, Lane::Clinical, "test.number", "e", &json!({ "number": number }))
                        .await?;
                }
                Ok::<_, StoreError>(())
            })
        });
        appended.await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    std::fs::write(folder.join(calm(role)), "").unwrap();
    std::future::pending().await
}

async fn edge(folder: &Path, port: u16) {
    let store = open_store(&folder.join("edge.db")).await;
    let (roots, (chain, key)) = load(folder, "edge");
    let tls = Arc::new(link::tls::client_config_with_key(link::tls::Offer::Classic, roots, chain, key).unwrap());
    let options = edge_options(&edge_id(1), port, tls);
    let _link = EdgeLink::start(store.clone(), options, Arc::new(Echo), Arc::new(Counting))
        .await
        .unwrap();
    println!("ready");
    append_all_the_time(store, "edge", PeerId::cloud(), folder).await;
}

async fn cloud(folder: &Path, port: u16) {
    let store = open_store(&folder.join("cloud.db")).await;
    let (roots, (chain, key)) = load(folder, "cloud");
    let tls = link::tls::server_config(
        link::tls::Show::Classic(link::tls::Own { chain, key }),
        roots,
        link::tls::ClientCertificate::Required,
    )
    .unwrap();
    let listen = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let broker = BrokerChoice::Embedded {
        listen,
        tls: Arc::new(tls),
    };
    let options = link::cloud::Options {
        broker,
        registry: Arc::new(Fleet),
        ids: ids(),
        tuning: tuning(),
    };
    let _link = CloudLink::start(store.clone(), options, Arc::new(Counting))
        .await
        .unwrap();
    println!("ready");
    append_all_the_time(store, "cloud", PeerId::edge(&edge_id(1)), folder).await;
}
