//! Recorders come back from the ward: plugged, copied, sealed, uploaded, confirmed, cleared — while something breaks. In the
//! end, and at every moment, each byte that was recorded is in the cloud with its hash or still on its recorder.

mod card;
mod disk;
mod strike;
mod tally;
mod ward;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use bench_recorder::Card;

use card::Victim;
pub use disk::SmallDisk;
use strike::strike;
pub use tally::{Tally, runs};
pub use ward::Ward;
use watch::Watch;

/// What breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// SIGKILL of the appliance's daemon.
    KillEdge,
    /// A recorder is pulled and plugged again later.
    Unplug,
    /// SIGKILL of the cloud.
    KillCloud,
    /// The appliance's disk for footage is full.
    FullDisk,
    /// SIGKILL of the signature server.
    KillSignd,
    /// The line is cut.
    LineCut,
    /// A byte of a copy changes on the appliance's disk.
    SpoiltCopy,
    /// A recording goes on while it is read.
    Grow,
    /// A card stops to give its bytes from the middle of a recording on, for a while or until it was given up.
    BadCard,
}

impl Break {
    /// Every one.
    pub const ALL: [Self; 9] = [
        Self::KillEdge,
        Self::Unplug,
        Self::KillCloud,
        Self::FullDisk,
        Self::KillSignd,
        Self::LineCut,
        Self::SpoiltCopy,
        Self::Grow,
        Self::BadCard,
    ];
}

/// Numbers of a seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % below.max(1)
    }
}

/// A run: what broke, whether it did, and what was found.
#[derive(Debug)]
pub struct Told {
    /// What broke.
    pub broke: Break,
    /// When, after the plugging.
    pub after: Duration,
    /// Whether it happened.
    pub fired: bool,
    /// What is not as it should be.
    pub differences: Vec<String>,
}

/// One run of a seed.
///
/// # Errors
/// When the bench itself fails.
pub async fn run(ward: &Ward, seed: u64) -> Result<Told> {
    let mut dice = Dice(seed);
    let broke = Break::ALL[(seed % Break::ALL.len() as u64) as usize];
    let mut after = Duration::from_millis(dice.roll(3_500));
    let outage = Duration::from_millis(500 + dice.roll(2_500));
    let mut card = match broke {
        Break::BadCard => Some(Card::new(&ward.addresses.data.join("bench/card.img"), &ward.shelf())?),
        _ => None,
    };
    let mut recorders = Vec::new();
    for n in 0..=dice.roll(2) {
        let serial = format!("ZFY{seed:04}{n}");
        let mut one = ward.issued(&serial, &format!("N{seed}{n}"), seed * 31 + n).await?;
        for file in 0..2 + dice.roll(4) {
            let size = match dice.roll(5) {
                0 => 0,
                1 => dice.roll(4_000),
                _ => dice.roll(5_000_000),
            };
            let name = format!("{serial}_000123_20261121{file:02}0000_{file:04}.mp4");
            one.record(name.as_bytes(), usize::try_from(size)?)?;
        }
        one.record(b"\xff\n .mp4", 100)?;
        recorders.push(one);
    }
    let victim = match &card {
        Some(card) => Victim::choose(card, &recorders, &mut dice)?,
        None => None,
    };
    for one in &mut recorders {
        one.plug()?;
    }
    let plugged = Instant::now();
    let ended = Arc::new(AtomicBool::new(false));
    let watch = Watch::new(&ward.addresses, &recorders, broke);
    let watching = {
        let ended = Arc::clone(&ended);
        std::thread::spawn(move || watch.until(&ended))
    };
    let fired = match (&mut card, victim) {
        (Some(card), Some(victim)) => {
            let (struck, met) = card::fail(ward, card, victim, outage, &mut recorders, &mut dice).await?;
            after = struck.duration_since(plugged);
            met
        }
        // Nobody recorded anything of length.
        (Some(_), None) => false,
        (None, _) => {
            tokio::time::sleep(after).await;
            strike(ward, broke, outage, &mut recorders, &mut dice).await?
        }
    };
    let mut differences = Vec::new();
    for one in &recorders {
        match ward.until(one.serial(), &["ready"]).await {
            Ok(docking) if one.clock_set().is_none() => {
                differences.push(format!("{}: ready, but its clock was not set: {docking}", one.serial()));
            }
            Ok(_) => {}
            Err(error) => differences.push(format!("{error:#}")),
        }
    }
    ended.store(true, Ordering::Relaxed);
    let early = watching.join().map_err(|_| anyhow::anyhow!("the watch died"))??;
    differences.extend(early);
    differences.extend(ward.prove(&recorders).await?);
    for one in &mut recorders {
        let left = one.held()?;
        if !left.is_empty() {
            differences.push(format!("{}: ready, but not empty: {left:?}", one.serial()));
        }
        one.pull()?;
    }
    Ok(Told {
        broke,
        after,
        fired,
        differences,
    })
}
