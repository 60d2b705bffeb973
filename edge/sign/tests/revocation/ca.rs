//! An authority that misbehaves on command.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Duration;

use bench_ca::{Addresses, Kind, Settings};
use gm::certificate::{Draft, Extras, Purpose};
use gm::key::Signer;
use gm::pkcs8::PrivateKey;
use gm::{Certificate, Identity, Sm2Key};
use rig::probe;
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) struct Ca {
    at: Addresses,
    pub(crate) root: Certificate,
    folder: TempDir,
    serving: Option<tokio::runtime::Runtime>,
}

/// A person's certificate with its key.
pub(crate) struct Card {
    pub(crate) certificate: Certificate,
    pub(crate) name: String,
}

impl Ca {
    pub(crate) fn new(kind: Kind) -> Self {
        let folder = TempDir::new().expect("folder");
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let settings = Settings {
            folder: folder.path().join("ca"),
            kind,
            site: free,
            control: free,
            public_base: String::new(),
        };
        let (tell, told) = mpsc::channel();
        let serving = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("runtime");
        serving.spawn(async move {
            bench_ca::run(settings, |at| tell.send(at).expect("told"))
                .await
                .expect("served");
        });
        let at = told.recv_timeout(Duration::from_secs(120)).expect("an authority");
        let root = probe::ask(at.site, "GET", "/ca.cer", &[], b"").expect("root").body;
        Self {
            at,
            root: Certificate::parse(&root).expect("root"),
            folder,
            serving: Some(serving),
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.at.site)
    }

    pub(crate) fn get(&self, path: &str) -> Vec<u8> {
        probe::ask(self.at.site, "GET", path, &[], b"").expect("answered").body
    }

    pub(crate) fn control(&self, path: &str, body: Value) -> Value {
        probe::control(self.at.control, path, Some(body)).expect("commanded")
    }

    /// Nothing goes wrong any more.
    pub(crate) fn behave(&self) {
        probe::ask(self.at.control, "DELETE", "/control/faults", &[], b"").expect("commanded");
    }

    /// The next call of this kind goes wrong.
    pub(crate) fn fault(&self, op: &str, kind: &str, more: Value) {
        let mut fault = json!({"op": op, "kind": kind});
        if let (Some(fault), Value::Object(more)) = (fault.as_object_mut(), more) {
            fault.extend(more);
        }
        self.control("/control/faults", fault);
    }

    pub(crate) fn publish(&self, what: &str) {
        self.control("/control/lists", json!({"what": what}));
    }

    pub(crate) fn revoke(&self, card: &Card, reason: &str) {
        self.control("/control/revoke", json!({"name": card.name, "reason": reason}));
    }

    pub(crate) fn person(&self, name: &str) -> Card {
        let made = self.control("/control/certificates", json!({"name": name}));
        Card {
            certificate: certificate(&made),
            name: name.to_owned(),
        }
    }

    /// A certificate that the authority's key signed and its books do not know.
    pub(crate) fn off_the_books(&self, name: &str) -> Card {
        let file = std::fs::read(self.folder.path().join("ca/ca.key")).expect("key");
        let key = match PrivateKey::from_file(&file, None).expect("key") {
            PrivateKey::Sm2(key) => key,
            _ => panic!("an authority of SM2"),
        };
        let subject = Identity {
            common_name: name.to_owned(),
            ..Identity::default()
        };
        let (own, now) = (Sm2Key::generate().expect("key"), time::OffsetDateTime::now_utc());
        let certificate = Draft {
            serial: [0x5a; 16],
            subject: &subject,
            public_key: own.public_key(),
            purpose: Purpose::Documents,
            not_before: now - time::Duration::minutes(5),
            not_after: now + time::Duration::days(30),
        }
        .issue_with(
            Some(&self.root),
            key.as_ref(),
            &Extras {
                responders: vec![self.url("/ocsp")],
                ..Extras::default()
            },
        );
        Card {
            certificate: certificate.expect("certificate"),
            name: name.to_owned(),
        }
    }

    /// A certificate for the key of a request.
    pub(crate) fn certify(&self, name: &str, profile: &str, request: &str) -> Certificate {
        let asked = json!({"name": name, "profile": profile, "request": request});
        certificate(&self.control("/control/certificates", asked))
    }

    /// It is gone when this returns.
    pub(crate) fn die(&mut self) {
        if let Some(serving) = self.serving.take() {
            // A runtime's end may not be waited for on a thread of another one.
            let end = std::thread::spawn(move || serving.shutdown_timeout(Duration::from_secs(60)));
            end.join().expect("ended");
        }
    }
}

impl Drop for Ca {
    fn drop(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.shutdown_background();
        }
    }
}

fn certificate(made: &Value) -> Certificate {
    let pem = made["certificate"].as_str().expect("certificate");
    let bundle = gm::pem::read_bundle(pem.as_bytes()).expect("PEM");
    bundle.certificates.into_iter().next().expect("certificate")
}
