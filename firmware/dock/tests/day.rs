//! The application's loop under simulated time: a day within a second, the watchdog fed all along.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "what a test cannot set up fails the test"
)]

use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use dock_firmware::link::{Board, Deframer, Down, Event, Reset, Serial, Up, VERSION, encode};
use dock_firmware::logic::{BAYS, Drive, Layout, Machine, Sense, Start};
use dock_firmware::{Hardware, Line};
use embassy_time::{Duration, MockDriver};
use embedded_storage_async::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};

/// Longest pause that the watchdog of a board allows.
const WATCHDOG_MS: u64 = 8_000;

#[derive(Default)]
struct Around {
    now: u64,
    switch: bool,
    to_board: Vec<u8>,
    said: Vec<u8>,
    fed: u64,
    longest_hunger: u64,
    changed: bool,
}

struct Wire(Rc<RefCell<Around>>);

impl Line for Wire {
    async fn read(&mut self, bytes: &mut [u8]) -> usize {
        std::future::poll_fn(|_| {
            let mut around = self.0.borrow_mut();
            let count = around.to_board.len().min(bytes.len());
            if count == 0 {
                return Poll::Pending;
            }
            for (place, byte) in bytes.iter_mut().zip(around.to_board.drain(..count)) {
                *place = byte;
            }
            Poll::Ready(count)
        })
        .await
    }

    async fn write(&mut self, bytes: &[u8]) {
        self.0.borrow_mut().said.extend_from_slice(bytes);
    }

    async fn flush(&mut self) {}
}

struct Bench(Rc<RefCell<Around>>, Drive<BAYS>);

impl Hardware<BAYS> for Bench {
    fn sense(&mut self) -> Sense<BAYS> {
        let mut sense = Sense {
            bays: [Default::default(); BAYS],
            button: false,
            supply_mv: 5_000,
        };
        for (bay, drive) in sense.bays.iter_mut().zip(self.1.bays) {
            bay.bolt_closed = drive.close;
        }
        sense.bays[4].switch = self.0.borrow().switch;
        sense
    }

    fn drive(&mut self, drive: &Drive<BAYS>) {
        self.1 = *drive;
    }

    fn told(&mut self) -> Option<(u8, Serial)> {
        None
    }

    async fn changed(&mut self) {
        std::future::poll_fn(|_| match std::mem::take(&mut self.0.borrow_mut().changed) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }

    fn feed(&mut self) {
        let mut around = self.0.borrow_mut();
        around.longest_hunger = around.longest_hunger.max(around.now - around.fed);
        around.fed = around.now;
    }

    fn restart(&mut self) -> ! {
        panic!("nobody asked for it")
    }
}

/// A flash that is always new.
struct Blank;

impl ErrorType for Blank {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Blank {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, _: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        bytes.fill(0xFF);
        Ok(())
    }

    fn capacity(&self) -> usize {
        0x4_8000
    }
}

impl NorFlash for Blank {
    const WRITE_SIZE: usize = 16;
    const ERASE_SIZE: usize = 4096;

    async fn erase(&mut self, _: u32, _: u32) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn write(&mut self, _: u32, _: &[u8]) -> Result<(), Self::Error> {
        Ok(())
    }
}

fn frame(message: &Down) -> Vec<u8> {
    let mut frame = [0u8; dock_firmware::link::MAX_FRAME];
    let length = encode(message, &mut frame).unwrap();
    frame[..length].to_vec()
}

#[test]
fn a_day_of_the_loop() {
    let around = Rc::new(RefCell::new(Around::default()));
    let (wire, bench) = (Wire(Rc::clone(&around)), Rc::clone(&around));
    let drive = Drive {
        bays: [Default::default(); BAYS],
        buzzer: false,
    };
    let mut dock = pin!(async move {
        let start = Start {
            board: Board::Mps2,
            firmware: Default::default(),
            slot: Default::default(),
            reset: Reset::Power,
            layout: Layout::of(Board::Mps2),
        };
        let machine = Machine::<_, BAYS>::start(Blank, start).await;
        dock_firmware::run(machine, wire, Bench(bench, drive)).await
    });
    let mut context = Context::from_waker(Waker::noop());
    around.borrow_mut().to_board = frame(&Down::Hello {
        version: VERSION,
        session: 1,
    });
    let mut deframer = Deframer::new();
    let (mut alive, mut put_in, mut last, mut beats) = (0u64, 0u64, 0u32, Vec::new());
    for quarter in 1..=86_400u64 * 4 {
        MockDriver::get().advance(Duration::from_millis(250));
        around.borrow_mut().now = quarter * 250;
        if quarter % 40 == 0 {
            let mut around = around.borrow_mut();
            around.switch = quarter % 80 == 0;
            around.changed = true;
        }
        assert!(dock.as_mut().poll(&mut context).is_pending());
        let said = std::mem::take(&mut around.borrow_mut().said);
        for byte in said {
            match deframer.push::<Up>(byte) {
                Some(Ok(Up::Alive(_))) => {
                    alive += 1;
                    beats.push(quarter * 250);
                }
                Some(Ok(Up::Event { number, event, .. })) => {
                    assert_eq!(number, last + 1, "in order, none missing");
                    last = number;
                    put_in += u64::from(matches!(event, Event::Inserted { .. }));
                    around
                        .borrow_mut()
                        .to_board
                        .extend(frame(&Down::Acknowledge { event: number }));
                }
                Some(other) => other.map(|_| ()).unwrap(),
                None => {}
            }
        }
    }
    // Once a second, at most one late by a look at the end.
    assert!((86_398..=86_401).contains(&alive), "{alive}");
    assert!(
        beats
            .windows(2)
            .all(|pair| (750..=1_250).contains(&(pair[1] - pair[0])))
    );
    // The last one is put in with the last look, and has not rested.
    assert_eq!(put_in, 86_400 / 20 - 1);
    assert_eq!(deframer.frames().bad, 0);
    assert!(
        around.borrow().longest_hunger <= 1_250,
        "{}",
        around.borrow().longest_hunger
    );
    const { assert!(1_250 < WATCHDOG_MS) }
}
