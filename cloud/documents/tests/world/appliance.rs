//! The appliance as the cloud sees it: a signature server with keys and PINs, and dictionaries. It can be told to answer
//! late, to be away, or to sign something else.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base::Hospital;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use gm::certificate::{Draft, Identity, Purpose};
use gm::crl::{self, Entry, Number};
use gm::evidence::Revoked;
use gm::key::{P256Key, Signer};
use gm::stamp::{Imprint, Unit, Unsigned, attach};
use gm::{Certificate, Hash, Sm2Key, cms};
use records::sign::{EnrolRequest, SealRequest, SignRequest};
use records::{Clock, ManualClock, Outcome, TenantId};
use serde_json::{Value, json};

struct Person {
    key: Sm2Key,
    certificate: Certificate,
    /// Who issued it.
    issuer: Certificate,
    pin: String,
}

pub(crate) struct Appliance {
    clock: Arc<ManualClock>,
    root_key: Sm2Key,
    root: Certificate,
    seal_key: P256Key,
    seal_chain: Vec<Certificate>,
    seal_root_key: P256Key,
    /// Whether it tells lists, and since when the seal is revoked in them.
    pub(crate) lists: Mutex<Option<Option<Revoked>>>,
    /// Certificates of people that are revoked in the lists, by serial.
    pub(crate) revoked: Mutex<HashMap<String, Revoked>>,
    /// The lists of people's authorities were issued so long ago.
    pub(crate) aged: Mutex<Duration>,
    /// A province's authority; who enrols while it is asked for has a key there.
    province_key: Sm2Key,
    pub(crate) province: Certificate,
    pub(crate) at_province: AtomicBool,
    /// Signatures of people are not stamped, as they were before.
    pub(crate) unstamped: AtomicBool,
    /// The seal's time-stamp unit.
    unit_key: P256Key,
    unit_chain: Vec<Certificate>,
    people: Mutex<HashMap<String, Person>>,
    made: Mutex<HashMap<String, Value>>,
    /// Answers to signing calls that get lost on the way back.
    pub(crate) lost: AtomicU32,
    pub(crate) away: AtomicBool,
    /// Signs other bytes than it was given.
    pub(crate) crooked: AtomicBool,
    /// Documents signed, by key: the server must never sign twice.
    pub(crate) signed: AtomicU32,
    /// Signing calls that arrived.
    pub(crate) asked: AtomicU32,
    /// The first signing call from which on none gets through.
    fails_from: AtomicU32,
}

fn identity(name: &str) -> Identity {
    Identity {
        common_name: name.into(),
        organization: "永州市中心医院".into(),
        ..Identity::default()
    }
}

impl Appliance {
    pub(crate) fn new(clock: Arc<ManualClock>) -> Self {
        let now = clock.now().offset();
        let draft = |serial: u8, purpose| (serial, purpose);
        let issue =
            |(serial, purpose), subject: &Identity, of: &dyn Signer, issuer: Option<&Certificate>, by: &dyn Signer| {
                Draft {
                    serial: [serial; 16],
                    subject,
                    public_key: of.public_key(),
                    purpose,
                    not_before: now - Duration::from_secs(86_400),
                    not_after: now + Duration::from_secs(86_400 * 3650),
                }
                .issue(issuer, by)
                .unwrap()
            };
        let authority = Purpose::Authority { path_length: 0 };
        let root_key = Sm2Key::generate().unwrap();
        let root = issue(
            draft(1, authority),
            &identity("电子签名根证书"),
            &root_key,
            None,
            &root_key,
        );
        let province_key = Sm2Key::generate().unwrap();
        let province = issue(
            draft(5, Purpose::Authority { path_length: 0 }),
            &identity("省平台根证书"),
            &province_key,
            None,
            &province_key,
        );
        let seal_root_key = P256Key::from_pkcs8(&P256Key::generate().unwrap()).unwrap();
        let seal_key = P256Key::from_pkcs8(&P256Key::generate().unwrap()).unwrap();
        let authority = Purpose::Authority { path_length: 0 };
        let seal_root = issue(
            draft(2, authority),
            &identity("电子印章根证书"),
            &seal_root_key,
            None,
            &seal_root_key,
        );
        let documents = draft(3, Purpose::Documents);
        let seal = issue(
            documents,
            &identity("电子印章"),
            &seal_key,
            Some(&seal_root),
            &seal_root_key,
        );
        let unit_key = P256Key::from_pkcs8(&P256Key::generate().unwrap()).unwrap();
        let unit = issue(
            draft(4, Purpose::TimeStamping),
            &identity("电子印章时间戳"),
            &unit_key,
            Some(&seal_root),
            &seal_root_key,
        );
        Self {
            unit_key,
            unit_chain: vec![unit, seal_root.clone()],
            clock,
            root_key,
            root,
            seal_key,
            seal_chain: vec![seal, seal_root],
            seal_root_key,
            lists: Mutex::default(),
            revoked: Mutex::default(),
            aged: Mutex::default(),
            province_key,
            province,
            at_province: AtomicBool::new(false),
            unstamped: AtomicBool::new(false),
            people: Mutex::default(),
            made: Mutex::default(),
            lost: AtomicU32::new(0),
            away: AtomicBool::new(false),
            crooked: AtomicBool::new(false),
            signed: AtomicU32::new(0),
            asked: AtomicU32::new(0),
            fails_from: AtomicU32::new(u32::MAX),
        }
    }

