//! What the cloud has confirmed is deleted from the recorder; then its clock is set.

use std::io;

use recorder::copy::{self, Control};
use recorder::{Fault, Found, Listing, RecorderDriver};
use records::footage::{FootageCleared, kind};
use store::{StoreError, Tx};

use super::{Broken, Stay};
use crate::ports::Light;
use crate::state::{ClipState, ClipStep, DockingStep};
use crate::{report, rows};

impl Stay<'_> {
    /// Deletes what is confirmed.
    pub(super) async fn clear(&mut self) -> Result<(), Broken> {
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
    pub(super) async fn finish(&mut self, before: &Listing, after: &Listing) -> Result<(), Broken> {
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
pub(super) async fn cleared(tx: &mut Tx<'_>, id: &records::footage::ClipId, note: &str) -> Result<(), StoreError> {
    if rows::step_clip(tx, id, ClipStep::Clear, note).await? {
        let body = FootageCleared {
            clip: id.clone(),
            at: tx.now(),
        };
        report::append(tx, kind::FOOTAGE_CLEARED, id.as_str(), &body).await?;
    }
    Ok(())
}
