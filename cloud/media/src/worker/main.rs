//! `media-worker`: one job on one untrusted file, confined, then gone. `--tools` says what it runs on.

mod elements;
mod export;
mod film;
mod finds;
mod graph;
mod guard;
mod pictures;
mod probe;
mod rescue;

use std::io::{BufRead, Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use media::{Answer, Job, Made, Order, Reason, Tools};

/// Longest order.
const ORDER: u64 = 64 << 10;

/// Why a job ends without a result.
#[derive(Debug)]
pub(crate) struct Fault {
    reason: Reason,
    detail: String,
}

impl Fault {
    pub(crate) fn new(reason: Reason, detail: impl ToString) -> Self {
        Self {
            reason,
            detail: detail.to_string(),
        }
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::new(Reason::Machine, error)
    }
}

fn main() -> ExitCode {
    let outcome = if std::env::args().nth(1).as_deref() == Some("--tools") {
        tools()
    } else {
        work()
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "media-worker: {error}");
            ExitCode::FAILURE
        }
    }
}

fn tools() -> std::io::Result<()> {
    let missing = elements::start().err().map(|fault| vec![fault.detail]);
    let missing = missing.unwrap_or_else(elements::missing);
    let versions = format!(
        "media-worker {}, {}",
        env!("CARGO_PKG_VERSION"),
        gstreamer::version_string()
    );
    let mut line = serde_json::to_vec(&Tools { versions, missing })?;
    line.push(b'\n');
    std::io::stdout().write_all(&line)
}

fn work() -> std::io::Result<()> {
    let mut line = Vec::new();
    std::io::stdin().lock().take(ORDER).read_until(b'\n', &mut line)?;
    let order: Order = serde_json::from_slice(&line)?;
    // Before any byte of the file, and before any thread.
    guard::confine(&order).map_err(std::io::Error::other)?;
    // Whoever waits for us holds our standard input open.
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        std::process::exit(3);
    });
    say(&match perform(&order) {
        Ok(made) => Answer::Made(made),
        Err(Fault { reason, detail }) => Answer::Failed { reason, detail },
    })
}

fn perform(order: &Order) -> Result<Made, Fault> {
    elements::start()?;
    let within = Duration::from_millis(order.settle_ms);
    match &order.job {
        Job::Probe => probe::probe(&order.input, within).map(Made::Facts),
        Job::Poster => pictures::poster(&order.input, within),
        Job::Strip { tiles } => pictures::strip(&order.input, within, *tiles),
        Job::Remux => film::remux(&order.input),
        Job::Salvage { references } => rescue::rescue(&order.input, references),
        Job::Proxy => film::proxy(&order.input, order.threads),
        Job::Export(export) => export::export(&order.input, within, export, order.threads),
    }
}

/// Says a line to the server.
pub(crate) fn say(answer: &Answer) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&line)?;
    out.flush()
}
