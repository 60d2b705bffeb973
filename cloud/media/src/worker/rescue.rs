//! What can be rescued of a damaged file, as MP4 in fragments; see [`media::salvage`] for how.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use gstreamer as gst;
use gstreamer::prelude::*;
use media::salvage::mp4::{self, Codec, Coding};
use media::salvage::{avi, content_end, nal, ts};
use media::{Made, Reason, Rescued};
use recorder::container::Container;

use crate::Fault;
use crate::film::Film;
use crate::graph::{self, Feed, Graph, caps, kind};

/// Bytes of packets that make something without a head a transport stream.
const STREAM: usize = 64 << 10;

type Pieces = Box<dyn FnMut() -> std::io::Result<Vec<u8>> + Send>;

pub(crate) fn rescue(input: &Path, reference: Option<&Path>) -> Result<Made, Fault> {
    let own = kind(input)?;
    let mut file = File::open(input)?;
    let end = content_end(&mut file)?;
    let nothing = || Fault::new(Reason::NothingLeft, "nothing but zeros");
    if end == 0 {
        return Err(nothing());
    }
    let unused = Arc::new(AtomicU64::new(0));
    match own.container {
        Container::Ts => streamed(input, Container::Ts, || packets(&file, end, &unused), (end, &unused)),
        Container::Avi => streamed(input, Container::Avi, || chunks(&file, end, &unused), (end, &unused)),
        Container::Mp4 => {
            let layout = mp4::layout(&mut file)?;
            let ahead = layout
                .moov
                .zip(layout.data)
                .is_some_and(|((moov, _), data)| moov < data);
            if ahead || (layout.moov.is_some() && layout.fragments) {
                return streamed(input, Container::Mp4, || plain(&file, end), (end, &unused));
            }
            pictures(file, layout.data.unwrap_or(0), end, reference, &unused)
        }
        Container::Other if packets(&file, end, &unused)?()?.len() >= STREAM => {
            streamed(input, Container::Ts, || packets(&file, end, &unused), (end, &unused))
        }
        Container::Other => pictures(file, 0, end, reference, &unused),
        Container::Wav | Container::Jpeg => Err(Fault::new(Reason::NothingLeft, "no film")),
    }
}

/// Bytes as they are, up to the end of the content.
fn plain(file: &File, end: u64) -> Result<Pieces, Fault> {
    let mut file = file.try_clone()?;
    file.seek(SeekFrom::Start(0))?;
    let mut rest = file.take(end);
    Ok(Box::new(move || {
        let mut piece = vec![0u8; 256 << 10];
        let n = rest.read(&mut piece)?;
        piece.truncate(n);
        Ok(piece)
    }))
}

fn chunks(file: &File, end: u64, unused: &Arc<AtomicU64>) -> Result<Pieces, Fault> {
    let found = avi::Chunks::new(file.try_clone()?, end)?;
    let mut chunks = found.ok_or_else(|| Fault::new(Reason::NothingLeft, "no head"))?;
    let unused = unused.clone();
    Ok(Box::new(move || {
        let piece = chunks.next_bytes();
        unused.store(chunks.skipped, Ordering::Relaxed);
        piece
    }))
}

fn packets(file: &File, end: u64, unused: &Arc<AtomicU64>) -> Result<Pieces, Fault> {
    let mut file = file.try_clone()?;
    file.seek(SeekFrom::Start(0))?;
    let (mut packets, unused) = (ts::Packets::new(file.take(end)), unused.clone());
    Ok(Box::new(move || {
        let piece = packets.next_bytes();
        unused.store(packets.skipped, Ordering::Relaxed);
        piece
    }))
}

/// A stream that a demuxer takes apart as it comes; without sound when none came.
fn streamed(
    input: &Path,
    kind: Container,
    pieces: impl Fn() -> Result<Pieces, Fault>,
    counted: (u64, &Arc<AtomicU64>),
) -> Result<Made, Fault> {
    let (film, codec) = stream(input, kind, pieces()?, Film::new(false)?)?;
    let (film, codec) = if film.is_hollow() {
        stream(input, kind, pieces()?, Film::new(true)?)?
    } else {
        (film, codec)
    };
    result(&film, codec, counted)
}

