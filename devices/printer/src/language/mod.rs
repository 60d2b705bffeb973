//! Printer languages without I/O: a job's bytes, the questions asked around it, and what the answers mean.
//!
//! | | picture | status | fence |
//! |---|---|---|---|
//! | ESC/POS | `GS v 0` bands | `DLE EOT 1,2,4` | `GS r 1` |
//! | TSPL | `BITMAP`, 0 is black | `<ESC>!?`, details `<ESC>!S` | `OUT`, then idle |
//! | ZPL | `^GFA`, runs compressed | `~HS` | no format left, no label left, twice |
//! | PNG | a file, for a print server | of the server | of the server |

pub mod escpos;
pub mod tspl;
pub mod zpl;

use serde::{Deserialize, Serialize};

use crate::raster::Raster;
use crate::sheet::Sheet;
use crate::status::Status;

/// What a printer understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Receipt printers (Epson's, widely cloned).
    #[default]
    Escpos,
    /// Four-inch engines of TSC's kind, the tender's printers.
    Tspl,
    /// Zebra's.
    Zpl,
    /// A picture file, for printers behind IPP that take one.
    Png,
}

/// An answer found in what came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<T> {
    /// What it says.
    pub value: T,
    /// Bytes up to its end.
    pub used: usize,
}

impl Language {
    /// Those that are spoken over a plain line and answer for themselves.
    pub const SPOKEN: [Self; 3] = [Self::Escpos, Self::Tspl, Self::Zpl];

    /// Its name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Escpos => "ESC/POS",
            Self::Tspl => "TSPL",
            Self::Zpl => "ZPL",
            Self::Png => "PNG",
        }
    }

    /// A job as parts, each small enough for a printer's buffer, in the order in which they are sent.
    pub fn encode(self, pages: &[Raster], sheet: &Sheet) -> Vec<Vec<u8>> {
        match self {
            Self::Escpos => pages.iter().flat_map(|p| escpos::encode(p, sheet)).collect(),
            Self::Tspl => pages.iter().flat_map(|p| tspl::encode(p, sheet)).collect(),
            Self::Zpl => pages.iter().map(|p| zpl::encode(p, sheet)).collect(),
            Self::Png => pages.iter().filter_map(|p| p.png(sheet.dpi).ok()).collect(),
        }
    }

    /// Asks for the status, works off the line of what was printed before.
    pub fn question(self) -> Vec<u8> {
        match self {
            Self::Escpos => escpos::QUESTIONS.iter().flat_map(|n| escpos::question(*n)).collect(),
            Self::Tspl => tspl::QUESTION.to_vec(),
            Self::Zpl => zpl::QUESTION.to_vec(),
            Self::Png => Vec::new(),
        }
    }

    /// The status in what came in since the question; `None` while it is not complete.
    pub fn status(self, answer: &[u8]) -> Option<Found<Status>> {
        match self {
            Self::Escpos => escpos::status(answer),
            Self::Tspl => tspl::status(answer),
            Self::Zpl => zpl::status(answer),
            Self::Png => None,
        }
    }

    /// What the printer answers once it has worked off everything before; `None` where only its status tells.
    pub fn fence(self, tag: &str) -> Option<Vec<u8>> {
        match self {
            Self::Escpos => Some(escpos::FENCE.to_vec()),
            Self::Tspl => Some(tspl::fence(tag)),
            Self::Zpl | Self::Png => None,
        }
    }

    /// The answer to the fence.
    pub fn fenced(self, answer: &[u8], tag: &str) -> Option<Found<()>> {
        match self {
            Self::Escpos => escpos::fenced(answer),
            Self::Tspl => tspl::fenced(answer, tag),
            Self::Zpl | Self::Png => None,
        }
    }

    /// What still belongs to the answer to the fence when it was found in these bytes: the end of its line may come later,
    /// and must not be taken for a status.
    pub fn fence_rest(self, answer: &[u8]) -> &'static [u8] {
        match (self, answer.last()) {
            (Self::Tspl, Some(b'\n')) => b"",
            (Self::Tspl, Some(b'\r')) => b"\n",
            (Self::Tspl, _) => b"\r\n",
            _ => b"",
        }
    }

    /// How many answers in a row must say idle before a job counts as printed: a printer that has taken bytes in and
    /// not looked at them yet says so once.
    pub const fn idle_answers(self) -> u8 {
        match self {
            Self::Zpl => 2,
            _ => 1,
        }
    }
}
