//! A doctor whose key is kept by the province's signature server (省平台电子签名): records and prescriptions are signed there,
//! with no other change to anybody's day; and what the public is told once the province revokes the doctor's certificate.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use records::{Clock, SystemClock};
use reqwest::{Client, Method};
use scenarios::client::Person;
use scenarios::journey::{self, Step, Strike};
use serde_json::{Value, json};
use sha1::Sha1;
use site::ports::Service;
use site::{Addresses, Options, Site};

const PASSWORD: &str = "Sheng-Ping-2026";
/// Access code of the keys at the province.
const CODE: &str = "sheng-ping";

/// Somebody at the page of the signature server.
struct Keeper {
    client: Client,
    address: String,
}

impl Keeper {
    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let request = self
            .client
            .request(method, format!("{}/manage/v1/{path}", self.address));
        let request = request.header("x-signd", "1").json(&body.unwrap_or(json!({})));
        let answer = request.send().await.unwrap();
        let (status, body) = (answer.status(), answer.json::<Value>().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {body}");
        body
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.ask(Method::POST, path, Some(body)).await
    }

    fn at_the_door(addresses: &Addresses) -> Self {
        let client = Client::builder()
            .cookie_store(true)
            .tls_danger_accept_invalid_certs(true);
        Self {
            client: client.build().unwrap(),
            address: addresses.signd.clone(),
        }
    }

    /// The first administrator, signed in with a phone.
    async fn arrive(addresses: &Addresses) -> Self {
        let keeper = Self::at_the_door(addresses);
        let code = std::fs::read_to_string(addresses.data.join("signd/setup-code")).unwrap();
        let asked = json!({"code": code.trim(), "name": "zhang.guan", "person": "张管理", "password": PASSWORD});
        keeper.post("setup", asked).await;
        keeper.signs_in("zhang.guan", PASSWORD).await;
        keeper
    }

    /// An operator whom this administrator lets in.
    async fn operator(&self, addresses: &Addresses) -> Self {
        let asked = json!({"name": "li.op", "person": "李同事", "role": "operator"});
        let handed = self.post("accounts", asked).await;
        let keeper = Self::at_the_door(addresses);
        keeper.signs_in("li.op", handed["password"].as_str().unwrap()).await;
        keeper
    }

    /// For the first time, with a phone; whoever was given a password changes it.
    async fn signs_in(&self, name: &str, password: &str) {
        let asked = json!({"name": name, "password": password});
        let step = self.post("session", asked).await;
        let mut asked = json!({"token": step["token"], "code": one_time_code(step["secret"].as_str().unwrap())});
        if step["change_password"] == true {
            asked["new_password"] = json!(PASSWORD);
        }
        self.post("session/first", asked).await;
    }

    /// Binds a doctor's key, having looked at its certificate.
    async fn bind(&self, signer: &str, name: &str, index: u32, password: &str) {
        let found = self
            .post("outside/province/certificate", json!({"identification": name}))
            .await;
        let asked = json!({"signer": signer, "identification": name, "key_index": index, "password": password,
            "fingerprint": found["fingerprint"]});
        self.post("outside/province/signers", asked).await;
    }

    async fn province(&self) -> Value {
        self.ask(Method::GET, "outside", None).await[0].clone()
    }
}

/// The province revokes the doctor's certificate when the prescription is signed and nobody has looked at it yet; the
/// signature server's operator fetches its list, and the doctor goes on with the next certificate.
struct Revoking<'k> {
    keeper: &'k Keeper,
    operator: &'k Keeper,
    doctor: &'k Person,
    control: String,
}

impl Revoking<'_> {
    async fn province(&self, path: &str, asked: Value) -> Result<()> {
        let asked = Client::new()
            .post(format!("{}/control/{path}", self.control))
            .json(&asked);
        asked.send().await?.error_for_status()?;
        Ok(())
    }
}

