//! The device certificate authority: an offline root, an issuing authority, certificates for appliances and for the
//! servers they speak to. ECDSA P-256 throughout; beside it [`SmCa`], of SM2, for servers alone.
//!
//! In the directory: `root.key.pem` (to be taken offline: nothing but [`Ca::create`] needs it), `root.pem`,
//! `issuing.key.pem`, `issuing.pem`; the same with `sm-` before it; `roots.pem`, both roots for the appliances.

mod sm;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use records::Timestamp;
use records::id::EdgeId;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer};
use time::Duration;

pub use sm::SmCa;

/// Life of an appliance's certificate; renewed at two thirds.
pub const DEVICE_DAYS: i64 = 90;
const SERVER_DAYS: i64 = 365;
const ISSUING_DAYS: i64 = 10 * 365;
const ROOT_DAYS: i64 = 25 * 365;
/// Certificates begin a little earlier: clocks differ.
const EARLIER: Duration = Duration::minutes(5);

/// Why nothing was issued.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// The directory cannot be read or written.
    #[error("certificate authority at {path}: {cause}")]
    Storage {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A stored key or certificate is not one.
    #[error("certificate authority: stored material cannot be read: {0}")]
    Material(String),
    /// The certificate signing request is not signed by its key, or is not one.
    #[error("certificate request: {0}")]
    Request(String),
    /// The request's key is not the attested one.
    #[error("certificate request is for another key than the attested one")]
    OtherKey,
    /// A name that cannot stand in a certificate.
    #[error("name {0:?} cannot be certified")]
    Name(String),
}

impl From<gm::Refused> for CaError {
    fn from(refused: gm::Refused) -> Self {
        Self::Material(refused.to_string())
    }
}

impl From<rcgen::Error> for CaError {
    fn from(error: rcgen::Error) -> Self {
        Self::Material(error.to_string())
    }
}

/// A certificate that was issued.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The certificate, then the issuing authority's.
    pub chain: Vec<CertificateDer<'static>>,
    /// SHA-256 of the certificate, hex: what a peer's certificate is looked up by.
    pub fingerprint: String,
    /// Serial number, hex.
    pub serial: String,
    /// Start.
    pub not_before: Timestamp,
    /// End.
    pub not_after: Timestamp,
}

/// A server's certificate with its key.
#[derive(Debug)]
pub struct ServerIdentity {
    /// The certificate, then the issuing authority's.
    pub chain: Vec<CertificateDer<'static>>,
    /// PKCS#8, PEM.
    pub key_pem: String,
}

/// The issuing authority.
pub struct Ca {
    root: CertificateDer<'static>,
    issuing: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Ca {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ca").finish_non_exhaustive()
    }
}

/// SHA-256 of a certificate, hex.
#[must_use]
pub fn fingerprint(certificate: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
    hex::encode(digest)
}

/// The appliance named in a certificate's SAN URI `urn:yiqiao:edge:{edge_id}`.
///
/// Says nothing about who issued it: call it on a certificate that TLS has verified.
#[must_use]
pub fn edge_of(certificate: &[u8]) -> Option<EdgeId> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let names = parsed.subject_alternative_name().ok().flatten()?;
    let mut found = names.value.general_names.iter().filter_map(|name| match name {
        x509_parser::extensions::GeneralName::URI(uri) => uri.strip_prefix("urn:yiqiao:edge:"),
        _ => None,
    });
    let edge = found.next()?;
    if found.next().is_some() {
        return None;
    }
    EdgeId::parse(edge)
}

impl Ca {
    /// Opens the authority in `dir`, or makes one when the directory has none.
    pub fn open_or_create(dir: &Path, now: Timestamp) -> Result<Self, CaError> {
        if dir.join("issuing.pem").exists() {
            Self::open(dir)
        } else {
            Self::create(dir, now)
        }
    }

    /// Makes root and issuing authority.
    pub fn create(dir: &Path, now: Timestamp) -> Result<Self, CaError> {
        std::fs::create_dir_all(dir).map_err(|cause| CaError::Storage {
            path: dir.to_owned(),
            cause,
        })?;
        let (root_key, issuing_key) = (KeyPair::generate()?, KeyPair::generate()?);
        let root_params = authority("医桥设备根证书", now, ROOT_DAYS, 1);
        let root = root_params.self_signed(&root_key)?;
        let root_issuer = Issuer::from_params(&root_params, &root_key);
        let issuing = authority("医桥设备签发证书", now, ISSUING_DAYS, 0).signed_by(&issuing_key, &root_issuer)?;
        for (name, text, mode) in [
            ("root.key.pem", root_key.serialize_pem(), 0o600),
            ("root.pem", root.pem(), 0o644),
            ("issuing.key.pem", issuing_key.serialize_pem(), 0o600),
            ("issuing.pem", issuing.pem(), 0o644), // last: its presence says the authority is whole
        ] {
            write_new(&dir.join(name), &text, mode)?;
        }
        Self::open(dir)
    }