    /// From that signing call on (the first is 1) the line is cut.
    pub(crate) fn fails_from(&self, call: u32) {
        self.fails_from.store(call, Ordering::SeqCst);
    }

    fn enrol(&self, request: EnrolRequest) -> Outcome<Value> {
        let now = self.clock.now().offset();
        let mut people = self.people.lock().unwrap();
        let serial = u8::try_from(people.len()).unwrap() + 10;
        let (issuer, by) = if self.at_province.load(Ordering::SeqCst) {
            (&self.province, &self.province_key)
        } else {
            (&self.root, &self.root_key)
        };
        let person = people.entry(request.signer_id.clone()).or_insert_with(|| {
            let key = Sm2Key::generate().unwrap();
            let certificate = Draft {
                serial: [serial; 16],
                subject: &Identity {
                    serial_number: request.signer_id.clone(),
                    unit: request.role.clone(),
                    ..identity(&request.name)
                },
                public_key: key.public_key(),
                purpose: Purpose::Documents,
                not_before: now - Duration::from_secs(60),
                not_after: now + Duration::from_secs(86_400 * 365),
            }
            .issue(Some(issuer), by)
            .unwrap();
            Person {
                key,
                certificate,
                issuer: issuer.clone(),
                pin: request.pin.0.clone(),
            }
        });
        Outcome::Done(
            json!({ "signer_id": request.signer_id, "enrolled": true, "locked": false, "tries_left": 5,
            "certificate_serial": person.certificate.serial_hex(), "certificate": BASE64.encode(&person.certificate.der),
            "not_after": "2027-11-21T00:00:00Z" }),
        )
    }

    fn sign(&self, key: &str, request: &SignRequest) -> Outcome<Value> {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        if asked >= self.fails_from.load(Ordering::SeqCst) {
            return Outcome::Later { after_ms: 1000 };
        }
        let mut made = self.made.lock().unwrap();
        if !made.contains_key(key) {
            let people = self.people.lock().unwrap();
            let person = &people[&request.signer_id];
            if person.pin != request.pin.0 {
                return Outcome::refused("pin_wrong", "签名口令不正确，还可以再试4次");
            }
            let mut document = BASE64.decode(&request.document).unwrap();
            if self.crooked.load(Ordering::SeqCst) {
                document.push(b' ');
            }
            let chain = [person.certificate.clone(), person.issuer.clone()];
            let digest = gm::sm3(&document);
            let message = cms::Unsigned::new(&digest, self.clock.now().offset(), &chain).unwrap();
            let message = message.sign(&person.key).unwrap();
            let message = if self.unstamped.load(Ordering::SeqCst) {
                message
            } else {
                self.stamped(&message)
            };
            self.signed.fetch_add(1, Ordering::SeqCst);
            let signature = json!({ "cms": BASE64.encode(message), "document_sm3": hex::encode(digest),
                "certificate_serial": person.certificate.serial_hex(), "signed_at": self.clock.now() });
            made.insert(key.to_owned(), signature);
        }
        if self.lost.load(Ordering::SeqCst) > 0 {
            self.lost.fetch_sub(1, Ordering::SeqCst);
            return Outcome::Unknown;
        }
        Outcome::Done(made[key].clone())
    }

