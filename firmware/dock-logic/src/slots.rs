//! Two places for an image, and which of them starts.
//!
//! ```text
//!   confirmed A ──Activate──▶ B waits ──start──▶ B on trial ──Confirm──▶ confirmed B
//!        ▲                                            │ three starts without it
//!        └────────────────── given up ◀───────────────┘
//! ```
//!
//! A slot holds the image from its start and a trailer (manifest and signature) in its last page, written last. The
//! record of which slot starts is one item in a small map of its own, so that it changes whole or not at all. A slot
//! whose image is not whole and signed is never started.

use core::ops::Range;

use dock_link::{Board, FirmwareVersion, Manifest, Refusal, SIGNED_LENGTH, Signature, Slot, Trial};
use embedded_storage_async::nor_flash::NorFlash;
use sha2::{Digest, Sha256};

use crate::pages::{read, write};
use crate::seal::{Key, sealed_by};

/// Starts of an image on trial before it is given up.
pub const TRIES: u8 = 3;
/// Length of the trailer, a multiple of what any flash writes at once.
const TRAILER: usize = 160;
/// Key of the record in its map.
const RECORD: u8 = 1;

/// Where things lie in flash. All ranges begin and end at pages.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Settings; two pages or more.
    pub settings: Range<u32>,
    /// Record of the slots; two pages or more.
    pub boot: Range<u32>,
    /// The slots; the last page of each is its trailer's.
    pub slots: [Range<u32>; 2],
    /// 32 bytes: the key that signs images. Written at manufacture.
    pub key: u32,
}

impl Layout {
    /// Where things lie on a kind of board. The boot loader, the image and the tool that fills a new board agree by this.
    pub const fn of(board: Board) -> Self {
        match board {
            // The whole of an emulated flash of 4 KiB pages.
            Board::Mps2 => Self {
                key: 0,
                settings: 0x1000..0x5000,
                boot: 0x5000..0x7000,
                slots: [0x8000..0x2_8000, 0x2_8000..0x4_8000],
            },
            // 2 MiB in pages of 4 KiB; the first 64 KiB are the boot loader's. The slots lie in different banks, so
            // that a fault of one bank leaves the other slot; programs run from RAM and are not held up by writing.
            Board::Stm32l4r5 => Self {
                key: 0x1_0000,
                settings: 0x1_2000..0x1_A000,
                boot: 0x1_A000..0x1_E000,
                slots: [0x2_0000..0x6_0000, 0x10_0000..0x14_0000],
            },
        }
    }

    /// A slot.
    pub fn slot(&self, slot: Slot) -> Range<u32> {
        let [a, b] = &self.slots;
        match slot {
            Slot::A => a.clone(),
            Slot::B => b.clone(),
        }
    }

    /// Longest image.
    pub fn room<F: NorFlash>(&self, slot: Slot) -> u32 {
        let range = self.slot(slot);
        (range.end - range.start).saturating_sub(F::ERASE_SIZE as u32)
    }

    /// Where the trailer of a slot lies.
    pub(crate) fn trailer<F: NorFlash>(&self, slot: Slot) -> u32 {
        let range = self.slot(slot);
        range.start.saturating_add(self.room::<F>(slot))
    }

    /// The key of this board.
    pub async fn key_of<F: NorFlash>(&self, flash: &mut F) -> Option<Key> {
        let mut key = [0xFF; 32];
        flash.read(self.key, &mut key).await.ok()?;
        Key(key).present()
    }
}

/// Which slot starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BootRecord {
    /// The confirmed one.
    pub confirmed: Slot,
    /// The other one is tried: starts that are left.
    pub tries: Option<u8>,
    /// The last new image was given up.
    pub given_up: bool,
}

impl BootRecord {
    /// Reads it; the first slot when there is none.
    pub async fn load<F: NorFlash>(flash: &mut F, layout: &Layout) -> Self {
        let kept = read::<F, u32>(flash, layout.boot.clone(), RECORD).await;
        kept.map_or_else(Self::default, Self::from_word)
    }

    /// Keeps it.
    pub async fn keep<F: NorFlash>(self, flash: &mut F, layout: &Layout) -> Result<(), Refusal> {
        write(flash, layout.boot.clone(), RECORD, self.to_word())
            .await
            .map(drop)
    }

    fn to_word(self) -> u32 {
        let [confirmed, given_up] = [u8::from(self.confirmed == Slot::B), u8::from(self.given_up)];
        let [on, tries] = [u8::from(self.tries.is_some()), self.tries.unwrap_or(0)];
        u32::from_le_bytes([confirmed, on, tries, given_up])
    }

    fn from_word(word: u32) -> Self {
        let [confirmed, on, tries, given_up] = word.to_le_bytes();
        Self {
            confirmed: if confirmed == 1 { Slot::B } else { Slot::A },
            tries: (on == 1).then_some(tries.min(TRIES)),
            given_up: given_up == 1,
        }
    }

