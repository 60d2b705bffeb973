//! What may break: the process at any moment, the disk when it is full.
#![expect(clippy::unwrap_used, reason = "a story that cannot go on has failed")]

mod stage;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use kit::process::Process;
use records::id::EdgeId;
use records::{Lane, PeerId, SystemClock};
use serde_json::json;
use stage::{Site, hospital, on_sqlite, visit_table};
use store::{Scope, SqliteOptions, Store, StoreError, StreamKey};

const CHILD: &str = "STORE_CHILD_DATABASE";

fn appliance() -> PeerId {
    PeerId::edge(&EdgeId::parse("edg_1").unwrap())
}

async fn open(path: &Path) -> Store {
    Store::open_sqlite(path, SqliteOptions::default(), Arc::new(SystemClock))
        .await
        .unwrap()
}

/// One business row and one log entry in a unit; answers the entry's number.
async fn work(store: &Store, name: String) -> Result<u64, StoreError> {
    store
        .write(&Scope::system(hospital()), move |tx| {
            let name = name.clone();
            Box::pin(async move {
                let tenant = tx.tenant().clone();
                tx.exec(
                    "INSERT INTO booking(tenant_id, patient) VALUES ($1, $2)",
                    &[&tenant, &name],
                )
                .await?;
                tx.append(&appliance(), Lane::Clinical, "his.command", &name, &json!({}))
                    .await
            })
        })
        .await
}

/// Not a story of its own: the process that is killed. It says `done N` only after the store answered.
#[test]
fn child_that_works_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD).map(PathBuf::from) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = open(&path).await;
        let life = std::process::id();
        let workers = (0..16).map(|worker| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in 0.. {
                    let seq = work(&store, format!("{life}-{worker}-{n}")).await.unwrap();
                    println!("done {seq}");
                }
            })
        });
        futures_util::future::join_all(workers).await;
    });
}

/// Kill -9 in full work, twelve times over the same file.
#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("edge.db");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = open(&path).await;
        visit_table_of(&store).await;
    });
    let mut acknowledged = 0_u64;
    for round in 0..12_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child
            .args(["--exact", "child_that_works_until_it_is_killed", "--nocapture"])
            .env(CHILD, &path);
        let mut child = Process::spawn(child);
        child
            .stdout
            .wait_for(Duration::from_secs(60), |line| line.contains("done "))
            .expect("the child works");
        std::thread::sleep(Duration::from_millis(5 + round * 7));
        child.kill();
        std::thread::sleep(Duration::from_millis(20));
        let newest = child
            .stdout
            .all()
            .iter()
            .filter_map(|l| l.split("done ").nth(1)?.trim().parse().ok())
            .max();
        acknowledged = acknowledged.max(newest.unwrap_or(0));
    }
    assert!(acknowledged > 100, "the children worked: {acknowledged}");
    runtime.block_on(async {
        let store = open(&path).await;
        let state = store
            .stream(&StreamKey::new(hospital(), appliance(), Lane::Clinical))
            .await
            .unwrap();
        assert!(state.last_seq >= acknowledged, "{} < {acknowledged}", state.last_seq);
        let (bookings, entries, newest, sound) = store
            .read(&Scope::system(hospital()), |tx| {
                Box::pin(async move {
                    let (bookings,): (u64,) = tx.one("SELECT COUNT(*) FROM booking", &[]).await?;
                    let (entries, newest): (u64, u64) =
                        tx.one("SELECT COUNT(*), MAX(seq) FROM store_outbox", &[]).await?;
                    let (sound,): (String,) = tx.one("PRAGMA integrity_check", &[]).await?;
                    Ok::<_, StoreError>((bookings, entries, newest, sound))
                })
            })
            .await
            .unwrap();
        assert_eq!(sound, "ok");
        assert_eq!(
            (bookings, entries),
            (newest, newest),
            "row and entry stand or fall together, without holes"
        );
    });
}

async fn visit_table_of(store: &Store) {
    let migration = store::Migration {
        name: "clinic/0001_slot",
        sql: "CREATE TABLE booking(tenant_id TEXT NOT NULL, patient TEXT NOT NULL, PRIMARY KEY (tenant_id, patient))",
    };
    store.migrate(&[migration]).await.unwrap();
}

