//! The recorder dock: the real firmware image under QEMU, the real driver at its serial line.

use std::path::PathBuf;
use std::time::Duration;

use dock::DockState;
use serde_json::json;
use tokio::sync::watch;

fn firmware() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target"),
        PathBuf::from,
    );
    let image = target.join("firmware/thumbv7em-none-eabihf/release/board-mps2");
    assert!(image.is_file(), "the firmware is not built: run `cargo xtask test`");
    image
}

async fn until(seen: &mut watch::Receiver<DockState>, what: &str, so: impl FnMut(&DockState) -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(40), seen.wait_for(so)).await;
    assert!(
        waited.is_ok_and(|r| r.is_ok()),
        "waited in vain for {what}: {:?}",
        *seen.borrow()
    );
}

#[tokio::test]
async fn a_recorder_is_seen_in_its_bay_through_a_pulled_cable_and_a_reset_board() {
    let folder = tempfile::tempdir().unwrap();
    let (tty, control) = (folder.path().join("dock.tty"), kit::ports::free_port());
    let arguments = bench_dock::Arguments {
        firmware: firmware(),
        tty: tty.clone(),
        control,
    };
    let board = tokio::spawn(bench_dock::run(arguments));
    let (state, mut seen) = watch::channel(DockState::default());
    let driver = tokio::spawn(async move { dock::watch(&tty, state).await });
    let http = reqwest_client();
    let post = async |path: &str, body: serde_json::Value| {
        let answer = http
            .post(format!("http://127.0.0.1:{control}/control/{path}"))
            .json(&body)
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
    };

    until(&mut seen, "the board", |s| s.online && s.bays.len() == 10).await;
    post("bays/3", json!({ "present": true })).await;
    until(&mut seen, "the recorder in bay 4", |s| {
        s.bays[3].present && s.bays[3].locked && s.bays[3].charge_ma > 0
    })
    .await;

    post("unplug", json!({ "seconds": 6 })).await;
    until(&mut seen, "the pulled cable", |s| {
        !s.online && s.trouble.contains("采集坞")
    })
    .await;
    until(&mut seen, "the cable back in", |s| s.online && s.bays[3].present).await;

    post("reset", json!({})).await;
    until(&mut seen, "the empty bays of a board that began anew", |s| {
        s.online && !s.bays[3].present
    })
    .await;
    post("bays/0", json!({ "present": true })).await;
    until(&mut seen, "the recorder in bay 1", |s| s.bays[0].present).await;
    driver.abort();
    board.abort();
}

fn reqwest_client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}
