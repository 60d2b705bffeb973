//! MLLP framing: `0x0B` … `0x1C 0x0D`. Bytes between frames are counted and dropped; several frames may arrive in one
//! read, and one frame in many.

use bytes::{Buf, Bytes, BytesMut};

const START: u8 = 0x0B;
const END: u8 = 0x1C;
const CR: u8 = 0x0D;

/// Why the stream cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A frame is larger than allowed.
    #[error("frame larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
}

/// Cuts a byte stream into frames.
#[derive(Debug)]
pub struct Framer {
    buffer: BytesMut,
    scanned: usize,
    inside: bool,
    limit: usize,
    /// Bytes seen outside any frame.
    pub noise: u64,
}

impl Framer {
    /// Frames up to `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            scanned: 0,
            inside: false,
            limit,
            noise: 0,
        }
    }

    /// Takes bytes from the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame's content, if one has arrived. A start byte inside a frame restarts it (the sender was
    /// cut off and began anew), as no HL7 text holds that byte.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`]; the stream is useless afterwards.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        loop {
            if !self.inside {
                let at = self.buffer.iter().position(|b| *b == START);
                let skipped = at.unwrap_or(self.buffer.len());
                self.noise += u64::try_from(skipped).unwrap_or(0);
                self.buffer.advance(skipped);
                if at.is_none() {
                    return Ok(None);
                }
                self.buffer.advance(1);
                self.inside = true;
                self.scanned = 0;
            }
            let found = self
                .buffer
                .get(self.scanned..)
                .unwrap_or_default()
                .iter()
                .position(|b| matches!(*b, START | END))
                .map(|i| i + self.scanned);
            let Some(at) = found else {
                self.scanned = self.buffer.len();
                return self.waiting();
            };
            if self.buffer.get(at) == Some(&START) {
                self.noise += u64::try_from(at + 1).unwrap_or(0);
                self.buffer.advance(at + 1);
                self.scanned = 0;
                continue;
            }
            match self.buffer.get(at + 1) {
                None => {
                    self.scanned = at;
                    return self.waiting();
                }
                Some(&CR) => {
                    let content = self.buffer.split_to(at).freeze();
                    self.buffer.advance(2);
                    self.inside = false;
                    if content.len() > self.limit {
                        return Err(FrameError::TooLarge { limit: self.limit });
                    }
                    return Ok(Some(content));
                }
                // A lone 0x1C is content (old senders put it into text).
                Some(_) => self.scanned = at + 1,
            }
        }
    }

    fn waiting(&self) -> Result<Option<Bytes>, FrameError> {
        if self.buffer.len() > self.limit {
            return Err(FrameError::TooLarge { limit: self.limit });
        }
        Ok(None)
    }
}

/// Content as a frame.
pub fn frame(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 3);
    out.push(START);
    out.extend_from_slice(content);
    out.extend_from_slice(&[END, CR]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(framer: &mut Framer) -> Vec<Bytes> {
        std::iter::from_fn(|| framer.next_frame().unwrap()).collect()
    }

    proptest! {
        /// Whatever the cuts between reads, the same frames come out, and noise between them changes nothing.
        #[test]
        fn frames_survive_any_cut(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>().prop_filter("framing", |b| !matches!(*b, START | END)), 0..40), 0..6),
            noise in prop::collection::vec(any::<u8>().prop_filter("start", |b| *b != START), 0..5),
            cut in 1usize..9,
        ) {
            let mut stream = Vec::new();
            for m in &messages {
                stream.extend_from_slice(&noise);
                stream.extend_from_slice(&frame(m));
            }
            let mut framer = Framer::new(1000);
            let mut seen = Vec::new();
            for part in stream.chunks(cut) {
                framer.push(part);
                seen.extend(all(&mut framer));
            }
            prop_assert_eq!(seen, messages.iter().map(|m| Bytes::copy_from_slice(m)).collect::<Vec<_>>());
            prop_assert_eq!(framer.noise, (noise.len() * messages.len()) as u64);
        }

        /// Arbitrary bytes never panic, and memory stays within the limit.
        #[test]
        fn any_bytes_are_survived(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..20)) {
            let mut framer = Framer::new(64);
            for part in parts {
                framer.push(&part);
                while let Ok(Some(f)) = framer.next_frame() {
                    prop_assert!(f.len() <= 64);
                }
            }
        }
    }

    #[test]
    fn an_endless_frame_is_refused_and_a_restarted_one_is_read() {
        let mut framer = Framer::new(8);
        framer.push(b"\x0B123456789");
        assert_eq!(framer.next_frame(), Err(FrameError::TooLarge { limit: 8 }));
        let mut framer = Framer::new(80);
        framer.push(b"\x0BMSH|cut\x0BMSH|whole\x1C\x0D");
        assert_eq!(framer.next_frame().unwrap().unwrap().as_ref(), b"MSH|whole");
    }
}
