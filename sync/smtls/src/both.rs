//! A server with two certificates: SM for who will speak SM, classic for the others.

use std::sync::Arc;

use rustls::CipherSuite;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::{SCHEME, SUITE};

/// Chooses by the client's order of suites, as `rustls` chooses the suite: the certificate is of the kind of the suite.
#[derive(Debug)]
pub struct Both {
    sm: Arc<CertifiedKey>,
    classic: Arc<CertifiedKey>,
    suites: Vec<CipherSuite>,
}

impl Both {
    /// `provider` is the server's.
    #[must_use]
    pub fn new(sm: Arc<CertifiedKey>, classic: Arc<CertifiedKey>, provider: &rustls::crypto::CryptoProvider) -> Self {
        let suites = provider.cipher_suites.iter().map(|suite| suite.suite()).collect();
        Self { sm, classic, suites }
    }
}

impl ResolvesServerCert for Both {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let chosen = hello.cipher_suites().iter().find(|suite| self.suites.contains(suite));
        let sm = chosen == Some(&SUITE) && hello.signature_schemes().contains(&SCHEME);
        Some(Arc::clone(if sm { &self.sm } else { &self.classic }))
    }
}