    /// Where the board stands, seen from the running slot.
    pub fn trial(self, running: Slot) -> Trial {
        match self.tries {
            Some(_) if running == self.confirmed => Trial::Waiting,
            Some(_) => Trial::Running,
            None if self.given_up => Trial::GivenUp,
            None => Trial::None,
        }
    }
}

/// Which slot to start, and the record to keep before it is started; `None` when neither holds an image.
pub fn choose(record: BootRecord, whole: [bool; 2]) -> (Option<Slot>, BootRecord) {
    let [a, b] = whole;
    let is_whole = |slot: Slot| match slot {
        Slot::A => a,
        Slot::B => b,
    };
    let tried = record.confirmed.other();
    if let Some(tries) = record.tries.and_then(|t| t.checked_sub(1))
        && is_whole(tried)
    {
        let record = BootRecord {
            tries: Some(tries),
            ..record
        };
        return (Some(tried), record);
    }
    let record = BootRecord {
        tries: None,
        given_up: record.given_up || record.tries.is_some(),
        ..record
    };
    if is_whole(record.confirmed) {
        (Some(record.confirmed), record)
    } else if is_whole(tried) {
        // The confirmed image was damaged in its flash: better the other one than none.
        let record = BootRecord {
            confirmed: tried,
            ..record
        };
        (Some(tried), record)
    } else {
        (None, record)
    }
}

/// What a boot loader does: chooses, keeps the record, answers which slot and how long its image is.
pub async fn boot<F: NorFlash>(flash: &mut F, layout: &Layout) -> Option<(Slot, Manifest)> {
    let key = layout.key_of(flash).await?;
    let [a, b] = [
        whole(flash, layout, Slot::A, key).await,
        whole(flash, layout, Slot::B, key).await,
    ];
    let before = BootRecord::load(flash, layout).await;
    let (slot, record) = choose(before, [a.is_some(), b.is_some()]);
    if record != before {
        // A worn flash must not stop the dock: the confirmed image starts all the same.
        let kept = record.keep(flash, layout).await;
        if kept.is_err() && slot == Some(before.confirmed.other()) {
            let (slot, _) = choose(BootRecord { tries: None, ..before }, [a.is_some(), b.is_some()]);
            return slot.and_then(|s| Some((s, if s == Slot::A { a? } else { b? })));
        }
    }
    match slot? {
        Slot::A => Some((Slot::A, a?)),
        Slot::B => Some((Slot::B, b?)),
    }
}

/// The manifest of a slot whose image is whole and signed.
pub async fn whole<F: NorFlash>(flash: &mut F, layout: &Layout, slot: Slot, key: Key) -> Option<Manifest> {
    let mut bytes = [0u8; TRAILER];
    flash.read(layout.trailer::<F>(slot), &mut bytes).await.ok()?;
    let (manifest, signature) = from_trailer(&bytes)?;
    if manifest.length > layout.room::<F>(slot) || !sealed_by(key, &manifest, signature) {
        return None;
    }
    (hash(flash, layout.slot(slot).start, manifest.length).await? == manifest.sha256).then_some(manifest)
}

/// SHA-256 of what lies in flash.
pub(crate) async fn hash<F: NorFlash>(flash: &mut F, start: u32, length: u32) -> Option<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut bytes = [0u8; 256];
    let mut at = 0u32;
    while at < length {
        let count = (length - at).min(bytes.len() as u32) as usize;
        // Reads are as long as the flash wants them; what is beyond the image is not hashed.
        let whole = count.next_multiple_of(F::READ_SIZE).min(bytes.len());
        flash.read(start.checked_add(at)?, bytes.get_mut(..whole)?).await.ok()?;
        hash.update(bytes.get(..count)?);
        at += count as u32;
    }
    Some(hash.finalize().into())
}

/// The trailer of an image, as it is written at the end of a slot.
pub fn trailer(manifest: &Manifest, signature: Signature) -> [u8; TRAILER] {
    let mut bytes = [0xFF; TRAILER];
    let fields = manifest.signed().into_iter().chain(signature.to_bytes());
    for (place, byte) in bytes.iter_mut().zip(fields) {
        *place = byte;
    }
    bytes
}

fn from_trailer(bytes: &[u8; TRAILER]) -> Option<(Manifest, Signature)> {
    let (signed, rest) = bytes.split_first_chunk::<SIGNED_LENGTH>()?;
    let signature = Signature::from_bytes(rest.first_chunk()?);
    Some((Manifest::from_signed(signed)?, signature))
}

/// Version in a slot, as its trailer names it; for showing only.
pub(crate) async fn version<F: NorFlash>(
    flash: &mut F,
    layout: &Layout,
    slot: Slot,
    key: Key,
) -> Option<FirmwareVersion> {
    whole(flash, layout, slot, key).await.map(|m| m.version)
}
