//! Recordings as MP4 in fragments: as they are, or smaller; with the watermark burnt in see [`crate::export`].

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use gstreamer as gst;
use gstreamer::prelude::*;
use media::{Made, Reason};

use crate::Fault;
use crate::elements::{caps, chain, make, queue};
use crate::graph::{Coding, Feed, Graph, kind};

pub(crate) const NO_PICTURES: &str = "no pictures";

/// What a film is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// For every player.
    Mp4,
    /// Its older brother, which holds pictures that MP4 has no name for: JPEG.
    QuickTime,
}

/// The file being written, and what went into it.
#[derive(Clone)]
pub(crate) struct Film {
    form: Form,
    mux: gst::Element,
    sink: gst::Element,
    frames: Arc<AtomicU64>,
    /// Pieces of sound; none before there is a track of it.
    heard: Arc<AtomicU64>,
    track: Arc<AtomicBool>,
    /// No sound is taken.
    mute: bool,
    /// Nanoseconds of the first picture's begin and of the last one's end.
    span: Arc<(AtomicU64, AtomicU64)>,
}

impl Film {
    pub(crate) fn new(mute: bool) -> Result<Self, Fault> {
        Self::of(Form::Mp4, mute)
    }

    pub(crate) fn of(form: Form, mute: bool) -> Result<Self, Fault> {
        let mux = match form {
            Form::Mp4 => make("mp4mux")?,
            Form::QuickTime => make("qtmux")?,
        };
        let sink = make("filesink")?;
        // A player may begin before all of it is there, and a cut loses seconds.
        mux.set_property("fragment-duration", 2000u32);
        sink.set_property("location", "made.mp4");
        Ok(Self {
            form,
            mux,
            sink,
            frames: Arc::default(),
            heard: Arc::default(),
            track: Arc::default(),
            mute,
            span: Arc::new((AtomicU64::new(u64::MAX), AtomicU64::new(0))),
        })
    }

    pub(crate) fn enter(&self, graph: &Graph) -> Result<(), Fault> {
        chain(&graph.pipeline, &[self.mux.clone(), self.sink.clone()])
    }

