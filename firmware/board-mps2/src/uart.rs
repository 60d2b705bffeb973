//! The board's CMSDK serial ports as byte pipes.

use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::pipe::Pipe;
use embassy_sync::signal::Signal;

use crate::clock::CLOCK_HZ;
use crate::vectors::{Irq, read, unmask, write};

const DATA: usize = 0;
const STATE: usize = 4;
const CONTROL: usize = 8;
const INTERRUPT: usize = 12;
const BAUD: usize = 16;
/// Sender, receiver and both interrupts on.
const ALL_ON: u32 = 0b1111;
/// As above without the receiver's interrupt: the sender of the other end has to wait.
const HOLD: u32 = 0b0111;

/// Line to the appliance.
pub static LINE: Uart = Uart::new(0x4000_4000);
/// Stands for the mechanics of the bays.
pub static PLAYER: Uart = Uart::new(0x4000_5000);

/// A serial port.
pub struct Uart {
    base: usize,
    received: Pipe<CriticalSectionRawMutex, 512>,
    sent: Signal<CriticalSectionRawMutex, ()>,
}

impl Uart {
    const fn new(base: usize) -> Self {
        Self {
            base,
            received: Pipe::new(),
            sent: Signal::new(),
        }
    }

    /// Reads at least one byte.
    pub async fn read(&self, buffer: &mut [u8]) -> usize {
        let count = self.received.read(buffer).await;
        critical_section::with(|_| {
            write(self.base + CONTROL, ALL_ON);
            self.drain();
        });
        count
    }

    /// Writes all bytes.
    pub async fn write(&self, bytes: &[u8]) {
        for byte in bytes {
            loop {
                self.sent.reset();
                if read(self.base + STATE) & 1 == 0 {
                    break;
                }
                self.sent.wait().await;
            }
            write(self.base + DATA, u32::from(*byte));
        }
    }

    /// Waits until the last byte has left.
    pub async fn flush(&self) {
        loop {
            self.sent.reset();
            if read(self.base + STATE) & 1 == 0 {
                return;
            }
            self.sent.wait().await;
        }
    }

    fn drain(&self) {
        write(self.base + INTERRUPT, 2);
        while read(self.base + STATE) & 2 != 0 {
            if self.received.is_full() {
                write(self.base + CONTROL, HOLD);
                return;
            }
            let _ = self.received.try_write(&[read(self.base + DATA) as u8]);
        }
    }

    fn emptied(&self) {
        write(self.base + INTERRUPT, 1);
        self.sent.signal(());
    }
}

macro_rules! handler {
    ($name:literal, $function:ident, $port:ident . $method:ident) => {
        /// # Safety
        /// Only the interrupt controller calls it.
        #[unsafe(export_name = $name)]
        unsafe extern "C" fn $function() {
            $port.$method();
        }
    };
}
handler!("UART0_RX", line_received, LINE.drain);
handler!("UART0_TX", line_sent, LINE.emptied);
handler!("UART1_RX", played, PLAYER.drain);
handler!("UART1_TX", told, PLAYER.emptied);

/// Starts both ports at 115200 baud.
pub fn start() {
    for port in [&LINE, &PLAYER] {
        write(port.base + BAUD, CLOCK_HZ / 115_200);
        write(port.base + CONTROL, ALL_ON);
    }
    for irq in [Irq::UART0_RX, Irq::UART0_TX, Irq::UART1_RX, Irq::UART1_TX] {
        unmask(irq);
    }
}
