//! The processes of a run: started in order, logged to files, stopped in the reverse order, killed on command and with us.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kit::children;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::leftovers;

/// How long a daemon may take to say `ready`.
const READY: Duration = Duration::from_secs(180);
/// How long a daemon may take to stop when asked.
const STOP: Duration = Duration::from_secs(60);

/// How to start a daemon.
#[derive(Clone, Debug)]
pub struct Program {
    /// Name for people and log file, e.g. `cloud`.
    pub name: &'static str,
    /// Executable.
    pub executable: PathBuf,
    /// Arguments.
    pub arguments: Vec<String>,
    /// Environment added to ours.
    pub environment: Vec<(String, String)>,
}

/// A started daemon.
#[derive(Debug)]
struct Running {
    program: Program,
    child: Option<Child>,
}

/// All daemons of a run.
#[derive(Debug)]
pub struct Processes {
    data: PathBuf,
    logs: PathBuf,
    running: Vec<Running>,
}

impl Processes {
    /// None yet; logs go to `logs` in this folder.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(data: &Path) -> Result<Self> {
        let logs = data.join("logs");
        std::fs::create_dir_all(&logs).with_context(|| format!("making {}", logs.display()))?;
        Ok(Self {
            data: data.to_path_buf(),
            logs,
            running: Vec::new(),
        })
    }

    /// Starts a daemon and waits for its line `ready`.
    ///
    /// # Errors
    /// When it cannot be started, ends, or is not ready in time; the end of its log is part of the message.
    pub async fn start(&mut self, program: Program) -> Result<()> {
        let child = self.launch(&program).await?;
        self.running.push(Running {
            program,
            child: Some(child),
        });
        Ok(())
    }

    async fn launch(&self, program: &Program) -> Result<Child> {
        let log = self.logs.join(format!("{}.log", program.name));
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("opening {}", log.display()))?;
        let [bound, words @ ..] = children::BOUND;
        let mut command = Command::new(bound);
        command
            .args(words)
            .arg(&program.executable)
            .args(&program.arguments)
            .envs(program.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file)
            // Ctrl-C in the terminal reaches us only, so that we can stop them in order.
            .process_group(0)
            .kill_on_drop(true);
        let runtime = tokio::runtime::Handle::current();
        let started = children::on_the_staying_thread(move || {
            let _within = runtime.enter();
            command.spawn()
        });
        let mut child = started.with_context(|| format!("starting {}", program.executable.display()))?;
        if let Some(pid) = child.id() {
            leftovers::note(&self.data, pid)?;
        }
        let stdout = child.stdout.take().context("stdout is piped")?;
        let mut lines = BufReader::new(stdout).lines();
        let ready = tokio::time::timeout(READY, async {
            while let Some(line) = lines.next_line().await? {
                if line.trim() == "ready" {
                    return Ok::<bool, std::io::Error>(true);
                }
            }
            Ok(false)
        })
        .await;
        if !matches!(ready, Ok(Ok(true))) {
            let _ = child.kill().await;
            bail!("{} did not get ready; its log ends:\n{}", program.name, tail(&log));
        }
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(child)
    }

    fn find(&mut self, name: &str) -> Result<&mut Running> {
        self.running
            .iter_mut()
            .find(|r| r.program.name == name)
            .with_context(|| format!("no process {name}"))
    }

    /// Ends a daemon at once, as a power cut would (SIGKILL).
    ///
    /// # Errors
    /// When there is no such daemon.
    pub async fn kill(&mut self, name: &str) -> Result<()> {
        if let Some(mut child) = self.find(name)?.child.take() {
            child.kill().await.with_context(|| format!("killing {name}"))?;
        }
        Ok(())
    }

    /// Starts a killed daemon again.
    ///
    /// # Errors
    /// See [`Self::start`].
    pub async fn restart(&mut self, name: &str) -> Result<()> {
        self.kill(name).await?;
        let program = self.find(name)?.program.clone();
        let child = self.launch(&program).await?;
        self.find(name)?.child = Some(child);
        Ok(())
    }

    /// Resident memory of each daemon in KiB.
    pub fn memory(&self) -> Vec<(&'static str, u64)> {
        let resident = |pid: u32| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            status
                .lines()
                .find_map(|l| l.strip_prefix("VmRSS:"))?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        };
        self.running
            .iter()
            .filter_map(|r| Some((r.program.name, resident(r.child.as_ref()?.id()?)?)))
            .collect()
    }

    /// The first daemon that has ended by itself, if any.
    pub fn fallen(&mut self) -> Option<&'static str> {
        let ended = |r: &mut Running| r.child.as_mut().is_some_and(|c| matches!(c.try_wait(), Ok(Some(_))));
        self.running.iter_mut().find_map(|r| ended(r).then_some(r.program.name))
    }

    /// Stops all in reverse order: SIGTERM, and SIGKILL for who does not listen. Names those that had to be killed.
    pub async fn stop(&mut self) -> Vec<&'static str> {
        let mut stubborn = Vec::new();
        while let Some(mut running) = self.running.pop() {
            let Some(mut child) = running.child.take() else {
                continue;
            };
            if let Some(pid) = child.id() {
                let _ = Command::new("kill").args(["-TERM", &pid.to_string()]).status().await;
            }
            if tokio::time::timeout(STOP, child.wait()).await.is_err() {
                stubborn.push(running.program.name);
                let _ = child.kill().await;
            }
        }
        stubborn
    }
}

/// The last lines of a log.
pub fn tail(path: &Path) -> String {
    let text = std::fs::read(path)
        .map(|b| String::from_utf8_lossy(&b).into_owned())
        .unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines
        .get(lines.len().saturating_sub(25)..)
        .unwrap_or_default()
        .join("\n")
}
