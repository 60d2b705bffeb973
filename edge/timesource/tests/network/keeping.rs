//! The policy at work: configured, changed, switched, asked for, stopped.

use std::time::Duration;

use serde_json::json;
use timesource::{Failure, Outcome, Pace, Policy, PollRefused, Reason, Schedule, State, time_keeper};

use crate::{Machine, Running, always, brief, is_trusted, pace, plain, policy, row, server, until};

/// Rows: AP-234, AP-235, AP-256, AP-257
#[tokio::test]
async fn sources_strategy_and_switch_are_configured_without_a_restart() {
    let (first, second) = (server().await, server().await);
    let machine = Machine::ahead(1_200_000);
    let running = Running::start(Policy::default(), &machine);
    let status = running.keeper.status();
    assert_eq!(status.state, State::Off);
    assert!(status.sources.is_empty());

    // A time server is configured and synchronisation switched on: the clock is measured and corrected.
    running.keeper.set_policy(policy(vec![plain(&first)])).unwrap();
    let status = running.first().await;
    assert!(is_trusted(&status), "{status:?}");
    let State::Trusted(known) = &status.state else {
        panic!("{status:?}")
    };
    let corrected = status.time.unwrap().as_micros() - status.machine.as_micros();
    assert!(
        corrected.abs_diff(-1_200_000) <= known.error_us,
        "{corrected} {known:?}"
    );

    // Another strategy and another server take its place; what the old one said no longer counts.
    let nightly = Policy {
        schedule: Schedule::Daily {
            at: vec!["03:30".to_owned()],
        },
        good_for_s: 200_000,
        samples: 1,
        ..policy(vec![plain(&second)])
    };
    let asked = first.questions();
    running.keeper.set_policy(nightly.clone()).unwrap();
    assert_eq!(running.keeper.status().state, State::Unsynchronised { failure: None });
    let status = running.polled().await;
    assert!(is_trusted(&status));
    assert_eq!(row(&status).port, second.ntp.port());
    assert_eq!(first.questions(), asked, "the old server is left alone");
    assert_eq!(running.keeper.policy(), nightly);

    // What is wrong is refused and changes nothing.
    let faults = running
        .keeper
        .set_policy(Policy {
            samples: 9,
            ..nightly.clone()
        })
        .unwrap_err();
    assert_eq!(faults[0].to_string(), "每次查询次数应在 1 到 8 之间");
    assert_eq!(running.keeper.policy(), nightly);

    // Switched off: nobody is asked, the machine's clock counts as it is.
    let asked = second.questions();
    running
        .keeper
        .set_policy(Policy {
            enabled: false,
            ..nightly
        })
        .unwrap();
    assert_eq!(running.keeper.poll_now().await.unwrap_err(), PollRefused::Off);
    let believed = running.keeper.now().unwrap();
    assert_eq!(believed.error_us, None);
    assert_eq!(second.questions(), asked);
}

#[tokio::test]
async fn a_lost_source_leads_to_holdover_and_its_return_out_of_it() {
    let server = server().await;
    let running = Running::paced(policy(vec![plain(&server)]), &Machine::ahead(0), brief());
    assert!(is_trusted(&running.first().await));
    always(&server, json!({"kind": "silent"}));
    let status = running.polled().await;
    assert!(matches!(status.state, State::Holdover(_)), "{status:?}");
    assert_eq!(row(&status).reach, 0b10);
    assert!(running.keeper.now().is_ok());
    server.behave();
    let status = running.polled().await;
    assert!(is_trusted(&status));
    assert_eq!(row(&status).reach, 0b101);
    let outcomes: Vec<bool> = running
        .keeper
        .history()
        .iter()
        .map(|point| matches!(point.outcome, Outcome::Measured { accepted: true, .. }))
        .collect();
    assert_eq!(outcomes, [true, false, true]);
}

