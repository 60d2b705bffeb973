//! The last 64 bytes of RAM: neither a reset nor a program's start clears them.

use dock_firmware::link::Slot;
use dock_firmware::logic::LastWords;

const WORDS: *mut LastWords = 0x203F_FFC0 as *mut LastWords;
const SLOT: *mut u32 = 0x203F_FFE0 as *mut u32;

/// Changes the last words.
pub fn with<R>(act: impl FnOnce(&mut LastWords) -> R) -> R {
    critical_section::with(|_| {
        // SAFETY: the memory map keeps this place out of every program's hands but ours, it is aligned, every bit pattern
        // is a `LastWords`, and interrupts are off, so that this is the only reference.
        act(unsafe { &mut *WORDS })
    })
}

/// Tells the image which slot it came from.
pub fn set_slot(slot: Slot) {
    // SAFETY: as above; a plain word, written before the image runs.
    unsafe { SLOT.write_volatile(slot.index() as u32) }
}

/// Slot the image came from.
pub fn slot() -> Slot {
    // SAFETY: as above; the boot loader has written it.
    match unsafe { SLOT.read_volatile() } {
        1 => Slot::B,
        _ => Slot::A,
    }
}
