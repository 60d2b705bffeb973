//! The SM2 authority of the cloud's servers, for lines that speak RFC 8998. Appliances get no certificate of it: their keys
//! live in TPMs, which have no SM2.

use std::net::IpAddr;
use std::path::Path;

use gm::certificate::{AlternativeName, Draft, Extras, Purpose};
use gm::key::{Signer, Sm2Key};
use gm::pkcs8::PrivateKey;
use gm::{Certificate, Identity, PublicKey};
use records::Timestamp;
use rustls_pki_types::CertificateDer;
use time::Duration;
use zeroize::Zeroizing;

use crate::{CaError, EARLIER, ISSUING_DAYS, ROOT_DAYS, SERVER_DAYS, ServerIdentity, write_new};

/// The bundle for appliances.
const ROOTS: &str = "roots.pem";

/// The issuing authority.
pub struct SmCa {
    root: Certificate,
    issuing: Certificate,
    key: Sm2Key,
}

impl std::fmt::Debug for SmCa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SmCa").finish_non_exhaustive()
    }
}

impl SmCa {
    /// Opens the authority in `dir`, or makes one when the directory has none. `roots.pem` holds its root and the classic one
    /// afterwards.
    pub fn open_or_create(dir: &Path, now: Timestamp) -> Result<Self, CaError> {
        let authority = |path_length| Purpose::Authority { path_length };
        // Each file is made only where it is missing, so that a start that was killed goes on where it stood; a certificate
        // whose key is gone (a root whose key is offline) is never made anew.
        let root = kept_certificate(dir, "sm-root.pem", || {
            let key = kept_key(dir, "sm-root.key.pem")?;
            let name = named("医桥设备国密根证书");
            Ok(draft(&name, key.public_key(), authority(1), now, ROOT_DAYS)?.issue(None, &key)?)
        })?;
        let issuing = kept_certificate(dir, "sm-issuing.pem", || {
            let (root_key, key) = (read_key(dir, "sm-root.key.pem")?, kept_key(dir, "sm-issuing.key.pem")?);
            let name = named("医桥设备国密签发证书");
            let issuing = draft(&name, key.public_key(), authority(0), now, ISSUING_DAYS)?;
            Ok(issuing.issue(Some(&root), &root_key)?)
        })?;
        let key = read_key(dir, "sm-issuing.key.pem")?;
        if *key.public_key() != issuing.public_key {
            return Err(CaError::Material(
                "sm-issuing.key.pem is not the key of sm-issuing.pem".to_owned(),
            ));
        }
        let both = format!("{}{}", *read(dir, "root.pem")?, *read(dir, "sm-root.pem")?);
        if read(dir, ROOTS).is_ok_and(|kept| *kept != both) || !dir.join(ROOTS).exists() {
            let path = dir.join(ROOTS);
            let new = dir.join("roots.pem.new");
            let _ = std::fs::remove_file(&new);
            write_new(&new, &both, 0o644)?;
            std::fs::rename(&new, &path).map_err(|cause| CaError::Storage { path, cause })?;
        }
        Ok(Self { root, issuing, key })
    }

    /// The root, to be pinned by appliances.
    #[must_use]
    pub fn root(&self) -> CertificateDer<'static> {
        self.root.der.clone().into()
    }

    /// Issues a server's certificate with a new key, for these host names and addresses.
    pub fn issue_server(&self, names: &[&str], now: Timestamp) -> Result<ServerIdentity, CaError> {
        let key = Sm2Key::generate()?;
        let extras = Extras {
            names: names
                .iter()
                .map(|name| match name.parse::<IpAddr>() {
                    Ok(address) => Ok(AlternativeName::Ip(address)),
                    Err(_) if is_host(name) => Ok(AlternativeName::Dns((*name).to_owned())),
                    Err(_) => Err(CaError::Name((*name).to_owned())),
                })
                .collect::<Result<_, _>>()?,
            ..Extras::default()
        };
        let subject = named(names.first().copied().unwrap_or("cloud"));
        let draft = draft(&subject, key.public_key(), Purpose::TlsServer, now, SERVER_DAYS)?;
        let certificate = draft.issue_with(Some(&self.issuing), &self.key, &extras)?;
        Ok(ServerIdentity {
            chain: vec![certificate.der.into(), self.issuing.der.clone().into()],
            key_pem: pem(&key).to_string(),
        })
    }
}

