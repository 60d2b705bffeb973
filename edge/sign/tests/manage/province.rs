//! A doctor whose key is at a signature server of others: the bench's, which shares no code with ours and signs by openssl.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bench_ca::{OutsideAddresses, OutsideSettings};
use gm::cms::{self, Content};
use gm::{Certificate, Trust};
use records::sign::{
    Enrol, EnrolRequest, Pin, SignDocument, SignRequest, Signature, SignerStatus, Status, StatusRequest, TrustRequest,
    TrustRoots, Verification, Verify, VerifyRequest,
};
use records::{Clock, Outcome, SystemClock, Timestamp};
use rig::probe;
use serde_json::{Value, json};
use sign::Client;
use tempfile::TempDir;
use time::OffsetDateTime;

use crate::site::{HOSPITAL, Person, Site, start};

const PIN: &str = "202611";
const WANG: &str = "sta_wang";
const SUBJECT: &str = "/C=CN/O=永州市中心医院/CN=王医生";
/// Signatures a year and signers of its contract.
const AGREED: (u64, u64) = (40, 1);
const RX: &[u8] = "处方 CF202611220001 阿莫西林胶囊 0.5 g tid".as_bytes();

/// The outside server.
struct Province {
    at: OutsideAddresses,
    folder: TempDir,
    serving: Option<tokio::runtime::Runtime>,
}

impl Province {
    fn new() -> Self {
        let folder = TempDir::new().expect("folder");
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let settings = OutsideSettings {
            folder: folder.path().join("svs"),
            serve: free,
            control: free,
        };
        let (tell, told) = mpsc::channel();
        let serving = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("runtime");
        serving.spawn(async move {
            let served = bench_ca::run_outside(settings, |at| tell.send(at).expect("told"));
            served.await.expect("served");
        });
        let at = told.recv_timeout(Duration::from_secs(120)).expect("an outside server");
        Self {
            at,
            folder,
            serving: Some(serving),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("svs").join(name)
    }

    /// Its section of the settings.
    fn settings(&self, begins: &str) -> String {
        format!(
            "[[outside]]\nname = \"province\"\nurl = \"https://{}/svs\"\nroots = {:?}\ntls_roots = {:?}\n\
             client_certificate = {:?}\nclient_key = {:?}\nanswer_ms = 6000\n[outside.contract]\nbegins = \"{begins}\"\n\
             signatures = {}\nsigners = {}\n",
            self.at.serve,
            self.file("ca.pem"),
            self.file("tls-ca.pem"),
            self.file("client.pem"),
            self.file("client.key"),
            AGREED.0,
            AGREED.1,
        )
    }

    fn control(&self, path: &str, body: Value) -> Value {
        probe::control(self.at.control, path, Some(body)).expect("commanded")
    }

    /// Certificates are issued for so many days from now on.
    fn issue_for(&self, days: u32) {
        let settings = std::fs::read_to_string(self.file("ca.cnf")).expect("settings");
        let (before, rest) = settings.split_once("default_days = ").expect("days");
        let (_, after) = rest.split_once('\n').expect("line");
        std::fs::write(self.file("ca.cnf"), format!("{before}default_days = {days}\n{after}")).expect("written");
    }

    /// The next request of this kind goes wrong.
    fn fault(&self, op: &str, kind: &str) {
        let rule = json!({"op": op, "kind": kind, "ms": 60_000, "code": 0x0400_000e_u32});
        self.control("/control/faults", rule);
    }

    /// How often the first key was asked for, and has signed.
    fn books(&self) -> (u64, u64) {
        let keys = probe::control(self.at.control, "/control/keys", None).expect("books");
        let number = |name: &str| keys[0][name].as_u64().expect("number");
        (number("asked"), number("signed"))
    }
}

impl Drop for Province {
    fn drop(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.shutdown_background();
        }
    }
}

/// The hospital: a signature server, its administrator, and the socket through which the platform asks.
struct Hospital {
    site: Site,
    admin: Person,
    client: Client,
}

