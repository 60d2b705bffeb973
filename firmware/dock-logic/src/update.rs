//! Takes a new image into the slot that does not run.

use dock_link::{CHUNK, Data, FirmwareVersion, Manifest, Refusal, Signature, Slot, Update, UpdateStatus};
use embedded_storage_async::nor_flash::NorFlash;

use crate::seal::{Key, sealed_by};
use crate::slots::{BootRecord, Layout, TRIES, hash, trailer, version, whole};

/// What the running image knows of itself and its board.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) layout: Layout,
    pub(crate) board: dock_link::Board,
    pub(crate) running: Slot,
    pub(crate) firmware: FirmwareVersion,
    pub(crate) key: Option<Key>,
}

/// An update under way.
#[derive(Debug, Default)]
pub(crate) struct Updating {
    begun: Option<Begun>,
}

#[derive(Debug)]
struct Begun {
    manifest: Manifest,
    signature: Signature,
    taken: u32,
}

impl Updating {
    pub(crate) const fn new() -> Self {
        Self { begun: None }
    }

    pub(crate) async fn status<F: NorFlash>(&self, flash: &mut F, place: &Place) -> UpdateStatus {
        let mut versions = [None; 2];
        if let Some(key) = place.key {
            for (slot, seen) in [Slot::A, Slot::B].into_iter().zip(&mut versions) {
                *seen = version(flash, &place.layout, slot, key).await;
            }
        }
        UpdateStatus {
            running: place.running,
            versions,
            trial: BootRecord::load(flash, &place.layout).await.trial(place.running),
            taken: self.begun.as_ref().map(|b| b.taken),
        }
    }

    pub(crate) async fn step<F: NorFlash>(
        &mut self,
        flash: &mut F,
        place: &Place,
        step: Update,
    ) -> Result<(), Refusal> {
        match step {
            Update::Status => Ok(()),
            Update::Begin { manifest, signature } => self.begin(flash, place, manifest, signature).await,
            Update::Chunk { offset, data } => self.chunk(flash, place, offset, data).await,
            Update::Finish => self.finish(flash, place).await,
            Update::Activate => activate(flash, place).await,
            Update::Confirm => confirm(flash, place).await,
            Update::Abandon => self.abandon(flash, place).await,
        }
    }

    /// The signature is judged before anything is erased, so that nobody without the key can take the second image away.
    async fn begin<F: NorFlash>(
        &mut self,
        flash: &mut F,
        place: &Place,
        manifest: Manifest,
        signature: Signature,
    ) -> Result<(), Refusal> {
        let record = BootRecord::load(flash, &place.layout).await;
        if place.running != record.confirmed {
            // The other slot holds the image to go back to.
            return Err(Refusal::Order);
        }
        if manifest.board != place.board {
            return Err(Refusal::OtherBoard);
        }
        if !place.key.is_some_and(|key| sealed_by(key, &manifest, signature)) {
            return Err(Refusal::Signature);
        }
        if manifest.version < place.firmware {
            return Err(Refusal::Older);
        }
        let target = place.running.other();
        if manifest.length == 0 || manifest.length > place.layout.room::<F>(target) {
            return Err(Refusal::TooBig);
        }
        self.abandon(flash, place).await?;
        // The former image is none from here on, whatever happens.
        let trailer = place.layout.trailer::<F>(target);
        erase_page(flash, trailer).await?;
        self.begun = Some(Begun {
            manifest,
            signature,
            taken: 0,
        });
        Ok(())
    }

    async fn chunk<F: NorFlash>(
        &mut self,
        flash: &mut F,
        place: &Place,
        offset: u32,
        data: Data,
    ) -> Result<(), Refusal> {
        let begun = self.begun.as_mut().ok_or(Refusal::Order)?;
        let left = begun.manifest.length - begun.taken;
        let expected = left.min(CHUNK as u32);
        if offset != begun.taken || data.len() as u32 != expected || expected == 0 {
            return Err(Refusal::Offset(begun.taken));
        }
        let at = place
            .layout
            .slot(place.running.other())
            .start
            .checked_add(offset)
            .ok_or(Refusal::TooBig)?;
        if at.is_multiple_of(F::ERASE_SIZE as u32) {
            erase_page(flash, at).await?;
        }
        let mut bytes = [0xFF; CHUNK];
        for (place, byte) in bytes.iter_mut().zip(&data) {
            *place = *byte;
        }
        let whole = data.len().next_multiple_of(F::WRITE_SIZE);
        let bytes = bytes.get(..whole).ok_or(Refusal::Flash)?;
        if flash.write(at, bytes).await.is_err() {
            // What is half written must be erased before it is written again.
            self.begun = None;
            return Err(Refusal::Flash);
        }
        begun.taken += expected;
        Ok(())
    }

    async fn finish<F: NorFlash>(&mut self, flash: &mut F, place: &Place) -> Result<(), Refusal> {
        let begun = self.begun.as_ref().ok_or(Refusal::Order)?;
        if begun.taken != begun.manifest.length {
            return Err(Refusal::Offset(begun.taken));
        }
        let (manifest, signature) = (begun.manifest, begun.signature);
        self.begun = None;
        let target = place.running.other();
        let start = place.layout.slot(target).start;
        if hash(flash, start, manifest.length).await != Some(manifest.sha256) {
            return Err(Refusal::Hash);
        }
        let at = place.layout.trailer::<F>(target);
        flash
            .write(at, &trailer(&manifest, signature))
            .await
            .map_err(|_| Refusal::Flash)
    }

    async fn abandon<F: NorFlash>(&mut self, flash: &mut F, place: &Place) -> Result<(), Refusal> {
        self.begun = None;
        let record = BootRecord::load(flash, &place.layout).await;
        if record.tries.is_some() && place.running == record.confirmed {
            BootRecord { tries: None, ..record }.keep(flash, &place.layout).await?;
        }
        Ok(())
    }
}

async fn activate<F: NorFlash>(flash: &mut F, place: &Place) -> Result<(), Refusal> {
    let record = BootRecord::load(flash, &place.layout).await;
    let key = place.key.ok_or(Refusal::Signature)?;
    let target = place.running.other();
    if place.running != record.confirmed || whole(flash, &place.layout, target, key).await.is_none() {
        return Err(Refusal::Order);
    }
    let record = BootRecord {
        tries: Some(TRIES),
        given_up: false,
        ..record
    };
    record.keep(flash, &place.layout).await
}

async fn confirm<F: NorFlash>(flash: &mut F, place: &Place) -> Result<(), Refusal> {
    let record = BootRecord::load(flash, &place.layout).await;
    if record.tries.is_none() && record.confirmed == place.running {
        return Ok(());
    }
    if record.confirmed == place.running {
        return Err(Refusal::Order);
    }
    let record = BootRecord {
        confirmed: place.running,
        tries: None,
        given_up: false,
    };
    record.keep(flash, &place.layout).await
}

async fn erase_page<F: NorFlash>(flash: &mut F, at: u32) -> Result<(), Refusal> {
    let end = at.checked_add(F::ERASE_SIZE as u32).ok_or(Refusal::Flash)?;
    flash.erase(at, end).await.map_err(|_| Refusal::Flash)
}
