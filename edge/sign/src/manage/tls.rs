//! TLS of the two interfaces. A certificate is made by this server at its first start unless one is configured; its key
//! lies wrapped in the state file, never plain on disk. Another one may be imported at any time.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use gm::certificate::{AlternativeName, Draft, Extras, Purpose};
use gm::key::{P256Key, Signer, Sm2Key};
use gm::{Certificate, Identity};
use records::Timestamp;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};
use time::Duration;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::{Manage, bundle};
use crate::Refusal;
use crate::engine::{Engine, open_key};
use crate::http;
use crate::keys::from_pfx;
use crate::vault::TlsRow;
use crate::wrap::{self, Wrapping};

/// Browsers accept no longer validity.
const DAYS: i64 = 820;
/// An own certificate is made anew when it ends within this many days.
const RENEW_DAYS: i64 = 30;
/// A certificate begins a little earlier: a time server may set the clock back.
const EARLIER: Duration = Duration::minutes(10);

/// An HTTPS interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Interface {
    /// The management page.
    Manage,
    /// Applications.
    Service,
    /// Applications, by SM2, SM3 and SM4 (国密, RFC 8998).
    #[serde(rename = "service-sm")]
    ServiceSm,
}

impl Interface {
    fn name(self) -> &'static str {
        match self {
            Self::Manage => "manage",
            Self::Service => "service",
            Self::ServiceSm => "service-sm",
        }
    }

    fn person(self) -> &'static str {
        match self {
            Self::Manage => "管理页面",
            Self::Service => "应用接口",
            Self::ServiceSm => "应用接口（国密）",
        }
    }

    fn owner(self) -> String {
        format!("tls {}", self.name())
    }
}

/// Where a certificate comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Source {
    /// Made by this server.
    Own,
    /// Imported on the page.
    Imported,
    /// Named in the settings file; changed there.
    File,
}

/// The certificate in use of an interface. Before there is one, handshakes are refused.
pub struct Watched {
    pub(crate) interface: Interface,
    names: Vec<AlternativeName>,
    files: bool,
    provider: Arc<CryptoProvider>,
    current: Arc<Current>,
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched")
            .field("interface", &self.interface)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Current(RwLock<Option<Arc<CertifiedKey>>>);

impl Current {
    fn get(&self) -> Option<Arc<CertifiedKey>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.get()
    }
}

impl Watched {
    /// For an interface that is reached under these names and addresses.
    #[must_use]
    pub fn new(interface: Interface, names: &[String], listen: IpAddr, provider: Arc<CryptoProvider>) -> Self {
        let mut all: Vec<AlternativeName> = names.iter().map(|name| named(name)).collect();
        if !listen.is_unspecified() {
            all.push(AlternativeName::Ip(listen));
        }
        for usual in ["localhost", "127.0.0.1", "::1"] {
            all.push(named(usual));
        }
        let mut once: Vec<AlternativeName> = Vec::new();
        for name in all {
            if !once.contains(&name) {
                once.push(name);
            }
        }
        Self {
            interface,
            names: once,
            files: false,
            provider,
            current: Arc::default(),
        }
    }

    /// With a certificate and key from files, which the page shows and does not change.
    #[must_use]
    pub fn with_files(mut self, key: CertifiedKey) -> Self {
        self.files = true;
        self.put(Arc::new(key));
        self
    }

    /// The certificate in use, for a connection that chooses between two.
    #[must_use]
    pub fn following(&self) -> Arc<dyn ResolvesServerCert> {
        Arc::clone(&self.current) as _
    }

    /// TLS settings that follow the certificate.
    pub fn config(&self) -> Result<ServerConfig, rustls::Error> {
        http::tls::following(Arc::clone(&self.provider), Arc::clone(&self.current) as _)
    }

