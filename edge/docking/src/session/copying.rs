//! Its files: listed, copied in turn, each failure sorted by whose it is.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use recorder::copy::{self, Control};
use recorder::turns::Wish;
use recorder::{Fault, Listing};
use records::Timestamp;
use records::footage::DockingId;
use store::{StoreError, Tx};

use super::{Broken, Driver, PAUSE, Stay, lock};
use crate::pipeline::Copy;
use crate::register;
use crate::rows::{self, Clip};
use crate::state::{ClipState, ClipStep};

/// Tries at a file the card does not give, before it is left to a person.
const TRIES: u32 = 3;

impl Stay<'_> {
    /// Lists its files and brings the rows up to date.
    pub(super) async fn list(&mut self) -> Result<Listing, Broken> {
        let now = self.own.now().as_seconds();
        let listing = self.blocking(move |driver| driver.list(now)).await?;
        let first = !std::mem::replace(&mut self.listed, true);
        let (id, serial, ids) = (self.id.clone(), self.serial.clone(), Arc::clone(self.own.ids()));
        let seen = listing.clone();
        self.own
            .write(move |tx| {
                let (id, serial, ids, seen) = (id.clone(), serial.clone(), Arc::clone(&ids), seen.clone());
                Box::pin(async move { reconcile(tx, &ids, &id, &serial, &seen, first).await })
            })
            .await?;
        Ok(listing)
    }

    /// Copies everything that is wanted.
    pub(super) async fn take_all(&mut self) -> Result<(), Broken> {
        // A file for which there is no room keeps none back that is smaller.
        let mut no_room_for = u64::MAX;
        loop {
            self.admitted().await?;
            let mut wanted = self.own.clips(&self.id).await?;
            wanted.retain(|c| c.state.is_wanted());
            let waits = !wanted.is_empty();
            let Some(clip) = wanted.into_iter().find(|c| c.size < no_room_for) else {
                return if waits { Err(Fault::Full.into()) } else { Ok(()) };
            };
            if self.own.make_room(clip.size).await? < clip.size {
                no_room_for = clip.size;
                continue;
            }
            self.take(clip).await?;
        }
    }

    async fn take(&mut self, clip: Clip) -> Result<(), Broken> {
        let _turn = self.turn().await?;
        self.own.step(&clip.id, ClipStep::Begin, "").await?;
        let (to, found, size) = (self.own.path(&clip.id), clip.found(), clip.size);
        let control = Arc::new(Control::default());
        let (driver, watched) = (Arc::clone(&self.driver), Arc::clone(&control));
        let mut copying = tokio::task::spawn_blocking(move || {
            let reader = lock(&driver).open(&found)?;
            copy::copy(Box::new(Watched(reader, driver)), size, &to, &watched)
        });
        let copied = tokio::select! {
            done = &mut copying => done,
            () = self.stop.cancelled() => {
                control.stop.store(true, Ordering::Relaxed);
                copying.await
            }
        };
        let copied = match copied.unwrap_or(Err(Fault::Stopped)) {
            Ok(copied) => copied,
            Err(fault) => return self.failed(&clip, fault).await,
        };
        self.given = self.given.saturating_add(copied.size);
        let (id, docking) = (clip.id.clone(), self.id.clone());
        self.own
            .write(move |tx| {
                let (id, docking) = (id.clone(), docking.clone());
                Box::pin(async move {
                    let (sm3, sha256) = (hex::encode(copied.sm3), hex::encode(copied.sha256));
                    let here: Option<Timestamp> = None;
                    rows::set(
                        tx,
                        &id,
                        &[
                            ("sm3", &sm3),
                            ("sha256", &sha256),
                            ("taken_in", &docking),
                            ("purged_at", &here),
                        ],
                    )
                    .await?;
                    rows::step_clip(tx, &id, ClipStep::Copy, "").await
                })
            })
            .await?;
        let id = clip.id.clone();
        let fresh = self
            .own
            .read(move |tx| {
                let id = id.clone();
                Box::pin(async move { rows::clip(tx, &id).await })
            })
            .await?;
        if let Some(fresh) = fresh {
            self.own.verify(&fresh, Copy::JustNow).await?;
        }
        Ok(())
    }

    /// A copy broke off.
    async fn failed(&mut self, clip: &Clip, fault: Fault) -> Result<(), Broken> {
        let gone = !self.present().await;
        let fault = if gone && !matches!(fault, Fault::Stopped) {
            Fault::Gone
        } else {
            fault
        };
        tracing::warn!(clip.id = %clip.id, %fault, "a copy broke off");
        match fault {
            Fault::Card(_) => {
                let words = fault.to_string();
                self.own.step(&clip.id, ClipStep::Fail, &words).await?;
                if clip.tries + 1 >= TRIES {
                    self.own.step(&clip.id, ClipStep::GiveUp, &words).await?;
                }
                self.pause().await;
                Ok(())
            }
            Fault::Changed => {
                self.own.step(&clip.id, ClipStep::Fail, "").await?;
                self.pause().await;
                self.list().await.map(drop)
            }
            other => {
                self.own.step(&clip.id, ClipStep::Fail, "").await?;
                let _ = copy::forget(&self.own.path(&clip.id));
                Err(other.into())
            }
        }
    }

    /// Waits for a turn at reading.
    async fn turn(&self) -> Result<crate::turns::Turn, Broken> {
        let (id, serial) = (self.id.clone(), self.serial.clone());
        let wanted = self
            .own
            .read(move |tx| {
                let (id, serial) = (id.clone(), serial.clone());
                Box::pin(async move {
                    let since = rows::docking(tx, &id).await?.arrived_at;
                    register::wanted(tx, &serial, since).await
                })
            })
            .await?;
        let wish = Wish {
            recorder: self.serial.clone(),
            controller: self.plugged.controller.clone(),
            given: self.given,
            battery: self.battery,
            wanted,
        };
        let turn = self.own.turns().wait(wish);
        tokio::pin!(turn);
        loop {
            tokio::select! {
                turn = &mut turn => return Ok(turn),
                () = self.stop.cancelled() => return Err(Broken::Stopped),
                () = tokio::time::sleep(PAUSE) => {
                    if !self.present().await {
                        return Err(Broken::Gone);
                    }
                }
            }
        }
    }
}

