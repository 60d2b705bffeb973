//! The board's logic with a flash in memory and bays that follow their drive.

use dock_link::{Deframer, Down, FrameError, MAX_FRAME, Up, encode};
use dock_logic::{BAYS, BayDrive, Drive, Layout, Machine, Sense, Start};
use embassy_futures::block_on;
use embedded_storage_async::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};

pub(crate) struct Memory(Vec<u8>);

impl ErrorType for Memory {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Memory {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        let at = offset as usize;
        bytes.copy_from_slice(&self.0[at..at + bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.len()
    }
}

impl NorFlash for Memory {
    const WRITE_SIZE: usize = 16;
    const ERASE_SIZE: usize = 4096;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        self.0[from as usize..to as usize].fill(0xFF);
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        for (there, byte) in self.0[offset as usize..].iter_mut().zip(bytes) {
            *there &= byte;
        }
        Ok(())
    }
}

/// A board that can be reset.
pub(crate) struct Board {
    machine: Option<Machine<Memory, BAYS>>,
    deframer: Deframer,
    pub(crate) sense: Sense<BAYS>,
    drive: Drive<BAYS>,
    began: u64,
}

impl Board {
    pub(crate) fn new() -> Self {
        let mut board = Self {
            machine: None,
            deframer: Deframer::new(),
            sense: Sense {
                bays: [Default::default(); BAYS],
                button: false,
                supply_mv: 5_000,
            },
            drive: Drive {
                bays: [BayDrive::default(); BAYS],
                buzzer: false,
            },
            began: 0,
        };
        board.start(Memory(vec![0xFF; 0x4_8000]), 0);
        board
    }

    fn start(&mut self, flash: Memory, now: u64) {
        let start = Start {
            board: dock_link::Board::Mps2,
            firmware: Default::default(),
            slot: Default::default(),
            reset: dock_link::Reset::Watchdog,
            layout: Layout::of(dock_link::Board::Mps2),
        };
        self.machine = Some(block_on(Machine::start(flash, start)));
        self.deframer = Deframer::new();
        self.began = now;
    }

    pub(crate) fn reset(&mut self, now: u64) {
        let mut machine = self.machine.take().unwrap();
        let flash = Memory(std::mem::take(&mut machine.flash().0));
        self.start(flash, now);
    }

    pub(crate) fn told(&self) -> Vec<dock_link::Bay> {
        let bays = self.machine.as_ref().unwrap().bays();
        (0..BAYS as u8).map(|bay| bays.bay(bay).unwrap().clone()).collect()
    }

    /// A moment: measures, hears, says. Frames out.
    pub(crate) fn moment(&mut self, bytes: &[u8], now: u64) -> Vec<Vec<u8>> {
        let at = now - self.began;
        let mut said = Vec::new();
        let machine = self.machine.as_mut().unwrap();
        for byte in bytes {
            said.extend(match self.deframer.push::<Down>(*byte) {
                Some(Ok(message)) => block_on(machine.take(message, self.deframer.frames(), at)),
                Some(Err(FrameError::Version(_))) => Some(Up::Hello(machine.hello())),
                _ => None,
            });
        }
        for (sense, drive) in self.sense.bays.iter_mut().zip(self.drive.bays) {
            sense.bolt_closed = drive.close;
            sense.current_ma = if drive.power && sense.switch { 500 } else { 0 };
        }
        self.drive = machine.sense(&self.sense, at);
        while let Some(message) = machine.next_to_say(self.deframer.frames(), at) {
            said.push(message);
        }
        if machine.wants_restart() {
            self.reset(now);
        }
        said.iter().map(frame).collect()
    }
}

pub(crate) fn frame<T: serde::Serialize>(message: &T) -> Vec<u8> {
    let mut frame = [0u8; MAX_FRAME];
    let length = encode(message, &mut frame).unwrap();
    frame[..length].to_vec()
}
