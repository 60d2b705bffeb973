//! The authority as a client sees it: over HTTP, judged by the openssl command where it can judge.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on should stop"
)]

use std::net::SocketAddr;
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bench_ca::{Addresses, Kind, Settings};
use rig::probe::{self, Answered};
use serde_json::{Value, json};
use tempfile::TempDir;

const KINDS: [Kind; 3] = [Kind::Rsa, Kind::P256, Kind::Sm2];
const SM2_ID: &str = "distid:1234567812345678";

struct Ca {
    kind: Kind,
    at: Addresses,
    /// The authority's own folder, and the client's.
    _theirs: TempDir,
    ours: TempDir,
}

fn open(kind: Kind) -> Ca {
    let (theirs, ours) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    let settings = Settings {
        folder: theirs.path().join("ca"),
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
    let ca = Ca {
        kind,
        at,
        _theirs: theirs,
        ours,
    };
    ca.put("ca.cer", ca.get("/ca.cer").body);
    ca.run("x509 -inform DER -in ca.cer -out ca.pem");
    ca
}

impl Ca {
    fn get(&self, path: &str) -> Answered {
        probe::ask(self.at.site, "GET", path, &[], b"").unwrap()
    }

    fn post(&self, path: &str, body: &[u8]) -> Answered {
        probe::ask(self.at.site, "POST", path, &[], body).unwrap()
    }

    fn control(&self, path: &str, body: Value) -> Value {
        probe::control(self.at.control, path, Some(body)).unwrap()
    }

    fn fault(&self, op: &str, kind: &str) {
        self.control("/control/faults", json!({"op": op, "kind": kind, "ms": 300, "mb": 3}));
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.ours.path().join(name), bytes).unwrap();
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.ours.path().join(name)).unwrap()
    }

    fn tried(&self, words: &str) -> (bool, String) {
        let out = Command::new("openssl")
            .args(words.split_ascii_whitespace())
            .current_dir(self.ours.path())
            .output()
            .unwrap();
        let said = [out.stdout, out.stderr].concat();
        (out.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    fn run(&self, words: &str) -> String {
        let (well, said) = self.tried(words);
        assert!(well, "openssl {words}: {said}");
        said
    }

    /// A certificate for a key that the authority makes.
    fn person(&self, name: &str) {
        let made = self.control("/control/certificates", json!({"name": name}));
        self.put(&format!("{name}.pem"), made["certificate"].as_str().unwrap());
    }

    fn list(&self, name: &str) -> String {
        self.put("list.crl", self.get(&format!("/{name}.crl")).body);
        self.run("crl -inform DER -in list.crl -noout -text")
    }

    /// Whether openssl accepts the list's signature; of SM2 it cannot be told the id here.
    fn list_holds(&self) -> bool {
        self.kind == Kind::Sm2
            || self
                .tried("crl -inform DER -in list.crl -noout -verify -CAfile ca.pem")
                .1
                .contains("verify OK")
    }

    fn ask(&self, name: &str) -> (bool, String) {
        // openssl gives no id to the verification of answers: with SM2 only the text is looked at.
        let verify = if self.kind == Kind::Sm2 {
            "-noverify"
        } else {
            "-CAfile ca.pem"
        };
        let site = self.at.site;
        self.tried(&format!(
            "ocsp -issuer ca.pem -cert {name}.pem -url http://{site}/ocsp {verify}"
        ))
    }
}

#[test]
fn lists_follow_the_books() {
    for kind in KINDS {
        let ca = open(kind);
        ca.person("one");
        ca.person("two");
        ca.control("/control/revoke", json!({"name": "one", "reason": "certificateHold"}));
        assert!(ca.list("full").contains("No Revoked Certificates"), "not yet published");
        ca.control("/control/lists", json!({"what": "full"}));
        let text = ca.list("full");
        assert!(text.contains("Certificate Hold") && ca.list_holds(), "{text}");
        ca.control("/control/release", json!({"name": "one"}));
        ca.control("/control/revoke", json!({"name": "two", "reason": "keyCompromise"}));
        let numbers = ca.control("/control/lists", json!({"what": "delta"}));
        let text = ca.list("delta");
        assert!(ca.list_holds());
        assert!(
            text.contains("Remove From CRL") && text.contains("Key Compromise"),
            "{text}"
        );
        let base = format!("Delta CRL Indicator: critical\n                {}", numbers["base"]);
        assert!(text.contains(&base), "{text}");
        ca.control("/control/fill", json!({"count": 2_000}));
        assert_eq!(ca.list("full").matches("Serial Number").count(), 2_001);
    }
}

#[test]
fn answers_follow_the_books_at_once() {
    for kind in KINDS {
        let ca = open(kind);
        ca.person("one");
        let (well, said) = ca.ask("one");
        assert!(well && said.contains("one.pem: good"), "{said}");
        ca.control("/control/revoke", json!({"name": "one", "reason": "superseded"}));
        let (_, said) = ca.ask("one");
        assert!(
            said.contains("one.pem: revoked") && said.contains("superseded"),
            "{said}"
        );
    }
}

#[test]
fn stamps_are_granted() {
    for kind in KINDS {
        let ca = open(kind);
        ca.put("document", "处方");
        let hash = if kind == Kind::Sm2 { "sm3" } else { "sha256" };
        ca.run(&format!("ts -query -data document -{hash} -cert -out asked.tsq"));
        ca.put("reply.tsr", ca.post("/tsa", &ca.bytes("asked.tsq")).body);
        let text = ca.run("ts -reply -in reply.tsr -text");
        assert!(text.contains("Status: Granted"), "{text}");
        if kind == Kind::Sm2 {
            // openssl cannot verify it with the id; what the token says is right.
            assert!(
                text.contains("Hash Algorithm: sm3") && !text.contains("Nonce: unspecified"),
                "{text}"
            );
        } else {
            let said = ca.run("ts -verify -queryfile asked.tsq -in reply.tsr -CAfile ca.pem");
            assert!(said.contains("Verification: OK"), "{said}");
        }
        ca.fault("tsa", "wrong_nonce");
        ca.put("reply.tsr", ca.post("/tsa", &ca.bytes("asked.tsq")).body);
        let said = ca
            .tried("ts -verify -queryfile asked.tsq -in reply.tsr -CAfile ca.pem")
            .1;
        assert!(kind == Kind::Sm2 || said.contains("nonce mismatch"), "{said}");
        ca.fault("tsa", "refuse");
        ca.put("reply.tsr", ca.post("/tsa", &ca.bytes("asked.tsq")).body);
        assert!(ca.run("ts -reply -in reply.tsr -text").contains("Status: Rejected"));
    }
}

#[test]
fn it_issues_for_requests_and_names_its_addresses() {
    let ca = open(Kind::Sm2);
    ca.run("ecparam -name SM2 -genkey -noout -out doctor.key");
    ca.run(&format!(
        "req -new -key doctor.key -sm3 -sigopt {SM2_ID} -subj /CN=ignored -out doctor.csr"
    ));
    let request = String::from_utf8(ca.bytes("doctor.csr")).unwrap();
    let made = ca.control(
        "/control/certificates",
        json!({"name": "doctor", "request": request, "subject": "/C=CN/CN=王医生/serialNumber=D0001"}),
    );
    assert_eq!(made["key"], Value::Null);
    ca.put("doctor.pem", made["certificate"].as_str().unwrap());
    let text = ca.run("x509 -in doctor.pem -noout -text -nameopt utf8");
    for words in [
        "王医生",
        "D0001",
        "/ocsp",
        "/full.crl",
        "/delta.crl",
        "/ca.cer",
        "SM2-with-SM3",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let listed = probe::control(ca.at.control, "/control/certificates", None).unwrap();
    assert_eq!(listed["count"], 4);
    let refused = probe::control(ca.at.control, "/control/certificates", Some(json!({"name": "../x"})));
    assert!(refused.unwrap_err().to_string().contains("400"));
}

#[test]
fn it_misbehaves_on_command() {
    for kind in [Kind::P256, Kind::Sm2] {
        let ca = open(kind);
        ca.person("one");
        ca.fault("full", "stale");
        let stale = ca.list("full");
        ca.fault("full", "future");
        let future = ca.list("full");
        let now = ca.list("full");
        let due = |text: &str| {
            text.lines()
                .find(|l| l.contains("Next Update"))
                .map(str::to_owned)
                .unwrap()
        };
        assert!(due(&stale) != due(&now) && due(&future) != due(&now));
        ca.fault("full", "wrong_signature");
        ca.list("full");
        assert!(kind == Kind::Sm2 || !ca.list_holds());

        let (_, good) = ca.ask("one");
        for (fault, words) in [
            ("wrong_nonce", "Nonce Verify error"),
            ("no_nonce", "no nonce in response"),
            ("unauthorised", "Response Verify Failure"),
            ("wrong_signature", "Response Verify Failure"),
            ("stale", "status expired"),
            ("future", "status not yet valid"),
            ("refuse", "trylater"),
        ] {
            ca.fault("ocsp", fault);
            let (_, said) = ca.ask("one");
            // Without verification openssl looks at neither signature nor nonce.
            let unseen = kind == Kind::Sm2 && (words.contains("Verify") || words.contains("nonce"));
            assert!(unseen || said.contains(words), "{fault}: {said}");
        }
        assert!(
            good.contains("good") && ca.ask("one").1.contains("good"),
            "and well again"
        );

        let whole = ca.get("/full.crl").body;
        ca.fault("full", "half");
        let half = probe::ask(ca.at.site, "GET", "/full.crl", &[], b"");
        assert!(half.map_or(true, |answer| answer.body.len() < whole.len()));
        ca.fault("full", "huge");
        assert!(ca.get("/full.crl").body.len() >= 3 << 20);
        ca.fault("full", "error");
        assert_eq!(ca.get("/full.crl").status, 500);
        ca.fault("full", "garbage");
        assert_ne!(ca.get("/full.crl").body, whole);
        for fault in ["delay", "slow"] {
            ca.fault("full", fault);
            let started = Instant::now();
            let answer = ca.get("/full.crl");
            assert!(started.elapsed() >= Duration::from_millis(290));
            assert!(answer.body.len() >= whole.len());
        }
        assert_eq!(ca.get("/full.crl").body, whole);
        let known = probe::control(ca.at.control, "/control/faults", None).unwrap();
        assert_eq!(known["firings"].as_array().map(Vec::len), Some(16));
        if known["rules"].as_array().is_none() {
            panic!("{known}");
        }
    }
}
