//! A daemon of ours as a child process: killed when dropped and with us, its output kept.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::children;

/// Lines a process has written.
#[derive(Clone, Default)]
pub struct Lines(Arc<(Mutex<Vec<String>>, Condvar)>);

impl Lines {
    fn follow(source: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let kept = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(source).lines().map_while(Result::ok) {
                kept.lock().push(line);
                kept.0.1.notify_all();
            }
        });
        lines
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All lines so far.
    pub fn all(&self) -> Vec<String> {
        self.lock().clone()
    }

    /// Waits until a line satisfies `wanted`.
    pub fn wait_for(&self, patience: Duration, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let until = Instant::now() + patience;
        let mut lines = self.lock();
        loop {
            if let Some(line) = lines.iter().find(|line| wanted(line)) {
                return Some(line.clone());
            }
            let left = until.checked_duration_since(Instant::now())?;
            lines = self
                .0
                .1
                .wait_timeout(lines, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

/// A child process that does not outlive its guard.
pub struct Process {
    name: String,
    child: Child,
    /// What it printed.
    pub stdout: Lines,
    /// What it logged.
    pub stderr: Lines,
}

impl Process {
    /// Starts a program.
    pub fn start(program: impl AsRef<OsStr>, args: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(args);
        Self::spawn(command)
    }

    /// Starts a prepared command (environment, directory).
    pub fn spawn(command: Command) -> Self {
        let name = Path::new(command.get_program())
            .file_name()
            .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let mut bound = children::bound(&command);
        bound.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            children::start(bound).unwrap_or_else(|e| panic!("cannot start {}: {e}", command.get_program().display()));
        let stdout = Lines::follow(child.stdout.take().expect("stdout is piped"));
        let stderr = Lines::follow(child.stderr.take().expect("stderr is piped"));
        Self {
            name,
            child,
            stdout,
            stderr,
        }
    }

    /// Waits for the line `ready`; a daemon that dies or stays silent fails the test with what it logged.
    pub fn ready(mut self, patience: Duration) -> Self {
        let until = Instant::now() + patience;
        loop {
            if self
                .stdout
                .wait_for(Duration::from_millis(100), |l| l.trim() == "ready")
                .is_some()
            {
                return self;
            }
            let gone = self.child.try_wait().ok().flatten();
            if gone.is_some() || Instant::now() > until {
                std::thread::sleep(Duration::from_millis(50));
                panic!(
                    "{} is not ready ({gone:?}):\n{}\n{}",
                    self.name,
                    self.stdout.all().join("\n"),
                    self.stderr.all().join("\n")
                );
            }
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once, as a power cut would (SIGKILL).
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends a signal by name, e.g. `STOP`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.id().to_string()])
            .status();
        assert!(sent.is_ok_and(|s| s.success()), "cannot signal {}", self.name);
    }

    /// Asks it to stop (SIGTERM) and waits.
    pub fn stop(&mut self, patience: Duration) -> Option<ExitStatus> {
        self.signal("TERM");
        self.wait(patience)
    }

    /// Waits for its end.
    pub fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + patience;
        while Instant::now() < until {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.stderr.all();
            let tail = log.len().saturating_sub(60);
            eprintln!("--- {} logged ---\n{}", self.name, log[tail..].join("\n"));
        }
    }
}

/// A shared library of this workspace that the running test's package names among its dependencies, as cargo built it.
pub fn library(name: &str) -> PathBuf {
    binary(&format!("lib{name}.so"))
}

/// A program of this workspace, as cargo built it beside the running test. Build it first (`cargo build -p …`).
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the running test has a path");
    let found = test
        .ancestors()
        .skip(1)
        .map(|dir| dir.join(name))
        .find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is not built; run `cargo build` first"))
}
