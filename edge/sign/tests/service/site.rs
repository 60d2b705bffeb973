//! A hospital's signature server with server keys, applications and chains, and applications that call it.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gm::certificate::{Draft, Purpose};
use gm::key::{P256Key, Signer};
use gm::{Certificate, Identity, PublicKey};
use hmac::{Hmac, KeyInit, Mac};
use kit::ports::free_ports;
use kit::process::Process;
use kit::swtpm::SoftTpm;
use records::{SystemClock, Timestamp};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sign::Engine;
use sign::application::{ApplicationId, ChainId, Format, KeyIndex, Policy, Revocation};
use sign::engine::Rules;
use sign::guard::Guarded;
use sign::keys::{KeyCommand, NewKey};
use sign::settings::WebService;
use sm3::Sm3;
use tempfile::TempDir;
use time::OffsetDateTime;

pub(crate) const HOSPITAL: &str = "永州市中心医院";
pub(crate) const CODE: &str = "yizhen-2026";
const BY: &str = "test";

/// One appliance.
pub(crate) struct Site {
    pub(crate) dir: TempDir,
    tpm: SoftTpm,
    signd: Process,
    pub(crate) port: u16,
    pub(crate) foreign: Authority,
    /// Certificate and key of `app_his`.
    pub(crate) pem: String,
    secret: Vec<u8>,
}

impl Site {
    /// With server keys of these kinds, all granted to the application `app_his`; the second and later keys ask for
    /// [`CODE`].
    pub(crate) fn new(kinds: &[&str]) -> Self {
        Self::with(kinds, "", |_| {})
    }

    /// With more settings (those of the interface after `[service]`) and more preparation.
    pub(crate) fn with(kinds: &[&str], more: &str, prepare: impl FnOnce(&Engine)) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().expect("dir");
        let tpm = SoftTpm::start(&dir.path().join("tpm"));
        let state = dir.path().join("state");
        std::fs::create_dir_all(&state).expect("directory");
        let foreign = Authority::new("甲认证中心", OffsetDateTime::now_utc());
        let (client, pem) = foreign.client("HIS");
        let engine = open(&state, &tpm.tcti());
        let mut keys = Vec::new();
        for kind in kinds {
            let code = if keys.is_empty() { Value::Null } else { json!(CODE) };
            let new = json!({"label": "签名", "algorithm": kind, "access_code": code});
            let new: NewKey = serde_json::from_value(new).expect("key");
            let key = engine.generate_key(BY, &new).expect("key");
            engine
                .certify_key_here(BY, key, HOSPITAL, "签名服务器")
                .expect("certified");
            engine.command_key(BY, key, KeyCommand::Activate).expect("active");
            keys.push(key);
        }
        let (own, other) = (ChainId("chn_own".to_owned()), ChainId("chn_other".to_owned()));
        engine.import_own_chain(BY, &own, HOSPITAL).expect("chain");
        engine
            .import_chain(BY, &other, "甲认证中心", std::slice::from_ref(&foreign.root))
            .expect("chain");
        let policy = Policy {
            keys,
            chains: vec![own.clone(), other],
            revocation: Revocation::None,
            ..Policy::default()
        };
        engine
            .register_application(BY, "app_his", "医院信息系统", &policy)
            .expect("application");
        let his = ApplicationId("app_his".to_owned());
        engine
            .add_application_certificate(BY, &his, &client)
            .expect("certificate");
        let secret = engine.renew_application_secret(BY, &his).expect("secret").to_vec();
        // Another application: trusts the own chain only, verifies only.
        let narrow = Policy {
            keys: vec![KeyIndex(1)],
            chains: vec![own],
            revocation: Revocation::None,
            formats: [Format::Pkcs1].into(),
            ..Policy::default()
        };
        engine
            .register_application(BY, "app_lis", "检验系统", &narrow)
            .expect("application");
        prepare(&engine);
        drop(engine);
        let [port] = free_ports::<1>();
        let signd = start(&state, &tpm.tcti(), port, more);
        Self {
            dir,
            tpm,
            signd,
            port,
            foreign,
            pem,
            secret,
        }
    }

    /// The same with another preparation while it is down.
    pub(crate) fn again(&mut self, more: &str, prepare: impl FnOnce(&Engine)) {
        self.signd.kill();
        prepare(&open(&self.state(), &self.tpm.tcti()));
        self.signd = start(&self.state(), &self.tpm.tcti(), self.port, more);
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// The application `app_his`, by its certificate.
    pub(crate) fn his(&self) -> App {
        App::new(self.port, Some(&self.pem))
    }

    /// A caller with this certificate and key, or without.
    pub(crate) fn caller(&self, pem: Option<&str>) -> App {
        App::new(self.port, pem)
    }

    /// `Authorization` of a request of `app_his` to this server.
    pub(crate) fn authorization(&self, path: &str, body: &[u8], nonce: &str, at: Timestamp) -> String {
        self.authorization_for(&self.name(), path, body, nonce, at)
    }

    /// The same to the server of this name.
    pub(crate) fn authorization_for(
        &self,
        server: &str,
        path: &str,
        body: &[u8],
        nonce: &str,
        at: Timestamp,
    ) -> String {
        let digest = hex::encode(gm::sm3(body));
        let mut mac = <Hmac<Sm3> as KeyInit>::new_from_slice(&self.secret).expect("key");
        mac.update(format!("POST\n{path}\n{server}\n{at}\n{nonce}\n{digest}").as_bytes());
        let mac = hex::encode(mac.finalize().into_bytes());
        format!("YQ-HMAC-SM3 app=app_his,server={server},time={at},nonce={nonce},mac={mac}")
    }

    /// What requests are signed for.
    fn name(&self) -> String {
        let state = rusqlite::Connection::open(self.state().join("signd.db")).expect("state");
        let sql = "SELECT value FROM setting WHERE name = 'server_name'";
        state.query_row(sql, [], |row| row.get(0)).expect("a name")
    }

    /// The newest entries of the log: act, subject, detail.
    pub(crate) fn log(&self) -> Vec<(String, String, String)> {
        let log = rusqlite::Connection::open(self.state().join("signd.db")).expect("log");
        let mut rows = log
            .prepare("SELECT act, subject, detail FROM log ORDER BY seq DESC LIMIT 40")
            .expect("log");
        let rows = rows
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .expect("log");
        rows.map(|row| row.expect("entry")).collect()
    }

    /// The newest entry of what somebody asked for.
    pub(crate) fn newest(&self) -> (String, String, String) {
        // The self-test of the start and the first list of revocations may come after the first requests.
        let own = |act: &str| act.starts_with("selftest.") || act == "crl.issued";
        let mut log = self.log().into_iter();
        log.find(|(act, ..)| !own(act)).expect("an entry")
    }

    /// That entry says that this was refused for this reason.
    pub(crate) fn logged(&self, code: &str) {
        let (act, subject, detail) = self.newest();
        let said = detail.starts_with(&format!("refused {code} "));
        assert!(said, "{code}: {act} {subject} {detail}");
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.dir.path().join(name), bytes).expect("written");
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.dir.path().join(name)).expect("read")
    }

    /// Runs a program in the site's folder; whether it succeeded and what it said.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> (bool, String) {
        let out = Command::new(program)
            .args(arguments)
            .current_dir(self.dir.path())
            .output()
            .expect(program);
        let said = [out.stdout, out.stderr].concat();
        (out.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    pub(crate) fn must(&self, program: &str, arguments: &[&str]) -> String {
        let (done, said) = self.run(program, arguments);
        assert!(done, "{program} {arguments:?}: {said}");
        said
    }
}

