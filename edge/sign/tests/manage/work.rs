//! A day's work of administrator, operator and auditor.

use std::time::Duration;

use gm::certificate::Purpose;
use gm::csr::Request;
use kit::process::Process;
use serde_json::{Value, json};

use crate::site::{Authority, HOSPITAL, Site, file, take};

/// Rows: AP-247
#[tokio::test]
async fn certificates_are_imported_searched_exported_and_removed() {
    let site = Site::new();
    let admin = site.administrator().await;
    let operator = site.person(&admin, "li.op", "operator").await.browser;
    let authority = Authority::new("甲认证中心");
    let (wang, _) = authority.token("王患者");
    let (li, _) = authority.token("李患者");
    let both = gm::pem::Bundle {
        certificates: vec![wang.clone(), li.clone()],
        crls: Vec::new(),
    };
    let key = gm::pem::write("PRIVATE KEY", &gm::key::P256Key::generate().expect("key"));
    let files = json!({"note": "第一批", "files": [
        {"name": "wang.cer", "content": file(&wang.der)},
        {"name": "wang.pem", "content": file(gm::pem::write("CERTIFICATE", &wang.der))},
        {"name": "both.p7b", "content": file(both.to_p7b())},
        {"name": "photo.jpg", "content": file(b"\xff\xd8\xff\xe0 not a certificate")},
        {"name": "key.pem", "content": file(key)},
    ]});
    let results = operator.post("certificates", files).await.done();
    let counted: Vec<(u64, u64, bool)> = results
        .as_array()
        .expect("results")
        .iter()
        .map(|r| {
            (
                r["kept"].as_u64().unwrap(),
                r["known"].as_u64().unwrap(),
                r["refused"].is_string(),
            )
        })
        .collect();
    assert_eq!(
        counted,
        [(1, 0, false), (0, 1, false), (1, 1, false), (0, 0, true), (0, 0, true)],
        "{results}"
    );

    for (text, count) in [("", 2), ("王", 1), ("甲认证", 2), ("第一批", 2), ("nobody", 0)] {
        let found = operator.get(&format!("certificates?text={text}")).await.done();
        assert_eq!(found["count"], count, "{text}");
    }
    let found = operator
        .get(&format!("certificates?text={}", wang.serial_hex()))
        .await
        .done();
    let print = found["certificates"][0]["fingerprint"]
        .as_str()
        .expect("fingerprint")
        .to_owned();
    let page = operator.get("certificates?most=1&skip=1").await.done();
    assert_eq!(
        (page["count"].as_u64(), page["certificates"].as_array().map(Vec::len)),
        (Some(2), Some(1))
    );
    let detail = operator.get(&format!("certificates/{print}")).await.done();
    assert!(
        detail["subject_name"]
            .as_str()
            .is_some_and(|name| name.contains("王患者") && name.contains(HOSPITAL))
    );
    assert_eq!(detail["chains"], json!([]));
    operator
        .post("chains", json!({"name": "甲", "files": [file(&authority.root.der)]}))
        .await
        .done();
    assert_eq!(
        operator.get(&format!("certificates/{print}")).await.done()["chains"],
        json!(["甲"])
    );
    let der = operator.get(&format!("certificates/{print}/file?encoding=der")).await;
    assert_eq!(der.bytes, wang.der);
    let pem = operator.get(&format!("certificates/{print}/file?encoding=pem")).await;
    assert_eq!(
        gm::pem::read_bundle(&pem.bytes).expect("PEM").certificates,
        std::slice::from_ref(&wang)
    );

    let remove = format!("certificates/{print}/remove");
    assert_eq!(
        operator.post(&remove, json!({"confirm": "00"})).await.refused(),
        "confirm"
    );
    operator
        .post(&remove, json!({"confirm": wang.serial_hex()}))
        .await
        .done();
    assert_eq!(
        operator
            .post(&remove, json!({"confirm": wang.serial_hex()}))
            .await
            .refused(),
        "certificate_unknown"
    );
    assert_eq!(operator.get("certificates").await.done()["count"], 1);
}

