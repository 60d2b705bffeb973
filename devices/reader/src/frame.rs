//! Frames of the SAM-V module's serial line, 115200 8N1: `AA AA AA 96 69`, length (two bytes, from the next field to the
//! check byte), command and parameter or `00 00` and status, data, exclusive or of everything after the preamble.

const PREAMBLE: [u8; 5] = [0xAA, 0xAA, 0xAA, 0x96, 0x69];
/// The longest answer is a card with fingerprints: 2321 bytes and its status.
const LONGEST: usize = 2_400;

/// The bytes of a command.
pub fn command(command: u8, parameter: u8) -> [u8; 10] {
    let body = [0x00, 0x03, command, parameter];
    let check = body.iter().fold(0, |x, b| x ^ b);
    let [a, b, c, d, e] = PREAMBLE;
    [a, b, c, d, e, 0x00, 0x03, command, parameter, check]
}

/// What the module answered.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// Third status byte: `9F` a card was found, `90` done, `80` no card, `81` not chosen, others are errors.
    pub status: u8,
    /// What follows.
    pub data: Vec<u8>,
}

/// Takes frames out of what comes over the line; noise and broken frames are skipped and counted.
#[derive(Default)]
pub struct Frames {
    kept: Vec<u8>,
    broken: u64,
}

impl Frames {
    /// How many frames were broken: a wrong check byte or an impossible length.
    pub const fn broken(&self) -> u64 {
        self.broken
    }

    /// Forgets half a frame: what comes next belongs to another question.
    pub fn clear(&mut self) {
        self.kept.clear();
    }

    /// Takes bytes; the frames that are whole now.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Reply> {
        self.kept.extend_from_slice(bytes);
        let mut replies = Vec::new();
        loop {
            let Some(at) = self.kept.windows(PREAMBLE.len()).position(|w| w == PREAMBLE) else {
                // The end may be the beginning of a preamble.
                let rest = self.kept.len().saturating_sub(PREAMBLE.len() - 1);
                self.kept.drain(..rest);
                return replies;
            };
            self.kept.drain(..at);
            let (Some(&high), Some(&low)) = (self.kept.get(5), self.kept.get(6)) else {
                return replies;
            };
            let length = usize::from(u16::from_be_bytes([high, low]));
            if !(4..=LONGEST).contains(&length) {
                self.skip();
                continue;
            }
            let Some(frame) = self.kept.get(5..7 + length) else {
                return replies;
            };
            let check = frame.iter().fold(0, |x, b| x ^ b);
            let reply = match frame {
                [_, _, 0, 0, status, data @ .., _] if check == 0 => Some(Reply {
                    status: *status,
                    data: data.to_vec(),
                }),
                _ => None,
            };
            match reply {
                Some(reply) => {
                    self.kept.drain(..7 + length);
                    replies.push(reply);
                }
                None => self.skip(),
            }
        }
    }

    /// Not a frame: a real one may begin behind this preamble.
    fn skip(&mut self) {
        self.broken += 1;
        self.kept.drain(..PREAMBLE.len().min(self.kept.len()));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(status: u8, data: &[u8]) -> Vec<u8> {
        let mut body = u16::try_from(data.len() + 4).unwrap().to_be_bytes().to_vec();
        body.extend([0, 0, status]);
        body.extend(data);
        body.push(body.iter().fold(0, |x, b| x ^ b));
        [PREAMBLE.to_vec(), body].concat()
    }

    #[test]
    fn commands_are_those_of_the_module() {
        assert_eq!(command(0x20, 0x01).last(), Some(&0x22), "find");
        assert_eq!(command(0x20, 0x02).last(), Some(&0x21), "select");
        assert_eq!(command(0x30, 0x01).last(), Some(&0x32), "read");
    }

    proptest! {
        #[test]
        fn a_whole_frame_is_found_behind_any_noise_in_any_pieces(
            noise in prop::collection::vec(any::<u8>(), 0..200), data in prop::collection::vec(any::<u8>(), 0..1300), piece in 1usize..97
        ) {
            let mut frames = Frames::default();
            let mut found = Vec::new();
            // Noise may end in what looks like a long frame's head: filling says that nothing more of it comes.
            let line = [noise, vec![0; LONGEST + 16], answer(0x90, &data)].concat();
            for part in line.chunks(piece) {
                found.extend(frames.take(part));
            }
            prop_assert_eq!(found.iter().filter(|r| r.status == 0x90 && r.data == data).count(), 1);
        }

        #[test]
        fn a_flipped_bit_is_never_taken_for_an_answer(data in prop::collection::vec(any::<u8>(), 1..300), at in 0usize..300, bit in 0u8..8) {
            let mut line = answer(0x90, &data);
            let at = 7 + at % (line.len() - 7);
            line[at] ^= 1 << bit;
            let mut frames = Frames::default();
            prop_assert!(frames.take(&line).is_empty());
            prop_assert_eq!(frames.broken(), 1);
        }
    }
}
