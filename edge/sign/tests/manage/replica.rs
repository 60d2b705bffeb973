//! Two appliances with two TPMs: paired by people, kept alike by packages that only the right TPM opens.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use evidence::TpmKey;
use gm::certificate::Purpose;
use gm::key::Kind;
use records::{Outcome, sign as ops};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::site::{Authority, Browser, HOSPITAL, Person, Site, file};

/// An appliance with two administrators and an operator.
pub(crate) struct Appliance {
    pub(crate) site: Site,
    pub(crate) admin: Person,
    pub(crate) second: Person,
    pub(crate) operator: Person,
}

impl Appliance {
    pub(crate) async fn new(name: &str, more: &str) -> Self {
        let site = Site::with(&format!("[replica]\nname = \"{name}\"\n{more}"));
        let admin = site.administrator().await;
        let second = site.person(&admin, "wang.admin", "administrator").await;
        let operator = site.person(&admin, "li.op", "operator").await;
        Self {
            site,
            admin,
            second,
            operator,
        }
    }

    /// A key in use, and an application that may use it.
    pub(crate) async fn furnish(&self) {
        self.add_key(1, "门诊签名").await;
        let policy = json!({"keys": [1], "chains": [], "revocation": "none", "revocation_must_be_known": false,
            "formats": ["pkcs1"], "rate_per_second": 0});
        let application = json!({"id": "app_his", "name": "HIS", "policy": policy});
        self.operator.browser.post("applications", application).await.done();
    }

    async fn add_key(&self, index: u32, label: &str) {
        let browser = &self.admin.browser;
        browser
            .post("keys", json!({"label": label, "algorithm": "sm2"}))
            .await
            .done();
        let certify = json!({"organization": HOSPITAL, "name": label});
        browser.post(&format!("keys/{index}/certify"), certify).await.done();
        browser.post(&format!("keys/{index}/activate"), json!({})).await.done();
    }

    pub(crate) async fn replica(&self) -> Value {
        self.admin.browser.get("replica").await.done()
    }

    fn url(&self) -> String {
        format!("https://localhost:{}", self.site.port)
    }

    /// Takes the other's introduction, and has it approved by the second administrator.
    pub(crate) async fn pair_with(&self, other: &Value, role: &str, url: Option<String>) -> String {
        let proposal = json!({"introduction": other["introduction"], "role": role, "url": url});
        self.admin.browser.post("replica/peers", proposal).await.done();
        let id = self.replica().await["peers"][0]["id"].as_str().expect("id").to_owned();
        let compared = json!({"fingerprint": other["fingerprint"]});
        let path = format!("replica/peers/{id}/approve");
        self.second.browser.post(&path, compared).await.done();
        id
    }

    /// A package for a follower, as a file.
    async fn package(&self, id: &str) -> Vec<u8> {
        let answer = self
            .admin
            .browser
            .post(&format!("replica/peers/{id}/package"), json!({}))
            .await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.bytes));
        answer.bytes
    }

    async fn import(&self, package: &[u8]) -> crate::site::Answer {
        let asked = json!({"file": file(package)});
        self.admin.browser.post("replica/import", asked).await
    }

    /// Acts of the log that begin so, oldest first.
    fn logged(&self, act: &str) -> Vec<(String, String, String)> {
        let log = rusqlite::Connection::open(self.site.state().join("signd.db")).expect("log");
        let mut rows = log
            .prepare("SELECT act, subject, detail FROM log WHERE instr(act, ?1) = 1 ORDER BY seq")
            .expect("log");
        let rows = rows.query_map([act], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        rows.expect("log").map(|row| row.expect("entry")).collect()
    }
}

/// Pairs a source with a follower, each side by two people.
pub(crate) async fn pair(source: &Appliance, follower: &Appliance, by_line: bool) -> String {
    let (from, to) = (source.replica().await, follower.replica().await);
    follower.pair_with(&from, "source", None).await;
    let url = by_line.then(|| follower.url());
    source.pair_with(&to, "follower", url).await
}

/// What applications are served with.
pub(crate) async fn shown(browser: &Browser) -> Vec<Value> {
    let mut all = Vec::new();
    for path in ["keys", "applications", "chains", "certificates"] {
        all.push(browser.get(path).await.done());
    }
    all
}

