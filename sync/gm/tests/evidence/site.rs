//! An authority run by openssl, of each kind of key; and one of our own.

use std::path::Path;
use std::process::Command;
use std::sync::{LazyLock, Mutex, PoisonError};

use gm::certificate::{Draft, Extras, Purpose};
use gm::evidence::Moment;
use gm::key::{P256Key, Signer};
use gm::{Certificate, Identity, Sm2Key};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};

pub(crate) const SM2_ID: &str = "distid:1234567812345678";

/// The kind of key of an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Rsa,
    P256,
    Sm2,
}

/// An authority run by openssl.
pub(crate) struct Site {
    pub(crate) kind: Kind,
    folder: TempDir,
    /// One command at a time: openssl keeps its books in files.
    turn: Mutex<()>,
}

static SITES: LazyLock<[Site; 3]> = LazyLock::new(|| [Kind::Rsa, Kind::P256, Kind::Sm2].map(Site::new));

pub(crate) fn sites() -> &'static [Site; 3] {
    &SITES
}

const CONFIG: &str = "
[ca]
default_ca = books
[books]
database = index.txt
serial = serial
crlnumber = number
rand_serial = yes
new_certs_dir = .
default_md = sha256
policy = names
default_days = 365
default_crl_days = 7
unique_subject = no
[names]
commonName = supplied
[req]
distinguished_name = nothing
[nothing]
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[person]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature, nonRepudiation
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
crlDistributionPoints = URI:http://ca.example/all.crl
authorityInfoAccess = OCSP;URI:http://ca.example/ocsp, caIssuers;URI:http://ca.example/ca.cer
[stamps]
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
[answers]
keyUsage = critical, digitalSignature
extendedKeyUsage = OCSPSigning
noCheck = ignored
[full]
authorityKeyIdentifier = keyid
[people_only]
issuingDistributionPoint = critical, @people_only_point
[people_only_point]
onlyuser = TRUE
[authorities_only]
issuingDistributionPoint = critical, @authorities_only_point
[authorities_only_point]
onlyCA = TRUE
[indirect]
issuingDistributionPoint = critical, @indirect_point
[indirect_point]
fullname = URI:http://ca.example/all.crl
indirectCRL = TRUE
[some_reasons]
issuingDistributionPoint = critical, @some_reasons_point
[some_reasons_point]
fullname = URI:http://ca.example/all.crl
onlysomereasons = keyCompromise
[point_here]
issuingDistributionPoint = critical, @point_here_point
[point_here_point]
fullname = URI:http://ca.example/all.crl
[point_elsewhere]
issuingDistributionPoint = critical, @point_elsewhere_point
[point_elsewhere_point]
fullname = URI:http://ca.example/other.crl
[unknown_critical]
1.2.3.4 = critical, DER:0500
[unit]
serial = stamps
signer_cert = tsa.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1, millisecs:500
ordering = yes
tsa_name = yes
ess_cert_id_alg = sha256
[unit_old]
serial = stamps
signer_cert = tsa.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ess_cert_id_alg = sha1
";

impl Site {
    fn new(kind: Kind) -> Self {
        let site = Self {
            kind,
            folder: TempDir::new().expect("folder"),
            turn: Mutex::new(()),
        };
        site.put("ca.cnf", CONFIG);
        site.put("index.txt", "");
        site.put("number", "01");
        site.put("stamps", "01");
        site.key("ca");
        let (sign, hash) = (site.sign_option(), site.hash());
        site.run(&format!(
            "req -x509 -new -key ca.key {sign} -{hash} -config ca.cnf -extensions root -subj /CN=Authority -days 3650 -out ca.pem"
        ));
        for (name, section) in [
            ("good", "person"),
            ("stolen", "person"),
            ("replaced", "person"),
            ("held", "person"),
            ("tsa", "stamps"),
            ("responder", "answers"),
        ] {
            site.issue(name, section);
        }
        for (name, reason) in [
            ("stolen", "keyCompromise"),
            ("replaced", "superseded"),
            ("held", "certificateHold"),
        ] {
            site.run(&format!(
                "ca -config ca.cnf -cert ca.pem -keyfile ca.key -revoke {name}.pem -crl_reason {reason}"
            ));
        }
        site
    }

    fn key(&self, name: &str) {
        self.run(&match self.kind {
            Kind::Rsa => format!("genrsa -out {name}.key 2048"),
            Kind::P256 => format!("ecparam -name prime256v1 -genkey -noout -out {name}.key"),
            Kind::Sm2 => format!("ecparam -name SM2 -genkey -noout -out {name}.key"),
        });
    }

    fn issue(&self, name: &str, section: &str) {
        self.key(name);
        let (sign, verify, hash) = (self.sign_option(), self.verify_option(), self.hash());
        self.run(&format!(
            "req -new -key {name}.key {sign} -{hash} -config ca.cnf -subj /CN={name} -out {name}.csr"
        ));
        self.run(&format!(
            "ca -batch -config ca.cnf -cert ca.pem -keyfile ca.key {sign} {verify} -md {hash} -extensions {section} -in {name}.csr -notext -out {name}.pem"
        ));
    }

    pub(crate) fn sign_option(&self) -> String {
        self.option("-sigopt")
    }

    fn verify_option(&self) -> String {
        self.option("-vfyopt")
    }

    fn option(&self, name: &str) -> String {
        match self.kind {
            Kind::Sm2 => format!("{name} {SM2_ID}"),
            _ => String::new(),
        }
    }

