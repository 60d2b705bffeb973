//! Copying footage: SM3 and SHA-256 on the way, durable, read back from the disk; beside `cp` followed by `sha256sum` of the
//! same files on the same disk in the same run, turn about. Then what it takes of memory, and ten recorders at once.
//!
//! Before each turn the source's pages are dropped from the cache and what the turn before left to write is written, so that
//! both read a recorder that was just plugged and neither pays for the other. The plain peer promises less: its copy is
//! neither durable nor read from the disk again. The second peer promises the same with the same tools.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use recorder::copy::{self, Control};
use recorder::turns::{Limits, Wish, next};
use rustix::fs::{Advice, fadvise};

use crate::report::Row;
use crate::say;
use crate::timing::Samples;

const MIB: u64 = 1 << 20;

/// Sizes of a run.
struct Size {
    /// Bytes of a file; a shift has many.
    file: u64,
    files: u64,
    rounds: u32,
}

pub(crate) fn run(quick: bool) -> Result<Vec<Row>> {
    let size = if quick {
        Size {
            file: 8 * MIB,
            files: 2,
            rounds: 1,
        }
    } else {
        Size {
            file: 256 * MIB,
            files: 3,
            rounds: 5,
        }
    };
    // On the disk of the build, not in a temporary folder that may be memory.
    let beside = std::env::current_exe().context("where the benchmark lies")?;
    let folder = tempfile::tempdir_in(beside.parent().context("the benchmark's folder")?)?;
    let mut rows = beside_tools(&size, folder.path())?;
    rows.push(memory(quick, folder.path())?);
    rows.push(ten_at_once(quick, folder.path())?);
    Ok(rows)
}

/// Random bytes on the disk.
fn made(path: &Path, bytes: u64, seed: u64) -> Result<()> {
    let (mut random, mut file, mut piece) = (StdRng::seed_from_u64(seed), File::create(path)?, vec![0u8; 1 << 20]);
    for _ in 0..bytes / MIB {
        random.fill_bytes(&mut piece);
        file.write_all(&piece)?;
    }
    file.sync_all()?;
    Ok(())
}

/// Has the disk give a file, not the memory.
fn cool(path: &Path) -> Result<()> {
    fadvise(File::open(path)?, 0, None, Advice::DontNeed)?;
    Ok(())
}

fn tool(program: &str, arguments: &[&Path]) -> Result<()> {
    let done = Command::new(program)
        .args(arguments)
        .output()
        .context(program.to_owned())?;
    ensure!(
        done.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(())
}

fn beside_tools(size: &Size, folder: &Path) -> Result<Vec<Row>> {
    say("ingest");
    let sources: Vec<PathBuf> = (0..size.files).map(|n| folder.join(format!("clip{n}"))).collect();
    for (n, path) in (0u64..).zip(&sources) {
        made(path, size.file, n)?;
    }
    let to = folder.join("copy");
    let mut took: [Samples; 3] = Default::default();
    for round in 0..=size.rounds {
        for turn in 0..3 {
            // Each goes first as often as the others.
            let which = (turn + round as usize) % 3;
            sources.iter().try_for_each(|path| cool(path))?;
            let began = Instant::now();
            for source in &sources {
                match which {
                    0 => {
                        let opened = Box::new(File::open(source)?);
                        let copied = copy::copy(opened, size.file, &to, &Control::default())?;
                        ensure!(copied.size == size.file);
                    }
                    1 => {
                        tool("cp", &[source, &to])?;
                        tool("sha256sum", &[&to])?;
                    }
                    _ => {
                        tool("cp", &[source, &to])?;
                        tool("sync", &[&to])?;
                        cool(&to)?;
                        tool("sha256sum", &[&to])?;
                    }
                }
            }
            let time = began.elapsed();
            // What the peer left to be written is not written in the next one's time.
            File::open(&to)?.sync_all()?;
            std::fs::remove_file(&to)?;
            if round > 0
                && let Some(samples) = took.get_mut(which)
            {
                samples.push(time);
            }
        }
    }
    for source in &sources {
        std::fs::remove_file(source)?;
    }
    let bytes = (size.file * size.files) as f64 / 1e6;
    let speed = |samples: &Samples| -> Result<f64> {
        let middle = samples.percentile(0.5).context("no samples")?;
        Ok(bytes / middle * 1_000.0)
    };
    let [ours, plain, same] = &took;
    let note = format!(
        "{} files of {} MiB, source cold, middle of {} turns; ours: SM3 and SHA-256, fdatasync, read back from the disk, fsync, rename",
        size.files,
        size.file / MIB,
        size.rounds
    );
    Ok(vec![
        Row::new("ingest", speed(ours)?, "MB/s")
            .times(ours)
            .beside(
                "cp, then sha256sum: nothing durable, the copy read from memory",
                speed(plain)?,
            )
            .peer_times(plain)
            .note(note.clone()),
        Row::new("ingest, same promise", speed(ours)?, "MB/s")
            .times(ours)
            .beside("cp, sync, sha256sum of the copy on the disk; without SM3", speed(same)?)
            .peer_times(same)
            .note(note),
    ])
}

/// Memory at its most, of a process that copies so many bytes.
fn most_of(folder: &Path, bytes: u64) -> Result<f64> {
    let to = folder.join("copy");
    let out = Command::new(std::env::current_exe()?)
        .args(["role", "ingest"])
        .arg(&to)
        .arg(bytes.to_string())
        .output()?;
    ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    std::fs::remove_file(&to)?;
    let kib: f64 = String::from_utf8_lossy(&out.stdout).trim().parse()?;
    Ok(kib / 1024.0)
}

/// The process of [`most_of`]: copies bytes that never lay in memory or on the disk, and tells its own most.
pub(crate) fn role(to: &Path, bytes: u64) -> Result<()> {
    let source = StdRng::seed_from_u64(bytes);
    copy::copy(Box::new(Endless(source).take(bytes)), bytes, to, &Control::default())?;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let most = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let most = most.and_then(|l| l.trim().strip_suffix("kB")).context("VmHWM")?;
    println!("{}", most.trim());
    Ok(())
}

struct Endless(StdRng);

impl Read for Endless {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        self.0.fill_bytes(to);
        Ok(to.len())
    }
}

