//! The line and the files over SM algorithms alone (RFC 8998): what was agreed on is asserted at both ends, and who cannot
//! speak them is told so.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod ward;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::extract::ConnectInfo;
use gm::certificate::{AlternativeName, Draft, Extras, Purpose};
use gm::key::{Signer, Sm2Key};
use gm::{Certificate, Identity};
use link::Outage;
use link::blob::{FolderSink, Uploader};
use link::cloud::BrokerChoice;
use link::edge::EdgeLink;
use link::https::{HttpsListener, Peer};
use link::tls::{self, ClientCertificate, Offer, Own, Show};
use records::{Outcome, PeerId};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;
use ward::*;

const SM: &str = "TLS_SM4_GCM_SM3";

/// The cloud's authorities: the classic one of the appliances, and the SM one of the servers.
struct Authorities {
    classic: Authority,
    root: Certificate,
    key: Sm2Key,
}

impl Authorities {
    fn new() -> Self {
        let key = Sm2Key::generate().unwrap();
        let draft = |subject, purpose| Self::draft(subject, &key, purpose);
        let name = named("SM root");
        let root = draft(&name, Purpose::Authority { path_length: 0 })
            .issue(None, &key)
            .unwrap();
        Self {
            classic: Authority::new("Device CA"),
            root,
            key,
        }
    }

    fn draft<'a>(subject: &'a Identity, key: &'a Sm2Key, purpose: Purpose) -> Draft<'a> {
        let now = time::OffsetDateTime::now_utc();
        Draft {
            serial: rand::random(),
            subject,
            public_key: key.public_key(),
            purpose,
            not_before: now - time::Duration::minutes(5),
            not_after: now + time::Duration::days(1),
        }
    }

    fn sm(&self) -> Own {
        let (key, name) = (Sm2Key::generate().unwrap(), named("cloud"));
        let extras = Extras {
            names: vec![
                AlternativeName::Dns("localhost".to_owned()),
                AlternativeName::Ip([127, 0, 0, 1].into()),
            ],
            ..Extras::default()
        };
        let draft = Self::draft(&name, &key, Purpose::TlsServer);
        let certificate = draft.issue_with(Some(&self.root), &self.key, &extras).unwrap();
        Own {
            chain: vec![certificate.der.into()],
            key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.to_pkcs8().to_vec())),
        }
    }

    fn classic(&self) -> Own {
        let (chain, key) = self.classic.server();
        Own { chain, key }
    }

    fn listener(&self, show: Show) -> Arc<ServerConfig> {
        Arc::new(tls::server_config(show, self.classic.roots(), ClientCertificate::Required).unwrap())
    }

    /// Trusts both authorities, and proves itself with a classic key as appliances do.
    fn client(&self, offer: Offer) -> ClientConfig {
        let sm = CertificateDer::from(self.root.der.clone());
        let roots: RootCertStore = tls::roots([&self.classic.certificate, &sm]).unwrap();
        let (chain, key) = self.classic.edge(&edge_id(1));
        tls::client_config_with_key(offer, roots, chain, key).unwrap()
    }
}

fn named(name: &str) -> Identity {
    Identity {
        common_name: name.to_owned(),
        ..Identity::default()
    }
}

/// What this process logged.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Lines of the log that hold all of this.
fn logged(words: &[&str]) -> Vec<String> {
    static LOG: OnceLock<Logged> = OnceLock::new();
    let log = LOG.get_or_init(|| {
        let log = Logged::default();
        let writer = log.clone();
        tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .init();
        log
    });
    let bytes = log.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let text = String::from_utf8(bytes).unwrap();
    let fits = |line: &&str| words.iter().all(|word| line.contains(word));
    text.lines().filter(fits).map(str::to_owned).collect()
}

async fn wait_logged(words: &[&str]) {
    until(&format!("{words:?} is logged"), async || !logged(words).is_empty()).await;
}

