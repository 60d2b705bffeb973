//! Two appliances with two TPMs: paired by people, kept alike by packages that only the right TPM opens.

mod doctor;
mod following;
mod killed;
mod packages;
mod pairing;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::site::{Browser, HOSPITAL, Person, Site, file};

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
    let until = Instant::now() + Duration::from_secs(180);
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

/// Waits until the follower has all there is.
async fn until_fresh(source: &Appliance) {
    let until = Instant::now() + Duration::from_secs(180);
    loop {
        let peer = source.replica().await["peers"][0].clone();
        if peer["up_to_date"] == true {
            return;
        }
        assert!(Instant::now() < until, "{peer:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
