//! A log whose end is cut off, and a state file that is put back in time.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use records::Outcome;
use rusqlite::Connection;

use crate::site::{PIN, Site, code, start};

const RX: &[u8] = "处方 CF202611210001 阿莫西林胶囊 0.5 g tid".as_bytes();

fn file(site: &Site) -> Connection {
    Connection::open(site.state().join("signd.db")).expect("state file")
}

fn newest(site: &Site) -> Option<(i64, i64)> {
    let sql = "SELECT number, seq FROM checkpoint WHERE settled ORDER BY number DESC LIMIT 1";
    file(site).query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).ok()
}

/// Ends `signd` as the machine's shutdown does.
fn shut_down(site: &mut Site) {
    let ended = site.signd.stop(Duration::from_secs(120)).expect("ended");
    assert!(ended.success(), "{ended}");
    file(site)
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .expect("all in one file");
}

fn start_again(site: &mut Site) {
    (site.signd, site.client) = start(&site.state(), &site.tpm.tcti());
}

/// The self-test at the start comes to its end beside the first requests.
async fn until_refused(site: &Site) {
    let end = Instant::now() + Duration::from_secs(120);
    for n in 0.. {
        match site.sign(&format!("rx_refused_{n}"), "sta_1", PIN, RX).await {
            Outcome::Refused { code, .. } if code == "self_test" => return,
            other => assert!(Instant::now() < end, "still signs: {other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn accept_log(site: &Site) {
    let config = site.state().join("signd.toml");
    let ended = Command::new(env!("CARGO_BIN_EXE_signd"))
        .arg("--config")
        .arg(config)
        .arg("--accept-log")
        .output()
        .expect("ran");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

fn copy(from: &Path, to: &Path) {
    std::fs::copy(from, to).expect("copied");
}

/// Rows: AP-260
#[tokio::test]
async fn a_log_that_lost_its_end_stops_signing_until_somebody_looked_into_it() {
    let mut site = Site::new();
    site.enrol("sta_1", "王医生").await.done().expect("enrolled");
    site.sign("rx_1", "sta_1", PIN, RX).await.done().expect("signed");
    shut_down(&mut site);
    let (number, seq) = newest(&site).expect("a checkpoint at the end");
    let (state, monday) = (site.state().join("signd.db"), site.state().join("monday.db"));
    copy(&state, &monday);

    // An honest day: started, signed, ended.
    start_again(&mut site);
    site.sign("rx_2", "sta_1", PIN, RX).await.done().expect("signed");
    shut_down(&mut site);
    let (later, later_seq) = newest(&site).expect("a checkpoint");
    assert!(later > number && later_seq > seq, "{later} {later_seq}");
    let tuesday = site.state().join("tuesday.db");
    copy(&state, &tuesday);

    // Somebody takes out Tuesday's signature, which was the newest, with the checkpoints that speak of it.
    let db = file(&site);
    db.execute("DELETE FROM log WHERE seq > ?1", [seq]).expect("cut");
    db.execute("DELETE FROM checkpoint WHERE seq > ?1", [seq]).expect("cut");
    drop(db);
    start_again(&mut site);
    until_refused(&site).await;
    shut_down(&mut site);

    // Or puts Monday's file back.
    copy(&monday, &state);
    start_again(&mut site);
    until_refused(&site).await;
    shut_down(&mut site);

    // Or forgets all checkpoints, or writes their own.
    copy(&tuesday, &state);
    file(&site).execute("DELETE FROM checkpoint", []).expect("removed");
    start_again(&mut site);
    until_refused(&site).await;
    shut_down(&mut site);
    copy(&tuesday, &state);
    file(&site)
        .execute(
            "UPDATE checkpoint SET seq = 1, hash = (SELECT hash FROM log WHERE seq = 1)",
            [],
        )
        .expect("forged");
    start_again(&mut site);
    until_refused(&site).await;
    shut_down(&mut site);

    // Looked into, and accepted at the machine.
    copy(&monday, &state);
    accept_log(&site);
    start_again(&mut site);
    site.sign("rx_3", "sta_1", PIN, RX).await.done().expect("signed again");
    shut_down(&mut site);
    start_again(&mut site);
    site.sign("rx_4", "sta_1", PIN, RX).await.done().expect("signed");
}

/// The power goes between the checkpoint and the TPM's counting, or between that and its note.
#[tokio::test]
async fn a_power_cut_while_a_checkpoint_is_made_is_no_alarm() {
    let mut site = Site::new();
    site.enrol("sta_1", "王医生").await.done().expect("enrolled");
    shut_down(&mut site);
    for (round, half_made) in [
        "UPDATE checkpoint SET settled = 0 WHERE number = (SELECT max(number) FROM checkpoint)",
        "INSERT INTO checkpoint SELECT number + 1, seq, hash, at, signature, 0 FROM checkpoint ORDER BY number DESC LIMIT 1",
    ]
    .into_iter()
    .enumerate()
    {
        file(&site).execute(half_made, []).expect("half made");
        start_again(&mut site);
        let before = newest(&site);
        site.sign(&format!("rx_{round}"), "sta_1", PIN, RX).await.done().expect("signed");
        shut_down(&mut site);
        assert!(newest(&site) > before);
        let open: u32 = file(&site)
            .query_row("SELECT count(*) FROM checkpoint WHERE NOT settled", [], |row| row.get(0))
            .expect("count");
        assert_eq!(open, 0, "round {round}");
        // It went on without a word: nobody had to accept anything.
        start_again(&mut site);
        let signed = site.sign(&format!("rx_{round}_2"), "sta_1", PIN, RX).await;
        assert!(matches!(signed, Outcome::Done(_)), "{}", code(signed));
        shut_down(&mut site);
    }
}
