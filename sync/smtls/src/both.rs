//! A server with two certificates: SM for who will speak SM, classic for the others.

use std::sync::Arc;

use rustls::CipherSuite;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::{SCHEME, SUITE};

/// Chooses by the client's order of suites, as `rustls` chooses the suite: the certificate is of the kind of the suite.
#[derive(Debug)]
pub struct Both {
    sm: Arc<dyn ResolvesServerCert>,
    classic: Arc<dyn ResolvesServerCert>,
    suites: Vec<CipherSuite>,
}

/// A certificate that stays.
#[derive(Debug)]
struct Fixed(Arc<CertifiedKey>);

impl ResolvesServerCert for Fixed {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

impl Both {
    /// `provider` is the server's.
    #[must_use]
    pub fn new(sm: Arc<CertifiedKey>, classic: Arc<CertifiedKey>, provider: &rustls::crypto::CryptoProvider) -> Self {
        Self::following(Arc::new(Fixed(sm)), Arc::new(Fixed(classic)), provider)
    }

    /// Likewise with certificates that may change while it serves.
    #[must_use]
    pub fn following(
        sm: Arc<dyn ResolvesServerCert>,
        classic: Arc<dyn ResolvesServerCert>,
        provider: &rustls::crypto::CryptoProvider,
    ) -> Self {
        let suites = provider.cipher_suites.iter().map(|suite| suite.suite()).collect();
        Self { sm, classic, suites }
    }
}

impl ResolvesServerCert for Both {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let chosen = hello.cipher_suites().iter().find(|suite| self.suites.contains(suite));
        let sm = chosen == Some(&SUITE) && hello.signature_schemes().contains(&SCHEME);
        if sm { &self.sm } else { &self.classic }.resolve(hello)
    }
}
