//! The dock on the STM32L4R5ZI. USART1 is the line to the appliance (through a USB serial adapter on the board). Per bay:
//! switch, bolt end, lock driver, power gate with current sense, red and green light.
#![no_std]
#![no_main]

mod pins;

use dock_firmware::link::{Board, FirmwareVersion, Reset, Serial};
use dock_firmware::logic::{BAYS, Drive, Layout, Machine, Sense, Start};
use dock_firmware::{Hardware, Line};
use embassy_embedded_hal::adapter::BlockingAsync;
use embassy_executor::Spawner;
use embassy_stm32::flash::Flash;
use embassy_stm32::peripherals::{IWDG, USART1};
use embassy_stm32::usart::{BufferedInterruptHandler, BufferedUart, Config};
use embassy_stm32::wdg::IndependentWatchdog;
use embassy_stm32::{Peri, bind_interrupts};
use embassy_time::Timer;
use embedded_io_async::{Read as _, Write as _};
use pins::Pins;
use stm32l4r5::dock as dock_firmware;

/// Version of this image, that of its package.
const FIRMWARE: FirmwareVersion = match FirmwareVersion::parse(env!("CARGO_PKG_VERSION")) {
    Some(version) => version,
    None => panic!("the package's version is not three numbers"),
};
/// A board whose loop stands still for so long starts anew.
const WATCHDOG_US: u32 = 8_000_000;

bind_interrupts!(struct Interrupts {
    USART1 => BufferedInterruptHandler<USART1>;
});

struct Wire(BufferedUart<'static>);

impl Line for Wire {
    async fn read(&mut self, bytes: &mut [u8]) -> usize {
        // A framing error or an overrun is noise: the next frame is whole again.
        self.0.read(bytes).await.unwrap_or(0)
    }

    async fn write(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes).await;
    }

    async fn flush(&mut self) {
        let _ = self.0.flush().await;
    }
}

struct Dock {
    pins: Pins,
    watchdog: IndependentWatchdog<'static, IWDG>,
}

impl Hardware<BAYS> for Dock {
    fn sense(&mut self) -> Sense<BAYS> {
        self.pins.sense()
    }

    fn drive(&mut self, drive: &Drive<BAYS>) {
        self.pins.drive(drive);
    }

    fn told(&mut self) -> Option<(u8, Serial)> {
        // The first board has no contact for it: the appliance reads the number over USB.
        None
    }

    async fn changed(&mut self) {
        // Pins are looked at fifty times a second; sixteen interrupt lines are too few for thirty pins.
        let before = self.pins.levels();
        while self.pins.levels() == before {
            Timer::after_millis(20).await;
        }
    }

    fn feed(&mut self) {
        self.watchdog.pet();
    }

    fn restart(&mut self) -> ! {
        stm32l4r5::restart()
    }
}

#[embassy_executor::task]
async fn dock(line: Wire, hardware: Dock, flash: stm32l4r5::Chip, reset: Reset) {
    let start = Start {
        board: Board::Stm32l4r5,
        firmware: FIRMWARE,
        slot: stm32l4r5::slot(),
        reset,
        layout: Layout::of(Board::Stm32l4r5),
    };
    let machine = Machine::<_, BAYS>::start(flash, start).await;
    dock_firmware::run(machine, line, hardware).await
}

fn watched(iwdg: Peri<'static, IWDG>) -> IndependentWatchdog<'static, IWDG> {
    let mut watchdog = IndependentWatchdog::new(iwdg, WATCHDOG_US);
    watchdog.unleash();
    watchdog
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let cause = stm32l4r5::cause();
    let reset = stm32l4r5::with_words(|words| words.begin(cause, Reset::BrownOut));
    let p = embassy_stm32::init(embassy_stm32::Config::default());
    static mut SENT: [u8; 512] = [0; 512];
    static mut RECEIVED: [u8; 512] = [0; 512];
    // SAFETY: this function runs once, and nothing else names the two buffers.
    let (sent, received) = unsafe { (&mut *(&raw mut SENT), &mut *(&raw mut RECEIVED)) };
    let uart = BufferedUart::new(p.USART1, p.PA10, p.PA9, sent, received, Interrupts, Config::default());
    let Ok(uart) = uart else {
        panic!("the line's settings are wrong")
    };
    let flash = BlockingAsync::new(Flash::new_blocking(p.FLASH));
    let hardware = Dock {
        pins: pins::pins!(p),
        watchdog: watched(p.IWDG),
    };
    // It is started once: there is room.
    if let Ok(dock) = dock(Wire(uart), hardware, flash, reset) {
        spawner.spawn(dock);
    }
}