    /// Leads a branch into the file; pictures are counted.
    pub(crate) fn take(&self, last: &gst::Element, video: bool) -> Result<(), Fault> {
        let wrong = |e: &dyn std::fmt::Debug| Fault::new(Reason::Unreadable, format!("{e:?}"));
        let template = if video { "video_%u" } else { "audio_%u" };
        let into = self.mux.request_pad_simple(template).ok_or_else(|| wrong(&template))?;
        let from = last.static_pad("src").ok_or_else(|| wrong(&"no pad"))?;
        if video {
            let (frames, span) = (self.frames.clone(), self.span.clone());
            from.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
                if let Some(buffer) = info.buffer() {
                    frames.fetch_add(1, Ordering::Relaxed);
                    if let Some(begin) = buffer.pts() {
                        let end = begin + buffer.duration().unwrap_or(gst::ClockTime::ZERO);
                        span.0.fetch_min(begin.nseconds(), Ordering::Relaxed);
                        span.1.fetch_max(end.nseconds(), Ordering::Relaxed);
                    }
                }
                gst::PadProbeReturn::Ok
            });
        }
        if !video {
            let heard = self.heard.clone();
            self.track.store(true, Ordering::Relaxed);
            from.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
                heard.fetch_add(1, Ordering::Relaxed);
                gst::PadProbeReturn::Ok
            });
        }
        from.link(&into).map(drop).map_err(|e| wrong(&e))
    }

    /// Whether it has a track of sound with nothing in it, which no player understands.
    pub(crate) fn is_hollow(&self) -> bool {
        self.track.load(Ordering::Relaxed) && self.heard.load(Ordering::Relaxed) == 0
    }

    /// Whether it has sound.
    pub(crate) fn sounds(&self) -> bool {
        self.heard.load(Ordering::Relaxed) > 0
    }

    /// Milliseconds of pictures in it.
    pub(crate) fn length_ms(&self) -> u64 {
        let (begin, end) = (self.span.0.load(Ordering::Relaxed), self.span.1.load(Ordering::Relaxed));
        end.saturating_sub(begin) / 1_000_000
    }

    pub(crate) fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }

    fn made(&self) -> Result<Made, Fault> {
        match self.frames() {
            0 => Err(Fault::new(Reason::Unreadable, NO_PICTURES)),
            frames => Ok(Made::Film {
                frames,
                duration_ms: self.length_ms(),
            }),
        }
    }

    /// Pictures as they are.
    pub(crate) fn as_it_is(&self, pipeline: &gst::Pipeline, coding: Coding) -> Result<Option<gst::Element>, Fault> {
        let format = match coding.name {
            "h264" => "video/x-h264,stream-format=avc,alignment=au",
            "h265" => "video/x-h265,stream-format=hvc1,alignment=au",
            "mpeg4" => "video/mpeg,mpegversion=4,systemstream=false",
            "mjpeg" if self.form == Form::QuickTime => "image/jpeg",
            other => return Err(Fault::new(Reason::NeedsProxy, other)),
        };
        let (first, last) = (queue()?, caps(format)?);
        timed(&last)?;
        let parser = coding.parser.map(make).transpose()?;
        let elements = [Some(first.clone()), parser, Some(last.clone())];
        chain(pipeline, &elements.into_iter().flatten().collect::<Vec<_>>())?;
        self.take(&last, true)?;
        Ok(Some(first))
    }

    /// Sound as AAC: as it is when it is AAC and nothing is cut.
    pub(crate) fn sound(
        &self,
        pipeline: &gst::Pipeline,
        coding: Coding,
        anew: bool,
    ) -> Result<Option<gst::Element>, Fault> {
        if self.mute {
            return Ok(None);
        }
        let first = queue()?;
        let last = caps("audio/mpeg,mpegversion=4,stream-format=raw")?;
        let mut elements = vec![first.clone()];
        elements.extend(coding.parser.map(make).transpose()?);
        if anew || coding.name != "aac" {
            elements.extend(coding.decoder.map(make).transpose()?);
            for name in ["audioconvert", "audioresample", "avenc_aac", "aacparse"] {
                elements.push(make(name)?);
            }
        }
        timed(&last)?;
        elements.push(last.clone());
        chain(pipeline, &elements)?;
        self.take(&last, false)?;
        Ok(Some(first))
    }

    /// Pictures decoded, led through `between`, and encoded for every browser.
    pub(crate) fn anew(
        &self,
        pipeline: &gst::Pipeline,
        coding: Coding,
        between: Vec<gst::Element>,
        encoder: gst::Element,
    ) -> Result<Option<gst::Element>, Fault> {
        let (first, last) = (queue()?, caps("video/x-h264,stream-format=avc,alignment=au")?);
        let mut elements = vec![first.clone()];
        elements.extend(coding.parser.map(make).transpose()?);
        elements.extend(coding.decoder.map(make).transpose()?);
        elements.extend(between);
        elements.extend([encoder, make("h264parse")?, last.clone()]);
        chain(pipeline, &elements)?;
        self.take(&last, true)?;
        Ok(Some(first))
    }
}

pub(crate) fn encoder(threads: u32, preset: &str) -> Result<gst::Element, Fault> {
    let encoder = make("x264enc")?;
    encoder.set_property_from_str("speed-preset", preset);
    encoder.set_property("threads", threads);
    encoder.set_property("bframes", 0u32);
    Ok(encoder)
}

/// Samples of a unit of AAC.
const SAMPLES: u64 = 1024;

/// Gives pictures and sound a time that have none: AVI tells it only of key frames, and of the others how long they last; of
/// sound nothing when it comes as a stream.
fn timed(last: &gst::Element) -> Result<(), Fault> {
    let pad = last
        .static_pad("src")
        .ok_or_else(|| Fault::new(Reason::Tools, "no pad"))?;
    let due = AtomicU64::new(0);
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let Some(buffer) = info.buffer_mut() else {
            return gst::PadProbeReturn::Ok;
        };
        let lasts = buffer.duration().map(gst::ClockTime::nseconds).or_else(|| {
            let caps = pad.current_caps()?;
            let caps = caps.structure(0)?;
            if let Ok(rate) = caps.get::<i32>("rate") {
                return (SAMPLES * 1_000_000_000).checked_div(u64::try_from(rate).ok()?);
            }
            let rate = caps.get::<gst::Fraction>("framerate").ok()?;
            let (of, seconds) = (u64::try_from(rate.numer()).ok()?, u64::try_from(rate.denom()).ok()?);
            (seconds * 1_000_000_000).checked_div(of)
        });
        let lasts = lasts.unwrap_or(40_000_000);
        let at = match buffer.pts() {
            Some(at) => at.nseconds(),
            None => due.load(Ordering::Relaxed),
        };
        due.store(at + lasts, Ordering::Relaxed);
        if buffer.pts().is_none() || buffer.dts().is_none() {
            let at = gst::ClockTime::from_nseconds(at);
            let buffer = buffer.make_mut();
            buffer.set_pts(at);
            if buffer.dts().is_none() {
                buffer.set_dts(at);
            }
        }
        gst::PadProbeReturn::Ok
    });
    Ok(())
}

