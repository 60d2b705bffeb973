//! Sound of a damaged MP4: AAC access units (ISO 14496-3, 4.4.2.1 `raw_data_block`).
//!
//! They stand in the data without mark or length, so where one ends is told by reading it: a unit is believed when it begins
//! as one of its recorder does, ends in the terminator with zeros up to the byte, can be decoded whole, and is followed by
//! another such unit, by a picture, or by nothing. No byte is changed.

use std::panic::{AssertUnwindSafe, catch_unwind};

use symphonia_codec_aac::AacDecoder;
use symphonia_core::codecs::audio::well_known::CODEC_ID_AAC;
use symphonia_core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia_core::packet::PacketRef;
use symphonia_core::units::{Duration, Timestamp};

/// Samples of a unit; recorders use no other length.
const SAMPLES: u64 = 1024;
/// Most bytes of a unit for each channel (ISO 14496-3, 4.5.3).
const MOST: usize = 768;
/// Fewest bytes of a unit: silence.
const LEAST: usize = 4;

/// How the sound of a recorder is coded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sound {
    /// `AudioSpecificConfig` (ISO 14496-3, 1.6.2.1).
    pub configuration: Vec<u8>,
    /// Samples a second.
    pub rate: u32,
    /// Channels.
    pub channels: u32,
}

impl Sound {
    /// From the configuration that a good file has; none for what is not plain AAC of one or two channels.
    pub fn of(configuration: &[u8]) -> Option<Self> {
        const RATES: [u32; 13] = [
            96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
        ];
        let mut bits = Plain::new(configuration);
        let kind = bits.take(5)?;
        let rate = match bits.take(4)? {
            15 => bits.take(24)?,
            at => *RATES.get(usize::try_from(at).ok()?)?,
        };
        let channels = bits.take(4)?;
        let own = Self {
            configuration: configuration.to_vec(),
            rate,
            channels,
        };
        (kind == 2 && rate > 0 && matches!(channels, 1 | 2)).then_some(own)
    }

    /// Nanoseconds of so many units.
    pub fn lasts_ns(&self, units: u64) -> u64 {
        let ns = u128::from(units) * u128::from(SAMPLES) * 1_000_000_000 / u128::from(self.rate.max(1));
        u64::try_from(ns).unwrap_or(u64::MAX)
    }
}

/// Tells where units end.
pub(super) struct Units {
    decoder: AacDecoder,
    channels: u32,
}

impl Units {
    pub(super) fn new(sound: &Sound) -> Option<Self> {
        let mut parameters = AudioCodecParameters::new();
        parameters
            .for_codec(CODEC_ID_AAC)
            .with_extra_data(sound.configuration.clone().into_boxed_slice());
        let decoder = AacDecoder::try_new(&parameters, &AudioDecoderOptions::default()).ok()?;
        Some(Self {
            decoder,
            channels: sound.channels,
        })
    }

    /// Bytes that are needed to judge a unit and the one after it.
    pub(super) fn window(&self) -> usize {
        2 * self.most() + super::nal::HEAD
    }

    fn most(&self) -> usize {
        MOST * self.channels as usize
    }

    /// Bytes of the unit that begins with these; `last` when nothing follows them. `picture` tells whether a picture begins
    /// with some bytes.
    pub(super) fn length(&mut self, bytes: &[u8], last: bool, picture: &dyn Fn(&[u8]) -> bool) -> Option<usize> {
        self.end(bytes, last, picture, true)
    }

    /// The first place where a unit may end; with `look_on`, only where another follows that has an end, too.
    fn end(&mut self, bytes: &[u8], last: bool, picture: &dyn Fn(&[u8]) -> bool, look_on: bool) -> Option<usize> {
        let (channels, most) = (self.channels, self.most());
        if !opens(bytes, channels) {
            return None;
        }
        (LEAST..=most.min(bytes.len())).find(|n| {
            let (unit, rest) = bytes.split_at(*n);
            let over = (rest.is_empty() && last) || picture(rest);
            // What was being written when the end came has none.
            let cut = last && rest.len() < most;
            terminated(unit)
                && (over || opens(rest, channels))
                && self.decodes(unit)
                && (over || cut || !look_on || self.end(rest, last, picture, false).is_some())
        })
    }

    /// Whether these bytes hold a whole unit.
    fn decodes(&mut self, unit: &[u8]) -> bool {
        let packet = PacketRef::new(0, Timestamp::new(0), Duration::new(SAMPLES), unit);
        // What lies here may be anything, and its reader is not ours.
        catch_unwind(AssertUnwindSafe(|| self.decoder.decode_ref(&packet).is_ok())).unwrap_or(false)
    }
}

/// Whether a unit of so many channels may begin here: its first element, apart from filling and data, is theirs.
fn opens(bytes: &[u8], channels: u32) -> bool {
    let mut bits = Plain::new(bytes);
    let mut first = || {
        // Encoders put their name before the first unit's sound.
        for _ in 0..3 {
            let element = bits.take(3)?;
            match element {
                6 => {
                    let mut count = bits.take(4)?;
                    if count == 15 {
                        count = (count + bits.take(8)?).checked_sub(1)?;
                    }
                    bits.skip(count * 8);
                }
                // One or two channels, with tag 0: of a single stream there is one.
                0 | 1 => return Some(bits.take(4)? == 0 && element + 1 == channels),
                _ => return Some(false),
            }
        }
        None
    };
    first().unwrap_or(false)
}

/// Whether the last bits are the terminator, 111, and zeros up to the byte.
fn terminated(unit: &[u8]) -> bool {
    let [.., before, last] = unit else { return false };
    let both = u16::from_be_bytes([*before, *last]);
    *last != 0 && (both >> both.trailing_zeros()) & 7 == 7
}

/// Bits as they stand.
struct Plain<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Plain<'a> {
    const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn take(&mut self, n: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..n {
            let byte = *self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    const fn skip(&mut self, n: u32) {
        self.at = self.at.saturating_add(n as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_tells_rate_and_channels_and_strange_ones_are_left_alone() {
        let told = |bytes: &[u8]| Sound::of(bytes).map(|s| (s.rate, s.channels));
        assert_eq!(told(&[0x12, 0x08]), Some((44_100, 1)));
        assert_eq!(told(&[0x11, 0x90]), Some((48_000, 2)));
        // 5.1, another object type, an index that does not exist, nothing.
        for strange in [&[0x11, 0xb0][..], &[0x2b, 0x08], &[0x16, 0x88], &[]] {
            assert_eq!(told(strange), None, "{strange:?}");
        }
        let sound = Sound::of(&[0x11, 0x88]).unwrap();
        assert_eq!(sound.lasts_ns(46_875), 1_000_000_000_000);
    }

    #[test]
    fn a_unit_ends_in_its_terminator() {
        for (unit, wanted) in [
            (&[0u8, 0x0e][..], true),
            (&[1, 0xc0], true),
            (&[0, 0xe0], true),
            (&[0, 0], false),
            (&[7, 0], false),
            (&[0, 0xd0], false),
            (&[7], false),
        ] {
            assert_eq!(terminated(unit), wanted, "{unit:?}");
        }
    }
}
