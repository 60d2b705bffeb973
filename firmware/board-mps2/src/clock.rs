//! Time for Embassy: TIMER0 runs freely down at 25 MHz and counts its wraps, TIMER1 is the one-shot alarm. A
//! free-running counter does not drift when the emulator is starved.

use core::cell::RefCell;
use core::sync::atomic::{AtomicU32, Ordering};
use core::task::Waker;

use critical_section::{CriticalSection, Mutex};
use embassy_time_queue_utils::Queue;

use crate::vectors::{Irq, read, unmask, write};

/// Clock of the board in hertz.
pub const CLOCK_HZ: u32 = 25_000_000;
const CYCLES_PER_TICK: u64 = CLOCK_HZ as u64 / embassy_time_driver::TICK_HZ;

const TIMER0: usize = 0x4000_0000;
const TIMER1: usize = 0x4000_1000;
const CONTROL: usize = 0;
const CONTROL_OF_WATCHDOG: usize = 8;
const VALUE: usize = 4;
const RELOAD: usize = 8;
const CLEAR: usize = 12;
/// Enable with interrupt.
const RUN: u32 = 0b1001;

struct Driver {
    wraps: AtomicU32,
    queue: Mutex<RefCell<Queue>>,
}

embassy_time_driver::time_driver_impl!(static DRIVER: Driver = Driver {
    wraps: AtomicU32::new(0),
    queue: Mutex::new(RefCell::new(Queue::new())),
});

impl Driver {
    fn cycles(&self) -> u64 {
        critical_section::with(|_| {
            let mut wraps = self.wraps.load(Ordering::Relaxed);
            let mut value = read(TIMER0 + VALUE);
            if read(TIMER0 + CLEAR) & 1 != 0 {
                // Wrapped, and the handler has not run yet.
                value = read(TIMER0 + VALUE);
                wraps = wraps.wrapping_add(1);
            }
            (u64::from(wraps) << 32) | u64::from(u32::MAX - value)
        })
    }

    /// `false` when the moment has passed already.
    fn arm(&self, at: u64) -> bool {
        write(TIMER1 + CONTROL, 0);
        write(TIMER1 + CLEAR, 1);
        if at == u64::MAX {
            return true;
        }
        let (now, due) = (self.cycles(), at.saturating_mul(CYCLES_PER_TICK));
        if due <= now {
            return false;
        }
        write(TIMER1 + RELOAD, u32::MAX);
        write(TIMER1 + VALUE, (due - now).clamp(50, u64::from(u32::MAX)) as u32);
        write(TIMER1 + CONTROL, RUN);
        true
    }

    fn alarm(&self, cs: CriticalSection<'_>) {
        let mut queue = self.queue.borrow_ref_mut(cs);
        let mut next = queue.next_expiration(embassy_time_driver::now());
        while !self.arm(next) {
            next = queue.next_expiration(embassy_time_driver::now());
        }
    }
}

impl embassy_time_driver::Driver for Driver {
    fn now(&self) -> u64 {
        self.cycles() / CYCLES_PER_TICK
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|cs| {
            let earlier = self.queue.borrow_ref_mut(cs).schedule_wake(at, waker);
            if earlier {
                self.alarm(cs);
            }
        });
    }
}

/// # Safety
/// Only the interrupt controller calls it.
#[unsafe(export_name = "TIMER0")]
unsafe extern "C" fn wrapped() {
    critical_section::with(|_| {
        DRIVER.wraps.fetch_add(1, Ordering::Relaxed);
        write(TIMER0 + CLEAR, 1);
    });
}

/// # Safety
/// Only the interrupt controller calls it.
#[unsafe(export_name = "TIMER1")]
unsafe extern "C" fn due() {
    critical_section::with(|cs| {
        write(TIMER1 + CLEAR, 1);
        DRIVER.alarm(cs);
    });
}

/// Starts the clock.
pub fn start() {
    write(TIMER0 + CONTROL, 0);
    write(TIMER0 + RELOAD, u32::MAX);
    write(TIMER0 + VALUE, u32::MAX);
    write(TIMER0 + CONTROL, RUN);
    unmask(Irq::TIMER0);
    unmask(Irq::TIMER1);
}

const WATCHDOG: usize = 0x4000_8000;
const WATCHDOG_LOCK: usize = 0xC00;
const UNLOCK: u32 = 0x1ACC_E551;
/// The counter runs down twice before it resets: 4 s each.
const WATCHDOG_CYCLES: u32 = CLOCK_HZ * 4;

/// Starts the watchdog: a board whose loop stands still for eight seconds starts anew.
pub fn start_watchdog() {
    write(WATCHDOG + WATCHDOG_LOCK, UNLOCK);
    write(WATCHDOG, WATCHDOG_CYCLES);
    // Interrupt and reset; the interrupt stays masked, its second coming resets.
    write(WATCHDOG + CONTROL_OF_WATCHDOG, 0b11);
    write(WATCHDOG + WATCHDOG_LOCK, 0);
}

/// Shows the watchdog that the loop goes on.
pub fn feed_watchdog() {
    write(WATCHDOG + WATCHDOG_LOCK, UNLOCK);
    write(WATCHDOG + CLEAR, 1);
    write(WATCHDOG + WATCHDOG_LOCK, 0);
}
