#![no_std]
//! The line between the dock board (录像仪采集坞) and the appliance: `postcard(message) ++ CRC-32C (little endian)`,
//! COBS-encoded, ended by `0x00`. After noise both ends are back in step at the next `0x00`.
//!
//! The appliance asks ([`Down`]), the board answers with the same sequence number and reports events by itself ([`Up`]).
//! An event is repeated on request until acknowledged, so that none is lost while the appliance restarts.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Version of the messages; a board of another version refuses [`Request::Hello`].
pub const VERSION: u8 = 1;
/// Longest message before framing, in bytes.
pub const MAX_MESSAGE: usize = 240;
/// Longest frame: message, CRC, COBS overhead, end byte.
pub const MAX_FRAME: usize = MAX_MESSAGE + 4 + 2 + 1;

const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);

/// Light of a bay.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Led {
    /// Dark: empty.
    #[default]
    Off,
    /// A recorder is in.
    Steady,
    /// Take this one, or: just put in.
    Blink,
}

/// What the board knows of a bay.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Bay {
    /// A recorder is in.
    pub present: bool,
    /// The lock holds it.
    pub locked: bool,
    /// Its light.
    pub led: Led,
    /// Charge current in milliamperes.
    pub charge_ma: u16,
}

/// What the appliance may ask.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Who is there? Names the version of the asking side.
    Hello {
        /// [`VERSION`] of the appliance.
        version: u8,
    },
    /// State of one bay.
    Bay {
        /// From 0.
        bay: u8,
    },
    /// Set a light.
    SetLed {
        /// From 0.
        bay: u8,
        /// To this.
        led: Led,
    },
    /// Close or open a lock.
    SetLock {
        /// From 0.
        bay: u8,
        /// Closed.
        locked: bool,
    },
    /// Repeat the events after this number.
    EventsAfter {
        /// Number of the last event the appliance has.
        event: u32,
    },
}

/// What the board answers.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response {
    /// The board.
    Hello {
        /// Version of the board.
        version: u8,
        /// Number of bays.
        bays: u8,
        /// Different after each start of the board.
        boot: u32,
    },
    /// A bay.
    Bay(Bay),
    /// It is done.
    Done,
    /// It is not done.
    Refused(Refusal),
}

/// Why the board refuses.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The asking side speaks another version.
    Version,
    /// There is no such bay.
    NoSuchBay,
}

/// What the board reports.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A recorder was put in.
    Inserted {
        /// From 0.
        bay: u8,
    },
    /// A recorder was taken out.
    Removed {
        /// From 0.
        bay: u8,
    },
    /// Once a second: the board lives; frames received well and badly since its start.
    Alive {
        /// Good frames.
        good: u32,
        /// Bad frames.
        bad: u32,
    },
}

/// Appliance to board.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Down {
    /// A request.
    Request {
        /// Echoed in the response.
        seq: u16,
        /// What.
        request: Request,
    },
    /// Events up to this number are kept by the appliance.
    Acknowledge {
        /// Event number.
        event: u32,
    },
}

/// Board to appliance.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Up {
    /// A response.
    Response {
        /// Of this request.
        seq: u16,
        /// What.
        response: Response,
    },
    /// An event.
    Event {
        /// From 1 since the start of the board; 0 for [`Event::Alive`], which is not repeated.
        number: u32,
        /// Milliseconds since the start of the board.
        at_ms: u64,
        /// What.
        event: Event,
    },
}

/// Why a frame was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// Longer than [`MAX_FRAME`].
    TooLong,
    /// Not COBS.
    Stuffing,
    /// The checksum does not fit.
    Checksum,
    /// Not a message of this version.
    Message,
}

/// Writes a message as a frame; answers its length.
///
/// # Errors
/// [`FrameError::TooLong`] when it does not fit.
pub fn encode<T: Serialize>(message: &T, frame: &mut [u8; MAX_FRAME]) -> Result<usize, FrameError> {
    let mut plain = [0u8; MAX_MESSAGE + 4];
    let (body, _) = plain.split_at_mut(MAX_MESSAGE);
    let length = postcard::to_slice(message, body)
        .map_err(|_| FrameError::TooLong)?
        .len();
    let (body, rest) = plain.split_at_mut(length);
    let checksum = rest.first_chunk_mut::<4>().ok_or(FrameError::TooLong)?;
    *checksum = CRC.checksum(body).to_le_bytes();
    let plain = plain.get(..length + 4).ok_or(FrameError::TooLong)?;
    let end = cobs::try_encode(plain, frame).map_err(|_| FrameError::TooLong)?;
    *frame.get_mut(end).ok_or(FrameError::TooLong)? = 0;
    Ok(end + 1)
}

