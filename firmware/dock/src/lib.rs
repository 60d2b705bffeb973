#![no_std]
//! The dock's application: one loop that measures, decides, drives and talks, the same on every board. A board brings
//! [`Line`], [`Hardware`] and a flash; nothing in it is worth testing apart.
//!
//! The loop feeds the watchdog, and nothing else does: a board that measures and drives but no longer listens hangs, too.

use dock_link::{Deframer, Down, FrameError, MAX_FRAME, Serial, Up};
use dock_logic::{Drive, Machine, Sense};
use embassy_futures::select::{Either3, select3};
use embassy_time::{Instant, Timer};
use embedded_storage_async::nor_flash::NorFlash;

pub use dock_link as link;
pub use dock_logic as logic;

/// The serial line to the appliance.
#[expect(async_fn_in_trait, reason = "one executor, one thread: no future is sent anywhere")]
pub trait Line {
    /// Reads at least one byte. Given up in the middle, it must not have taken any.
    async fn read(&mut self, bytes: &mut [u8]) -> usize;
    /// Writes all bytes; what cannot be sent is dropped, as on a cut wire.
    async fn write(&mut self, bytes: &[u8]);
    /// Waits until everything has left.
    async fn flush(&mut self);
}

/// Pins and measurements.
#[expect(async_fn_in_trait, reason = "as for Line")]
pub trait Hardware<const N: usize> {
    /// What is measured now.
    fn sense(&mut self) -> Sense<N>;
    /// Drives; called with the same again and again.
    fn drive(&mut self, drive: &Drive<N>);
    /// A recorder that told its number over the contacts of its bay.
    fn told(&mut self) -> Option<(u8, Serial)>;
    /// Waits until a switch, a bolt, the button or the supply watch changes, or a recorder told something.
    async fn changed(&mut self);
    /// Shows the watchdog that the loop goes on.
    fn feed(&mut self);
    /// Leaves last words and starts anew.
    fn restart(&mut self) -> !;
}

/// Runs the dock.
pub async fn run<F: NorFlash, const N: usize>(
    mut machine: Machine<F, N>,
    mut line: impl Line,
    mut hardware: impl Hardware<N>,
) -> ! {
    let mut deframer = Deframer::new();
    let mut bytes = [0u8; 64];
    loop {
        step(&mut machine, &mut line, &mut hardware, &mut deframer, &mut bytes).await;
    }
}

/// One round of the loop.
async fn step<F: NorFlash, const N: usize>(
    machine: &mut Machine<F, N>,
    line: &mut impl Line,
    hardware: &mut impl Hardware<N>,
    deframer: &mut Deframer,
    bytes: &mut [u8],
) {
    hardware.feed();
    let now = now_ms();
    while let Some((bay, serial)) = hardware.told() {
        machine.identified(bay, &serial, now);
    }
    let drive = machine.sense(&hardware.sense(), now);
    hardware.drive(&drive);
    while let Some(message) = machine.next_to_say(deframer.frames(), now) {
        send(line, &message).await;
    }
    if machine.wants_restart() {
        line.flush().await;
        hardware.restart();
    }
    let later = Timer::at(Instant::from_millis(machine.look_again(now)));
    if let Either3::First(count) = select3(line.read(bytes), hardware.changed(), later).await {
        for byte in bytes.iter().take(count) {
            let said = match deframer.push::<Down>(*byte) {
                Some(Ok(message)) => machine.take(message, deframer.frames(), now_ms()).await,
                // Whoever speaks another version is told ours.
                Some(Err(FrameError::Version(_))) => Some(Up::Hello(machine.hello())),
                Some(Err(_)) | None => None,
            };
            if let Some(message) = said {
                send(line, &message).await;
            }
        }
    }
}

fn now_ms() -> u64 {
    Instant::now().as_millis()
}

async fn send(line: &mut impl Line, message: &Up) {
    let mut frame = [0u8; MAX_FRAME];
    if let Ok(length) = dock_link::encode(message, &mut frame) {
        line.write(frame.get(..length).unwrap_or_default()).await;
    }
}
