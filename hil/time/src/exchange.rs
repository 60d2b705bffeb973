//! The key exchange (RFC 8915, 4), willing or not.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rig::Fired;
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::seal::Pair;
use crate::{Inner, OF_EXCHANGE};

const EXPORTER: &[u8] = b"EXPORTER-network-time-security";
const LIMIT: Duration = Duration::from_secs(60);

/// A root of its own as PEM, and a configuration with a certificate under it.
pub(crate) fn papers(name: &str) -> io::Result<(String, [Arc<ServerConfig>; 2])> {
    let made = || -> Result<_, rcgen::Error> {
        let mut root = CertificateParams::new(Vec::new())?;
        let mut number = [0; 8];
        crate::seal::random(&mut number);
        let number = u64::from_be_bytes(number);
        root.distinguished_name
            .push(DnType::CommonName, format!("bench time {number:016x}"));
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(root, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let mut leaf = CertificateParams::new(vec![name.to_owned()])?;
        leaf.not_before = date_time_ymd(2020, 1, 1);
        leaf.not_after = date_time_ymd(2045, 1, 1);
        let leaf = leaf.signed_by(&key, &root)?;
        Ok((root.pem(), leaf.der().clone(), key.serialize_der()))
    };
    let (ca, leaf, key) = made().map_err(io::Error::other)?;
    let config = |protocols: Vec<Vec<u8>>| -> Result<Arc<ServerConfig>, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.clone()));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(vec![leaf.clone()], key)?;
        config.alpn_protocols = protocols;
        Ok(Arc::new(config))
    };
    let right = config(vec![b"ntske/1".to_vec()]).map_err(io::Error::other)?;
    let none = config(Vec::new()).map_err(io::Error::other)?;
    Ok((ca, [right, none]))
}

pub(crate) async fn serve(listener: TcpListener, configs: [Arc<ServerConfig>; 2], inner: Arc<Inner>) {
    let [right, none] = configs;
    loop {
        let Ok((tcp, _)) = listener.accept().await else {
            continue;
        };
        inner.exchanges.fetch_add(1, Ordering::Relaxed);
        let bare = inner.faults.next_of("ke", &inner.clock, |kind| kind == "no_alpn");
        let config = Arc::clone(if bare.is_some() { &none } else { &right });
        let fault = inner
            .faults
            .next_of("ke", &inner.clock, |kind| OF_EXCHANGE.contains(&kind));
        let inner = Arc::clone(&inner);
        tokio::spawn(async move {
            let done = tokio::time::timeout(LIMIT, one(tcp, config, &inner, fault)).await;
            tracing::info!(?done, "key exchange");
        });
    }
}

async fn one(tcp: TcpStream, config: Arc<ServerConfig>, inner: &Inner, fault: Option<Fired>) -> io::Result<()> {
    let kind = fault.as_ref().map_or("", |fault| fault.kind.as_str());
    if kind == "close" {
        return Ok(());
    }
    if kind == "hang" {
        tokio::time::sleep(LIMIT).await;
    }
    let mut tls = TlsAcceptor::from(config).accept(tcp).await?;
    let mut question = Vec::new();
    while !question.ends_with(&[0x80, 0, 0, 0]) {
        if question.len() > 4_096 || tls.read_buf(&mut question).await? == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    let key = |direction: u8| -> io::Result<[u8; 32]> {
        let context = [0, 0, 0, 15, direction];
        let exported = tls
            .get_ref()
            .1
            .export_keying_material([0; 32], EXPORTER, Some(&context));
        exported.map_err(io::Error::other)
    };
    let keys = Pair {
        to_server: key(0)?,
        from_server: key(1)?,
    };
    let mut answer = Vec::new();
    let mut record = |kind: u16, body: &[u8]| {
        answer.extend(kind.to_be_bytes());
        answer.extend(u16::try_from(body.len()).unwrap_or_default().to_be_bytes());
        answer.extend(body);
    };
    match kind {
        "error" => {
            let code = fault.as_ref().map_or(1, |fault| fault.number("code", 1));
            record(0x8002, &u16::try_from(code).unwrap_or(1).to_be_bytes());
        }
        "garbage" => record(0x9999, &[7; 40]),
        _ => {
            record(0x8001, &[0, 0]);
            record(4, &[0, 15]);
            record(7, &inner.ntp_port.to_be_bytes());
            let cookies = if kind == "no_cookies" { 0 } else { 8 };
            for _ in 0..cookies {
                record(5, &inner.keys.cookie(keys));
            }
        }
    }
    if kind == "endless" {
        for _ in 0..10_000 {
            record(0x0777, &[1; 200]);
        }
    }
    record(0x8000, &[]);
    if kind == "half" {
        answer.truncate(answer.len() / 2);
    }
    tls.write_all(&answer).await?;
    tls.shutdown().await
}
