//! A WebM file of one participant (Matroska subset, <https://www.webmproject.org/docs/container/>): VP8 and Opus, written
//! as it comes. Sizes of segment and clusters are unknown (all ones), so a file cut off by a crash still plays.

use std::io::{self, Write};

const VIDEO: u8 = 1;
const AUDIO: u8 = 2;
/// A cluster's blocks carry 16-bit times.
const CLUSTER_MS: u64 = 5_000;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Track {
    /// VP8.
    Video,
    /// Opus.
    Audio,
}

/// Writes one file.
#[derive(Debug)]
pub struct Film<W: Write> {
    file: W,
    cluster: Option<u64>,
    last_ms: u64,
}

fn element(id: &[u8], body: &[u8]) -> Vec<u8> {
    let mut out = id.to_vec();
    let length = u64::try_from(body.len()).unwrap_or(0);
    // Eight-byte lengths are always valid and keep this short.
    out.extend((length | 1 << 56).to_be_bytes());
    out.extend_from_slice(body);
    out
}

fn number(id: &[u8], value: u64) -> Vec<u8> {
    element(id, &value.to_be_bytes())
}

fn join(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.concat()
}

const UNKNOWN: [u8; 8] = [0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];

fn head() -> Vec<u8> {
    element(
        &[0x1A, 0x45, 0xDF, 0xA3],
        &join(&[
            number(&[0x42, 0x86], 1),
            number(&[0x42, 0xF7], 1),
            number(&[0x42, 0xF2], 4),
            number(&[0x42, 0xF3], 8),
            element(&[0x42, 0x82], b"webm"),
            number(&[0x42, 0x87], 4),
            number(&[0x42, 0x85], 2),
        ]),
    )
}

fn tracks(width: u16, height: u16) -> Vec<u8> {
    let track = |number_: u8, kind: u64, codec: &[u8], more: &[Vec<u8>]| {
        let mut parts = vec![
            number(&[0xD7], number_.into()),
            number(&[0x73, 0xC5], number_.into()),
            number(&[0x83], kind),
            number(&[0x9C], 0),
            element(&[0x86], codec),
        ];
        parts.extend_from_slice(more);
        element(&[0xAE], &join(&parts))
    };
    let size = join(&[number(&[0xB0], width.into()), number(&[0xBA], height.into())]);
    let video = track(VIDEO, 1, b"V_VP8", &[element(&[0xE0], &size)]);
    // OpusHead (RFC 7845 5.1): version 1, two channels, no pre-skip, 48 kHz, no gain, family 0.
    let opus = [
        b"OpusHead".as_slice(),
        &[1, 2, 0, 0],
        &48_000u32.to_le_bytes(),
        &[0, 0, 0],
    ]
    .concat();
    let sound = join(&[element(&[0xB5], &48_000f64.to_be_bytes()), number(&[0x9F], 2)]);
    let audio = track(
        AUDIO,
        2,
        b"A_OPUS",
        &[element(&[0x63, 0xA2], &opus), element(&[0xE1], &sound)],
    );
    element(&[0x16, 0x54, 0xAE, 0x6B], &join(&[video, audio]))
}

impl<W: Write> Film<W> {
    /// Begins a file. The size is only a hint to players; VP8 carries its own.
    ///
    /// # Errors
    /// When writing fails.
    pub fn begin(mut file: W, width: u16, height: u16) -> io::Result<Self> {
        file.write_all(&head())?;
        file.write_all(&[0x18, 0x53, 0x80, 0x67])?;
        file.write_all(&UNKNOWN)?;
        let info = join(&[
            number(&[0x2A, 0xD7, 0xB1], 1_000_000),
            element(&[0x4D, 0x80], b"yiqiao"),
            element(&[0x57, 0x41], b"yiqiao"),
        ]);
        file.write_all(&element(&[0x15, 0x49, 0xA9, 0x66], &info))?;
        file.write_all(&tracks(width, height))?;
        Ok(Self {
            file,
            cluster: None,
            last_ms: 0,
        })
    }

