//! Certificates for both ends of a line and for Mosquitto, as PEM files in a folder.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};
use records::id::EdgeId;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The appliance of the bench.
pub(crate) fn edge_id() -> Result<EdgeId> {
    EdgeId::parse("edg_1").context("an appliance's identifier")
}

/// Writes `ca.pem` and, for `cloud`, `edge`, `sender` and `receiver`, `NAME.pem` and `NAME.key`.
pub(crate) fn write(folder: &Path) -> Result<()> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "Bench CA");
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    std::fs::write(folder.join("ca.pem"), certificate.pem())?;
    let issuer = Issuer::new(params, key);

    let mut cloud = CertificateParams::new(vec!["localhost".to_owned()])?;
    cloud.subject_alt_names.push(SanType::IpAddress([127, 0, 0, 1].into()));
    let mut edge = CertificateParams::new(Vec::new())?;
    let name = format!("{}{}", link::tls::EDGE_URN, edge_id()?);
    edge.subject_alt_names.push(SanType::URI(name.try_into()?));
    edge.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
    let plain = || CertificateParams::new(Vec::new());
    let holders = [
        ("cloud", cloud),
        ("edge", edge),
        ("sender", plain()?),
        ("receiver", plain()?),
    ];
    for (name, mut params) in holders {
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &issuer)?;
        std::fs::write(folder.join(format!("{name}.pem")), certificate.pem())?;
        std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem())?;
    }
    Ok(())
}

type Papers = (
    rustls::RootCertStore,
    Vec<CertificateDer<'static>>,
    PrivateKeyDer<'static>,
);

fn load(folder: &Path, name: &str) -> Result<Papers> {
    let authority = CertificateDer::from_pem_file(folder.join("ca.pem"))?;
    let certificate = CertificateDer::from_pem_file(folder.join(format!("{name}.pem")))?;
    let key = PrivateKeyDer::from_pem_file(folder.join(format!("{name}.key")))?;
    Ok((link::tls::roots([&authority])?, vec![certificate], key))
}

/// The dialling end of a holder.
pub(crate) fn client(folder: &Path, name: &str) -> Result<Arc<rustls::ClientConfig>> {
    let (roots, chain, key) = load(folder, name)?;
    Ok(Arc::new(link::tls::client_config_with_key(
        link::tls::Offer::Classic,
        roots,
        chain,
        key,
    )?))
}

/// The listening end of the cloud.
pub(crate) fn server(folder: &Path) -> Result<Arc<rustls::ServerConfig>> {
    let (roots, chain, key) = load(folder, "cloud")?;
    let demand = link::tls::ClientCertificate::Required;
    Ok(Arc::new(link::tls::server_config(
        link::tls::Show::Classic(link::tls::Own { chain, key }),
        roots,
        demand,
    )?))
}