    /// Opens the certificate's key, made at first need. It needs the TPM.
    pub fn open(&self, engine: &Engine) -> Result<(), Refusal> {
        if self.files {
            return Ok(());
        }
        let now = engine.trusted_now().unwrap_or_else(|_| engine.clock.now());
        let kept = engine.vault.read(|unit| unit.tls_identity(self.interface.name()))?;
        let soon = now.offset() + Duration::days(RENEW_DAYS);
        let row = match kept {
            Some(row) if !(row.own && certificates(&row.chain)?.first().is_none_or(|own| own.not_after < soon)) => row,
            _ => self.make(engine, "", now)?,
        };
        let secret = open_key(&engine.kek()?, &row.wrapped, &self.interface.owner(), "TLS key")?;
        let chain = certificates(&row.chain)?;
        self.put(Arc::new(self.certified(&chain, &secret)?));
        Ok(())
    }

    /// Makes a new key and certificate, and takes them into use.
    pub(crate) fn renew(&self, engine: &Engine, by: &str) -> Result<(), Refusal> {
        self.may_change()?;
        self.make(engine, by, engine.clock.now())?;
        self.open(engine)
    }

    /// Takes a certificate and key that were made elsewhere: files of certificates and a key's, or all in one PFX.
    pub(crate) fn import(
        &self,
        engine: &Engine,
        by: &str,
        files: &[Vec<u8>],
        key: &[u8],
        password: &str,
    ) -> Result<(), Refusal> {
        self.may_change()?;
        let (key, mut all) = match from_pfx(key, password)? {
            Some(both) => both,
            None => (private_key(key)?, Vec::new()),
        };
        for file in files {
            all.extend(bundle::certificates(file)?);
        }
        let now = engine.clock.now();
        let chain = self.ordered(all, &key)?;
        if let Some(own) = chain.first() {
            own.is_valid_at(now.offset())?;
        }
        self.certified(&chain, &key)?;
        let row = self.row(engine, &chain, &key, false, now)?;
        engine.vault.write(|unit| {
            unit.put_tls_identity(&row)?;
            let serial = chain.first().map(Certificate::serial_hex).unwrap_or_default();
            unit.log(
                now,
                "tls.imported",
                by,
                &format!("{} serial {serial}", self.interface.name()),
            )
        })?;
        self.open(engine)
    }

    /// Where the certificate comes from, and the certificate.
    pub(crate) fn shown(&self, engine: &Engine) -> Result<(Source, Vec<Certificate>), Refusal> {
        let own = engine
            .vault
            .read(|unit| unit.tls_identity(self.interface.name()))?
            .is_none_or(|row| row.own);
        let source = match (self.files, own) {
            (true, _) => Source::File,
            (false, true) => Source::Own,
            (false, false) => Source::Imported,
        };
        let key = self.current.get();
        let chain = key.iter().flat_map(|key| &key.cert).map(|der| Certificate::parse(der));
        Ok((source, chain.collect::<Result<_, _>>()?))
    }

    fn put(&self, key: Arc<CertifiedKey>) {
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = Some(key);
    }

    fn may_change(&self) -> Result<(), Refusal> {
        if self.files {
            return Err(Refusal::no("tls_file", "该接口的证书由配置文件指定，请修改配置文件。"));
        }
        Ok(())
    }

    fn make(&self, engine: &Engine, by: &str, now: Timestamp) -> Result<TlsRow, Refusal> {
        let (secret, key) = new_key(self.interface)?;
        let subject = Identity {
            country: "CN".to_owned(),
            organization: "Yiqiao signd".to_owned(),
            common_name: match self.names.first() {
                Some(AlternativeName::Dns(name)) => name.clone(),
                Some(AlternativeName::Ip(address)) => address.to_string(),
                _ => "signd".to_owned(),
            },
            ..Identity::default()
        };
        let draft = Draft {
            serial: wrap::random()?,
            subject: &subject,
            public_key: key.public_key(),
            purpose: Purpose::TlsServer,
            not_before: now.offset() - EARLIER,
            not_after: now.offset() + Duration::days(DAYS),
        };
        let extras = Extras {
            names: self.names.clone(),
            ..Extras::default()
        };
        let certificate = draft.issue_with(None, &*key, &extras)?;
        let row = self.row(engine, std::slice::from_ref(&certificate), &secret, true, now)?;
        engine.vault.write(|unit| {
            unit.put_tls_identity(&row)?;
            let detail = format!("{} serial {}", self.interface.name(), certificate.serial_hex());
            unit.log(now, "tls.made", by, &detail)
        })?;
        Ok(row)
    }

