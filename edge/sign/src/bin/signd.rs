//! The signature and verification server 签名验签服务器.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use attest::Tpm;
use axum::Router;
use clap::Parser;
use records::SystemClock;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use sign::config::{Config, ServiceConfig};
use sign::engine::Rules;
use sign::manage::{Interface, Manage, Watched};
use sign::service::Service;
use sign::settings::Published;
use sign::{Engine, guard, selftest, server};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Keys whose tables are kept for checking what was signed: the authority's and the busiest signers', 1.4 MiB.
const KEPT_TABLES: usize = 16;

/// Time between two tries to open the interfaces' certificates.
const UNLOCK_AGAIN: Duration = Duration::from_secs(2);

/// Bytes of a thread's stack.
const STACK: usize = 1024 * 1024;

/// Signs with keys that never leave this process.
#[derive(Parser)]
struct Arguments {
    /// Settings (TOML).
    #[arg(long, required_unless_present = "openapi_manage")]
    config: Option<PathBuf>,
    /// Prints the settings in force and ends.
    #[arg(long)]
    effective: bool,
    /// Prints the description of the management interface (OpenAPI) and ends.
    #[arg(long)]
    openapi_manage: bool,
    /// Takes the machine's present time for right, after the clock was wrong, and ends.
    #[arg(long)]
    accept_clock: bool,
    /// Begins the check of the log after what it holds now, after it was tampered with and looked into, and ends.
    #[arg(long)]
    accept_log: bool,
}

fn main() -> anyhow::Result<()> {
    let guarded = guard::harden();
    let arguments = Arguments::parse();
    if arguments.openapi_manage {
        println!("{}", sign::manage::document().to_pretty_json()?);
        return Ok(());
    }
    tracing_subscriber::fmt().json().with_writer(std::io::stderr).init();
    let file = arguments.config.context("--config names no file")?;
    let text = std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    let config: Config = toml::from_str(&text).context("reading the settings")?;
    if arguments.effective {
        println!("{}", toml::to_string(&config)?);
        return Ok(());
    }
    if !guarded.memory_locked {
        tracing::warn!("memory could not be locked; raise LimitMEMLOCK");
    }
    std::fs::create_dir_all(&config.state_dir).context("making the state directory")?;
    let lock = std::fs::File::create(config.state_dir.join("signd.lock")).context("locking the state directory")?;
    lock.try_lock().context("another signd uses this state directory")?;
    let tpm = Tpm::new(&config.tpm)?;
    anyhow::ensure!((4..=12).contains(&config.pin_min), "pin_min must be 4 to 12");
    let rules = Rules {
        pcrs: config.pcrs.clone(),
        pin_min: config.pin_min,
        guarded,
    };
    gm::key::keep_tables(KEPT_TABLES);
    let engine =
        Engine::open(&config.state_dir, tpm, rules, Arc::new(SystemClock)).context("opening the state file")?;
    if arguments.accept_clock {
        engine.accept_clock()?;
        return Ok(());
    }
    if arguments.accept_log {
        engine.accept_log()?;
        return Ok(());
    }
    let engine = engine.with_devices(&config.device).context("the key devices")?;
    let threads = std::thread::available_parallelism().map_or(2, NonZeroUsize::get);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads.min(8))
        .thread_stack_size(STACK)
        .enable_all()
        .build()?
        .block_on(run(config, Arc::new(engine)))
}

