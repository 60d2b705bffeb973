//! Last words of a start, left in memory that a reset does not clear, for the next start.

use core::panic::Location;

use dock_link::Reset;

const MAGIC: u32 = 0x59_51_44_4B;
const RUNNING: u32 = 1;
const ASKED: u32 = 2;
const PANIC: u32 = 3;

/// A place in memory that neither a reset nor the program's start clears. Garbage after power was off: it checks itself.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct LastWords {
    magic: u32,
    kind: u32,
    value: u32,
    check: u32,
}

impl LastWords {
    /// As cleared memory.
    pub const fn none() -> Self {
        Self {
            magic: 0,
            kind: 0,
            value: 0,
            check: 0,
        }
    }

    /// This start ends because it was told to.
    pub fn asked(&mut self) {
        self.write(ASKED, 0);
    }

    /// This start ends by a panic at this place.
    pub fn panicked(&mut self, place: Option<&Location<'_>>) {
        self.write(PANIC, place.map_or(0, number_of));
    }

    /// Reads why the former start ended and begins this one. `hardware` is the cause that the chip names, if it does;
    /// `silent` is what a reset without words and without a named cause means on this board.
    pub fn begin(&mut self, hardware: Option<Reset>, silent: Reset) -> Reset {
        let valid = self.magic == MAGIC && self.check == sum(self.kind, self.value);
        let words = match self.kind {
            _ if !valid => None,
            ASKED => Some(Reset::Asked),
            PANIC => Some(Reset::Panic(self.value)),
            _ => None,
        };
        self.write(RUNNING, 0);
        match (words, hardware) {
            (Some(words), _) => words,
            (None, Some(hardware)) => hardware,
            (None, None) if valid => silent,
            (None, None) => Reset::Power,
        }
    }

    fn write(&mut self, kind: u32, value: u32) {
        *self = Self {
            magic: MAGIC,
            kind,
            value,
            check: sum(kind, value),
        };
    }
}

fn sum(kind: u32, value: u32) -> u32 {
    !(MAGIC ^ kind.rotate_left(8) ^ value.rotate_left(16))
}

/// Line in the lower half, checksum of the file's name in the upper.
fn number_of(place: &Location<'_>) -> u32 {
    let name = place
        .file()
        .bytes()
        .fold(0u16, |sum, byte| sum.rotate_left(3) ^ u16::from(byte));
    (u32::from(name) << 16) | (place.line() & 0xFFFF)
}
