//! A signature server with its management interface, and people who use it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gm::certificate::{Draft, Purpose};
use gm::key::{P256Key, Signer};
use gm::{Certificate, Identity};
use hmac::{Hmac, KeyInit, Mac};
use kit::ports::free_ports;
use kit::process::Process;
use kit::swtpm::SoftTpm;
use records::{Clock, SystemClock};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use sha1::Sha1;
use tempfile::TempDir;
use time::OffsetDateTime;

pub(crate) const HOSPITAL: &str = "永州市中心医院";
pub(crate) const PASSWORD: &str = "Correct-horse-7";
/// A connection that was idle for so long is not used again: the server closes it after a minute, perhaps at that moment.
pub(crate) const IDLE: Duration = Duration::from_secs(20);

/// One device.
pub(crate) struct Site {
    pub(crate) dir: TempDir,
    pub(crate) tpm: SoftTpm,
    pub(crate) signd: Process,
    pub(crate) port: u16,
    more: String,
}

/// Starts `signd` on a state directory.
pub(crate) fn start(state: &Path, tcti: &str, port: u16, more: &str) -> Process {
    std::fs::create_dir_all(state).expect("directory");
    let (socket, config) = (state.join("signd.sock"), state.join("signd.toml"));
    let text = format!(
        "state_dir = {state:?}\nsocket = {socket:?}\ntpm = {tcti:?}\n[manage]\nlisten = \"127.0.0.1:{port}\"\n{more}"
    );
    std::fs::write(&config, text).expect("settings");
    let config = config.to_string_lossy().into_owned();
    Process::start(env!("CARGO_BIN_EXE_signd"), &["--config", &config]).ready(Duration::from_secs(120))
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::with("")
    }

    /// With more settings of the section `[manage]`, or sections after it.
    pub(crate) fn with(more: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().expect("dir");
        let tpm = SoftTpm::start(&dir.path().join("tpm"));
        let [port] = free_ports::<1>();
        let signd = start(&dir.path().join("state"), &tpm.tcti(), port, more);
        Self {
            dir,
            tpm,
            signd,
            port,
            more: more.to_owned(),
        }
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// The power goes, and comes back.
    pub(crate) fn power_cut(&mut self) {
        self.signd.kill();
        self.signd = start(&self.state(), &self.tpm.tcti(), self.port, &self.more);
    }

    /// Somebody with a browser.
    pub(crate) fn browser(&self) -> Browser {
        Browser::new(self.port, None)
    }

    /// Somebody with a browser and a certificate.
    pub(crate) fn browser_with(&self, identity: reqwest::Identity) -> Browser {
        Browser::new(self.port, Some(identity))
    }

    pub(crate) fn setup_code(&self) -> String {
        std::fs::read_to_string(self.state().join("setup-code")).expect("set-up code")
    }

    /// The first administrator, signed in.
    pub(crate) async fn administrator(&self) -> Person {
        let asked = json!({"code": self.setup_code(), "name": "admin", "person": "张管理", "password": PASSWORD});
        self.browser().post("setup", asked).await.done();
        Person::first(self.browser(), "admin", PASSWORD).await
    }

    /// Somebody else, made by an administrator and signed in.
    pub(crate) async fn person(&self, by: &Person, name: &str, role: &str) -> Person {
        let asked = json!({"name": name, "person": "李同事", "role": role});
        let handed = by.browser.post("accounts", asked).await.done();
        Person::first(self.browser(), name, handed["password"].as_str().expect("password")).await
    }
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

    /// The answer of what was done.
    pub(crate) fn done(self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", String::from_utf8_lossy(&self.bytes));
        self.json()
    }

    /// The code of what was refused.
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
        json["code"].as_str().expect("code").to_owned()
    }
}

/// A browser with its cookies.
#[derive(Clone)]
pub(crate) struct Browser {
    pub(crate) client: Client,
    pub(crate) port: u16,
}

impl Browser {
    pub(crate) fn new(port: u16, identity: Option<reqwest::Identity>) -> Self {
        let mut builder = Client::builder()
            .cookie_store(true)
            .pool_idle_timeout(IDLE)
            .tls_danger_accept_invalid_certs(true);
        if let Some(identity) = identity {
            builder = builder.identity(identity);
        }
        Self {
            client: builder.build().expect("client"),
            port,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}/manage/v1/{path}", self.port)
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let mut request = self.client.request(method, self.url(path)).header("x-signd", "1");
        if let Some(body) = body {
            request = request.json(&body);
        }
        take(request.send().await.expect("answered")).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::PUT, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.ask(Method::DELETE, path, None).await
    }
}

pub(crate) async fn take(response: reqwest::Response) -> Answer {
    Answer {
        status: response.status(),
        headers: response.headers().clone(),
        bytes: response.bytes().await.expect("body").to_vec(),
    }
}

