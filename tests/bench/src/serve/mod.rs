//! `serve-pkcs7-2k-500`: PKCS#7 detached of a 2 KiB prescription through `signd`'s HTTPS interface, 500 clients at once,
//! each on a connection of its own with its client certificate; the load generator shares the machine.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gm::Certificate;
use kit::ports::free_ports;
use kit::process::{Process, binary};
use kit::swtpm::SoftTpm;
use records::SystemClock;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use sign::application::{ApplicationId, ChainId, Policy};
use sign::engine::Rules;
use sign::keys::{KeyAlgorithm, KeyCommand, NewKey};
use sign::{Engine, guard::Guarded};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::report::Row;
use crate::say;
use crate::timing::{Samples, rate};

/// Bytes of the prescription.
const DOCUMENT: usize = 2048;
const BY: &str = "bench";
const HOSPITAL: &str = "永州示范医院";
const APPLICATION: &str = "app_bench";

pub(crate) async fn run(quick: bool) -> Result<Vec<Row>> {
    let (clients, seconds) = if quick { (20, 2) } else { (500, 60) };
    let folder = tempfile::tempdir()?;
    let tpm = SoftTpm::start(&folder.path().join("tpm"));
    let state = folder.path().join("state");
    std::fs::create_dir_all(&state)?;
    crate::papers::write(folder.path())?;
    prepare(&state, &tpm.tcti(), &folder.path().join("sender.pem"))?;
    let [port] = free_ports::<1>();
    let config = state.join("signd.toml");
    let text = format!(
        "state_dir = {state:?}\nsocket = {:?}\ntpm = {:?}\n[service]\nlisten = \"127.0.0.1:{port}\"\ncertificate = {:?}\nkey = {:?}\n",
        state.join("signd.sock"),
        tpm.tcti(),
        folder.path().join("cloud.pem"),
        folder.path().join("cloud.key"),
    );
    std::fs::write(&config, text)?;
    let mut command = Command::new(binary("signd"));
    command.arg("--config").arg(&config);
    let signd = Process::spawn(command).ready(Duration::from_secs(60));
    let tls = connector(folder.path())?;

    say(&format!("{clients} clients connect"));
    let mut connections = Vec::new();
    for _ in 0..clients {
        connections.push(connect(&tls, port).await?);
    }
    say(&format!("{seconds} s of load"));
    let begun = Instant::now();
    let until = begun + Duration::from_secs(seconds);
    let mut tasks = tokio::task::JoinSet::new();
    for connection in connections {
        tasks.spawn(load(connection, until));
    }
    let (mut times, mut errors) = (Samples::default(), 0);
    while let Some(done) = tasks.join_next().await {
        let (some, failed) = done?;
        times.join(some);
        errors += failed;
    }
    let took = begun.elapsed();
    let memory = resident_mib(signd.id())?;
    Ok(vec![
        Row::new("serve-pkcs7-2k-500", rate(times.len(), took), "signatures/s")
            .beside("the tender's figure (AP-221; AP-231: 500 users)", 1000.0)
            .times(&times)
            .errors(errors)
            .note(format!(
                "{clients} clients, {seconds} s, TLS 1.3 with client certificates, each signature verified before it is \
                 answered and its log entry on the disk; load generator on the same cores; signd afterwards {memory:.0} MiB"
            )),
    ])
}

/// A key in use, certified by the hospital's own authority, and an application that may use it.
fn prepare(state: &Path, tpm: &str, certificate: &Path) -> Result<()> {
    let rules = Rules {
        pcrs: vec![0, 7],
        pin_min: 4,
        guarded: Guarded {
            memory_locked: false,
            no_dumps: false,
        },
    };
    let engine = Engine::open(state, attest::Tpm::new(tpm)?, rules, Arc::new(SystemClock))?;
    let new = NewKey {
        label: "处方签名".to_owned(),
        algorithm: KeyAlgorithm::Sm2,
        access_code: None,
        device: None,
        purpose: Default::default(),
    };
    let key = engine.generate_key(BY, &new)?;
    engine.certify_key_here(BY, key, HOSPITAL, "处方签名服务")?;
    engine.command_key(BY, key, KeyCommand::Activate)?;
    let chain = ChainId("chn_own".to_owned());
    engine.import_own_chain(BY, &chain, HOSPITAL)?;
    let policy = Policy {
        keys: vec![key],
        chains: vec![chain],
        ..Policy::default()
    };
    engine.register_application(BY, APPLICATION, "性能测试", &policy)?;
    let pem = CertificateDer::from_pem_file(certificate)?;
    let der = Certificate::parse(&pem).context("the application's certificate")?;
    engine.add_application_certificate(BY, &ApplicationId(APPLICATION.to_owned()), &der)?;
    Ok(())
}

fn connector(folder: &Path) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder.join("ca.pem"))?)?;
    let chain = vec![CertificateDer::from_pem_file(folder.join("sender.pem"))?];
    let key = PrivateKeyDer::from_pem_file(folder.join("sender.key"))?;
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)?;
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn connect(tls: &TlsConnector, port: u16) -> Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    Ok(tls.connect(ServerName::try_from("localhost")?, stream).await?)
}

/// One client: asks, waits for the answer, asks again.
async fn load(mut connection: TlsStream<TcpStream>, until: Instant) -> (Samples, u64) {
    let (mut times, mut errors, mut buffer) = (Samples::default(), 0, Vec::new());
    let mut document = vec![0u8; DOCUMENT];
    while Instant::now() < until {
        rand::fill(document.as_mut_slice());
        let body = format!("{{\"data\":\"{}\"}}", STANDARD.encode(&document));
        let request = format!(
            "POST /v1/message/sign HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let one = Instant::now();
        match ask(&mut connection, request.as_bytes(), &mut buffer).await {
            Ok(()) => times.push(one.elapsed()),
            Err(error) => {
                if errors == 0 {
                    say(&format!("a client failed: {error:#}"));
                }
                errors += 1;
                return (times, errors);
            }
        }
    }
    (times, errors)
}

async fn ask(connection: &mut TlsStream<TcpStream>, request: &[u8], buffer: &mut Vec<u8>) -> Result<()> {
    connection.write_all(request).await?;
    connection.flush().await?;
    buffer.clear();
    loop {
        if connection.read_buf(buffer).await? == 0 {
            bail!("the connection ended");
        }
        let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head = std::str::from_utf8(buffer.get(..end).unwrap_or_default())?;
        if !head.starts_with("HTTP/1.1 200") {
            bail!("{}", String::from_utf8_lossy(buffer));
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.context("content-length")?.parse()?;
        if buffer.len() >= end + 4 + length {
            return Ok(());
        }
    }
}

/// Resident memory of a process.
fn resident_mib(process: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kib.context("VmRSS")?.parse::<f64>()? / 1024.0)
}
