//! CRL.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use bench_ca::Kind;
use serde_json::{Value, json};

use crate::ca::Ca;
use crate::site::file;
use crate::works::Works;

/// A revoked certificate is refused after a new list without restart, while signatures go on without one failure.
///
/// Rows: AP-232, AP-233, AP-239, AP-240, AP-252
#[tokio::test(flavor = "multi_thread")]
async fn a_list_takes_effect_without_restart_while_signatures_go_on() {
    let (sm2, rsa) = (Ca::new(Kind::Sm2), Ca::new(Kind::Rsa));
    let works = Arc::new(Works::new(&[&sm2, &rsa]).await);
    let (wang, li) = (sm2.person("wang"), rsa.person("li"));
    works.rule("crl", true).await;
    // The certificates name the lists; nobody configured an address.
    for card in [&wang, &li] {
        let seen = works.accepts(card).await;
        assert_eq!(
            (&seen[0]["state"], &seen[0]["by"]),
            (&json!("good"), &json!("crl")),
            "{seen}"
        );
        assert_eq!(seen[1]["state"], "not-asked", "the root");
    }
    let (stop, signed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let load = {
        let (works, stop, signed) = (Arc::clone(&works), Arc::clone(&stop), Arc::clone(&signed));
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                works.ask("/v1/data/sign", json!({"data": file("处方")})).await.done();
                signed.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let further = async |than: u32| {
        for _ in 0..600 {
            if signed.load(Ordering::Relaxed) > than {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("no signature was made");
    };
    further(0).await;
    for (ca, card) in [(&sm2, &wang), (&rsa, &li)] {
        ca.revoke(card, "keyCompromise");
        works.accepts(card).await;
        ca.publish("full");
        let fetched = works.fetch().await;
        assert!(
            fetched
                .as_array()
                .expect("addresses")
                .iter()
                .any(|one| one["renewed"] == true),
            "{fetched}"
        );
        assert_eq!(works.refuses(card).await, "certificate_revoked");
    }
    let (before, still) = (signed.load(Ordering::Relaxed), sm2.person("zhao"));
    works.accepts(&still).await;
    further(before).await;
    stop.store(true, Ordering::Relaxed);
    load.await.expect("every signature was made");
}

/// The schedule fetches by itself; deltas are applied; what is worse never takes the place of what is better.
///
/// Rows: AP-251
#[tokio::test(flavor = "multi_thread")]
async fn lists_are_renewed_by_schedule_and_never_by_worse_ones() {
    let ca = Ca::new(Kind::P256);
    let works = Works::new(&[&ca]).await;
    works.rule("crl", true).await;
    works
        .chain(json!({"crls": [ca.url("/full.crl")], "delta_crls": [ca.url("/delta.crl")], "every_minutes": 1}))
        .await;
    let first = works.until(&ca, |list| !list.is_null()).await;
    let old = ca.get("/full.crl");

    let (wang, li) = (ca.person("wang"), ca.person("li"));
    works.accepts(&wang).await;
    ca.revoke(&wang, "superseded");
    ca.publish("delta");
    works.fetch().await;
    assert_eq!(works.list(&ca).await["updated"], true);
    assert_eq!(works.refuses(&wang).await, "certificate_revoked");
    works.accepts(&li).await;

    // By schedule, without anybody's doing.
    ca.revoke(&li, "superseded");
    ca.publish("full");
    let renewed = works.until(&ca, |list| list["entries"] == 2).await;
    assert_ne!(first["number"], renewed["number"]);
    assert_eq!(works.refuses(&li).await, "certificate_revoked");

    // An older list, a forged one, one of long ago, half of one, a page of errors: the list in force stays.
    let import = |bytes: Vec<u8>| {
        works.operator.ask(
            reqwest::Method::POST,
            "revocation/import",
            Some(json!({"file": file(bytes)})),
        )
    };
    assert_eq!(import(old).await.refused(), "crl_worse");
    assert_eq!(
        import(b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n".to_vec())
            .await
            .status,
        422
    );
    for fault in ["wrong_signature", "stale", "future", "half", "garbage", "error"] {
        // The schedule may come as well: it is told nothing better.
        ca.fault("full", fault, json!({"times": 100}));
        let asked = json!({"address": ca.url("/full.crl")});
        let fetched = works.operator.post("revocation/fetch", asked).await.done();
        assert!(fetched[0]["trouble"].is_string(), "{fault}: {fetched}");
        assert_eq!(works.list(&ca).await["number"], renewed["number"], "{fault}");
        ca.behave();
    }
    assert_eq!(works.refuses(&wang).await, "certificate_revoked");

    // By hand, PEM.
    ca.publish("full");
    let by_hand = import(gm::pem::write("X509 CRL", &ca.get("/full.crl")).into_bytes())
        .await
        .done();
    assert_eq!(by_hand["entries"], 2);
    assert_ne!(by_hand["number"], renewed["number"]);
}

/// A removed chain's lists go with it, from memory and from the disk; those of the others stay.
#[tokio::test(flavor = "multi_thread")]
async fn lists_of_a_removed_chain_are_deleted() {
    let (leaving, staying) = (Ca::new(Kind::P256), Ca::new(Kind::Sm2));
    let works = Works::new(&[&leaving, &staying]).await;
    works.rule("crl", true).await;
    for ca in [&leaving, &staying] {
        works.accepts(&ca.person("wang")).await;
        works.until(ca, |list| !list.is_null()).await;
    }
    let files = || {
        let names = std::fs::read_dir(works.site.state().join("lists")).expect("folder");
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("entry").file_name();
        names
            .map(name)
            .filter(|name| name.to_string_lossy().ends_with(".crl"))
            .count()
    };
    assert_eq!(files(), 2);
    works.remove_chain().await;
    works.until(&leaving, serde_json::Value::is_null).await;
    for _ in 0..1_200 {
        if files() == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(files(), 1);
    assert!(!works.list(&staying).await.is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_million_entries_and_a_power_cut() {
    let mut ca = Ca::new(Kind::P256);
    let mut works = Works::new(&[&ca]).await;
    works.rule("crl", true).await;
    let (wang, li) = (ca.person("wang"), ca.person("li"));
    ca.revoke(&wang, "keyCompromise");
    ca.control("/control/fill", json!({"count": 500_000}));
    works.chain(json!({"crls": [ca.url("/full.crl")]})).await;
    let all = |list: &Value| list["entries"].as_u64().is_some_and(|entries| entries > 500_000);
    for _ in 0..5 {
        if all(&works.list(&ca).await) {
            break;
        }
        // Its own schedule would wait after a fetch that took too long on a busy machine.
        works.fetch().await;
    }
    let list = works.until(&ca, all).await;
    let memory = list["memory"].as_u64().expect("bytes");
    assert!(memory < 16_000_000, "{memory} bytes");
    assert_eq!(works.refuses(&wang).await, "certificate_revoked");
    works.accepts(&li).await;

    // The authority is gone, the power, too: signatures first, and the list is still there.
    ca.die();
    works.site.power_cut();
    works.ask("/v1/data/sign", json!({"data": file("处方")})).await.done();
    assert_eq!(works.refuses(&wang).await, "certificate_revoked");
    works.accepts(&li).await;
}
