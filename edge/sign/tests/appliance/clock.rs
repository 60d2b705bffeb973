//! Clocks that cannot be believed, and a log that cannot be changed unseen.

use std::sync::Arc;
use std::time::Duration;

use attest::Tpm;
use kit::swtpm::SoftTpm;
use records::his::Operation;
use records::sign::{Enrol, Health, ServerHealth, SignDocument};
use records::{Clock, ManualClock, Outcome, SystemClock, Timestamp};
use serde_json::{Value, json};
use sign::Engine;
use sign::engine::Rules;
use sign::guard::Guarded;
use sign::settings::{LogKeeping, Syslog};
use sign::wire::Request;

use crate::site::{HOSPITAL, PIN, code};

struct Bench {
    dir: tempfile::TempDir,
    _chip: SoftTpm,
    clock: Arc<ManualClock>,
    engine: Engine,
}

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("dir");
        let chip = SoftTpm::start(&dir.path().join("tpm"));
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        let tpm = Tpm::new(&chip.tcti()).expect("name");
        let guarded = Guarded {
            memory_locked: false,
            no_dumps: false,
        };
        let rules = Rules {
            pcrs: vec![0, 7],
            pin_min: 4,
            guarded,
        };
        let engine = Engine::open(dir.path(), tpm, rules, clock.clone()).expect("engine");
        let bench = Self {
            dir,
            _chip: chip,
            clock,
            engine,
        };
        let asked =
            json!({"signer_id": "sta_1", "name": "王医生", "role": "doctor", "organisation": HOSPITAL, "pin": PIN});
        assert!(matches!(bench.ask(Enrol::METHOD, "sta_1", asked), Outcome::Done(_)));
        bench
    }

    fn ask(&self, method: &str, key: &str, body: Value) -> Outcome<Value> {
        self.engine.answer(Request {
            method: method.to_owned(),
            key: Some(key.to_owned()),
            body,
        })
    }

    fn sign(&self, key: &str) -> Outcome<Value> {
        self.ask(
            SignDocument::METHOD,
            key,
            json!({"signer_id": "sta_1", "pin": PIN, "document": "cngtMQ=="}),
        )
    }

    fn health(&self) -> ServerHealth {
        let answer = self.ask(Health::METHOD, "", json!({})).done().expect("health");
        serde_json::from_value(answer).expect("health")
    }
}

#[test]
fn nothing_is_signed_under_a_clock_that_runs_backwards_or_leaps() {
    let bench = Bench::new();
    let today = bench.clock.now();
    assert!(matches!(bench.sign("rx_1"), Outcome::Done(_)));
    for wrong in [Timestamp::from_seconds(0), today.minus(DAY), today.plus(DAY * 500)] {
        bench.clock.set(wrong);
        assert_eq!(code(bench.sign("rx_2")), "clock_untrusted", "{wrong}");
        assert_eq!(bench.health().clock, "untrusted");
        assert!(
            matches!(bench.sign("rx_1"), Outcome::Done(_)),
            "what was signed is still answered"
        );
    }
    bench.clock.set(today.minus(Duration::from_secs(5)));
    assert!(
        matches!(bench.sign("rx_2"), Outcome::Done(_)),
        "a time server may set it back by seconds"
    );

    bench.clock.set(today.plus(DAY * 500));
    bench.engine.accept_clock().expect("an administrator says it is right");
    assert!(matches!(bench.sign("rx_3"), Outcome::Done(_)));
}

#[test]
fn a_certificate_ends_and_is_renewed_with_the_pin() {
    let bench = Bench::new();
    for year in 1..=4 {
        bench.clock.advance(DAY * 300);
        let outcome = bench.sign(&format!("rx_{year}"));
        if year < 4 {
            assert!(matches!(outcome, Outcome::Done(_)), "year {year}");
        } else {
            assert_eq!(code(outcome), "certificate_expired");
        }
    }
    let asked = json!({"signer_id": "sta_1", "name": "王医生", "role": "doctor", "organisation": HOSPITAL, "pin": PIN});
    assert!(matches!(bench.ask(Enrol::METHOD, "sta_1", asked), Outcome::Done(_)));
    assert!(matches!(bench.sign("rx_9"), Outcome::Done(_)));
}

