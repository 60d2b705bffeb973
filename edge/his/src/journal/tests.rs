use records::{Clock, HisCommand, ManualClock, TenantId};
use serde_json::json;
use store::{Scope, SqliteOptions, Store, StoreError};

use super::*;

fn rules(can_ask: bool, verify: bool) -> Rules {
    Rules {
        can_ask,
        verify,
        retry: Retry {
            first_ms: 1_000,
            cap_ms: 8_000,
            undelivered_s: 3_600,
            unknown_s: 600,
            resends: 2,
        },
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(1_000_000 + second)
}

fn unclear() -> Answer {
    Answer::Unclear {
        why: "no answer in time".into(),
    }
}

fn done() -> Outcome<Value> {
    Outcome::Done(json!({"n": 1}))
}

fn in_state(state: State, sent: u32) -> Work {
    Work {
        state,
        sent,
        attempts: 1,
        ..Work::new(at(0))
    }
}

/// Every state under everything that can happen, as a table a person can read: `.` is refused.
#[test]
fn every_event_in_every_state() {
    type Event = (&'static str, fn(Work, &Rules) -> Result<Work, Refusal>);
    let events: [Event; 12] = [
        ("send", |w, _| w.send(at(1))),
        ("done", |w, r| w.answered(Answer::Done(json!({"n": 1})), r, at(1))),
        ("refused", |w, r| {
            w.answered(
                Answer::Refused {
                    code: "x".into(),
                    text: "y".into(),
                },
                r,
                at(1),
            )
        }),
        ("not done", |w, r| {
            w.answered(
                Answer::NotDone {
                    after_ms: 0,
                    why: "z".into(),
                },
                r,
                at(1),
            )
        }),
        ("unclear", |w, r| w.answered(unclear(), r, at(1))),
        ("cut off", |w, r| w.cut_off(r, at(1))),
        ("found done", |w, r| w.asked(Settled::Done(json!({"n": 1})), r, at(1))),
        ("found absent", |w, r| w.asked(Settled::Absent, r, at(1))),
        ("found refused", |w, r| {
            w.asked(
                Settled::Refused {
                    code: "x".into(),
                    text: "y".into(),
                },
                r,
                at(1),
            )
        }),
        ("query unclear", |w, r| {
            w.asked(Settled::Unclear { why: "z".into() }, r, at(1))
        }),
        ("retry by hand", |w, r| w.retry(r, at(1))),
        ("settle by hand", |w, _| w.settle_by_hand(done())),
    ];
    let mut table = String::from("\n");
    for (name, event) in events {
        let cells = State::ALL.map(|state| match event(in_state(state, 1), &rules(true, false)) {
            Ok(work) => work.state.as_str(),
            Err(refusal) => {
                assert_eq!(refusal.state, state);
                "."
            }
        });
        table.push_str(&format!("{name}: {}\n", cells.join(" ")));
    }
    // queued sending waiting unknown done refused needs_hand
    assert_eq!(
        table,
        "
send: sending . sending . . . .
done: . done . . . . .
refused: . refused . . . . .
not done: . waiting . . . . .
unclear: . unknown . . . . .
cut off: . unknown . . . . .
found done: . . . done . . .
found absent: . . . waiting . . .
found refused: . . . refused . . .
query unclear: . . . unknown . . .
retry by hand: . . . . . . unknown
settle by hand: . . . . . . done
"
    );
}

#[test]
fn success_that_must_be_confirmed_is_asked_about_first() {
    let work = in_state(State::Sending, 1)
        .answered(Answer::Done(json!({"receipt": "R1"})), &rules(true, true), at(1))
        .unwrap();
    assert_eq!((work.state, work.next_at), (State::Unknown, at(1)));
    let settled = work
        .clone()
        .asked(Settled::Done(json!({"receipt": ""})), &rules(true, true), at(2))
        .unwrap();
    assert_eq!(
        settled.outcome,
        Some(Outcome::Done(json!({"receipt": "R1"}))),
        "the richer answer is kept"
    );
    let lied = work.asked(Settled::Absent, &rules(true, true), at(2)).unwrap();
    assert_eq!((lied.state, lied.generation), (State::Waiting, 2));
}

#[test]
fn a_refusal_of_a_second_try_is_believed_only_when_the_first_left_nothing() {
    let repeat = || Answer::Refused {
        code: "his_2".into(),
        text: "订单已支付".into(),
    };
    let work = in_state(State::Sending, 2)
        .answered(repeat(), &rules(true, false), at(1))
        .unwrap();
    assert_eq!(work.state, State::Unknown);
    let paid = work
        .clone()
        .asked(Settled::Done(json!({})), &rules(true, false), at(2))
        .unwrap();
    assert_eq!(paid.outcome, Some(Outcome::Done(json!({}))));
    let refused = work.asked(Settled::Absent, &rules(true, false), at(2)).unwrap();
    assert_eq!(refused.outcome, Some(Outcome::refused("his_2", "订单已支付")));
}

#[test]
fn patience_ends_in_a_persons_hand() {
    let r = rules(true, false);
    let late = |w: Work| Work {
        unknown_since: Some(at(0)),
        ..w
    };
    let work = late(in_state(State::Unknown, 1))
        .asked(Settled::Unclear { why: "x".into() }, &r, at(600))
        .unwrap();
    assert_eq!(work.state, State::NeedsHand);
    let undelivered = in_state(State::Sending, 1).answered(
        Answer::NotDone {
            after_ms: 0,
            why: "x".into(),
        },
        &r,
        at(3_600),
    );
    assert_eq!(undelivered.unwrap().state, State::NeedsHand);
    let lying = Work {
        generation: 3,
        ..in_state(State::Unknown, 3)
    }
    .asked(Settled::Absent, &r, at(1))
    .unwrap();
    assert_eq!(lying.state, State::NeedsHand);
    let unasked = late(in_state(State::Sending, 9))
        .answered(unclear(), &rules(false, false), at(601))
        .unwrap();
    assert_eq!(unasked.state, State::NeedsHand);
}

#[test]
fn what_may_be_resent_keeps_its_identity_and_pauses_grow_to_a_limit() {
    let r = rules(false, false);
    let mut work = Work::new(at(0));
    let mut pauses = Vec::new();
    for _ in 0..6 {
        work = work.send(at(0)).unwrap().answered(unclear(), &r, at(0)).unwrap();
        assert_eq!((work.state, work.generation), (State::Waiting, 1));
        pauses.push(work.next_at.since(at(0)).as_secs());
    }
    assert_eq!(pauses, [1, 2, 4, 8, 8, 8]);
}

async fn store(dir: &tempfile::TempDir, clock: &std::sync::Arc<ManualClock>) -> Store {
    let clock: std::sync::Arc<dyn Clock> = clock.clone();
    let store = Store::open_sqlite(&dir.path().join("edge.sqlite"), SqliteOptions::default(), clock)
        .await
        .unwrap();
    store.migrate(MIGRATIONS).await.unwrap();
    store
}

fn command(key: &str, subject: &str, amount: i64) -> HisCommand {
    HisCommand {
        key: key.into(),
        method: "bill.confirm_payment".into(),
        subject: subject.into(),
        request: json!({"amount_fen": amount}),
    }
}

async fn take(store: &Store, scope: &Scope, command: HisCommand, origin: Origin) -> Accepted {
    store
        .write(scope, move |tx| {
            let command = command.clone();
            Box::pin(async move { accept(tx, &command, origin).await })
        })
        .await
        .map_err(|e: StoreError| e)
        .unwrap()
}

async fn step(
    store: &Store,
    scope: &Scope,
    key: &'static str,
    f: fn(Work, Timestamp) -> Result<Work, Refusal>,
) -> Entry {
    store
        .write(scope, move |tx| {
            Box::pin(async move { write_step(tx, key, "", f).await })
        })
        .await
        .map_err(|e: StoreError| e)
        .unwrap()
        .unwrap()
}

async fn results(store: &Store, scope: &Scope) -> Vec<Value> {
    let rows = store.read(scope, |tx| {
        Box::pin(async move {
            tx.all::<(Value,)>("SELECT body FROM store_outbox ORDER BY seq", &[])
                .await
        })
    });
    rows.await
        .map_err(|e: StoreError| e)
        .unwrap()
        .into_iter()
        .map(|r| r.0)
        .collect()
}

async fn due_now(store: &Store, scope: &Scope) -> Vec<String> {
    store
        .read(scope, |tx| Box::pin(async move { due(tx, 10).await }))
        .await
        .map_err(|e: StoreError| e)
        .unwrap()
}

#[tokio::test]
async fn a_key_is_one_wish_and_its_result_is_reported_once_per_asking() {
    let dir = tempfile::tempdir().unwrap();
    let clock = std::sync::Arc::new(ManualClock::new(at(0)));
    let store = store(&dir, &clock).await;
    let scope = Scope::system(TenantId::parse("hos_1").unwrap());
    assert_eq!(
        take(&store, &scope, command("k1", "rx_1", 100), Origin::Command).await,
        Accepted::New
    );
    assert!(matches!(
        take(&store, &scope, command("k1", "rx_1", 100), Origin::Command).await,
        Accepted::Known(_)
    ));
    assert!(
        results(&store, &scope).await.is_empty(),
        "not settled, nothing to report"
    );
    assert_eq!(
        take(&store, &scope, command("k1", "rx_1", 999), Origin::Command).await,
        Accepted::Conflict
    );
    let reported = results(&store, &scope).await;
    assert_eq!(reported[0]["outcome"]["refused"]["code"], "key_conflict");
    step(&store, &scope, "k1", |w, n| w.send(n)).await;
    step(&store, &scope, "k1", |w, n| {
        w.answered(Answer::Done(json!({})), &rules(true, false), n)
    })
    .await;
    assert_eq!(results(&store, &scope).await.len(), 2);
    take(&store, &scope, command("k1", "rx_1", 100), Origin::Command).await;
    let reported = results(&store, &scope).await;
    assert_eq!((reported.len(), &reported[1]["outcome"]), (3, &reported[2]["outcome"]));
}

#[tokio::test]
async fn commands_of_one_subject_wait_for_each_other_and_others_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let clock = std::sync::Arc::new(ManualClock::new(at(0)));
    let store = store(&dir, &clock).await;
    let scope = Scope::system(TenantId::parse("hos_1").unwrap());
    for (key, subject) in [("a1", "rx_a"), ("a2", "rx_a"), ("b1", "rx_b")] {
        take(&store, &scope, command(key, subject, 1), Origin::Command).await;
    }
    assert_eq!(due_now(&store, &scope).await, ["a1", "b1"]);
    step(&store, &scope, "a1", |w, n| w.send(n)).await;
    assert_eq!(due_now(&store, &scope).await, ["b1"]);
    step(&store, &scope, "a1", |w, n| {
        w.answered(unclear(), &rules(true, false), n)
    })
    .await;
    assert_eq!(
        due_now(&store, &scope).await,
        ["a1", "b1"],
        "unknown is due to be asked about"
    );
    step(&store, &scope, "a1", |w, n| {
        w.asked(Settled::Done(json!({})), &rules(true, false), n)
    })
    .await;
    assert_eq!(due_now(&store, &scope).await, ["a2", "b1"]);
    // What somebody only called for is never sent later by itself.
    take(&store, &scope, command("c1", "c1", 1), Origin::Call).await;
    assert_eq!(due_now(&store, &scope).await, ["a2", "b1"]);
}

/// The process dies after each step; what the next one finds is never a blind repeat and never a loss.
#[tokio::test]
async fn a_restart_after_each_step_goes_on_rightly() {
    let scope = Scope::system(TenantId::parse("hos_1").unwrap());
    type Advance = fn(Work, Timestamp) -> Result<Work, Refusal>;
    let steps: [(&str, Advance); 5] = [
        ("queued", |w, _| Ok(w)),
        ("sending", |w, n| w.send(n)),
        ("unknown", |w, n| w.answered(unclear(), &rules(true, false), n)),
        ("waiting", |w, n| w.asked(Settled::Absent, &rules(true, false), n)),
        ("sending", |w, n| w.send(n)),
    ];
    for upto in 0..steps.len() {
        let dir = tempfile::tempdir().unwrap();
        let clock = std::sync::Arc::new(ManualClock::new(at(0)));
        let first = store(&dir, &clock).await;
        take(&first, &scope, command("k1", "rx_1", 1), Origin::Command).await;
        for (_, step_of) in steps.iter().take(upto + 1) {
            step(&first, &scope, "k1", *step_of).await;
        }
        drop(first);
        clock.advance(Duration::from_secs(60));
        let again = store(&dir, &clock).await;
        again
            .write(&scope, |tx| {
                Box::pin(async move { recover(tx, &|_| rules(true, false)).await })
            })
            .await
            .map_err(|e: StoreError| e)
            .unwrap();
        let entry = again
            .read(&scope, |tx| Box::pin(async move { by_key(tx, "k1").await }))
            .await;
        let entry = entry.map_err(|e: StoreError| e).unwrap().unwrap();
        let expected = if steps[upto].0 == "sending" {
            "unknown"
        } else {
            steps[upto].0
        };
        assert_eq!(entry.work.state.as_str(), expected, "after step {upto}");
        assert_eq!(
            due_now(&again, &scope).await,
            ["k1"],
            "after step {upto} somebody looks at it again"
        );
    }
}
