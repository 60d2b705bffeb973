//! Log entries from an appliance to the cloud, durable at both ends: appended (SQLite, `synchronous=FULL`), over the
//! embedded broker with mutual TLS 1.3, applied together with the cursor, acknowledged, acknowledgement stored.

pub(crate) mod ends;
mod mosquitto;

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kit::process::Process;
use records::{Clock, SystemClock};

use crate::report::Row;
use crate::say;
use crate::timing::{Samples, rate};
use ends::Edge;
use mosquitto::Mosquitto;

const PEER: &str = "Mosquitto, QoS 1, mutual TLS, sender to receiver, nothing durable";
const TWICE: &str = "two times write and fdatasync of the same bytes: what being durable at both ends costs the disk";
pub(crate) const DISK: &str = "write and fdatasync of the same bytes, one after the other";

struct Sizes {
    small: u64,
    rounds: u64,
    large: u64,
    singles: u64,
    appends: u64,
}

pub(crate) async fn run(quick: bool) -> Result<Vec<Row>> {
    let sizes = if quick {
        Sizes {
            small: 200,
            rounds: 1,
            large: 2_000,
            singles: 20,
            appends: 64,
        }
    } else {
        Sizes {
            small: 2_000,
            rounds: 3,
            large: 50_000,
            singles: 500,
            appends: 2_048,
        }
    };
    let folder = tempfile::tempdir()?;
    crate::papers::write(folder.path())?;
    let port = kit::ports::free_port();
    let mut cloud = ends::start_cloud(folder.path(), port)?;
    let mut edge = Edge::start(folder.path(), port).await?;
    edge.online().await?;
    edge.backlog(sizes.small).await?;
    edge.drained().await?;
    let mut peer = Mosquitto::start(folder.path()).await?;
    peer.burst(sizes.small).await?;

    let mut rows = delay(&mut edge, &cloud, &mut peer, folder.path(), sizes.singles).await?;
    for (count, rounds) in [(sizes.small, sizes.rounds), (sizes.large, 1)] {
        let mut ours = Duration::ZERO;
        let mut theirs = Duration::ZERO;
        for _ in 0..rounds {
            ours += drain(&mut edge, &mut cloud, folder.path(), port, count).await?;
            theirs += peer.burst(count).await?;
        }
        let row = Row::new(format!("sync-log drain of {count}"), rate(count * rounds, ours), "entries/s")
            .beside(PEER, rate(count * rounds, theirs))
            .samples(count * rounds)
            .note("1 KiB JSON; backlog drained after the line comes up, until the last acknowledgement is stored; two processes");
        rows.push(row);
    }
    rows.extend(appends(&mut edge, folder.path(), sizes.appends).await?);
    edge.drained().await?;
    cloud.kill();
    let (entries, highest) = ends::applied(folder.path()).await?;
    ensure!(
        (entries, highest) == (edge.appended(), edge.appended()),
        "{} entries were appended, the cloud holds {entries} up to {highest}",
        edge.appended()
    );
    Ok(rows)
}

/// Makes a backlog while the cloud is away; answers how long it takes to drain once the line is up.
async fn drain(edge: &mut Edge, cloud: &mut Process, folder: &Path, port: u16, count: u64) -> Result<Duration> {
    say(&format!("drain of {count} entries"));
    cloud.kill();
    edge.offline().await?;
    edge.backlog(count).await?;
    *cloud = ends::start_cloud(folder, port)?;
    edge.online().await?;
    let begun = Instant::now();
    edge.drained().await?;
    Ok(begun.elapsed())
}

/// One entry at a time on an idle line: from before the append to the commit in the cloud's database.
async fn delay(edge: &mut Edge, cloud: &Process, peer: &mut Mosquitto, folder: &Path, count: u64) -> Result<Vec<Row>> {
    say("single entries on an idle line");
    let (mut times, mut twice) = (Samples::default(), Samples::default());
    for _ in 0..count {
        let begun = SystemClock.now().as_micros();
        let word = format!("applied {} ", edge.one().await?);
        let told = tokio::task::block_in_place(|| {
            cloud
                .stdout
                .wait_for(Duration::from_secs(30), |line| line.starts_with(&word))
        });
        let told = told.context("a single entry did not arrive")?;
        let applied: i64 = told.trim_start_matches(&word).trim().parse()?;
        times.push(Duration::from_micros(u64::try_from(applied - begun).unwrap_or(0)));
        // The acknowledgement is on its way; the next entry finds the line idle.
        edge.drained().await?;
        twice.join(fdatasync(folder, 1, 2)?.0);
    }
    let theirs = peer.singles(count).await?;
    let note = "value is the median, from before the append until it is durable in the cloud; two processes, one clock";
    [(PEER, &theirs), (TWICE, &twice)]
        .into_iter()
        .map(|(peer, others)| {
            let median = |samples: &Samples| samples.percentile(0.5).context("samples");
            let row = Row::new("sync-log single entry, idle", median(&times)?, "ms").beside(peer, median(others)?);
            Ok(row.times(&times).peer_times(others).note(note))
        })
        .collect()
}

/// Entries appended one to a unit: durable locally when answered, while the line carries them away.
async fn appends(edge: &mut Edge, folder: &Path, count: u64) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for writers in [1, 64] {
        say(&format!("appends by {writers}"));
        // The disk is asked before and after, because it is not the same all the time.
        let (mut disk, before) = fdatasync(folder, count / 2, 1)?;
        let begun = Instant::now();
        let times = edge.writers(writers, count / writers).await?;
        let took = begun.elapsed();
        let (more, after) = fdatasync(folder, count / 2, 1)?;
        disk.join(more);
        rows.push(
            Row::new(
                format!("sync-log append, {writers} at once"),
                rate(times.len(), took),
                "entries/s",
            )
            .beside(DISK, rate(disk.len(), before + after))
            .times(&times)
            .peer_times(&disk)
            .note("durable locally when answered; the line carries the entries away meanwhile"),
        );
    }
    Ok(rows)
}

/// Writes `count` times; each time the bytes of an entry are written and synced `syncs` times.
pub(crate) fn fdatasync(folder: &Path, count: u64, syncs: u32) -> Result<(Samples, Duration)> {
    let mut file = File::create(folder.join("raw"))?;
    let body = vec![b'x'; ends::BODY];
    let begun = Instant::now();
    let mut times = Samples::default();
    for _ in 0..count {
        let one = Instant::now();
        for _ in 0..syncs {
            file.write_all(&body)?;
            file.sync_data()?;
        }
        times.push(one.elapsed());
    }
    Ok((times, begun.elapsed()))
}
