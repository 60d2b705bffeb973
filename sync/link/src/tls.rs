//! Mutual TLS 1.3, with classic (ring) or SM algorithms (`smtls`, RFC 8998) as configured, and whose certificate it is.
//!
//! With SM the suite (TLS_SM4_GCM_SM3), the group (curveSM2) and the server's certificate and signature (sm2sig_sm3) are of SM;
//! an appliance's certificate stays ECDSA P-256. TLS 1.3 negotiates the client's signature on its own, and the key that was
//! attested (EK, AK) lives in the TPM, whose chips have no SM2: an SM2 key beside it would be one that nobody attested.
//! Confidentiality, integrity and the server's identity rest on SM alone; whose appliance it is rests on the TPM.
//!
//! An appliance's certificate names it in a SAN URI `urn:yiqiao:edge:{edge_id}`. Nothing else in the certificate, and
//! nothing the client says, is taken as its identity.

use std::sync::Arc;

use records::id::EdgeId;
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use smtls::{Both, Missing};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::LinkError;

pub use smtls::Offer;

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

/// A pool of trust anchors.
pub fn roots<'a>(anchors: impl IntoIterator<Item = &'a CertificateDer<'a>>) -> Result<RootCertStore, LinkError> {
    let mut store = RootCertStore::empty();
    for anchor in anchors {
        store.add(anchor.clone().into_owned()).map_err(refused)?;
    }
    Ok(store)
}

/// The dialling end: trusts `roots` and proves itself with whatever `key` resolves to, e.g. a key inside a TPM.
pub fn client_config(
    offer: Offer,
    roots: RootCertStore,
    key: Arc<dyn ResolvesClientCert>,
) -> Result<ClientConfig, LinkError> {
    let builder = ClientConfig::builder_with_provider(offer.provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(refused)?;
    let mut config = builder.with_root_certificates(roots).with_client_cert_resolver(key);
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The dialling end with a key from a file.
pub fn client_config_with_key(
    offer: Offer,
    roots: RootCertStore,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ClientConfig, LinkError> {
    let key = certified(&Own { chain, key })?;
    client_config(offer, roots, Arc::new(SingleCertAndKey::from(key)))
}

/// A certificate chain, the own certificate first, with its key.
pub struct Own {
    /// The chain.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key.
    pub key: PrivateKeyDer<'static>,
}

/// What a listening end shows, and so which algorithms it speaks.
pub enum Show {
    /// Classic algorithms alone.
    Classic(Own),
    /// SM alone: a client without it gets the alert `handshake_failure`.
    Sm(Own),
    /// Both; the client's order decides.
    Both {
        /// For those who speak SM.
        sm: Own,
        /// For the others.
        classic: Own,
    },
}

/// Reads a key of whatever kind; it must be the certificate's.
fn certified(own: &Own) -> Result<CertifiedKey, LinkError> {
    CertifiedKey::from_der(own.chain.clone(), own.key.clone_key(), &Offer::SmFirst.provider()).map_err(refused)
}

/// The listening end: client certificates must come from `clients`, and may be classic or SM whatever the connection is.
pub fn server_config(show: Show, clients: RootCertStore, demand: ClientCertificate) -> Result<ServerConfig, LinkError> {
    let single = |own: &Own| {
        Ok::<_, LinkError>(Arc::new(SingleCertAndKey::from(certified(own)?)) as Arc<dyn ResolvesServerCert>)
    };
    let (offer, resolver): (Offer, Arc<dyn ResolvesServerCert>) = match &show {
        Show::Classic(own) => (Offer::Classic, single(own)?),
        Show::Sm(own) => (Offer::Sm, single(own)?),
        Show::Both { sm, classic } => {
            let provider = Offer::SmFirst.provider();
            let both = Both::following(single(sm)?, single(classic)?, &provider);
            (Offer::SmFirst, Arc::new(both))
        }
    };
    let both = if offer.has_sm() { Offer::SmFirst } else { offer };
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(clients), both.provider());
    let verifier = match demand {
        ClientCertificate::Required => verifier,
        ClientCertificate::Optional => verifier.allow_unauthenticated(),
    };
    let builder = ServerConfig::builder_with_provider(offer.provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(refused)?;
    let mut config = builder
        .with_client_cert_verifier(verifier.build().map_err(refused)?)
        .with_cert_resolver(resolver);
    // No resumption: every connection proves that it holds the key now.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

/// Why a handshake of ours failed, for the operator: with the algorithms when it was for them.
pub(crate) fn why(error: &(dyn std::error::Error + 'static), provider: &CryptoProvider) -> String {
    match Missing::within(error, Offer::of(provider)) {
        Some(missing) => missing.to_string(),
        None => error.to_string(),
    }
}
