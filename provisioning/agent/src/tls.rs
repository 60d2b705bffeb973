//! TLS with a key inside the TPM.

use std::sync::Arc;
use std::time::Duration;

use attest::identity::Identity;
use evidence::ecdsa_der;
use records::{Clock, Timestamp};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore, SignatureAlgorithm, SignatureScheme};
use smtls::Offer;

use crate::AgentError;

/// The device key as TLS and certificate requests use it.
#[derive(Debug, Clone)]
pub struct TpmKey {
    identity: Arc<Identity>,
    point: [u8; 65],
}

impl TpmKey {
    pub(crate) fn new(identity: Arc<Identity>) -> Result<Self, AgentError> {
        let public = evidence::TpmKey::parse(identity.device_key(), "device key")
            .map_err(|error| AgentError::Certificate(error.to_string()))?;
        let point = *public.point();
        Ok(Self { identity, point })
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        let mut digest = [0u8; 32];
        digest.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, message).as_ref());
        let signature = self.identity.sign(&digest).map_err(|error| error.to_string())?;
        Ok(ecdsa_der(&signature.r, &signature.s))
    }

    /// PKCS#10 for this key. The fleet takes nothing from it but the key, so it asks for nothing.
    pub(crate) fn request(&self) -> Result<Vec<u8>, AgentError> {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let request = params
            .serialize_request(self)
            .map_err(|error| AgentError::Certificate(error.to_string()))?;
        Ok(request.der().to_vec())
    }

    pub(crate) fn with_chain(self, chain: Vec<CertificateDer<'static>>) -> Arc<dyn ResolvesClientCert> {
        Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, Arc::new(self))))
    }
}

impl rcgen::PublicKeyData for TpmKey {
    fn der_bytes(&self) -> &[u8] {
        &self.point
    }
    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for TpmKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.signature(message).map_err(|error| {
            tracing::warn!(tpm.error = error, "certificate request not signed");
            rcgen::Error::RemoteKeyError
        })
    }
}

impl SigningKey for TpmKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered
            .contains(&SignatureScheme::ECDSA_NISTP256_SHA256)
            .then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }
    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for TpmKey {
    /// Blocks for as long as the chip needs: milliseconds in software, some hundred in hardware, once per connection.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        self.signature(message).map_err(rustls::Error::General)
    }
    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP256_SHA256
    }
}

/// The machine's clock, but never earlier than what is known to have passed: a flat battery must not cut the line.
#[derive(Clone)]
struct NotBefore {
    clock: Arc<dyn Clock>,
    floor: Timestamp,
}

impl std::fmt::Debug for NotBefore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NotBefore")
            .field("floor", &self.floor)
            .finish_non_exhaustive()
    }
}

impl TimeProvider for NotBefore {
    fn current_time(&self) -> Option<UnixTime> {
        let now = self.clock.now().max(self.floor);
        let seconds = u64::try_from(now.as_seconds()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// Whom an appliance trusts: the cloud's own authorities and nobody else, and which algorithms it speaks.
#[derive(Debug, Clone)]
pub struct Trust {
    roots: Arc<RootCertStore>,
    offer: Offer,
}

impl Trust {
    /// From a PEM file: the classic root, the SM root, or both.
    pub fn read(pem: &[u8], offer: Offer) -> Result<Self, AgentError> {
        let all = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
        let all = all.map_err(|error| AgentError::Certificate(format!("root certificates: {error}")))?;
        Self::new(all, offer)
    }

    /// Each kind of algorithms that is offered needs its root.
    pub fn new(all: impl IntoIterator<Item = CertificateDer<'static>>, offer: Offer) -> Result<Self, AgentError> {
        let wrong = |text: String| AgentError::Certificate(text);
        let mut roots = RootCertStore::empty();
        for certificate in all {
            roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
        }
        let has = |sm: bool| roots.roots.iter().any(|anchor| smtls::is_sm_anchor(anchor) == sm);
        if offer.has_sm() && !has(true) {
            return Err(wrong(format!(
                "tls = \"{offer}\" needs the cloud's SM root among the root certificates: use its ca/roots.pem"
            )));
        }
        if offer.has_classic() && !has(false) {
            return Err(wrong(format!(
                "tls = \"{offer}\" needs the cloud's classic root among the root certificates: use its ca/root.pem or ca/roots.pem"
            )));
        }
        let roots = Arc::new(roots);
        Ok(Self { roots, offer })
    }

    /// The algorithms.
    #[must_use]
    pub fn offer(&self) -> Offer {
        self.offer
    }
}

/// TLS 1.3 that trusts these roots only.
pub fn pinned(
    trust: &Trust,
    clock: Arc<dyn Clock>,
    floor: Timestamp,
    key: Option<Arc<dyn ResolvesClientCert>>,
) -> Result<ClientConfig, AgentError> {
    let wrong = |error: rustls::Error| AgentError::Certificate(error.to_string());
    let time = Arc::new(NotBefore { clock, floor });
    let builder = ClientConfig::builder_with_details(trust.offer.provider(), time)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(wrong)?
        .with_root_certificates(Arc::clone(&trust.roots));
    let mut config = match key {
        Some(key) => builder.with_client_cert_resolver(key),
        None => builder.with_no_client_auth(),
    };
    // Each connection proves the key anew, so that a revoked machine is out at its next one.
    config.resumption = Resumption::disabled();
    Ok(config)
}