impl Hospital {
    async fn new(settings: &str) -> Self {
        let site = Site::with(settings);
        let admin = site.administrator().await;
        let client = Client::new(&site.state().join("signd.sock")).patience(Duration::from_secs(120));
        Self { site, admin, client }
    }

    async fn sign(&self, key: &str, signer: &str, pin: &str) -> Outcome<Signature> {
        let asked = SignRequest {
            signer_id: signer.to_owned(),
            pin: Pin(pin.to_owned()),
            document: STANDARD.encode(RX),
        };
        self.client.call::<SignDocument>(Some(key), &asked).await
    }

    /// The refusal of a signature.
    async fn refused(&self, key: &str) -> (String, String) {
        match self.sign(key, WANG, PIN).await {
            Outcome::Refused { code, text } => (code, text),
            other => panic!("not refused: {other:?}"),
        }
    }

    async fn enrol(&self, signer: &str) -> Outcome<SignerStatus> {
        let asked = EnrolRequest {
            signer_id: signer.to_owned(),
            name: "王医生".to_owned(),
            role: "doctor".to_owned(),
            organisation: HOSPITAL.to_owned(),
            pin: Pin(PIN.to_owned()),
        };
        self.client.call::<Enrol>(Some(signer), &asked).await
    }

    async fn tries_left(&self) -> u32 {
        let asked = StatusRequest {
            signer_id: WANG.to_owned(),
        };
        let status = self.client.call::<Status>(None, &asked).await;
        status.done().expect("status").tries_left
    }

    async fn server(&self) -> Value {
        self.admin.browser.get("outside").await.done()[0].clone()
    }

    async fn signer(&self) -> Value {
        self.admin.browser.get("outside/province/signers").await.done()[0].clone()
    }

    /// How grave the overview calls this, and its words.
    async fn notice(&self, code: &str) -> Option<(String, String)> {
        let notices = self.admin.browser.get("overview").await.done()["notices"].clone();
        let found = notices
            .as_array()
            .expect("notices")
            .iter()
            .find(|one| one["code"] == code)?;
        let text = |name: &str| found[name].as_str().expect("text").to_owned();
        Some((text("severity"), text("text")))
    }

    /// Asked, made, refused, wrong, unknown.
    async fn used(&self) -> [u64; 5] {
        let used = self.server().await["use"].clone();
        ["asked", "made", "refused", "wrong", "unknown"].map(|name| used[name].as_u64().expect("number"))
    }