/// Lets 15 pictures a second through, each at its own time: `videorate` makes pictures of its own where a demuxer begins its
/// segment anew, and shifts all that follow.
fn fewer() -> Result<gst::Element, Fault> {
    const APART: u64 = 1_000_000_000 / 15;
    /// Times are rounded.
    const SLACK: u64 = 2_000_000;
    let element = make("identity")?;
    let pad = element
        .static_pad("sink")
        .ok_or_else(|| Fault::new(Reason::Tools, "no pad"))?;
    let next = AtomicU64::new(0);
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let Some(at) = info.buffer().and_then(|b| b.pts()).map(gst::ClockTime::nseconds) else {
            return gst::PadProbeReturn::Ok;
        };
        let due = next.load(Ordering::Relaxed);
        // Far behind: the time began anew.
        if at + SLACK < due && due - at < 10 * APART {
            // `Drop` makes the binding (0.25.4) and GStreamer both let go of it.
            return gst::PadProbeReturn::Handled;
        }
        next.store(at + APART, Ordering::Relaxed);
        gst::PadProbeReturn::Ok
    });
    Ok(element)
}

/// Makes a film; once more without sound when the track of it stayed empty.
pub(crate) fn with_or_without_sound(film: impl Fn(Film) -> Result<Film, Fault>) -> Result<Made, Fault> {
    let made = film(Film::new(false)?)?;
    if made.is_hollow() {
        return film(Film::new(true)?)?.made();
    }
    made.made()
}

pub(crate) fn remux(file: &Path) -> Result<Made, Fault> {
    with_or_without_sound(|film| remuxed(file, film))
}

fn remuxed(file: &Path, film: Film) -> Result<Film, Fault> {
    let own = kind(file)?;
    let into = film.clone();
    let branch = move |pipeline: &gst::Pipeline, coding: Coding, _: &gst::Caps| match coding {
        Coding { video: false, .. } => into.sound(pipeline, coding, false),
        Coding { name: "h264", .. } => into.as_it_is(pipeline, coding),
        other => Err(Fault::new(Reason::NeedsProxy, other.name)),
    };
    let graph = Graph::new(file, own.container, Feed::File, false, Box::new(branch))?;
    film.enter(&graph)?;
    graph.run(own.duration_ms, || film.length_ms())?;
    Ok(film)
}

pub(crate) fn proxy(file: &Path, threads: u32) -> Result<Made, Fault> {
    with_or_without_sound(|film| small(file, film, threads))
}

fn small(file: &Path, film: Film, threads: u32) -> Result<Film, Fault> {
    let own = kind(file)?;
    let into = film.clone();
    let branch = move |pipeline: &gst::Pipeline, coding: Coding, _: &gst::Caps| {
        if !coding.video {
            return into.sound(pipeline, coding, false);
        }
        let small = "video/x-raw,format=I420,width=640,height=360,pixel-aspect-ratio=1/1";
        let between = vec![fewer()?, make("videoconvert")?, make("videoscale")?, caps(small)?];
        let encoder = encoder(threads, "veryfast")?;
        encoder.set_property("bitrate", 600u32);
        encoder.set_property("key-int-max", 30u32);
        into.anew(pipeline, coding, between, encoder)
    };
    let graph = Graph::new(file, own.container, Feed::File, false, Box::new(branch))?;
    film.enter(&graph)?;
    graph.run(own.duration_ms, || film.length_ms())?;
    Ok(film)
}
