//! One stay of one recorder, from being plugged to being gone.

use std::io::{self, Read};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use recorder::copy::{self, Control};
use recorder::turns::Wish;
use recorder::{Fault, Found, Listing, Plugged, RecorderDriver};
use records::footage::{DockingId, FootageCleared, kind};
use store::{StoreError, Tx};
use tokio_util::sync::CancellationToken;

use crate::pipeline::Copy;
use crate::ports::Light;
use crate::rows::{self, Clip, Said};
use crate::state::{ClipState, ClipStep, DockingStep};
use crate::station::Docking;
use crate::{register, report};

/// Between tries, and between looks whether it is still there.
const PAUSE: Duration = Duration::from_secs(1);
/// Tries at a file the card does not give, before it is left to a person.
const TRIES: u32 = 3;

/// Why the work on a recorder broke off.
enum Broken {
    Gone,
    Stopped,
    /// Nothing can be done now; the words are for the person at the dock.
    Wait(String),
    Store(StoreError),
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Fault> for Broken {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Gone => Self::Gone,
            Fault::Stopped => Self::Stopped,
            other => Self::Wait(other.to_string()),
        }
    }
}

type Driver = Arc<Mutex<Box<dyn RecorderDriver>>>;

struct Stay<'a> {
    own: &'a Docking,
    id: DockingId,
    plugged: Plugged,
    driver: Driver,
    stop: &'a CancellationToken,
    serial: String,
    battery: Option<u8>,
    /// Bytes given to it in this stay.
    given: u64,
    /// It was listed once in this stay.
    listed: bool,
}

/// Accompanies a recorder until it is gone or we stop.
pub(crate) async fn stay(own: &Docking, source: usize, plugged: Plugged, stop: &CancellationToken) {
    let Ok(driver) = own.driver(source, &plugged) else {
        return;
    };
    let (ids, place) = (Arc::clone(own.ids()), plugged.place.clone());
    let arrived = own
        .write(move |tx| {
            let (ids, place) = (Arc::clone(&ids), place.clone());
            Box::pin(async move { rows::arrive(tx, &ids, &place).await })
        })
        .await;
    let id = match arrived {
        Ok(id) => id,
        Err(error) => {
            tracing::error!(%error, "a docking cannot be written down");
            return;
        }
    };
    let mut stay = Stay {
        own,
        id,
        plugged,
        driver: Arc::new(Mutex::new(driver)),
        stop,
        serial: String::new(),
        battery: None,
        given: 0,
        listed: false,
    };
    loop {
        let step = match stay.work().await {
            Ok(()) => continue,
            Err(Broken::Gone) => DockingStep::Pull,
            Err(Broken::Stopped) => DockingStep::Interrupt,
            Err(Broken::Wait(why)) => {
                let _ = stay.explain(&why).await;
                stay.pause().await;
                continue;
            }
            Err(Broken::Store(error)) => {
                tracing::error!(docking.id = %stay.id, %error, "docking cannot go on");
                stay.pause().await;
                continue;
            }
        };
        if let Err(error) = stay.leave(step).await {
            tracing::error!(docking.id = %stay.id, %error, "the end of a docking was not written down");
        }
        return;
    }
}