    fn seal(&self, request: &SealRequest) -> Outcome<Value> {
        let digest: [u8; 32] = hex::decode(&request.digest_sha256).unwrap().try_into().unwrap();
        let algorithm = gm::Algorithm::default_of(self.seal_key.public_key().kind());
        let message = cms::Unsigned::over_digest(algorithm, &digest, None, &self.seal_chain).unwrap();
        let message = message.sign(&self.seal_key).unwrap();
        let message = self.stamped(&message);
        Outcome::Done(json!({ "cms": BASE64.encode(message), "certificate_serial": self.seal_chain[0].serial_hex() }))
    }

    /// A message with its time, by the seal's unit.
    fn stamped(&self, message: &[u8]) -> Vec<u8> {
        let unit = Unit::new(&self.unit_key, &self.unit_chain, &[0x2a, 3], None).unwrap();
        let over = Imprint::of(Hash::Sha256, &Unsigned::read(message).unwrap().signature);
        let token = unit.stamp(&over, &[7], self.clock.now().offset()).unwrap();
        attach(message, &token).unwrap()
    }

    /// The serial number of somebody's certificate.
    pub(crate) fn serial_of(&self, signer: &str) -> String {
        self.people.lock().unwrap()[signer].certificate.serial_hex()
    }

    /// The list of an authority of people.
    fn people_list(&self, issuer: &Certificate, key: &Sm2Key) -> Vec<u8> {
        let issued = self.clock.now().offset() - *self.aged.lock().unwrap();
        let people = self.people.lock().unwrap();
        let mine = |serial: &String| {
            let holder = people.values().find(|one| one.certificate.serial_hex() == *serial);
            holder.is_some_and(|one| one.issuer.der == issuer.der)
        };
        let revoked = self.revoked.lock().unwrap();
        let entries = revoked.iter().filter(|(serial, _)| mine(serial));
        let entries: Vec<_> = entries
            .map(|(serial, revoked)| Entry {
                serial: hex::decode(serial).unwrap(),
                revoked: *revoked,
            })
            .collect();
        let draft = crl::Draft {
            this_update: issued,
            next_update: issued + Duration::from_secs(4 * 86_400),
            number: Number::from(issued.unix_timestamp().unsigned_abs()),
            base: None,
            entries: &entries,
            address: None,
        };
        draft.issue(issuer, key).unwrap()
    }

    /// The lists of the seal's root and of people's authorities, where it tells any.
    fn lists(&self) -> Outcome<Value> {
        let Some(revoked) = *self.lists.lock().unwrap() else {
            return Outcome::refused("unknown_method", "签名服务器不支持该操作。");
        };
        let entry = |revoked| Entry {
            serial: hex::decode(self.seal_chain[0].serial_hex()).unwrap(),
            revoked,
        };
        let now = self.clock.now().offset();
        let draft = crl::Draft {
            this_update: now,
            next_update: now + Duration::from_secs(4 * 86_400),
            number: Number::from(now.unix_timestamp().unsigned_abs()),
            base: None,
            entries: &revoked.map(entry).into_iter().collect::<Vec<_>>(),
            address: None,
        };
        let list = draft.issue(&self.seal_chain[1], &self.seal_root_key).unwrap();
        let own = self.people_list(&self.root, &self.root_key);
        let province = self.people_list(&self.province, &self.province_key);
        let all = [list, own, province].map(|list| BASE64.encode(list));
        Outcome::Done(json!({ "lists": all }))
    }
}

