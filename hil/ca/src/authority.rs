//! The authority's folder, and openssl in it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;
use tokio::sync::{Mutex, MutexGuard};

/// The user id without which openssl signs SM2 with none.
const SM2_ID: &str = "distid:1234567812345678";

/// The kind of an authority's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// RSA 2048, SHA-256.
    Rsa,
    /// ECDSA P-256, SHA-256.
    P256,
    /// SM2, SM3.
    Sm2,
}

impl Kind {
    /// Its name in configuration and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::P256 => "p256",
            Self::Sm2 => "sm2",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Rsa, Self::P256, Self::Sm2]
            .into_iter()
            .find(|kind| kind.name() == name)
    }

    pub(crate) fn hash(self) -> &'static str {
        match self {
            Self::Sm2 => "sm3",
            _ => "sha256",
        }
    }
}

/// What goes wrong in the authority.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// A port, a file or the openssl command.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// openssl refused.
    #[error("openssl {command}: {said}")]
    Openssl {
        /// What it was told.
        command: String,
        /// What it said.
        said: String,
    },
    /// What came in cannot be read.
    #[error("{0}")]
    Asked(String),
}

/// The folder of an authority. One command runs at a time, because openssl keeps its books in files.
#[derive(Debug)]
pub(crate) struct Authority {
    folder: PathBuf,
    pub(crate) kind: Kind,
    turn: Mutex<()>,
}

/// The right to run commands.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    authority: &'a Authority,
    _held: MutexGuard<'a, ()>,
}

/// Profiles a certificate can be asked for with.
pub(crate) const PROFILES: [&str; 4] = ["person", "stamps", "answers", "authority"];

fn config(base: &str, hash: &str) -> String {
    format!(
        "
[ca]
default_ca = books
[books]
database = index.txt
serial = serial
rand_serial = yes
new_certs_dir = issued
policy = names
default_md = {hash}
default_days = 365
unique_subject = no
copy_extensions = none
[names]
countryName = optional
organizationName = optional
organizationalUnitName = optional
commonName = supplied
serialNumber = optional
[req]
distinguished_name = nothing
utf8 = yes
string_mask = utf8only
[nothing]
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[authority]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
crlDistributionPoints = URI:{base}/full.crl
[person]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature, nonRepudiation
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
crlDistributionPoints = URI:{base}/full.crl
freshestCRL = URI:{base}/delta.crl
authorityInfoAccess = OCSP;URI:{base}/ocsp, caIssuers;URI:{base}/ca.cer
[stamps]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
crlDistributionPoints = URI:{base}/full.crl
[answers]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = OCSPSigning
noCheck = ignored
authorityKeyIdentifier = keyid
[unit]
serial = stamp_serial
signer_cert = stamps.pem
certs = ca.pem
signer_key = stamps.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512, sm3
accuracy = secs:1
ess_cert_id_alg = sha256
"
    )
}

impl Authority {
    /// Opens a folder, or makes one with its root, responder and time-stamp unit.
    pub(crate) async fn open(folder: PathBuf, kind: Kind, base: &str) -> Result<Self, CaError> {
        let kind = match std::fs::read_to_string(folder.join("kind")) {
            Ok(name) => Kind::named(name.trim()).ok_or_else(|| CaError::Asked(format!("kind {name}")))?,
            Err(_) => kind,
        };
        let authority = Self {
            folder,
            kind,
            turn: Mutex::new(()),
        };
        let turn = authority.turn().await;
        std::fs::create_dir_all(turn.path("issued"))?;
        turn.put("ca.cnf", config(base, kind.hash()))?;
        if !turn.path("kind").exists() {
            for (name, first) in [
                ("index.txt", ""),
                ("stamp_serial", "01"),
                ("number", "0"),
                ("base.txt", ""),
            ] {
                turn.put(name, first)?;
            }
            turn.make_key("ca").await?;
            turn.make_key("stranger").await?;
            let mut words = vec!["req", "-x509", "-new", "-key", "ca.key", "-config", "ca.cnf"];
            words.extend(["-extensions", "root", "-days", "3650", "-out", "ca.pem", "-subj"]);
            // Authorities of one name are one authority to who reads their lists.
            let subject = format!("/C=CN/O=试验认证机构/CN=试验根 {}", kind.name());
            words.push(&subject);
            turn.openssl(&turn.signing(&words, "-sigopt")).await?;
            turn.openssl(&["x509", "-in", "ca.pem", "-outform", "DER", "-out", "ca.cer"])
                .await?;
            for (name, profile) in [("responder", "answers"), ("stamps", "stamps"), ("bystander", "person")] {
                turn.issue(name, &format!("/CN={name}"), profile, None).await?;
            }
            turn.publish(true).await?;
            turn.publish(false).await?;
            turn.put("kind", kind.name())?;
        }
        drop(turn);
        Ok(authority)
    }

