//! Recorders come back from the ward: plugged, copied, sealed, uploaded, confirmed, cleared — while something breaks. In the
//! end, and at every moment, each byte that was recorded is in the cloud with its hash or still on its recorder.

mod card;
mod disk;
mod watch;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bench_recorder::{Card, Recorder};
use serde_json::{Value, json};
use site::{Addresses, LineState, Site};
use tokio::sync::Mutex;

use crate::client::Person;
use crate::journey::sign_in_staff;
use card::Victim;
pub use disk::SmallDisk;
use watch::Watch;

/// How long a run may take once everything is whole again.
const PATIENCE: Duration = Duration::from_secs(90);

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

/// The ward's side of a site: its administrator, its shelf, its recorders' names.
pub struct Ward {
    site: Arc<Mutex<Site>>,
    addresses: Addresses,
    admin: Person,
    nurse: String,
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

impl Ward {
    /// Signs in.
    ///
    /// # Errors
    /// When nobody may.
    pub async fn open(site: Arc<Mutex<Site>>) -> Result<Self> {
        let addresses = site.lock().await.addresses().clone();
        let admin = sign_in_staff(&addresses, &addresses.demo.admin_login).await?;
        let staff = admin.get("admin/staff").await?;
        let staff = staff
            .as_array()
            .or_else(|| staff["items"].as_array())
            .cloned()
            .unwrap_or_default();
        let nurse = staff
            .first()
            .and_then(|s| s["id"].as_str())
            .context("somebody who gets recorders")?;
        Ok(Self {
            nurse: nurse.to_owned(),
            site,
            addresses,
            admin,
        })
    }

    /// Where recorders are plugged.
    pub fn shelf(&self) -> PathBuf {
        self.addresses.data.join("bench/recorders")
    }

    /// The administrator.
    pub const fn admin(&self) -> &Person {
        &self.admin
    }

    /// A recorder of the hospital, given to a nurse for an order.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn issued(&self, serial: &str, order: &str, seed: u64) -> Result<Recorder> {
        self.admin
            .post("admin/recorders", json!({ "serial": serial, "model": "BENCH-R1" }))
            .await?;
        let act = json!({ "act": "issue", "holder": self.nurse, "order": order });
        self.admin.post(&format!("admin/recorders/{serial}/acts"), act).await?;
        Recorder::new(&self.shelf(), serial, seed)
    }

    /// Waits until the last docking of a recorder is in one of these states.
    ///
    /// # Errors
    /// When it does not come to that.
    pub async fn until(&self, serial: &str, states: &[&str]) -> Result<Value> {
        let path = format!("admin/dockings?serial={serial}&size=1");
        let seen = self
            .admin
            .clone()
            .with_patience(PATIENCE)
            .wait(&path, &format!("{serial} {states:?}"), |seen| {
                states.iter().any(|s| seen["items"][0]["state"] == *s)
            })
            .await?;
        Ok(seen["items"][0].clone())
    }

