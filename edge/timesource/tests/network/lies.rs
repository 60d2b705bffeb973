//! What a source may do wrong, and what becomes of it.

use std::net::IpAddr;

use bench_time::{Server, Settings};
use futures_util::future::join_all;
use serde_json::json;
use timesource::{Failure, Policy, Reason, Source, State};

use crate::{Machine, Running, brief, is_trusted, liar, plain, policy, row, server};

#[tokio::test]
async fn an_honest_server_is_believed_and_corrects_a_clock_that_is_off() {
    let server = server().await;
    for ahead_us in [0, 2_500_000, -40_000_000] {
        let machine = Machine::ahead(ahead_us);
        let once = Policy {
            samples: 1,
            ..policy(vec![plain(&server)])
        };
        let running = Running::start(once, &machine);
        let status = running.first().await;
        let State::Trusted(known) = status.state else {
            panic!("{status:?}")
        };
        assert_eq!(known.stratum, 2);
        assert!(known.offset_us.abs_diff(-ahead_us) <= known.error_us, "{known:?}");
        let row = row(&status);
        let found = row.error_us.unwrap();
        assert!(
            found <= row.delay_us.unwrap() / 2 + 50_000,
            "half of the way and little more: {row:?}"
        );
        assert_eq!((row.reach, row.stratum, row.agrees), (1, Some(2), Some(true)));
        assert_eq!((row.address, row.error.as_deref()), (Some(server.ntp), None));
        assert!(row.offset_us.is_some() && row.delay_us.is_some() && row.answered_at.is_some());
        let now = || records::Clock::now(&records::SystemClock).as_micros();
        let before = now();
        let believed = running.keeper.now().unwrap();
        let (at, error) = (
            believed.at.as_micros(),
            believed.error_us.unwrap().cast_signed() + 10_000,
        );
        assert!((before - error..=now() + error).contains(&at), "{before} {believed:?}");
    }
}

#[tokio::test]
async fn ipv6_is_asked_as_well() {
    let settings = Settings {
        bind: "::1".parse::<IpAddr>().unwrap(),
        ..Settings::default()
    };
    let server = Server::start(settings).await.unwrap();
    let running = Running::start(policy(vec![plain(&server)]), &Machine::ahead(0));
    let status = running.first().await;
    assert!(is_trusted(&status), "{status:?}");
    assert!(row(&status).address.unwrap().is_ipv6());
}

#[tokio::test]
async fn every_lie_of_a_single_source_is_refused_in_plain_words() {
    let lies = [
        (json!({"kind": "silent"}), "时间源没有应答"),
        (json!({"kind": "wrong_origin"}), "与请求不符"),
        (json!({"kind": "replay"}), "已丢弃"),
        (json!({"kind": "kiss", "code": "RATE"}), "降低查询频率（RATE）"),
        (json!({"kind": "kiss", "code": "DENY"}), "（DENY），已停止查询"),
        (json!({"kind": "kiss", "code": "RSTR"}), "（RSTR），已停止查询"),
        (json!({"kind": "kiss", "code": "INIT"}), "暂不提供时间（INIT）"),
        (json!({"kind": "stratum", "stratum": 16}), "尚未同步（层级 16）"),
        (json!({"kind": "leap", "leap": 3}), "尚未同步（层级 2）"),
        (json!({"kind": "truncate", "bytes": 47}), "收到的应答不完整"),
        (json!({"kind": "truncate", "bytes": 0}), "收到的应答不完整"),
        (json!({"kind": "mode", "mode": 5}), "不是时间应答"),
        (json!({"kind": "zero"}), "自相矛盾"),
        (json!({"kind": "root", "ms": 30_000}), "误差过大（±45000 毫秒）"),
        (json!({"kind": "root", "ms": 4_000}), "误差过大（±6"),
        (json!({"kind": "garbage", "bytes": 1_400}), "不是时间应答"),
    ];
    let cases = lies.into_iter().map(async |(rule, said)| {
        let server = liar(rule.clone()).await;
        let running = Running::paced(policy(vec![plain(&server)]), &Machine::ahead(0), brief());
        let status = running.first().await;
        let failure = Some(Failure::NoAnswer);
        assert_eq!(status.state, State::Unsynchronised { failure }, "{rule}");
        let error = row(&status).error.clone().unwrap();
        assert!(error.contains(said), "{rule}: {error}");
        assert_ne!(server.fired(rule["kind"].as_str().unwrap()), 0, "{rule}");
        assert!(running.keeper.now().is_err(), "{rule}");
    });
    join_all(cases).await;
}

#[tokio::test]
async fn nobody_listens_or_nobody_is_called_that() {
    let closed = Source {
        host: "127.0.0.1".to_owned(),
        port: Some(kit::ports::free_port()),
        nts: false,
    };
    let nameless = Source {
        host: "no-such-host.invalid".to_owned(),
        ..closed.clone()
    };
    let running = Running::start(policy(vec![closed, nameless]), &Machine::ahead(0));
    let status = running.first().await;
    let errors: Vec<_> = status.sources.iter().map(|row| row.error.clone().unwrap()).collect();
    assert!(errors[0].contains("端口拒绝连接"), "{errors:?}");
    assert!(errors[1].contains("“no-such-host.invalid”解析失败"), "{errors:?}");
}

