//! A panic leaves its place for the next start and starts the board anew.

use core::panic::PanicInfo;

use cortex_m_semihosting::hprintln;

#[panic_handler]
fn panicked(info: &PanicInfo<'_>) -> ! {
    cortex_m::interrupt::disable();
    hprintln!("{info}");
    crate::words::with(|words| words.panicked(info.location()));
    cortex_m::peripheral::SCB::sys_reset()
}