fn read(dir: &Path, name: &str) -> Result<Zeroizing<String>, CaError> {
    let path = dir.join(name);
    std::fs::read_to_string(&path)
        .map(Zeroizing::new)
        .map_err(|cause| CaError::Storage { path, cause })
}

fn read_key(dir: &Path, name: &str) -> Result<Sm2Key, CaError> {
    match PrivateKey::from_file(read(dir, name)?.as_bytes(), None) {
        Ok(PrivateKey::Sm2(key)) => Ok(*key),
        Ok(_) => Err(CaError::Material(format!("{name} is no SM2 key"))),
        Err(refused) => Err(CaError::Material(format!("{name}: {refused}"))),
    }
}

/// The key of this file; a new one when there is none.
fn kept_key(dir: &Path, name: &str) -> Result<Sm2Key, CaError> {
    if dir.join(name).exists() {
        return read_key(dir, name);
    }
    let key = Sm2Key::generate()?;
    write_new(&dir.join(name), &pem(&key), 0o600)?;
    Ok(key)
}

/// The certificate of this file; a new one when there is none.
fn kept_certificate(
    dir: &Path,
    name: &str,
    make: impl FnOnce() -> Result<Certificate, CaError>,
) -> Result<Certificate, CaError> {
    if !dir.join(name).exists() {
        let text = gm::pem::write("CERTIFICATE", &make()?.der);
        write_new(&dir.join(name), &text, 0o644)?;
    }
    let bundle = gm::pem::read_bundle(read(dir, name)?.as_bytes());
    let first = bundle.map(|bundle| bundle.certificates.into_iter().next());
    match first {
        Ok(Some(certificate)) => Ok(certificate),
        Ok(None) => Err(CaError::Material(format!("{name} holds no certificate"))),
        Err(refused) => Err(CaError::Material(format!("{name}: {refused}"))),
    }
}

fn pem(key: &Sm2Key) -> Zeroizing<String> {
    Zeroizing::new(gm::pem::write("PRIVATE KEY", &key.to_pkcs8()))
}

fn is_host(name: &str) -> bool {
    let label = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    name.split('.').all(label)
}

fn named(common_name: &str) -> Identity {
    Identity {
        country: "CN".to_owned(),
        organization: "医桥".to_owned(),
        common_name: common_name.to_owned(),
        ..Identity::default()
    }
}

fn draft<'a>(
    subject: &'a Identity,
    public_key: &'a PublicKey,
    purpose: Purpose,
    now: Timestamp,
    days: i64,
) -> Result<Draft<'a>, CaError> {
    let mut serial = [0; 16];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut serial)
        .map_err(|_| CaError::Material("no randomness".to_owned()))?;
    let seconds = Timestamp::from_seconds(now.as_seconds()).offset();
    Ok(Draft {
        serial,
        subject,
        public_key,
        purpose,
        not_before: seconds - EARLIER,
        not_after: seconds + Duration::days(days),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::Ca;

    #[test]
    fn a_server_is_certified_under_a_root_that_stays_and_appliances_get_both_roots() {
        let dir = tempfile::tempdir().unwrap();
        let now = Timestamp::from_seconds(1_800_000_000);
        Ca::open_or_create(dir.path(), now).unwrap();
        let ca = SmCa::open_or_create(dir.path(), now).unwrap();
        let issued = ca.issue_server(&["cloud.example", "10.0.0.1"], now).unwrap();
        let trust = gm::Trust::new([ca.root()]).unwrap();
        let chain: Vec<_> = issued
            .chain
            .iter()
            .map(|der| Certificate::parse(der).unwrap())
            .collect();
        chain[0].is_issued_by(&chain[1]).unwrap();
        trust.path(&chain[1], &[], now.offset()).unwrap();
        assert_eq!(SmCa::open_or_create(dir.path(), now).unwrap().root(), ca.root());
        assert!(matches!(ca.issue_server(&["a b"], now), Err(CaError::Name(_))));

        let roots = std::fs::read(dir.path().join(ROOTS)).unwrap();
        let roots = gm::pem::read_bundle(&roots).unwrap().certificates;
        let kinds: Vec<_> = roots.iter().map(|root| root.public_key.kind()).collect();
        assert_eq!(kinds, [gm::key::Kind::P256, gm::key::Kind::Sm2]);
        for secret in ["sm-root.key.pem", "sm-issuing.key.pem"] {
            let mode = std::fs::metadata(dir.path().join(secret)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{secret}");
        }
    }
}
