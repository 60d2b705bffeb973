//! A card that fails while the appliance reads from it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bench_recorder::{Card, Recorder, Weakness};

use super::watch::{Books, Reached};
use super::{Dice, Ward};

/// Between looks at how far the appliance is.
const LOOK: Duration = Duration::from_millis(5);
/// Looks until a run is given up: nothing failed, nothing is proven.
const LOOKS: u32 = 20_000;

/// A recording in whose middle a card will fail.
pub(super) struct Victim {
    serial: String,
    file: String,
    at: Weakness,
}

impl Victim {
    /// The last long recording of somebody's, before the recorders are plugged; none when nobody has one.
    pub(super) fn choose(card: &Card, recorders: &[Recorder], dice: &mut Dice) -> Result<Option<Self>> {
        let first = usize::try_from(dice.roll(recorders.len() as u64))?;
        for one in recorders.iter().cycle().skip(first).take(recorders.len()) {
            let Some(long) = one.recorded().iter().rfind(|r| r.size >= 100_000) else {
                continue;
            };
            return Ok(Some(Self {
                serial: one.serial().to_owned(),
                file: long.path.to_string_lossy().into_owned(),
                at: card.weakness(&one.storage().join(&long.path))?,
            }));
        }
        Ok(None)
    }
}

/// Fails while the appliance copies from the recorder, and stays so until the appliance met it; is mended after a while, or
/// only when the appliance has done what it could: then the recorders are pulled and plugged again. Answers
/// when it failed, and whether the appliance met it.
pub(super) async fn fail(
    ward: &Ward,
    card: &mut Card,
    victim: Victim,
    outage: Duration,
    recorders: &mut [Recorder],
    dice: &mut Dice,
) -> Result<(Instant, bool)> {
    let books = Books::open(&ward.addresses.data)?;
    let Victim { serial, file, at } = victim;
    let reached = || books.reached(&serial, &file);
    let mut looks = 0..LOOKS;
    while reached()? == Reached::Nothing && looks.next().is_some() {
        tokio::time::sleep(LOOK).await;
    }
    if reached()? != Reached::Copying {
        return Ok((Instant::now(), false));
    }
    let struck = Instant::now();
    card.fail(at)?;
    while reached()? == Reached::Copying && looks.next().is_some() {
        card.hold()?;
        tokio::time::sleep(LOOK).await;
    }
    let met = reached()? == Reached::Failed;
    let given_up = met && dice.roll(2) == 0;
    meanwhile(card, async {
        if given_up {
            for one in recorders.iter() {
                ward.until(one.serial(), &["ready", "kept"]).await?;
            }
        } else if met {
            tokio::time::sleep(outage).await;
        }
        Ok(())
    })
    .await?;
    card.mend().context("mending the card")?;
    for one in recorders.iter_mut() {
        if ward.until(one.serial(), &["ready", "kept"]).await?["state"] == "kept" {
            one.pull()?;
            ward.until(one.serial(), &["pulled"]).await?;
            one.plug()?;
        }
    }
    Ok((struck, met))
}

/// Keeps the card broken while something goes on.
async fn meanwhile(card: &mut Card, what: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::pin!(what);
    loop {
        tokio::select! {
            done = &mut what => return done,
            () = tokio::time::sleep(LOOK) => card.hold()?,
        }
    }
}
