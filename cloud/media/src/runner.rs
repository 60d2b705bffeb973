//! Runs `media-worker`, a process for each job, and never believes it.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use crate::{Answer, Job, Made, Order, Reason};

/// Longest line taken from a worker.
const LINE: u64 = 1 << 20;
/// Bytes kept of what it says on standard error.
const WORDS: u64 = 4 << 10;
/// Tiles of a strip.
pub(crate) const TILES: u32 = 12;

/// Where the worker is and what it may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Program.
    pub program: PathBuf,
    /// Address space of one job in bytes.
    pub memory: u64,
    /// Threads of an encoder.
    pub threads: u32,
    /// A job whose file has no picture by then is tried again later.
    pub settle: Duration,
    /// A job that takes longer is killed. Jobs whose work grows with the recording get [`Worker::patience`].
    pub patience: Duration,
    /// No job takes longer.
    pub longest: Duration,
}

/// What the worker runs on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tools {
    /// E.g. `media-worker 0.1.0, GStreamer 1.22.0`.
    pub versions: String,
    /// Parts that are missing; empty when every job can be done.
    pub missing: Vec<String>,
}

/// Why a job has no result.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The worker's own, reasoned answer.
    #[error("{reason:?}: {detail}")]
    Refused {
        /// Why.
        reason: Reason,
        /// For operators.
        detail: String,
    },
    /// It could not be started.
    #[error("the media worker cannot be started: {0}")]
    Missing(std::io::Error),
    /// It took too long and was killed.
    #[error("the media worker did not end in time and was killed")]
    Hung,
    /// It ended without an answer.
    #[error("the media worker ended without an answer: {status}; {words}")]
    Crashed {
        /// How.
        status: ExitStatus,
        /// Its last words.
        words: String,
    },
    /// Its answer makes no sense.
    #[error("the media worker's answer makes no sense: {0}")]
    Nonsense(String),
    /// It could not be spoken to.
    #[error("speaking with the media worker: {0}")]
    Line(#[from] std::io::Error),
}

impl Failure {
    /// For people.
    pub const fn text(&self) -> &'static str {
        match self {
            Self::Refused { reason, .. } => reason.text(),
            Self::Missing(_) => Reason::Tools.text(),
            Self::Hung => "处理超时，已中止；文件可能有异常，原始文件已完整保留",
            Self::Crashed { .. } | Self::Nonsense(_) => "处理时出错，已中止；文件可能有异常，原始文件已完整保留",
            Self::Line(_) => Reason::Machine.text(),
        }
    }

    /// Whether another attempt may end otherwise.
    pub const fn passing(&self) -> bool {
        match self {
            Self::Refused { reason, .. } => matches!(reason, Reason::Late | Reason::Tools | Reason::Machine),
            _ => true,
        }
    }
}

