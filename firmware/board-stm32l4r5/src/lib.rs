//! What the image and the boot loader of this board share: where things lie, the memory that outlives a reset, the flash.
#![no_std]

use core::panic::PanicInfo;

use dock_firmware::link::{Reset, Slot};
use dock_firmware::logic::LastWords;
use embassy_embedded_hal::adapter::BlockingAsync;
use embassy_stm32::flash::{Blocking, Flash};
use embassy_stm32::pac;

pub use dock_firmware as dock;

/// Where an image runs (SRAM3), and how long it may be.
pub const IMAGE: usize = 0x2004_0000;
/// Longest image.
pub const ROOM: usize = 256 * 1024;

const WORDS: *mut LastWords = 0x2002_FFC0 as *mut LastWords;
const SLOT: *mut u32 = 0x2002_FFE0 as *mut u32;

/// The chip's own flash.
pub type Chip = BlockingAsync<Flash<'static, Blocking>>;

/// Changes the last words.
pub fn with_words<R>(act: impl FnOnce(&mut LastWords) -> R) -> R {
    critical_section::with(|_| {
        // SAFETY: the last 64 bytes of SRAM1 are kept out of every program's hands by the memory map, the place is aligned,
        // every bit pattern is a `LastWords`, and interrupts are off, so that this is the only reference.
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

/// The cause of the reset as the chip names it; cleared for the next one.
pub fn cause() -> Option<Reset> {
    let flags = pac::RCC.csr().read();
    pac::RCC.csr().modify(|w| w.set_rmvf(true));
    if flags.iwdgrstf() || flags.wwdgrstf() {
        Some(Reset::Watchdog)
    } else if flags.borrstf() {
        // Power-on raises it too; a brown-out is told apart by the last words, which outlive it.
        None
    } else {
        Some(Reset::Other)
    }
}

/// Leaves last words and starts anew.
pub fn restart() -> ! {
    with_words(|words| words.asked());
    cortex_m::peripheral::SCB::sys_reset()
}

#[panic_handler]
fn panicked(info: &PanicInfo<'_>) -> ! {
    cortex_m::interrupt::disable();
    with_words(|words| words.panicked(info.location()));
    cortex_m::peripheral::SCB::sys_reset()
}