    fn row(
        &self,
        engine: &Engine,
        chain: &[Certificate],
        secret: &[u8],
        own: bool,
        now: Timestamp,
    ) -> Result<TlsRow, Refusal> {
        let owner = self.interface.owner();
        Ok(TlsRow {
            name: self.interface.name().to_owned(),
            wrapped: Wrapping::derive(&engine.kek()?, None, &owner)?.wrap(secret, &owner)?,
            chain: chain
                .iter()
                .flat_map(|certificate| certificate.der.iter().copied())
                .collect(),
            own,
            made_at: now,
        })
    }

    /// The key's certificate first, then those above it.
    fn ordered(&self, all: Vec<Certificate>, key: &[u8]) -> Result<Vec<Certificate>, Refusal> {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.to_vec()));
        let key = self
            .provider
            .key_provider
            .load_private_key(key)
            .map_err(|_| unusable())?;
        let spki = key.public_key().ok_or_else(unusable)?;
        bundle::path_of(&spki, all)
    }

    fn certified(&self, chain: &[Certificate], secret: &[u8]) -> Result<CertifiedKey, Refusal> {
        let chain = chain
            .iter()
            .map(|certificate| CertificateDer::from(certificate.der.clone()))
            .collect();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(secret.to_vec()));
        CertifiedKey::from_der(chain, key, &self.provider).map_err(|_| unusable())
    }
}

/// A key as PKCS#8, and ready to sign.
type NewKey = (Zeroizing<Vec<u8>>, Box<dyn Signer>);

/// A new key of the interface's kind.
fn new_key(interface: Interface) -> Result<NewKey, Refusal> {
    match interface {
        Interface::Manage | Interface::Service => {
            let secret = P256Key::generate()?;
            let key = P256Key::from_pkcs8(&secret)?;
            Ok((secret, Box::new(key)))
        }
        Interface::ServiceSm => {
            let key = Sm2Key::generate()?;
            Ok((key.to_pkcs8(), Box::new(key)))
        }
    }
}

impl Manage {
    pub(crate) fn watched(&self, interface: Interface) -> Result<&Arc<Watched>, Refusal> {
        let found = self.tls.iter().find(|watched| watched.interface == interface);
        found.ok_or_else(|| Refusal::no("interface_unknown", "没有开启这个接口。"))
    }
}

/// Ends of the interfaces' certificates.
pub(crate) fn ends(manage: &Manage) -> Result<Vec<(&'static str, Timestamp)>, Refusal> {
    let mut ends = Vec::new();
    for watched in &manage.tls {
        if let (_, [own, ..]) = (watched.interface, watched.shown(manage.engine())?.1.as_slice()) {
            ends.push((watched.interface.person(), Timestamp::from_offset(own.not_after)));
        }
    }
    Ok(ends)
}

fn named(name: &str) -> AlternativeName {
    name.parse()
        .map_or_else(|_| AlternativeName::Dns(name.to_owned()), AlternativeName::Ip)
}

fn certificates(chain: &[u8]) -> Result<Vec<Certificate>, Refusal> {
    let mut reader = gm::der::Reader::new(chain, "chain");
    let mut all = Vec::new();
    while !reader.is_empty() {
        all.push(Certificate::parse(reader.any()?.raw)?);
    }
    Ok(all)
}

/// PKCS#8 from PEM or DER.
fn private_key(file: &[u8]) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let key = match file.first() {
        Some(0x30) => PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(file.to_vec())),
        _ => PrivateKeyDer::from_pem_slice(file).map_err(|_| unusable())?,
    };
    match key {
        PrivateKeyDer::Pkcs8(key) => Ok(Zeroizing::new(key.secret_pkcs8_der().to_vec())),
        _ => Err(Refusal::no(
            "tls_key",
            "私钥应为不加密的 PKCS#8 格式（BEGIN PRIVATE KEY），或带口令的 PFX（.pfx、.p12）。",
        )),
    }
}

fn unusable() -> Refusal {
    Refusal::no(
        "tls_key",
        "私钥无法使用：应为不加密的 PKCS#8（RSA、P-256 或 P-384）或带口令的 PFX，且与证书一致。",
    )
}
