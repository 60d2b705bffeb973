//! What an earlier run left behind when it was killed and could not stop its daemons.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

const LIST: &str = "processes";
/// How long a daemon may take to stop when asked.
const STOP: Duration = Duration::from_secs(60);

/// This run's claim to a folder of data: one run at a time. Given back when the run ends, however it ends.
#[derive(Debug)]
pub struct Claim {
    data: PathBuf,
    #[expect(dead_code, reason = "held, not read")]
    lock: File,
}

impl Claim {
    /// Takes the folder, which is made when absent. Nothing in it is touched before that.
    ///
    /// # Errors
    /// When another run has it.
    pub fn take(data: &Path) -> Result<Self> {
        std::fs::create_dir_all(data).with_context(|| format!("making {}", data.display()))?;
        let data = data.canonicalize()?;
        let path = data.join("run.lock");
        let lock = File::create(&path).with_context(|| format!("opening {}", path.display()))?;
        lock.try_lock()
            .with_context(|| format!("another run uses {}: stop it with Ctrl-C first", data.display()))?;
        Ok(Self { data, lock })
    }

    /// The folder.
    pub fn data(&self) -> &Path {
        &self.data
    }
}

/// Notes a started daemon, so that the next run can end it if this one is killed.
pub(crate) fn note(data: &Path, pid: u32) -> Result<()> {
    let path = data.join(LIST);
    let mut list = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("opening {}", path.display()))?;
    let born = born(pid).unwrap_or_default();
    writeln!(list, "{pid} {born}").with_context(|| format!("writing {}", path.display()))
}

/// Ends what an earlier run of this folder left behind; answers how many there were. Call with the [`Claim`] in hand.
pub(crate) async fn end(data: &Path) -> Result<usize> {
    let path = data.join(LIST);
    let Ok(list) = std::fs::read_to_string(&path) else {
        return Ok(0);
    };
    let known = list.lines().filter_map(|line| {
        let (pid, born) = line.split_once(' ')?;
        Some((pid.parse::<u32>().ok()?, born.parse::<u64>().ok()?))
    });
    // A number may belong to somebody else by now: when the process began tells.
    let left: Vec<u32> = known
        .filter(|(pid, b)| born(*pid) == Some(*b))
        .map(|(pid, _)| pid)
        .collect();
    // In the reverse order of their start, as a run that stops by itself does it.
    for pid in left.iter().rev() {
        signal(*pid, "-TERM").await;
        let asked = Instant::now();
        while Path::new(&format!("/proc/{pid}")).exists() {
            if asked.elapsed() > STOP {
                signal(*pid, "-KILL").await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    std::fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
    Ok(left.len())
}

/// When a process began, in clock ticks since the machine did (proc(5), field 22 of `stat`).
fn born(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may hold anything; field 3 follows it.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19)?.parse().ok()
}

async fn signal(pid: u32, name: &str) {
    let _ = tokio::process::Command::new("kill")
        .args([name, &pid.to_string()])
        .status()
        .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_next_run_ends_what_a_killed_one_left_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let start = || {
            tokio::process::Command::new("sleep")
                .arg("600")
                .kill_on_drop(true)
                .spawn()
                .unwrap()
        };
        let (mut ours, mut other) = (start(), start());
        note(folder.path(), ours.id().unwrap()).unwrap();
        // The other's number was given anew since it was noted.
        let stale = format!("{} 1\n", other.id().unwrap());
        let mut list = std::fs::read_to_string(folder.path().join(LIST)).unwrap();
        list.push_str(&stale);
        std::fs::write(folder.path().join(LIST), list).unwrap();
        let reaped = tokio::spawn(async move { ours.wait().await });
        assert_eq!(end(folder.path()).await.unwrap(), 1);
        assert!(!reaped.await.unwrap().unwrap().success());
        assert!(other.try_wait().unwrap().is_none(), "a stranger was ended");
        assert_eq!(end(folder.path()).await.unwrap(), 0);

        let first = Claim::take(folder.path()).unwrap();
        assert!(Claim::take(folder.path()).is_err(), "two runs in one folder");
        drop(first);
        Claim::take(folder.path()).unwrap();
    }
}