impl Strike for Revoking<'_> {
    async fn before(&mut self, step: Step) -> Result<()> {
        if step != Step::Document {
            return Ok(());
        }
        // A stamp is exact to a second and lists tell whole seconds: what was revoked nearer to it counts as revoked before.
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
        let reason = json!({ "name": "doctor", "reason": "cessationOfOperation" });
        self.province("revoke", reason).await?;
        // The signature server knows the address from the certificate, and fetches daily; now at once.
        let fetched = self.operator.post("revocation/fetch", json!({})).await;
        let address = format!("{}/full.crl", self.control);
        let theirs = fetched
            .as_array()
            .into_iter()
            .flatten()
            .find(|one| one["address"] == address);
        ensure!(theirs.is_some_and(|one| one["trouble"].is_null()), "{fetched}");
        let next = json!({ "name": "doctor", "subject": subject(3) });
        self.province("renew", next).await?;
        self.keeper.bind(&told(self.doctor).await, "doctor", 3, CODE).await;
        set_up(self.doctor).await;
        Ok(())
    }
}

/// Whom the province's certificate of a key names.
fn subject(index: u32) -> String {
    format!("/C=CN/O=省平台/CN=省平台登记医生{index}")
}

/// The doctor sets up the signature, as ever.
async fn set_up(person: &Person) {
    let asked = json!({ "image": journey::signature_image(), "pin": journey::PIN });
    person.post("doctor/signature", asked).await.unwrap();
}

