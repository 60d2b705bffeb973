//! A hospital's signature server with key devices, its administrator, and an application.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use kit::ports::free_ports;
use kit::process::Process;
use kit::swtpm::SoftTpm;
use records::{Clock, SystemClock};
use serde_json::{Value, json};
use sm3::Sm3;
use tempfile::TempDir;

use crate::people::{Answer, Browser, HOSPITAL, IDLE, PASSWORD, Person, take};

/// Password of the bench's device.
pub(crate) const SDF_PASSWORD: &str = "bench1234";
const PIN: &str = "4321";
/// A device that does not answer within this is silent. Shorter than a call waits for its turn at a device.
pub(crate) const ANSWER: Duration = Duration::from_secs(6);

/// One appliance.
pub(crate) struct Site {
    dir: TempDir,
    _tpm: SoftTpm,
    _signd: Process,
    service: u16,
    pub(crate) admin: Person,
    pub(crate) operator: Person,
}

impl Site {
    /// With the bench's device as `sdf1` (which answers within [`ANSWER`], or is silent), told this before it is opened, and
    /// with a SoftHSM2 token as `hsm1`.
    pub(crate) async fn new(control: &str, password: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().expect("dir");
        std::fs::create_dir(dir.path().join("sdf")).expect("directory");
        std::fs::copy(kit::process::library("bench_sdf"), dir.path().join("sdf/libsdf.so")).expect("library");
        std::fs::write(dir.path().join("sdf/control"), control).expect("control");
        secret(&dir.path().join("sdf.password"), password);
        secret(&dir.path().join("hsm.pin"), PIN);
        token(dir.path());
        let tpm = SoftTpm::start(&dir.path().join("tpm"));
        let [manage, service] = free_ports::<2>();
        let signd = start(dir.path(), &tpm.tcti(), manage, service);
        let code = std::fs::read_to_string(dir.path().join("state/setup-code")).expect("set-up code");
        let asked = json!({"code": code, "name": "admin", "person": "张管理", "password": PASSWORD});
        Browser::new(manage, None).post("setup", asked).await.done();
        let admin = Person::first(Browser::new(manage, None), "admin", PASSWORD).await;
        let asked = json!({"name": "li.op", "person": "李操作", "role": "operator"});
        let handed = admin.browser.post("accounts", asked).await.done();
        let handed = handed["password"].as_str().expect("password").to_owned();
        let operator = Person::first(Browser::new(manage, None), "li.op", &handed).await;
        let site = Self {
            dir,
            _tpm: tpm,
            _signd: signd,
            service,
            admin,
            operator,
        };
        for device in ["sdf1", "hsm1"] {
            site.opened(device).await;
        }
        site
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Tells the bench's device what to do from now on.
    pub(crate) fn control(&self, text: &str) {
        // In one step, so that the device never reads half of it.
        std::fs::write(self.path("sdf/control.new"), text).expect("control");
        std::fs::rename(self.path("sdf/control.new"), self.path("sdf/control")).expect("control");
    }

    /// Wrong passwords that the bench's device was shown.
    pub(crate) fn wrong_passwords(&self) -> usize {
        let shown = std::fs::read_to_string(self.path("sdf/attempts")).unwrap_or_default();
        shown.lines().filter(|line| *line == "wrong").count()
    }

    /// Makes or takes a key and puts it to use.
    pub(crate) async fn key(&self, how: &str, asked: Value) -> Value {
        let admin = &self.admin.browser;
        let index = admin.post(how, asked).await.done()["index"].clone();
        self.activate(&index).await;
        index
    }

    /// Certifies a key and puts it to use.
    pub(crate) async fn activate(&self, index: &Value) {
        let admin = &self.admin.browser;
        let asked = json!({"organization": HOSPITAL, "name": "签名服务器"});
        admin.post(&format!("keys/{index}/certify"), asked).await.done();
        admin.post(&format!("keys/{index}/activate"), json!({})).await.done();
    }

    /// An application that may use these keys.
    pub(crate) async fn application(&self, keys: &[&Value]) -> App {
        let operator = &self.operator.browser;
        let own = operator
            .post("chains/own", json!({"organization": HOSPITAL}))
            .await
            .done();
        let policy = json!({"keys": keys, "chains": [own["id"]], "revocation": "none", "revocation_must_be_known": false,
            "formats": ["pkcs1", "pkcs7-detached", "cipher"], "rate_per_second": 1000});
        let asked = json!({"id": "app_his", "name": "HIS", "policy": policy});
        operator.post("applications", asked).await.done();
        let secret = operator.post("applications/app_his/secret", json!({})).await.done();
        App {
            client: reqwest::Client::builder()
                .pool_idle_timeout(IDLE)
                .tls_danger_accept_invalid_certs(true)
                .build()
                .expect("client"),
            port: self.service,
            secret: unb64(&secret["secret"]),
            nonce: AtomicU32::new(10_000_000),
        }
    }

    /// The device as the management page sees it.
    pub(crate) async fn device(&self, name: &str) -> Value {
        let all = self.admin.browser.get("devices").await.done();
        let mut all = all.as_array().expect("devices").iter();
        all.find(|device| device["name"] == name).expect("device").clone()
    }

    /// Waits until the first opening of a device has come to its end.
    async fn opened(&self, name: &str) {
        let until = Instant::now() + Duration::from_secs(180);
        while self.device(name).await["state"] == "opening" {
            assert!(Instant::now() < until, "{name} is still being opened");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a device is in this state.
    pub(crate) async fn until(&self, name: &str, state: &str) -> Value {
        let until = Instant::now() + Duration::from_secs(180);
        loop {
            let device = self.device(name).await;
            if device["state"] == state {
                return device;
            }
            assert!(Instant::now() < until, "not {state}: {device}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// What openssl says of a signature over data under the certificate's key.
    pub(crate) fn judged(&self, signed: &Value, data: &[u8], how: &[&str]) -> String {
        std::fs::write(self.path("cert.der"), unb64(&signed["certificate"])).expect("written");
        std::fs::write(self.path("sig"), unb64(&signed["signature"])).expect("written");
        std::fs::write(self.path("data"), data).expect("written");
        let read = [
            "x509", "-inform", "DER", "-in", "cert.der", "-pubkey", "-noout", "-out", "pub.pem",
        ];
        self.openssl(&read);
        let verify = [&["dgst"], how, &["-verify", "pub.pem", "-signature", "sig", "data"]].concat();
        self.openssl(&verify)
    }

    /// Runs openssl in the site's folder; what it said.
    pub(crate) fn openssl(&self, arguments: &[&str]) -> String {
        let out = Command::new("openssl")
            .args(arguments)
            .current_dir(self.dir.path())
            .output()
            .expect("openssl");
        String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned()
    }
}

fn secret(path: &Path, text: &str) {
    std::fs::write(path, format!("{text}\n")).expect("written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("mode");
}

/// A fresh SoftHSM2 token.
fn token(dir: &Path) {
    std::fs::create_dir(dir.join("tokens")).expect("directory");
    let conf = format!(
        "directories.tokendir = {}\nlog.level = ERROR\n",
        dir.join("tokens").display()
    );
    std::fs::write(dir.join("softhsm2.conf"), conf).expect("written");
    let made = Command::new("softhsm2-util")
        .args([
            "--init-token",
            "--free",
            "--label",
            "yiqiao",
            "--so-pin",
            "87654321",
            "--pin",
            PIN,
        ])
        .env("SOFTHSM2_CONF", dir.join("softhsm2.conf"))
        .output()
        .expect("softhsm2-util");
    assert!(made.status.success(), "{made:?}");
}

fn module() -> &'static str {
    let places = [
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    ];
    let mut places = places.into_iter();
    places
        .find(|path| Path::new(path).is_file())
        .expect("softhsm2 is installed")
}

fn start(dir: &Path, tcti: &str, manage: u16, service: u16) -> Process {
    let (state, library) = (dir.join("state"), dir.join("sdf/libsdf.so"));
    std::fs::create_dir_all(&state).expect("directory");
    let (socket, password, pin) = (state.join("signd.sock"), dir.join("sdf.password"), dir.join("hsm.pin"));
    let mut text = format!("state_dir = {state:?}\nsocket = {socket:?}\ntpm = {tcti:?}\n");
    let _ = write!(
        text,
        "[manage]\nlisten = \"127.0.0.1:{manage}\"\n[service]\nlisten = \"127.0.0.1:{service}\"\n\
         [[device]]\nname = \"sdf1\"\nkind = \"sdf\"\nlibrary = {library:?}\npassword_file = {password:?}\n\
         answer_ms = {}\nsessions = 4\nindexes = 4\n\
         [[device]]\nname = \"hsm1\"\nkind = \"pkcs11\"\nmodule = {:?}\ntoken = \"yiqiao\"\npin_file = {pin:?}\n",
        ANSWER.as_millis(),
        module()
    );
    std::fs::write(state.join("signd.toml"), text).expect("settings");
    let mut command = Command::new(env!("CARGO_BIN_EXE_signd"));
    command
        .arg("--config")
        .arg(state.join("signd.toml"))
        .env("SOFTHSM2_CONF", dir.join("softhsm2.conf"));
    Process::spawn(command).ready(Duration::from_secs(120))
}

/// An application that signs its requests.
pub(crate) struct App {
    client: reqwest::Client,
    port: u16,
    secret: Vec<u8>,
    nonce: AtomicU32,
}

impl App {
    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        let body = body.to_string();
        let ready = self.client.get(format!("https://127.0.0.1:{}/ready", self.port));
        let ready = ready.send().await.expect("answered");
        let server = ready.headers()["server-name"].to_str().expect("name").to_owned();
        let nonce = self.nonce.fetch_add(1, Ordering::Relaxed);
        let at = SystemClock.now();
        let digest = hex::encode(gm::sm3(body.as_bytes()));
        let mut mac = <Hmac<Sm3> as KeyInit>::new_from_slice(&self.secret).expect("key");
        mac.update(format!("POST\n{path}\n{server}\n{at}\n{nonce}\n{digest}").as_bytes());
        let mac = hex::encode(mac.finalize().into_bytes());
        let request = self
            .client
            .post(format!("https://127.0.0.1:{}{path}", self.port))
            .header("content-type", "application/json")
            .header(
                "authorization",
                format!("YQ-HMAC-SM3 app=app_his,server={server},time={at},nonce={nonce},mac={mac}"),
            );
        take(request.body(body).send().await.expect("answered")).await
    }

    /// Signs with a key.
    pub(crate) async fn sign(&self, key: &Value, data: &[u8]) -> Answer {
        self.post("/v1/data/sign", json!({"key": key, "data": b64(data)})).await
    }
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

pub(crate) fn unb64(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().expect("text")).expect("base64")
}