#[tokio::test]
async fn a_server_years_off_is_not_followed() {
    let server = liar(json!({"kind": "offset", "ms": (10_i64 * 365 * 86_400_000).to_string()})).await;
    let running = Running::start(policy(vec![plain(&server)]), &Machine::ahead(0));
    let status = running.first().await;
    let State::Untrusted {
        reason: Reason::OffsetTooLarge { offset_us },
    } = status.state
    else {
        panic!("{status:?}")
    };
    assert_eq!(offset_us / 1_000_000_000_000, 315);
    let refused = running.keeper.now().unwrap_err().to_string();
    assert!(refused.contains("请先校正操作系统时间"), "{refused}");
    assert_eq!(status.refusal, Some(refused));
    assert_eq!(status.time, None);
}

#[tokio::test]
async fn one_falseticker_among_three_is_outvoted_and_named() {
    let servers = [
        server().await,
        liar(json!({"kind": "offset", "ms": "7000"})).await,
        server().await,
    ];
    let policy = Policy {
        fewest_agreeing: 2,
        ..policy(servers.iter().map(plain).collect())
    };
    let running = Running::start(policy, &Machine::ahead(0));
    let status = running.first().await;
    let State::Trusted(known) = status.state else {
        panic!("{status:?}")
    };
    assert!(known.offset_us.unsigned_abs() <= known.error_us, "{known:?}");
    let agrees: Vec<_> = status.sources.iter().map(|row| row.agrees).collect();
    assert_eq!(agrees, [Some(true), Some(false), Some(true)]);
    assert!(status.sources[1].offset_us.unwrap() > 6_000_000);
}

#[tokio::test]
async fn two_that_contradict_each_other_and_one_alone_decide_nothing() {
    let servers = [server().await, liar(json!({"kind": "offset", "ms": "-7000"})).await];
    let both: Vec<_> = servers.iter().map(plain).collect();
    let running = Running::start(policy(both.clone()), &Machine::ahead(0));
    let status = running.first().await;
    let failure = Some(Failure::Disagree);
    assert_eq!(status.state, State::Unsynchronised { failure });
    let text = running.keeper.now().unwrap_err().to_string();
    assert!(text.contains("时间源互相矛盾"), "{text}");
    // The liar falls silent: one is left, and two are asked for.
    servers[1].behave();
    crate::always(&servers[1], json!({"kind": "stratum"}));
    let two = Policy {
        fewest_agreeing: 2,
        ..policy(both)
    };
    running.keeper.set_policy(two).unwrap();
    let status = running.polled().await;
    let failure = Some(Failure::TooFew { answered: 1, needed: 2 });
    assert_eq!(status.state, State::Unsynchronised { failure }, "{status:?}");
}

#[tokio::test]
async fn a_lame_way_back_is_avoided_or_counted_as_error() {
    // One answer of two is late: the other is taken.
    let lame = server().await;
    lame.fault(&json!({"kind": "delay", "ms": 3_000})).unwrap();
    let running = Running::start(policy(vec![plain(&lame)]), &Machine::ahead(0));
    let status = running.first().await;
    assert_eq!(lame.fired("delay"), 1);
    assert!(row(&status).delay_us.unwrap() < 3_000_000, "{status:?}");
    // All are late: the offset is wrong by half of it, and the error says so.
    let lame = liar(json!({"kind": "delay", "ms": 2_000})).await;
    let running = Running::start(policy(vec![plain(&lame)]), &Machine::ahead(0));
    let status = running.first().await;
    let State::Trusted(known) = status.state else {
        panic!("{status:?}")
    };
    assert!(known.offset_us < -150_000, "{known:?}");
    assert!(known.offset_us.unsigned_abs() <= known.error_us, "{known:?}");
}

#[tokio::test]
async fn who_denies_service_is_left_alone_until_the_policy_changes() {
    let server = liar(json!({"kind": "kiss", "code": "DENY"})).await;
    let running = Running::start(policy(vec![plain(&server)]), &Machine::ahead(0));
    running.first().await;
    assert_eq!(server.questions(), 1);
    let status = running.polled().await;
    assert_eq!(server.questions(), 1, "not asked again, not even on demand");
    assert!(row(&status).error.as_deref().unwrap().contains("已停止查询"));
    server.behave();
    let more = Policy {
        samples: 3,
        ..policy(vec![plain(&server)])
    };
    running.keeper.set_policy(more).unwrap();
    assert!(is_trusted(&running.polled().await));
}

#[tokio::test]
async fn who_is_asked_too_often_is_given_a_rest() {
    let server = server().await;
    // The second of two questions is one too many; the first answer still counts.
    server
        .fault(&json!({"kind": "kiss", "code": "RATE", "skip": 1}))
        .unwrap();
    let running = Running::start(policy(vec![plain(&server)]), &Machine::ahead(0));
    let status = running.first().await;
    assert!(is_trusted(&status), "{status:?}");
    assert!(row(&status).error.as_deref().unwrap().contains("RATE"));
    assert_eq!(server.questions(), 2);
    let status = running.polled().await;
    assert_eq!(server.questions(), 2, "asked within the pause");
    assert!(matches!(status.state, State::Holdover(_)), "{status:?}");
}
