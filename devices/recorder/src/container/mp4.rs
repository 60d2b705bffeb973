//! ISO 14496-12: boxes, `moov/mvhd`, and for fragmented files the times of their fragments.

use std::io::{self, Read, Seek};

use super::{Condition, Container, Facts, be32, be64, millis, read_at};

/// Boxes looked at; a file of an hour in fragments of a second has some 7,200.
const MOST_BOXES: usize = 400_000;
/// Largest `moov` or `moof` read into memory.
const MOST_META: u64 = 16 << 20;
/// From 1904 to 1970.
const EPOCH: i64 = 2_082_844_800;
/// The end of the year 9999: what lies beyond is no time but damage.
const LATEST: i64 = 253_402_300_799;

/// A box: its kind, where its content begins and where it ends.
struct Span {
    kind: [u8; 4],
    content: u64,
    end: u64,
}

pub(super) fn probe<F: Read + Seek>(file: &mut F, size: u64) -> io::Result<Facts> {
    let mut facts = Facts::of(Container::Mp4, Condition::Damaged);
    let (mut at, mut cut, mut media) = (0u64, false, false);
    let mut moov: Option<Moov> = None;
    let mut fragments = 0u64;
    let mut ends = [0u64; 8];
    for _ in 0..MOST_BOXES {
        if at >= size {
            break;
        }
        let Some(span) = header(file, at, size)? else {
            // Zeros or noise where a box should begin: space the recorder had reserved and did not use.
            cut = true;
            break;
        };
        if span.end > size {
            cut = true;
        }
        match &span.kind {
            b"mdat" => media = true,
            b"moov" | b"moof" if span.end <= size && span.end - span.content <= MOST_META => {
                let mut content = vec![0u8; usize::try_from(span.end - span.content).unwrap_or(0)];
                read_at(file, span.content, &mut content)?;
                if &span.kind == b"moov" {
                    moov = Some(Moov::read(&content));
                } else if let Some(moov) = &moov {
                    fragments += 1;
                    moov.fragment(&content, &mut ends);
                }
            }
            _ => {}
        }
        at = span.end;
    }
    let Some(moov) = moov else {
        return Ok(facts);
    };
    facts.created_at = moov.created_at;
    facts.condition = match (media, cut) {
        (true, false) => Condition::Complete,
        (true, true) => Condition::Truncated,
        (false, _) => Condition::Damaged,
    };
    let last = |(track, end): (&Track, &u64)| millis(*end, u64::from(track.timescale)).unwrap_or(0);
    facts.duration_ms = if fragments > 0 {
        moov.tracks.iter().zip(&ends).map(last).max()
    } else {
        millis(moov.duration, u64::from(moov.timescale))
    };
    if facts.duration_ms == Some(0) && fragments == 0 {
        facts.duration_ms = None;
    }
    Ok(facts)
}

fn header<F: Read + Seek>(file: &mut F, at: u64, size: u64) -> io::Result<Option<Span>> {
    let mut bytes = [0u8; 16];
    let got = read_at(file, at, &mut bytes)?;
    let bytes = bytes.get(..got).unwrap_or_default();
    Ok(span(bytes, at, size))
}

/// The box that begins with these bytes at `at` of `size`.
fn span(bytes: &[u8], at: u64, size: u64) -> Option<Span> {
    let (short, kind) = (be32(bytes, 0)?, bytes.get(4..8)?);
    let kind: [u8; 4] = kind.try_into().ok()?;
    if !kind.iter().all(|b| b.is_ascii_graphic() || matches!(b, b' ' | 0xa9)) {
        return None;
    }
    let (head, length) = match short {
        0 => (8, size - at),
        1 => (16, be64(bytes, 8)?),
        n => (8, u64::from(n)),
    };
    if length < head {
        return None;
    }
    Some(Span {
        kind,
        content: at + head,
        end: at.checked_add(length)?,
    })
}

/// The boxes within some content.
fn inside(content: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut at = 0u64;
    let size = content.len() as u64;
    std::iter::from_fn(move || {
        let rest = content.get(usize::try_from(at).ok()?..)?;
        let span = span(rest, at, size).filter(|s| s.end <= size)?;
        at = span.end;
        let body = content.get(usize::try_from(span.content).ok()?..usize::try_from(span.end).ok()?)?;
        Some((span.kind, body))
    })
}

