//! `hil`: the bench. Each subcommand is a peer of its own with its own process and books.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

#[derive(Parser)]
#[command(about = "Bench peers that speak the genuine protocols and misbehave on command")]
struct Cli {
    #[command(subcommand)]
    peer: Peer,
}

#[derive(Subcommand)]
enum Peer {
    /// A hospital information system: SOAP, HL7 over MLLP, its own books.
    His(HisArgs),
}

#[derive(Args)]
struct HisArgs {
    /// The SQLite file; filled from the seed when new.
    #[arg(long, default_value = "his.sqlite")]
    db: PathBuf,
    /// Decides histories, stock and schedules of a new file.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    #[arg(long, default_value = "127.0.0.1")]
    bind: IpAddr,
    #[arg(long, default_value_t = 7001)]
    soap: u16,
    #[arg(long, default_value_t = 7002)]
    mllp: u16,
    #[arg(long, default_value_t = 7003)]
    control: u16,
    /// Charset of SOAP replies.
    #[arg(long, default_value = "utf-8")]
    charset: String,
    /// Whether order numbers of the caller make a call idempotent.
    #[arg(long, value_enum, default_value_t = Keys::Ignore)]
    keys: Keys,
    #[arg(long, default_value_t = 15)]
    lock_minutes: i64,
    /// Where stop-clinic notices go as SOAP.
    #[arg(long)]
    callback_soap: Option<String>,
    /// Where stop-clinic notices go as HL7, host:port.
    #[arg(long)]
    callback_mllp: Option<String>,
    /// Base of file addresses in replies; the SOAP address when absent.
    #[arg(long, default_value = "")]
    public_base: String,
    /// Print the demo patients, doctors and departments as JSON and end.
    #[arg(long)]
    print_demo: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Keys {
    Ignore,
    Honour,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    rig::logs();
    match Cli::parse().peer {
        Peer::His(args) => ended(his(args)).await,
    }
}

/// Runs a peer until it fails or the process is told to stop.
async fn ended(peer: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        done = peer => done,
        _ = terminate.recv() => Ok(()),
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

async fn his(args: HisArgs) -> anyhow::Result<()> {
    if args.print_demo {
        println!("{}", serde_json::to_string_pretty(&bench_his::demo())?);
        return Ok(());
    }
    let charset =
        bench_his::Charset::named(&args.charset).ok_or_else(|| anyhow::anyhow!("unknown charset {}", args.charset))?;
    let settings = bench_his::Settings {
        db: args.db,
        seed: args.seed,
        soap: SocketAddr::new(args.bind, args.soap),
        mllp: SocketAddr::new(args.bind, args.mllp),
        control: SocketAddr::new(args.bind, args.control),
        options: bench_his::Options {
            honour_keys: args.keys == Keys::Honour,
            charset,
            lock_minutes: args.lock_minutes,
            callback_soap: args.callback_soap,
            callback_mllp: args.callback_mllp,
            public_base: args.public_base,
        },
    };
    bench_his::run(settings, |_| rig::announce_ready()).await?;
    Ok(())
}