/// A file that may not grow further refuses, keeps what it has, and goes on once entries are acknowledged and pruned.
#[test]
fn a_full_database_refuses_whole_units_and_recovers_when_the_peer_takes_its_entries() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let options = SqliteOptions {
            max_bytes: Some(400 << 10),
            ballast_bytes: 64 << 10,
            ..SqliteOptions::default()
        };
        let store = Store::open_sqlite(&folder.path().join("edge.db"), options, Arc::new(SystemClock))
            .await
            .unwrap();
        visit_table_of(&store).await;
        let (mut stored, mut refused) = (0_u64, None);
        for n in 0..20_000 {
            match work(&store, format!("patient-{n}-{}", "x".repeat(200))).await {
                Ok(seq) => stored = seq,
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        assert_eq!(refused, Some(StoreError::Full));
        assert!(stored > 100);

        let key = StreamKey::new(hospital(), appliance(), Lane::Clinical);
        let state = store.stream(&key).await.unwrap();
        assert_eq!(state.last_seq, stored, "the refused unit left nothing");
        store.outbox_ack(&key, state.epoch, stored).await.unwrap();
        let later = store.clock().now().plus(Duration::from_secs(60));
        assert_eq!(store.outbox_prune(&Scope::system(hospital()), later).await, Ok(stored));
        assert_eq!(work(&store, "after".to_owned()).await, Ok(stored + 1));
    });
}

const FULL_DISK: &str = "STORE_CHILD_FULL_DISK";

/// Not a story of its own: runs on a disk of four megabytes that only it sees.
#[test]
fn child_that_fills_its_disk() {
    let Some(folder) = std::env::var_os(FULL_DISK).map(PathBuf::from) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let options = SqliteOptions {
            ballast_bytes: 1 << 20,
            ..SqliteOptions::default()
        };
        let store = Store::open_sqlite(&folder.join("edge.db"), options, Arc::new(SystemClock))
            .await
            .unwrap();
        visit_table_of(&store).await;
        let (mut stored, mut refused) = (0_u64, None);
        for n in 0..100_000 {
            match work(&store, format!("patient-{n}-{}", "x".repeat(500))).await {
                Ok(seq) => stored = seq,
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        assert_eq!(refused, Some(StoreError::Full));
        let key = StreamKey::new(hospital(), appliance(), Lane::Clinical);
        let state = store.stream(&key).await.unwrap();
        assert_eq!(state.last_seq, stored);
        store.outbox_ack(&key, state.epoch, stored).await.unwrap();
        let later = store.clock().now().plus(Duration::from_secs(60));
        let pruned = store.outbox_prune(&Scope::system(hospital()), later).await;
        assert_eq!(pruned, Ok(stored));
        let mut again = Err(StoreError::Full);
        for _ in 0..1500 {
            again = work(&store, "after".to_owned()).await;
            if again.is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(again, Ok(stored + 1));
        println!("recovered");
    });
}

/// The real thing: ENOSPC wedges a write-ahead log so that even deleting fails; the ballast is what frees it.
#[test]
fn a_full_disk_is_survived_by_giving_up_the_ballast() {
    let folder = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=4m tmpfs \"$STORE_CHILD_FULL_DISK\" && exec \"$0\" --exact child_that_fills_its_disk --nocapture";
    let out = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .env(FULL_DISK, folder.path())
        .output()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    assert!(out.status.success() && said.contains("recovered"), "{said}");
}

/// One commit carries many units: with 64 clerks at once there are far fewer commits than answers.
#[test]
fn waiting_units_share_a_commit() {
    on_sqlite(|site: Site| async move {
        visit_table(&site, 1).await;
        // So that the log's size is the number of pages written.
        site.store
            .write(&site.scope, |tx| {
                Box::pin(async move { tx.one::<(i64,)>("PRAGMA wal_autocheckpoint = 0", &[]).await })
            })
            .await
            .unwrap_or_else(|e: StoreError| panic!("{e}"));
        let before = wal_frames(&site).await;
        let clerks: Vec<_> = (0..64)
            .map(|clerk| {
                let site = site.clone();
                tokio::spawn(async move {
                    for n in 0..20 {
                        work(&site.store, format!("{clerk}-{n}")).await.unwrap();
                    }
                })
            })
            .collect();
        for clerk in clerks {
            clerk.await.unwrap();
        }
        // A unit alone writes at least three pages (booking, entry, stream) to the write-ahead log.
        let frames = wal_frames(&site).await - before;
        assert!(frames < 64 * 20, "{frames} pages written for 1280 units");
    });
}

/// Pages in the write-ahead log.
async fn wal_frames(site: &Site) -> u64 {
    site.store
        .read(&site.scope, |tx| {
            Box::pin(async move {
                let (_, _, file): (i64, String, String) = tx.one("PRAGMA database_list", &[]).await?;
                Ok::<_, StoreError>(std::fs::metadata(format!("{file}-wal")).map_or(0, |m| m.len()) / 4096)
            })
        })
        .await
        .unwrap()
}
