//! The dock's board as docking uses it: lights and locks by serial number, names of bays by the USB ports they are wired to,
//! and its firmware renewed ([`Renewals`]).
//!
//! Most recorders tell their number over USB only. The board, whose lights and locks are asked for by number, is told it:
//! a port belongs to a bay by configuration. What was told is told again after the board lost it.

mod renewal;
mod rows;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dock::{Charge, Colour, Dock, DockError, DockState, Light as Lamp, bay_name};
use recorder::Plugged;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub use renewal::{Progress, Refused, Renewals};
pub use rows::{Renewal, RenewalState};

use crate::ports::{Bays, Light};

/// Seconds an issued recorder's bay stays open.
const TAKEN_WITHIN_S: u16 = 120;
/// Between tries to tell the board.
const AGAIN: Duration = Duration::from_secs(2);

/// The board; cheap to clone.
#[derive(Clone)]
pub struct Board {
    inner: Arc<Inner>,
}

struct Inner {
    dock: Dock,
    runtime: tokio::runtime::Handle,
    /// Bays, from 0, by port.
    ports: BTreeMap<String, u8>,
    seats: Mutex<BTreeMap<u8, Seat>>,
    changed: Notify,
}

/// A bay that was opened for who takes its recorder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Which bay, for people.
    pub place: String,
    /// Seconds until it is locked again.
    pub seconds: u16,
}

/// Why a recorder was not handed out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOpened {
    /// It stands in no bay of this dock.
    #[error("该记录仪不在采集坞的槽位中，请核对编号或另取一台")]
    NotHere,
    /// The board did not do it.
    #[error(transparent)]
    Board(#[from] DockError),
}

/// Who stands in a bay, as USB told.
#[derive(Clone, Debug)]
struct Seat {
    /// Which stay: when a recorder is plugged again at once, the end of its former stay takes nothing away.
    stay: String,
    serial: String,
}

impl Board {
    /// A board whose bays are wired to these USB ports (`2-1.3`: bus 2, first root port, third port of the hub there; bay
    /// from 1, as on its label). Within a runtime, which then carries the commands.
    pub fn new(dock: Dock, ports: &BTreeMap<String, u8>) -> Self {
        let ports = ports.iter().map(|(port, bay)| (port.clone(), bay.saturating_sub(1)));
        Self {
            inner: Arc::new(Inner {
                dock,
                runtime: tokio::runtime::Handle::current(),
                ports: ports.collect(),
                seats: Mutex::default(),
                changed: Notify::new(),
            }),
        }
    }

    fn seats(&self) -> MutexGuard<'_, BTreeMap<u8, Seat>> {
        self.inner.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bay with this recorder: the one whose port it told its number at, else the one whose contacts told it.
    pub fn bay_of(&self, serial: &str) -> Option<u8> {
        let seated = self
            .seats()
            .iter()
            .find(|(_, seat)| seat.serial == serial)
            .map(|(bay, _)| *bay);
        seated.or_else(|| self.inner.dock.state().borrow().bay_of(serial))
    }

    /// How the recorder's bay charges, if a bay is known to have it and the board answers.
    pub fn charge_of(&self, serial: &str) -> Option<Charge> {
        let bay = self.bay_of(serial)?;
        let state = self.inner.dock.state();
        let state = state.borrow();
        let place = state.bays.get(usize::from(bay)).filter(|_| state.online)?;
        Some(place.charge)
    }

    /// Hands a recorder out: the lock of its bay opens, its light says "take me", until it is taken or the time is over.
    ///
    /// # Errors
    /// See [`NotOpened`].
    pub async fn hand_out(&self, serial: &str) -> Result<Opened, NotOpened> {
        let bay = self.bay_of(serial).ok_or(NotOpened::NotHere)?;
        self.inner.dock.release(bay, TAKEN_WITHIN_S).await?;
        Ok(Opened {
            place: bay_name(bay),
            seconds: TAKEN_WITHIN_S,
        })
    }

    /// What a person has to look at: a bay whose contacts tell another number than USB.
    pub fn warnings(&self) -> Vec<String> {
        let state = self.inner.dock.state().borrow().clone();
        let seats = self.seats().clone();
        let differs = seats.iter().filter_map(|(bay, Seat { serial, .. })| {
            let told = state.bays.get(usize::from(*bay))?;
            let other = told.present && !told.serial.is_empty() && told.serial.as_str() != serial.as_str();
            other.then(|| {
                let (bay, contacts) = (bay_name(*bay), told.serial.as_str());
                format!(
                    "{bay}：触点读出的编号是{contacts}，USB 读出的是{serial}，请核对接线（[dock.ports]）与记录仪标签"
                )
            })
        });
        differs.collect()
    }

    /// Tells the board which recorders stand in its bays, until stopped.
    pub async fn keep_names(&self, stop: CancellationToken) {
        let mut state = self.inner.dock.state();
        while !stop.is_cancelled() {
            let changed = self.inner.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let known = state.borrow_and_update().clone();
            let mut again = false;
            for (bay, serial) in self.untold(&known) {
                if let Err(error) = self.inner.dock.name(bay, &serial).await {
                    tracing::warn!(dock.bay = bay, recorder.serial = serial, %error, "the board was not told who is in its bay");
                    again = true;
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = &mut changed => {}
                Ok(()) = state.changed() => {}
                () = tokio::time::sleep(AGAIN), if again => {}
            }
        }
    }

    /// Bays that have a recorder whose number the board does not know.
    fn untold(&self, state: &DockState) -> Vec<(u8, String)> {
        let seats = self.seats();
        let untold = seats.iter().filter(|(bay, _)| {
            let place = state.bays.get(usize::from(**bay));
            state.online && place.is_some_and(|p| p.present && p.serial.is_empty())
        });
        untold.map(|(bay, seat)| (*bay, seat.serial.clone())).collect()
    }
}

impl Bays for Board {
    fn show(&self, serial: &str, light: Light) {
        let Some(bay) = self.bay_of(serial) else {
            return;
        };
        let (dock, serial) = (self.inner.dock.clone(), serial.to_owned());
        self.inner.runtime.spawn(async move {
            let shown = match light {
                Light::Busy => dock.light(bay, Lamp::Steady(Colour::Amber)).await,
                Light::Ready => dock.light(bay, Lamp::Auto).await,
                Light::Attention => dock.light(bay, Lamp::Blink(Colour::Red)).await,
                Light::Take => dock.release(bay, TAKEN_WITHIN_S).await,
            };
            if let Err(error) = shown {
                tracing::warn!(recorder.serial = serial, %error, "the bay's light could not be set");
            }
        });
    }

    fn place(&self, port: &str) -> Option<String> {
        self.inner.ports.get(port).map(|bay| bay_name(*bay))
    }

    fn seat(&self, plugged: &Plugged, serial: Option<&str>) {
        let Some(bay) = self.inner.ports.get(&plugged.port) else {
            return;
        };
        let mut seats = self.seats();
        match serial {
            Some(serial) => {
                let (stay, serial) = (plugged.key.clone(), serial.to_owned());
                seats.insert(*bay, Seat { stay, serial });
            }
            None => seats.retain(|at, seat| at != bay || seat.stay != plugged.key),
        }
        drop(seats);
        self.inner.changed.notify_one();
    }
}