#[tokio::test]
async fn a_key_goes_from_its_request_to_its_destruction() {
    let site = Site::new();
    let admin = site.administrator().await.browser;
    let authority = Authority::new("甲认证中心");
    for (index, algorithm) in [(1, "sm2"), (2, "p256"), (3, "rsa2048")] {
        let made = admin
            .post("keys", json!({"label": format!("密钥{index}"), "algorithm": algorithm}))
            .await
            .done();
        assert_eq!(made["index"], index);
        let subject = json!({"organization": HOSPITAL, "common_name": "签名服务器"});
        let request = admin.post(&format!("keys/{index}/request"), subject).await.done();
        let request = Request::from_file(request["pem"].as_str().expect("PEM").as_bytes()).expect("signed by its key");
        assert_eq!(request.subject.organization, HOSPITAL);
        assert_eq!(
            admin.post(&format!("keys/{index}/activate"), json!({})).await.refused(),
            "key_state"
        );
        let own = authority.certify("签名服务器", &request.public_key, Purpose::Documents);
        let (another, _) = authority.token("别人");
        let import = format!("keys/{index}/certificate");
        let wrong = admin.post(&import, json!({"files": [file(&another.der)]})).await;
        assert_eq!(wrong.refused(), "certificate_key");
        let files = json!({"files": [file(&authority.root.der), file(gm::pem::write("CERTIFICATE", &own.der))]});
        admin.post(&import, files).await.done();
        admin.post(&format!("keys/{index}/activate"), json!({})).await.done();
        let key = admin.get("keys").await.done()[index - 1].clone();
        assert_eq!((&key["state"], &key["open"]), (&json!("active"), &json!(true)));
        assert_eq!(key["chain"].as_array().map(Vec::len), Some(2));
    }
    assert_eq!(
        admin
            .post("keys/1/destroy", json!({"confirm": "密钥1"}))
            .await
            .refused(),
        "key_state",
        "in use"
    );
    admin.post("keys/1/retire", json!({})).await.done();
    assert_eq!(
        admin
            .post("keys/1/destroy", json!({"confirm": "密钥2"}))
            .await
            .refused(),
        "confirm"
    );
    admin.post("keys/1/destroy", json!({"confirm": "密钥1"})).await.done();
    let keys = admin.get("keys").await.done();
    assert_eq!(
        (&keys[0]["state"], &keys[0]["open"]),
        (&json!("destroyed"), &json!(false))
    );
    let db = rusqlite::Connection::open(site.state().join("signd.db")).expect("state file");
    let left: Option<Vec<u8>> = db
        .query_row("SELECT wrapped FROM server_key WHERE key_index = 1", [], |row| {
            row.get(0)
        })
        .expect("row");
    assert_eq!(left, None);
}

/// An application's policy names its server key, its chains and how revocation is looked at; what is not there is refused.
///
/// Rows: AP-253, AP-254, AP-255
#[tokio::test]
async fn an_applications_policy_is_configured_and_kept() {
    let mut site = Site::new();
    let mut admin = site.administrator().await;
    let mut person = site.person(&admin, "li.op", "operator").await;
    let operator = person.browser.clone();
    admin
        .browser
        .post("keys", json!({"label": "签名", "algorithm": "sm2"}))
        .await
        .done();
    let chain = json!({"name": "甲", "files": [file(&Authority::new("甲认证中心").root.der)]});
    let chain = operator.post("chains", chain).await.done()["id"].clone();
    let policy = |key: u32, chain: &Value, revocation: &str| {
        json!({"keys": [key], "chains": [chain], "revocation": revocation, "revocation_must_be_known": false,
            "formats": ["pkcs1"], "rate_per_second": 10})
    };
    let new = |policy: Value| json!({"id": "app_his", "name": "HIS", "policy": policy});
    assert_eq!(
        operator
            .post("applications", new(policy(7, &chain, "crl")))
            .await
            .refused(),
        "key_unknown"
    );
    assert_eq!(
        operator
            .post("applications", new(policy(1, &json!("chn_x"), "crl")))
            .await
            .refused(),
        "chain_unknown"
    );
    assert_eq!(
        operator
            .post("applications", new(policy(1, &chain, "never")))
            .await
            .refused(),
        "bad_request"
    );
    operator
        .post("applications", new(policy(1, &chain, "crl")))
        .await
        .done();
    for revocation in ["none", "ocsp", "crl-or-ocsp"] {
        let change = json!({"name": "HIS", "enabled": true, "policy": policy(1, &chain, revocation)});
        operator.put("applications/app_his", change).await.done();
        let shown = operator.get("applications").await.done();
        assert_eq!(shown[0]["policy"], policy(1, &chain, revocation));
    }
    let used = operator
        .delete(&format!("chains/{}", chain.as_str().expect("id")))
        .await;
    assert_eq!(used.refused(), "chain_used");
    let secret = operator.post("applications/app_his/secret", json!({})).await.done();
    assert_eq!(secret["secret"].as_str().map(str::len), Some(44));
    site.power_cut();
    let browser = site.browser();
    person.sign_in(&browser).await.done();
    let shown = browser.get("applications").await.done();
    assert_eq!(shown[0]["policy"], policy(1, &chain, "crl-or-ocsp"));
    assert!(
        !shown.to_string().contains(secret["secret"].as_str().expect("secret")),
        "it is shown once"
    );
    admin.sign_in(&site.browser()).await.done();
}