    /// Adds a frame at a time counted from the beginning. Frames of a late track are moved forward to the file's present.
    ///
    /// # Errors
    /// When writing fails.
    pub fn frame(&mut self, track: Track, at_ms: u64, key: bool, data: &[u8]) -> io::Result<()> {
        let at = at_ms.max(self.last_ms);
        self.last_ms = at;
        let fresh = match self.cluster {
            None => true,
            // A cluster that begins with a key frame can be sought to.
            Some(start) => at - start >= CLUSTER_MS && (key || track == Track::Audio) || at - start > 30_000,
        };
        if fresh {
            self.file.write_all(&[0x1F, 0x43, 0xB6, 0x75])?;
            self.file.write_all(&UNKNOWN)?;
            self.file.write_all(&number(&[0xE7], at))?;
            self.cluster = Some(at);
        }
        let offset = i16::try_from(at - self.cluster.unwrap_or(at)).unwrap_or(i16::MAX);
        let number = match track {
            Track::Video => VIDEO,
            Track::Audio => AUDIO,
        };
        let [high, low] = offset.to_be_bytes();
        let flags = if key || track == Track::Audio { 0x80 } else { 0 };
        let mut block = vec![0x80 | number, high, low, flags];
        block.extend_from_slice(data);
        self.file.write_all(&element(&[0xA3], &block))
    }

    /// Milliseconds written so far.
    pub const fn length_ms(&self) -> u64 {
        self.last_ms
    }

    /// Ends the file.
    ///
    /// # Errors
    /// When writing fails.
    pub fn finish(mut self) -> io::Result<W> {
        self.file.flush()?;
        Ok(self.file)
    }
}

/// Whether a VP8 frame is a key frame (RFC 6386 9.1), and its size then.
pub fn key_frame(frame: &[u8]) -> Option<(u16, u16)> {
    let [first, _, _, 0x9D, 0x01, 0x2A, w0, w1, h0, h1, ..] = frame else {
        return None;
    };
    (first & 1 == 0).then(|| {
        (
            u16::from_le_bytes([*w0, *w1]) & 0x3FFF,
            u16::from_le_bytes([*h0, *h1]) & 0x3FFF,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_film_begins_as_webm_and_its_frames_follow_in_clusters() {
        let mut film = Film::begin(Vec::new(), 640, 480).unwrap();
        film.frame(Track::Audio, 0, false, b"opus").unwrap();
        film.frame(Track::Video, 40, true, b"vp8").unwrap();
        film.frame(Track::Video, 6_000, false, b"delta").unwrap();
        film.frame(Track::Video, 6_040, true, b"vp8").unwrap();
        film.frame(Track::Audio, 100, false, b"late").unwrap();
        assert_eq!(film.length_ms(), 6_040);
        let file = film.finish().unwrap();
        assert!(file.starts_with(&[0x1A, 0x45, 0xDF, 0xA3]));
        let clusters = file.windows(4).filter(|w| *w == [0x1F, 0x43, 0xB6, 0x75]).count();
        assert_eq!(
            clusters, 2,
            "one at the beginning, one at the key frame after five seconds"
        );
        assert_eq!(file.windows(4).filter(|w| *w == b"opus" || *w == b"late").count(), 2);
    }

    #[test]
    fn a_key_frame_is_told_from_a_delta_frame() {
        let key = [0x10, 0, 0, 0x9D, 0x01, 0x2A, 0x80, 0x02, 0xE0, 0x01, 0];
        assert_eq!(key_frame(&key), Some((640, 480)));
        assert_eq!(key_frame(&[0x11, 0, 0, 0x9D, 0x01, 0x2A, 0x80, 0x02, 0xE0, 0x01]), None);
        assert_eq!(key_frame(b""), None);
    }
}