    async fn until(&self, what: &str, holds: impl AsyncFn(&Self) -> bool) {
        let until = Instant::now() + Duration::from_secs(180);
        while !holds(self).await {
            assert!(Instant::now() < until, "{what}: {}", self.server().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn is_ready(&self) {
        self.until("ready", async |hospital: &Self| {
            hospital.server().await["state"] == "ready"
        })
        .await;
    }

    async fn bind(&self, signer: &str, password: &str) -> Result<Value, String> {
        let name = json!({"identification": "wang"});
        let found = self
            .admin
            .browser
            .post("outside/province/certificate", name)
            .await
            .done();
        assert_eq!(found["subject"], "王医生");
        let asked = json!({"signer": signer, "identification": "wang", "key_index": 7, "password": password,
            "fingerprint": found["fingerprint"]});
        let answer = self.admin.browser.post("outside/province/signers", asked).await;
        if answer.status.is_success() {
            Ok(answer.done())
        } else {
            Err(answer.refused())
        }
    }

    async fn trust(&self) -> Trust {
        let roots = self.client.call::<TrustRoots>(None, &TrustRequest {}).await;
        let roots = roots.done().expect("roots").signers;
        Trust::new(roots.iter().map(|root| STANDARD.decode(root).expect("base64"))).expect("roots")
    }

    /// Who signed, when the signature verifies up to a root that this server names.
    async fn signed_by(&self, made: &Signature) -> Certificate {
        let message = STANDARD.decode(&made.cms).expect("base64");
        let seen = cms::verify(
            &message,
            Content::Bytes(RX),
            &self.trust().await,
            OffsetDateTime::now_utc(),
        );
        seen.expect("verifies").signer
    }
}

/// A contract that began today.
fn today() -> String {
    let today = OffsetDateTime::now_utc() + time::Duration::hours(8);
    format!("{}-{:02}-{:02}", today.year(), u8::from(today.month()), today.day())
}

/// Rows: YZ-N-051
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_doctor_signs_with_a_key_at_the_province_whatever_the_province_does() {
    let province = Province::new();
    let key = json!({"index": 7, "name": "wang", "subject": SUBJECT, "password": "right-code"});
    province.control("/control/keys", key);
    // One day for all of it, also when midnight passes.
    let begins = today();
    let mut hospital = Hospital::new(&province.settings(&begins)).await;
    hospital.is_ready().await;
    set_up(&hospital).await;
    signs(&hospital, &province).await;
    goes_wrong(&hospital, &province).await;
    goes_away(&hospital, &province).await;
    another_certificate(&hospital, &province).await;
    revoked(&hospital, &province).await;
    soon_over(&hospital, &province).await;
    another_password(&hospital, &province).await;
    used_up(&hospital, &province).await;
    more_is_paid_for(&mut hospital, &province, &begins).await;
    unbound(&hospital).await;
    is_in_the_log(&hospital).await;
}

/// The administrator binds, the doctor sets up the signature with a PIN.
async fn set_up(hospital: &Hospital) {
    let browser = &hospital.admin.browser;
    let nobody = json!({"identification": "nobody"});
    let unknown = browser.post("outside/province/certificate", nobody).await;
    assert_eq!(unknown.refused(), "outside_refused");
    let other = json!({"signer": WANG, "identification": "wang", "key_index": 7, "password": "right-code",
        "fingerprint": "00"});
    let other = browser.post("outside/province/signers", other).await;
    assert_eq!(other.refused(), "outside_other_certificate");
    let bound = hospital.bind(WANG, "right-code").await.expect("bound");
    assert_eq!(bound["state"], "waiting");
    assert_eq!(
        hospital.bind("sta_other", "right-code").await,
        Err("outside_key_used".to_owned())
    );
    let operator = hospital.site.person(&hospital.admin, "oper", "operator").await;
    assert_eq!(
        operator.browser.get("outside/province/signers").await.refused(),
        "forbidden"
    );
    assert_eq!(operator.browser.get("outside").await.done()[0]["use"]["signers"], 1);
    let status = hospital.enrol(WANG).await.done().expect("enrolled");
    assert_eq!(status.certificate_serial.as_deref(), bound["serial"].as_str());
    assert_eq!(hospital.signer().await["state"], "used");
    // Another signer would be more than was agreed, but has a key here.
    hospital.enrol("sta_li").await.done().expect("enrolled");
}

/// The signature is the province's over our attributes, verified; once for a key of the caller, and never without the PIN.
async fn signs(hospital: &Hospital, province: &Province) {
    let made = hospital.sign("rx_1", WANG, PIN).await.done().expect("signed");
    let signer = hospital.signed_by(&made).await;
    assert_eq!(
        (signer.subject.common_name.as_str(), signer.issuer.common_name.as_str()),
        ("王医生", "试验根 sm2")
    );
    let again = hospital.sign("rx_1", WANG, PIN).await.done().expect("signed");
    assert_eq!(again, made);
    assert!(
        matches!(hospital.sign("rx_2", WANG, "119119").await, Outcome::Refused { code, .. } if code == "pin_wrong")
    );
    assert_eq!((province.books(), hospital.used().await), ((1, 1), [1, 1, 0, 0, 0]));
}

async fn goes_wrong(hospital: &Hospital, province: &Province) {
    province.fault("sign", "refuse");
    let (code, text) = hospital.refused("rx_3").await;
    assert!(
        code == "outside_refused" && text.contains("0x0400000e"),
        "{code} {text}"
    );
    for lie in ["wrong_signature", "other_key"] {
        province.fault("sign", lie);
        assert_eq!(hospital.refused("rx_3").await.0, "outside_wrong_signature", "{lie}");
    }
    assert_eq!(hospital.server().await["trouble"]["code"], "outside_wrong_signature");
    province.fault("sign", "garbage");
    assert_eq!(hospital.refused("rx_3").await.0, "outside_garbage");
    province.fault("sign", "error");
    let (code, text) = hospital.refused("rx_3").await;
    assert!(code == "outside_refused" && text.contains("HTTP 500"), "{code} {text}");
    // Signed, and the answer lost: counted, unknown, asked for again without harm.
    for lost in ["half", "delay"] {
        province.fault("sign", lost);
        assert_eq!(hospital.refused("rx_3").await.0, "outside_silent", "{lost}");
        hospital.is_ready().await;
    }
    assert_eq!(hospital.tries_left().await, 5, "the PIN was right every time");
    let made = hospital.sign("rx_3", WANG, PIN).await.done().expect("signed at last");
    assert_eq!(hospital.signed_by(&made).await.subject.common_name, "王医生");
    assert_eq!(hospital.used().await, [9, 2, 2, 2, 3]);
    let notices = hospital.admin.browser.get("overview").await.done()["notices"].clone();
    let codes: Vec<_> = notices
        .as_array()
        .expect("notices")
        .iter()
        .map(|one| &one["code"])
        .collect();
    assert!(codes.contains(&&json!("outside_wrong_signature")), "{codes:?}");
}

/// While it is away nothing is sent there, others sign, and it is found when it is back.
async fn goes_away(hospital: &Hospital, province: &Province) {
    let before = hospital.used().await;
    province.control("/control/away", json!({"away": true}));
    let down = async |hospital: &Hospital| {
        hospital
            .admin
            .browser
            .post("outside/province/retry", json!({}))
            .await
            .done();
        hospital.server().await["state"] == "down"
    };
    hospital.until("down", down).await;
    for _ in 0..3 {
        assert_eq!(hospital.refused("rx_4").await.0, "outside_withheld");
    }
    hospital.sign("rx_li", "sta_li", PIN).await.done().expect("signed here");
    assert_eq!(hospital.used().await, before, "nothing was asked for");
    province.control("/control/away", json!({"away": false}));
    hospital
        .admin
        .browser
        .post("outside/province/retry", json!({}))
        .await
        .done();
    hospital.is_ready().await;
    hospital.sign("rx_4", WANG, PIN).await.done().expect("signed");
}

/// Another certificate stops the doctor until the administrator has accepted it and the PIN was typed for it.
async fn another_certificate(hospital: &Hospital, province: &Province) {
    let old = hospital.sign("rx_5", WANG, PIN).await.done().expect("signed");
    province.control("/control/renew", json!({"name": "wang", "subject": SUBJECT}));
    let browser = &hospital.admin.browser;
    browser.post("outside/province/retry", json!({})).await.done();
    let changed = async |hospital: &Hospital| hospital.signer().await["state"] == "changed";
    hospital.until("changed", changed).await;
    assert_eq!(hospital.refused("rx_6").await.0, "outside_changed");
    let seen = hospital.signer().await["seen"].clone();
    let accept = |fingerprint: &Value| {
        let asked = json!({"fingerprint": fingerprint});
        browser.post("outside/province/signers/sta_wang/accept", asked)
    };
    assert_eq!(accept(&json!("11")).await.refused(), "outside_other_certificate");
    accept(&seen["fingerprint"]).await.done();
    assert_eq!(hospital.refused("rx_6").await.0, "outside_waiting");
    let status = hospital.enrol(WANG).await.done().expect("set up again");
    assert_eq!(status.certificate_serial.as_deref(), seen["serial"].as_str());
    let made = hospital.sign("rx_6", WANG, PIN).await.done().expect("signed");
    assert_eq!(
        Some(hospital.signed_by(&made).await.serial_hex().as_str()),
        seen["serial"].as_str()
    );
    // What was signed before verifies as before.
    let asked = VerifyRequest {
        cms: old.cms,
        document: STANDARD.encode(RX),
    };
    let verified: Verification = hospital
        .client
        .call::<Verify>(None, &asked)
        .await
        .done()
        .expect("judged");
    assert!(verified.valid, "{verified:?}");
}

/// With a certificate that the province's list revokes nothing more is asked for; with the next one the doctor goes on.
async fn revoked(hospital: &Hospital, province: &Province) {
    let made = hospital.sign("rx_r", WANG, PIN).await.done().expect("signed");
    let reason = json!({"name": "wang", "reason": "cessationOfOperation"});
    let day = || SystemClock.now().local_date().to_string();
    let before = day();
    province.control("/control/revoke", reason);
    let operator = hospital.site.person(&hospital.admin, "keeper", "operator").await;
    operator.browser.post("revocation/fetch", json!({})).await.done();
    // The page says it before anybody tries to sign: whose, where, since when.
    let (severity, text) = hospital.notice("outside_revoked").await.expect("a notice");
    assert_eq!(severity, "error");
    let words = ["province", "王医生（sta_wang，密钥 7，自 ", " 起）", "已被吊销"];
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
    let (_, since) = text.split_once("自 ").expect("since when");
    let days = [before, day()];
    assert!(days.iter().any(|day| since.starts_with(day.as_str())), "{since}");
    let before = (province.books(), hospital.tries_left().await);
    let (code, text) = hospital.refused("rx_s").await;
    assert!(code == "certificate_revoked" && text.contains("吊销"), "{code} {text}");
    assert_eq!((province.books(), hospital.tries_left().await), before);
    // What was signed before is given again.
    assert_eq!(hospital.sign("rx_r", WANG, PIN).await.done(), Some(made));
    province.control("/control/renew", json!({"name": "wang", "subject": SUBJECT}));
    hospital.bind(WANG, "right-code").await.expect("bound anew");
    hospital.enrol(WANG).await.done().expect("set up again");
    assert_eq!(hospital.notice("outside_revoked").await, None);
    hospital.sign("rx_s", WANG, PIN).await.done().expect("signed");
}

/// A certificate that ends within the month is said on the page, until there is another.
async fn soon_over(hospital: &Hospital, province: &Province) {
    assert_eq!(hospital.notice("outside_expires").await, None);
    for (days, said) in [(31, false), (10, true), (365, false)] {
        province.issue_for(days);
        province.control("/control/renew", json!({"name": "wang", "subject": SUBJECT}));
        hospital.bind(WANG, "right-code").await.expect("bound anew");
        hospital.enrol(WANG).await.done().expect("set up again");
        let Some((severity, text)) = hospital.notice("outside_expires").await else {
            assert!(!said, "{days} days");
            continue;
        };
        let end = hospital.signer().await["not_after"].as_str().expect("end").to_owned();
        let end = Timestamp::parse(&end).expect("time").local_text();
        assert!(said && severity == "warning", "{days} days: {text}");
        assert!(
            text.contains(&format!("王医生（sta_wang，密钥 7，到 {end} 止）")),
            "{text}"
        );
    }
}

/// A refused access password is shown to the province once, not until it locks the key.
async fn another_password(hospital: &Hospital, province: &Province) {
    hospital.bind(WANG, "wrong-code").await.expect("bound anew");
    hospital.enrol(WANG).await.done().expect("set up again");
    let before = province.books();
    let (code, text) = hospital.refused("rx_7").await;
    assert!(
        code == "outside_refused" && text.contains("0x04000006"),
        "{code} {text}"
    );
    for _ in 0..3 {
        assert_eq!(hospital.refused("rx_7").await.0, "outside_locked");
    }
    assert_eq!(province.books(), (before.0 + 1, before.1));
    hospital.bind(WANG, "right-code").await.expect("bound anew");
    hospital.enrol(WANG).await.done().expect("set up again");
    hospital.sign("rx_7", WANG, PIN).await.done().expect("signed");
}

/// What was agreed is counted, warned of at 80 and 95 %, and not exceeded.
async fn used_up(hospital: &Hospital, province: &Province) {
    let mut levels = Vec::new();
    for turn in 0.. {
        let server = hospital.server().await;
        let level = (
            server["use"]["signatures_level"].clone(),
            server["use"]["asked"].as_u64().expect("asked"),
        );
        if levels.last().is_none_or(|(last, _)| *last != level.0) {
            levels.push(level);
        }
        match hospital.sign(&format!("rx_more_{turn}"), WANG, PIN).await {
            Outcome::Done(_) => {}
            Outcome::Refused { code, .. } => {
                assert_eq!(code, "outside_used_up");
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    let calm = levels.first().expect("level").1;
    let steps = [("calm", calm), ("near", 32), ("close", 38), ("full", 40)];
    assert_eq!(levels, steps.map(|(level, at)| (json!(level), at)));
    let used = hospital.used().await;
    assert_eq!(used[0], AGREED.0);
    assert_eq!(used[1..].iter().sum::<u64>(), AGREED.0);
    // Every request that reached the province's key was counted here; one more was refused there before a key was looked at.
    assert_eq!(province.books().0 + 1, AGREED.0, "{used:?}");
}

/// Where the contract says so more is signed and counted; a killed server has forgotten nothing.
async fn more_is_paid_for(hospital: &mut Hospital, province: &Province, begins: &str) {
    let settings = format!("{}beyond = \"allow\"\n", province.settings(begins));
    let site = &mut hospital.site;
    site.signd.kill();
    site.signd = start(&site.state(), &site.tpm.tcti(), site.port, &settings);
    let browser = site.browser();
    hospital.admin.sign_in(&browser).await.done();
    hospital.admin.browser = browser;
    hospital.is_ready().await;
    hospital.sign("rx_beyond", WANG, PIN).await.done().expect("signed");
    let used = hospital.server().await["use"].clone();
    assert_eq!(
        (&used["asked"], &used["signatures_level"]),
        (&json!(AGREED.0 + 1), &json!("full"))
    );
}

/// Who is unbound sets up a signature again, and has a key here.
async fn unbound(hospital: &Hospital) {
    let path = "outside/province/signers/sta_wang";
    hospital.admin.browser.delete(path).await.done();
    assert_eq!(hospital.refused("rx_8").await.0, "outside_ended");
    hospital.enrol(WANG).await.done().expect("set up again");
    let made = hospital.sign("rx_8", WANG, PIN).await.done().expect("signed here");
    assert_eq!(hospital.signed_by(&made).await.issuer.common_name, "电子签名签发证书");
    assert_eq!(hospital.server().await["use"]["signers"], 0);
}

async fn is_in_the_log(hospital: &Hospital) {
    let auditor = hospital.site.person(&hospital.admin, "audit", "auditor").await;
    let found = auditor.browser.get("log?act=outside.&most=500").await.done();
    let entries = found["entries"].as_array().expect("entries");
    let count = |act: &str| entries.iter().filter(|entry| entry["act"] == act).count() as u64;
    assert_eq!(count("outside.asked"), AGREED.0 + 1);
    assert_eq!((count("outside.wrong_signature"), count("outside.unknown")), (2, 3));
    assert_eq!(
        (
            count("outside.refused"),
            count("outside.used_up"),
            count("outside.changed")
        ),
        (3, 1, 1)
    );
    // 80 %, 95 %, all.
    assert_eq!(
        (
            count("outside.quota"),
            count("outside.accepted"),
            count("outside.unbound")
        ),
        (3, 1, 1)
    );
    let text = found.to_string();
    assert!(
        !text.contains("right-code") && !text.contains("wrong-code"),
        "an access password is in the log"
    );
    assert_eq!(auditor.browser.get("overview").await.done()["log"]["intact"], true);
}
