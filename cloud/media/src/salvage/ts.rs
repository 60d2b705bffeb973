//! MPEG transport streams (ISO 13818-1): the packets that are packets.

use std::io::{self, Read};

/// Bytes of a packet.
const PACKET: usize = 188;
/// Sync bytes in a row that make a packet believed.
const IN_A_ROW: usize = 3;

/// Packets of a stream, found again after whatever lies between them; of packets of 192 bytes without their times.
pub struct Packets<R> {
    from: R,
    buffer: Vec<u8>,
    at: usize,
    ended: bool,
    /// Distance of packets, while one follows the other.
    step: Option<usize>,
    /// Bytes that belonged to no packet.
    pub skipped: u64,
}

impl<R: Read> Packets<R> {
    /// Reads packets.
    pub const fn new(from: R) -> Self {
        Self {
            from,
            buffer: Vec::new(),
            at: 0,
            ended: false,
            step: None,
            skipped: 0,
        }
    }

    /// The next packets, some hundred kilobytes of them; empty at the end.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn next_bytes(&mut self) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        while out.len() < 256 << 10 {
            if !self.fill()? {
                break;
            }
            let rest = self.buffer.get(self.at..).unwrap_or_default();
            // What follows a packet directly is one; after a gap, three must follow each other.
            let follows = self.step.filter(|_| rest.first() == Some(&0x47));
            self.step = follows.or_else(|| stride(rest, self.ended));
            if let Some(step) = self.step {
                out.extend(rest.get(..PACKET).unwrap_or_default());
                // The time before the next packet is skipped as part of this one.
                self.at += step.min(rest.len());
            } else {
                self.at += 1;
                self.skipped += 1;
            }
        }
        Ok(out)
    }

    /// Whether there is a packet's worth to look at.
    fn fill(&mut self) -> io::Result<bool> {
        let wanted = 192 * (IN_A_ROW + 1);
        if self.buffer.len() - self.at.min(self.buffer.len()) < wanted && !self.ended {
            self.buffer.drain(..self.at.min(self.buffer.len()));
            self.at = 0;
            let mut part = vec![0u8; 256 << 10];
            loop {
                let n = self.from.read(&mut part)?;
                self.buffer.extend(part.get(..n).unwrap_or_default());
                self.ended = n == 0;
                if self.ended || self.buffer.len() >= wanted {
                    break;
                }
            }
        }
        let left = self.buffer.len().saturating_sub(self.at);
        if left < PACKET {
            self.skipped += left as u64;
            self.at = self.buffer.len();
        }
        Ok(left >= PACKET)
    }
}

/// Distance to the next packet when one begins here.
fn stride(rest: &[u8], ended: bool) -> Option<usize> {
    if rest.first() != Some(&0x47) {
        return None;
    }
    [PACKET, 192].into_iter().find(|step| {
        (1..IN_A_ROW).all(|n| match rest.get(n * step) {
            Some(byte) => *byte == 0x47,
            // Past the end nothing contradicts.
            None => ended,
        })
    })
}
