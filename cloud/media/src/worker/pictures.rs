//! Pictures of a recording: a poster, and key frames as tiles of one picture. Only key frames are decoded.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use media::{Made, Reason, Strip};

use crate::Fault;
use crate::elements::{caps, chain, make, queue};
use crate::graph::{Feed, Graph, kind};

/// Pixels of a tile.
const TILE: (u32, u32) = (160, 90);
/// Tiles in a row.
const COLUMNS: u32 = 4;

/// A graph that stands still at a picture of the file.
struct Still {
    graph: Graph,
    sink: gst::Element,
    length_ms: u64,
    within: Duration,
}

impl Still {
    /// Pictures of this format, JPEG or not, each within this time.
    fn open(file: &Path, within: Duration, format: &'static str, jpeg: bool) -> Result<Self, Fault> {
        let own = kind(file)?;
        let kept: Arc<Mutex<Option<gst::Element>>> = Arc::default();
        let keep = kept.clone();
        let graph = Graph::new(
            file,
            own.container,
            Feed::File,
            false,
            Box::new(move |pipeline, coding, _| {
                if !coding.video {
                    return Ok(None);
                }
                let (first, sink) = (queue()?, make("fakesink")?);
                let encoder = if jpeg { Some(make("jpegenc")?) } else { None };
                let elements = [
                    Some(first.clone()),
                    coding.parser.map(make).transpose()?,
                    coding.decoder.map(make).transpose()?,
                    Some(make("videoconvert")?),
                    Some(make("videoscale")?),
                    Some(caps(format)?),
                    encoder,
                    Some(sink.clone()),
                ];
                chain(pipeline, &elements.into_iter().flatten().collect::<Vec<_>>())?;
                *keep.lock().unwrap_or_else(PoisonError::into_inner) = Some(sink);
                Ok(Some(first))
            }),
        )?;
        graph.settle(within)?;
        let sink = kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        let length = || {
            graph
                .pipeline
                .query_duration::<gst::ClockTime>()
                .map(gst::ClockTime::mseconds)
        };
        let length_ms = own.duration_ms.or_else(length).unwrap_or(0);
        let sink = sink.ok_or_else(|| Fault::new(Reason::Unreadable, "no pictures"))?;
        Ok(Self {
            graph,
            sink,
            length_ms,
            within,
        })
    }

    /// The key frame at or before a time, with its own time.
    fn at(&self, ms: u64) -> Result<Option<(u64, gst::Buffer)>, Fault> {
        if ms > 0 {
            let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::KEY_UNIT | gst::SeekFlags::SNAP_BEFORE;
            if self
                .graph
                .pipeline
                .seek_simple(flags, gst::ClockTime::from_mseconds(ms))
                .is_err()
            {
                return Ok(None);
            }
            self.graph.settled(self.within)?;
        }
        let Some(sample) = self.sink.property::<Option<gst::Sample>>("last-sample") else {
            return Ok(None);
        };
        let Some(buffer) = sample.buffer_owned() else {
            return Ok(None);
        };
        let time = sample
            .segment()
            .and_then(|s| s.downcast_ref::<gst::ClockTime>())
            .and_then(|s| s.to_stream_time(buffer.pts()));
        Ok(Some((time.map_or(ms, gst::ClockTime::mseconds), buffer)))
    }
}

pub(crate) fn poster(file: &Path, within: Duration) -> Result<Made, Fault> {
    let still = Still::open(file, within, "video/x-raw,width=640,pixel-aspect-ratio=1/1", true)?;
    // The first picture is often dark, or the floor.
    let wanted = (still.length_ms / 10).min(1000);
    let (at_ms, buffer) = match still.at(wanted)? {
        Some(found) => found,
        None => still.at(0)?.ok_or_else(none)?,
    };
    let map = buffer.map_readable().map_err(|e| Fault::new(Reason::Unreadable, e))?;
    std::fs::write("made.jpg", map.as_slice())?;
    Ok(Made::Poster { at_ms })
}

fn none() -> Fault {
    Fault::new(Reason::Unreadable, "no picture")
}

pub(crate) fn strip(file: &Path, within: Duration, tiles: u32) -> Result<Made, Fault> {
    let tiles = tiles.clamp(1, 60);
    let format = "video/x-raw,format=RGB,width=160,height=90,pixel-aspect-ratio=1/1";
    let still = Still::open(file, within, format, false)?;
    let mut found: Vec<(u64, gst::Buffer)> = Vec::new();
    for n in 0..u64::from(tiles) {
        let wanted = still.length_ms.saturating_mul(n) / u64::from(tiles);
        if let Some((at, buffer)) = still.at(wanted)?
            // Several times may have the same key frame before them.
            && found.iter().all(|(before, _)| *before != at)
        {
            found.push((at, buffer));
        }
    }
    if found.is_empty() {
        return Err(none());
    }
    found.sort_by_key(|(at, _)| *at);
    drop(still);
    let count = u32::try_from(found.len()).unwrap_or(1);
    let (columns, rows) = (count.min(COLUMNS), count.div_ceil(COLUMNS));
    let canvas = paste(&found, columns, rows)?;
    encode(canvas, columns * TILE.0, rows * TILE.1)?;
    Ok(Made::Strip(Strip {
        columns,
        rows,
        width: TILE.0,
        height: TILE.1,
        times_ms: found.iter().map(|(at, _)| *at).collect(),
    }))
}

/// Puts the tiles beside and below each other, RGB.
fn paste(found: &[(u64, gst::Buffer)], columns: u32, rows: u32) -> Result<Vec<u8>, Fault> {
    // A row of a tile is a multiple of four bytes, as GStreamer has it.
    let (line, height) = (TILE.0 as usize * 3, TILE.1 as usize);
    let (columns, rows) = (columns as usize, rows as usize);
    let mut canvas = vec![0u8; line * columns * height * rows];
    for (n, (_, buffer)) in found.iter().enumerate() {
        let map = buffer.map_readable().map_err(|e| Fault::new(Reason::Unreadable, e))?;
        let corner = (n / columns) * height * line * columns + (n % columns) * line;
        for (y, row) in map.as_slice().chunks_exact(line).take(height).enumerate() {
            let at = corner + y * line * columns;
            if let Some(place) = canvas.get_mut(at..at + line) {
                place.copy_from_slice(row);
            }
        }
    }
    Ok(canvas)
}

/// RGB to `made.jpg`.
fn encode(rgb: Vec<u8>, width: u32, height: u32) -> Result<(), Fault> {
    let mut rgb = Some(rgb);
    let graph = Graph::bare(Box::new(move || Ok(rgb.take().unwrap_or_default())), |source| {
        let text = format!("video/x-raw,format=RGB,width={width},height={height},framerate=1/1");
        let sink = make("filesink")?;
        sink.set_property("location", "made.jpg");
        Ok(vec![
            source,
            caps(&text)?,
            make("videoconvert")?,
            make("jpegenc")?,
            sink,
        ])
    })?;
    graph.run(None, || 0)
}