fn stream(input: &Path, kind: Container, pieces: Pieces, film: Film) -> Result<(Film, &'static str), Fault> {
    let h265 = Arc::new(AtomicBool::new(false));
    let (into, coded) = (film.clone(), h265.clone());
    let branch = move |pipeline: &gst::Pipeline, coding: graph::Coding, _: &gst::Caps| {
        if coding.video {
            coded.store(coding.name == "h265", Ordering::Relaxed);
            return into.as_it_is(pipeline, coding);
        }
        into.sound(pipeline, coding, false)
    };
    let graph = Graph::new(input, kind, Feed::Pieces(pieces), false, Box::new(branch))?;
    film.enter(&graph)?;
    // A file that breaks off may end in an error: what came before it counts.
    if let Err(fault) = graph.run(None, || 0)
        && (film.frames() == 0 || fault.reason != Reason::Unreadable)
    {
        return Err(match fault.reason {
            Reason::Unreadable => Fault::new(Reason::NothingLeft, fault.detail),
            _ => fault,
        });
    }
    let codec = if h265.load(Ordering::Relaxed) { "h265" } else { "h264" };
    Ok((film, codec))
}

/// Pictures found in the data by their own structure.
fn pictures(
    mut file: File,
    begin: u64,
    end: u64,
    reference: Option<&Path>,
    unused: &Arc<AtomicU64>,
) -> Result<Made, Fault> {
    let told = match reference {
        Some(reference) => mp4::coding(&mut File::open(reference)?)?,
        None => None,
    };
    let coding = match told {
        Some(told) => told,
        None => nal::coding_within(&mut file, begin, end)?
            .ok_or_else(|| Fault::new(Reason::NoReference, "no parameter sets"))?,
    };
    let Coding { codec, frame_ns, .. } = coding;
    let mut walk = nal::Walk::new(file, &coding, begin, end);
    let counted = unused.clone();
    let mut number = 0u64;
    let mut next = move || {
        let picture = walk.next_picture()?;
        counted.store(walk.unused, Ordering::Relaxed);
        let Some(picture) = picture else { return Ok(None) };
        let mut buffer = gst::Buffer::from_slice(picture.bytes);
        if let Some(buffer) = buffer.get_mut() {
            let at = gst::ClockTime::from_nseconds(number.saturating_mul(frame_ns));
            buffer.set_pts(at);
            buffer.set_dts(at);
            buffer.set_duration(gst::ClockTime::from_nseconds(frame_ns));
            if !picture.key {
                buffer.set_flags(gst::BufferFlags::DELTA_UNIT);
            }
        }
        number += 1;
        Ok(Some(buffer))
    };
    let first = next()?.ok_or_else(|| Fault::new(Reason::NothingLeft, "no pictures"))?;
    let mut first = Some(first);
    let film = Film::new(true)?;
    let (name, parser, format) = match codec {
        Codec::H264 => ("h264", "h264parse", "video/x-h264,stream-format=avc,alignment=au"),
        Codec::H265 => ("h265", "h265parse", "video/x-h265,stream-format=hvc1,alignment=au"),
    };
    let last = caps(format)?;
    let behind = last.clone();
    let graph = Graph::fed(
        Box::new(move || match first.take() {
            Some(first) => Ok(Some(first)),
            None => next(),
        }),
        move |source| {
            source.set_property_from_str("format", "time");
            source.set_property("caps", described(&coding, format)?);
            Ok(vec![source, graph::queue()?, graph::make(parser)?, behind])
        },
    )?;
    film.enter(&graph)?;
    film.take(&last, true)?;
    graph.run(None, || 0)?;
    result(&film, name, (end - begin, unused))
}

/// The format with what the reference says of it.
fn described(coding: &Coding, format: &str) -> Result<gst::Caps, Fault> {
    let mut caps: gst::Caps = format.parse().map_err(|e| Fault::new(Reason::Tools, e))?;
    let rate = gst::Fraction::approximate_f64(1e9 / coding.frame_ns.max(1) as f64);
    let caps_mut = caps.make_mut();
    caps_mut.set("codec_data", gst::Buffer::from_slice(coding.configuration.clone()));
    if let Some(rate) = rate {
        caps_mut.set("framerate", rate);
    }
    if coding.width > 0 && coding.height > 0 {
        caps_mut.set("width", i32::try_from(coding.width).unwrap_or(0));
        caps_mut.set("height", i32::try_from(coding.height).unwrap_or(0));
    }
    Ok(caps)
}

fn result(film: &Film, codec: &str, (bytes, unused): (u64, &Arc<AtomicU64>)) -> Result<Made, Fault> {
    if film.frames() == 0 {
        return Err(Fault::new(Reason::NothingLeft, "no pictures"));
    }
    Ok(Made::Rescued(Rescued {
        frames: film.frames(),
        duration_ms: film.length_ms(),
        sound: film.sounds(),
        codec: codec.to_owned(),
        bytes,
        unused: unused.load(Ordering::Relaxed).min(bytes),
    }))
}
