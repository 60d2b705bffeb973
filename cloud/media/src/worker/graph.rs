//! Explicit graphs instead of ones that a file chooses, so that no playlist, address or exotic format is ever followed.

use std::fs::File;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use media::{Answer, Reason};
use recorder::container::{self, Container};

use crate::elements::{chain, make};
use crate::{Fault, say};

/// What is held back: data, not the events before it, behind which some demuxers first announce their next stream.
const HELD: gst::PadProbeType = gst::PadProbeType::BLOCK
    .union(gst::PadProbeType::BUFFER)
    .union(gst::PadProbeType::BUFFER_LIST);

/// A kind of stream, by the name of its format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Coding {
    pub(crate) name: &'static str,
    pub(crate) parser: Option<&'static str>,
    pub(crate) decoder: Option<&'static str>,
    pub(crate) video: bool,
}

const fn coding(
    name: &'static str,
    parser: Option<&'static str>,
    decoder: Option<&'static str>,
    video: bool,
) -> Option<Coding> {
    Some(Coding {
        name,
        parser,
        decoder,
        video,
    })
}

impl Coding {
    /// Of a stream; none when we leave it alone.
    pub(crate) fn of(caps: &gst::Caps) -> Option<Self> {
        let structure = caps.structure(0)?;
        let version = structure.get::<i32>("mpegversion").unwrap_or(0);
        match structure.name().as_str() {
            "video/x-h264" => coding("h264", Some("h264parse"), Some("avdec_h264"), true),
            "video/x-h265" => coding("h265", Some("h265parse"), Some("avdec_h265"), true),
            "image/jpeg" => coding("mjpeg", None, Some("jpegdec"), true),
            "video/mpeg" if version == 4 => coding("mpeg4", Some("mpeg4videoparse"), Some("avdec_mpeg4"), true),
            "audio/mpeg" if version == 1 => coding("mp3", Some("mpegaudioparse"), Some("avdec_mp3"), false),
            "audio/mpeg" => coding("aac", Some("aacparse"), Some("avdec_aac"), false),
            "audio/x-raw" => coding("pcm", None, None, false),
            "audio/x-alaw" => coding("alaw", None, Some("avdec_pcm_alaw"), false),
            "audio/x-mulaw" => coding("mulaw", None, Some("avdec_pcm_mulaw"), false),
            "audio/AMR" => coding("amr", None, Some("avdec_amrnb"), false),
            _ => None,
        }
    }
}

/// What a job does with a stream: builds its branch and answers the element it begins with. None leaves it alone.
pub(crate) type Branch =
    dyn Fn(&gst::Pipeline, Coding, &gst::Caps) -> Result<Option<gst::Element>, Fault> + Send + Sync;

/// Where bytes come from.
pub(crate) enum Feed {
    /// A file, in which one may go back and forth.
    File,
    /// Pieces, one after the other; an empty one ends them.
    Pieces(Box<dyn FnMut() -> std::io::Result<Vec<u8>> + Send>),
}

/// A file being taken apart, each stream going where the job leads it.
pub(crate) struct Graph {
    pub(crate) pipeline: gst::Pipeline,
    fault: Arc<Mutex<Option<Fault>>>,
    held: Arc<Mutex<Vec<(gst::Pad, gst::PadProbeId)>>>,
    complete: Receiver<()>,
}

/// The kind of a file.
pub(crate) fn kind(file: &Path) -> Result<container::Facts, Fault> {
    container::probe(&mut File::open(file)?).map_err(Fault::from)
}