#[tokio::test]
async fn settings_are_checked_and_kept() {
    let site = Site::new();
    let admin = site.administrator().await;
    let operator = site.person(&admin, "li.op", "operator").await.browser;
    let syslog =
        |host: &str, port: u32| json!({"enabled": true, "host": host, "port": port, "tls": false, "facility": 16});
    for (wrong, code) in [
        (syslog("", 514), "syslog"),
        (syslog("a b", 514), "syslog"),
        (syslog("log.hospital", 0), "syslog"),
        (syslog("log.hospital", 70_000), "bad_request"),
    ] {
        assert_eq!(operator.put("settings/syslog", wrong).await.refused(), code);
    }
    operator
        .put("settings/syslog", syslog("log.hospital", 514))
        .await
        .done();
    let wrong = json!({"enabled": true, "sources": []});
    assert_eq!(operator.put("settings/time", wrong).await.refused(), "time_policy");
    let time =
        json!({"enabled": true, "sources": [{"host": "ntp.hospital"}], "schedule": {"kind": "every", "seconds": 64}});
    operator.put("settings/time", time).await.done();
    operator
        .put("settings/web-service", json!({"enabled": true}))
        .await
        .done();
    let all = operator.get("settings").await.done();
    assert_eq!(all["syslog"]["host"], "log.hospital");
    assert_eq!(all["time"]["sources"][0]["host"], "ntp.hospital");
    assert_eq!(all["web_service"]["enabled"], true);
}

#[tokio::test]
async fn the_auditor_searches_the_log_takes_it_away_and_checks_it() {
    let site = Site::new();
    let admin = site.administrator().await;
    let auditor = site.person(&admin, "zhao.aud", "auditor").await.browser;
    for _ in 0..7 {
        admin
            .browser
            .post("keys", json!({"label": "a,b\"=c", "algorithm": "p256"}))
            .await
            .done();
    }
    let (mut seen, mut next) = (Vec::new(), None);
    loop {
        let before = next.map(|next: i64| format!("&before={next}")).unwrap_or_default();
        let page = auditor
            .get(&format!("log?act=key.&subject=admin&most=3{before}"))
            .await
            .done();
        seen.extend(
            page["entries"]
                .as_array()
                .expect("entries")
                .iter()
                .map(|e| e["seq"].as_i64().expect("number")),
        );
        next = page["next"].as_i64();
        if next.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 7);
    assert!(seen.windows(2).all(|pair| pair[0] > pair[1]), "newest first, each once");
    let nothing = auditor.get("log?from=2099-01-01T00:00:00Z").await.done();
    assert_eq!(nothing["entries"], json!([]));
    assert_eq!(auditor.get("log?from=yesterday").await.refused(), "bad_request");

    let table = auditor.get("log.csv").await;
    assert_eq!(table.headers["content-type"], "text/csv; charset=utf-8");
    let table = String::from_utf8(table.bytes).expect("UTF-8");
    let lines: Vec<&str> = table.trim_start_matches('\u{feff}').lines().collect();
    assert!(lines[0].starts_with("序号,时间"));
    assert_eq!(lines.iter().filter(|line| line.contains("key.generated")).count(), 7);
    assert!(
        lines.last().expect("line").contains("log.exported"),
        "who took it away stands in it"
    );

    auditor.post("log/check", json!({})).await.done();
    let progress = wait(&auditor).await;
    assert_eq!(
        (&progress["broken_at"], &progress["failed"]),
        (&Value::Null, &Value::Null)
    );
    assert!(progress["checked"].as_i64() >= Some(7));
    let db = rusqlite::Connection::open(site.state().join("signd.db")).expect("state file");
    db.execute("UPDATE log SET detail = 'nothing' WHERE seq = ?1", [seen[3]])
        .expect("tampered");
    auditor.post("log/check", json!({})).await.done();
    assert_eq!(wait(&auditor).await["broken_at"].as_i64(), Some(seen[3]));
}