/// Reads as long as the recorder is there: what the system has cached of a pulled one is not footage of this stay.
struct Watched(Box<dyn Read + Send>, Driver);

impl Read for Watched {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if !lock(&self.1).present() {
            return Err(io::ErrorKind::NotConnected.into());
        }
        self.0.read(to)
    }
}

/// Brings the rows of a recorder in line with what is on it.
async fn reconcile(
    tx: &mut Tx<'_>,
    ids: &records::Ids,
    docking: &DockingId,
    serial: &str,
    listing: &Listing,
    first: bool,
) -> Result<(), StoreError> {
    let mut known = rows::clips_of(tx, serial).await?;
    for found in &listing.files {
        let same = known.iter().position(|c| c.found() == *found);
        // Changed before it was copied: it is the same clip, as it is now.
        let grown = || {
            known.iter().position(|c| {
                let waits = matches!(c.state, ClipState::Found | ClipState::Unreadable | ClipState::Lost);
                waits && c.found().path == found.path
            })
        };
        let Some(at) = same.or_else(grown) else {
            rows::insert_clip(tx, ids, docking, serial, found).await?;
            continue;
        };
        let clip = known.swap_remove(at);
        rows::set(
            tx,
            &clip.id,
            &[("size", &found.size), ("changed_ns", &found.changed_ns)],
        )
        .await?;
        rows::seen_again(tx, &clip.id, docking).await?;
        if matches!(clip.state, ClipState::Lost | ClipState::Missing) || (first && clip.state == ClipState::Unreadable)
        {
            rows::step_clip(tx, &clip.id, ClipStep::Retry, "").await?;
        }
    }
    // What could not be listed whole does not tell what is missing.
    if !listing.oddities.is_empty() || listing.growing > 0 {
        return Ok(());
    }
    for clip in known {
        match clip.state {
            ClipState::Found | ClipState::Unreadable => {
                tracing::error!(clip.id = %clip.id, recorder.serial = serial, "footage is gone from its recorder, never copied");
                rows::step_clip(tx, &clip.id, ClipStep::Vanish, "采集前已从记录仪消失").await?;
            }
            // Deleted, and then we had no time to write it down.
            ClipState::Confirmed => super::clearing::cleared(tx, &clip.id, "").await?,
            _ => {}
        }
    }
    Ok(())
}
