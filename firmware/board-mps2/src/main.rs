//! The dock on the MPS2 AN386: UART0 is the line to the appliance; on this board, which exists in QEMU, UART1 stands for
//! the bay switches (`A`…`J` put in, `a`…`j` taken out).
#![no_std]
#![no_main]

mod clock;
mod uart;
mod vectors;

use dock_link::{Deframer, Down, Event, MAX_FRAME, Request, Up};
use dock_logic::{Dock, Numbered};
use embassy_executor::InterruptExecutor;
use embassy_futures::select::{Either3, select3};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use embassy_time::{Duration, Instant, Ticker};
use panic_semihosting as _;
use uart::{LINE, SWITCHES};

/// Debounced edges of the bay switches: bay and presence.
static EDGES: Channel<CriticalSectionRawMutex, (u8, bool), 16> = Channel::new();

/// Runs on an interrupt, so that the idle loop can `wfi`: the thread executor's `wfe` only yields in QEMU.
static EXECUTOR: InterruptExecutor = InterruptExecutor::new();

/// # Safety
/// Only the interrupt controller calls it, by the vector table.
#[unsafe(export_name = "SWI31")]
unsafe extern "C" fn run_tasks() {
    // SAFETY: called from the one interrupt the executor was started on.
    unsafe { EXECUTOR.on_interrupt() }
}

#[embassy_executor::task]
async fn line() {
    let mut dock = Dock::new(clock::boot_number());
    let mut deframer = Deframer::new();
    let mut alive = Ticker::every(Duration::from_secs(1));
    let mut bytes = [0u8; 64];
    loop {
        match select3(LINE.read(&mut bytes), EDGES.receive(), alive.next()).await {
            Either3::First(count) => {
                for byte in bytes.iter().take(count) {
                    if let Some(Ok(message)) = deframer.push::<Down>(*byte) {
                        take(&mut dock, message).await;
                    }
                }
            }
            Either3::Second((bay, present)) => {
                dock.charge(bay, if present { 500 } else { 0 });
                if let Some(event) = dock.switch(bay, present, Instant::now().as_millis()) {
                    tell(event).await;
                }
            }
            Either3::Third(()) => {
                let event = Event::Alive {
                    good: deframer.good,
                    bad: deframer.bad,
                };
                tell(Numbered {
                    number: 0,
                    at_ms: Instant::now().as_millis(),
                    event,
                })
                .await;
            }
        }
    }
}

async fn take(dock: &mut Dock, message: Down) {
    match message {
        Down::Request { seq, request } => {
            send(&Up::Response {
                seq,
                response: dock.answer(request),
            })
            .await;
            if let Request::EventsAfter { event } = request {
                for event in dock.events_after(event) {
                    tell(event).await;
                }
            }
        }
        Down::Acknowledge { event } => dock.acknowledge(event),
    }
}

async fn tell(event: Numbered) {
    send(&Up::Event {
        number: event.number,
        at_ms: event.at_ms,
        event: event.event,
    })
    .await;
}

async fn send(message: &Up) {
    let mut frame = [0u8; MAX_FRAME];
    if let Ok(length) = dock_link::encode(message, &mut frame) {
        LINE.write(frame.get(..length).unwrap_or_default()).await;
    }
}

#[embassy_executor::task]
async fn switches() {
    let mut byte = [0u8; 1];
    loop {
        SWITCHES.read(&mut byte).await;
        match byte[0] {
            bay @ b'A'..=b'J' => EDGES.send((bay - b'A', true)).await,
            bay @ b'a'..=b'j' => EDGES.send((bay - b'a', false)).await,
            _ => {}
        }
    }
}

#[cortex_m_rt::entry]
fn main() -> ! {
    clock::start();
    uart::start();
    let spawner = EXECUTOR.start(vectors::Irq::SWI31);
    // Each task has its own static place and is started once: there is room.
    if let (Ok(line), Ok(switches)) = (line(), switches()) {
        spawner.spawn(line);
        spawner.spawn(switches);
    }
    loop {
        cortex_m::asm::wfi();
    }
}
