//! Who gets in, and who does not.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::site::{Authority, Browser, PASSWORD, Person, Site, file, take};

#[tokio::test]
async fn the_first_administrator_needs_the_code_from_the_machine_and_there_is_only_one_first() {
    let site = Site::new();
    let mode = std::fs::metadata(site.state().join("setup-code"))
        .expect("file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let browser = site.browser();
    assert_eq!(browser.get("session").await.done()["setup_needed"], true);
    let asked = |code: &str| json!({"code": code, "name": "admin", "person": "张管理", "password": PASSWORD});
    assert_eq!(browser.post("setup", asked("AAAA")).await.refused(), "setup_code");
    let weak = json!({"code": site.setup_code(), "name": "admin", "person": "张管理", "password": "short"});
    assert_eq!(browser.post("setup", weak).await.refused(), "password_weak");
    let code = site.setup_code();
    browser.post("setup", asked(&code)).await.done();
    assert!(!site.state().join("setup-code").exists(), "a used code is gone");
    assert_eq!(browser.post("setup", asked(&code)).await.refused(), "setup_code");
    assert_eq!(browser.get("session").await.done()["setup_needed"], false);
    assert_eq!(browser.get("overview").await.refused(), "signed_out");
}

#[tokio::test]
async fn a_wrong_code_a_used_code_and_a_wrong_name_are_refused_in_the_same_words() {
    let site = Site::new();
    let mut admin = site.administrator().await;
    let browser = site.browser();
    let (name, password) = (admin.name.clone(), admin.password.clone());
    let ask = async |name: &str, password: &str, code: &str| {
        browser
            .post("session", json!({"name": name, "password": password, "code": code}))
            .await
    };
    let code = admin.phone.code().await;
    let mut said = Vec::new();
    for (name, password, code) in [
        (name.as_str(), password.as_str(), "000000"),
        (&name, &password, ""),
        (&name, "Wrong-horse-7", &code),
        ("nobody", &password, &code),
    ] {
        let answer = ask(name, password, code).await;
        assert_eq!(answer.status, 401);
        said.push(answer.json());
    }
    assert_eq!(said[0]["code"], "sign_in_wrong");
    assert!(said.iter().all(|answer| *answer == said[0]), "{said:?}");
    assert_eq!(ask(&name, &password, &code).await.done()["step"], "signed-in");
    assert_eq!(
        ask(&name, &password, &code).await.refused(),
        "sign_in_wrong",
        "a code is good once"
    );
    let again = admin.sign_in(&browser).await;
    assert_eq!(again.done()["step"], "signed-in");
}

#[tokio::test]
async fn wrong_tries_lock_any_name_for_longer_and_longer_and_a_kill_gives_none_back() {
    let mut site = Site::new();
    let mut admin = site.administrator().await;
    let db = rusqlite::Connection::open(site.state().join("signd.db")).expect("state file");
    let until = || -> i64 {
        let sql = "SELECT locked_until - changed_at FROM attempt ORDER BY changed_at DESC LIMIT 1";
        db.query_row(sql, [], |row| row.get(0)).expect("attempt")
    };
    for name in ["admin", "nobody"] {
        let browser = site.browser();
        let wrong = json!({"name": name, "password": "Wrong-horse-7", "code": "123456"});
        for _ in 0..5 {
            assert_eq!(browser.post("session", wrong.clone()).await.refused(), "sign_in_wrong");
        }
        let answer = browser.post("session", wrong).await;
        assert_eq!(
            (answer.status.as_u16(), answer.refused().as_str()),
            (429, "too_many_tries"),
            "{name}"
        );
        // Half a minute after the fifth; made an hour, so that it is not over on a busy machine before the end is tried.
        assert_eq!(until(), 30_000_000, "{name}");
        let hour = "UPDATE attempt SET locked_until = changed_at + 3600000000 WHERE locked_until > changed_at";
        assert_eq!(
            db.execute(hour, []).expect("an hour"),
            if name == "admin" { 1 } else { 2 }
        );
    }
    let browser = site.browser();
    assert_eq!(
        admin.sign_in(&browser).await.refused(),
        "too_many_tries",
        "the right one comes too late"
    );
    site.power_cut();
    assert_eq!(admin.sign_in(&site.browser()).await.refused(), "too_many_tries");
    // When it is over the next wrong one locks for a whole minute.
    db.execute("UPDATE attempt SET locked_until = changed_at", [])
        .expect("time passes");
    let wrong = json!({"name": "admin", "password": "Wrong-horse-7", "code": "123456"});
    assert_eq!(site.browser().post("session", wrong).await.refused(), "sign_in_wrong");
    assert_eq!(until(), 60_000_000);
}

#[tokio::test]
async fn sessions_end_when_idle_when_told_and_with_the_account() {
    let site = Site::with("idle_s = 10\n");
    let admin = site.administrator().await;
    let answer = admin.browser.get("overview").await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    answer.done();
    tokio::time::sleep(Duration::from_millis(10_300)).await;
    assert_eq!(admin.browser.get("overview").await.refused(), "signed_out");

    let site = Site::new();
    let mut admin = site.administrator().await;
    let operator = site.person(&admin, "li.op", "operator").await;
    let elsewhere = site.browser();
    let answer = admin.sign_in(&elsewhere).await;
    let cookie = answer.headers["set-cookie"].to_str().expect("text").to_owned();
    for wanted in ["__Host-signd=", "HttpOnly", "Secure", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(wanted), "{cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
    let copied = cookie.split(';').next().expect("cookie").to_owned();
    elsewhere.delete("session").await.done();
    assert_eq!(elsewhere.get("overview").await.refused(), "signed_out");
    let thief = site.browser();
    let replayed = thief
        .client
        .get(thief.url("overview"))
        .header("cookie", copied)
        .send()
        .await;
    assert_eq!(
        take(replayed.expect("answered")).await.refused(),
        "signed_out",
        "a session that ended is of no use"
    );

    admin.browser.get("overview").await.done();
    let accounts = admin.browser.get("accounts").await.done();
    let id = accounts
        .as_array()
        .expect("list")
        .iter()
        .find(|a| a["name"] == "li.op")
        .expect("account")["id"]
        .clone();
    let path = format!("accounts/{}", id.as_str().expect("id"));
    let disabled = json!({"person": "李同事", "role": "operator", "enabled": false});
    admin.browser.put(&path, disabled).await.done();
    assert_eq!(operator.browser.get("overview").await.refused(), "signed_out");
}

#[tokio::test]
async fn other_sites_can_ask_for_nothing() {
    let site = Site::new();
    let admin = site.administrator().await;
    let Browser { client, .. } = &admin.browser;
    let asked = json!({"name": "evil", "person": "坏人", "role": "administrator"});
    let without = client
        .post(admin.browser.url("accounts"))
        .json(&asked)
        .send()
        .await
        .expect("answered");
    assert_eq!(take(without).await.refused(), "cross_site");
    for site in ["cross-site", "same-site"] {
        let foreign = client.get(admin.browser.url("accounts")).header("sec-fetch-site", site);
        assert_eq!(
            take(foreign.send().await.expect("answered")).await.refused(),
            "cross_site"
        );
    }
    let preflight = client
        .request(Method::OPTIONS, admin.browser.url("accounts"))
        .header("origin", "https://evil.cn");
    let preflight = take(preflight.send().await.expect("answered")).await;
    assert!(!preflight.status.is_success() && !preflight.headers.contains_key("access-control-allow-origin"));
    let accounts = admin.browser.get("accounts").await.done();
    assert_eq!(accounts.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn another_administrator_recovers_an_account_and_the_last_one_stays() {
    let site = Site::new();
    let admin = site.administrator().await;
    let own = admin.browser.get("session").await.done()["who"]["id"]
        .as_str()
        .expect("id")
        .to_owned();
    let change = json!({"person": "张管理", "role": "auditor", "enabled": true});
    for refused in [
        admin.browser.put(&format!("accounts/{own}"), change.clone()).await,
        admin.browser.post(&format!("accounts/{own}/recover"), json!({})).await,
        admin.browser.delete(&format!("accounts/{own}")).await,
    ] {
        let code = refused.refused();
        assert!(["not_own", "last_administrator"].contains(&code.as_str()), "{code}");
    }
    let second = site.person(&admin, "wang.adm", "administrator").await;
    let handed = second
        .browser
        .post(&format!("accounts/{own}/recover"), json!({}))
        .await
        .done();
    assert_eq!(
        admin.browser.get("overview").await.refused(),
        "signed_out",
        "sessions end with the old password"
    );
    let mut back = Person::first(site.browser(), "admin", handed["password"].as_str().expect("password")).await;
    back.browser.get("overview").await.done();
    let old = json!({"name": "admin", "password": handed["password"], "code": back.phone.code().await});
    assert_eq!(
        site.browser().post("session", old).await.refused(),
        "sign_in_wrong",
        "it was for once"
    );

    second.browser.delete(&format!("accounts/{own}")).await.done();
    let again = json!({"name": "admin", "person": "别人", "role": "auditor"});
    assert_eq!(
        second.browser.post("accounts", again).await.refused(),
        "account_exists",
        "a name means one person"
    );
}

/// Certificates of two authorities let their holders in; of a third, whose chain is not here, not.
///
/// Rows: AP-238, AP-239
#[tokio::test]
async fn a_certificate_of_any_authority_that_is_trusted_lets_its_holder_in() {
    let site = Site::new();
    let admin = site.administrator().await;
    let operator = site.person(&admin, "li.op", "operator").await;
    let accounts = admin.browser.get("accounts").await.done();
    let id = accounts
        .as_array()
        .expect("list")
        .iter()
        .find(|a| a["name"] == "li.op")
        .expect("account")["id"]
        .clone();
    let path = format!("accounts/{}/certificates", id.as_str().expect("id"));
    let mut chains = Vec::new();
    for name in ["甲认证中心", "乙认证中心", "丙认证中心"] {
        let authority = Authority::new(name);
        let (certificate, identity) = authority.token("李同事");
        let asked = json!({"file": file(&certificate.der)});
        let untrusted = admin.browser.post(&path, asked.clone()).await;
        assert_eq!(untrusted.refused(), "untrusted");
        if name == "丙认证中心" {
            let stranger = site.browser_with(identity);
            let refused = stranger.post("session/certificate", json!({})).await.refused();
            assert_eq!(refused, "certificate_not_registered");
            continue;
        }
        let chain = json!({"name": name, "files": [file(gm::pem::write("CERTIFICATE", &authority.root.der))]});
        chains.push(operator.browser.post("chains", chain).await.done()["id"].clone());
        admin.browser.post(&path, asked.clone()).await.done();
        assert_eq!(admin.browser.post(&path, asked).await.refused(), "certificate_used");
        let holder = site.browser_with(identity);
        assert_eq!(
            holder.get("overview").await.refused(),
            "signed_out",
            "the certificate alone opens no session"
        );
        let step = holder.post("session/certificate", json!({})).await.done();
        assert_eq!(step["who"]["name"], "li.op");
        holder.get("overview").await.done();
        holder.delete("session").await.done();
        // Without its chain it is of no use any more.
        if name == "乙认证中心" {
            let chain = format!("chains/{}", chains[1].as_str().expect("id"));
            operator.browser.delete(&chain).await.done();
            assert_eq!(
                holder.post("session/certificate", json!({})).await.refused(),
                "untrusted"
            );
        }
    }
    assert_eq!(
        site.browser().post("session/certificate", json!({})).await.refused(),
        "certificate_not_registered"
    );
}
