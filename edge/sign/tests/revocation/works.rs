//! A server with an application, set up through its management interface.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gm::Certificate;
use kit::ports::free_ports;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::ca::{Ca, Card};
use crate::site::{Authority, Browser, HOSPITAL, IDLE, Person, Site, file};

pub(crate) struct Works {
    pub(crate) site: Site,
    pub(crate) admin: Browser,
    pub(crate) operator: Browser,
    /// Who the operator is.
    keeper: Person,
    pub(crate) app: reqwest::Client,
    pub(crate) port: u16,
    own: String,
    chains: Vec<String>,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn done(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", String::from_utf8_lossy(&self.bytes));
        serde_json::from_slice(&self.bytes).expect("JSON")
    }

    /// Code and words of a refusal.
    pub(crate) fn refused(&self) -> (String, String) {
        assert!(
            !self.status.is_success(),
            "not refused: {}",
            String::from_utf8_lossy(&self.bytes)
        );
        let json: Value = serde_json::from_slice(&self.bytes).expect("JSON");
        let text = |name: &str| json[name].as_str().expect("text").to_owned();
        (text("code"), text("text"))
    }
}

impl Works {
    /// With one SM2 key under the hospital's own authority, trusting these authorities, too.
    pub(crate) async fn new(authorities: &[&Ca]) -> Self {
        Self::with(authorities, "").await
    }

    /// The same with more settings.
    pub(crate) async fn with(authorities: &[&Ca], more: &str) -> Self {
        let [port] = free_ports::<1>();
        let site = Site::with(&format!("[service]\nlisten = \"127.0.0.1:{port}\"\n{more}"));
        let admin = site.administrator().await;
        let keeper = site.person(&admin, "li.op", "operator").await;
        let operator = keeper.browser.clone();
        let admin = admin.browser;
        admin
            .post("keys", json!({"label": "签名", "algorithm": "sm2"}))
            .await
            .done();
        admin
            .post(
                "keys/1/certify",
                json!({"organization": HOSPITAL, "name": "签名服务器"}),
            )
            .await
            .done();
        admin.post("keys/1/activate", json!({})).await.done();
        let own = operator
            .post("chains/own", json!({"organization": HOSPITAL}))
            .await
            .done();
        let own = own["id"].as_str().expect("chain").to_owned();
        let mut chains = vec![own.clone()];
        for ca in authorities {
            let asked = json!({"name": "试验认证机构", "files": [file(&ca.root.der)]});
            let chain = operator.post("chains", asked).await.done();
            chains.push(chain["id"].as_str().expect("chain").to_owned());
        }
        let (certificate, identity) = Authority::new("登录用").token("HIS");
        let works = Self {
            app: reqwest::Client::builder()
                .identity(identity)
                .pool_idle_timeout(IDLE)
                .tls_danger_accept_invalid_certs(true)
                .build()
                .expect("client"),
            site,
            admin,
            operator,
            keeper,
            port,
            own,
            chains,
        };
        let asked = json!({"id": "app_his", "name": "医院信息系统", "policy": works.policy("none", true)});
        works.operator.post("applications", asked).await.done();
        let asked = json!({"file": file(&certificate.der)});
        works
            .operator
            .post("applications/app_his/certificates", asked)
            .await
            .done();
        works
    }

    /// The power goes and comes back, and the operator signs in again.
    pub(crate) async fn power_cut(&mut self) {
        self.site.power_cut();
        self.operator = self.site.browser();
        self.keeper.sign_in(&self.operator).await.done();
    }

    fn policy(&self, revocation: &str, must_be_known: bool) -> Value {
        json!({"keys": [1], "chains": self.chains, "revocation": revocation,
            "revocation_must_be_known": must_be_known, "rate_per_second": 0,
            "formats": ["pkcs1", "pkcs7-attached", "pkcs7-detached", "pdf", "stamp"]})
    }

    /// The application's rule from now on.
    pub(crate) async fn rule(&self, revocation: &str, must_be_known: bool) {
        let policy = self.policy(revocation, must_be_known);
        let asked = json!({"name": "医院信息系统", "enabled": true, "policy": policy});
        self.operator.put("applications/app_his", asked).await.done();
    }

