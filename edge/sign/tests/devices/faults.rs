//! Devices that are absent, silent, reset, or refuse the password.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde_json::json;

use crate::site::{ANSWER, SDF_PASSWORD, Site};

const RX: &[u8] = b"rx";

async fn keys(site: &Site) -> (serde_json::Value, serde_json::Value) {
    let adopt = json!({"label": "设备", "device": "sdf1", "reference": "sdf:1"});
    let device = site.key("keys/adopt", adopt).await;
    let here = site.key("keys", json!({"label": "本机", "algorithm": "sm2"})).await;
    (device, here)
}

#[tokio::test]
async fn a_device_that_hangs_under_load_stops_its_own_keys_alone_and_comes_back() {
    let site = Site::new("", SDF_PASSWORD).await;
    let (device, here) = keys(&site).await;
    let his = site.application(&[&here, &device]).await;
    his.sign(&device, RX).await.done();

    site.control("hang SDF_InternalSign_ECC\n");
    let begun = Instant::now();
    let answered = AtomicBool::new(false);
    let at_device = futures_util::future::join_all((0..24).map(async |_| {
        let answer = his.sign(&device, RX).await;
        answered.store(true, Ordering::SeqCst);
        answer
    }));
    let others = async {
        let mut meanwhile = 0;
        while !answered.load(Ordering::SeqCst) {
            his.sign(&here, RX).await.done();
            meanwhile += u32::from(!answered.load(Ordering::SeqCst));
        }
        meanwhile
    };
    let (at_device, meanwhile) = tokio::join!(at_device, others);
    for answer in at_device {
        assert_eq!(answer.refused(), "device_absent");
    }
    assert!(meanwhile > 0, "other keys waited for the device");
    assert!(
        begun.elapsed() < ANSWER * 12,
        "each waited for itself: {:?}",
        begun.elapsed()
    );
    let known = site.until("sdf1", "down").await;
    assert!(
        known["trouble"]["code"]
            .as_str()
            .is_some_and(|code| code.starts_with("device_")),
        "{known}"
    );
    let answer = his.sign(&device, RX).await;
    let said = answer.json()["text"].as_str().unwrap_or_default().to_owned();
    assert_eq!(answer.refused(), "device_absent");
    assert!(said.contains("密码设备"), "{said}");
    let overview = site.admin.browser.get("overview").await.done();
    let notices = overview["notices"].as_array().expect("notices");
    let named = notices.iter().any(|notice| {
        notice["code"] == "device_down" && notice["text"].as_str().is_some_and(|text| text.contains("sdf1"))
    });
    // It may be between two tries, and look well until the next call.
    assert!(named || overview["devices"][1]["state"] == "ready", "{overview}");

    site.control("");
    site.admin.browser.post("devices/sdf1/retry", json!({})).await.done();
    site.until("sdf1", "ready").await;
    let signed = his.sign(&device, RX).await.done();
    let how = ["-sm3", "-sigopt", "distid:1234567812345678"];
    assert!(site.judged(&signed, RX, &how).contains("Verified OK"));

    // Reset: all its sessions are gone from one call to the next.
    site.control("reset 1\n");
    his.sign(&device, RX).await.done();
}

#[tokio::test]
async fn a_device_absent_at_the_start_alarms_by_name_and_everything_else_goes_on() {
    let site = Site::new("fail SDF_OpenDevice 0x01000005\n", SDF_PASSWORD).await;
    let here = site.key("keys", json!({"label": "本机", "algorithm": "sm2"})).await;
    let his = site.application(&[&here]).await;
    site.until("sdf1", "down").await;
    let report = site.admin.browser.post("self-test", json!({})).await.done();
    assert_eq!(report["passed"], true);
    let items = report["items"].as_array().expect("items");
    let item = items.iter().find(|item| item["name"] == "device-keys").expect("item");
    assert_eq!(
        (&item["passed"], &item["stops_signing"]),
        (&json!(false), &json!(false))
    );
    let said = item["detail"].as_str().unwrap_or_default();
    assert!(said.contains("sdf1") && !said.contains("hsm1"), "{said}");
    his.sign(&here, RX).await.done();
    // It is plugged in, and found without anyone asking.
    site.control("");
    site.until("sdf1", "ready").await;
    let report = site.admin.browser.post("self-test", json!({})).await.done();
    assert!(
        report["items"]
            .as_array()
            .expect("items")
            .iter()
            .all(|item| item["passed"] == true),
        "{report}"
    );
}

#[tokio::test]
async fn a_wrong_password_is_shown_to_the_device_once_until_a_person_gives_another() {
    let site = Site::new("", "wrong-password").await;
    let admin = &site.admin.browser;
    let adopt = json!({"label": "设备", "device": "sdf1", "reference": "sdf:1"});
    for _ in 0..3 {
        assert_eq!(
            admin.post("keys/adopt", adopt.clone()).await.refused(),
            "device_pin_wrong"
        );
        admin.post("devices/sdf1/retry", json!({})).await.done();
        admin.post("self-test", json!({})).await.done();
    }
    assert_eq!(site.wrong_passwords(), 1);
    admin
        .post("devices/sdf1/pin", json!({"pin": SDF_PASSWORD}))
        .await
        .done();
    let key = site.key("keys/adopt", adopt).await;
    let his = site.application(&[&key]).await;
    his.sign(&key, RX).await.done();
    assert_eq!(site.wrong_passwords(), 1);
}
