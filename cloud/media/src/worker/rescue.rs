//! What can be rescued of a damaged file, as MP4 in fragments; see [`media::salvage`] for how.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gstreamer as gst;
use gstreamer::prelude::*;
use media::salvage::aac::Sound;
use media::salvage::mp4::{self, Codec, Coding};
use media::salvage::{avi, content_end, nal, ts};
use media::{Made, Reason, Rescued};
use recorder::container::Container;

use crate::Fault;
use crate::elements::{caps, make, queue};
use crate::film::{Film, Form};
use crate::finds::{Finds, next_of};
use crate::graph::{self, Feed, Graph, kind};

/// Bytes on which codings are tried, where there are several.
const TRIED: u64 = 8 << 20;
/// Bytes of packets that make something without a head a transport stream.
const STREAM: usize = 64 << 10;

type Pieces = Box<dyn FnMut() -> std::io::Result<Vec<u8>> + Send>;

pub(crate) fn rescue(input: &Path, references: &[PathBuf]) -> Result<Made, Fault> {
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
            found(&file, (layout.data.unwrap_or(0), end), references, &unused)
        }
        Container::Other if packets(&file, end, &unused)?()?.len() >= STREAM => {
            streamed(input, Container::Ts, || packets(&file, end, &unused), (end, &unused))
        }
        Container::Other => found(&file, (0, end), references, &unused),
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
    let made = |form: Form, mute: bool| stream(input, kind, pieces()?, Film::of(form, mute)?);
    let (form, (film, codec)) = match made(Form::Mp4, false) {
        Err(Fault {
            reason: Reason::NeedsProxy,
            ..
        }) => (Form::QuickTime, made(Form::QuickTime, false)?),
        other => (Form::Mp4, other?),
    };
    let (film, codec) = if film.is_hollow() {
        made(form, true)?
    } else {
        (film, codec)
    };
    result(&film, codec, counted)
}

fn stream(input: &Path, kind: Container, pieces: Pieces, film: Film) -> Result<(Film, &'static str), Fault> {
    let codec = Arc::new(Mutex::new("h264"));
    let (into, coded) = (film.clone(), codec.clone());
    let branch = move |pipeline: &gst::Pipeline, coding: graph::Coding, _: &gst::Caps| {
        if coding.video {
            *coded.lock().unwrap_or_else(PoisonError::into_inner) = coding.name;
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
    let codec = *codec.lock().unwrap_or_else(PoisonError::into_inner);
    Ok((film, codec))
}

/// Pictures and sound found in the data by their own structure; without sound when none came.
fn found(
    file: &File,
    (begin, end): (u64, u64),
    references: &[PathBuf],
    unused: &Arc<AtomicU64>,
) -> Result<Made, Fault> {
    let mut coding = chosen(file, (begin, end), references)?;
    let counted = (end - begin, unused);
    let name = match coding.codec {
        Codec::H264 => "h264",
        Codec::H265 => "h265",
    };
    let film = gathered(Finds::new(file, &coding, (begin, end), unused)?, &coding)?;
    if film.is_hollow() {
        coding.sound = None;
        let film = gathered(Finds::new(file, &coding, (begin, end), unused)?, &coding)?;
        return result(&film, name, counted);
    }
    result(&film, name, counted)
}

/// How the file is coded: as the reference that explains most of its first bytes, or as it says itself.
fn chosen(file: &File, (begin, end): (u64, u64), references: &[PathBuf]) -> Result<Coding, Fault> {
    let mut all: Vec<Coding> = Vec::new();
    for reference in references {
        let told = mp4::coding(&mut File::open(reference)?)?;
        all.extend(told.filter(|told| {
            all.iter()
                .all(|c| (&c.configuration, &c.sound) != (&told.configuration, &told.sound))
        }));
    }
    if all.is_empty() {
        all.extend(nal::coding_within(&mut file.try_clone()?, begin, end)?);
    }
    let none = || Fault::new(Reason::NoReference, "no parameter sets");
    if all.len() < 2 {
        return all.pop().ok_or_else(none);
    }
    let mut best: Option<(u64, Coding)> = None;
    for coding in all {
        let mut walk = nal::Walk::new(file.try_clone()?, &coding, begin, end.min(begin + TRIED));
        while walk.next_piece()?.is_some() {}
        if best.as_ref().is_none_or(|(unused, _)| walk.unused < *unused) {
            best = Some((walk.unused, coding));
        }
    }
    best.map(|(_, coding)| coding).ok_or_else(none)
}

/// Leads what is found into a film, as it is.
fn gathered(finds: Finds, coding: &Coding) -> Result<Film, Fault> {
    let (parser, format) = match coding.codec {
        Codec::H264 => ("h264parse", "video/x-h264,stream-format=avc,alignment=au"),
        Codec::H265 => ("h265parse", "video/x-h265,stream-format=hvc1,alignment=au"),
    };
    let finds = Arc::new(Mutex::new(finds));
    let mut first = Some(next_of(&finds, true)?.ok_or_else(|| Fault::new(Reason::NothingLeft, "no pictures"))?);
    let film = Film::new(coding.sound.is_none())?;
    let last = caps(format)?;
    let (pictures, behind) = (finds.clone(), last.clone());
    let graph = Graph::fed(
        Box::new(move || match first.take() {
            Some(first) => Ok(Some(first)),
            None => next_of(&pictures, true),
        }),
        move |source| {
            source.set_property_from_str("format", "time");
            source.set_property("caps", described(coding, format)?);
            Ok(vec![source, queue()?, make(parser)?, behind])
        },
    )?;
    film.enter(&graph)?;
    film.take(&last, true)?;
    if let Some(sound) = &coding.sound {
        let last = caps("audio/mpeg,mpegversion=4,stream-format=raw")?;
        let behind = last.clone();
        graph.also(Box::new(move || next_of(&finds, false)), move |source| {
            source.set_property_from_str("format", "time");
            source.set_property("caps", heard(sound)?);
            Ok(vec![source, queue()?, make("aacparse")?, behind])
        })?;
        film.take(&last, false)?;
    }
    graph.run(None, || 0)?;
    Ok(film)
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

/// The format of sound.
fn heard(sound: &Sound) -> Result<gst::Caps, Fault> {
    let mut caps: gst::Caps = "audio/mpeg,mpegversion=4,stream-format=raw,framed=true"
        .parse()
        .map_err(|e| Fault::new(Reason::Tools, e))?;
    let caps_mut = caps.make_mut();
    caps_mut.set("codec_data", gst::Buffer::from_slice(sound.configuration.clone()));
    caps_mut.set("rate", i32::try_from(sound.rate).unwrap_or(0));
    caps_mut.set("channels", i32::try_from(sound.channels).unwrap_or(0));
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
