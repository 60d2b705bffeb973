//! TLS papers: a root, the server's certificate and one for the only client, kept in the folder.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// The server's side of TLS: nobody comes in without the client's certificate.
pub(super) fn open(folder: &Path) -> io::Result<Arc<ServerConfig>> {
    if !folder.join("tls.key").exists() {
        make(folder).map_err(io::Error::other)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let read = || -> Result<ServerConfig, Box<dyn std::error::Error + Send + Sync>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(folder.join("tls-ca.pem"))?)?;
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build()?;
        let own = CertificateDer::from_pem_file(folder.join("tls.pem"))?;
        let key = PrivateKeyDer::from_pem_file(folder.join("tls.key"))?;
        Ok(ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![own], key)?)
    };
    Ok(Arc::new(read().map_err(io::Error::other)?))
}

fn make(folder: &Path) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut root = CertificateParams::new(Vec::new())?;
    root.distinguished_name.push(DnType::CommonName, "bench outside TLS");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate()?)?;
    std::fs::write(folder.join("tls-ca.pem"), root.pem())?;
    for (name, hosts, usage) in [
        (
            "client",
            vec!["hospital".to_owned()],
            ExtendedKeyUsagePurpose::ClientAuth,
        ),
        // The last one made says that all are there.
        (
            "tls",
            vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
            ExtendedKeyUsagePurpose::ServerAuth,
        ),
    ] {
        let key = KeyPair::generate()?;
        let mut leaf = CertificateParams::new(hosts)?;
        leaf.extended_key_usages = vec![usage];
        std::fs::write(folder.join(format!("{name}.pem")), leaf.signed_by(&key, &root)?.pem())?;
        std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem())?;
    }
    Ok(())
}