    /// Opens the authority in `dir`. The root's key is not needed.
    pub fn open(dir: &Path) -> Result<Self, CaError> {
        let read = |name: &str| {
            let path = dir.join(name);
            std::fs::read_to_string(&path).map_err(|cause| CaError::Storage { path, cause })
        };
        let certificate = |name: &str| -> Result<CertificateDer<'static>, CaError> {
            CertificateDer::from_pem_slice(read(name)?.as_bytes())
                .map_err(|error| CaError::Material(format!("{name}: {error}")))
        };
        let (root, issuing) = (certificate("root.pem")?, certificate("issuing.pem")?);
        let key = KeyPair::from_pem(&read("issuing.key.pem")?)?;
        let issuer = Issuer::from_ca_cert_der(&issuing, key)?;
        Ok(Self { root, issuing, issuer })
    }

    /// The root, to be pinned by both sides.
    #[must_use]
    pub fn root(&self) -> &CertificateDer<'static> {
        &self.root
    }

    /// Issues an appliance's certificate for the key that was attested.
    pub fn issue_device(
        &self,
        csr: &[u8],
        attested_point: &[u8; 65],
        edge: &EdgeId,
        now: Timestamp,
    ) -> Result<Issued, CaError> {
        let request = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(csr))
            .map_err(|error| CaError::Request(error.to_string()))?;
        if request.public_key.der_bytes() != attested_point {
            return Err(CaError::OtherKey);
        }
        // Nothing the request asks for is taken over but its key.
        let mut params = leaf(edge.as_str(), now, DEVICE_DAYS);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let uri = format!("urn:yiqiao:edge:{edge}");
        let uri = uri.clone().try_into().map_err(|_| CaError::Name(uri))?;
        params.subject_alt_names = vec![SanType::URI(uri)];
        let certificate = params.signed_by(&request.public_key, &self.issuer)?;
        self.issued(&params, &certificate)
    }

    /// Issues a server's certificate with a new key, for these host names and addresses.
    pub fn issue_server(&self, names: &[&str], now: Timestamp) -> Result<ServerIdentity, CaError> {
        let key = KeyPair::generate()?;
        let mut params = leaf(names.first().copied().unwrap_or("cloud"), now, SERVER_DAYS);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        for name in names {
            params.subject_alt_names.push(match name.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName((*name).try_into().map_err(|_| CaError::Name((*name).to_owned()))?),
            });
        }
        let certificate = params.signed_by(&key, &self.issuer)?;
        let chain = vec![certificate.der().clone(), self.issuing.clone()];
        Ok(ServerIdentity {
            chain,
            key_pem: key.serialize_pem(),
        })
    }

    /// Issues a certificate with a new key for a client that is no appliance, e.g. ourselves at a broker of others.
    pub fn issue_client(&self, name: &str, now: Timestamp) -> Result<ServerIdentity, CaError> {
        let key = KeyPair::generate()?;
        let mut params = leaf(name, now, SERVER_DAYS);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(ServerIdentity {
            chain: vec![certificate.der().clone(), self.issuing.clone()],
            key_pem: key.serialize_pem(),
        })
    }

    fn issued(&self, params: &CertificateParams, certificate: &Certificate) -> Result<Issued, CaError> {
        let serial = params
            .serial_number
            .as_ref()
            .map(|s| hex::encode(s.as_ref()))
            .unwrap_or_default();
        Ok(Issued {
            fingerprint: fingerprint(certificate.der()),
            serial,
            not_before: Timestamp::from_offset(params.not_before),
            not_after: Timestamp::from_offset(params.not_after),
            chain: vec![certificate.der().clone(), self.issuing.clone()],
        })
    }
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CountryName, "CN");
    name.push(DnType::OrganizationName, "医桥");
    name.push(DnType::CommonName, common_name);
    name
}

fn leaf(common_name: &str, now: Timestamp, days: i64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(common_name);
    let seconds = Timestamp::from_seconds(now.as_seconds()).offset();
    params.not_before = seconds - EARLIER;
    params.not_after = seconds + Duration::days(days);
    params.use_authority_key_identifier_extension = true;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let mut serial = [0u8; 16];
    if ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut serial).is_ok() {
        if let Some(first) = serial.first_mut() {
            *first = (*first & 0x7f) | 0x40;
        }
        params.serial_number = Some(SerialNumber::from_slice(&serial));
    }
    params
}

fn authority(common_name: &str, now: Timestamp, days: i64, below: u8) -> CertificateParams {
    let mut params = leaf(common_name, now, days);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Writes a new file durably; an existing one is never overwritten.
fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), CaError> {
    let storage = |cause| CaError::Storage {
        path: path.to_owned(),
        cause,
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(storage)?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(storage)?;
    if let Some(dir) = path.parent() {
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(storage)?;
    }
    Ok(())
}
