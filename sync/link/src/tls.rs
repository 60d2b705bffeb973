//! Mutual TLS 1.3 on the one provider (ring), and whose certificate it is.
//!
//! An appliance's certificate names it in a SAN URI `urn:yiqiao:edge:{edge_id}`. Nothing else in the certificate, and
//! nothing the client says, is taken as its identity.

use std::sync::Arc;

use records::id::EdgeId;
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::LinkError;

/// Beginning of the SAN URI that names an appliance.
pub const EDGE_URN: &str = "urn:yiqiao:edge:";

/// Whether a server insists on a client certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificate {
    /// No certificate, no connection.
    Required,
    /// A presented certificate must be good, but there may be none (enrolment).
    Optional,
}

/// The appliance a certificate was issued to.
pub fn edge_of(certificate: &CertificateDer<'_>) -> Option<EdgeId> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let names = parsed.subject_alternative_name().ok()??;
    let mut urns = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => uri.strip_prefix(EDGE_URN),
        _ => None,
    });
    let edge = EdgeId::parse(urns.next()?)?;
    // Two names would let the reader of each pick another one.
    urns.next().is_none().then_some(edge)
}

fn refused(e: impl std::fmt::Display) -> LinkError {
    LinkError::Tls(e.to_string())
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A pool of trust anchors.
pub fn roots<'a>(anchors: impl IntoIterator<Item = &'a CertificateDer<'a>>) -> Result<RootCertStore, LinkError> {
    let mut store = RootCertStore::empty();
    for anchor in anchors {
        store.add(anchor.clone().into_owned()).map_err(refused)?;
    }
    Ok(store)
}

/// The dialling end: trusts `roots` and proves itself with whatever `key` resolves to, e.g. a key inside a TPM.
pub fn client_config(roots: RootCertStore, key: Arc<dyn ResolvesClientCert>) -> Result<ClientConfig, LinkError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(refused)?;
    let mut config = builder.with_root_certificates(roots).with_client_cert_resolver(key);
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The dialling end with a key from a file.
pub fn client_config_with_key(
    roots: RootCertStore,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ClientConfig, LinkError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(refused)?;
    let mut config = builder
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(refused)?;
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The listening end: client certificates must come from `clients`.
pub fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    clients: RootCertStore,
    demand: ClientCertificate,
) -> Result<ServerConfig, LinkError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(clients), provider());
    let verifier = match demand {
        ClientCertificate::Required => verifier,
        ClientCertificate::Optional => verifier.allow_unauthenticated(),
    };
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(refused)?;
    let mut config = builder
        .with_client_cert_verifier(verifier.build().map_err(refused)?)
        .with_single_cert(chain, key)
        .map_err(refused)?;
    // No resumption: every connection proves that it holds the key now.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}
