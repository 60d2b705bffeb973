//! Measures the product beside its peers in the same run: `bench [NAME] [--json] [--quick]`.
//!
//! Closed loops, a warm-up before each measured part, every failure counted, percentiles from all samples. A benchmark
//! that cannot run fails the whole run. `--quick` is for working on the harness: its figures mean nothing.

mod block;
mod call;
mod devices;
mod http;
mod memory;
mod papers;
mod place;
mod report;
mod serve;
mod sign_rate;
mod slots;
mod sm2;
mod soap;
mod sync_log;
mod timing;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};

use report::{Machine, Report, Row};

#[derive(Parser)]
#[command(name = "bench", about = "Measures the product beside its peers")]
struct Arguments {
    /// Benchmark; all when absent.
    name: Option<Name>,
    /// Machine-readable result.
    #[arg(long)]
    json: bool,
    /// Tiny sizes, to see that the harness works.
    #[arg(long)]
    quick: bool,
    /// Seconds of load of `serve`, to look at a change; a figure takes its minute.
    #[arg(long)]
    seconds: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Name {
    SyncLog,
    Sign,
    Serve,
    Memory,
    Call,
    Slots,
    Devices,
}

impl Name {
    const ALL: [Self; 7] = [
        Self::SyncLog,
        Self::Sign,
        Self::Serve,
        Self::Memory,
        Self::Call,
        Self::Slots,
        Self::Devices,
    ];

    async fn run(self, quick: bool, seconds: Option<u64>) -> Result<Vec<Row>> {
        match self {
            Self::SyncLog => sync_log::run(quick).await,
            Self::Sign => sign_rate::run(quick).await,
            Self::Serve => serve::run(quick, seconds).await,
            Self::Memory => memory::run(quick).await,
            Self::Call => call::run(quick).await,
            Self::Slots => slots::run(quick).await,
            Self::Devices => devices::run(quick).await,
        }
    }
}

/// Progress for whoever watches; results go to standard output.
pub(crate) fn say(what: &str) {
    eprintln!("· {what}");
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    site::prepare();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "role") {
        // The other process of a measurement is this same program.
        return runtime.block_on(role(&arguments));
    }
    let arguments = Arguments::parse();
    let machine = Machine::here();
    let mut results = Vec::new();
    for name in Name::ALL {
        if arguments.name.is_none_or(|wanted| wanted == name) {
            say(&format!("{name:?}"));
            let rows = runtime.block_on(name.run(arguments.quick, arguments.seconds));
            results.extend(rows.with_context(|| format!("benchmark {name:?}"))?);
        }
    }
    let report = Report { machine, results };
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{}", report.table());
    }
    Ok(())
}

async fn role(arguments: &[String]) -> Result<()> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["role", "cloud-end", folder, port] => sync_log::ends::cloud(folder.as_ref(), port.parse()?).await,
        ["role", "ingest", to, bytes] => devices::ingest::role(to.as_ref(), bytes.parse()?),
        ["role", "plain-http", file, port] => slots::plain::serve(file.as_ref(), port.parse()?).await,
        ["role", "cloud-alone", folder, port, database] => {
            slots::alone::serve(folder.as_ref(), port.parse()?, database).await
        }
        other => bail!("no such role: {other:?}"),
    }
}