fn open(state: &Path, tcti: &str) -> Engine {
    let rules = Rules {
        pcrs: vec![0, 7],
        pin_min: 4,
        guarded: Guarded {
            memory_locked: false,
            no_dumps: false,
        },
    };
    Engine::open(
        state,
        attest::Tpm::new(tcti).expect("tpm"),
        rules,
        Arc::new(SystemClock),
    )
    .expect("engine")
}

fn start(state: &Path, tcti: &str, port: u16, more: &str) -> Process {
    let (socket, config) = (state.join("signd.sock"), state.join("signd.toml"));
    let (more, service) = more.split_once("[service]\n").unwrap_or((more, ""));
    let text = format!(
        "state_dir = {state:?}\nsocket = {socket:?}\ntpm = {tcti:?}\n{more}\n[service]\nlisten = \"[::]:{port}\"\n{service}"
    );
    std::fs::write(&config, text).expect("settings");
    let config = config.to_string_lossy().into_owned();
    Process::start(env!("CARGO_BIN_EXE_signd"), &["--config", &config]).ready(Duration::from_secs(120))
}

/// Switches the web service.
pub(crate) fn switch(engine: &Engine, enabled: bool) {
    engine.set_web_service(BY, &WebService { enabled }).expect("switched");
}

/// Keeps a certificate.
pub(crate) fn keep(engine: &Engine, certificate: &Certificate) {
    assert!(engine.keep_certificate(BY, certificate, "").expect("kept"));
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or(Value::Null)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes.clone()).expect("text")
    }

    pub(crate) fn done(self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", String::from_utf8_lossy(&self.bytes));
        self.json()
    }

    pub(crate) fn refused(self) -> String {
        assert!(
            !self.status.is_success(),
            "not refused: {}",
            String::from_utf8_lossy(&self.bytes)
        );
        let json = self.json();
        assert!(
            json["text"].as_str().is_some_and(|text| !text.is_ascii()),
            "no plain words: {json}"
        );
        assert!(
            json["number"].as_u64().is_some_and(|number| number >= 0x0400_0001),
            "{json}"
        );
        json["code"].as_str().expect("code").to_owned()
    }
}

