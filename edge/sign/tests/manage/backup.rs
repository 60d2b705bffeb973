//! Backup to the administrator's PC, and restore from it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::site::{Authority, Browser, HOSPITAL, Person, Site, file};

/// A device that is used: a key in use, a chain, an application, settings, certificates.
struct Hospital {
    site: Site,
    admin: Person,
    operator: Person,
    authority: Authority,
}

fn policy(chain: &Value) -> Value {
    json!({"keys": [1], "chains": [chain], "revocation": "crl", "revocation_must_be_known": true,
        "formats": ["pkcs1", "pkcs7-detached"], "rate_per_second": 50})
}

impl Hospital {
    async fn new() -> Self {
        let site = Site::new();
        let admin = site.administrator().await;
        let operator = site.person(&admin, "li.op", "operator").await;
        let key = json!({"label": "门诊签名", "algorithm": "sm2"});
        admin.browser.post("keys", key).await.done();
        let certify = json!({"organization": HOSPITAL, "name": "门诊签名服务器"});
        admin.browser.post("keys/1/certify", certify).await.done();
        admin.browser.post("keys/1/activate", json!({})).await.done();
        let authority = Authority::new("甲认证中心");
        let chain = json!({"name": "甲认证中心", "files": [file(&authority.root.der)]});
        let chain = operator.browser.post("chains", chain).await.done()["id"].clone();
        let application = json!({"id": "app_his", "name": "HIS", "policy": policy(&chain)});
        operator.browser.post("applications", application).await.done();
        operator
            .browser
            .post("applications/app_his/secret", json!({}))
            .await
            .done();
        operator
            .browser
            .put("settings/web-service", json!({"enabled": true}))
            .await
            .done();
        Self {
            site,
            admin,
            operator,
            authority,
        }
    }

    async fn keep(&self, names: &[&str]) {
        let files: Vec<Value> = names
            .iter()
            .map(|name| json!({"name": name, "content": file(&self.authority.token(name).0.der)}))
            .collect();
        self.operator
            .browser
            .post("certificates", json!({"files": files}))
            .await
            .done();
    }
}

async fn backup(browser: &Browser) -> Vec<u8> {
    let answer = browser.post("backup", json!({})).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.bytes));
    assert!(
        answer.headers["content-disposition"]
            .to_str()
            .is_ok_and(|name| name.contains(".yqbackup"))
    );
    answer.bytes
}

/// What the page shows of the configuration.
async fn shown(browser: &Browser) -> Vec<Value> {
    let mut all = Vec::new();
    for path in ["applications", "chains", "keys", "certificates", "settings"] {
        all.push(browser.get(path).await.done());
    }
    all
}

/// Rows: AP-258, AP-259
#[tokio::test]
async fn a_backup_brings_the_configuration_back_on_its_own_device() {
    let mut hospital = Hospital::new().await;
    hospital.keep(&["王患者"]).await;
    let before = shown(&hospital.admin.browser).await;
    let bytes = backup(&hospital.admin.browser).await;
    for plain in ["app_his", "门诊签名", "甲认证中心", "li.op"] {
        let found = bytes.windows(plain.len()).any(|window| window == plain.as_bytes());
        assert!(!found, "{plain} is readable in the file");
    }

    let operator = &hospital.operator.browser;
    hospital.keep(&["李患者"]).await;
    operator
        .put("settings/web-service", json!({"enabled": false}))
        .await
        .done();
    let changed = json!({"name": "别的名字", "enabled": false, "policy": policy(&before[1][0]["id"])});
    operator.put("applications/app_his", changed).await.done();
    let further = json!({"id": "app_lis", "name": "LIS", "policy": policy(&before[1][0]["id"])});
    operator.post("applications", further).await.done();
    hospital
        .admin
        .browser
        .post("keys", json!({"label": "备用", "algorithm": "p256"}))
        .await
        .done();
    assert_ne!(shown(&hospital.admin.browser).await, before);

    let preview = hospital
        .admin
        .browser
        .post("restore", json!({"file": file(&bytes)}))
        .await
        .done();
    assert_eq!(preview["own"], true);
    let changes: Vec<String> = preview["changes"]
        .as_array()
        .expect("changes")
        .iter()
        .map(|c| {
            format!(
                "{} {} {}",
                c["kind"].as_str().unwrap(),
                c["name"].as_str().unwrap(),
                c["what"].as_str().unwrap()
            )
        })
        .collect();
    for expected in [
        "application HIS changed",
        "application LIS removed",
        "certificate 李患者 removed",
        "key 2 备用 kept",
        "setting web_service changed",
    ] {
        assert!(
            changes.iter().any(|change| change == expected),
            "{expected}: {changes:?}"
        );
    }
    assert_eq!(changes.len(), 5, "{changes:?}");

    let apply = format!("restore/{}", preview["token"].as_str().expect("token"));
    assert_eq!(
        hospital.operator.browser.post(&apply, json!({})).await.refused(),
        "forbidden"
    );
    hospital.admin.browser.post(&apply, json!({})).await.done();
    assert_eq!(
        hospital.admin.browser.get("overview").await.refused(),
        "signed_out",
        "everyone signs in again"
    );
    let browser = hospital.site.browser();
    hospital.admin.sign_in(&browser).await.done();
    let mut after = shown(&browser).await;
    let kept = after[2]
        .as_array_mut()
        .expect("keys")
        .pop()
        .expect("the key made since");
    assert_eq!(kept["label"], "备用");
    assert_eq!(after, before);
    assert_eq!(
        browser.post(&apply, json!({})).await.refused(),
        "restore_unknown",
        "a preview is applied once"
    );
}