impl Stay<'_> {
    /// Everything from the beginning; may be begun anew at any time. Ends with the reason why it cannot go on.
    async fn work(&mut self) -> Result<(), Broken> {
        self.admit().await?;
        loop {
            let listing = self.list().await?;
            self.take_all().await?;
            self.step(DockingStep::Taken, "").await?;
            if self.await_confirmation().await? {
                self.step(DockingStep::More, "").await?;
                continue;
            }
            self.admitted().await?;
            self.step(DockingStep::Clear, "").await?;
            self.clear().await?;
            // What came meanwhile is taken, too.
            let after = self.list().await?;
            if self.own.clips(&self.id).await?.iter().any(|c| c.state.is_moving()) {
                self.step(DockingStep::More, "").await?;
                continue;
            }
            self.finish(&listing, &after).await?;
            self.idle().await?;
        }
    }

    /// Finds out who it is and whether it may be read.
    async fn admit(&mut self) -> Result<(), Broken> {
        let now = self.own.now();
        let asked = self
            .blocking(move |driver| {
                driver.unlock()?;
                let identity = driver.identify()?;
                Ok((identity, driver.battery()?, driver.clock()?))
            })
            .await;
        let (identity, battery, clock) = match asked {
            Ok(said) => said,
            Err(fault @ (Fault::Gone | Fault::Stopped)) => return Err(fault.into()),
            Err(fault) => return self.hold(fault.to_string()).await,
        };
        self.serial.clone_from(&identity.serial);
        self.battery = battery;
        let offset = clock.map(|ms| ms - now.as_micros() / 1000);
        let id = self.id.clone();
        self.own
            .write(move |tx| {
                let (id, identity) = (id.clone(), identity.clone());
                Box::pin(async move {
                    let said = Said {
                        serial: &identity.serial,
                        model: &identity.model,
                        volume: &identity.volume,
                        clock_offset_ms: offset,
                        battery,
                    };
                    // The offset at docking is the one that counts, whatever is set later.
                    let known = rows::docking(tx, &id).await?;
                    if known.serial != said.serial {
                        rows::describe(tx, &id, &said).await?;
                    }
                    Ok(())
                })
            })
            .await?;
        self.admitted().await?;
        self.step(DockingStep::Release, "").await?;
        self.step(DockingStep::Admit, "").await?;
        self.own.bays().show(&self.serial, Light::Busy);
        Ok(())
    }

    /// Whether it may be read and cleared: listed, and the only one of its number.
    async fn admitted(&mut self) -> Result<(), Broken> {
        let (id, serial) = (self.id.clone(), self.serial.clone());
        let against = self
            .own
            .read(move |tx| {
                let (id, serial) = (id.clone(), serial.clone());
                Box::pin(async move { against(tx, &id, &serial).await })
            })
            .await?;
        match against {
            None => Ok(()),
            Some(words) => self.hold(words).await,
        }
    }

    async fn hold(&mut self, why: String) -> Result<(), Broken> {
        if self.step(DockingStep::Hold, &why).await? {
            tracing::warn!(docking.id = %self.id, recorder.serial = %self.serial, why, "a recorder is held");
            self.own.bays().show(&self.serial, Light::Attention);
        }
        Err(Broken::Wait(why))
    }

    /// Lists its files and brings the rows up to date.
    async fn list(&mut self) -> Result<Listing, Broken> {
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
    async fn take_all(&mut self) -> Result<(), Broken> {
        loop {
            self.admitted().await?;
            let clips = self.own.clips(&self.id).await?;
            let Some(clip) = clips.into_iter().find(|c| c.state.is_wanted()) else {
                return Ok(());
            };
            self.take(clip).await?;
        }
    }

    async fn take(&mut self, clip: Clip) -> Result<(), Broken> {
        if self.own.make_room(clip.size).await? < clip.size {
            return Err(Fault::Full.into());
        }
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
                    rows::set(tx, &id, &[("sm3", &sm3), ("sha256", &sha256), ("taken_in", &docking)]).await?;
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

    /// Waits until nothing of it moves any more. `true` when something has to be copied again.
    async fn await_confirmation(&mut self) -> Result<bool, Broken> {
        loop {
            let woken = self.own.woken();
            let clips = self.own.clips(&self.id).await?;
            if clips.iter().any(|c| c.state.is_wanted()) {
                return Ok(true);
            }
            if !clips.iter().any(|c| c.state.is_moving()) {
                return Ok(false);
            }
            self.own.rest(self.stop, woken, PAUSE).await;
            self.still_there().await?;
        }
    }

    /// Deletes what is confirmed.
    async fn clear(&mut self) -> Result<(), Broken> {
        let clips = self.own.clips(&self.id).await?;
        let confirmed: Vec<_> = clips.into_iter().filter(|c| c.state == ClipState::Confirmed).collect();
        if confirmed.is_empty() {
            return Ok(());
        }
        self.blocking(|driver| driver.allow_clearing()).await?;
        for clip in confirmed {
            self.still_there().await?;
            let (found, same_stay) = (clip.found(), clip.taken_in.as_ref() == Some(&self.id));
            let hash = clip.sha256.clone().unwrap_or_default();
            let done = self
                .blocking(move |driver| {
                    if !same_stay && !same_content(driver, &found, &hash)? {
                        return Err(Fault::Changed);
                    }
                    driver.clear(&found)
                })
                .await;
            let note = match done {
                Ok(()) => "",
                // Another content under this name: the confirmed one is not on the recorder any more, the other is listed anew.
                Err(Fault::Changed) => "记录仪上的文件已变化，未删除",
                Err(fault) => return Err(fault.into()),
            };
            let (id, note) = (clip.id.clone(), note.to_owned());
            self.own
                .write(move |tx| {
                    let (id, note) = (id.clone(), note.clone());
                    Box::pin(async move { cleared(tx, &id, &note).await })
                })
                .await?;
        }
        Ok(())
    }

    /// Sets its clock and marks it.
    async fn finish(&mut self, before: &Listing, after: &Listing) -> Result<(), Broken> {
        let now = self.own.now().as_seconds();
        let set = self
            .blocking(move |driver| {
                driver.allow_clearing()?;
                driver.set_clock(now)
            })
            .await;
        let mut notes = Vec::new();
        match set {
            Ok(()) => {}
            Err(fault @ (Fault::Gone | Fault::Stopped)) => return Err(fault.into()),
            Err(fault) => notes.push(format!("未校时：{fault}")),
        }
        let left = self.own.clips(&self.id).await?;
        let stays = left
            .iter()
            .filter(|c| matches!(c.state, ClipState::Unreadable | ClipState::Refused))
            .count();
        if stays > 0 {
            notes.push(format!("{stays}个文件未能采集，仍在记录仪中，请人工处理"));
        }
        let odd = before.oddities.len().max(after.oddities.len());
        if let Some(first) = after.oddities.first().or(before.oddities.first()) {
            let name = recorder::names::shown(&first.path);
            notes.push(format!("{odd}项未采集（{name}：{}）", first.why));
        }
        let kept = stays > 0 || odd > 0;
        let step = if kept { DockingStep::Keep } else { DockingStep::Finish };
        self.step(step, &notes.join("；")).await?;
        let light = if kept { Light::Attention } else { Light::Ready };
        self.own.bays().show(&self.serial, light);
        Ok(())
    }

    /// Nothing to do until it is gone, or, where footage may come while it is there, until there is new footage.
    async fn idle(&mut self) -> Result<(), Broken> {
        let live = lock(&self.driver).is_live();
        if !live {
            self.blocking(|driver| driver.eject()).await?;
        }
        loop {
            self.pause().await;
            self.still_there().await?;
            if live {
                self.list().await?;
                if self.own.clips(&self.id).await?.iter().any(|c| c.state.is_wanted()) {
                    self.step(DockingStep::More, "").await?;
                    self.own.bays().show(&self.serial, Light::Busy);
                    return Ok(());
                }
            }
        }
    }

    async fn leave(&self, step: DockingStep) -> Result<(), StoreError> {
        let note = match step {
            DockingStep::Interrupt => "系统停止，重新启动后继续",
            _ => "",
        };
        self.own_step(step, note).await.map(drop)
    }

    async fn step(&self, step: DockingStep, note: &str) -> Result<bool, Broken> {
        Ok(self.own_step(step, note).await?)
    }

    async fn own_step(&self, step: DockingStep, note: &str) -> Result<bool, StoreError> {
        let (id, note) = (self.id.clone(), note.to_owned());
        self.own
            .write(move |tx| {
                let (id, note) = (id.clone(), note.clone());
                Box::pin(async move { rows::step_docking(tx, &id, step, &note).await })
            })
            .await
    }

    async fn explain(&self, why: &str) -> Result<(), StoreError> {
        let (id, why) = (self.id.clone(), why.to_owned());
        self.own
            .write(move |tx| {
                let (id, why) = (id.clone(), why.clone());
                Box::pin(async move { rows::explain(tx, &id, &why).await })
            })
            .await
    }

    async fn still_there(&self) -> Result<(), Broken> {
        if self.stop.is_cancelled() {
            return Err(Broken::Stopped);
        }
        if self.present().await {
            Ok(())
        } else {
            Err(Broken::Gone)
        }
    }

    async fn present(&self) -> bool {
        let driver = Arc::clone(&self.driver);
        tokio::task::spawn_blocking(move || lock(&driver).present())
            .await
            .unwrap_or(false)
    }

    async fn pause(&self) {
        self.own.rest(self.stop, self.own.woken(), PAUSE).await;
    }

    /// Something of the driver's, which blocks. A card error of a recorder that is gone is that it is gone.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Box<dyn RecorderDriver>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        if self.stop.is_cancelled() {
            return Err(Fault::Stopped);
        }
        let driver = Arc::clone(&self.driver);
        let done = tokio::task::spawn_blocking(move || {
            let mut driver = lock(&driver);
            let done = work(&mut driver);
            match done {
                Err(_) if !driver.present() => Err(Fault::Gone),
                other => other,
            }
        });
        done.await.unwrap_or(Err(Fault::Stopped))
    }
}

