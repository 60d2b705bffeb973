//! What the bench authority serves over HTTP, RSA, P-256 and SM2, is judged by `gm`; each of its misbehaviours is refused by
//! its own name.

use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use bench_ca::{Addresses, Kind, Settings};
use gm::crl::Crl;
use gm::evidence::{Kind as What, Moment, Reason, Status, Unfit};
use gm::ocsp::{NameHash, Question, Response};
use gm::stamp::{Imprint, Request, Token};
use gm::trust::{By, Evidence, Failure, Rule};
use gm::{Certificate, Hash, Particulars, Refused, Trust};
use rig::probe;
use serde_json::{Value, json};
use tempfile::TempDir;
use time::OffsetDateTime;

const NONCE: [u8; 16] = *b"\x01ifteen bytes..!";

struct Ca {
    at: Addresses,
    root: Certificate,
    _folder: TempDir,
}

fn open(kind: Kind) -> Ca {
    let folder = TempDir::new().unwrap();
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    let settings = Settings {
        folder: folder.path().join("ca"),
        kind,
        site: free,
        control: free,
        public_base: String::new(),
    };
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(bench_ca::run(settings, |at| tell.send(at).unwrap()))
    });
    let at = told.recv_timeout(Duration::from_secs(120)).unwrap();
    let root = probe::ask(at.site, "GET", "/ca.cer", &[], b"").unwrap().body;
    Ca {
        at,
        root: Certificate::parse(&root).unwrap(),
        _folder: folder,
    }
}

impl Ca {
    fn get(&self, path: &str) -> Vec<u8> {
        probe::ask(self.at.site, "GET", path, &[], b"").unwrap().body
    }

    fn post(&self, path: &str, body: &[u8]) -> Vec<u8> {
        probe::ask(self.at.site, "POST", path, &[], body).unwrap().body
    }

    fn control(&self, path: &str, body: Value) -> Value {
        probe::control(self.at.control, path, Some(body)).unwrap()
    }

    fn fault(&self, op: &str, kind: &str) {
        self.control("/control/faults", json!({"op": op, "kind": kind}));
    }

    fn person(&self, name: &str) -> Certificate {
        let made = self.control("/control/certificates", json!({"name": name}));
        Certificate::parse(&unarmoured(made["certificate"].as_str().unwrap())).unwrap()
    }

    fn list(&self, name: &str) -> Result<Crl, Refused> {
        Crl::read(&self.get(&format!("/{name}.crl")), std::slice::from_ref(&self.root))
    }

    fn ask(&self, certificate: &Certificate) -> Result<Status, Refused> {
        let question = Question::new(certificate, &self.root, NameHash::Sha1)?;
        let reply = self.post("/ocsp", &question.to_der(Some(&NONCE)));
        let answer = Response::read(&reply)?.verify(&self.root)?;
        answer.has_nonce(&NONCE)?;
        answer.status(certificate, now())
    }

    fn stamp(&self, hash: Hash) -> Result<OffsetDateTime, Refused> {
        let asked = Request::over(hash, b"rx").with_nonce(&NONCE);
        let token = asked.accept(&self.post("/tsa", &asked.to_der()))?;
        let trust = Trust::new([&self.root.der])?;
        let stamped = Token::read(&token)?.verify(&Imprint::of(hash, b"rx"), &trust, now().now)?;
        Ok(stamped.info.at)
    }
}

fn now() -> Moment {
    Moment::present(OffsetDateTime::now_utc())
}

