//! A certification authority: Debian's `openssl`, with the user id of certificates given.

use std::path::Path;
use std::process::Command;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;

/// Kinds of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Sm2,
    P256,
}

/// Where an authority keeps its key and certificate.
pub(crate) struct Authority {
    folder: TempDir,
    kind: Kind,
    id: &'static str,
}

/// A certificate, those above it but the root, and its key; files in PEM.
pub(crate) struct Pair {
    pub(crate) folder: TempDir,
    above: Vec<CertificateDer<'static>>,
}

const USER_ID: &str = "1234567812345678";

pub(crate) fn openssl(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("openssl runs");
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

pub(crate) fn make_key(folder: &Path, kind: Kind) {
    let group = [
        "genpkey",
        "-algorithm",
        "EC",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-out",
        "key.pem",
    ];
    match kind {
        Kind::Sm2 => openssl(folder, &["genpkey", "-algorithm", "SM2", "-out", "key.pem"]),
        Kind::P256 => openssl(folder, &group),
    };
}

impl Authority {
    pub(crate) fn new(kind: Kind, name: &str) -> Self {
        Self::with_id(kind, name, USER_ID)
    }

    /// One that signs under another user id than the one of certificates.
    pub(crate) fn with_id(kind: Kind, name: &str, id: &'static str) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        make_key(folder.path(), kind);
        let authority = Self { folder, kind, id };
        authority.request(
            authority.folder(),
            name,
            &["-addext", "basicConstraints=critical,CA:TRUE"],
        );
        authority
    }

    /// `openssl req -x509` within a folder that has `key.pem`; writes `certificate.pem`.
    fn request(&self, folder: &Path, name: &str, more: &[&str]) {
        let subject = format!("/CN={name}");
        let id = format!("distid:{}", self.id);
        let mut arguments = vec![
            "req", "-x509", "-new", "-key", "key.pem", "-subj", &subject, "-days", "30",
        ];
        arguments.extend(["-out", "certificate.pem"]);
        match self.kind {
            Kind::Sm2 => arguments.extend(["-sm3", "-sigopt", &id]),
            Kind::P256 => arguments.push("-sha256"),
        }
        arguments.extend(more);
        openssl(folder, &arguments);
    }

    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.folder().join("certificate.pem")).expect("certificate")
    }

    /// Where its files are.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_file(self.folder().join("key.pem")).expect("key")
    }

    /// Signs another authority's key, whose certificate then names this one.
    pub(crate) fn certify(&self, other: &Self, name: &str) -> CertificateDer<'static> {
        self.sign(other.folder(), name, &["basicConstraints=critical,CA:TRUE"]);
        other.certificate()
    }

    fn sign(&self, folder: &Path, name: &str, extensions: &[&str]) {
        let path = |file: &str| self.folder().join(file).display().to_string();
        let (certificate, key) = (path("certificate.pem"), path("key.pem"));
        let mut more = vec!["-CA", &certificate, "-CAkey", &key];
        more.extend(extensions.iter().flat_map(|extension| ["-addext", extension]));
        self.request(folder, name, &more);
    }

    /// A key of a kind with a certificate for these names.
    pub(crate) fn issue(&self, kind: Kind, name: &str, names: &str) -> Pair {
        let folder = tempfile::tempdir().expect("folder");
        make_key(folder.path(), kind);
        let names = format!("subjectAltName={names}");
        self.sign(folder.path(), name, &["basicConstraints=critical,CA:FALSE", &names]);
        Pair {
            folder,
            above: Vec::new(),
        }
    }
}

impl Pair {
    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        let own = CertificateDer::from_pem_file(self.folder.path().join("certificate.pem")).expect("certificate");
        [vec![own], self.above.clone()].concat()
    }

    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_file(self.folder.path().join("key.pem")).expect("key")
    }

    pub(crate) fn with_above(self, above: CertificateDer<'static>) -> Self {
        Self {
            above: vec![above],
            ..self
        }
    }
}