/// Somebody with an account, their phone, and a browser where they are signed in.
pub(crate) struct Person {
    pub(crate) browser: Browser,
    pub(crate) name: String,
    pub(crate) password: String,
    pub(crate) phone: Phone,
}

impl Person {
    /// Signs in for the first time.
    pub(crate) async fn first(browser: Browser, name: &str, handed: &str) -> Self {
        let asked = json!({"name": name, "password": handed});
        let step = browser.post("session", asked).await.done();
        assert_eq!(step["step"], "first");
        let mut phone = Phone::new(step["secret"].as_str().expect("secret"));
        let mut asked = json!({"token": step["token"], "code": phone.code().await});
        if step["change_password"] == true {
            asked["new_password"] = json!(PASSWORD);
        }
        let step = browser.post("session/first", asked).await.done();
        assert_eq!(
            (&step["step"], &step["who"]["name"]),
            (&json!("signed-in"), &json!(name))
        );
        Self {
            browser,
            name: name.to_owned(),
            password: PASSWORD.to_owned(),
            phone,
        }
    }

    /// Signs in again elsewhere.
    pub(crate) async fn sign_in(&mut self, browser: &Browser) -> Answer {
        let asked = json!({"name": self.name, "password": self.password, "code": self.phone.code().await});
        browser.post("session", asked).await
    }
}

/// An authenticator app that shows each code once.
pub(crate) struct Phone {
    secret: Vec<u8>,
    next: u64,
}

impl Phone {
    pub(crate) fn new(base32: &str) -> Self {
        let secret = unbase32(base32);
        Self { secret, next: 0 }
    }

    /// The next code that is accepted for a quarter of a minute at least; it is waited for where those of the present are
    /// used up.
    pub(crate) async fn code(&mut self) -> String {
        let step = loop {
            let seconds = u64::try_from(SystemClock.now().as_seconds()).expect("after 1970");
            let now = seconds / 30;
            // The code before is good for the rest of this half minute.
            let oldest = if seconds % 30 <= 15 { now - 1 } else { now };
            let step = self.next.max(oldest);
            if step <= now + 1 {
                break step;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        };
        self.next = step + 1;
        let mut mac = <Hmac<Sha1> as KeyInit>::new_from_slice(&self.secret).expect("key");
        mac.update(&step.to_be_bytes());
        let digest = mac.finalize().into_bytes();
        let at = usize::from(digest[19] & 15);
        let number = u32::from_be_bytes(digest[at..at + 4].try_into().expect("four")) & 0x7fff_ffff;
        format!("{:06}", number % 1_000_000)
    }
}

fn unbase32(text: &str) -> Vec<u8> {
    let (mut held, mut bits, mut out) = (0u32, 0, Vec::new());
    for letter in text.bytes() {
        let digit = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
            .iter()
            .position(|l| *l == letter)
            .expect("base 32");
        held = (held << 5) | u32::try_from(digit).expect("small");
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from((held >> bits) & 0xff).expect("byte"));
        }
    }
    out
}

/// An authority of somebody else.
pub(crate) struct Authority {
    pub(crate) root: Certificate,
    key: P256Key,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = P256Key::from_pkcs8(&P256Key::generate().expect("key")).expect("key");
        let purpose = Purpose::Authority { path_length: 0 };
        let root = draft(&named(name), key.public_key(), purpose)
            .issue(None, &key)
            .expect("root");
        Self { root, key }
    }

    pub(crate) fn certify(&self, name: &str, public_key: &gm::PublicKey, purpose: Purpose) -> Certificate {
        draft(&named(name), public_key, purpose)
            .issue(Some(&self.root), &self.key)
            .expect("certificate")
    }

    /// A certificate with its key, for a browser.
    pub(crate) fn token(&self, name: &str) -> (Certificate, reqwest::Identity) {
        let secret = P256Key::generate().expect("key");
        let key = P256Key::from_pkcs8(&secret).expect("key");
        let certificate = self.certify(name, key.public_key(), Purpose::TlsClient);
        let pem = gm::pem::write("CERTIFICATE", &certificate.der) + &gm::pem::write("PRIVATE KEY", &secret);
        (
            certificate,
            reqwest::Identity::from_pem(pem.as_bytes()).expect("identity"),
        )
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

fn draft<'a>(subject: &'a Identity, public_key: &'a gm::PublicKey, purpose: Purpose) -> Draft<'a> {
    let mut serial = [0; 16];
    getrandom::fill(&mut serial).expect("random");
    Draft {
        serial,
        subject,
        public_key,
        purpose,
        not_before: OffsetDateTime::now_utc() - time::Duration::hours(1),
        not_after: OffsetDateTime::now_utc() + time::Duration::days(365),
    }
}

/// A file as the page sends it.
pub(crate) fn file(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}