    pub(crate) async fn turn(&self) -> Turn<'_> {
        Turn {
            authority: self,
            _held: self.turn.lock().await,
        }
    }
}

impl Turn<'_> {
    pub(crate) fn kind(&self) -> Kind {
        self.authority.kind
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.authority.folder.join(name)
    }

    pub(crate) fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        std::fs::write(self.path(name), bytes)
    }

    pub(crate) fn get(&self, name: &str) -> io::Result<Vec<u8>> {
        std::fs::read(self.path(name))
    }

    pub(crate) fn text(&self, name: &str) -> io::Result<String> {
        std::fs::read_to_string(self.path(name))
    }

    /// The words with the user id of SM2 and the digest where they are needed.
    pub(crate) fn signing<'a>(&self, words: &[&'a str], option: &'a str) -> Vec<&'a str> {
        let mut all = words.to_vec();
        if self.kind() == Kind::Sm2 {
            all.extend([option, SM2_ID]);
        }
        all
    }

    pub(crate) async fn openssl(&self, words: &[&str]) -> Result<(), CaError> {
        let out = Command::new("openssl")
            .args(words)
            .current_dir(&self.authority.folder)
            .stdin(Stdio::null())
            .output()
            .await?;
        if out.status.success() {
            return Ok(());
        }
        let said = [out.stdout, out.stderr].concat();
        Err(CaError::Openssl {
            command: words.join(" "),
            said: String::from_utf8_lossy(&said).into_owned(),
        })
    }

    async fn make_key(&self, name: &str) -> Result<(), CaError> {
        let file = format!("{name}.key");
        match self.kind() {
            Kind::Rsa => self.openssl(&["genrsa", "-out", &file, "2048"]).await,
            Kind::P256 => {
                self.openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", &file])
                    .await
            }
            Kind::Sm2 => {
                self.openssl(&["ecparam", "-name", "SM2", "-genkey", "-noout", "-out", &file])
                    .await
            }
        }
    }

    /// Issues `NAME.pem`: for the key of a request (PEM), or for a new key `NAME.key`.
    pub(crate) async fn issue(
        &self,
        name: &str,
        subject: &str,
        profile: &str,
        request: Option<&str>,
    ) -> Result<(), CaError> {
        if !PROFILES.contains(&profile) || !is_name(name) {
            return Err(CaError::Asked(format!(
                "profiles: {}; names: a-z 0-9 - _",
                PROFILES.join(" ")
            )));
        }
        let (csr, pem, key) = (format!("{name}.csr"), format!("{name}.pem"), format!("{name}.key"));
        match request {
            Some(request) => self.put(&csr, request)?,
            None => {
                self.make_key(name).await?;
                let words = [
                    "req", "-new", "-utf8", "-key", &key, "-config", "ca.cnf", "-subj", subject, "-out", &csr,
                ];
                self.openssl(&self.signing(&words, "-sigopt")).await?;
            }
        }
        let mut words = vec![
            "ca", "-batch", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key", "-notext",
        ];
        words.extend(["-extensions", profile, "-in", &csr, "-out", &pem]);
        if request.is_some() {
            words.extend(["-utf8", "-subj", subject]);
        }
        let words = self.signing(&words, "-sigopt");
        self.openssl(&self.signing(&words, "-vfyopt")).await
    }

    /// A certificate of the folder, DER.
    pub(crate) async fn certificate(&self, name: &str) -> Result<Vec<u8>, CaError> {
        let file = format!("{name}.pem");
        self.openssl(&["x509", "-in", &file, "-outform", "DER", "-out", "asked.cer"])
            .await?;
        Ok(self.get("asked.cer")?)
    }

    /// Signs some bytes with a key of the folder.
    pub(crate) async fn sign(&self, key: &str, bytes: &[u8]) -> Result<Vec<u8>, CaError> {
        self.put("to_sign", bytes)?;
        let (hash, file) = (format!("-{}", self.kind().hash()), format!("{key}.key"));
        let words = ["dgst", &hash, "-sign", &file, "-out", "signature"];
        let mut words = self.signing(&words, "-sigopt");
        words.push("to_sign");
        self.openssl(&words).await?;
        Ok(self.get("signature")?)
    }
}

fn is_name(name: &str) -> bool {
    let reserved = ["ca", "stranger"].contains(&name);
    !reserved
        && !name.is_empty()
        && Path::new(name).components().count() == 1
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b))
}
