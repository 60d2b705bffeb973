//! Boot loader: the same choice as on every board (`dock_logic::boot`). The chosen image is copied to RAM and runs there,
//! so that what was judged is what runs.
#![no_std]
#![no_main]

use dock_firmware::link::Board;
use dock_firmware::logic::{Layout, boot};
use embassy_embedded_hal::adapter::BlockingAsync;
use embassy_futures::block_on;
use embassy_stm32::flash::Flash;
use embassy_stm32::wdg::IndependentWatchdog;
use embedded_storage_async::nor_flash::ReadNorFlash;
use stm32l4r5::dock as dock_firmware;

/// As the image's own: one that hangs before its first feeding comes back here.
const WATCHDOG_US: u32 = 8_000_000;

#[cortex_m_rt::entry]
fn main() -> ! {
    let p = embassy_stm32::init(embassy_stm32::Config::default());
    let mut flash = BlockingAsync::new(Flash::new_blocking(p.FLASH));
    let layout = Layout::of(Board::Stm32l4r5);
    let Some((slot, manifest)) = block_on(boot(&mut flash, &layout)) else {
        // Nothing to start: wait for the factory, without resetting again and again.
        loop {
            cortex_m::asm::wfi();
        }
    };
    let length = (manifest.length as usize).min(stm32l4r5::ROOM);
    // SAFETY: this memory is the image's; the boot loader's memory map leaves it out.
    let place = unsafe { core::slice::from_raw_parts_mut(stm32l4r5::IMAGE as *mut u8, length) };
    if block_on(flash.read(layout.slot(slot).start, place)).is_err() {
        panic!("the image cannot be read");
    }
    stm32l4r5::set_slot(slot);
    IndependentWatchdog::new(p.IWDG, WATCHDOG_US).unleash();
    cortex_m::interrupt::disable();
    // SAFETY: the image is signed and begins with its vector table; interrupts of the boot loader are off, and nothing of
    // it is used afterwards.
    unsafe {
        (*cortex_m::peripheral::SCB::PTR).vtor.write(stm32l4r5::IMAGE as u32);
        cortex_m::interrupt::enable();
        cortex_m::asm::bootload(stm32l4r5::IMAGE as *const u32)
    }
}