#[tokio::test]
async fn a_clock_set_behind_our_back_is_noticed_and_measured_again() {
    let server = server().await;
    let machine = Machine::ahead(0);
    let running = Running::start(policy(vec![plain(&server)]), &machine);
    assert!(is_trusted(&running.first().await));
    machine.set_by(20_000_000);
    let State::Untrusted {
        reason: Reason::ClockSet { by_us },
    } = running.keeper.status().state
    else {
        panic!("believed right after a step")
    };
    assert!(by_us.abs_diff(20_000_000) < 1_000_000, "{by_us}");
    until("a new measurement", || running.keeper.history().len() >= 2).await;
    let status = running.keeper.status();
    let State::Trusted(known) = status.state else {
        panic!("{status:?}")
    };
    assert!(known.offset_us.abs_diff(-20_000_000) <= known.error_us, "{known:?}");
    assert_eq!(status.jumps.len(), 1);
    assert!(status.jumps[0].step);
}

#[tokio::test]
async fn polls_on_demand_are_shared_and_kept_apart() {
    let server = server().await;
    let slow = Pace {
        unplanned: Duration::from_millis(300),
        ..pace()
    };
    let running = Running::paced(policy(vec![plain(&server)]), &Machine::ahead(0), slow);
    running.first().await;
    let ten = (0..10).map(|_| running.keeper.poll_now());
    let done = futures_util::future::join_all(ten).await;
    assert!(done.iter().all(Result::is_ok));
    let history = running.keeper.history();
    assert!(
        (2..=3).contains(&history.len()),
        "ten people, one poll (two when they came during one)"
    );
    let apart = history[1].at.since(history[0].at);
    assert!(apart >= slow.unplanned, "{apart:?}");
    let crowd = (0..40).map(|_| running.keeper.poll_now());
    let done = futures_util::future::join_all(crowd).await;
    assert!(done.iter().any(Result::is_ok));
    assert!(
        done.iter()
            .all(|one| one.is_ok() || matches!(one, Err(PollRefused::Busy)))
    );
}

#[tokio::test]
async fn the_runner_stops_at_once_even_in_the_middle_of_a_poll() {
    let server = crate::liar(json!({"kind": "silent"})).await;
    let long = Pace {
        answer: Duration::from_secs(600),
        ..pace()
    };
    let mut running = Running::paced(policy(vec![plain(&server)]), &Machine::ahead(0), long);
    until("a question", || server.questions() == 1).await;
    let keeper = running.keeper.clone();
    let waiting = tokio::spawn(async move { keeper.poll_now().await });
    running.stop.cancel();
    tokio::time::timeout(Duration::from_secs(60), &mut running.task)
        .await
        .expect("stops long before the answer is given up")
        .unwrap();
    assert_eq!(waiting.await.unwrap().unwrap_err(), PollRefused::Interrupted);
    assert!(running.keeper.now().is_err());
}

#[tokio::test]
async fn the_status_is_what_the_page_reads() {
    let server = server().await;
    let running = Running::start(policy(vec![plain(&server)]), &Machine::ahead(0));
    let status = serde_json::to_value(running.first().await).unwrap();
    assert_eq!(status["state"], "trusted");
    assert_eq!(status["stratum"], 2);
    for field in ["offset_us", "error_us", "age_s", "machine", "time"] {
        assert!(!status[field].is_null(), "{field}: {status}");
    }
    assert_eq!(status["sources"][0]["agrees"], true);
    let point = serde_json::to_value(running.keeper.history()).unwrap();
    assert_eq!(point[0]["outcome"], "measured");
    assert!(point[0]["offset_us"].is_i64());
    running
        .keeper
        .set_policy(Policy {
            largest_offset_ms: 1,
            ..policy(vec![plain(&server)])
        })
        .unwrap();
    always(&server, json!({"kind": "offset", "ms": "1000"}));
    let status = serde_json::to_value(running.polled().await).unwrap();
    assert_eq!(
        (&status["state"], &status["reason"]["why"]),
        (&json!("untrusted"), &json!("offset_too_large"))
    );
    assert!(
        status["refusal"]
            .as_str()
            .unwrap()
            .starts_with("服务器时间不可信：服务器时钟与时间源相差")
    );
    let failed = Failure::TooFew { answered: 1, needed: 2 };
    assert_eq!(failed.text(), "可用时间源只有 1 个，策略要求至少 2 个一致");
}

#[test]
fn an_unsound_policy_does_not_start() {
    let unsound = Policy {
        enabled: true,
        ..Policy::default()
    };
    let faults = time_keeper(unsound, Machine::ahead(0), pace()).err().unwrap();
    assert_eq!(faults[0].field, "sources");
}
