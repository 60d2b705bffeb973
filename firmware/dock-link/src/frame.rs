//! Frames: boundaries, checksum, and getting back into step.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::VERSION;

/// Longest message before framing, in bytes.
pub const MAX_MESSAGE: usize = 200;
/// Longest frame: message, CRC, COBS overhead, end byte.
pub const MAX_FRAME: usize = MAX_MESSAGE + 4 + 2 + 1;

const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);

/// Why a frame was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// Longer than [`MAX_FRAME`].
    TooLong,
    /// Not COBS.
    Stuffing,
    /// The checksum does not fit.
    Checksum,
    /// Whole, but not a message of this version.
    Message,
    /// A whole greeting of another version.
    Version(u8),
}

/// Frames seen on a line since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frames {
    /// Taken.
    pub good: u32,
    /// Dropped.
    pub bad: u32,
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
    frames: Frames,
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
            frames: Frames { good: 0, bad: 0 },
        }
    }

    /// Frames seen so far.
    pub fn frames(&self) -> Frames {
        self.frames
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
            Ok(_) => self.frames.good = self.frames.good.wrapping_add(1),
            Err(_) => self.frames.bad = self.frames.bad.wrapping_add(1),
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
    // The greeting is the first message of both directions in every version, and begins with the version.
    if let [0, version, ..] = body
        && *version != VERSION
    {
        return Err(FrameError::Version(*version));
    }
    match postcard::take_from_bytes(body) {
        Ok((message, [])) => Ok(message),
        _ => Err(FrameError::Message),
    }
}