#[tokio::test]
async fn damaged_and_newer_files_are_refused_and_change_nothing() {
    let hospital = Hospital::new().await;
    let browser = &hospital.admin.browser;
    let bytes = backup(browser).await;
    let ask = async |bytes: &[u8]| browser.post("restore", json!({"file": file(bytes)})).await.refused();
    let before = shown(browser).await;
    for at in [
        0,
        9,
        10,
        13,
        20,
        200,
        bytes.len() / 2,
        bytes.len() - 40,
        bytes.len() - 1,
    ] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        let code = ask(&damaged).await;
        assert_eq!(code, "backup_damaged", "byte {at}");
    }
    for length in [0, 7, 8, 20, bytes.len() - 1] {
        assert_eq!(ask(&bytes[..length]).await, "backup_damaged");
    }
    let mut newer = bytes.clone();
    newer[8..10].copy_from_slice(&2u16.to_be_bytes());
    assert_eq!(ask(&newer).await, "backup_newer");
    assert_eq!(shown(browser).await, before);
}

#[tokio::test]
async fn another_device_needs_enough_right_shares() {
    let hospital = Hospital::new().await;
    let admin = &hospital.admin.browser;
    let alone = backup(admin).await;
    let appoint = async |names: [&str; 3]| {
        admin
            .post("custodians", json!({"names": names, "needed": 2}))
            .await
            .done();
        let mut shares = Vec::new();
        for number in 1..=3 {
            let path = format!("custodians/{number}/share");
            let share = admin.post(&path, json!({})).await.done();
            shares.push(share["text"].as_str().expect("text").to_owned());
            assert_eq!(
                admin.post(&path, json!({})).await.refused(),
                "share_used",
                "given out once"
            );
        }
        shares
    };
    let strangers = appoint(["甲", "乙", "丙"]).await;
    let shares = appoint(["院长", "信息科长", "药剂科长"]).await;
    let bytes = backup(admin).await;
    // On its own device no share is needed.
    assert_eq!(
        admin.post("restore", json!({"file": file(&bytes)})).await.done()["own"],
        true
    );

    let other = Site::new();
    let stranger = other.administrator().await;
    let try_with = async |bytes: &[u8], shares: &[&str]| {
        stranger
            .browser
            .post("restore", json!({"file": file(bytes), "shares": shares}))
            .await
    };
    assert_eq!(
        try_with(&alone, &[&shares[0], &shares[1]]).await.refused(),
        "backup_device"
    );
    assert_eq!(try_with(&bytes, &[]).await.refused(), "backup_device");
    assert_eq!(try_with(&bytes, &[&shares[0]]).await.refused(), "shares_few");
    assert_eq!(
        try_with(&bytes, &[&shares[0], &shares[0]]).await.refused(),
        "shares_few"
    );
    assert_eq!(
        try_with(&bytes, &[&shares[0], &strangers[1]]).await.refused(),
        "share_group"
    );
    let (rest, last) = shares[1].split_at(shares[1].len() - 1);
    let misread = format!("{rest}{}", if last == "0" { "1" } else { "0" });
    let refused = try_with(&bytes, &[&shares[0], &misread]).await.refused();
    assert_eq!(refused, "share_text");
    // A forged share: the other group's, under this group's name and with a right checksum.
    let parts: Vec<&str> = strangers[1].split('-').collect();
    let group = shares[0].split('-').nth(1).expect("group");
    let body = format!("{}-{group}-{}-{}-{}", parts[0], parts[2], parts[3], parts[4]);
    let forged = format!("{body}-{}", hex::encode_upper(&gm::sm3(body.as_bytes())[..4]));
    assert_eq!(try_with(&bytes, &[&shares[0], &forged]).await.refused(), "shares_wrong");
    assert!(
        stranger
            .browser
            .get("applications")
            .await
            .done()
            .as_array()
            .is_some_and(Vec::is_empty)
    );

    let preview = try_with(&bytes, &[&shares[2], &shares[0]]).await.done();
    assert_eq!(preview["own"], false);
    let apply = format!("restore/{}", preview["token"].as_str().expect("token"));
    stranger.browser.post(&apply, json!({})).await.done();

    // The people of the old device sign in on the new one with their passwords and phones.
    let mut people = [hospital.admin, hospital.operator];
    let browser = other.browser();
    people[0].sign_in(&browser).await.done();
    let keys = browser.get("keys").await.done();
    assert_eq!(
        (&keys[0]["state"], &keys[0]["open"]),
        (&json!("active"), &json!(true)),
        "wrapped under this TPM now"
    );
    let old = hospital.site.browser();
    people[1].sign_in(&old).await.done();
    assert_eq!(shown(&browser).await, shown(&old).await);
    let custodians = browser.get("custodians").await.done();
    assert_eq!(
        custodians["group"].as_str().map(str::to_uppercase).as_deref(),
        Some(group)
    );
}

