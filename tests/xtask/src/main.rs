//! `cargo xtask COMMAND`: everything a person types in this project.

mod build;
mod fuzz;
mod guest;
mod policy;
mod setup;
mod soak;
mod steps;
mod trace;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Every command of the project")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Set up this machine, build, and run the whole product on it; Ctrl-C stops it.
    Up {
        /// Where the run keeps its data.
        #[arg(long, default_value = ".run")]
        dir: PathBuf,
        /// First port of the run; the services take the ports from there on.
        #[arg(long, default_value_t = 8080)]
        port: u16,
        /// Print the addresses as one JSON line instead of a table.
        #[arg(long)]
        json: bool,
        /// Forget the data of an earlier run first.
        #[arg(long)]
        fresh: bool,
        /// TLS algorithms between appliance and cloud: classic, sm (RFC 8998 alone), sm-first or classic-first.
        #[arg(long, default_value = "classic")]
        tls: String,
    },
    /// Set up this machine and run all tests.
    Test {
        /// Only these steps.
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
        /// Print a JSON summary at the end.
        #[arg(long)]
        json: bool,
    },
    /// Run a scenario while lines are cut and processes are killed, and compare the books.
    Fault {
        /// Scenario, e.g. `follow-up-visit`.
        name: String,
        /// How many seeds.
        #[arg(long, default_value_t = 10)]
        runs: u32,
        /// First seed.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Outages of minutes instead of seconds.
        #[arg(long)]
        long: bool,
        /// Machine-readable result.
        #[arg(long)]
        json: bool,
    },
    /// Measure beside a peer in the same run (release build).
    Bench {
        /// Benchmark, or all.
        name: Option<String>,
        /// Machine-readable result.
        #[arg(long)]
        json: bool,
    },
    /// Throw changed bytes at every reader of outside data, and draw other cases for every property, longer than the
    /// tests do.
    Fuzz {
        /// One fuzzer, or all.
        name: Option<String>,
        /// How many times the cases of the tests.
        #[arg(long, default_value_t = 100)]
        times: u32,
        /// Where the cases begin; another number gives other cases.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Let the signature server work through days of new lists, imports and restarts, longer than the tests do.
    Soak {
        /// How long.
        #[arg(long, default_value_t = 60)]
        minutes: u64,
    },
    /// Which requirement rows are demonstrated by tests.
    Trace {
        /// Folder with the requirement tables.
        #[arg(long, default_value = "../shared/requirements")]
        requirements: PathBuf,
        /// List the rows of this area that no test demonstrates.
        #[arg(long)]
        missing: Option<String>,
        /// Machine-readable result.
        #[arg(long)]
        json: bool,
    },
    /// Make generated files that are kept anew: the web clients' types from the API documents.
    Golden,
    /// Format, lints, licences, dependency rules.
    Check {
        /// Machine-readable result.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool> {
    let root = setup::project_root()?;
    match Arguments::parse().command {
        Command::Up {
            dir,
            port,
            json,
            fresh,
            tls,
        } => {
            setup::machine(&root)?;
            build::product(&root)?;
            build::web(&root)?;
            let mut site = build::site_command(&root);
            site.arg("up")
                .arg("--dir")
                .arg(dir)
                .arg("--port")
                .arg(port.to_string())
                .args(["--tls", &tls]);
            if json {
                site.arg("--json");
            }
            if fresh {
                site.arg("--fresh");
            }
            build::replace_process(site)
        }
        Command::Test { only, json } => steps::test(&root, &only, json),
        Command::Fault {
            name,
            runs,
            seed,
            long,
            json,
        } => {
            setup::machine(&root)?;
            build::product(&root)?;
            let mut fault = build::scenario_command(&root);
            fault
                .arg(name)
                .args(["--runs", &runs.to_string(), "--seed", &seed.to_string()]);
            if long {
                fault.arg("--long");
            }
            if json {
                fault.arg("--json");
            }
            build::replace_process(fault)
        }
        Command::Bench { name, json } => {
            setup::machine(&root)?;
            build::release(&root)?;
            let mut bench = build::bench_command(&root);
            if name.as_deref().is_none_or(|n| n == "devices")
                && let Some(python) = setup::receipt_peer(&root)
            {
                bench.env("YIQIAO_PYTHON", python);
            }
            bench.args(name);
            if json {
                bench.arg("--json");
            }
            Ok(bench.status()?.success())
        }
        Command::Fuzz { name, times, seed } => {
            setup::machine(&root)?;
            fuzz::run(&root, name.as_deref(), times, seed)
        }
        Command::Soak { minutes } => {
            setup::machine(&root)?;
            soak::run(&root, minutes)
        }
        Command::Trace {
            requirements,
            missing,
            json,
        } => trace::run(&root, &requirements, missing.as_deref(), json),
        Command::Golden => {
            setup::machine(&root)?;
            build::product(&root)?;
            build::web(&root)?;
            for types in &build::WEB_TYPES {
                types.generate(&root, &types.kept(&root))?;
            }
            Ok(true)
        }
        Command::Check { json } => {
            setup::machine(&root)?;
            steps::check(&root, json)
        }
    }
}
