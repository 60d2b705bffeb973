//! Waiting: for the cloud, and then, where footage may come while the recorder is there, for new footage.

use super::{Broken, PAUSE, Stay, lock};
use crate::ports::Light;
use crate::state::DockingStep;

impl Stay<'_> {
    /// Waits until nothing of it moves any more. `true` when something has to be copied again.
    pub(super) async fn await_confirmation(&mut self) -> Result<bool, Broken> {
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

    /// Nothing to do until it is gone, or, where footage may come while it is there, until there is new footage.
    pub(super) async fn idle(&mut self) -> Result<(), Broken> {
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
}
