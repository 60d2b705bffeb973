//! Every route × role.

use reqwest::Method;
use serde_json::json;
use sign::manage::Role;
use sign::manage::permission::{Access, TABLE};

use crate::site::{Browser, Site};

/// One act of each duty, said a second time: administrator, operator, auditor.
const DUTIES: [(&str, &str, [bool; 3]); 16] = [
    ("GET", "/manage/v1/overview", [true, true, true]),
    ("GET", "/manage/v1/accounts", [true, false, true]),
    ("POST", "/manage/v1/accounts", [true, false, false]),
    ("POST", "/manage/v1/keys", [true, false, false]),
    ("POST", "/manage/v1/keys/{index}/destroy", [true, false, false]),
    ("POST", "/manage/v1/backup", [true, false, false]),
    ("POST", "/manage/v1/restore", [true, false, false]),
    ("POST", "/manage/v1/custodians", [true, false, false]),
    ("POST", "/manage/v1/tls/{interface}/import", [true, false, false]),
    ("POST", "/manage/v1/applications", [false, true, false]),
    ("POST", "/manage/v1/chains", [false, true, false]),
    ("POST", "/manage/v1/certificates", [false, true, false]),
    ("PUT", "/manage/v1/settings/time", [false, true, false]),
    ("GET", "/manage/v1/log", [false, false, true]),
    ("GET", "/manage/v1/log.csv", [false, false, true]),
    ("POST", "/manage/v1/log/check", [false, false, true]),
];

async fn ask(browser: &Browser, method: &str, path: &str) -> (u16, String) {
    let path = path.trim_start_matches("/manage/v1/");
    let path = path
        .replace("{index}", "999")
        .replace("{number}", "99")
        .replace("{interface}", "none");
    let path = path
        .replace("{id}", "none")
        .replace("{fingerprint}", "00")
        .replace("{token}", "none");
    let method: Method = method.parse().expect("method");
    let body = (method != Method::GET).then(|| json!({"nothing": "of use"}));
    let answer = browser.ask(method, &path, body).await;
    (
        answer.status.as_u16(),
        answer.json()["code"].as_str().unwrap_or_default().to_owned(),
    )
}

#[tokio::test]
async fn every_role_may_do_what_its_duty_is_and_nothing_else() {
    for (method, path, expected) in DUTIES {
        let line = TABLE
            .iter()
            .find(|(m, p, _)| (*m, *p) == (method, path))
            .expect("a route");
        assert_eq!(Role::ALL.map(|role| line.2.grants(role)), expected, "{method} {path}");
    }
    let site = Site::new();
    let admin = site.administrator().await;
    let operator = site.person(&admin, "li.op", "operator").await;
    let auditor = site.person(&admin, "zhao.aud", "auditor").await;
    let stranger = site.browser();
    let mut asked = 0;
    for (method, path, access) in TABLE {
        let expected = match access {
            Access::Open => None,
            // Judged by what is sent, and nothing is expected from anybody here.
            Access::Peer => Some((422, "replica_unpaired".to_owned())),
            Access::Roles(_) => Some((401, "signed_out".to_owned())),
        };
        if let Some(expected) = expected {
            let refused = ask(&stranger, method, path).await;
            assert_eq!(refused, expected, "{method} {path} for a stranger");
        }
        for (role, person) in Role::ALL.into_iter().zip([&admin, &operator, &auditor]) {
            // Signing out would end the test; it is done last.
            if (*method, *path) == ("DELETE", "/manage/v1/session") {
                continue;
            }
            let (status, code) = ask(&person.browser, method, path).await;
            if access.grants(role) {
                assert!(
                    !matches!(code.as_str(), "forbidden" | "signed_out"),
                    "{method} {path} for {role:?}: {code}"
                );
            } else {
                assert_eq!(
                    (status, code.as_str()),
                    (403, "forbidden"),
                    "{method} {path} for {role:?}"
                );
            }
            asked += 1;
        }
    }
    assert_eq!(asked, (TABLE.len() - 1) * 3);
    let refusals = auditor.browser.get("log?act=manage.refused&most=500").await.done();
    let entries = refusals["entries"].as_array().expect("entries");
    let expected: usize = TABLE
        .iter()
        .map(|(_, _, access)| Role::ALL.iter().filter(|r| !access.grants(**r)).count())
        .sum();
    assert_eq!(entries.len(), expected, "each refusal is in the log with its account");
    assert!(
        entries
            .iter()
            .all(|e| ["admin", "li.op", "zhao.aud"].contains(&e["subject"].as_str().expect("account")))
    );
    for person in [&admin, &operator, &auditor] {
        person.browser.delete("session").await.done();
        assert_eq!(person.browser.get("overview").await.refused(), "signed_out");
    }
    assert_eq!(stranger.get("nothing/there").await.refused(), "not_found");
}
