//! A part of a recording with the watermark burnt in, to be handed out.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use media::{Export, Made, Reason};
use recorder::container;
use time::{OffsetDateTime, UtcOffset};

use crate::Fault;
use crate::elements::{caps, make};
use crate::film::{Film, NO_PICTURES, encoder, with_or_without_sound};
use crate::graph::{Coding, Feed, Graph, kind};

pub(crate) fn export(file: &Path, within: Duration, export: &Export, threads: u32) -> Result<Made, Fault> {
    let own = kind(file)?;
    let outside =
        own.duration_ms.is_some_and(|ms| export.from_ms >= ms) || export.to_ms.is_some_and(|to| to <= export.from_ms);
    if outside {
        return Err(Fault::new(Reason::OutsideRecording, "begin after end"));
    }
    letters(&export.font)?;
    let made = with_or_without_sound(|film| exported((file, within), film, export, (own, threads)));
    match made {
        Err(Fault {
            reason: Reason::Unreadable,
            detail,
        }) if detail == NO_PICTURES => Err(Fault::new(Reason::OutsideRecording, detail)),
        made => made,
    }
}

fn exported(
    (file, within): (&Path, Duration),
    film: Film,
    export: &Export,
    (own, threads): (container::Facts, u32),
) -> Result<Film, Fault> {
    let (into, shown) = (film.clone(), export.clone());
    let branch = move |pipeline: &gst::Pipeline, coding: Coding, _: &gst::Caps| {
        if !coding.video {
            return into.sound(pipeline, coding, true);
        }
        let encoder = encoder(threads, "superfast")?;
        encoder.set_property_from_str("pass", "qual");
        encoder.set_property("quantizer", 23u32);
        encoder.set_property("key-int-max", 60u32);
        let between = vec![
            make("videoconvert")?,
            watermark(&shown)?,
            make("videoconvert")?,
            caps("video/x-raw,format=I420")?,
        ];
        into.anew(pipeline, coding, between, encoder)
    };
    let graph = Graph::new(file, own.container, Feed::File, true, Box::new(branch))?;
    film.enter(&graph)?;
    graph.part(export.from_ms, export.to_ms, within)?;
    let end = match (export.to_ms, own.duration_ms) {
        (Some(to), Some(whole)) => Some(to.min(whole)),
        (to, whole) => to.or(whole),
    };
    graph.run(end.map(|end| end.saturating_sub(export.from_ms)), || film.length_ms())?;
    Ok(film)
}

/// Tells fontconfig of the folder with the letters, and of no other.
fn letters(font: &Path) -> Result<(), Fault> {
    let folder = font.parent().filter(|_| font.is_file());
    let Some(folder) = folder.and_then(Path::to_str) else {
        return Err(Fault::new(Reason::NoLetters, font.display()));
    };
    let text = format!(
        "<?xml version=\"1.0\"?><fontconfig><dir>{}</dir><cachedir>/var/cache/fontconfig</cachedir><cachedir>.</cachedir></fontconfig>",
        escaped(folder)
    );
    std::fs::write("fonts.conf", text)?;
    Ok(())
}

/// The text over the pictures, with the clock of the recording running in it.
fn watermark(export: &Export) -> Result<gst::Element, Fault> {
    let overlay = make("textoverlay")?;
    overlay.set_property_from_str("halignment", "left");
    overlay.set_property_from_str("valignment", "top");
    overlay.set_property("font-desc", "Noto Sans CJK SC 15");
    overlay.set_property("shaded-background", true);
    let (text, began, offset) = (escaped(&export.text), export.began_us, export.utc_offset_s);
    let offset = UtcOffset::from_whole_seconds(offset).unwrap_or(UtcOffset::UTC);
    let (weak, shown) = (overlay.downgrade(), AtomicU64::new(u64::MAX));
    let pad = overlay
        .static_pad("video_sink")
        .ok_or_else(|| Fault::new(Reason::Tools, "no pad"))?;
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let position = info.buffer().and_then(|b| b.pts()).and_then(|pts| {
            let segment = pad.sticky_event::<gst::event::Segment>(0)?;
            segment.segment().downcast_ref::<gst::ClockTime>()?.to_stream_time(pts)
        });
        let now = began.saturating_add(i64::try_from(position.map_or(0, gst::ClockTime::useconds)).unwrap_or(0));
        let second = now.div_euclid(1_000_000);
        // A text is drawn anew when it changes: once a second.
        if let Some(overlay) = weak.upgrade()
            && shown.swap(second.unsigned_abs(), Ordering::Relaxed) != second.unsigned_abs()
        {
            let clock = OffsetDateTime::from_unix_timestamp(second).map(|t| clock(t.to_offset(offset)));
            overlay.set_property("text", format!("{text} · {}", clock.unwrap_or_default()));
        }
        gst::PadProbeReturn::Ok
    });
    Ok(overlay)
}

fn clock(t: OffsetDateTime) -> String {
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
        t.year(),
        u8::from(t.month()),
        t.day(),
        t.hour(),
        t.minute(),
        t.second()
    )
}

/// The overlay reads its text as markup, fontconfig its file as XML.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            letter if letter.is_control() => out.push(' '),
            letter => out.push(letter),
        }
    }
    out
}
