//! Bytes into commands, as they arrive, whatever the language.

use super::zpl::Field;
use super::{escpos, tspl, zpl};

/// The language of the printer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tongue {
    /// ESC/POS
    Escpos,
    /// TSPL
    Tspl,
    /// ZPL II
    Zpl,
}

/// What the printer was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// `DLE EOT n`: answered at once, whatever the paper does.
    Status(u8),
    /// `DLE ENQ n`: recover from an error.
    Recover(u8),
    /// `GS r n`, answered in order with what was printed before.
    Ordered(u8),
    /// `GS ( H` with a process id, answered in order.
    Process([u8; 4]),
    /// `GS a n`
    AutoStatus(u8),
    /// `GS I n`
    Identity(u8),
    /// A picture in rows of whole bytes, one bit a dot, 1 is black.
    Raster {
        width_bytes: usize,
        rows: usize,
        data: Vec<u8>,
    },
    /// `GS ( L` function 112: kept until printed.
    StoreGraphics {
        width_bytes: usize,
        rows: usize,
        data: Vec<u8>,
    },
    /// `GS ( L` function 50.
    PrintGraphics,
    /// Characters, GB 18030.
    Text(Vec<u8>),
    /// End of a line.
    Line,
    /// Paper feed in dots.
    Feed(usize),
    /// A cut.
    Cut,
    /// `ESC @`
    Initialise,
    /// The label's picture is emptied.
    Clear,
    /// Rows of the label.
    Tall(usize),
    /// Whether the label's head comes first.
    Upright(bool),
    /// Into the label's picture; 1 is black. `over` replaces what was there.
    Draw {
        x: usize,
        y: usize,
        width_bytes: usize,
        data: Vec<u8>,
        over: bool,
    },
    /// The label's picture is printed.
    Emit { copies: usize },
    /// Sent back in order.
    Say(Vec<u8>),
    /// `<ESC>!` and a letter: answered at once.
    TsplStatus(u8),
    /// `~HS`: answered at once.
    ZplStatus,
    /// Known and without effect on a slip.
    Setting,
    /// Not known; the bytes skipped.
    Unknown(Vec<u8>),
}

/// Bytes received and not yet understood.
#[derive(Debug)]
pub(super) struct Parser {
    tongue: Tongue,
    dpi: usize,
    field: Field,
    held: Vec<u8>,
}

/// What the head of the buffer holds.
pub(super) enum Found {
    Need,
    Take(usize, Command),
}

impl Parser {
    pub(super) fn new(tongue: Tongue, dpi: usize) -> Parser {
        Parser {
            tongue,
            dpi,
            field: Field::default(),
            held: Vec::new(),
        }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The next whole command, if there is one.
    pub(super) fn next(&mut self) -> Option<Command> {
        let found = match self.tongue {
            Tongue::Escpos => escpos::read(&self.held),
            Tongue::Tspl => tspl::read(&self.held, self.dpi),
            Tongue::Zpl => zpl::read(&self.held, &mut self.field),
        };
        match found {
            Found::Take(length, command) => {
                self.held.drain(..length.min(self.held.len()));
                Some(command)
            }
            Found::Need => None,
        }
    }

    /// Bytes that wait for the rest of their command.
    pub(super) fn unfinished(&self) -> usize {
        self.held.len()
    }
}
