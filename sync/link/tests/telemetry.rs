//! Telemetry while nobody listens: the newest value of each thing is kept, older ones are dropped and named.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod ward;

use records::{Lane, PeerId};
use serde_json::json;
use store::{Scope, Store, StoreError, StreamKey};
use ward::*;

async fn tell(store: &Store, entity: &'static str, range: std::ops::Range<i64>) {
    tell_all(store, vec![(entity, range)]).await;
}

/// In one unit: nothing can be dropped between them.
async fn tell_all(store: &Store, things: Vec<(&'static str, std::ops::Range<i64>)>) {
    store
        .write(&Scope::system(tenant()), move |tx| {
            let things = things.clone();
            Box::pin(async move {
                for (entity, range) in things {
                    for number in range {
                        let body = json!({ "number": number });
                        tx.append(&PeerId::cloud(), Lane::Telemetry, "test.number", entity, &body)
                            .await?;
                    }
                }
                Ok::<_, StoreError>(())
            })
        })
        .await
        .unwrap();
}

async fn waiting(store: &Store) -> u64 {
    let key = StreamKey::new(tenant(), PeerId::cloud(), Lane::Telemetry);
    store.outbox_waiting(&key).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn telemetry_that_waits_shrinks_to_its_newest_values_and_goes_after_everything_clinical() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (
        open_store(&folder.path().join("edge.db")).await,
        open_store(&folder.path().join("cloud.db")).await,
    );
    let (authority, edge, port) = (Authority::new("Device CA"), edge_id(1), kit::ports::free_port());
    let appliance = start_edge(&here, &authority, &edge, port).await;
    append(&here, &PeerId::cloud(), 0..50).await;
    let (printer, tpm) = ("printer", "tpm");
    tell_all(
        &here,
        vec![(printer, 1000..1400), (tpm, 2000..2400), (printer, 3000..3001)],
    )
    .await;
    until("shrunk to one value each", async || waiting(&here).await == 2).await;
    let depth = wait_status(&mut appliance.status(), "told how much waits", |s| s.buffer_depth == 52).await;
    assert!(!depth.online);
    // A little more is nothing to lose anything for.
    tell(&here, "tpm", 2400..2410).await;

    let listen = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let cloud = start_cloud(&there, &authority, listen).await;
    let seen = wait_seen(&there, 62).await;
    assert_eq!(
        seen[..50],
        numbers(0..50),
        "what is clinical came first, whole and in order"
    );
    let told: Vec<i64> = [2399, 3000].into_iter().chain(2400..2410).collect();
    assert_eq!(seen[50..], told);
    let gaps: Vec<(u64, u64)> = there
        .read(&Scope::system(tenant()), |tx| {
            Box::pin(async move {
                tx.all("SELECT first_seq, last_seq FROM store_gap ORDER BY first_seq", &[])
                    .await
            })
        })
        .await
        .unwrap();
    assert_eq!(gaps, [(1, 799)], "what was dropped is on record");
    until("drained", async || waiting(&here).await == 0).await;
    appliance.stop().await;
    cloud.stop().await;
}

/// Things without number, each told once: the oldest go.
#[tokio::test]
async fn telemetry_is_bounded_also_when_every_entry_is_about_something_else() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_store(&folder.path().join("edge.db")).await;
    let key = StreamKey::new(tenant(), PeerId::cloud(), Lane::Telemetry);
    for (n, entity) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
        tell(&store, entity, n as i64..n as i64 + 1).await;
    }
    assert_eq!(store.outbox_coalesce(&key, 3).await.unwrap(), 2);
    let left = store.outbox_after(&key, 0, 10, 1 << 20).await.unwrap();
    assert_eq!(left.iter().map(|e| e.seq).collect::<Vec<_>>(), [3, 4, 5]);
    assert_eq!(store.outbox_coalesce(&key, 3).await.unwrap(), 0);
}
