//! Answers protected by NTS, and attempts to get around it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bench_time::{Server, Settings};
use futures_util::future::join_all;
use serde_json::json;
use timesource::{Pace, Policy, Source};

use crate::{Machine, Running, always, brief, is_trusted, liar, plain, policy, row, server};

fn protected(server: &Server) -> Policy {
    Policy {
        nts_ca_pem: Some(server.ca_pem.clone()),
        ..policy(vec![Source {
            host: server.exchange.ip().to_string(),
            port: Some(server.exchange.port()),
            nts: true,
        }])
    }
}

/// What the first poll failed of, on a machine so far ahead.
async fn failed(policy: Policy, machine: &Arc<Machine>) -> String {
    let quick = Pace {
        preparation: Duration::from_secs(10),
        ..brief()
    };
    let running = Running::paced(policy, machine, quick);
    let status = running.first().await;
    assert!(!is_trusted(&status), "{status:?}");
    row(&status).error.clone().unwrap()
}

#[tokio::test]
async fn keys_are_agreed_once_and_each_cookie_is_used_once() {
    let server = server().await;
    let running = Running::start(protected(&server), &Machine::ahead(1_500_000));
    let mut status = running.first().await;
    for _ in 0..10 {
        status = running.polled().await;
        assert!(is_trusted(&status), "{status:?}");
    }
    assert_eq!(row(&status).reach, 0xFF);
    assert_eq!(
        row(&status).address,
        Some(server.ntp),
        "the port the key exchange named"
    );
    assert_eq!(server.exchanges(), 1);
    assert_eq!(server.questions(), 22);
}

#[tokio::test]
async fn whoever_is_not_the_server_is_not_heard() {
    let lies = [
        (json!({"kind": "forge"}), "未通过 NTS 校验"),
        (json!({"kind": "strip"}), "没有 NTS 保护"),
        (json!({"kind": "wrong_id"}), "与请求不符"),
        (json!({"kind": "truncate", "bytes": 100}), "收到的应答不完整"),
        (json!({"kind": "wrong_origin"}), "与请求不符"),
        (json!({"kind": "nak"}), "（NAK）"),
        (json!({"kind": "stratum"}), "尚未同步"),
    ];
    let cases = lies.into_iter().map(async |(rule, said)| {
        let server = liar(rule.clone()).await;
        let error = failed(protected(&server), &Machine::ahead(0)).await;
        assert!(error.contains(said), "{rule}: {error}");
        assert!(server.exchanges() <= 2, "{rule}: at most once anew");
    });
    join_all(cases).await;
}

#[tokio::test]
async fn a_false_refusal_before_the_true_answer_changes_nothing() {
    for kind in ["fake_nak", "fake_deny"] {
        let server = liar(json!({"kind": kind})).await;
        let running = Running::start(protected(&server), &Machine::ahead(0));
        running.first().await;
        let status = running.polled().await;
        assert!(is_trusted(&status), "{kind}: {status:?}");
        assert_eq!((server.fired(kind), server.exchanges()), (4, 1), "{kind}");
    }
    // Without protection the same refusal ends the service: that is why NTS is offered.
    let server = liar(json!({"kind": "fake_deny"})).await;
    let running = Running::start(policy(vec![plain(&server)]), &Machine::ahead(0));
    assert!(!is_trusted(&running.first().await));
}

#[tokio::test]
async fn a_server_that_lost_its_keys_is_agreed_with_anew() {
    let server = server().await;
    // After a refusal that anybody may have sent the true answer is waited for.
    let running = Running::paced(protected(&server), &Machine::ahead(0), brief());
    assert!(is_trusted(&running.first().await));
    server.forget_keys();
    let status = running.polled().await;
    assert!(is_trusted(&status), "{status:?}");
    assert_eq!(server.exchanges(), 2);
}

#[tokio::test]
async fn when_no_cookies_come_back_keys_are_agreed_anew_after_eight_questions() {
    let server = liar(json!({"op": "ntp", "kind": "no_cookies"})).await;
    let running = Running::start(protected(&server), &Machine::ahead(0));
    running.first().await;
    for _ in 0..3 {
        assert!(is_trusted(&running.polled().await));
    }
    assert_eq!((server.questions(), server.exchanges()), (8, 1));
    assert!(is_trusted(&running.polled().await));
    assert_eq!((server.questions(), server.exchanges()), (10, 2));
}

#[tokio::test]
async fn a_key_exchange_that_goes_wrong_is_told_in_plain_words() {
    let wrong = [
        (json!({"kind": "hang"}), "超时"),
        (json!({"kind": "close"}), "断开"),
        (json!({"kind": "half"}), "应答不完整"),
        (json!({"kind": "error", "code": 1}), "错误码 1"),
        (json!({"kind": "garbage"}), "未知的必选项"),
        (json!({"kind": "endless"}), "应答过长"),
        (json!({"kind": "no_cookies"}), "没有可用的凭据"),
        (json!({"kind": "no_alpn"}), "不是 NTS 密钥协商服务"),
    ];
    let cases = wrong.into_iter().map(async |(mut rule, said)| {
        rule["op"] = json!("ke");
        let server = server().await;
        always(&server, rule.clone());
        let error = failed(protected(&server), &Machine::ahead(0)).await;
        assert!(error.contains(said), "{rule}: {error}");
        assert_eq!(server.questions(), 0, "{rule}: no question without keys");
    });
    join_all(cases).await;
}

#[tokio::test]
async fn only_the_right_certificate_at_the_right_time_is_trusted() {
    let (server, other) = (server().await, server().await);
    let of_other = Policy {
        nts_ca_pem: Some(other.ca_pem.clone()),
        ..protected(&server)
    };
    let error = failed(of_other, &Machine::ahead(0)).await;
    assert!(error.contains("不是受信任的机构签发"), "{error}");
    let of_machine = Policy {
        nts_ca_pem: None,
        ..protected(&server)
    };
    let error = failed(of_machine, &Machine::ahead(0)).await;
    assert!(error.contains("不是受信任的机构签发"), "{error}");
    let elsewhere = Settings {
        bind: IpAddr::from([127, 0, 0, 1]),
        name: "ntp.example".to_owned(),
        ..Settings::default()
    };
    let elsewhere = Server::start(elsewhere).await.unwrap();
    let error = failed(protected(&elsewhere), &Machine::ahead(0)).await;
    assert!(error.contains("与配置的地址不符"), "{error}");
    const YEAR_US: i64 = 365 * 86_400_000_000;
    let error = failed(protected(&server), &Machine::ahead(30 * YEAR_US)).await;
    assert!(error.contains("已过期（也请检查本机时间"), "{error}");
    let error = failed(protected(&server), &Machine::ahead(-30 * YEAR_US)).await;
    assert!(error.contains("尚未生效（请检查本机时间"), "{error}");
}
