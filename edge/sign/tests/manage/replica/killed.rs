//! A follower that dies while it takes a package has it whole or not at all, and the next push makes it good.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::json;
use tokio::time::Instant;

use super::{Appliance, pair, shown, until_alike, until_fresh};

/// Deaths, each with its own seed.
const DEATHS: u64 = 8;

/// What the follower's disk holds.
#[derive(Debug, PartialEq, Eq)]
struct Disk {
    applications: BTreeSet<String>,
    /// The newest package that it says it took.
    number: i64,
    /// The same by its log.
    logged: i64,
}

fn disk(state: &Path) -> Disk {
    let held = Connection::open(state.join("signd.db")).expect("state");
    let sound: String = held
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .expect("checked");
    assert_eq!(sound, "ok");
    let mut rows = held.prepare("SELECT id FROM application").expect("applications");
    let rows = rows.query_map([], |row| row.get(0)).expect("applications");
    let applications = rows.collect::<Result<_, _>>().expect("applications");
    let number = held
        .query_row("SELECT max(number) FROM replica_peer", [], |row| row.get(0))
        .expect("peer");
    let sql = "SELECT detail FROM log WHERE act = 'replica.taken' ORDER BY seq DESC LIMIT 1";
    let detail: String = held.query_row(sql, [], |row| row.get(0)).expect("log");
    let logged = detail
        .split_whitespace()
        .skip_while(|word| *word != "number")
        .nth(1)
        .and_then(|number| number.parse().ok());
    Disk {
        applications,
        number,
        logged: logged.expect("number"),
    }
}

/// Bytes of the state file and its journal: they change when the follower begins to write.
fn written(state: &Path) -> (u64, Option<std::time::SystemTime>) {
    let of = |name: &str| std::fs::metadata(state.join(name)).ok();
    let journal = of("signd.db-wal");
    (
        journal.as_ref().map_or(0, std::fs::Metadata::len),
        journal.and_then(|meta| meta.modified().ok()),
    )
}

/// A number below `below`, drawn from a seed (xorshift).
fn drawn(seed: &mut u64, below: u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed % below.max(1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_killed_while_it_takes_a_package_has_it_whole_or_not_at_all() {
    let (source, mut follower) = (Appliance::new("一号机", "").await, Appliance::new("二号机", "").await);
    source.furnish().await;
    pair(&source, &follower, true).await;
    until_alike(&source, &follower).await;
    let state = follower.site.state();
    let policy = source.operator.browser.get("applications").await.done()[0]["policy"].clone();
    let add = async |id: &str| {
        let application = json!({"id": id, "name": id, "policy": policy});
        source.operator.browser.post("applications", application).await.done();
    };
    // Once undisturbed: so long it takes from the change to the receipt.
    let begun = Instant::now();
    add("app_0").await;
    until_fresh(&source).await;
    let usual = begun.elapsed();

    let (mut whole, mut none) = (0, 0);
    for death in 1..=DEATHS {
        let mut seed = 0x9e37_79b9_7f4a_7c15 ^ (death << 32 | death);
        let before = disk(&state);
        let quiet = written(&state);
        let id = format!("app_{death}");
        add(&id).await;
        if death % 2 == 0 {
            // The moment its first byte is written, or a little later.
            let until = Instant::now() + Duration::from_secs(180);
            while written(&state) == quiet {
                assert!(Instant::now() < until, "nothing is written");
                tokio::task::yield_now().await;
            }
            tokio::time::sleep(Duration::from_micros(drawn(&mut seed, 4_000))).await;
        } else {
            let latest = u64::try_from(usual.as_micros()).expect("short");
            tokio::time::sleep(Duration::from_micros(drawn(&mut seed, latest))).await;
        }
        follower.site.signd.kill();
        let after = disk(&state);
        let has_it = after.applications.contains(&id);
        let mut wanted = before.applications.clone();
        if has_it {
            wanted.insert(id);
            whole += 1;
        } else {
            none += 1;
        }
        assert_eq!(after.applications, wanted, "death {death}: nothing else changed");
        assert_eq!(
            after.number, after.logged,
            "death {death}: what was taken is in the log"
        );
        assert_eq!(
            after.number > before.number,
            has_it,
            "death {death}: {before:?} {after:?}"
        );
        follower.site.power_cut();
        until_fresh(&source).await;
    }
    eprintln!("taken whole before {whole} deaths, not at all before {none}");
    assert_eq!(whole + none, DEATHS);

    let browser = follower.site.browser();
    follower.admin.sign_in(&browser).await.done();
    follower.admin.browser = browser;
    assert_eq!(shown(&follower.admin.browser).await, shown(&source.admin.browser).await);
    assert_eq!(
        follower.admin.browser.get("overview").await.done()["log"]["intact"],
        true
    );
}
