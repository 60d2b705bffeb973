//! The steps of `test` and `check`.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::Result;
use serde::Serialize;

use crate::{build, fuzz, guest, policy, setup, trace};

#[derive(Serialize)]
struct Step {
    name: &'static str,
    ok: bool,
    seconds: f64,
}

/// Everything that must hold before a change lands.
pub(crate) fn test(root: &Path, only: &[String], json: bool) -> Result<bool> {
    setup::machine(root)?;
    let mut report = Report {
        steps: Vec::new(),
        only,
    };
    report.run("format", || format(root));
    report.run("policy", || policy::run(root));
    report.run("lint", || lint(root));
    report.run("build", || build::product(root));
    report.run("rust", || rust(root));
    report.run("web", || web(root));
    report.run("browser", || browser(root));
    report.run("fault", || fault(root));
    report.run("trace", || requirements(root));
    report.close(json)
}

/// The quick half: no test runs.
pub(crate) fn check(root: &Path, json: bool) -> Result<bool> {
    let mut report = Report {
        steps: Vec::new(),
        only: &[],
    };
    report.run("format", || format(root));
    report.run("policy", || policy::run(root));
    report.run("lint", || lint(root));
    report.close(json)
}

struct Report<'a> {
    steps: Vec<Step>,
    only: &'a [String],
}

impl Report<'_> {
    fn run(&mut self, name: &'static str, work: impl FnOnce() -> Result<()>) {
        if !self.only.is_empty() && !self.only.iter().any(|o| o == name) {
            return;
        }
        eprintln!("── {name}");
        let started = Instant::now();
        let result = work();
        if let Err(error) = &result {
            eprintln!("── {name} FAILED: {error:#}");
        }
        self.steps.push(Step {
            name,
            ok: result.is_ok(),
            seconds: started.elapsed().as_secs_f64(),
        });
    }

    fn close(self, json: bool) -> Result<bool> {
        let ok = self.steps.iter().all(|s| s.ok);
        if json {
            println!("{}", serde_json::json!({ "ok": ok, "steps": self.steps }));
        } else {
            for step in &self.steps {
                println!(
                    "{} {:<8} {:>6.0} s",
                    if step.ok { "ok    " } else { "FAILED" },
                    step.name,
                    step.seconds
                );
            }
        }
        Ok(ok)
    }
}

fn format(root: &Path) -> Result<()> {
    build::step("cargo fmt", build::cargo(root).args(["fmt", "--all", "--check"]))
}

fn lint(root: &Path) -> Result<()> {
    build::step(
        "cargo clippy",
        build::cargo(root).args([
            "clippy",
            "--quiet",
            "--all-targets",
            "--workspace",
            "--",
            "-D",
            "warnings",
        ]),
    )
}

/// All tests in Rust. Properties draw the same cases each time: one set of sources has one result. `cargo xtask fuzz` is
/// where they look further.
fn rust(root: &Path) -> Result<()> {
    guest::kernel(&build::target(root).join("guest"))?;
    build::step(
        "cargo test",
        build::cargo(root)
            .args(["test", "--workspace", "--no-fail-fast"])
            .env(fuzz::PROPERTY_SEED, "1"),
    )
}

fn web(root: &Path) -> Result<()> {
    build::web(root)?;
    let web = root.join("cloud/web");
    for types in &build::WEB_TYPES {
        types.check(root)?;
    }
    build::step(
        "web lint and types",
        Command::new("npm").args(["run", "check"]).current_dir(&web),
    )?;
    build::step("web unit tests", Command::new("npm").args(["test"]).current_dir(&web))
}

fn browser(root: &Path) -> Result<()> {
    build::web(root)?;
    let tests = root.join("tests/browser");
    build::step(
        "installing browser driver",
        Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund"])
            .current_dir(&tests),
    )?;
    build::step(
        "browser journey",
        Command::new("npm").args(["test"]).current_dir(&tests),
    )
}

fn fault(root: &Path) -> Result<()> {
    build::step(
        "follow-up visit under faults",
        build::scenario_step(root).args(["follow-up-visit", "--runs", "3", "--seed", "1"]),
    )?;
    build::step(
        "docking under faults",
        build::scenario_step(root).args(["docking", "--runs", "5", "--seed", "1", "--also", "8"]),
    )
}

fn requirements(root: &Path) -> Result<()> {
    let folder = Path::new("../shared/requirements");
    if !root.join(folder).is_dir() {
        eprintln!("no requirement tables beside the project: rows are not counted");
        return Ok(());
    }
    trace::run(root, folder, None, false).map(|_| ())
}
