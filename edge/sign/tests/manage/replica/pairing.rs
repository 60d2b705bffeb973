//! Pairing by people, and by what chips prove.

use evidence::TpmKey;
use gm::certificate::Purpose;
use gm::key::Kind;
use serde_json::{Value, json};

use super::Appliance;
use crate::site::Authority;

#[tokio::test]
async fn pairing_takes_two_people_who_compare_what_the_chip_proves() {
    let (here, there) = (Appliance::new("一号机", "").await, Appliance::new("二号机", "").await);
    let other = there.replica().await;
    let propose = async |introduction: &Value| {
        let asked = json!({"introduction": introduction, "role": "follower"});
        here.admin.browser.post("replica/peers", asked).await
    };
    let own = here.replica().await["introduction"].clone();
    assert_eq!(propose(&own).await.refused(), "peer_self");
    // A changed word of the introduction is seen: the chip signed it.
    let text = other["introduction"].as_str().expect("text");
    let mine = here.replica().await;
    let mine: Value = serde_json::from_str(mine["introduction"].as_str().expect("text")).expect("json");
    for part in [
        "name",
        "made_at",
        "endorsement",
        "attestation",
        "signing",
        "certified",
        "quoted",
    ] {
        let mut changed: Value = serde_json::from_str(text).expect("json");
        changed[part] = if part == "name" {
            json!("三号机")
        } else {
            mine[part].clone()
        };
        assert_eq!(
            propose(&json!(changed.to_string())).await.refused(),
            "replica_introduction",
            "{part}"
        );
    }
    assert_eq!(propose(&json!("{}")).await.refused(), "replica_introduction");

    propose(&other["introduction"]).await.done();
    let peer = here.replica().await["peers"][0].clone();
    assert_eq!(
        (&peer["state"], &peer["belief"]),
        (&json!("proposed"), &json!("people"))
    );
    assert_eq!(peer["fingerprint"], other["fingerprint"]);
    let path = format!("replica/peers/{}/approve", peer["id"].as_str().expect("id"));
    let right = json!({"fingerprint": other["fingerprint"]});
    assert_eq!(
        here.admin.browser.post(&path, right.clone()).await.refused(),
        "peer_second_person"
    );
    let wrong = json!({"fingerprint": here.replica().await["fingerprint"]});
    assert_eq!(
        here.second.browser.post(&path, wrong).await.refused(),
        "peer_fingerprint"
    );
    assert_eq!(
        here.operator.browser.post(&path, right.clone()).await.refused(),
        "forbidden"
    );
    let export = format!("replica/peers/{}/package", peer["id"].as_str().expect("id"));
    let refused = here.admin.browser.post(&export, json!({})).await;
    assert_eq!(
        refused.refused(),
        "peer_unknown",
        "nothing is made before it is approved"
    );
    here.second.browser.post(&path, right.clone()).await.done();
    assert_eq!(here.second.browser.post(&path, right).await.refused(), "peer_state");
    let (_, by, detail) = here.logged("replica.paired").remove(0);
    assert_eq!(by, "wang.admin");
    assert!(
        detail.contains("believed by people") && detail.contains("proposed by admin"),
        "{detail}"
    );
}

#[tokio::test]
async fn where_makers_are_known_their_certificate_proves_the_chip() {
    let (maker, another) = (Authority::new("可信芯片厂商"), Authority::new("别的厂商"));
    let dir = tempfile::tempdir().expect("dir");
    let roots = dir.path().join("makers.pem");
    std::fs::write(&roots, gm::pem::write("CERTIFICATE", &maker.root.der)).expect("written");
    let here = Appliance::new("一号机", &format!("endorsement_roots = {roots:?}\n")).await;
    let there = Appliance::new("二号机", "").await;
    assert_eq!(here.replica().await["by_certificate"], true);
    let other = there.replica().await;
    let plain: Value = serde_json::from_str(other["introduction"].as_str().expect("text")).expect("json");
    // As a chip would carry it: the maker's certificate for this endorsement key.
    let endorsement = |name: &str| hex::decode(name).expect("hex");
    let key = TpmKey::parse(&endorsement(plain["endorsement"].as_str().expect("key")), "EK").expect("EK");
    let strange = TpmKey::parse(&endorsement(plain["signing"].as_str().expect("key")), "key").expect("key");
    let certified = |by: &Authority, key: &TpmKey| {
        let public = gm::PublicKey::from_point(Kind::P256, key.point()).expect("key");
        let certificate = by.certify("TPM", &public, Purpose::TlsClient);
        let mut introduction = plain.clone();
        introduction["endorsement_certificates"] = json!([hex::encode(&certificate.der)]);
        json!({"introduction": introduction.to_string(), "role": "follower"})
    };
    let propose = async |asked: Value| here.admin.browser.post("replica/peers", asked).await;
    let none = json!({"introduction": plain.to_string(), "role": "follower"});
    assert_eq!(propose(none).await.refused(), "replica_introduction");
    assert_eq!(
        propose(certified(&another, &key)).await.refused(),
        "replica_introduction"
    );
    assert_eq!(
        propose(certified(&maker, &strange)).await.refused(),
        "replica_introduction"
    );

    propose(certified(&maker, &key)).await.done();
    let peer = here.replica().await["peers"][0].clone();
    assert_eq!(peer["belief"], "certificate");
    // The chip is proved; one person compares that it is the machine that is meant.
    let path = format!("replica/peers/{}/approve", peer["id"].as_str().expect("id"));
    let compared = json!({"fingerprint": other["fingerprint"]});
    here.admin.browser.post(&path, compared).await.done();
    let (_, by, detail) = here.logged("replica.paired").remove(0);
    assert_eq!(by, "admin");
    assert!(detail.contains("believed by certificate"), "{detail}");
}
