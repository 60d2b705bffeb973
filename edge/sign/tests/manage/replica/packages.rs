//! Packages carried as files.

use serde_json::{Value, json};

use super::{Appliance, pair, shown};
use crate::site::HOSPITAL;

#[tokio::test]
async fn a_package_is_taken_once_whole_and_by_the_right_appliance_alone() {
    let source = Appliance::new("一号机", "").await;
    let (follower, stranger) = (Appliance::new("二号机", "").await, Appliance::new("三号机", "").await);
    source.furnish().await;
    let before = shown(&follower.admin.browser).await;
    let id = pair(&source, &follower, false).await;
    let first = source.package(&id).await;
    for plain in ["app_his", "门诊签名", HOSPITAL] {
        let found = first.windows(plain.len()).any(|window| window == plain.as_bytes());
        assert!(!found, "{plain} is readable in the package");
    }

    // Not paired; then paired, but it is another one's package, and no other header makes it its own.
    assert_eq!(stranger.import(&first).await.refused(), "replica_unpaired");
    let other = pair(&source, &stranger, false).await;
    assert_eq!(stranger.import(&first).await.refused(), "replica_target");
    let theirs = source.package(&other).await;
    let (own_head, their_head) = (head(&first), head(&theirs));
    let mut forged = first[..14].to_vec();
    let mut header: Value = serde_json::from_slice(own_head).expect("header");
    let their_header: Value = serde_json::from_slice(their_head).expect("header");
    header["target"] = their_header["target"].clone();
    let header = header.to_string();
    forged[10..14].copy_from_slice(&u32::try_from(header.len()).expect("short").to_be_bytes());
    forged.extend_from_slice(header.as_bytes());
    forged.extend_from_slice(&first[14 + own_head.len()..]);
    assert_eq!(stranger.import(&forged).await.refused(), "replica_signature");

    // Changed anywhere, it is refused.
    for at in (0..first.len()).step_by(first.len() / 24).chain([first.len() - 1]) {
        let mut damaged = first.clone();
        damaged[at] ^= 1;
        let code = follower.import(&damaged).await.refused();
        let known = [
            "replica_damaged",
            "replica_format",
            "replica_signature",
            "replica_unpaired",
        ];
        assert!(known.contains(&code.as_str()), "byte {at}: {code}");
    }
    for length in [0, 7, 13, 40, first.len() - 1] {
        let code = follower.import(&first[..length]).await.refused();
        assert!(
            ["replica_damaged", "replica_signature"].contains(&code.as_str()),
            "{length}: {code}"
        );
    }
    // By the line nobody signs in, and nothing else changes.
    let sent = follower.site.browser();
    let url = sent.url("replica/packages");
    let sent = sent
        .client
        .post(url)
        .header("x-signd", "1")
        .body(forged)
        .send()
        .await
        .expect("answered");
    assert_eq!(sent.status(), 422);
    assert_eq!(shown(&follower.admin.browser).await, before, "nothing was taken");

    let second = source.package(&id).await;
    follower.import(&second).await.done();
    assert_eq!(shown(&follower.admin.browser).await, shown(&source.admin.browser).await);
    for old in [&second, &first] {
        assert_eq!(follower.import(old).await.refused(), "replica_replayed");
    }

    // After the end nothing is made or taken.
    let third = source.package(&id).await;
    let peer = follower.replica().await["peers"][0]["id"]
        .as_str()
        .expect("id")
        .to_owned();
    follower
        .admin
        .browser
        .delete(&format!("replica/peers/{peer}"))
        .await
        .done();
    assert_eq!(follower.import(&third).await.refused(), "replica_unpaired");
    source.admin.browser.delete(&format!("replica/peers/{id}")).await.done();
    let refused = source
        .admin
        .browser
        .post(&format!("replica/peers/{id}/package"), json!({}))
        .await;
    assert_eq!(refused.refused(), "peer_unknown");
    let refusals = follower.logged("replica.refused");
    assert!(
        refusals
            .iter()
            .any(|(_, by, detail)| by == "admin" && detail.ends_with("replica_replayed"))
    );
}

/// The header of a package.
fn head(package: &[u8]) -> &[u8] {
    let length = u32::from_be_bytes(package[10..14].try_into().expect("four"));
    &package[14..14 + usize::try_from(length).expect("small")]
}