fn lock(driver: &Driver) -> std::sync::MutexGuard<'_, Box<dyn RecorderDriver>> {
    driver.lock().unwrap_or_else(PoisonError::into_inner)
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

/// What speaks against reading a recorder.
async fn against(tx: &mut Tx<'_>, id: &DockingId, serial: &str) -> Result<Option<String>, StoreError> {
    match register::listed(tx, serial).await? {
        None => {
            return Ok(Some(format!(
                "记录仪 {serial} 未登记，不采集也不清除，请联系管理员登记"
            )));
        }
        Some(known) if !known.listed => {
            return Ok(Some(format!(
                "记录仪 {serial} 不在白名单（{}），不采集也不清除",
                known.reason
            )));
        }
        Some(_) => {}
    }
    if rows::twins(tx, serial, id).await? > 0 {
        let words = format!("序列号 {serial} 重复：另一台同号记录仪正在坞中，请核对标签，先取走其中一台");
        return Ok(Some(words));
    }
    Ok(None)
}

fn same_content(driver: &mut Box<dyn RecorderDriver>, found: &Found, expected: &str) -> Result<bool, Fault> {
    let opened = match driver.open(found) {
        // Deleted already, before we could write it down.
        Err(Fault::Card(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        other => other?,
    };
    let (hash, _) = copy::sha256(opened, &Control::default(), Fault::Card)?;
    Ok(hex::encode(hash) == expected)
}

/// The clip is not on its recorder any more.
async fn cleared(tx: &mut Tx<'_>, id: &records::footage::ClipId, note: &str) -> Result<(), StoreError> {
    if rows::step_clip(tx, id, ClipStep::Clear, note).await? {
        let body = FootageCleared {
            clip: id.clone(),
            at: tx.now(),
        };
        report::append(tx, kind::FOOTAGE_CLEARED, id.as_str(), &body).await?;
    }
    Ok(())
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
        if clip.state == ClipState::Lost || (first && clip.state == ClipState::Unreadable) {
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
            ClipState::Confirmed => cleared(tx, &clip.id, "").await?,
            _ => {}
        }
    }
    Ok(())
}
