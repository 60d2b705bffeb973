//! Paper, cover, power, and the status bytes that tell of them.

use serde::Serialize;

/// What a person or the control port can change.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Condition {
    /// ok, near_end, out
    pub(super) paper: String,
    /// Whether the cover is open.
    pub(super) cover_open: bool,
    /// Whether the operator took it off line.
    pub(super) offline: bool,
    /// none, cutter, fatal
    pub(super) error: String,
    /// Whether it has power: without, the port resets every connection.
    pub(super) power: bool,
}

impl Condition {
    pub(super) fn stopped(&self) -> bool {
        self.paper == "out" || self.cover_open || self.offline || self.error != "none" || !self.power
    }

    /// The answer to `DLE EOT n`.
    pub(super) fn status(&self, n: u8) -> u8 {
        let bit = |on: bool, mask: u8| if on { mask } else { 0 };
        let out = self.paper == "out";
        0x12 | match n {
            1 => bit(self.stopped(), 0x08),
            2 => bit(self.cover_open, 0x04) | bit(out, 0x20) | bit(self.error != "none", 0x40),
            3 => bit(self.error == "cutter", 0x08) | bit(self.error == "fatal", 0x20),
            4 => bit(self.paper == "near_end" || out, 0x0c) | bit(out, 0x60),
            _ => 0,
        }
    }

    /// The four bytes of automatic status back.
    pub(super) fn automatic(&self) -> [u8; 4] {
        let bit = |on: bool, mask: u8| if on { mask } else { 0 };
        let out = self.paper == "out";
        [
            0x10 | bit(self.stopped(), 0x08) | bit(self.cover_open, 0x20),
            bit(self.error == "cutter", 0x08) | bit(self.error == "fatal", 0x20),
            bit(self.paper == "near_end" || out, 0x03) | bit(out, 0x0c),
            0x0f,
        ]
    }
}
