//! An update changes the machine's measured state: the maker's approval keeps the keys open.

use std::process::Command;

use attest::approval::REFERENCE;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::site::{PIN, Site, code};

const RX: &[u8] = b"rx";

/// Runs a program in the site's folder, with its TPM.
fn run(site: &Site, program: &str, arguments: &[&str]) {
    let done = Command::new(program)
        .env("TPM2TOOLS_TCTI", site.tpm.tcti())
        .args(arguments)
        .current_dir(site.dir.path())
        .output()
        .expect(program);
    assert!(
        done.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// The maker approves the state that the machine is in; `key`: whose word it is.
fn approve(site: &Site, key: &str, name: &str) {
    let folder = site.dir.path();
    run(
        site,
        "tpm2_createpolicy",
        &["--policy-pcr", "-l", "sha256:0,7", "-L", "state.policy"],
    );
    let policy = std::fs::read(folder.join("state.policy")).expect("policy");
    std::fs::write(folder.join("signed"), [&policy, REFERENCE].concat()).expect("written");
    run(
        site,
        "openssl",
        &["dgst", "-sha256", "-sign", key, "-out", "signature", "signed"],
    );
    let signature = STANDARD.encode(std::fs::read(folder.join("signature")).expect("signature"));
    let approval = json!({"pcrs": [0, 7], "policy": hex::encode(policy), "signature": signature});
    std::fs::write(folder.join("states").join(name), approval.to_string()).expect("written");
}

fn logged(site: &Site, act: &str) -> Vec<String> {
    let log = rusqlite::Connection::open(site.state().join("signd.db")).expect("log");
    let mut rows = log
        .prepare("SELECT detail FROM log WHERE act = ?1 ORDER BY seq")
        .expect("log");
    let rows = rows.query_map([act], |row| row.get(0)).expect("log");
    rows.map(|row| row.expect("entry")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approved_update_locks_no_key_away() {
    let mut site = Site::new();
    let folder = site.dir.path().to_path_buf();
    std::fs::create_dir(folder.join("states")).expect("folder");
    for key in ["maker.key", "stranger.key"] {
        run(
            &site,
            "openssl",
            &["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key],
        );
    }
    run(
        &site,
        "openssl",
        &["pkey", "-in", "maker.key", "-pubout", "-out", "maker.pem"],
    );
    site.enrol("sta_1", "王医生").await.done().expect("enrolled");

    // An appliance of before learns whose approvals count, in the state it was sealed in.
    let approval = format!(
        "[approval]\nauthority = {:?}\nstates = {:?}\n",
        folder.join("maker.pem"),
        folder.join("states")
    );
    site.restart_with(&approval);
    site.sign("rx_1", "sta_1", PIN, RX).await.done().expect("signed");
    assert_eq!(logged(&site, "kek.resealed"), ["another authority of approvals"]);

    site.tpm.extend(7);
    let changed = async |site: &Site, key: &str| {
        assert_eq!(code(site.sign(key, "sta_1", PIN, RX).await), "tpm_state_changed");
    };
    changed(&site, "rx_2").await;
    approve(&site, "stranger.key", "2-stranger.json");
    std::fs::write(folder.join("states/3-broken.json"), "{").expect("written");
    changed(&site, "rx_2").await;
    approve(&site, "maker.key", "1-update.json");
    site.sign("rx_2", "sta_1", PIN, RX)
        .await
        .done()
        .expect("signed in the approved state");
    let told = logged(&site, "kek.resealed");
    assert!(told.len() == 2 && told[1].starts_with("approved state "), "{told:?}");

    // It is sealed to that state by now, without anybody's word.
    for name in ["1-update.json", "2-stranger.json", "3-broken.json"] {
        std::fs::remove_file(folder.join("states").join(name)).expect("removed");
    }
    site.restart_with(&approval);
    site.sign("rx_3", "sta_1", PIN, RX).await.done().expect("signed");
    site.tpm.extend(0);
    changed(&site, "rx_4").await;
    assert_eq!(logged(&site, "kek.resealed").len(), 2);
}
