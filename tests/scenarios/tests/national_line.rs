//! A hospital that wants national algorithms between its appliance and the cloud: enrolment, the line and files speak TLS 1.3
//! with SM2, SM3 and SM4 (RFC 8998) and nothing else.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use scenarios::journey::{self, Calm};
use site::ports::{Ports, Service};
use site::{Options, Site};
use smtls::Offer;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// The suite that a client who trusts the cloud's roots agrees on, or the refusal it gets. The line lets it in no further
/// without an appliance's key.
async fn suite(ports: Ports, service: Service, roots: &Path, offer: Offer) -> Result<String, String> {
    let mut trusted = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(roots).unwrap() {
        trusted.add(root.unwrap()).unwrap();
    }
    let client = ClientConfig::builder_with_provider(offer.provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(trusted)
        .with_no_client_auth();
    let stream = TcpStream::connect(ports.address(service)).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connected = TlsConnector::from(Arc::new(client)).connect(name, stream).await;
    let stream = connected.map_err(|error| error.to_string())?;
    assert!(smtls::is_sm(stream.get_ref().1));
    Ok(smtls::suite_name(stream.get_ref().1))
}

/// How many lines of a daemon's log hold all of this, and how many of those hold this as well.
fn lines(site: &Path, daemon: &str, words: &[&str], also: &str) -> (usize, usize) {
    let log = std::fs::read_to_string(site.join(format!("logs/{daemon}.log"))).unwrap();
    let fits = |line: &&str| words.iter().all(|word| line.contains(word));
    let also = |line: &&str| line.contains(also);
    (
        log.lines().filter(fits).count(),
        log.lines().filter(fits).filter(also).count(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_visit_over_national_algorithms_between_appliance_and_cloud() {
    site::prepare();
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        tls: Offer::Sm,
        ..Options::free_ports().unwrap()
    };
    let ports = options.ports;
    let mut site = Site::start(folder.path(), options).await.unwrap();
    let addresses = site.addresses().clone();
    let cast = journey::gather(&addresses).await.unwrap();
    let made = journey::follow_up_visit(&addresses, &cast, "national-line", &mut Calm)
        .await
        .unwrap();
    assert!(!made.prescription.is_empty());

    // Each connection of the line was of SM at the cloud's end.
    let connected = ["\"connected\"", "broker.client"];
    let (all, sm) = lines(folder.path(), "cloud", &connected, "TLS_SM4_GCM_SM3");
    assert!(all >= 2 && sm == all, "{sm} of {all}");
    // Both ports of the cloud, as their clients see them.
    let roots = folder.path().join("cloud/ca/roots.pem");
    for service in [Service::Mqtt, Service::EdgeHttps] {
        let agreed = suite(ports, service, &roots, Offer::Sm).await;
        assert_eq!(agreed.as_deref(), Ok("TLS_SM4_GCM_SM3"), "{service:?}");
        let refused = suite(ports, service, &roots, Offer::Classic).await.unwrap_err();
        assert!(refused.contains("HandshakeFailure"), "{service:?}: {refused}");
    }
    assert_eq!(site.stop().await, Vec::<&str>::new());
}
