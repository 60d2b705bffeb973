//! `serve-…`: PKCS#7 detached of a 2 KiB prescription through `signd`'s HTTPS interface, 500 clients at once, each on a
//! connection of its own with its client certificate; the load generator shares the machine. Beside the rate: what
//! `signd` keeps in memory before, under and after that load, and how soon after its start the first signature is there
//! with all those entries in its log.

mod load;
mod server;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gm::Trust;
use kit::swtpm::SoftTpm;
use records::Outcome;
use records::sign::{TrustRequest, TrustRoots};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use sign::Client;
use tokio_rustls::TlsConnector;

use self::load::{Connection, Document, Load};
use self::server::Server;
use crate::report::Row;
use crate::say;
use crate::timing::rate;

/// Budgets of the specification.
const MEMORY_MIB: f64 = 32.0;
const FIRST_MS: f64 = 1_000.0;
/// Shorter loads are for looking at a change; their figures are not reported.
const SECONDS: u64 = 60;
/// A server that is not there by then failed.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn run(quick: bool, seconds: Option<u64>) -> Result<Vec<Row>> {
    let (clients, seconds) = if quick {
        (20, 2)
    } else {
        (500, seconds.unwrap_or(SECONDS))
    };
    let settle = Duration::from_secs(if quick { 1 } else { 10 });
    let folder = tempfile::tempdir()?;
    let tpm = SoftTpm::start(&folder.path().join("tpm"));
    crate::papers::write(folder.path())?;
    say("keys, applications and chains are made");
    let place = server::prepare(folder.path(), &tpm)?;
    let tls = connector(folder.path())?;
    let mut signd = Server::start(&place);
    first_signature(&tls, &signd).await?;
    let trust = trust(&place.socket).await?;
    tokio::time::sleep(settle).await;
    let idle = signd.memory()?;

    say(&format!("{clients} clients, {seconds} s of load"));
    let load = Load {
        clients,
        time: Duration::from_secs(seconds),
        port: signd.port,
        tls: tls.clone(),
    };
    let before = signd.processor_time()?;
    let loading = tokio::task::spawn_blocking(move || load.run());
    tokio::time::sleep(Duration::from_secs(seconds / 2)).await;
    let halfway = signd.memory()?;
    let done = loading.await??;
    let busy = signd.processor_time()? - before;
    let loaded = signd.memory()?;
    let signed = done.times.len();
    ensure!(signed > 0, "nothing was signed: {:?}", done.failure);
    if let Some(words) = &done.failure {
        say(&format!("{} clients failed, the first: {words}", done.errors));
    }
    let checked = done.check(&trust)?;
    tokio::time::sleep(settle).await;
    let after = signd.memory()?;

    say("a new start with that log");
    signd.stop()?;
    signd = Server::start(&place);
    let first = first_signature(&tls, &signd).await?;
    tokio::time::sleep(settle).await;
    let idle_again = signd.memory()?;
    signd.stop()?;
    let processes = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let openssl = crate::sign_rate::openssl(processes, if quick { 1 } else { 3 })?;

    let each = |time: Duration| time.as_secs_f64() * 1e6 / signed as f64;
    Ok(vec![
        Row::new("serve-pkcs7-2k-500", rate(signed, done.took), "signatures/s")
            .beside(
                format!("openssl speed sm2, {processes} processes: raw signatures, no CMS, no HTTPS, no log"),
                openssl,
            )
            .times(&done.times)
            .errors(done.errors)
            .note(format!(
                "{clients} clients, {seconds} s, TLS 1.3 with client certificates, each signature verified before it is \
                 answered and its log entry on the disk; load generator on the same cores; processor time of a signature: \
                 signd {:.0} µs, load generator {:.0} µs; {checked} answers of all clients verified by the bench; the \
                 tender asks for 1,000/s (AP-221) and 500 users (AP-231)",
                each(busy),
                each(done.busy)
            )),
        Row::new("serve-memory-idle", idle_again.resident, "MiB")
            .beside("budget", MEMORY_MIB)
            .note(format!(
                "resident, {} s after a start with {signed} entries in the log, {} keys, {} applications; {idle_again}; with \
                 an empty log {idle}",
                settle.as_secs(),
                server::KEYS,
                server::APPLICATIONS
            )),
        Row::new("serve-memory-loaded", loaded.resident, "MiB").note(format!(
            "resident at the end of the load, {clients} connections open; {loaded}; halfway {halfway}; {} s after they left \
             {after}",
            settle.as_secs()
        )),
        Row::new("serve-first-signature", first.as_secs_f64() * 1e3, "ms")
            .beside("budget", FIRST_MS)
            .note("from the start of the process, with a TPM that answers, to the first signature over HTTPS"),
    ])
}

/// The hospital's roots, as its own appliance is told them.
async fn trust(socket: &Path) -> Result<Trust> {
    let (client, until) = (Client::new(socket), Instant::now() + PATIENCE);
    let roots = loop {
        // The socket is opened last.
        match client.call::<TrustRoots>(None, &TrustRequest {}).await {
            Outcome::Done(roots) => break roots.signers,
            Outcome::Later { .. } if Instant::now() < until => tokio::time::sleep(Duration::from_millis(20)).await,
            other => bail!("the roots: {other:?}"),
        }
    };
    let roots = roots.iter().map(|root| STANDARD.decode(root));
    Ok(Trust::new(roots.collect::<Result<Vec<_>, _>>()?)?)
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

/// Time from the process's start to its first signature.
async fn first_signature(tls: &TlsConnector, signd: &Server) -> Result<Duration> {
    let mut document = Document::new(0);
    let until = Instant::now() + PATIENCE;
    loop {
        let tried = async {
            let mut connection = Connection::open(tls, signd.port).await?;
            connection.sign(&mut document).await.map(|_| ())
        };
        match tried.await {
            Ok(()) => return Ok(signd.started.elapsed()),
            Err(error) if Instant::now() > until => return Err(error.context("no first signature")),
            Err(_) => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    }
}
