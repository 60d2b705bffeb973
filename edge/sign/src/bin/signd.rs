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
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use sign::config::{Config, ServiceConfig};
use sign::engine::{Approvals, Rules};
use sign::http::{Bounds, Places, Way};
use sign::manage::{Interface, Manage, Watched};
use sign::service::Service;
use sign::settings::{Published, Settings};
use sign::{Engine, Refusal, guard, memory, selftest, server, syslog};
use smtls::{Both, Offer};
use timesource::{MachineClocks, Pace};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Keys whose tables are kept for checking what was signed: the authority's and the busiest signers', 1.4 MiB.
const KEPT_TABLES: usize = 16;

/// Time between two tries to open the interfaces' certificates.
const UNLOCK_AGAIN: Duration = Duration::from_secs(2);

/// Time between two checkpoints of the log: some 9,000 a year, of which TPMs count hundreds of thousands.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(3600);
/// The same while the TPM does not answer.
const CHECKPOINT_AGAIN: Duration = Duration::from_secs(60);

/// Time between two looks at secrets whose time may be over.
const FORGET_EVERY: Duration = Duration::from_secs(5);

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
    anyhow::ensure!(config.pin_remembered_s <= 900, "pin_remembered_s must be 0 to 900");
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
    let engine = engine
        .with_devices(&config.device)
        .context("the key devices")?
        .with_outside(&config.outside)
        .context("the outside signature servers")?
        .publishing(config.revocation.published()?)
        .approving(config.approval.as_ref().map(Approvals::start).transpose()?)
        .remembering_pins(Duration::from_secs(config.pin_remembered_s.into()));
    // What is not confined signs all the same, but says so: an old kernel is not a reason to stop a hospital.
    if let Err(error) = guard::confine() {
        tracing::warn!(%error, "system calls could not be given up");
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
    let common = config
        .service
        .as_ref()
        .map(ServiceConfig::common)
        .transpose()?
        .flatten();
    let service = Arc::new(Service::start(Arc::clone(&engine), common)?);
    service.decrypt_triple_des(config.decrypt_triple_des);
    let stop = CancellationToken::new();
    tokio::spawn(test_daily(Arc::clone(&service), stop.clone()));
    tokio::spawn(Arc::clone(&service).keep_memory_locked(stop.clone()));
    tokio::spawn(Arc::clone(&service).keep_lists(stop.clone()));
    tokio::spawn(forget(Arc::clone(&engine), stop.clone()));
    let keeping = tokio::spawn(keep_log(Arc::clone(&service), Arc::clone(&engine), stop.clone()));
    let settings_in_force = Arc::new(Published::start(&engine)?);
    keep_time(&engine, settings_in_force.follow(), &stop)?;
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let sending = Arc::clone(&service.log_sending);
    let receiver = settings_in_force.follow();
    tokio::spawn(syslog::run(Arc::clone(&engine), host, receiver, sending, stop.clone()));
    let (mut interfaces, mut certificates) = (Vec::new(), Vec::new());
    let places = |bounds: &Bounds| Places::new(bounds, Arc::clone(&service.turned_away));
    if let Some(settings) = &config.service {
        let router = sign::http::router(Arc::clone(&service))?;
        let (tls, watched) = for_applications(settings)?;
        interfaces.push(open(settings.listen, tls, router, places(&settings.bounds()?), stop.clone()).await?);
        certificates.extend(watched);
    }
    if let Some(listen) = config.revocation.listen {
        let listener = TcpListener::bind(listen).await;
        let listener = listener.with_context(|| format!("listening on {listen}"))?;
        let router = sign::http::published(Arc::clone(&engine));
        let serving = sign::http::serve(listener, Way::Plain, router, places(&Bounds::default()), stop.clone());
        interfaces.push(tokio::spawn(serving));
    }
    if let Some(settings) = &config.manage {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let watched = Watched::new(Interface::Manage, &settings.names, settings.listen.ip(), provider);
        let watched = Arc::new(watched);
        certificates.push(Arc::clone(&watched));
        let (service, certificates) = (Arc::clone(&service), certificates.clone());
        let manage = Manage::start(
            service,
            settings_in_force,
            certificates,
            settings.clone(),
            &config.replica,
            &config.state_dir,
        )?;
        let manage = Arc::new(manage);
        tokio::spawn(Arc::clone(&manage).replicate(stop.clone()));
        let router = sign::manage::router(manage);
        let tls = watched.config().context("TLS")?;
        interfaces.push(open(settings.listen, tls, router, places(&Bounds::default()), stop.clone()).await?);
    }
    unlock(certificates, &engine, &stop).await;
    tokio::spawn(open_keys(Arc::clone(&service), stop.clone()));
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
    keeping.await.context("the log")?;
    std::fs::remove_file(&config.socket).context("removing the socket")?;
    Ok(())
}

