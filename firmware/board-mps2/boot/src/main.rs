//! Boot loader: the same choice as on every board (`dock_logic::boot`). The chosen image is copied to where it runs, so
//! that what was judged is what runs.
#![no_std]
#![no_main]

use dock_logic::Layout;
use embassy_futures::block_on;
use embedded_storage_async::nor_flash::ReadNorFlash;
use mps2::dock::link::Board;
use mps2::flash::Flash;
use mps2::words;

/// Where an image runs, and how long it may be.
const IMAGE: usize = 0x1_0000;
const ROOM: usize = 256 * 1024;

#[cortex_m_rt::entry]
fn main() -> ! {
    let Some(mut flash) = Flash::open() else {
        panic!("the emulator names no flash");
    };
    let layout = Layout::of(Board::Mps2);
    let Some((slot, manifest)) = block_on(dock_logic::boot(&mut flash, &layout)) else {
        // Nothing to start: wait for the factory, without resetting again and again.
        loop {
            cortex_m::asm::wfi();
        }
    };
    let length = (manifest.length as usize).min(ROOM);
    // SAFETY: this memory is the image's and lies outside of the boot loader's own, which its memory map ends below.
    let place = unsafe { core::slice::from_raw_parts_mut(IMAGE as *mut u8, length) };
    if block_on(flash.read(layout.slot(slot).start, place)).is_err() {
        panic!("the image cannot be read");
    }
    words::set_slot(slot);
    // An image that hangs before it can start the watchdog itself must come back here.
    mps2::clock::start_watchdog();
    // SAFETY: the image is signed and begins with its vector table; nothing of the boot loader is used afterwards.
    unsafe {
        (*cortex_m::peripheral::SCB::PTR).vtor.write(IMAGE as u32);
        cortex_m::asm::bootload(IMAGE as *const u32)
    }
}
