//! One stay of one recorder, from being plugged to being gone.
//!
//! | room | what is done in it |
//! |---|---|
//! | [`admitting`] | who it is, and whether it may be read |
//! | [`copying`] | its files listed, copied in turn, failures sorted |
//! | [`confirming`] | waiting for the cloud, and for new footage afterwards |
//! | [`clearing`] | what is confirmed is deleted, its clock set |

mod admitting;
mod clearing;
mod confirming;
mod copying;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use recorder::{Fault, Plugged, RecorderDriver};
use records::footage::DockingId;
use store::StoreError;
use tokio_util::sync::CancellationToken;

use crate::rows;
use crate::state::DockingStep;
use crate::station::Docking;

/// Between tries, and between looks whether it is still there.
const PAUSE: Duration = Duration::from_secs(1);

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
    let (ids, place) = (Arc::clone(own.ids()), own.bays().place(&plugged.port));
    let place = place.unwrap_or_else(|| plugged.place.clone());
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
        own.bays().seat(&stay.plugged, None);
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
