//! ISO 14496-12: what a good file says of its pictures' coding, and where a damaged one has its data.

use std::io::{self, Read, Seek, SeekFrom};

use super::aac::Sound;
use super::{be32, be64, read_at};

/// Boxes of the outermost level looked at.
const MOST_BOXES: usize = 400_000;
/// Largest `moov` read into memory.
const MOST_META: u64 = 64 << 20;

/// The two codings of pictures that recorders use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// ITU-T H.264.
    H264,
    /// ITU-T H.265.
    H265,
}

/// How the pictures of a recorder are coded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coding {
    /// Codec.
    pub codec: Codec,
    /// `avcC` or `hvcC` (ISO 14496-15).
    pub configuration: Vec<u8>,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Nanoseconds from one picture to the next.
    pub frame_ns: u64,
    /// Its sound, where there is one that is understood.
    pub sound: Option<Sound>,
}

impl Coding {
    /// Bytes of the length before each NAL unit.
    pub fn length_size(&self) -> usize {
        let at = match self.codec {
            Codec::H264 => 4,
            Codec::H265 => 21,
        };
        usize::from(self.configuration.get(at).map_or(3, |b| b & 3)) + 1
    }

    /// The parameter sets, as NAL units.
    pub fn sets(&self) -> Vec<Vec<u8>> {
        match self.codec {
            Codec::H264 => self.avc_sets(),
            Codec::H265 => self.hevc_sets(),
        }
        .unwrap_or_default()
    }

    fn avc_sets(&self) -> Option<Vec<Vec<u8>>> {
        let c = &self.configuration;
        let (mut at, mut found) = (5usize, Vec::new());
        for mask in [0x1f, 0xff] {
            let count = c.get(at)? & mask;
            at += 1;
            for _ in 0..count {
                found.push(unit(c, &mut at)?);
            }
        }
        Some(found)
    }

    fn hevc_sets(&self) -> Option<Vec<Vec<u8>>> {
        let c = &self.configuration;
        let (mut at, mut found) = (23usize, Vec::new());
        for _ in 0..*c.get(22)? {
            let count = u16::from_be_bytes([*c.get(at + 1)?, *c.get(at + 2)?]);
            at += 3;
            for _ in 0..count {
                found.push(unit(c, &mut at)?);
            }
        }
        Some(found)
    }

    /// Of H.264 from parameter sets that were found among the pictures.
    pub fn from_avc_sets(sequence: &[u8], picture: &[u8], frame_ns: u64) -> Option<Self> {
        let mut c = vec![1, *sequence.get(1)?, *sequence.get(2)?, *sequence.get(3)?, 0xff, 0xe1];
        c.extend(u16::try_from(sequence.len()).ok()?.to_be_bytes());
        c.extend(sequence);
        c.push(1);
        c.extend(u16::try_from(picture.len()).ok()?.to_be_bytes());
        c.extend(picture);
        Some(Self {
            codec: Codec::H264,
            configuration: c,
            width: 0,
            height: 0,
            frame_ns,
            sound: None,
        })
    }
}

fn unit(bytes: &[u8], at: &mut usize) -> Option<Vec<u8>> {
    let length = usize::from(u16::from_be_bytes([*bytes.get(*at)?, *bytes.get(*at + 1)?]));
    let unit = bytes.get(*at + 2..*at + 2 + length)?.to_vec();
    *at += 2 + length;
    Some(unit)
}

/// Where a file's data and index are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Content of `moov`: begin and end.
    pub moov: Option<(u64, u64)>,
    /// Begin of the first `mdat`'s content.
    pub data: Option<u64>,
    /// Whether there are fragments.
    pub fragments: bool,
}

/// Finds them, as far as one box follows the other.
///
/// # Errors
/// When the file cannot be read.
pub fn layout<F: Read + Seek>(file: &mut F) -> io::Result<Layout> {
    let size = file.seek(SeekFrom::End(0))?;
    let (mut found, mut at) = (Layout::default(), 0u64);
    for _ in 0..MOST_BOXES {
        let mut head = [0u8; 16];
        let got = read_at(file, at, &mut head)?;
        let Some((kind, begin, end)) = head.get(..got).and_then(|h| header(h, at, size)) else {
            break;
        };
        match &kind {
            b"moov" if end <= size => found.moov = Some((begin, end)),
            b"mdat" if found.data.is_none() => found.data = Some(begin),
            b"moof" => found.fragments = true,
            _ => {}
        }
        if end >= size {
            break;
        }
        at = end;
    }
    Ok(found)
}

/// Kind, begin and end of the content of a box at `at`.
fn header(bytes: &[u8], at: u64, size: u64) -> Option<([u8; 4], u64, u64)> {
    let (short, kind) = (be32(bytes, 0)?, bytes.get(4..8)?);
    let kind: [u8; 4] = kind.try_into().ok()?;
    if !kind.iter().all(|b| b.is_ascii_graphic() || matches!(b, b' ' | 0xa9)) {
        return None;
    }
    let (head, length) = match short {
        0 => (8, size.checked_sub(at)?),
        // A recorder writes the length of its data at the end: until then it says 0, or no more than the head.
        1 => (16, be64(bytes, 8)?.max(16)),
        n => (8, u64::from(n)),
    };
    (length >= head).then_some((kind, at + head, at.checked_add(length)?))
}

fn inside(content: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut at = 0u64;
    let size = content.len() as u64;
    std::iter::from_fn(move || {
        let rest = content.get(usize::try_from(at).ok()?..)?;
        let (kind, begin, end) = header(rest, at, size).filter(|(.., end)| *end <= size)?;
        at = end;
        Some((
            kind,
            content.get(usize::try_from(begin).ok()?..usize::try_from(end).ok()?)?,
        ))
    })
}