/// Asks the time servers by the policy, as it is changed.
fn keep_time(
    engine: &Arc<Engine>,
    mut settings: watch::Receiver<Arc<Settings>>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let policy = settings.borrow_and_update().time.clone();
    let (keeper, runner) = timesource::time_keeper(policy, Arc::new(MachineClocks), Pace::default())
        .map_err(|faults| anyhow::anyhow!("the time policy: {faults:?}"))?;
    engine.keep_time(keeper.clone());
    tokio::spawn(runner.run(stop.clone()));
    tokio::spawn(async move {
        while settings.changed().await.is_ok() {
            let policy = settings.borrow_and_update().time.clone();
            if policy != keeper.policy()
                && let Err(faults) = keeper.set_policy(policy)
            {
                tracing::error!(?faults, "a time policy that was kept is not sound");
            }
        }
    });
    Ok(())
}

/// Makes a checkpoint of the log now, every hour and at the end, and removes what need not be kept. What is wrong with
/// the log is found by the self-test, which then stops signing.
async fn keep_log(service: Arc<Service>, engine: Arc<Engine>, stop: CancellationToken) {
    loop {
        // What came in until the end belongs to the last one.
        let last = stop.is_cancelled();
        let (keeping, testing) = (Arc::clone(&engine), Arc::clone(&service));
        let kept = tokio::task::spawn_blocking(move || match keeping.checkpoint() {
            Err(Refusal::No { .. }) if !last => testing.self_test("signd").map(|_| 0),
            Err(refusal) => Err(refusal),
            Ok(_) => keeping.prune_log(),
        });
        let again = match kept.await {
            Ok(Ok(pruned)) => {
                if pruned > 0 {
                    tracing::info!(sign.pruned = pruned, "old entries of the log were removed");
                }
                CHECKPOINT_EVERY
            }
            Ok(Err(refusal)) => {
                tracing::warn!(sign.refusal = %refusal, "no checkpoint of the log was made; it is tried again");
                CHECKPOINT_AGAIN
            }
            Err(_) => CHECKPOINT_AGAIN,
        };
        if last {
            return;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(again) => {}
        }
    }
}

/// Wipes secrets whose time is over, whether or not anybody asks for them again.
async fn forget(engine: Arc<Engine>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        engine.forget_expired();
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(FORGET_EVERY) => {}
        }
    }
}

/// Tests the server now and every day.
async fn test_daily(service: Arc<Service>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let testing = Arc::clone(&service);
        let tested = tokio::task::spawn_blocking(move || testing.self_test("signd")).await;
        if let Ok(Err(refusal)) = tested {
            tracing::error!(sign.refusal = %refusal, "the self-test could not be logged");
        }
        // It runs all that is ever run, most of it until the next one; and the start is over.
        if let Ok(Err(error)) = tokio::task::spawn_blocking(memory::give_back).await {
            tracing::warn!(%error, "memory could not be given back");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(selftest::INTERVAL) => {}
        }
    }
}

/// TLS of the applications' interface, and the certificates that it follows.
fn for_applications(settings: &ServiceConfig) -> anyhow::Result<(ServerConfig, Vec<Arc<Watched>>)> {
    let offer: Offer = settings.tls.parse().context("service.tls")?;
    let provider = offer.provider();
    let of = |interface| Watched::new(interface, &settings.names, settings.listen.ip(), Arc::clone(&provider));
    let sm = (offer != Offer::Classic).then(|| Arc::new(of(Interface::ServiceSm)));
    let classic = match offer {
        Offer::Sm => None,
        _ => Some(Arc::new(from_files(of(Interface::Service), settings, &provider)?)),
    };
    let tls = match (&sm, &classic) {
        (Some(sm), Some(classic)) => {
            let both = Both::following(sm.following(), classic.following(), &provider);
            sign::http::tls::following(Arc::clone(&provider), Arc::new(both))
        }
        (Some(one), None) | (None, Some(one)) => one.config(),
        (None, None) => anyhow::bail!("service.tls offers nothing"),
    };
    Ok((tls.context("TLS")?, sm.into_iter().chain(classic).collect()))
}

/// The classic certificate from files where they are configured.
fn from_files(watched: Watched, settings: &ServiceConfig, provider: &Arc<CryptoProvider>) -> anyhow::Result<Watched> {
    let (certificate, key) = match (&settings.certificate, &settings.key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) => return Ok(watched),
        _ => anyhow::bail!("service.certificate and service.key are set together or not at all"),
    };
    let certificates = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("reading {}", certificate.display()))?;
    let key = PrivateKeyDer::from_pem_file(key).with_context(|| format!("reading {}", key.display()))?;
    let key = CertifiedKey::from_der(certificates, key, provider).context("the HTTPS certificate")?;
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

/// Opens the server keys; while the TPM does not answer it is asked again.
async fn open_keys(service: Arc<Service>, stop: CancellationToken) {
    while !service.is_open() {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(UNLOCK_AGAIN) => {}
        }
        let opening = Arc::clone(&service);
        if let Ok(Err(refusal)) = tokio::task::spawn_blocking(move || opening.reload()).await {
            tracing::warn!(sign.refusal = %refusal, "server keys stay shut");
        }
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
    tls: ServerConfig,
    router: Router,
    places: Arc<Places>,
    stop: CancellationToken,
) -> anyhow::Result<JoinHandle<()>> {
    // Certificates change inside these settings.
    let (_, tls) = watch::channel(Arc::new(tls));
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("listening on {listen}"))?;
    let serving = sign::http::serve(listener, Way::Tls(tls), router, places, stop);
    Ok(tokio::spawn(serving))
}