#[async_trait::async_trait]
impl Hospital for Appliance {
    async fn call_raw(
        &self,
        _: &TenantId,
        method: &str,
        key: Option<&str>,
        _: Duration,
        body: Value,
    ) -> Outcome<Value> {
        if self.away.load(Ordering::SeqCst) {
            return Outcome::Later { after_ms: 1000 };
        }
        match method {
            "sign.enrol" => self.enrol(serde_json::from_value(body).unwrap()),
            "sign.document" => self.sign(key.expect("a key"), &serde_json::from_value(body).unwrap()),
            "sign.seal_pdf" => self.seal(&serde_json::from_value(body).unwrap()),
            "sign.trust" => Outcome::Done(json!({ "signers": [BASE64.encode(&self.root.der)],
                "seals": [BASE64.encode(&self.seal_chain[1].der)] })),
            "sign.lists" => self.lists(),
            "sign.status" => Outcome::Done(
                json!({ "signer_id": "", "enrolled": true, "locked": false, "tries_left": 5,
                "certificate_serial": null, "certificate": null, "not_after": null }),
            ),
            "dict.drug.list" => Outcome::Done(json!([
                drug("AML", "苯磺酸氨氯地平片", "none"),
                drug("AMO", "阿莫西林胶囊", "antibiotic"),
                drug("MOR", "吗啡片", "narcotic"),
            ])),
            "dict.herb.list" => Outcome::Done(
                json!([{ "code": "HQ", "name": "黄芪", "pinyin": "HQ", "price_fen_per_kg": 3650,
                "max_dose_g": 30, "toxic": false }]),
            ),
            "dict.route.list" => Outcome::Done(json!([{ "code": "PO", "name": "口服" }])),
            "dict.frequency.list" => {
                Outcome::Done(json!([{ "code": "QD", "name": "每日一次", "times": 1, "per_days": 1 }]))
            }
            "dict.diagnosis.list" => {
                Outcome::Done(json!([{ "code": "I10.x00", "name": "高血压病", "pinyin": "GXYB" }]))
            }
            "dict.exam_item.list" => Outcome::Done(json!([
                { "code": "US", "name": "腹部超声", "pinyin": "FBCS", "part": "腹部", "method": "二维超声", "price_fen": 9000,
                  "departments": [{ "code": "U1", "name": "超声医学科", "location": "门诊楼二层" },
                                  { "code": "U2", "name": "体检中心", "location": "" }], "preparation": "空腹8小时" },
                { "code": "ECG", "name": "心电图", "pinyin": "XDT", "part": "", "method": "", "price_fen": 2500,
                  "departments": [{ "code": "U3", "name": "心电图室", "location": "" }], "preparation": "" },
            ])),
            "dict.lab_item.list" => Outcome::Done(json!([
                { "code": "LIP", "name": "血脂四项", "pinyin": "XZSX", "specimen_code": "S02", "price_fen": 6800,
                  "departments": [{ "code": "C1", "name": "检验科", "location": "一层采血处" }], "preparation": "空腹" },
            ])),
            "dict.specimen.list" => Outcome::Done(json!([
                { "code": "S02", "name": "血清" }, { "code": "S03", "name": "血浆" },
            ])),
            "dict.department.list" | "dict.doctor.list" => Outcome::Done(json!([])),
            other => Outcome::refused("not_scripted", other.to_owned()),
        }
    }

    async fn online(&self, _: &TenantId) -> bool {
        !self.away.load(Ordering::SeqCst)
    }

    async fn take_file(&self, _: &str) -> Option<Vec<u8>> {
        None
    }
}

fn drug(code: &str, name: &str, control: &str) -> Value {
    json!({ "code": code, "name": name, "pinyin": code, "specification": "5mg*28片", "dose_per_min_unit": "5",
        "dose_unit": "mg", "min_unit": "片", "pack_unit": "盒", "pack_size": 28, "price_fen": 3250, "manufacturer": "",
        "max_single_dose": "10", "control": control, "barred_online": false })
}

/// A small drawing as the apps send it.
pub(crate) fn drawn() -> String {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 60, 20);
    encoder.set_color(png::ColorType::Grayscale);
    let pixels: Vec<u8> = (0..1200u32).map(|i| if i % 61 < 3 { 0 } else { 255 }).collect();
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    BASE64.encode(file)
}
