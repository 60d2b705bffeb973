//! A follower becomes and stays as its source is.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::{Appliance, pair, until_alike};

#[tokio::test]
async fn a_follower_becomes_and_stays_as_its_source_is() {
    let (source, mut follower) = (Appliance::new("一号机", "").await, Appliance::new("二号机", "").await);
    source.furnish().await;
    pair(&source, &follower, true).await;
    until_alike(&source, &follower).await;
    let keys = follower.admin.browser.get("keys").await.done();
    assert_eq!((&keys[0]["state"], &keys[0]["open"]), (&json!("active"), &json!(true)));

    // Changes follow by themselves: a new key, a key that is destroyed, an application that is switched off.
    source.add_key(2, "住院签名").await;
    until_alike(&source, &follower).await;
    let browser = &source.admin.browser;
    browser.post("keys/2/retire", json!({})).await.done();
    browser
        .post("keys/2/destroy", json!({"confirm": "住院签名"}))
        .await
        .done();
    until_alike(&source, &follower).await;
    let keys = follower.admin.browser.get("keys").await.done();
    assert_eq!(keys[1]["state"], "destroyed");
    let held: Option<Vec<u8>> = rusqlite::Connection::open(follower.site.state().join("signd.db"))
        .expect("state")
        .query_row("SELECT wrapped FROM server_key WHERE key_index = 2", [], |row| {
            row.get(0)
        })
        .expect("row");
    assert_eq!(held, None, "destroyed there is destroyed here");

    // While it follows nothing of that is changed on it; its own affairs are.
    let key = json!({"label": "自己的", "algorithm": "sm2"});
    assert_eq!(
        follower.admin.browser.post("keys", key.clone()).await.refused(),
        "replica_follows"
    );
    let switched = json!({"name": "HIS", "enabled": false, "policy": source.operator.browser.get("applications").await.done()[0]["policy"]});
    let refused = follower
        .operator
        .browser
        .put("applications/app_his", switched.clone())
        .await;
    assert_eq!(refused.refused(), "replica_follows");
    let web = json!({"enabled": true});
    follower.operator.browser.put("settings/web-service", web).await.done();

    // A follower that is away gets it later.
    follower.site.signd.kill();
    source
        .operator
        .browser
        .put("applications/app_his", switched)
        .await
        .done();
    let until = Instant::now() + Duration::from_secs(180);
    while source.replica().await["peers"][0]["trouble"] == "" {
        assert!(Instant::now() < until, "nobody noticed that the follower is away");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    follower.site.power_cut();
    let browser = follower.site.browser();
    follower.admin.sign_in(&browser).await.done();
    follower.admin.browser = browser;
    until_alike(&source, &follower).await;

    // The source is gone for good: the follower goes on by itself.
    let id = follower.replica().await["peers"][0]["id"]
        .as_str()
        .expect("id")
        .to_owned();
    follower
        .admin
        .browser
        .delete(&format!("replica/peers/{id}"))
        .await
        .done();
    follower.admin.browser.post("keys", key).await.done();

    let acts = |appliance: &Appliance| -> Vec<String> {
        let mut acts: Vec<String> = appliance.logged("replica.").into_iter().map(|(act, ..)| act).collect();
        acts.dedup();
        acts
    };
    assert!(acts(&source).starts_with(&["replica.proposed".to_owned(), "replica.paired".to_owned()]));
    for act in ["replica.made", "replica.settled", "replica.waits"] {
        assert!(acts(&source).contains(&act.to_owned()), "{act}");
    }
    for act in ["replica.proposed", "replica.paired", "replica.taken", "replica.ended"] {
        assert!(acts(&follower).contains(&act.to_owned()), "{act}");
    }
    for appliance in [&source, &follower] {
        assert_eq!(
            appliance.admin.browser.get("overview").await.done()["log"]["intact"],
            true
        );
    }
}
