//! `fault NAME --runs N --seed S`: runs a scenario while something breaks, and compares the books.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Parser;
use scenarios::client::PATIENCE;
use scenarios::docking::{SmallDisk, Ward};
use scenarios::faults::{LONGEST_OUTAGE, Plan, Striker};
use scenarios::{books, journey};
use serde_json::json;
use site::{Claim, Options, Site};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Mutex;

#[derive(Parser)]
struct Arguments {
    /// Scenario.
    name: String,
    /// How many seeds.
    #[arg(long, default_value_t = 10)]
    runs: u32,
    /// First seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seeds to be run after those (docking).
    #[arg(long, value_delimiter = ',')]
    also: Vec<u64>,
    /// Outages of minutes.
    #[arg(long)]
    long: bool,
    /// Machine-readable result.
    #[arg(long)]
    json: bool,
    /// Keep the data of the run here, to look at afterwards.
    #[arg(long)]
    keep: Option<std::path::PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    // Who is asked to stop takes everything down with it.
    let told = tokio::select! {
        told = run(Arguments::parse()) => told,
        asked = asked_to_stop() => asked,
    };
    match told {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn asked_to_stop() -> Result<bool> {
    let (mut interrupted, mut terminated) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupted.recv() => bail!("interrupted"),
        _ = terminated.recv() => bail!("asked to stop"),
    }
}

async fn run(arguments: Arguments) -> Result<bool> {
    site::prepare();
    let temporary = tempfile::tempdir()?;
    let folder = arguments.keep.clone().unwrap_or_else(|| temporary.path().to_path_buf());
    match arguments.name.as_str() {
        "follow-up-visit" => follow_up_visit(&arguments, &folder).await,
        "docking" => docking(&arguments, &folder).await,
        other => bail!("unknown scenario {other}; there are: follow-up-visit, docking"),
    }
}

/// Recorders come back while something breaks: every byte is in the cloud or still on its recorder.
async fn docking(arguments: &Arguments, folder: &Path) -> Result<bool> {
    let claim = Claim::take(folder)?;
    let _disk = SmallDisk::mount(&claim)?;
    let site = Arc::new(Mutex::new(Site::start_in(claim, Options::free_ports()?).await?));
    let ward = Ward::open(Arc::clone(&site)).await?;
    let told = scenarios::docking::runs(&ward, arguments.seed, arguments.runs, &arguments.also).await;
    site.lock().await.stop().await;
    let told = told?;
    report(arguments, told.counted, told.fired, &told.details, told.differences);
    let wanted = arguments.runs + u32::try_from(arguments.also.len())?;
    Ok(told.differences == 0 && told.counted == wanted)
}

fn report(arguments: &Arguments, counted: u32, fired: u32, details: &[serde_json::Value], differences: usize) {
    if arguments.json {
        println!(
            "{}",
            json!({ "runs": counted, "faults_fired": fired, "differences": differences, "details": details })
        );
    } else {
        println!("{counted} runs, {fired} faults fired, {differences} differences");
    }
}

async fn follow_up_visit(arguments: &Arguments, folder: &Path) -> Result<bool> {
    let site = Arc::new(Mutex::new(Site::start(folder, Options::free_ports()?).await?));
    let addresses = site.lock().await.addresses().clone();
    let cast = journey::gather(&addresses).await?;
    // Whoever meets an outage of minutes comes back after it.
    let cast = if arguments.long {
        cast.with_patience(LONGEST_OUTAGE + PATIENCE)
    } else {
        cast
    };
    let (mut counted, mut fired, mut details, mut differences) = (0u32, 0u32, Vec::new(), 0usize);
    let mut seed = arguments.seed;
    // A run whose fault did not fire does not count; it is replaced, but not for ever.
    while counted < arguments.runs && seed < arguments.seed + u64::from(arguments.runs) * 4 {
        let plan = Plan::of(seed, arguments.long);
        let started = Instant::now();
        let mut striker = Striker::new(Arc::clone(&site), plan);
        let told = journey::follow_up_visit(&addresses, &cast, &format!("run-{seed}"), &mut striker).await;
        let struck = striker.finish().await?;
        let found = match &told {
            Ok(made) => books::compare(&addresses, &cast, std::slice::from_ref(made)).await?,
            Err(error) => vec![format!("the story broke off: {error:#}")],
        };
        let line = format!(
            "seed {seed}: {:?} before {:?} for {:.1} s, {} — {} in {:.0} s",
            plan.fault,
            plan.step,
            plan.outage.as_secs_f64(),
            if struck { "fired" } else { "did not fire" },
            if found.is_empty() {
                "books agree".to_owned()
            } else {
                format!("{} differences", found.len())
            },
            started.elapsed().as_secs_f64()
        );
        eprintln!("{line}");
        for difference in &found {
            eprintln!("    {difference}");
        }
        counted += u32::from(struck || !found.is_empty());
        fired += u32::from(struck);
        differences += found.len();
        details.push(json!({ "seed": seed, "fault": format!("{:?}", plan.fault), "step": format!("{:?}", plan.step), "fired": struck, "differences": found, "seconds": started.elapsed().as_secs_f64() }));
        seed += 1;
    }
    site.lock().await.stop().await;
    report(arguments, counted, fired, &details, differences);
    Ok(differences == 0 && counted == arguments.runs)
}
