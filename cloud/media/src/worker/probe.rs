//! What is in a file. Container, condition and length come from our own walk of it; GStreamer is asked for the streams only:
//! its discoverer tells wrong lengths of files in fragments and waits ten seconds on ones without an index.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use media::{Audio, Facts, Video};
use recorder::container::{Condition, Container};

use crate::Fault;
use crate::elements::{chain, make, queue};
use crate::graph::{Coding, Feed, Graph, kind};

type Seen = Arc<Mutex<Vec<(Coding, gst::Caps, gst::Pad)>>>;

pub(crate) fn probe(file: &Path, within: Duration) -> Result<Facts, Fault> {
    let own = kind(file)?;
    let mut facts = Facts {
        container: own.container.as_str().to_owned(),
        condition: own.condition.as_str().to_owned(),
        duration_ms: own.duration_ms,
        created_at: own.created_at,
        video: None,
        audio: None,
    };
    let plain = matches!(own.container, Container::Other | Container::Jpeg);
    if plain || own.condition == Condition::Damaged {
        return Ok(facts);
    }
    let seen: Seen = Arc::default();
    let into = seen.clone();
    let graph = Graph::new(
        file,
        own.container,
        Feed::File,
        false,
        Box::new(move |pipeline, coding, caps| {
            let (first, sink) = (queue()?, make("fakesink")?);
            let parser = coding.parser.map(make).transpose()?;
            let last = parser.clone().unwrap_or_else(|| first.clone());
            let elements: Vec<_> = [Some(first.clone()), parser, Some(sink)]
                .into_iter()
                .flatten()
                .collect();
            chain(pipeline, &elements)?;
            let pad = last.static_pad("src");
            let mut into = into.lock().unwrap_or_else(PoisonError::into_inner);
            into.extend(pad.map(|pad| (coding, caps.clone(), pad)));
            Ok(Some(first))
        }),
    )?;
    // What is cut short may break off before every stream has come: what came counts.
    if let Err(fault) = graph.settle(within)
        && own.condition == Condition::Complete
    {
        return Err(fault);
    }
    if facts.duration_ms.is_none() {
        let length = graph.pipeline.query_duration::<gst::ClockTime>();
        facts.duration_ms = length.map(gst::ClockTime::mseconds);
    }
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    for (coding, caps, pad) in seen.iter() {
        let parsed = pad.current_caps().unwrap_or_else(|| caps.clone());
        let number = |name: &str| -> u32 {
            let of = |caps: &gst::Caps| caps.structure(0).and_then(|s| s.get::<i32>(name).ok());
            of(&parsed)
                .or_else(|| of(caps))
                .and_then(|n| u32::try_from(n).ok())
                .unwrap_or(0)
        };
        if coding.video {
            facts.video = Some(Video {
                codec: coding.name.to_owned(),
                width: number("width"),
                height: number("height"),
                rate_milli: rate(caps).or_else(|| rate(&parsed)),
            });
        } else {
            facts.audio = Some(Audio {
                codec: coding.name.to_owned(),
                channels: number("channels"),
                rate: number("rate"),
            });
        }
    }
    Ok(facts)
}

fn rate(caps: &gst::Caps) -> Option<u64> {
    let rate = caps.structure(0)?.get::<gst::Fraction>("framerate").ok()?;
    let (of, in_seconds) = (u64::try_from(rate.numer()).ok()?, u64::try_from(rate.denom()).ok()?);
    (of > 0 && in_seconds > 0).then(|| of.saturating_mul(1000) / in_seconds)
}
