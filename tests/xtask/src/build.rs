//! Builds the product and names the programs of the bench.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// Packages with the daemons of the product and of the bench.
const PROGRAMS: &[&str] = &["app", "media", "edge", "sign", "hil", "site"];

/// Boards of the dock: the one that QEMU emulates, and the intended silicon, which nothing runs here.
const BOARDS: [&str; 2] = ["board-mps2", "board-stm32l4r5"];

/// Instruction set of the dock's microcontrollers.
const BOARD_TARGET: &str = "thumbv7em-none-eabihf";

/// Runs a step with its name and time on standard error.
pub(crate) fn step(name: &str, command: &mut Command) -> Result<()> {
    eprintln!("· {name} …");
    let started = Instant::now();
    let status = command.status().with_context(|| format!("{name}: {command:?}"))?;
    if !status.success() {
        bail!("{name} failed: {command:?}");
    }
    eprintln!("· {name} done in {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// Where cargo puts what it builds.
pub(crate) fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// Cargo in the project's root. What it starts speaks one language everywhere: tests read what other programs print, and
/// PostgreSQL makes no databases in a language that the machine was not set up for.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root).env("LC_ALL", "C.UTF-8").env_remove("LANGUAGE");
    cargo
}

/// The daemons, for running and testing.
pub(crate) fn product(root: &Path) -> Result<()> {
    let mut build = cargo(root);
    build
        .arg("build")
        .args(PROGRAMS.iter().flat_map(|p| ["-p", p]))
        // The SDF device is a library that nothing links.
        .args(["-p", "scenarios", "-p", "bench-sdf"]);
    step("building the daemons", &mut build)?;
    firmware(root)
}

/// The dock's firmware images and boot loaders.
pub(crate) fn firmware(root: &Path) -> Result<()> {
    let installed = Command::new("rustup")
        .args(["target", "list", "--installed"])
        .output()
        .context(
            "rustup, which adds the instruction set of the dock's board: install Rust with it and run this again",
        )?;
    if !String::from_utf8_lossy(&installed.stdout)
        .lines()
        .any(|l| l == BOARD_TARGET)
    {
        step(
            "adding the board's target",
            Command::new("rustup").args(["target", "add", BOARD_TARGET]),
        )?;
    }
    for board in BOARDS {
        let mut build = cargo(root);
        build
            .current_dir(root.join("firmware").join(board))
            .env("CARGO_TARGET_DIR", target(root).join("firmware"))
            .args(["build", "--release", "--quiet", "--workspace", "--locked"]);
        step(&format!("building the dock firmware, {board}"), &mut build)?;
    }
    Ok(())
}

/// The daemons and benchmarks, optimised.
pub(crate) fn release(root: &Path) -> Result<()> {
    let mut build = cargo(root);
    build
        .args(["build", "--release"])
        .args(PROGRAMS.iter().flat_map(|p| ["-p", p]))
        .args(["-p", "bench"]);
    step("building optimised daemons", &mut build)?;
    // The site of a measurement has its dock, too.
    firmware(root)
}

/// The web apps; skipped when nothing they are made of is newer than the last build.
pub(crate) fn web(root: &Path) -> Result<()> {
    let web = root.join("cloud/web");
    let installed = web.join("node_modules/.installed");
    if newest(&web.join("package-lock.json"))? > newest(&installed).unwrap_or(0) {
        step(
            "installing web packages",
            Command::new("npm")
                .args(["ci", "--no-audit", "--no-fund"])
                .current_dir(&web),
        )?;
        std::fs::write(&installed, "").context("marking the installed web packages")?;
    }
    let built = web.join("dist/.built");
    if sources_newer_than(&web, newest(&built).unwrap_or(0))? {
        step(
            "building the web apps",
            Command::new("npm").args(["run", "build"]).current_dir(&web),
        )?;
        std::fs::write(&built, "").context("marking the built web apps")?;
    }
    Ok(())
}

/// A client's types, generated from what a daemon prints of its own interface.
pub(crate) struct WebTypes {
    daemon: &'static str,
    print: &'static str,
    kept: &'static str,
}

/// All of them: the cloud's for the web apps, the signature server's for its management page.
pub(crate) const WEB_TYPES: [WebTypes; 2] = [
    WebTypes {
        daemon: "cloud",
        print: "openapi",
        kept: "cloud/web/kit/src/api/schema.d.ts",
    },
    WebTypes {
        daemon: "signd",
        print: "--openapi-manage",
        kept: "cloud/web/signd/src/api/schema.d.ts",
    },
];

impl WebTypes {
    /// As the daemon describes its interface now, written to `to`.
    pub(crate) fn generate(&self, root: &Path, to: &Path) -> Result<()> {
        let Self { daemon, print, .. } = self;
        let document = target(root).join(format!("openapi-{daemon}.json"));
        let printed = program(root, "debug", daemon)
            .arg(print)
            .output()
            .with_context(|| format!("{daemon} {print}"))?;
        if !printed.status.success() {
            bail!("{daemon} {print}: {}", String::from_utf8_lossy(&printed.stderr));
        }
        std::fs::write(&document, printed.stdout).context("keeping the API document")?;
        let mut generate = Command::new("npx");
        // A field with a default may be left out by the caller.
        generate.args(["openapi-typescript", "--default-non-nullable", "false", "-o"]);
        generate.arg(to).arg(&document);
        step(
            &format!("generating the types of {daemon}'s interface"),
            generate.current_dir(root.join("cloud/web")),
        )
    }

    /// Where they are kept.
    pub(crate) fn kept(&self, root: &Path) -> PathBuf {
        root.join(self.kept)
    }

    /// Fails when those kept are no longer those of the daemon.
    pub(crate) fn check(&self, root: &Path) -> Result<()> {
        let fresh = target(root).join(format!("schema-{}.d.ts", self.daemon));
        self.generate(root, &fresh)?;
        if std::fs::read(&fresh)? != std::fs::read(self.kept(root))? {
            bail!(
                "the interface of {} has changed: run `cargo xtask golden` and commit its client's types",
                self.daemon
            );
        }
        Ok(())
    }
}

fn newest(path: &Path) -> Result<u128> {
    let modified = std::fs::metadata(path)
        .and_then(|m| m.modified())
        .with_context(|| format!("reading {}", path.display()))?;
    Ok(modified
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| d.as_nanos()))
}

fn sources_newer_than(folder: &Path, built: u128) -> Result<bool> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !matches!(name.as_str(), "node_modules" | "dist") && sources_newer_than(&path, built)? {
                return Ok(true);
            }
        } else if newest(&path)? > built {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The program that runs the whole product on this machine.
pub(crate) fn site_command(root: &Path) -> Command {
    program(root, "debug", "site")
}

/// The program that runs scenarios under faults.
pub(crate) fn scenario_command(root: &Path) -> Command {
    program(root, "debug", "fault")
}

/// The same as a step of ours: asked to stop when we are gone, however we went.
pub(crate) fn scenario_step(root: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "--"]);
    command.arg(scenario_command(root).get_program()).current_dir(root);
    command
}

/// The program that measures.
pub(crate) fn bench_command(root: &Path) -> Command {
    program(root, "release", "bench")
}

fn program(root: &Path, profile: &str, name: &str) -> Command {
    let mut command = Command::new(target(root).join(profile).join(name));
    command.current_dir(root);
    command
}

/// Becomes the given program, so that Ctrl-C reaches it directly.
pub(crate) fn replace_process(mut command: Command) -> Result<bool> {
    use std::os::unix::process::CommandExt;
    let error = command.exec();
    Err(error).with_context(|| format!("starting {command:?}"))
}
