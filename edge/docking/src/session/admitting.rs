//! Who a recorder is, and whether it may be read and cleared.

use recorder::Fault;
use records::footage::DockingId;
use store::{StoreError, Tx};

use super::{Broken, Stay};
use crate::ports::Light;
use crate::register;
use crate::rows::{self, Said};
use crate::state::DockingStep;

impl Stay<'_> {
    /// Finds out who it is and whether it may be read.
    pub(super) async fn admit(&mut self) -> Result<(), Broken> {
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
        self.own.bays().seat(&self.plugged, Some(&self.serial));
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
        self.let_in().await?;
        self.own.bays().show(&self.serial, Light::Busy);
        Ok(())
    }

    /// Lets it in when nothing speaks against it, in one unit: of two with one number that ask at the same moment one is let
    /// in, and the other is held until that one has gone.
    async fn let_in(&mut self) -> Result<(), Broken> {
        let (id, serial) = (self.id.clone(), self.serial.clone());
        let against = self
            .own
            .write(move |tx| {
                let (id, serial) = (id.clone(), serial.clone());
                Box::pin(async move {
                    let against = against(tx, &id, &serial).await?;
                    if against.is_none() {
                        rows::step_docking(tx, &id, DockingStep::Release, "").await?;
                        rows::step_docking(tx, &id, DockingStep::Admit, "").await?;
                    }
                    Ok(against)
                })
            })
            .await?;
        match against {
            None => Ok(()),
            Some(words) => self.hold(words).await,
        }
    }

    /// Whether it may be read and cleared: listed, and the only one of its number.
    pub(super) async fn admitted(&mut self) -> Result<(), Broken> {
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