/// However early or late the power goes, the configuration is wholly the one or wholly the other.
#[tokio::test]
async fn a_kill_in_the_middle_of_a_restore_leaves_all_or_nothing() {
    let mut hospital = Hospital::new().await;
    let (certificate, identity) = hospital.authority.token("张管理");
    let id = hospital.admin.browser.get("session").await.done()["who"]["id"]
        .as_str()
        .expect("id")
        .to_owned();
    let asked = json!({"file": file(&certificate.der)});
    hospital
        .admin
        .browser
        .post(&format!("accounts/{id}/certificates"), asked)
        .await
        .done();
    let one = backup(&hospital.admin.browser).await;
    let names: Vec<String> = (0..150).map(|n| format!("患者{n}")).collect();
    hospital
        .keep(&names.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    hospital
        .operator
        .browser
        .put("settings/web-service", json!({"enabled": false}))
        .await
        .done();
    let other = backup(&hospital.admin.browser).await;
    let seen = async |browser: &Browser| {
        let enabled = browser.get("settings").await.done()["web_service"]["enabled"] == true;
        let count = browser.get("certificates?most=1").await.done()["count"]
            .as_u64()
            .expect("count");
        (enabled, count)
    };
    let mut applied = 0;
    for round in 0..10u64 {
        let browser = hospital.site.browser_with(identity.clone());
        browser.post("session/certificate", json!({})).await.done();
        let now = seen(&browser).await;
        assert!([(true, 0), (false, 150)].contains(&now), "round {round}: {now:?}");
        let bytes = if now.0 { &other } else { &one };
        let preview = browser.post("restore", json!({"file": file(bytes)})).await.done();
        let path = browser.url(&format!("restore/{}", preview["token"].as_str().expect("token")));
        let request = browser.client.post(path).header("x-signd", "1").send();
        let asked = tokio::spawn(request);
        tokio::time::sleep(Duration::from_millis(round * 12)).await;
        hospital.site.power_cut();
        let _ = asked.await;
        let browser = hospital.site.browser_with(identity.clone());
        browser.post("session/certificate", json!({})).await.done();
        let after = seen(&browser).await;
        assert!([(true, 0), (false, 150)].contains(&after), "round {round}: {after:?}");
        applied += u32::from(after != now);
        assert_eq!(browser.get("overview").await.done()["log"]["intact"], true);
    }
    assert!(applied < 10, "no kill came in time");
}