    /// Settings of the first foreign chain.
    pub(crate) async fn chain(&self, settings: Value) {
        let id = self.chains.iter().find(|id| **id != self.own).expect("chain");
        self.operator
            .put(&format!("chains/{id}/revocation"), settings)
            .await
            .done();
    }

    /// The first foreign chain is taken out of the policy and removed.
    pub(crate) async fn remove_chain(&self) {
        let id = self.chains.iter().find(|id| **id != self.own).expect("chain");
        let mut policy = self.policy("crl", true);
        let left: Vec<&String> = self.chains.iter().filter(|other| *other != id).collect();
        policy["chains"] = json!(left);
        let asked = json!({"name": "医院信息系统", "enabled": true, "policy": policy});
        self.operator.put("applications/app_his", asked).await.done();
        self.operator.delete(&format!("chains/{id}")).await.done();
    }

    pub(crate) async fn ask(&self, path: &str, body: Value) -> Answer {
        let url = format!("https://127.0.0.1:{}{path}", self.port);
        let answered = self.app.post(url).json(&body).send().await.expect("answered");
        Answer {
            status: answered.status(),
            bytes: answered.bytes().await.expect("body").to_vec(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        // Somebody who does not sign in.
        let stranger = reqwest::Client::builder()
            .tls_danger_accept_invalid_certs(true)
            .build()
            .expect("client");
        let url = format!("https://127.0.0.1:{}{path}", self.port);
        let answered = stranger.get(url).send().await.expect("answered");
        Answer {
            status: answered.status(),
            bytes: answered.bytes().await.expect("body").to_vec(),
        }
    }

    /// A file of bytes with a signature in its gap, as a PDF has it.
    pub(crate) async fn signed_pdf(&self) -> Vec<u8> {
        const ROOM: usize = 8 * 1024;
        let range = |a: usize, b: usize, c: usize| format!("[0 {a:010} {b:010} {c:010}]");
        let head = |range: String| {
            format!("%PDF-1.7\n1 0 obj\n<< /Type /Sig /SubFilter /adbe.pkcs7.detached /ByteRange {range} /Contents ")
        };
        let tail = " >>\nendobj\n%%EOF\n";
        let before = head(range(0, 0, 0)).len();
        let after = before + 2 * ROOM + 2;
        let head = head(range(before, after, tail.len()));
        let digest = file(gm::sm3([head.as_bytes(), tail.as_bytes()].concat().as_slice()));
        let made = self.ask("/v1/pdf/sign", json!({"digest": digest})).await.done();
        let message = STANDARD
            .decode(made["message"].as_str().expect("message"))
            .expect("Base64");
        format!("{head}<{:0<width$}>{tail}", hex::encode(message), width = 2 * ROOM).into_bytes()
    }

    /// Judges a certificate by the policy.
    pub(crate) async fn judge(&self, certificate: &Certificate) -> Answer {
        self.ask(
            "/v1/certificate/validate",
            json!({"certificate": file(&certificate.der)}),
        )
        .await
    }

    /// The same of a card; on a busy machine an answer may be too late, and is asked for again.
    async fn judged(&self, card: &Card) -> Answer {
        for _ in 0..120 {
            let answer = self.judge(&card.certificate).await;
            if answer.status.is_success() || !answer.refused().1.contains("在规定时间内没有应答完") {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        panic!("no answer comes in time about {}", card.name);
    }

    pub(crate) async fn accepts(&self, card: &Card) -> Value {
        self.judged(card).await.done()["revocation"].take()
    }

    pub(crate) async fn refuses(&self, card: &Card) -> String {
        self.judged(card).await.refused().0
    }

    pub(crate) async fn fetch(&self) -> Value {
        self.operator.post("revocation/fetch", json!({})).await.done()
    }

    /// The list in force of an authority.
    pub(crate) async fn list(&self, ca: &Ca) -> Value {
        let name = &ca.root.subject.common_name;
        let view = self.operator.get("revocation").await.done();
        let lists = view["lists"].as_array().expect("lists").clone();
        lists
            .into_iter()
            .find(|list| list["issuer"] == json!(name))
            .unwrap_or(Value::Null)
    }

    /// Until an authority's list satisfies.
    pub(crate) async fn until(&self, ca: &Ca, fits: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..900 {
            let list = self.list(ca).await;
            if fits(&list) {
                return list;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let view = self.operator.get("revocation").await.done();
        panic!("not within three minutes: {view}");
    }
}