impl Worker {
    /// With the usual limits.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            memory: 3 << 30,
            threads: 2,
            settle: Duration::from_secs(30),
            patience: Duration::from_secs(120),
            longest: Duration::from_secs(8 * 3600),
        }
    }

    /// How long a job on a recording of this many bytes and milliseconds may take.
    pub fn patience(&self, job: &Job, bytes: u64, duration_ms: Option<u64>) -> Duration {
        // A slow disk reads 20 MB/s; a slow machine encodes 1080p at a quarter of its speed.
        let reading = Duration::from_secs(bytes / (20 << 20));
        let length = Duration::from_millis(duration_ms.unwrap_or(0));
        let more = match job {
            Job::Probe | Job::Poster | Job::Strip { .. } => Duration::ZERO,
            Job::Remux | Job::Salvage { .. } => reading * 4,
            Job::Proxy => reading + length * 2,
            Job::Export(_) => reading + length * 4,
        };
        (self.patience + more).min(self.longest)
    }

    /// A strip, as it usually is.
    pub const fn strip() -> Job {
        Job::Strip { tiles: TILES }
    }

    /// What the worker runs on.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn tools(&self) -> Result<Tools, Failure> {
        let folder = tempfile::tempdir()?;
        let mut child = self
            .command(folder.path())
            .arg("--tools")
            .spawn()
            .map_err(Failure::Missing)?;
        let (out, status) = tokio::time::timeout(self.patience, async {
            let out = first_bytes(child.stdout.take(), LINE).await;
            (out, child.wait().await)
        })
        .await
        .map_err(|_| Failure::Hung)?;
        serde_json::from_slice(&out).map_err(|e| Failure::Nonsense(format!("{e}; ended with {:?}", status.ok())))
    }

    /// Does a job on a file; what is made lies in `scratch`, an empty folder, under [`Job::output`].
    ///
    /// # Errors
    /// See [`Failure`]; the worker has ended in every case.
    pub async fn run(
        &self,
        (job, input): (Job, &Path),
        scratch: &Path,
        patience: Duration,
        mut progress: impl FnMut(u8),
    ) -> Result<Made, Failure> {
        let input = std::path::absolute(input)?;
        let bytes = tokio::fs::metadata(&input).await?.len();
        let order = Order {
            input,
            memory: self.memory,
            cpu_s: patience.as_secs().saturating_mul(u64::from(self.threads) + 2),
            output: bytes.saturating_mul(4).max(256 << 20),
            settle_ms: u64::try_from(self.settle.as_millis()).unwrap_or(u64::MAX),
            threads: self.threads,
            job,
        };
        let mut child = self.command(scratch).spawn().map_err(Failure::Missing)?;
        let (mut stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let mut line = serde_json::to_vec(&order).map_err(|e| Failure::Nonsense(e.to_string()))?;
        line.push(b'\n');
        let talk = async {
            if let Some(stdin) = &mut stdin {
                // One that is dead already has its words on the other line.
                let _ = stdin.write_all(&line).await;
            }
            let (answer, words) = tokio::join!(answer(stdout, &mut progress), first_bytes(stderr, WORDS));
            (answer, words, child.wait().await)
        };
        let talked = tokio::time::timeout(patience, talk).await;
        // Closing its standard input tells it that nobody waits; killing is what counts.
        drop(stdin);
        let Ok((answer, words, status)) = talked else {
            child.kill().await?;
            return Err(Failure::Hung);
        };
        let words = String::from_utf8_lossy(&words).into_owned();
        match answer? {
            Some(Answer::Made(made)) => self.believe(&order.job, made, scratch).await,
            Some(Answer::Failed { reason, detail }) => Err(Failure::Refused { reason, detail }),
            Some(Answer::Progress(_)) | None => Err(Failure::Crashed { status: status?, words }),
        }
    }

    /// A result counts when it is that of the job and its file is there.
    async fn believe(&self, job: &Job, made: Made, scratch: &Path) -> Result<Made, Failure> {
        let fits = matches!(
            (job, &made),
            (Job::Probe, Made::Facts(_))
                | (Job::Poster, Made::Poster { .. })
                | (Job::Strip { .. }, Made::Strip(_))
                | (Job::Remux | Job::Proxy | Job::Export(_), Made::Film { .. })
                | (Job::Salvage { .. }, Made::Rescued(_))
        );
        if !fits {
            return Err(Failure::Nonsense("a result of another job".to_owned()));
        }
        if let Some(name) = job.output() {
            let file = tokio::fs::symlink_metadata(scratch.join(name)).await;
            if !file.is_ok_and(|m| m.is_file() && m.len() > 0) {
                return Err(Failure::Nonsense("no file was made".to_owned()));
            }
        }
        Ok(made)
    }

    fn command(&self, scratch: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .env("HOME", scratch)
            .env("LANG", "C.UTF-8")
            // No list of plugins is read or made: the worker loads the few it needs.
            .env("GST_PLUGIN_SYSTEM_PATH_1_0", "")
            .env("GST_REGISTRY", scratch.join("registry.bin"))
            .env("GST_REGISTRY_FORK", "no")
            .env("FONTCONFIG_FILE", scratch.join("fonts.conf"))
            // Each arena of the allocator reserves address space, which is limited.
            .env("MALLOC_ARENA_MAX", "2")
            .current_dir(scratch)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

/// The last line of a worker that ends something.
async fn answer(out: Option<impl AsyncRead + Unpin>, progress: &mut impl FnMut(u8)) -> Result<Option<Answer>, Failure> {
    let Some(out) = out else { return Ok(None) };
    let mut lines = BufReader::new(out);
    loop {
        let mut line = Vec::new();
        let read = (&mut lines).take(LINE).read_until(b'\n', &mut line).await?;
        if read == 0 {
            return Ok(None);
        }
        match serde_json::from_slice(&line) {
            Ok(Answer::Progress(percent)) => progress(percent.min(100)),
            Ok(end) => return Ok(Some(end)),
            Err(error) => return Err(Failure::Nonsense(error.to_string())),
        }
    }
}

/// The first bytes somebody says; the rest is read and forgotten, so that nobody waits to be heard.
async fn first_bytes(from: Option<impl AsyncRead + Unpin>, most: u64) -> Vec<u8> {
    let mut kept = Vec::new();
    if let Some(mut from) = from {
        let _ = (&mut from).take(most).read_to_end(&mut kept).await;
        let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
    }
    kept
}