fn find<'a>(content: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    inside(content).find(|(k, _)| k == kind).map(|(_, body)| body)
}

struct Track {
    id: u32,
    timescale: u32,
    /// Length of a sample where a fragment does not say.
    usual: u32,
}

struct Moov {
    created_at: Option<i64>,
    timescale: u32,
    duration: u64,
    tracks: Vec<Track>,
}

impl Moov {
    fn read(content: &[u8]) -> Self {
        let (created, timescale, duration) = find(content, b"mvhd").and_then(times).unwrap_or_default();
        let created = i64::try_from(created).unwrap_or(0);
        let mut tracks: Vec<Track> = inside(content)
            .filter(|(kind, _)| kind == b"trak")
            .filter_map(|(_, trak)| {
                let header = find(trak, b"tkhd")?;
                let wide = header.first() == Some(&1);
                let id = be32(header, if wide { 20 } else { 12 })?;
                let (_, timescale, _) = find(find(trak, b"mdia")?, b"mdhd").and_then(times)?;
                Some(Track {
                    id,
                    timescale,
                    usual: 0,
                })
            })
            .take(8)
            .collect();
        let extends = find(content, b"mvex").into_iter().flat_map(inside);
        for (_, trex) in extends.filter(|(kind, _)| kind == b"trex") {
            let (id, usual) = (be32(trex, 4), be32(trex, 12).unwrap_or(0));
            for track in tracks.iter_mut().filter(|t| Some(t.id) == id) {
                track.usual = usual;
            }
        }
        Self {
            // A recorder without a clock writes 0: no time.
            created_at: (created > EPOCH && created - EPOCH <= LATEST).then_some(created - EPOCH),
            timescale,
            duration,
            tracks,
        }
    }

    /// Moves each track's end to that of a fragment.
    fn fragment(&self, content: &[u8], ends: &mut [u64; 8]) {
        for (_, traf) in inside(content).filter(|(kind, _)| kind == b"traf") {
            let Some(tfhd) = find(traf, b"tfhd") else { continue };
            let id = be32(tfhd, 4);
            let Some((track, end)) = self.tracks.iter().zip(ends.iter_mut()).find(|(t, _)| Some(t.id) == id) else {
                continue;
            };
            let flags = be32(tfhd, 0).unwrap_or(0) & 0x00ff_ffff;
            let at = 8 + if flags & 1 != 0 { 8 } else { 0 } + if flags & 2 != 0 { 4 } else { 0 };
            let usual = if flags & 8 != 0 {
                be32(tfhd, at).unwrap_or(0)
            } else {
                track.usual
            };
            let begin = find(traf, b"tfdt").and_then(|tfdt| match tfdt.first() {
                Some(1) => be64(tfdt, 4),
                _ => be32(tfdt, 4).map(u64::from),
            });
            let mut position = begin.unwrap_or(*end);
            for (_, trun) in inside(traf).filter(|(kind, _)| kind == b"trun") {
                position = position.saturating_add(run(trun, usual));
            }
            *end = (*end).max(position);
        }
    }
}

/// Length of a run of samples in the track's units.
fn run(trun: &[u8], usual: u32) -> u64 {
    let (flags, count) = (be32(trun, 0).unwrap_or(0) & 0x00ff_ffff, be32(trun, 4).unwrap_or(0));
    if flags & 0x100 == 0 {
        return u64::from(count).saturating_mul(u64::from(usual));
    }
    let begin = 8 + if flags & 1 != 0 { 4 } else { 0 } + if flags & 4 != 0 { 4 } else { 0 };
    let each = 4 * usize::try_from((flags & 0xf00).count_ones()).unwrap_or(1);
    let samples = trun.get(begin..).unwrap_or_default().chunks_exact(each);
    let lengths = samples
        .take(usize::try_from(count).unwrap_or(0))
        .filter_map(|s| be32(s, 0));
    lengths.map(u64::from).sum()
}

/// Creation time, timescale and duration of an `mvhd` or `mdhd`.
fn times(content: &[u8]) -> Option<(u64, u32, u64)> {
    if content.first() == Some(&1) {
        Some((be64(content, 4)?, be32(content, 20)?, be64(content, 24)?))
    } else {
        let duration = be32(content, 16)?;
        let known = if duration == u32::MAX { 0 } else { duration };
        Some((u64::from(be32(content, 4)?), be32(content, 12)?, u64::from(known)))
    }
}
