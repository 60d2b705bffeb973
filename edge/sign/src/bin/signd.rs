//! The signature and verification server 签名验签服务器.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use attest::Tpm;
use clap::Parser;
use records::SystemClock;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sign::config::{Config, ServiceConfig};
use sign::engine::Rules;
use sign::service::Service;
use sign::{Engine, guard, selftest, server};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Keys whose tables are kept for checking what was signed: the authority's and the busiest signers', 1.4 MiB.
const KEPT_TABLES: usize = 16;

/// Bytes of a thread's stack.
const STACK: usize = 1024 * 1024;

/// Signs with keys that never leave this process.
#[derive(Parser)]
struct Arguments {
    /// Settings (TOML).
    #[arg(long)]
    config: PathBuf,
    /// Prints the settings in force and ends.
    #[arg(long)]
    effective: bool,
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
    tracing_subscriber::fmt().json().with_writer(std::io::stderr).init();
    let text = std::fs::read_to_string(&arguments.config)
        .with_context(|| format!("reading {}", arguments.config.display()))?;
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
    let stop = CancellationToken::new();
    tokio::spawn(test_daily(Arc::clone(&service), stop.clone()));
    let https = match &config.service {
        Some(settings) => Some(applications(settings, Arc::clone(&service), stop.clone()).await?),
        None => None,
    };
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
    if let Some(https) = https {
        https.await.context("the HTTPS interface")?;
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

/// Opens the HTTPS interface.
async fn applications(
    settings: &ServiceConfig,
    service: Arc<Service>,
    stop: CancellationToken,
) -> anyhow::Result<JoinHandle<()>> {
    let certificates = CertificateDer::pem_file_iter(&settings.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("reading {}", settings.certificate.display()))?;
    let key =
        PrivateKeyDer::from_pem_file(&settings.key).with_context(|| format!("reading {}", settings.key.display()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = sign::http::tls::server(provider, certificates, key).context("the HTTPS certificate")?;
    let (_keep, tls) = watch::channel(Arc::new(tls));
    let listener = TcpListener::bind(settings.listen)
        .await
        .with_context(|| format!("listening on {}", settings.listen))?;
    let router = sign::http::router(service);
    Ok(tokio::spawn(sign::http::serve(listener, tls, router, stop)))
}