/// An application.
pub(crate) struct App {
    client: reqwest::Client,
    base: String,
}

impl App {
    fn new(port: u16, pem: Option<&str>) -> Self {
        // The server closes a connection that was idle for a minute, perhaps just when it is used again.
        let mut builder = reqwest::Client::builder()
            .pool_idle_timeout(Duration::from_secs(45))
            .tls_danger_accept_invalid_certs(true);
        if let Some(pem) = pem {
            builder = builder.identity(reqwest::Identity::from_pem(pem.as_bytes()).expect("identity"));
        }
        Self {
            client: builder.build().expect("client"),
            // IPv6
            base: format!("https://[::1]:{port}"),
        }
    }

    /// By IPv4.
    pub(crate) fn four(mut self) -> Self {
        self.base = self.base.replace("[::1]", "127.0.0.1");
        self
    }

    /// By IPv4 and from this address of the machine.
    pub(crate) fn from(port: u16, pem: &str, address: IpAddr) -> Self {
        let builder = reqwest::Client::builder()
            .tls_danger_accept_invalid_certs(true)
            .local_address(address)
            .identity(reqwest::Identity::from_pem(pem.as_bytes()).expect("identity"));
        Self {
            client: builder.build().expect("client"),
            base: format!("https://127.0.0.1:{port}"),
        }
    }

    /// Whether the server lets it have a connection.
    pub(crate) async fn is_let_in(&self) -> bool {
        self.client.get(format!("{}/health", self.base)).send().await.is_ok()
    }

    pub(crate) async fn send(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Answer {
        let mut request = self.client.post(format!("{}{path}", self.base)).body(body.into());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        take(request.send().await.expect("answered")).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(path, &[("content-type", "application/json")], body.to_string())
            .await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        take(
            self.client
                .get(format!("{}{path}", self.base))
                .send()
                .await
                .expect("answered"),
        )
        .await
    }
}

async fn take(response: reqwest::Response) -> Answer {
    Answer {
        status: response.status(),
        headers: response.headers().clone(),
        bytes: response.bytes().await.expect("body").to_vec(),
    }
}

/// An authority of somebody else.
pub(crate) struct Authority {
    pub(crate) root: Certificate,
    key: P256Key,
    now: OffsetDateTime,
}

impl Authority {
    pub(crate) fn new(name: &str, now: OffsetDateTime) -> Self {
        let key = P256Key::from_pkcs8(&P256Key::generate().expect("key")).expect("key");
        let purpose = Purpose::Authority { path_length: 0 };
        let days = (-400, 3650);
        let root = draft(&named(name), key.public_key(), purpose, now, days)
            .issue(None, &key)
            .expect("root");
        Self { root, key, now }
    }

    /// A certificate that is valid from and until so many days from now.
    pub(crate) fn certify(&self, name: &str, key: &PublicKey, purpose: Purpose, days: (i64, i64)) -> Certificate {
        let subject = named(name);
        let draft = draft(&subject, key, purpose, self.now, days);
        draft.issue(Some(&self.root), &self.key).expect("certificate")
    }

    /// A person's P-256 certificate, and the key in PEM.
    pub(crate) fn person(&self, name: &str, purpose: Purpose, days: (i64, i64)) -> (Certificate, String) {
        let secret = P256Key::generate().expect("key");
        let key = P256Key::from_pkcs8(&secret).expect("key");
        let certificate = self.certify(name, key.public_key(), purpose, days);
        (certificate, gm::pem::write("PRIVATE KEY", &secret))
    }

    /// A TLS client's certificate, and both in PEM.
    pub(crate) fn client(&self, name: &str) -> (Certificate, String) {
        let (certificate, key) = self.person(name, Purpose::TlsClient, (-1, 365));
        let pem = gm::pem::write("CERTIFICATE", &certificate.der) + &key;
        (certificate, pem)
    }
}

fn named(name: &str) -> Identity {
    Identity {
        country: "CN".to_owned(),
        organization: HOSPITAL.to_owned(),
        common_name: name.to_owned(),
        ..Identity::default()
    }
}

fn draft<'a>(
    subject: &'a Identity,
    public_key: &'a PublicKey,
    purpose: Purpose,
    now: OffsetDateTime,
    (from, until): (i64, i64),
) -> Draft<'a> {
    let mut serial = [0; 16];
    getrandom::fill(&mut serial).expect("random");
    serial[0] = serial[0] & 0x7f | 1;
    Draft {
        serial,
        subject,
        public_key,
        purpose,
        not_before: now + time::Duration::days(from),
        not_after: now + time::Duration::days(until),
    }
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

pub(crate) fn unb64(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().expect("text")).expect("base64")
}