fn memory(quick: bool, folder: &Path) -> Result<Row> {
    say("ingest: memory");
    let (small, large) = if quick {
        (4 * MIB, 16 * MIB)
    } else {
        (64 * MIB, 4096 * MIB)
    };
    let value = most_of(folder, large)?;
    Ok(
        Row::new(format!("ingest memory, a file of {} MiB", large / MIB), value, "MiB")
            .beside(format!("the same, {} MiB", small / MIB), most_of(folder, small)?)
            .note("resident at its most, whole process; ratio 1: it does not grow with the footage"),
    )
}

/// A recorder that is read at the same time as nine others.
struct Shelved {
    wish: Wish,
    left: u64,
}

/// Ten recorders at three controllers: eight alike, one nearly empty, one that somebody waits for. Each turn is a real copy;
/// whose turn it is, says the product. Looked at when half of all is copied, as long as all still want to be read.
fn ten_at_once(quick: bool, folder: &Path) -> Result<Row> {
    say("ingest: ten recorders");
    let (file, files) = if quick { (MIB, 8u64) } else { (16 * MIB, 24) };
    let source = folder.join("clip");
    made(&source, file, 1)?;
    let mut shelf: Vec<Shelved> = (0..10)
        .map(|n| Shelved {
            wish: Wish {
                recorder: n.to_string(),
                controller: format!("usb{}", n % 3),
                given: 0,
                battery: Some(if n == 8 { 5 } else { 80 }),
                wanted: n == 9,
            },
            left: files,
        })
        .collect();
    let limits = Limits {
        per_controller: 2,
        in_all: 4,
    };
    let began = Instant::now();
    let (mut running, mut copied, mut half) = (BTreeMap::<String, usize>::new(), 0u64, None);
    std::thread::scope(|scope| -> Result<()> {
        let (done, ended) = mpsc::channel();
        let mut out = 0;
        loop {
            while let Some(at) = chosen(&shelf, &running, limits) {
                let one = shelf.get_mut(at).context("a recorder")?;
                one.left -= 1;
                one.wish.given += file;
                *running.entry(one.wish.controller.clone()).or_default() += 1;
                let (source, to, done) = (&source, folder.join(format!("copy{at}-{}", one.left)), done.clone());
                scope.spawn(move || {
                    let copied = File::open(source)
                        .map_err(recorder::Fault::Card)
                        .and_then(|opened| copy::copy(Box::new(opened), file, &to, &Control::default()));
                    let _ = std::fs::remove_file(&to);
                    let _ = done.send((at, copied));
                });
                out += 1;
            }
            if out == 0 {
                return Ok(());
            }
            let (at, result) = ended.recv()?;
            result?;
            out -= 1;
            copied += 1;
            let controller = &shelf.get(at).context("a recorder")?.wish.controller;
            if let Some(count) = running.get_mut(controller) {
                *count -= 1;
            }
            if half.is_none() && shelf.iter().any(|s| s.left == 0) {
                // The first one is through: until now all wanted turns.
                half = Some(shelf.iter().map(|s| s.wish.given / file).collect::<Vec<_>>());
            }
        }
    })?;
    let time = began.elapsed();
    let turns = half.context("nobody was finished")?;
    let (alike, special) = turns.split_at(8);
    let (least, most) = (
        alike.iter().min().copied().unwrap_or_default(),
        alike.iter().max().copied().unwrap_or_default(),
    );
    let alone = alone(&source, file, &folder.join("alone"), if quick { 2 } else { 10 })?;
    let all = (copied * file) as f64 / 1e6 / time.as_secs_f64();
    Ok(Row::new("ingest, ten recorders at once", all, "MB/s")
        .beside("one recorder alone, the same files", alone)
        .samples(copied)
        .note(format!(
            "four read at a time, two per controller; when the first was through, eight alike had {least} to {most} turns, the one with 5 % of charge {}, the one somebody waits for {}",
            special.first().copied().unwrap_or_default(),
            special.get(1).copied().unwrap_or_default()
        )))
}

fn chosen(shelf: &[Shelved], running: &BTreeMap<String, usize>, limits: Limits) -> Option<usize> {
    let waiting: Vec<usize> = (0..shelf.len())
        .filter(|at| shelf.get(*at).is_some_and(|s| s.left > 0))
        .collect();
    let wishes: Vec<Wish> = waiting
        .iter()
        .filter_map(|at| shelf.get(*at))
        .map(|s| s.wish.clone())
        .collect();
    let running = |which: &str| match which {
        "" => running.values().sum(),
        one => running.get(one).copied().unwrap_or(0),
    };
    next(&wishes, running, limits).and_then(|at| waiting.get(at).copied())
}

/// One recorder, one file after the other.
fn alone(source: &Path, file: u64, to: &Path, times: u32) -> Result<f64> {
    let mut time = Duration::ZERO;
    for _ in 0..times {
        let began = Instant::now();
        copy::copy(Box::new(File::open(source)?), file, to, &Control::default())?;
        time += began.elapsed();
        std::fs::remove_file(to)?;
    }
    Ok((file * u64::from(times)) as f64 / 1e6 / time.as_secs_f64())
}
