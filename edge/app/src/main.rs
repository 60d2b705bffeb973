//! `edge`: the appliance's daemon (前置机). It dials out to the cloud, serves the hospital's systems and printers, and
//! goes on serving inside the hospital when the line is cut.

mod config;
mod console;
mod dock;
mod footage;
mod health;
mod identity;
mod line;
mod pictures;
mod printing;
mod site;
mod supervise;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::{Parser, Subcommand};
use config::Config;
use records::{Entropy, Ids};

#[derive(Parser)]
#[command(about = "The hospital appliance of Yiqiao")]
struct Arguments {
    /// Settings (TOML).
    #[arg(long, global = true, default_value = "/etc/yiqiao/edge.toml")]
    config: PathBuf,
    /// Prints the settings in force and ends.
    #[arg(long, global = true)]
    effective: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serves.
    Run,
    /// Reads the machine's identity and makes the claim code for its label.
    FactoryRecord {
        /// Where the record for the fleet service goes. The label, with record and claim code, is printed.
        #[arg(long)]
        out: Option<PathBuf>,
    },
}

/// The operating system's randomness.
struct Kernel;

impl Entropy for Kernel {
    fn fill(&self, buffer: &mut [u8]) {
        // Without randomness no key may be made: stop at once.
        if getrandom::fill(buffer).is_err() {
            std::process::abort();
        }
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let config = Config::load(&arguments.config)?;
    if arguments.effective {
        print!("{}", toml::to_string(&config)?);
        return Ok(());
    }
    let ids = Arc::new(Ids::new(Kernel));
    match arguments.command {
        Some(Command::Run) => tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?
            .block_on(site::run(config, ids)),
        Some(Command::FactoryRecord { out }) => factory_record(&config, &ids, out),
        None => anyhow::bail!("nothing to do: `edge run`, `edge factory-record` or `--effective`"),
    }
}

fn factory_record(config: &Config, ids: &Ids, out: Option<PathBuf>) -> anyhow::Result<()> {
    let tpm = attest::Tpm::new(&config.tpm)?;
    let dir = config.state_dir.join("agent");
    let label = agent::factory_record(&tpm, &dir, &config.serial, &config.board, ids)?;
    if let Some(path) = out {
        let record = serde_json::to_string_pretty(&label.record)?;
        std::fs::write(&path, record).with_context(|| format!("writing {}", path.display()))?;
    }
    writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&label)?)?;
    Ok(())
}