/// The code that an authenticator app shows now (RFC 6238).
fn one_time_code(base32: &str) -> String {
    let (mut secret, mut bits, mut buffer) = (Vec::new(), 0, 0u32);
    for letter in base32.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            _ => letter - b'2' + 26,
        };
        buffer = buffer << 5 | u32::from(value);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            secret.push((buffer >> bits) as u8);
            buffer &= (1 << bits) - 1;
        }
    }
    let step = SystemClock.now().as_seconds().unsigned_abs() / 30;
    let mut mac = <Hmac<Sha1> as KeyInit>::new_from_slice(&secret).unwrap();
    mac.update(&step.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let at = usize::from(digest[19] & 15);
    let number = u32::from_be_bytes(digest[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

/// What openssl says, in a folder.
fn openssl(folder: &Path, words: &str) -> String {
    let out = Command::new("openssl")
        .args(words.split(' '))
        .current_dir(folder)
        .output()
        .unwrap();
    String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned()
}

/// The hospital's administrator trusts the province's root beside the hospital's own, which is known already.
async fn trusted(admin: &Person, root: &Path) {
    let mut signing = admin.get("admin/settings").await.unwrap()["treatment.signing"].clone();
    let root = STANDARD.encode(std::fs::read(root).unwrap());
    let roots = signing["roots"].as_array_mut().unwrap();
    if !roots.is_empty() && !roots.contains(&json!(root)) {
        roots.push(json!(root));
        let body = json!({ "treatment.signing": signing });
        let changed = admin.once(Method::PUT, "admin/settings", Some(&body)).await.unwrap();
        assert!(changed.status.is_success(), "{}", changed.body);
    }
}

/// A serial number as everybody writes it.
fn bare(serial: &str) -> String {
    serial.trim_start_matches('0').to_lowercase()
}

async fn told(person: &Person) -> String {
    person.get("auth/me").await.unwrap()["staff"]["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// The doctor's record and prescription carry the province's signature, an expert's opinion in a consilium likewise, and the
/// pharmacist's one of the hospital; the visit is the same as ever, and the province was asked for exactly what was signed.
///
/// Rows: HZ-299, HZ-300, HZ-301, HZ-302, YZ-L-002
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prescription_its_record_and_an_experts_opinion_are_signed_by_the_provinces_server() {
    site::prepare();
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        outside: true,
        ..Options::free_ports().unwrap()
    };
    let control = format!("http://{}", options.ports.address(Service::OutsideControl));
    let mut site = Site::start(folder.path(), options).await.unwrap();
    let addresses = site.addresses().clone();
    let bench = Client::new();

    let cast = journey::gather(&addresses).await.unwrap();
    let expert = journey::sign_in_staff(&addresses, "doctor2").await.unwrap();
    let keeper = Keeper::arrive(&addresses).await;
    for (person, index, name) in [(&cast.doctor, 3, "doctor"), (&expert, 4, "expert")] {
        let key = json!({"index": index, "name": name, "subject": subject(index), "password": CODE});
        let keys = bench.post(format!("{control}/control/keys"));
        let made = keys.json(&key).send().await.unwrap();
        assert!(made.status().is_success(), "{made:?}");
        keeper.bind(&told(person).await, name, index, CODE).await;
    }
    trusted(&cast.admin, &addresses.data.join("bench/outside/ca.cer")).await;
    // The doctors set up the signature anew, as ever; from then on it is the province's.
    for person in [&cast.doctor, &expert] {
        set_up(person).await;
    }
    let serial = |name: &str| {
        let words = format!("x509 -in {name}.pem -noout -serial");
        let own = openssl(&addresses.data.join("bench/outside"), &words);
        bare(own.trim().trim_start_matches("serial="))
    };
    let first = serial("doctor");

    let operator = keeper.operator(&addresses).await;
    let mut revoking = Revoking {
        keeper: &keeper,
        operator: &operator,
        doctor: &cast.doctor,
        control: control.clone(),
    };
    let made = journey::follow_up_visit(&addresses, &cast, "province-0", &mut revoking)
        .await
        .unwrap();
    let prescription = cast
        .patient
        .get(&format!("prescriptions/{}", made.prescription))
        .await
        .unwrap();
    let code = prescription["verify_code"].as_str().unwrap();
    let verified = cast.patient.get(&format!("verify/{code}")).await.unwrap();
    let by_doctor = |one: &&Value| one["role"] == "doctor" && one["valid"] == true;
    let doctors = verified["signatures"]
        .as_array()
        .unwrap()
        .iter()
        .find(by_doctor)
        .unwrap();
    assert_eq!(
        bare(doctors["certificate_serial"].as_str().unwrap()),
        first,
        "{verified}"
    );

    // The public is told that it was revoked after the prescription was signed, as the time stamp proves, by the province's
    // own list; the record was signed with the next certificate.
    assert_eq!(verified["valid"], true, "{verified}");
    let revoked = &doctors["revocation"];
    assert_eq!(revoked["state"], "good", "{verified}");
    let words = revoked["text"].as_str().unwrap();
    assert!(words.contains("后来于") && words.contains("时间戳证明"), "{words}");
    assert!(doctors["stamped_at"].is_string(), "{verified}");
    for one in verified["signatures"].as_array().unwrap() {
        assert_eq!(one["revocation"]["state"], "good", "{verified}");
    }
    let own = |visit: &Value| visit["record"]["verify_code"].is_string();
    let visit = format!("visits/{}", made.visit);
    let visit = cast.patient.wait(&visit, "the sealed record", own).await.unwrap();
    let code = visit["record"]["verify_code"].as_str().unwrap();
    let record = cast.patient.get(&format!("verify/{code}")).await.unwrap();
    assert_eq!(record["valid"], true, "{record}");
    let signature = &record["signatures"][0];
    assert_eq!(signature["revocation"]["state"], "good", "{record}");
    let next = bare(signature["certificate_serial"].as_str().unwrap());
    assert_eq!(next, serial("doctor"), "{record}");
    assert_ne!(next, first);

    // An expert is asked for an opinion and signs it, there as well.
    let wish = json!({ "key": "ask-1", "expert_id": told(&expert).await, "question": "是否调整方案？", "summary": "高血压3年" });
    let consilia = format!("doctor/visits/{}/consilia", made.visit);
    let asked = cast.doctor.post(&consilia, wish).await.unwrap();
    let path = format!("doctor/consilia/{}", asked["id"].as_str().unwrap());
    expert.post(&format!("{path}/accept"), json!({})).await.unwrap();
    let opinion = json!({ "opinion": "维持现方案。", "pin": journey::PIN });
    expert.post(&format!("{path}/opinion"), opinion).await.unwrap();
    let read = cast.doctor.get(&path).await.unwrap();
    let signature = &read["opinion"]["signature"];
    assert_eq!(
        (
            &signature["valid"],
            bare(signature["certificate_serial"].as_str().unwrap())
        ),
        (&json!(true), serial("expert")),
        "{read}"
    );

    // As many as the record, the prescription and the opinion are: each once.
    let used = keeper.province().await["use"].clone();
    let books: Value = bench
        .get(format!("{control}/control/keys"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let count = |what: &str| {
        books
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|key| key[what].as_u64())
            .sum::<u64>()
    };
    assert_eq!(
        (&used["made"], &used["asked"]),
        (&json!(count("signed")), &json!(count("asked"))),
        "{used} {books}"
    );
    assert_eq!(used["made"], 3, "{used}");
    assert_eq!((&used["wrong"], &used["unknown"]), (&json!(0), &json!(0)));
    let killed = site.stop().await;
    assert!(killed.is_empty(), "did not stop when asked: {killed:?}");
}