/// Takes bytes one by one and gives messages; in step again at the next `0x00` after anything wrong.
#[derive(Debug)]
pub struct Deframer {
    frame: [u8; MAX_FRAME],
    length: usize,
    overlong: bool,
    /// Frames taken.
    pub good: u32,
    /// Frames dropped.
    pub bad: u32,
}

impl Default for Deframer {
    fn default() -> Self {
        Self::new()
    }
}

impl Deframer {
    /// Empty.
    pub const fn new() -> Self {
        Self {
            frame: [0; MAX_FRAME],
            length: 0,
            overlong: false,
            good: 0,
            bad: 0,
        }
    }

    /// Takes one byte; a message, or why a frame was dropped, at the end of a frame.
    pub fn push<T: DeserializeOwned>(&mut self, byte: u8) -> Option<Result<T, FrameError>> {
        if byte != 0 {
            match self.frame.get_mut(self.length) {
                Some(place) => {
                    *place = byte;
                    self.length += 1;
                }
                None => self.overlong = true,
            }
            return None;
        }
        let length = core::mem::take(&mut self.length);
        let overlong = core::mem::take(&mut self.overlong);
        if length == 0 && !overlong {
            return None;
        }
        let message = if overlong {
            Err(FrameError::TooLong)
        } else {
            self.frame.get_mut(..length).map_or(Err(FrameError::TooLong), decode)
        };
        match message {
            Ok(_) => self.good = self.good.wrapping_add(1),
            Err(_) => self.bad = self.bad.wrapping_add(1),
        }
        Some(message)
    }
}

fn decode<T: DeserializeOwned>(frame: &mut [u8]) -> Result<T, FrameError> {
    let length = cobs::decode_in_place(frame).map_err(|_| FrameError::Stuffing)?;
    let plain = frame.get(..length).ok_or(FrameError::Stuffing)?;
    let (body, checksum) = plain.split_last_chunk::<4>().ok_or(FrameError::Checksum)?;
    if CRC.checksum(body).to_le_bytes() != *checksum {
        return Err(FrameError::Checksum);
    }
    match postcard::take_from_bytes(body) {
        Ok((message, [])) => Ok(message),
        _ => Err(FrameError::Message),
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn framed(message: &Down) -> Vec<u8> {
        let mut frame = [0u8; MAX_FRAME];
        let length = encode(message, &mut frame).unwrap();
        frame[..length].to_vec()
    }

    #[test]
    fn frames_are_golden() {
        let hello = framed(&Down::Request {
            seq: 1,
            request: Request::Hello { version: VERSION },
        });
        assert_eq!(hello.last(), Some(&0));
        assert!(!hello[..hello.len() - 1].contains(&0));
        let mut deframer = Deframer::new();
        let got: Vec<_> = hello.iter().filter_map(|b| deframer.push::<Down>(*b)).collect();
        assert_eq!(
            got,
            [Ok(Down::Request {
                seq: 1,
                request: Request::Hello { version: VERSION }
            })]
        );
    }

    proptest! {
        /// Whatever noise comes first, the first frame after an end byte arrives.
        #[test]
        fn a_frame_after_noise_arrives(noise in proptest::collection::vec(any::<u8>(), 0..900), bay in 0u8..10) {
            let mut deframer = Deframer::new();
            for byte in noise {
                let _ = deframer.push::<Down>(byte);
            }
            let _ = deframer.push::<Down>(0);
            let message = Down::Request { seq: 9, request: Request::SetLed { bay, led: Led::Blink } };
            let got: Vec<_> = framed(&message).iter().filter_map(|b| deframer.push::<Down>(*b)).collect();
            prop_assert_eq!(got, [Ok(message)]);
        }

        /// One flipped bit never gives another message.
        #[test]
        fn a_flipped_bit_is_noticed(at in 0usize..64, bit in 0u8..8, seq in any::<u16>()) {
            let message = Down::Request { seq, request: Request::Bay { bay: 3 } };
            let mut bytes = framed(&message);
            let at = at % (bytes.len() - 1);
            bytes[at] ^= 1 << bit;
            let mut deframer = Deframer::new();
            let got: Vec<_> = bytes.iter().filter_map(|b| deframer.push::<Down>(*b)).filter_map(Result::ok).collect();
            prop_assert!(got.is_empty(), "{got:?}");
        }
    }
}