/// The suite that a client of these settings agrees on, or the refusal it gets.
async fn suite(at: SocketAddr, client: ClientConfig) -> Result<String, String> {
    let stream = TcpStream::connect(at).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connected = TlsConnector::from(Arc::new(client)).connect(name, stream).await;
    let stream = connected.map_err(|e| e.to_string())?;
    let session = stream.get_ref().1;
    assert_eq!(
        smtls::is_sm(session),
        smtls::suite_name(session) == SM,
        "suite and group go together"
    );
    let server = Certificate::parse(session.peer_certificates().unwrap().first().unwrap()).unwrap();
    assert_eq!(server.public_key.kind() == gm::key::Kind::Sm2, smtls::is_sm(session));
    Ok(smtls::suite_name(session))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_and_calls_cross_over_sm_alone_and_a_classic_appliance_is_told_why_not() {
    logged(&[]);
    let folder = tempfile::tempdir().unwrap();
    let authorities = Authorities::new();
    let (here, there) = (
        open_store(&folder.path().join("edge.db")).await,
        open_store(&folder.path().join("cloud.db")).await,
    );
    let broker = BrokerChoice::Embedded {
        listen: LOCAL,
        tls: authorities.listener(Show::Sm(authorities.sm())),
    };
    let cloud = start_cloud_with(&there, broker).await;
    let at = cloud.broker_address().unwrap();
    let edge = edge_id(1);
    let options = |offer| edge_options(&edge, at.port(), Arc::new(authorities.client(offer)));
    let start = async |offer| {
        EdgeLink::start(here.clone(), options(offer), Arc::new(Echo), Arc::new(Counting))
            .await
            .unwrap()
    };

    let link = start(Offer::Classic).await;
    let refused = wait_status(&mut link.status(), "refused", |s| s.reason.is_some()).await;
    let Some(Outage::Wire(reason)) = refused.reason else {
        panic!("{refused:?}")
    };
    assert!(reason.contains("only the classic algorithms"), "{reason}");
    link.stop().await;
    let why = "in common with the other side (offered here: only TLS_SM4_GCM_SM3";
    wait_logged(&["connection refused", why]).await;

    let link = start(Offer::Sm).await;
    wait_online(&cloud, &edge).await;
    let said = cloud.call(&edge, "echo", None, PATIENCE, &json!("国密")).await;
    assert_eq!(said, Outcome::Done(json!({ "said": "国密", "key": null })));
    append(&here, &PeerId::cloud(), 0..20).await;
    assert_eq!(wait_seen(&there, 20).await, numbers(0..20));
    // At the cloud's end, of both connections.
    for channel in ["edg_1:ctl", "edg_1:bulk"] {
        wait_logged(&["connected", channel, SM]).await;
    }
    // At the appliance's end, by a client of the same settings.
    assert_eq!(suite(at, authorities.client(Offer::Sm)).await.as_deref(), Ok(SM));
    let refused = suite(at, authorities.client(Offer::Classic)).await.unwrap_err();
    assert!(refused.contains("HandshakeFailure"), "{refused}");
    link.stop().await;
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_cross_over_sm_alone_and_a_classic_client_gets_handshake_failure() {
    let folder = tempfile::tempdir().unwrap();
    let authorities = Authorities::new();
    let tls = authorities.listener(Show::Sm(authorities.sm()));
    let listener = HttpsListener::bind(LOCAL, tls).await.unwrap();
    let at = listener.address();
    let sink = FolderSink::new(folder.path().join("blobs"), 64 << 20);
    let seen = |ConnectInfo(peer): ConnectInfo<Peer>| async move { format!("{:?} {}", peer.edge, peer.suite) };
    let router = link::blob::routes(Arc::new(sink.clone())).route("/seen", axum::routing::get(seen));
    let mut serving = JoinSet::new();
    serving.spawn(async move { listener.serve(router, CancellationToken::new()).await });

    let file = folder.path().join("recording.mp4");
    std::fs::write(&file, vec![7; 300_000]).unwrap();
    let base = format!("https://localhost:{}", at.port());
    let uploader = Uploader::new(&base, authorities.client(Offer::Sm), ids()).unwrap();
    let digest = uploader.upload(&file).await.unwrap();
    let kept = sink.path(&digest);
    assert_eq!(std::fs::read(kept).unwrap(), std::fs::read(&file).unwrap());

    let http = |offer| {
        let tls = authorities.client(offer);
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .build()
            .unwrap()
    };
    let asked = http(Offer::Sm).get(format!("{base}/seen")).send().await.unwrap();
    let seen = asked.text().await.unwrap();
    assert_eq!(seen, format!("{:?} {SM}", Some(edge_id(1))));
    assert_eq!(suite(at, authorities.client(Offer::Sm)).await.as_deref(), Ok(SM));
    let refused = http(Offer::Classic)
        .get(format!("{base}/seen"))
        .send()
        .await
        .unwrap_err();
    assert!(format!("{refused:?}").contains("HandshakeFailure"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_both_the_appliances_order_decides_and_each_gets_the_certificate_of_its_kind() {
    let authorities = Authorities::new();
    let show = Show::Both {
        sm: authorities.sm(),
        classic: authorities.classic(),
    };
    let listener = HttpsListener::bind(LOCAL, authorities.listener(show)).await.unwrap();
    let at = listener.address();
    let mut serving = JoinSet::new();
    serving.spawn(async move { listener.serve(axum::Router::new(), CancellationToken::new()).await });
    for (offer, is_sm) in [
        (Offer::Sm, true),
        (Offer::SmFirst, true),
        (Offer::ClassicFirst, false),
        (Offer::Classic, false),
    ] {
        let agreed = suite(at, authorities.client(offer)).await.unwrap();
        assert_eq!(agreed == SM, is_sm, "{offer}: {agreed}");
    }
}