async fn wait(auditor: &crate::site::Browser) -> Value {
    for _ in 0..2_400 {
        let progress = auditor.get("log/check").await.done();
        if progress["running"] == false {
            return progress;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the check does not end");
}

#[tokio::test]
async fn the_certificate_of_the_page_is_made_here_replaced_and_its_key_is_never_plain() {
    let mut site = Site::new();
    let mut admin = site.administrator().await;
    let shown = admin.browser.get("tls").await.done();
    assert_eq!(
        (&shown[0]["interface"], &shown[0]["source"]),
        (&json!("manage"), &json!("own"))
    );
    let authority = Authority::new("甲认证中心");
    let secret = gm::key::P256Key::generate().expect("key");
    let key = gm::key::P256Key::from_pkcs8(&secret).expect("key");
    let own = authority.certify("localhost", gm::Signer::public_key(&key), Purpose::TlsServer);
    let files = json!([file(&authority.root.der), file(&own.der)]);
    // All in one file, as Windows and OpenSSL hand it out.
    let folder = site.dir.path();
    for (name, text) in [
        ("own.pem", gm::pem::write("CERTIFICATE", &own.der)),
        ("root.pem", gm::pem::write("CERTIFICATE", &authority.root.der)),
        ("own.key", gm::pem::write("PRIVATE KEY", &secret)),
    ] {
        std::fs::write(folder.join(name), text).expect("written");
    }
    let pack = "pkcs12 -export -in own.pem -certfile root.pem -inkey own.key -passout pass:mi-ma-2026 -out own.pfx";
    let packed = std::process::Command::new("openssl")
        .args(pack.split(' '))
        .current_dir(folder)
        .status();
    assert!(packed.expect("openssl").success());
    let pfx = std::fs::read(folder.join("own.pfx")).expect("packed");
    for (password, refused) in [("mi-ma-2025", true), ("mi-ma-2026", false)] {
        let asked = json!({"key": file(&pfx), "password": password});
        let answer = admin.browser.post("tls/manage/import", asked).await;
        if refused {
            assert_eq!(answer.refused(), "key_file");
        } else {
            answer.done();
        }
    }
    let shown = admin.browser.get("tls").await.done();
    assert_eq!(
        (&shown[0]["source"], &shown[0]["chain"][1]["serial"]),
        (&json!("imported"), &json!(authority.root.serial_hex()))
    );
    let another = gm::key::P256Key::generate().expect("key");
    let import = async |browser: &crate::site::Browser, key: &[u8]| {
        let key = file(gm::pem::write("PRIVATE KEY", key));
        browser
            .post("tls/manage/import", json!({"files": files, "key": key}))
            .await
    };
    assert_eq!(import(&admin.browser, &another).await.refused(), "certificate_key");
    import(&admin.browser, &secret).await.done();
    site.power_cut();
    let browser = site.browser();
    admin.sign_in(&browser).await.done();
    let shown = browser.get("tls").await.done();
    assert_eq!(
        (&shown[0]["source"], &shown[0]["chain"][0]["serial"]),
        (&json!("imported"), &json!(own.serial_hex()))
    );
    // The raw scalar of the key is nowhere on the disk.
    let at = secret
        .windows(3)
        .position(|w| w == [0x02, 0x01, 0x01])
        .expect("ECPrivateKey")
        + 5;
    let scalar = &secret[at..at + 32];
    for entry in std::fs::read_dir(site.state()).expect("state").flatten() {
        let bytes = std::fs::read(entry.path()).unwrap_or_default();
        let found = bytes.windows(scalar.len()).any(|window| window == scalar);
        assert!(!found, "{:?} holds the plain key", entry.path());
    }
    browser.post("tls/manage/renew", json!({})).await.done();
    let shown = site
        .browser()
        .client
        .get(browser.url("session"))
        .send()
        .await
        .expect("new connections take it");
    assert_eq!(shown.status(), 200);
    assert_eq!(browser.get("tls").await.done()[0]["source"], "own");
}

#[tokio::test]
async fn the_page_is_served_with_its_fences_and_idle_memory_stays_small() {
    let page = tempfile::tempdir().expect("dir");
    std::fs::create_dir(page.path().join("assets")).expect("folder");
    std::fs::write(page.path().join("index.html"), "<!doctype html>page").expect("page");
    std::fs::write(page.path().join("assets/app-1a2b.js"), "1").expect("script");
    std::fs::write(page.path().join("../secret.txt"), "secret").ok();
    let site = Site::with(&format!("web = {:?}\n", page.path()));
    let admin = site.administrator().await;
    let root = format!("https://localhost:{}", site.port);
    let get = async |path: &str| {
        take(
            admin
                .browser
                .client
                .get(format!("{root}{path}"))
                .send()
                .await
                .expect("answer"),
        )
        .await
    };
    for path in ["/", "/keys/1", "/index.html"] {
        let answer = get(path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.bytes.as_slice()),
            (200, &b"<!doctype html>page"[..]),
            "{path}"
        );
        assert_eq!(answer.headers["cache-control"], "no-cache");
        let policy = answer.headers["content-security-policy"].to_str().expect("text");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    }
    let script = get("/assets/app-1a2b.js").await;
    assert_eq!(script.headers["cache-control"], "public, max-age=31536000, immutable");
    assert_eq!(
        get("/..%2fsecret.txt").await.bytes,
        b"<!doctype html>page",
        "nothing outside the folder"
    );
    assert_eq!(
        get("/manage/v1/openapi.json").await.json()["openapi"]
            .as_str()
            .map(|v| &v[..2]),
        Some("3.")
    );
    let overview = admin.browser.get("overview").await.done();
    assert_eq!(
        (&overview["tpm"], &overview["log"]["intact"]),
        (&json!("ok"), &json!(true))
    );
    assert!(admin.browser.get("meter?after=0").await.done().is_array());
    // When the start, with its self-test, is over.
    let mut rss = resident_kib(&site.signd);
    for _ in 0..600 {
        if rss < 32 * 1024 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        rss = resident_kib(&site.signd);
    }
    assert!(rss < 32 * 1024, "{rss} KiB");
}

/// What the process itself takes; the pages of the program, in a build for tests many times those of a released one, are
/// not counted.
fn resident_kib(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).expect("status");
    let line = status
        .lines()
        .find(|line| line.starts_with("RssAnon:"))
        .expect("RssAnon");
    line.split_ascii_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse().ok())
        .expect("number")
}

#[tokio::test]
async fn without_the_chip_nothing_is_half_done_and_it_says_why() {
    let mut site = Site::new();
    let mut admin = site.administrator().await;
    site.tpm.power_off();
    let refused = admin
        .browser
        .post("keys", json!({"label": "签名", "algorithm": "sm2"}))
        .await;
    assert_eq!(
        (refused.status.as_u16(), refused.refused().as_str()),
        (503, "tpm_absent")
    );
    assert_eq!(admin.sign_in(&site.browser()).await.refused(), "tpm_absent");
    let overview = admin.browser.get("overview").await.done();
    assert_eq!(
        (&overview["tpm"], &overview["notices"][0]["code"]),
        (&json!("absent"), &json!("tpm"))
    );
    site.tpm.power_on();
    admin
        .browser
        .post("keys", json!({"label": "签名", "algorithm": "sm2"}))
        .await
        .done();
    assert_eq!(admin.browser.get("keys").await.done().as_array().map(Vec::len), Some(1));
}
