//! The dock on the MPS2 AN386: UART0 is the line to the appliance. The board exists in QEMU, where UART1 stands for the
//! mechanics of the bays: it tells what is measured, and is told how the bays are driven (see `mechanics`).
#![no_std]
#![no_main]

mod mechanics;

use dock_firmware::Line;
use dock_firmware::link::{Board, FirmwareVersion, Reset};
use dock_firmware::logic::{BAYS, Layout, Machine, Start};
use embassy_executor::InterruptExecutor;
use mechanics::Mechanics;
use mps2::dock as dock_firmware;
use mps2::flash::Flash;
use mps2::uart::LINE;
use mps2::{clock, uart, vectors, words};

/// Version of this image, that of its package; the patch may be set by whoever builds it.
const FIRMWARE: FirmwareVersion = match FirmwareVersion::parse(env!("CARGO_PKG_VERSION")) {
    Some(version) => version,
    None => panic!("the package's version is not three numbers"),
};

/// Runs on an interrupt, so that the idle loop can `wfi`: the thread executor's `wfe` only yields in QEMU.
static EXECUTOR: InterruptExecutor = InterruptExecutor::new();

/// # Safety
/// Only the interrupt controller calls it, by the vector table.
#[unsafe(export_name = "SWI31")]
unsafe extern "C" fn run_tasks() {
    // SAFETY: called from the one interrupt the executor was started on.
    unsafe { EXECUTOR.on_interrupt() }
}

struct Serial;

impl Line for Serial {
    async fn read(&mut self, bytes: &mut [u8]) -> usize {
        LINE.read(bytes).await
    }

    async fn write(&mut self, bytes: &[u8]) {
        LINE.write(bytes).await;
    }

    async fn flush(&mut self) {
        LINE.flush().await;
    }
}

#[embassy_executor::task]
async fn dock() {
    let reset = words::with(|words| words.begin(None, Reset::Watchdog));
    let Some(flash) = Flash::open() else {
        panic!("the emulator names no flash");
    };
    let start = Start {
        board: Board::Mps2,
        firmware: FIRMWARE,
        slot: words::slot(),
        reset,
        layout: Layout::of(Board::Mps2),
    };
    let mechanics = Mechanics::start().await;
    let machine = Machine::<_, BAYS>::start(flash, start).await;
    dock_firmware::run(machine, Serial, mechanics).await
}

#[cortex_m_rt::entry]
fn main() -> ! {
    clock::start();
    uart::start();
    let spawner = EXECUTOR.start(vectors::Irq::SWI31);
    // Each task has its own static place and is started once: there is room.
    if let (Ok(dock), Ok(mechanics)) = (dock(), mechanics::listen()) {
        spawner.spawn(dock);
        spawner.spawn(mechanics);
    }
    loop {
        cortex_m::asm::wfi();
    }
}
