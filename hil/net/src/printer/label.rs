//! Labels are drawn whole and then printed (TSPL, ZPL).

use super::engine::{Engine, Waiting, Works};
use super::parse::Command;

impl Engine {
    /// Into the label's picture; what lies outside head or label is lost.
    pub(super) fn draw(&self, works: &mut Works, (x, y): (usize, usize), width_bytes: usize, data: &[u8], over: bool) {
        works.canvas.resize(works.tall * self.width_bytes, 0);
        for (row, bytes) in data.chunks(width_bytes.max(1)).enumerate() {
            for bit in 0..bytes.len() * 8 {
                let column = x + bit;
                if y + row >= works.tall || column >= self.width_bytes * 8 {
                    continue;
                }
                let black = bytes.get(bit / 8).is_some_and(|b| b & (0x80 >> (bit % 8)) != 0);
                if let Some(cell) = works.canvas.get_mut((y + row) * self.width_bytes + column / 8) {
                    let mask = 0x80 >> (column % 8);
                    if black {
                        *cell |= mask;
                    } else if over {
                        *cell &= !mask;
                    }
                }
            }
        }
    }

    /// The label goes to the head, in front of what waits: as a picture and an end, each time.
    pub(super) fn emit(&self, works: &mut Works, next: &Waiting, copies: usize) {
        works.canvas.resize(works.tall * self.width_bytes, 0);
        let mut data = works.canvas.clone();
        if !works.upright {
            data.reverse();
            for byte in &mut data {
                *byte = byte.reverse_bits();
            }
        }
        for _ in 0..copies.min(99) {
            let picture = Command::Raster {
                width_bytes: self.width_bytes,
                rows: works.tall,
                data: data.clone(),
            };
            for command in [Command::Cut, picture] {
                works.queue.push_front(Waiting {
                    command,
                    size: 0,
                    line: next.line.clone(),
                });
            }
        }
    }
}