/// Waits until what both show is the same.
pub(crate) async fn until_alike(source: &Appliance, follower: &Appliance) {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let (here, there) = (shown(&source.admin.browser).await, shown(&follower.admin.browser).await);
        let peer = source.replica().await["peers"][0].clone();
        if here == there && peer["up_to_date"] == true {
            return;
        }
        assert!(Instant::now() < until, "not alike: {here:#?} {there:#?} {peer:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_follower_becomes_and_stays_as_its_source_is() {
    let (source, mut follower) = (Appliance::new("一号机", "").await, Appliance::new("二号机", "").await);
    source.furnish().await;
    pair(&source, &follower, true).await;
    until_alike(&source, &follower).await;
    let keys = follower.admin.browser.get("keys").await.done();
    assert_eq!((&keys[0]["state"], &keys[0]["open"]), (&json!("active"), &json!(true)));

    // Changes follow by themselves: a new key, a key that is destroyed, an application that is switched off.
    source.add_key(2, "住院签名").await;
    until_alike(&source, &follower).await;
    let browser = &source.admin.browser;
    browser.post("keys/2/retire", json!({})).await.done();
    browser
        .post("keys/2/destroy", json!({"confirm": "住院签名"}))
        .await
        .done();
    until_alike(&source, &follower).await;
    let keys = follower.admin.browser.get("keys").await.done();
    assert_eq!(keys[1]["state"], "destroyed");
    let held: Option<Vec<u8>> = rusqlite::Connection::open(follower.site.state().join("signd.db"))
        .expect("state")
        .query_row("SELECT wrapped FROM server_key WHERE key_index = 2", [], |row| {
            row.get(0)
        })
        .expect("row");
    assert_eq!(held, None, "destroyed there is destroyed here");

    // While it follows nothing of that is changed on it; its own affairs are.
    let key = json!({"label": "自己的", "algorithm": "sm2"});
    assert_eq!(
        follower.admin.browser.post("keys", key.clone()).await.refused(),
        "replica_follows"
    );
    let switched = json!({"name": "HIS", "enabled": false, "policy": source.operator.browser.get("applications").await.done()[0]["policy"]});
    let refused = follower
        .operator
        .browser
        .put("applications/app_his", switched.clone())
        .await;
    assert_eq!(refused.refused(), "replica_follows");
    let web = json!({"enabled": true});
    follower.operator.browser.put("settings/web-service", web).await.done();

    // A follower that is away gets it later.
    follower.site.signd.kill();
    source
        .operator
        .browser
        .put("applications/app_his", switched)
        .await
        .done();
    let until = Instant::now() + Duration::from_secs(30);
    while source.replica().await["peers"][0]["trouble"] == "" {
        assert!(Instant::now() < until, "nobody noticed that the follower is away");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    follower.site.power_cut();
    let browser = follower.site.browser();
    follower.admin.sign_in(&browser).await.done();
    follower.admin.browser = browser;
    until_alike(&source, &follower).await;

    // The source is gone for good: the follower goes on by itself.
    let id = follower.replica().await["peers"][0]["id"]
        .as_str()
        .expect("id")
        .to_owned();
    follower
        .admin
        .browser
        .delete(&format!("replica/peers/{id}"))
        .await
        .done();
    follower.admin.browser.post("keys", key).await.done();

    let acts = |appliance: &Appliance| -> Vec<String> {
        let mut acts: Vec<String> = appliance.logged("replica.").into_iter().map(|(act, ..)| act).collect();
        acts.dedup();
        acts
    };
    assert!(acts(&source).starts_with(&["replica.proposed".to_owned(), "replica.paired".to_owned()]));
    for act in ["replica.made", "replica.settled", "replica.waits"] {
        assert!(acts(&source).contains(&act.to_owned()), "{act}");
    }
    for act in ["replica.proposed", "replica.paired", "replica.taken", "replica.ended"] {
        assert!(acts(&follower).contains(&act.to_owned()), "{act}");
    }
    for appliance in [&source, &follower] {
        assert_eq!(
            appliance.admin.browser.get("overview").await.done()["log"]["intact"],
            true
        );
    }
}

#[tokio::test]
async fn pairing_takes_two_people_who_compare_what_the_chip_proves() {
    let (here, there) = (Appliance::new("一号机", "").await, Appliance::new("二号机", "").await);
    let other = there.replica().await;
    let propose = async |introduction: &Value| {
        let asked = json!({"introduction": introduction, "role": "follower"});
        here.admin.browser.post("replica/peers", asked).await
    };
    let own = here.replica().await["introduction"].clone();
    assert_eq!(propose(&own).await.refused(), "peer_self");
    // A changed word of the introduction is seen: the chip signed it.
    let text = other["introduction"].as_str().expect("text");
    let mine = here.replica().await;
    let mine: Value = serde_json::from_str(mine["introduction"].as_str().expect("text")).expect("json");
    for part in [
        "name",
        "made_at",
        "endorsement",
        "attestation",
        "signing",
        "certified",
        "quoted",
    ] {
        let mut changed: Value = serde_json::from_str(text).expect("json");
        changed[part] = if part == "name" {
            json!("三号机")
        } else {
            mine[part].clone()
        };
        assert_eq!(
            propose(&json!(changed.to_string())).await.refused(),
            "replica_introduction",
            "{part}"
        );
    }
    assert_eq!(propose(&json!("{}")).await.refused(), "replica_introduction");

    propose(&other["introduction"]).await.done();
    let peer = here.replica().await["peers"][0].clone();
    assert_eq!(
        (&peer["state"], &peer["belief"]),
        (&json!("proposed"), &json!("people"))
    );
    assert_eq!(peer["fingerprint"], other["fingerprint"]);
    let path = format!("replica/peers/{}/approve", peer["id"].as_str().expect("id"));
    let right = json!({"fingerprint": other["fingerprint"]});
    assert_eq!(
        here.admin.browser.post(&path, right.clone()).await.refused(),
        "peer_second_person"
    );
    let wrong = json!({"fingerprint": here.replica().await["fingerprint"]});
    assert_eq!(
        here.second.browser.post(&path, wrong).await.refused(),
        "peer_fingerprint"
    );
    assert_eq!(
        here.operator.browser.post(&path, right.clone()).await.refused(),
        "forbidden"
    );
    let export = format!("replica/peers/{}/package", peer["id"].as_str().expect("id"));
    let refused = here.admin.browser.post(&export, json!({})).await;
    assert_eq!(
        refused.refused(),
        "peer_unknown",
        "nothing is made before it is approved"
    );
    here.second.browser.post(&path, right.clone()).await.done();
    assert_eq!(here.second.browser.post(&path, right).await.refused(), "peer_state");
    let (_, by, detail) = here.logged("replica.paired").remove(0);
    assert_eq!(by, "wang.admin");
    assert!(
        detail.contains("believed by people") && detail.contains("proposed by admin"),
        "{detail}"
    );
}

#[tokio::test]
async fn where_makers_are_known_their_certificate_proves_the_chip() {
    let (maker, another) = (Authority::new("可信芯片厂商"), Authority::new("别的厂商"));
    let dir = tempfile::tempdir().expect("dir");
    let roots = dir.path().join("makers.pem");
    std::fs::write(&roots, gm::pem::write("CERTIFICATE", &maker.root.der)).expect("written");
    let here = Appliance::new("一号机", &format!("endorsement_roots = {roots:?}\n")).await;
    let there = Appliance::new("二号机", "").await;
    assert_eq!(here.replica().await["by_certificate"], true);
    let other = there.replica().await;
    let plain: Value = serde_json::from_str(other["introduction"].as_str().expect("text")).expect("json");
    // As a chip would carry it: the maker's certificate for this endorsement key.
    let endorsement = |name: &str| hex::decode(name).expect("hex");
    let key = TpmKey::parse(&endorsement(plain["endorsement"].as_str().expect("key")), "EK").expect("EK");
    let strange = TpmKey::parse(&endorsement(plain["signing"].as_str().expect("key")), "key").expect("key");
    let certified = |by: &Authority, key: &TpmKey| {
        let public = gm::PublicKey::from_point(Kind::P256, key.point()).expect("key");
        let certificate = by.certify("TPM", &public, Purpose::TlsClient);
        let mut introduction = plain.clone();
        introduction["endorsement_certificates"] = json!([hex::encode(&certificate.der)]);
        json!({"introduction": introduction.to_string(), "role": "follower"})
    };
    let propose = async |asked: Value| here.admin.browser.post("replica/peers", asked).await;
    let none = json!({"introduction": plain.to_string(), "role": "follower"});
    assert_eq!(propose(none).await.refused(), "replica_introduction");
    assert_eq!(
        propose(certified(&another, &key)).await.refused(),
        "replica_introduction"
    );
    assert_eq!(
        propose(certified(&maker, &strange)).await.refused(),
        "replica_introduction"
    );

    propose(certified(&maker, &key)).await.done();
    let peer = here.replica().await["peers"][0].clone();
    assert_eq!(peer["belief"], "certificate");
    // The chip is proved; one person compares that it is the machine that is meant.
    let path = format!("replica/peers/{}/approve", peer["id"].as_str().expect("id"));
    let compared = json!({"fingerprint": other["fingerprint"]});
    here.admin.browser.post(&path, compared).await.done();
    let (_, by, detail) = here.logged("replica.paired").remove(0);
    assert_eq!(by, "admin");
    assert!(detail.contains("believed by certificate"), "{detail}");
}

#[tokio::test]
async fn a_package_is_taken_once_whole_and_by_the_right_appliance_alone() {
    let source = Appliance::new("一号机", "").await;
    let (follower, stranger) = (Appliance::new("二号机", "").await, Appliance::new("三号机", "").await);
    source.furnish().await;
    let before = shown(&follower.admin.browser).await;
    let id = pair(&source, &follower, false).await;
    let first = source.package(&id).await;
    for plain in ["app_his", "门诊签名", HOSPITAL] {
        let found = first.windows(plain.len()).any(|window| window == plain.as_bytes());
        assert!(!found, "{plain} is readable in the package");
    }

    // Not paired; then paired, but it is another one's package, and no other header makes it its own.
    assert_eq!(stranger.import(&first).await.refused(), "replica_unpaired");
    let other = pair(&source, &stranger, false).await;
    assert_eq!(stranger.import(&first).await.refused(), "replica_target");
    let theirs = source.package(&other).await;
    let (own_head, their_head) = (head(&first), head(&theirs));
    let mut forged = first[..14].to_vec();
    let mut header: Value = serde_json::from_slice(own_head).expect("header");
    let their_header: Value = serde_json::from_slice(their_head).expect("header");
    header["target"] = their_header["target"].clone();
    let header = header.to_string();
    forged[10..14].copy_from_slice(&u32::try_from(header.len()).expect("short").to_be_bytes());
    forged.extend_from_slice(header.as_bytes());
    forged.extend_from_slice(&first[14 + own_head.len()..]);
    assert_eq!(stranger.import(&forged).await.refused(), "replica_signature");

    // Changed anywhere, it is refused.
    for at in (0..first.len()).step_by(first.len() / 24).chain([first.len() - 1]) {
        let mut damaged = first.clone();
        damaged[at] ^= 1;
        let code = follower.import(&damaged).await.refused();
        let known = [
            "replica_damaged",
            "replica_format",
            "replica_signature",
            "replica_unpaired",
        ];
        assert!(known.contains(&code.as_str()), "byte {at}: {code}");
    }
    for length in [0, 7, 13, 40, first.len() - 1] {
        let code = follower.import(&first[..length]).await.refused();
        assert!(
            ["replica_damaged", "replica_signature"].contains(&code.as_str()),
            "{length}: {code}"
        );
    }
    // By the line nobody signs in, and nothing else changes.
    let sent = follower.site.browser();
    let url = sent.url("replica/packages");
    let sent = sent
        .client
        .post(url)
        .header("x-signd", "1")
        .body(forged)
        .send()
        .await
        .expect("answered");
    assert_eq!(sent.status(), 422);
    assert_eq!(shown(&follower.admin.browser).await, before, "nothing was taken");

    let second = source.package(&id).await;
    follower.import(&second).await.done();
    assert_eq!(shown(&follower.admin.browser).await, shown(&source.admin.browser).await);
    for old in [&second, &first] {
        assert_eq!(follower.import(old).await.refused(), "replica_replayed");
    }

    // After the end nothing is made or taken.
    let third = source.package(&id).await;
    let peer = follower.replica().await["peers"][0]["id"]
        .as_str()
        .expect("id")
        .to_owned();
    follower
        .admin
        .browser
        .delete(&format!("replica/peers/{peer}"))
        .await
        .done();
    assert_eq!(follower.import(&third).await.refused(), "replica_unpaired");
    source.admin.browser.delete(&format!("replica/peers/{id}")).await.done();
    let refused = source
        .admin
        .browser
        .post(&format!("replica/peers/{id}/package"), json!({}))
        .await;
    assert_eq!(refused.refused(), "peer_unknown");
    let refusals = follower.logged("replica.refused");
    assert!(
        refusals
            .iter()
            .any(|(_, by, detail)| by == "admin" && detail.ends_with("replica_replayed"))
    );
}

/// The header of a package.
fn head(package: &[u8]) -> &[u8] {
    let length = u32::from_be_bytes(package[10..14].try_into().expect("four"));
    &package[14..14 + usize::try_from(length).expect("small")]
}

/// A doctor at an appliance's socket.
struct Desk(sign::Client);

impl Desk {
    fn at(appliance: &Appliance) -> Self {
        Self(sign::Client::new(&appliance.site.state().join("signd.sock")))
    }

    /// Signs with a PIN: the message, or the refusal's code.
    async fn sign(&self, key: &str, pin: &str) -> Result<Vec<u8>, String> {
        let asked = ops::SignRequest {
            signer_id: "sta_1".to_owned(),
            pin: ops::Pin(pin.to_owned()),
            document: file("处方"),
        };
        match self.0.call::<ops::SignDocument>(Some(key), &asked).await {
            Outcome::Done(signed) => Ok(STANDARD.decode(signed.cms).expect("Base64")),
            Outcome::Refused { code, .. } => Err(code),
            other => panic!("{other:?}"),
        }
    }
}

/// Waits until the follower has all there is.
async fn until_fresh(source: &Appliance) {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let peer = source.replica().await["peers"][0].clone();
        if peer["up_to_date"] == true {
            return;
        }
        assert!(Instant::now() < until, "{peer:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_doctor_signs_at_the_follower_with_the_same_pin() {
    let (source, follower) = (Appliance::new("一号机", "").await, Appliance::new("二号机", "").await);
    let (here, there) = (Desk::at(&source), Desk::at(&follower));
    let enrol = ops::EnrolRequest {
        signer_id: "sta_1".to_owned(),
        name: "王医生".to_owned(),
        role: "doctor".to_owned(),
        organisation: HOSPITAL.to_owned(),
        pin: ops::Pin("202611".to_owned()),
    };
    here.0
        .call::<ops::Enrol>(Some("e1"), &enrol)
        .await
        .done()
        .expect("enrolled");
    assert_eq!(there.sign("rx_1", "202611").await.expect_err("unknown"), "not_enrolled");
    pair(&source, &follower, true).await;
    until_fresh(&source).await;

    let trust = here
        .0
        .call::<ops::TrustRoots>(None, &ops::TrustRequest {})
        .await
        .done()
        .expect("roots");
    let roots = trust.signers.iter().map(|root| STANDARD.decode(root).expect("Base64"));
    let trust = gm::Trust::new(roots).expect("trust");
    let holds = |cms: &[u8]| {
        let now = time::OffsetDateTime::now_utc();
        let seen = gm::cms::verify(cms, gm::cms::Content::Bytes("处方".as_bytes()), &trust, now).expect("holds");
        seen.signer.serial_hex()
    };
    let at_follower = holds(&there.sign("rx_1", "202611").await.expect("signed"));
    assert_eq!(
        at_follower,
        holds(&here.sign("rx_1", "202611").await.expect("signed")),
        "the same certificate"
    );
    assert_eq!(there.sign("rx_2", "918273").await.expect_err("wrong"), "pin_wrong");

    // Another PIN at the source is another PIN at the follower.
    let change = ops::ChangePinRequest {
        signer_id: "sta_1".to_owned(),
        pin: ops::Pin("202611".to_owned()),
        new_pin: ops::Pin("740392".to_owned()),
    };
    here.0
        .call::<ops::ChangePin>(None, &change)
        .await
        .done()
        .expect("changed");
    until_fresh(&source).await;
    holds(&there.sign("rx_3", "740392").await.expect("signed"));
    assert_eq!(there.sign("rx_99", "202611").await.expect_err("old"), "pin_wrong");
}
