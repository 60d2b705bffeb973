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
    /// none, cutter, fatal, hot
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
            3 => bit(self.error == "cutter", 0x08) | bit(self.error == "fatal", 0x20) | bit(self.error == "hot", 0x40),
            4 => bit(self.paper == "near_end" || out, 0x0c) | bit(out, 0x60),
            _ => 0,
        }
    }

    /// The answer to `<ESC>!?`.
    pub(super) fn tspl_byte(&self, busy: bool) -> u8 {
        let bit = |on: bool, mask: u8| if on { mask } else { 0 };
        bit(self.cover_open, 0x01)
            | bit(self.paper == "out", 0x04)
            | bit(self.offline, 0x10)
            | bit(busy && !self.stopped(), 0x20)
            | bit(self.error != "none", 0x80)
    }

    /// The answer to `<ESC>!S`: message, warning, error, error.
    pub(super) fn tspl_details(&self, busy: bool) -> Vec<u8> {
        let bit = |on: bool, mask: u8| if on { 0x40 | mask } else { 0x40 };
        let message = if self.offline {
            b'`'
        } else if self.stopped() {
            b'E'
        } else if busy {
            b'P'
        } else {
            b'@'
        };
        let fault = match self.error.as_str() {
            "hot" => 0x41,
            "cutter" => 0x48,
            "fatal" => 0x44,
            _ => 0x40,
        };
        let trouble = bit(self.paper == "out", 0x01) | bit(self.cover_open, 0x20);
        vec![
            0x02,
            message,
            bit(self.paper == "near_end", 0x01),
            fault,
            trouble,
            0x03,
            b'\r',
            b'\n',
        ]
    }

    /// The answer to `~HS`.
    pub(super) fn zpl_lines(&self, formats: usize, partial: bool) -> Vec<u8> {
        let flag = u8::from;
        format!(
            "\x02030,{},{},0800,{formats:03},0,0,{},000,{},0,{}\x03\r\n\x02000,0,{},0,1,2,4,0,00000000,1,000\x03\r\n\x021234,0\x03\r\n",
            flag(self.paper == "out"),
            flag(self.offline),
            flag(partial),
            flag(matches!(self.error.as_str(), "fatal" | "cutter")),
            flag(self.error == "hot"),
            flag(self.cover_open),
        )
        .into_bytes()
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