fn find<'a>(content: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    path.iter().try_fold(content, |content, kind| {
        inside(content).find(|(k, _)| k == *kind).map(|(_, body)| body)
    })
}

/// How the pictures of a good file are coded.
///
/// # Errors
/// When it cannot be read.
pub fn coding<F: Read + Seek>(file: &mut F) -> io::Result<Option<Coding>> {
    let Some((begin, end)) = layout(file)?.moov.filter(|(b, e)| e - b <= MOST_META) else {
        return Ok(None);
    };
    let mut moov = vec![0u8; usize::try_from(end - begin).unwrap_or(0)];
    read_at(file, begin, &mut moov)?;
    let tracks = || inside(&moov).filter(|(kind, _)| kind == b"trak").map(|(_, trak)| trak);
    Ok(tracks().find_map(|trak| track(trak, &moov)).map(|coding| Coding {
        sound: tracks().find_map(sound),
        ..coding
    }))
}

/// How the sound of a track is coded: the configuration in its `esds` (ISO 14496-14, 14496-1 7.2.6).
fn sound(trak: &[u8]) -> Option<Sound> {
    let stbl = find(trak, &[b"mdia", b"minf", b"stbl"])?;
    let entries = find(stbl, &[b"stsd"])?.get(8..)?;
    let (_, entry) = inside(entries).find(|(kind, _)| kind == b"mp4a")?;
    // QuickTime's later versions of the entry have more before their boxes, and one box more around them.
    let boxes = match entry.get(8..10)? {
        [0, 1] => entry.get(44..)?,
        _ => entry.get(28..)?,
    };
    let esds = find(boxes, &[b"esds"]).or_else(|| find(boxes, &[b"wave", b"esds"]))?;
    let stream = descriptor(esds.get(4..)?, 3)?;
    let flags = *stream.get(2)?;
    let mut at = 3;
    if flags & 0x80 != 0 {
        at += 2;
    }
    if flags & 0x40 != 0 {
        at += 1 + usize::from(*stream.get(at)?);
    }
    if flags & 0x20 != 0 {
        at += 2;
    }
    let decoder = descriptor(stream.get(at..)?, 4)?;
    // 0x40: sound as ISO 14496-3 has it.
    let configuration = descriptor(decoder.get(13..).filter(|_| decoder.first() == Some(&0x40))?, 5)?;
    Sound::of(configuration)
}

/// Content of the descriptor with this tag that begins here.
fn descriptor(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    let (mut at, mut length) = (1usize, 0usize);
    if *bytes.first()? != tag {
        return None;
    }
    // Seven bits a byte, four at most.
    for _ in 0..4 {
        let byte = *bytes.get(at)?;
        at += 1;
        length = length << 7 | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    bytes.get(at..at.checked_add(length)?)
}

fn track(trak: &[u8], moov: &[u8]) -> Option<Coding> {
    let mdia = find(trak, &[b"mdia"])?;
    let stbl = find(mdia, &[b"minf", b"stbl"])?;
    // Version, flags and the number of entries come before the first.
    let entries = find(stbl, &[b"stsd"])?.get(8..)?;
    let (codec, entry) = inside(entries).find_map(|(kind, entry)| match &kind {
        b"avc1" | b"avc3" => Some((Codec::H264, entry)),
        b"hvc1" | b"hev1" => Some((Codec::H265, entry)),
        _ => None,
    })?;
    let configuration = match codec {
        Codec::H264 => find(entry.get(78..)?, &[b"avcC"])?,
        Codec::H265 => find(entry.get(78..)?, &[b"hvcC"])?,
    };
    let size = be32(entry, 24)?;
    Some(Coding {
        codec,
        configuration: configuration.to_vec(),
        width: size >> 16,
        height: size & 0xffff,
        frame_ns: frame_ns(mdia, stbl, trak, moov).unwrap_or(40_000_000),
        sound: None,
    })
}

/// Mean time from one picture to the next: `stts`, or what fragments usually have (`trex`).
fn frame_ns(mdia: &[u8], stbl: &[u8], trak: &[u8], moov: &[u8]) -> Option<u64> {
    let mdhd = find(mdia, &[b"mdhd"])?;
    let scale = be32(mdhd, if mdhd.first() == Some(&1) { 20 } else { 12 }).filter(|s| *s > 0)?;
    let (mut count, mut units) = (0u64, 0u64);
    if let Some(stts) = find(stbl, &[b"stts"]) {
        for entry in stts.get(8..).unwrap_or_default().chunks_exact(8) {
            let (n, each) = (u64::from(be32(entry, 0)?), u64::from(be32(entry, 4)?));
            count = count.saturating_add(n);
            units = units.saturating_add(n.saturating_mul(each));
        }
    }
    if count == 0 {
        let tkhd = find(trak, &[b"tkhd"])?;
        let id = be32(tkhd, if tkhd.first() == Some(&1) { 20 } else { 12 })?;
        let extends = inside(find(moov, &[b"mvex"])?);
        let trex = extends
            .filter(|(kind, _)| kind == b"trex")
            .find(|(_, trex)| be32(trex, 4) == Some(id))?;
        (count, units) = (1, u64::from(be32(trex.1, 12)?));
    }
    let ns = u128::from(units) * 1_000_000_000 / u128::from(scale) / u128::from(count.max(1));
    // From a picture in ten seconds to 240 a second.
    u64::try_from(ns)
        .ok()
        .filter(|ns| (4_000_000..10_000_000_000).contains(ns))
}