/// Rows: AP-260
#[test]
fn a_changed_or_removed_log_entry_is_seen() {
    let bench = Bench::new();
    assert!(matches!(bench.sign("rx_1"), Outcome::Done(_)));
    assert!(bench.health().log_intact);
    let db = rusqlite::Connection::open(bench.dir.path().join("signd.db")).expect("state file");
    db.execute("UPDATE log SET subject = 'sta_2' WHERE act = 'document.signed'", [])
        .expect("changed");
    assert!(!bench.health().log_intact);
    db.execute("UPDATE log SET subject = 'sta_1' WHERE act = 'document.signed'", [])
        .expect("changed back");
    assert!(bench.health().log_intact);
    db.execute("DELETE FROM log WHERE seq = 2", []).expect("removed");
    assert!(!bench.health().log_intact);
}

#[test]
fn a_hospital_may_ask_for_four_digits_but_not_for_three() {
    let bench = Bench::new();
    let enrol = |pin: &str| {
        let asked =
            json!({"signer_id": "sta_2", "name": "李药师", "role": "pharmacist", "organisation": HOSPITAL, "pin": pin});
        bench.ask(Enrol::METHOD, "sta_2", asked)
    };
    for bad in ["123", "", "12a4", "１２３４", "1234567890123"] {
        assert_eq!(code(enrol(bad)), "pin_shape", "{bad}");
    }
    assert!(matches!(enrol("2468"), Outcome::Done(_)));
}

/// The limit was set after some years, and a checkpoint lies between what goes and what stays.
#[test]
fn the_log_is_kept_as_long_as_it_was_set_and_stays_whole() {
    let bench = Bench::new();
    assert!(matches!(bench.sign("rx_1"), Outcome::Done(_)));
    let first = bench.engine.checkpoint().expect("counted").expect("made");
    assert_eq!(bench.engine.checkpoint().expect("counted"), None, "nothing new");
    bench.clock.advance(DAY * 100);
    assert!(matches!(bench.sign("rx_2"), Outcome::Done(_)));
    assert_eq!(bench.engine.checkpoint().expect("counted"), Some(first + 1));
    bench.clock.advance(DAY * 100);
    assert!(matches!(bench.sign("rx_3"), Outcome::Done(_)));
    bench.engine.checkpoint().expect("counted");
    assert_eq!(bench.engine.prune_log().expect("kept"), 0, "kept for ever unless set");

    let refused = bench.engine.set_log_keeping("audit", LogKeeping { keep_days: 30 });
    assert!(refused.is_err(), "shorter than the law allows");
    bench
        .engine
        .set_log_keeping("audit", LogKeeping { keep_days: 180 })
        .expect("set");
    let gone = i64::try_from(bench.engine.prune_log().expect("pruned")).expect("few");
    assert!(gone >= 2, "{gone}");
    let db = rusqlite::Connection::open(bench.dir.path().join("signd.db")).expect("state file");
    let count = |sql: &str| -> i64 { db.query_row(sql, [], |row| row.get(0)).expect("count") };
    assert_eq!(count("SELECT min(seq) FROM log"), gone + 1);
    assert_eq!(count("SELECT count(*) FROM log WHERE act = 'document.signed'"), 2);
    assert_eq!(count("SELECT count(*) FROM log WHERE act = 'log.pruned'"), 1);
    assert_eq!(bench.engine.prune_log().expect("kept"), 0, "once");
    assert!(bench.health().log_intact);
    assert!(matches!(bench.sign("rx_4"), Outcome::Done(_)));
    bench.engine.checkpoint().expect("counted").expect("made");

    // What is left hangs on what went.
    db.execute("DELETE FROM log WHERE seq = ?1", [gone + 1])
        .expect("removed");
    assert!(!bench.health().log_intact);
}

/// Nothing goes that the receiver of the log has not got.
#[test]
fn what_was_not_sent_is_kept() {
    let bench = Bench::new();
    assert!(matches!(bench.sign("rx_1"), Outcome::Done(_)));
    bench.engine.checkpoint().expect("counted").expect("made");
    let receiver = Syslog {
        enabled: true,
        host: "127.0.0.1".to_owned(),
        ..Syslog::default()
    };
    bench.engine.set_syslog("ops", &receiver).expect("set");
    bench
        .engine
        .set_log_keeping("audit", LogKeeping { keep_days: 180 })
        .expect("set");
    bench.clock.advance(DAY * 200);
    assert_eq!(bench.engine.prune_log().expect("kept"), 0);
    bench
        .engine
        .set_syslog(
            "ops",
            &Syslog {
                enabled: false,
                ..receiver
            },
        )
        .expect("set");
    assert!(bench.engine.prune_log().expect("pruned") > 0);
}
