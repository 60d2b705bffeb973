//! The server `cloud`.

mod appliances;
mod authority;
mod broker;
mod calls;
mod config;
mod contexts;
mod dock;
mod line;
mod merchants;
mod messages;
mod onboarding;
mod parked;
mod port;
mod printing;
mod serve;
mod start;
mod uploads;
mod web;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use base::audit::{self, Broken};
use base::tenants;
use clap::{Parser, Subcommand};
use config::Config;
use tracing_subscriber::EnvFilter;

/// The internet hospital's server.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves until asked to stop.
    Serve(WithConfig),
    /// Brings the database up to date and ends.
    Migrate(WithConfig),
    /// Prints the configuration as understood.
    Effective(WithConfig),
    /// Hospitals.
    #[command(subcommand)]
    Tenant(Tenant),
    /// Appliances.
    #[command(subcommand)]
    Appliance(Appliance),
    /// The audit chain.
    #[command(subcommand)]
    Audit(Audit),
    /// A broker of others in place of ours.
    #[command(subcommand)]
    Broker(broker::Command),
    /// Prints the API document.
    Openapi,
}

#[derive(clap::Args)]
struct WithConfig {
    /// Configuration file.
    #[arg(long)]
    config: PathBuf,
}

#[derive(Subcommand)]
enum Tenant {
    /// Takes a hospital in, or brings it up to date.
    Import {
        #[command(flatten)]
        with: WithConfig,
        /// Hospital, staff, settings, merchant account, appliance.
        file: PathBuf,
    },
}

#[derive(Subcommand)]
enum Appliance {
    /// Takes a factory record; prints the appliance's id.
    Import {
        #[command(flatten)]
        with: WithConfig,
        /// The record.
        file: PathBuf,
    },
    /// Keeps an appliance out for the time being.
    Suspend(OneAppliance),
    /// Lets it in again.
    Resume(OneAppliance),
    /// Keeps it out for ever.
    Revoke(OneAppliance),
}

#[derive(clap::Args)]
struct OneAppliance {
    #[command(flatten)]
    with: WithConfig,
    /// Its id (`edg_…`).
    id: String,
    /// Why.
    #[arg(long)]
    note: String,
}

#[derive(Subcommand)]
enum Audit {
    /// Walks the chain of every hospital; fails when one does not hold.
    Verify(WithConfig),
}

/// What is logged unless `RUST_LOG` says otherwise. The relay's codec warns of each malformed packet, of which the internet
/// has as many as it likes.
const LOGGED: &str = "info,stun_types=error";

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOGGED));
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    match begin() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "ended");
            ExitCode::FAILURE
        }
    }
}

fn begin() -> Result<()> {
    // One provider for every TLS connection of the process, before anything asks for it.
    let provider = rustls::crypto::ring::default_provider().install_default();
    anyhow::ensure!(provider.is_ok(), "another TLS provider was installed");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting")?;
    runtime.block_on(run(Cli::parse().command))
}

async fn run(command: Command) -> Result<()> {
    match command {
        Command::Serve(with) => serve::serve(Config::read(&with.config)?).await,
        Command::Migrate(with) => start::store(&Config::read(&with.config)?).await.map(drop),
        Command::Effective(with) => say(&toml::to_string(&Config::read(&with.config)?)?),
        Command::Tenant(Tenant::Import { with, file }) => {
            let tenant = onboarding::import(&Config::read(&with.config)?, &file).await?;
            say(tenant.as_str())
        }
        Command::Appliance(command) => onboarding::appliance(command).await,
        Command::Audit(Audit::Verify(with)) => verify(&Config::read(&with.config)?).await,
        Command::Broker(command) => broker::run(command),
        Command::Openapi => say(&serde_json::to_string_pretty(&serve::openapi())?),
    }
}

fn say(text: &str) -> Result<()> {
    use std::io::Write;
    writeln!(std::io::stdout(), "{text}").context("printing")
}

async fn verify(config: &Config) -> Result<()> {
    let store = start::store(config).await?;
    let vault = start::vault(config, &start::ids())?;
    let mut broken = 0;
    for tenant in tenants::all(&store).await? {
        match audit::verify(&store, &vault, &tenant.id).await {
            Ok(whole) => say(&format!(
                "{}: {} rows hold, ending {}; {} signed checkpoints verify with {}",
                tenant.code,
                whole.rows,
                whole.head,
                whole.checkpoints,
                audit::public_key(&vault, &tenant.id)?,
            ))?,
            Err(Broken::Store(error)) => return Err(error.into()),
            Err(why) => {
                broken += 1;
                say(&format!("{}: BROKEN: {why}", tenant.code))?;
            }
        }
    }
    anyhow::ensure!(broken == 0, "{broken} audit chains do not hold");
    Ok(())
}