    pub(crate) fn hash(&self) -> &'static str {
        match self.kind {
            Kind::Sm2 => "sm3",
            _ => "sha256",
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path().join(name), bytes).expect("written");
    }

    pub(crate) fn get(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path().join(name)).expect("read")
    }

    /// Runs `openssl` with these words (split at spaces); whether it succeeded, and all it said.
    pub(crate) fn tried(&self, words: &str) -> (bool, String) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let out = Command::new("openssl")
            .args(words.split_ascii_whitespace())
            .current_dir(self.path())
            .output()
            .expect("openssl is installed");
        let said = [out.stdout, out.stderr].concat();
        (out.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    pub(crate) fn run(&self, words: &str) -> String {
        let (well, said) = self.tried(words);
        assert!(well, "openssl {words}: {said}");
        said
    }

    pub(crate) fn certificate(&self, name: &str) -> Certificate {
        self.run(&format!("x509 -in {name}.pem -outform DER -out {name}.der"));
        Certificate::parse(&self.get(&format!("{name}.der"))).expect("certificate")
    }

    pub(crate) fn root(&self) -> Certificate {
        self.certificate("ca")
    }

    /// A list with these extensions, or of version 1 without any.
    pub(crate) fn list(&self, extensions: Option<&str>, name: &str) -> Vec<u8> {
        let (sign, hash) = (self.sign_option(), self.hash());
        let extensions = extensions.map_or_else(String::new, |section| format!("-crlexts {section}"));
        self.run(&format!(
            "ca -gencrl -config ca.cnf -cert ca.pem -keyfile ca.key {sign} -md {hash} {extensions} -out {name}.pem"
        ));
        self.run(&format!("crl -in {name}.pem -outform DER -out {name}.der"));
        self.get(&format!("{name}.der"))
    }
}

/// The present, in which openssl works.
pub(crate) fn present() -> Moment {
    Moment::present(OffsetDateTime::now_utc())
}

/// An authority of our own, with a key of either kind.
pub(crate) struct Own {
    pub(crate) key: Box<dyn Signer>,
    pub(crate) root: Certificate,
}

pub(crate) fn sm2() -> Box<dyn Signer> {
    Box::new(Sm2Key::generate().expect("key"))
}

pub(crate) fn p256() -> Box<dyn Signer> {
    Box::new(P256Key::from_pkcs8(&P256Key::generate().expect("key")).expect("key"))
}

pub(crate) fn named(name: &str) -> Identity {
    Identity {
        common_name: name.to_owned(),
        ..Identity::default()
    }
}

impl Own {
    pub(crate) fn new(name: &str, key: Box<dyn Signer>) -> Self {
        let root = issue(
            name,
            key.as_ref(),
            Purpose::Authority { path_length: 2 },
            1,
            (None, key.as_ref()),
        );
        Self { key, root }
    }

    pub(crate) fn issue(&self, name: &str, key: &dyn Signer, purpose: Purpose, serial: u8) -> Certificate {
        issue(name, key, purpose, serial, (Some(&self.root), self.key.as_ref()))
    }

    /// A certificate that says where its list is.
    pub(crate) fn issue_with_list(&self, key: &dyn Signer, serial: u8, address: &str) -> Certificate {
        let extras = Extras {
            crls: vec![address.to_owned()],
            ..Extras::default()
        };
        let subject = named("somebody");
        draft(&subject, key, Purpose::Documents, serial)
            .issue_with(Some(&self.root), self.key.as_ref(), &extras)
            .expect("issued")
    }
}

fn draft<'a>(subject: &'a Identity, key: &'a dyn Signer, purpose: Purpose, serial: u8) -> Draft<'a> {
    let now = OffsetDateTime::now_utc().replace_nanosecond(0).expect("time");
    Draft {
        serial: [serial; 16],
        subject,
        public_key: key.public_key(),
        purpose,
        not_before: now - Duration::days(10),
        not_after: now + Duration::days(355),
    }
}

pub(crate) fn issue(
    name: &str,
    key: &dyn Signer,
    purpose: Purpose,
    serial: u8,
    by: (Option<&Certificate>, &dyn Signer),
) -> Certificate {
    let subject = named(name);
    draft(&subject, key, purpose, serial).issue(by.0, by.1).expect("issued")
}

/// Calls with every byte changed by one bit, one after another; longer inputs by steps.
pub(crate) fn each_bent(bytes: &[u8], mut check: impl FnMut(usize, &[u8])) {
    let mut bent = bytes.to_vec();
    for at in 0..bytes.len() {
        bent[at] ^= 1 << (at % 8);
        check(at, &bent);
        bent[at] = bytes[at];
    }
}

/// openssl says that this signature by this key holds over these bytes.
pub(crate) fn dgst_verifies(site: &Site, spki: &[u8], message: &[u8], signature: &[u8], tag: &str) {
    site.put(&format!("{tag}.spki"), spki);
    site.put(&format!("{tag}.msg"), message);
    site.put(&format!("{tag}.sig"), signature);
    site.run(&format!("pkey -pubin -inform DER -in {tag}.spki -out {tag}.pub"));
    let (option, hash) = (site.sign_option(), site.hash());
    let said = site.run(&format!(
        "dgst -{hash} {option} -verify {tag}.pub -signature {tag}.sig {tag}.msg"
    ));
    assert!(said.contains("Verified OK"), "{said}");
}