    /// Proves that each byte recorded is in the cloud or still on its recorder; answers the differences.
    ///
    /// # Errors
    /// When the cloud cannot be asked.
    pub async fn prove(&self, recorders: &[Recorder]) -> Result<Vec<String>> {
        let mut differences = Vec::new();
        for recorder in recorders {
            let (held, mut kept) = (recorder.held()?, BTreeSet::new());
            let listed = self
                .admin
                .get(&format!("admin/footage?serial={}&size=100", recorder.serial()))
                .await?;
            for clip in listed["items"].as_array().cloned().unwrap_or_default() {
                if clip["state"] != "confirmed" {
                    continue;
                }
                let id = clip["id"].as_str().context("id of a clip")?;
                let proven = self
                    .admin
                    .post(&format!("admin/footage/{id}/verification"), json!({}))
                    .await?;
                let proof = &proven["proof"];
                if proof["signature"] != true || proof["content"] != true || proof["chain"] == "broken" {
                    differences.push(format!("{id}: {proof}"));
                }
                let content = self.admin.download(&format!("admin/footage/{id}/content")).await?;
                let sha256 = bench_recorder::sha256(&content);
                if proven["entry"]["sha256"] != sha256 {
                    differences.push(format!("{id}: the cloud gives another content than its entry says"));
                }
                kept.insert(sha256);
            }
            for recorded in recorder.recorded() {
                if !kept.contains(&recorded.sha256) && !held.contains_key(&recorded.sha256) {
                    differences.push(format!(
                        "{} {}: neither in the cloud nor on the recorder",
                        recorder.serial(),
                        recorded.path.display()
                    ));
                }
            }
        }
        Ok(differences)
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

async fn strike(
    ward: &Ward,
    broke: Break,
    outage: Duration,
    recorders: &mut [Recorder],
    dice: &mut Dice,
) -> Result<bool> {
    let kill = |name: &'static str| async move {
        let mut site = ward.site.lock().await;
        site.processes().kill(name).await?;
        tokio::time::sleep(outage).await;
        site.processes().restart(name).await?;
        anyhow::Ok(true)
    };
    match broke {
        Break::KillEdge => kill("edge").await,
        Break::KillCloud => kill("cloud").await,
        Break::KillSignd => kill("signd").await,
        Break::LineCut => {
            let before = site::line_faults(&ward.addresses).await?;
            site::set_line(&ward.addresses, LineState::Cut).await?;
            tokio::time::sleep(outage).await;
            site::set_line(&ward.addresses, LineState::Whole).await?;
            Ok(site::line_faults(&ward.addresses).await? > before)
        }
        Break::Unplug => {
            let at = usize::try_from(dice.roll(recorders.len() as u64))?;
            let one = recorders.get_mut(at).context("a recorder")?;
            one.pull()?;
            tokio::time::sleep(outage).await;
            one.plug()?;
            Ok(true)
        }
        Break::FullDisk => {
            let ballast = ward.addresses.data.join("edge/footage/ballast");
            let filled = fill(&ballast)?;
            tokio::time::sleep(outage).await;
            std::fs::remove_file(&ballast)?;
            Ok(filled)
        }
        Break::SpoiltCopy => Ok(spoil(&ward.addresses.data.join("edge/footage"))?),
        Break::Grow => {
            // What is gone already cannot grow; then nothing happened.
            for one in recorders.iter_mut() {
                let name = format!("{}_000123_20261121000000_0000.mp4", one.serial());
                if one.grow(name.as_bytes(), 10_000).is_ok() {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Break::BadCard => bail!("a card fails where there is one"),
    }
}

/// Writes until nothing fits any more.
fn fill(ballast: &Path) -> Result<bool> {
    use std::io::Write;
    let mut file = std::fs::File::create(ballast)?;
    let piece = vec![0u8; 64 << 10];
    for _ in 0..(1 << 16) {
        if file.write_all(&piece).is_err() {
            return Ok(true);
        }
    }
    bail!("the disk for footage is not a small one")
}

/// Changes a byte of some copy that the cloud does not have yet, if there is one.
fn spoil(folder: &Path) -> Result<bool> {
    use std::os::unix::fs::FileExt;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("clp_") && !name.ends_with(".part") && path.metadata().is_ok_and(|m| m.len() > 100) {
            let file = std::fs::File::options().read(true).write(true).open(&path)?;
            let mut byte = [0u8];
            file.read_exact_at(&mut byte, 50)?;
            file.write_all_at(&[byte[0] ^ 1], 50)?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// What several runs told.
#[derive(Debug, Default)]
pub struct Tally {
    /// Runs whose fault happened, or that found something.
    pub counted: u32,
    /// Faults that happened.
    pub fired: u32,
    /// Each run.
    pub details: Vec<Value>,
    /// What is not as it should be, in all.
    pub differences: usize,
}

impl Tally {
    /// One run more; answers whether it counted.
    async fn run(&mut self, ward: &Ward, seed: u64) -> Result<bool> {
        let started = Instant::now();
        let told = run(ward, seed).await.with_context(|| format!("seed {seed}"))?;
        let found = told.differences;
        eprintln!(
            "seed {seed}: {:?} after {:.1} s, {} — {} in {:.0} s",
            told.broke,
            told.after.as_secs_f64(),
            if told.fired { "fired" } else { "did not fire" },
            if found.is_empty() {
                "every byte is kept".to_owned()
            } else {
                format!("{} differences", found.len())
            },
            started.elapsed().as_secs_f64()
        );
        for difference in &found {
            eprintln!("    {difference}");
        }
        let counts = told.fired || !found.is_empty();
        self.counted += u32::from(counts);
        self.fired += u32::from(told.fired);
        self.differences += found.len();
        self.details.push(json!({ "seed": seed, "fault": format!("{:?}", told.broke), "fired": told.fired, "differences": found, "seconds": started.elapsed().as_secs_f64() }));
        Ok(counts)
    }
}

/// Runs seeds from `first` until so many counted, then each of `also`. A run whose fault did not happen does not count; it is
/// replaced, but not for ever.
///
/// # Errors
/// When the bench itself fails.
pub async fn runs(ward: &Ward, first: u64, wanted: u32, also: &[u64]) -> Result<Tally> {
    let (mut tally, mut seed) = (Tally::default(), first);
    while tally.counted < wanted && seed < first + u64::from(wanted) * 2 {
        tally.run(ward, seed).await?;
        seed += 1;
    }
    for seed in also {
        for again in 0..3 {
            // The same fault at another moment.
            if tally.run(ward, seed + again * Break::ALL.len() as u64).await? {
                break;
            }
        }
    }
    Ok(tally)
}