impl Graph {
    /// Takes a file of this kind apart. With `hold`, no data flows until [`Graph::go`].
    pub(crate) fn new(
        file: &Path,
        kind: Container,
        feed: Feed,
        hold: bool,
        branch: Box<Branch>,
    ) -> Result<Self, Fault> {
        let demuxer = match kind {
            Container::Mp4 => "qtdemux",
            Container::Ts => "tsdemux",
            Container::Avi => "avidemux",
            Container::Wav => "wavparse",
            Container::Jpeg | Container::Other => return Err(Fault::new(Reason::Unreadable, "no container we read")),
        };
        let (pipeline, demuxer) = (gst::Pipeline::new(), make(demuxer)?);
        let source = match feed {
            Feed::File => {
                let source = make("filesrc")?;
                source.set_property("location", file);
                source
            }
            Feed::Pieces(next) => pieces(next)?,
        };
        chain(&pipeline, &[source, demuxer.clone()])?;
        let (done, complete) = channel();
        let own = Self {
            pipeline,
            fault: Arc::default(),
            held: Arc::default(),
            complete,
        };
        let (weak, fault, held) = (own.pipeline.downgrade(), own.fault.clone(), own.held.clone());
        let taken = Mutex::new((false, false));
        demuxer.connect_pad_added(move |_, pad| {
            let Some(pipeline) = weak.upgrade() else { return };
            let Some(caps) = pad.current_caps().or_else(|| Some(pad.query_caps(None))) else {
                return;
            };
            let Some(coding) = Coding::of(&caps) else { return };
            {
                // The first of each: recorders have one of each.
                let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
                let of_kind = if coding.video { &mut taken.0 } else { &mut taken.1 };
                if std::mem::replace(of_kind, true) {
                    return;
                }
            }
            if hold {
                let id = pad.add_probe(HELD, |_, _| gst::PadProbeReturn::Ok);
                let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
                held.extend(id.map(|id| (pad.clone(), id)));
            }
            let linked = branch(&pipeline, coding, &caps).and_then(|first| {
                let Some(sink) = first.and_then(|f| f.static_pad("sink")) else {
                    return Ok(());
                };
                pad.link(&sink)
                    .map(drop)
                    .map_err(|e| Fault::new(Reason::Unreadable, format!("{e:?}")))
            });
            if let Err(wrong) = linked {
                *fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(wrong);
            }
        });
        demuxer.connect_no_more_pads(move |_| {
            let _ = done.send(());
        });
        Ok(own)
    }

    /// Pieces led through a chain that begins with their source.
    pub(crate) fn bare(
        next: Box<dyn FnMut() -> std::io::Result<Vec<u8>> + Send>,
        elements: impl FnOnce(gst::Element) -> Result<Vec<gst::Element>, Fault>,
    ) -> Result<Self, Fault> {
        Self::chained(pieces(next)?, elements)
    }

    /// As [`Graph::bare`], of buffers with their times.
    pub(crate) fn fed(
        next: Buffers,
        elements: impl FnOnce(gst::Element) -> Result<Vec<gst::Element>, Fault>,
    ) -> Result<Self, Fault> {
        Self::chained(buffers(next)?, elements)
    }

    /// Another chain in the same graph.
    pub(crate) fn also(
        &self,
        next: Buffers,
        elements: impl FnOnce(gst::Element) -> Result<Vec<gst::Element>, Fault>,
    ) -> Result<(), Fault> {
        chain(&self.pipeline, &elements(buffers(next)?)?)
    }

    fn chained(
        source: gst::Element,
        elements: impl FnOnce(gst::Element) -> Result<Vec<gst::Element>, Fault>,
    ) -> Result<Self, Fault> {
        let own = Self {
            pipeline: gst::Pipeline::new(),
            fault: Arc::default(),
            held: Arc::default(),
            complete: channel().1,
        };
        chain(&own.pipeline, &elements(source)?)?;
        Ok(own)
    }

    fn own_fault(&self) -> Option<Fault> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// To paused, until every sink has its first data, or until it is clear that none comes.
    pub(crate) fn settle(&self, within: Duration) -> Result<(), Fault> {
        self.set(gst::State::Paused)?;
        self.settled(within)
    }

    /// Waits for what a change of state or a seek began.
    pub(crate) fn settled(&self, within: Duration) -> Result<(), Fault> {
        let until = Instant::now() + within;
        let Some(bus) = self.pipeline.bus() else {
            return Err(Fault::new(Reason::Tools, "no bus"));
        };
        while Instant::now() < until {
            let wanted = [
                gst::MessageType::AsyncDone,
                gst::MessageType::Eos,
                gst::MessageType::Error,
            ];
            let message = bus.timed_pop_filtered(gst::ClockTime::from_mseconds(200), &wanted);
            if let Some(fault) = self.own_fault() {
                return Err(fault);
            }
            match message.as_ref().map(|m| m.view()) {
                Some(gst::MessageView::AsyncDone(_) | gst::MessageView::Eos(_)) => return Ok(()),
                Some(gst::MessageView::Error(error)) => return Err(told(error)),
                _ => {}
            }
        }
        Err(Fault::new(Reason::Late, "no first picture in time"))
    }

