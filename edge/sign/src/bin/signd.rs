//! The signature and verification server 签名验签服务器.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use attest::Tpm;
use clap::Parser;
use records::SystemClock;
use sign::config::Config;
use sign::engine::Rules;
use sign::{Engine, guard, server};
use tokio::signal::unix::{SignalKind, signal};

/// Keys whose tables are kept for checking what was signed: the authority's and the busiest signers', 1.4 MiB.
const KEPT_TABLES: usize = 16;

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
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(run(config, engine))
}

async fn run(config: Config, engine: Engine) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let listener = server::listen(&config.socket, !config.allowed_uids.is_empty())
        .with_context(|| format!("listening on {}", config.socket.display()))?;
    println!("ready");
    let end = async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    };
    server::serve(Arc::new(engine), listener, config.allowed_uids, end).await;
    std::fs::remove_file(&config.socket).context("removing the socket")?;
    Ok(())
}
