use std::fmt;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::reading::Clocks;

/// Application protocol of the key exchange (RFC 8915, 4).
pub(super) const ALPN: &[u8] = b"ntske/1";

/// Certificates are judged by the time handed in. The best time known at that moment is the machine's own: who has no
/// time yet has nothing better (RFC 8915, 8.5), and a machine far off is told so by the refusal.
struct ByClocks(Arc<dyn Clocks>);

impl fmt::Debug for ByClocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByClocks")
    }
}

impl TimeProvider for ByClocks {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.read().wall.as_seconds()).ok()?;
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
    }
}

/// The certificates in a PEM text; `None` when there are none or one cannot be read.
pub(crate) fn certificates(pem: &str) -> Option<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.ok()?).ok()?;
    }
    (!roots.is_empty()).then_some(roots)
}

/// The roots this machine trusts.
pub(crate) fn machine_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    roots
}

/// TLS 1.3 and nothing older, without resumption: each exchange agrees keys of its own.
pub(crate) fn config(roots: RootCertStore, clocks: Arc<dyn Clocks>) -> Result<Arc<ClientConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_details(provider, Arc::new(ByClocks(clocks)))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}