    /// Plays a part of what was held back: exact begin and end.
    pub(crate) fn part(&self, from_ms: u64, to_ms: Option<u64>, within: Duration) -> Result<(), Fault> {
        self.set(gst::State::Paused)?;
        let until = Instant::now() + within;
        while self.complete.recv_timeout(Duration::from_millis(200)).is_err() {
            if Instant::now() > until {
                return Err(Fault::new(Reason::Late, "no streams in time"));
            }
            if let Some(error) = self.error() {
                return Err(error);
            }
        }
        let held = std::mem::take(&mut *self.held.lock().unwrap_or_else(PoisonError::into_inner));
        if from_ms > 0 || to_ms.is_some() {
            let stop = to_ms.map(gst::ClockTime::from_mseconds);
            let seek = gst::event::Seek::new(
                1.0,
                gst::SeekFlags::FLUSH | gst::SeekFlags::ACCURATE,
                gst::SeekType::Set,
                gst::ClockTime::from_mseconds(from_ms),
                if stop.is_some() {
                    gst::SeekType::Set
                } else {
                    gst::SeekType::None
                },
                stop,
            );
            if !held.first().is_some_and(|(pad, _)| pad.send_event(seek)) {
                return Err(Fault::new(Reason::OutsideRecording, "the file cannot be sought in"));
            }
        }
        for (pad, id) in held {
            pad.remove_probe(id);
        }
        Ok(())
    }

    fn error(&self) -> Option<Fault> {
        let message = self.pipeline.bus()?.pop_filtered(&[gst::MessageType::Error]);
        let error = match message.as_ref()?.view() {
            gst::MessageView::Error(error) => Some(told(error)),
            _ => None,
        };
        self.own_fault().or(error)
    }

    /// Runs to the end, saying how far it is.
    pub(crate) fn run(&self, whole_ms: Option<u64>, position: impl Fn() -> u64) -> Result<(), Fault> {
        self.set(gst::State::Playing)?;
        let Some(bus) = self.pipeline.bus() else {
            return Err(Fault::new(Reason::Tools, "no bus"));
        };
        let mut said = 0;
        loop {
            let wanted = [gst::MessageType::Eos, gst::MessageType::Error];
            let message = bus.timed_pop_filtered(gst::ClockTime::from_mseconds(250), &wanted);
            if let Some(fault) = self.own_fault() {
                return Err(fault);
            }
            match message.as_ref().map(|m| m.view()) {
                Some(gst::MessageView::Eos(_)) => return Ok(()),
                Some(gst::MessageView::Error(error)) => return Err(told(error)),
                _ => {}
            }
            let percent = position() * 100 / whole_ms.unwrap_or(0).max(1);
            let percent = u8::try_from(percent.min(99)).unwrap_or(99);
            if whole_ms.is_some() && percent > said {
                said = percent;
                say(&Answer::Progress(percent))?;
            }
        }
    }

    pub(crate) fn set(&self, state: gst::State) -> Result<(), Fault> {
        match self.pipeline.set_state(state) {
            Ok(_) => Ok(()),
            // The bus knows more.
            Err(_) => Err(self
                .error()
                .unwrap_or_else(|| Fault::new(Reason::Unreadable, "cannot be started"))),
        }
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// What GStreamer says of an error.
fn told(error: &gst::message::Error) -> Fault {
    let what = error.error();
    let reason = if what.matches(gst::ResourceError::NoSpaceLeft) || what.matches(gst::ResourceError::Write) {
        Reason::Machine
    } else if what.matches(gst::CoreError::MissingPlugin) {
        Reason::Tools
    } else {
        Reason::Unreadable
    };
    let more = error.debug().unwrap_or_default();
    Fault::new(reason, format!("{what}; {more}"))
}

/// Buffers, one after the other.
pub(crate) type Buffers = Box<dyn FnMut() -> std::io::Result<Option<gst::Buffer>> + Send>;

/// A source of pieces.
fn pieces(mut next: Box<dyn FnMut() -> std::io::Result<Vec<u8>> + Send>) -> Result<gst::Element, Fault> {
    buffers(Box::new(move || {
        let bytes = next()?;
        Ok((!bytes.is_empty()).then(|| gst::Buffer::from_slice(bytes)))
    }))
}

fn buffers(next: Buffers) -> Result<gst::Element, Fault> {
    let source = make("appsrc")?;
    source.set_property("max-bytes", 8u64 << 20);
    source.set_property("block", true);
    let next = Mutex::new(next);
    source.connect("need-data", false, move |arguments| {
        let source = arguments.first()?.get::<gst::Element>().ok()?;
        let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
        match next() {
            Ok(Some(buffer)) => {
                let _ = source.emit_by_name::<gst::FlowReturn>("push-buffer", &[&buffer]);
            }
            Ok(None) => {
                let _ = source.emit_by_name::<gst::FlowReturn>("end-of-stream", &[]);
            }
            Err(error) => gst::element_error!(source, gst::ResourceError::Read, ["{error}"]),
        }
        None
    });
    Ok(source)
}
