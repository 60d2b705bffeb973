//! The applications' interface by national algorithms alone: TLS 1.3 with SM2, SM3 and SM4 (RFC 8998), over IPv6.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gm::certificate::{Draft, Purpose};
use gm::key::{Algorithm, Signer, Sm2Key};
use gm::{Certificate, Identity, PublicKey};
use kit::process::Process;
use kit::swtpm::SoftTpm;
use records::SystemClock;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use sign::application::{ApplicationId, Policy};
use sign::engine::Rules;
use sign::guard::Guarded;
use sign::keys::{KeyAlgorithm, KeyCommand, NewKey};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::site::HOSPITAL;

/// The server proves to have its certificate's key; whose it is, is looked at by the test.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// An application's SM2 key and certificate.
fn application() -> (Sm2Key, Certificate) {
    let key = Sm2Key::generate().expect("key");
    let subject = Identity {
        common_name: "HIS".to_owned(),
        ..Identity::default()
    };
    let now = time::OffsetDateTime::now_utc();
    let draft = Draft {
        serial: [7; 16],
        subject: &subject,
        public_key: key.public_key(),
        purpose: Purpose::TlsClient,
        not_before: now - time::Duration::minutes(5),
        not_after: now + time::Duration::days(30),
    };
    let certificate = draft.issue(None, &key).expect("certificate");
    (key, certificate)
}

/// A key in use and an application that may use it.
fn prepare(state: &std::path::Path, tpm: &str, certificate: &Certificate) {
    let guarded = Guarded {
        memory_locked: false,
        no_dumps: false,
    };
    let rules = Rules {
        pcrs: vec![0, 7],
        pin_min: 4,
        guarded,
    };
    let tpm = attest::Tpm::new(tpm).expect("tpm");
    let engine = sign::Engine::open(state, tpm, rules, Arc::new(SystemClock)).expect("engine");
    let new = NewKey {
        label: "处方签名".to_owned(),
        algorithm: KeyAlgorithm::Sm2,
        access_code: None,
        device: None,
        purpose: Default::default(),
    };
    let key = engine.generate_key("test", &new).expect("key");
    engine
        .certify_key_here("test", key, HOSPITAL, "处方签名服务")
        .expect("certified");
    engine.command_key("test", key, KeyCommand::Activate).expect("active");
    let policy = Policy {
        keys: vec![key],
        ..Policy::default()
    };
    engine
        .register_application("test", "app_his", "HIS", &policy)
        .expect("application");
    let id = ApplicationId("app_his".to_owned());
    engine
        .add_application_certificate("test", &id, certificate)
        .expect("its certificate");
}

async fn connect(
    at: SocketAddr,
    provider: CryptoProvider,
    own: Option<(&Sm2Key, &Certificate)>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let provider = Arc::new(provider);
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone(provider)));
    let config = match own {
        None => config.with_no_client_auth(),
        Some((key, certificate)) => {
            let chain = vec![CertificateDer::from(certificate.der.clone())];
            let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.to_pkcs8().to_vec()));
            config.with_client_auth_cert(chain, key).expect("client certificate")
        }
    };
    let stream = TcpStream::connect(at).await?;
    let name = ServerName::from(at.ip());
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// An application and the server speak SM2, SM3 and SM4 to each other and nothing else; who cannot is told so.
///
/// Rows: AP-223, AP-224, AP-225.
#[tokio::test]
async fn an_application_signs_over_national_algorithms_alone_and_a_classic_one_is_told_why_not() {
    let dir = tempfile::tempdir().expect("dir");
    let tpm = SoftTpm::start(&dir.path().join("tpm"));
    let state = dir.path().join("state");
    std::fs::create_dir_all(&state).expect("state");
    let (key, certificate) = application();
    prepare(&state, &tpm.tcti(), &certificate);
    let [port] = kit::ports::free_ports::<1>();
    let at: SocketAddr = format!("[::1]:{port}").parse().expect("address");
    let config = state.join("signd.toml");
    let text = format!(
        "state_dir = {state:?}\nsocket = {:?}\ntpm = {:?}\n[service]\nlisten = \"{at}\"\ntls = \"sm\"\n",
        state.join("signd.sock"),
        tpm.tcti(),
    );
    std::fs::write(&config, text).expect("settings");
    let config = config.to_string_lossy().into_owned();
    let _signd = Process::start(env!("CARGO_BIN_EXE_signd"), &["--config", &config]).ready(Duration::from_secs(120));

    let mut stream = connect(at, smtls::provider(), Some((&key, &certificate)))
        .await
        .expect("connected");
    let session = stream.get_ref().1;
    assert!(smtls::is_sm(session));
    let server = session.peer_certificates().expect("certificates").first().expect("one");
    let server = Certificate::parse(server).expect("certificate");
    assert_eq!(server.public_key.kind(), gm::key::Kind::Sm2);
    server.is_issued_by(&server).expect("made by itself");

    let body = r#"{"data":"5aSE5pa5"}"#;
    let request = format!(
        "POST /v1/data/sign HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.expect("asked");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).expect("text");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let (_, json) = answer.split_once("\r\n\r\n").expect("body");
    let json: serde_json::Value = serde_json::from_str(json).expect("json");
    let signed = |field: &str| {
        use base64::Engine as _;
        let text = json[field].as_str().expect("text");
        base64::engine::general_purpose::STANDARD.decode(text).expect("base64")
    };
    let signer: PublicKey = Certificate::parse(&signed("certificate"))
        .expect("certificate")
        .public_key;
    signer
        .verify(Algorithm::Sm2, "处方".as_bytes(), &signed("signature"))
        .expect("the signature holds");

    let classic = rustls::crypto::ring::default_provider();
    let refused = connect(at, classic, None)
        .await
        .expect_err("a classic client is refused");
    assert!(refused.to_string().contains("HandshakeFailure"), "{refused}");
}