async fn run(config: Config, engine: Arc<Engine>) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let service = Arc::new(Service::start(Arc::clone(&engine))?);
    service.decrypt_triple_des(config.decrypt_triple_des);
    let stop = CancellationToken::new();
    tokio::spawn(test_daily(Arc::clone(&service), stop.clone()));
    let (mut interfaces, mut certificates) = (Vec::new(), Vec::new());
    if let Some(settings) = &config.service {
        let watched = Arc::new(for_applications(settings)?);
        let router = sign::http::router(Arc::clone(&service));
        interfaces.push(open(settings.listen, &watched, router, stop.clone()).await?);
        certificates.push(watched);
    }
    if let Some(settings) = &config.manage {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let watched = Watched::new(Interface::Manage, &settings.names, settings.listen.ip(), provider);
        let watched = Arc::new(watched);
        certificates.push(Arc::clone(&watched));
        let settings_in_force = Arc::new(Published::start(&engine)?);
        let (service, certificates) = (Arc::clone(&service), certificates.clone());
        let manage = Manage::start(
            service,
            settings_in_force,
            certificates,
            settings.clone(),
            &config.state_dir,
        )?;
        let router = sign::manage::router(Arc::new(manage));
        interfaces.push(open(settings.listen, &watched, router, stop.clone()).await?);
    }
    unlock(certificates, &engine, &stop).await;
    let listener = server::listen(&config.socket, !config.allowed_uids.is_empty())
        .with_context(|| format!("listening on {}", config.socket.display()))?;
    println!("ready");
    let ended = stop.clone();
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        ended.cancel();
    });
    let end = stop.clone();
    server::serve(
        engine,
        listener,
        config.allowed_uids,
        async move { end.cancelled().await },
    )
    .await;
    for interface in interfaces {
        interface.await.context("an HTTPS interface")?;
    }
    std::fs::remove_file(&config.socket).context("removing the socket")?;
    Ok(())
}

/// Tests the server now and every day.
async fn test_daily(service: Arc<Service>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let testing = Arc::clone(&service);
        let tested = tokio::task::spawn_blocking(move || testing.self_test("signd")).await;
        if let Ok(Err(refusal)) = tested {
            tracing::error!(sign.refusal = %refusal, "the self-test could not be logged");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(selftest::INTERVAL) => {}
        }
    }
}

/// The certificate of the applications' interface: from files where they are configured.
fn for_applications(settings: &ServiceConfig) -> anyhow::Result<Watched> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let names = &settings.names;
    let watched = Watched::new(Interface::Service, names, settings.listen.ip(), Arc::clone(&provider));
    let (certificate, key) = match (&settings.certificate, &settings.key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) => return Ok(watched),
        _ => anyhow::bail!("service.certificate and service.key are set together or not at all"),
    };
    let certificates = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("reading {}", certificate.display()))?;
    let key = PrivateKeyDer::from_pem_file(key).with_context(|| format!("reading {}", key.display()))?;
    let key = CertifiedKey::from_der(certificates, key, &provider).context("the HTTPS certificate")?;
    Ok(watched.with_files(key))
}

/// Opens the keys of the interfaces' certificates. While the TPM does not answer, handshakes are refused and it is asked
/// again.
async fn unlock(certificates: Vec<Arc<Watched>>, engine: &Arc<Engine>, stop: &CancellationToken) {
    for watched in certificates {
        if try_unlock(&watched, engine).await {
            continue;
        }
        let (engine, stop) = (Arc::clone(engine), stop.clone());
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(UNLOCK_AGAIN) => {}
                }
                if try_unlock(&watched, &engine).await {
                    return;
                }
            }
        });
    }
}

async fn try_unlock(watched: &Arc<Watched>, engine: &Arc<Engine>) -> bool {
    let (watched, engine) = (Arc::clone(watched), Arc::clone(engine));
    let opened = tokio::task::spawn_blocking(move || watched.open(&engine)).await;
    match opened {
        Ok(Ok(())) => true,
        Ok(Err(refusal)) => {
            tracing::warn!(sign.refusal = %refusal, "an HTTPS interface has no certificate yet");
            false
        }
        Err(_) => false,
    }
}

/// Serves an HTTPS interface.
async fn open(
    listen: SocketAddr,
    watched: &Watched,
    router: Router,
    stop: CancellationToken,
) -> anyhow::Result<JoinHandle<()>> {
    // The certificate changes inside these settings.
    let (_, tls) = watch::channel(Arc::new(watched.config().context("TLS")?));
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("listening on {listen}"))?;
    Ok(tokio::spawn(sign::http::serve(listener, tls, router, stop)))
}