/// DER of a PEM text.
fn unarmoured(pem: &str) -> Vec<u8> {
    let digits = pem
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .flat_map(str::bytes);
    let (mut out, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for digit in digits {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => continue,
        };
        (bits, count) = ((bits << 6) | u32::from(value), count + 6);
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    out
}

fn unfit<T: std::fmt::Debug>(result: Result<T, Refused>) -> Unfit {
    match result {
        Err(Refused::Evidence(unfit)) => unfit,
        other => panic!("{other:?}"),
    }
}

#[test]
fn lists_answers_and_stamps_are_judged_and_every_misbehaviour_has_its_name() {
    for kind in [Kind::P256, Kind::Sm2, Kind::Rsa] {
        let ca = open(kind);
        let person = ca.person("person");
        let told = Particulars::of(&person).unwrap();
        assert!(told.crls[0].ends_with("/full.crl") && told.delta_crls[0].ends_with("/delta.crl"));
        assert!(told.responders[0].ends_with("/ocsp") && told.issuers[0].ends_with("/ca.cer"));

        // Lists.
        let full = ca.list("full").unwrap();
        assert_eq!(full.status(&person, now()), Ok(Status::Good));
        for (fault, expected) in [
            ("wrong_signature", "evidence_signature"),
            ("stale", "evidence_stale"),
            ("future", "evidence_from_future"),
        ] {
            ca.fault("full", fault);
            let refused = unfit(ca.list("full").and_then(|crl| crl.status(&person, now())));
            assert_eq!(refused.code(), expected, "{fault}");
        }
        for fault in ["garbage", "error", "huge"] {
            ca.fault("full", fault);
            assert!(ca.list("full").is_err(), "{fault}");
        }

        // Answers.
        assert_eq!(ca.ask(&person), Ok(Status::Good));
        for (fault, expected) in [
            ("wrong_nonce", "evidence_nonce"),
            ("no_nonce", "evidence_nonce"),
            ("unauthorised", "evidence_unauthorised"),
            ("wrong_signature", "evidence_signature"),
            ("stale", "evidence_stale"),
            ("future", "evidence_from_future"),
            ("refuse", "ocsp_responder"),
        ] {
            ca.fault("ocsp", fault);
            assert_eq!(unfit(ca.ask(&person)).code(), expected, "{fault}");
        }

        // Stamps.
        let hash = if kind == Kind::Sm2 { Hash::Sm3 } else { Hash::Sha256 };
        let at = ca.stamp(hash).unwrap();
        assert!((at - now().now).abs() < time::Duration::minutes(5));
        for (fault, expected) in [
            ("wrong_nonce", "evidence_nonce"),
            ("wrong_signature", "evidence_signature"),
            ("refuse", "stamp_refused"),
        ] {
            ca.fault("tsa", fault);
            assert_eq!(unfit(ca.stamp(hash)).code(), expected, "{fault}");
        }
        if kind == Kind::Sm2 {
            ca.fault("tsa", "future");
            assert!(matches!(
                ca.stamp(hash),
                Err(Refused::Evidence(Unfit::FromFuture { what: What::Stamp }))
            ));
        }

        // A suspension by a delta, taken back by the next; answers know it at once.
        ca.control(
            "/control/revoke",
            json!({"serial": person.serial_hex(), "reason": "certificateHold"}),
        );
        assert!(matches!(ca.ask(&person), Ok(Status::Revoked(revoked)) if revoked.reason == Reason::CertificateHold));
        ca.control("/control/lists", json!({"what": "delta"}));
        let held = full.apply(&ca.list("delta").unwrap()).unwrap();
        assert!(matches!(held.status(&person, now()), Ok(Status::Revoked(_))));
        let trust = Trust::new([&ca.root.der]).unwrap();
        let path = trust.path(&person, &[], now().at).unwrap();
        let verdict = |crl: Crl| {
            let crls = [Arc::new(crl)];
            let evidence = Evidence {
                crls: &crls,
                answers: &[],
            };
            let rule = Rule {
                by: By::Either,
                failure: Failure::Hard,
            };
            trust.judge(&path, rule, &evidence, now()).verdict
        };
        assert!(matches!(verdict(held), Err(Refused::Revoked { .. })));
        ca.control("/control/lists", json!({"what": "full"}));
        let full = ca.list("full").unwrap();
        ca.control("/control/release", json!({"serial": person.serial_hex()}));
        ca.control("/control/lists", json!({"what": "delta"}));
        let free = full.apply(&ca.list("delta").unwrap()).unwrap();
        assert_eq!((full.len(), free.len()), (1, 0));
        assert_eq!(verdict(free), Ok(()));
    }
}
