//! The plugins of GStreamer that jobs may use, no others, and the elements they are made of.

use std::path::Path;

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use media::Reason;

use crate::Fault;

/// Plugins that are loaded, and nothing else is.
const PLUGINS: [&str; 15] = [
    "coreelements",
    "app",
    "isomp4",
    "mpegtsdemux",
    "avi",
    "wavparse",
    "videoparsersbad",
    "audioparsers",
    "libav",
    "jpeg",
    "videoconvertscale",
    "audioconvert",
    "audioresample",
    "x264",
    "pango",
];

/// Where distributions keep them.
const FOLDERS: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/gstreamer-1.0",
    "/usr/lib/aarch64-linux-gnu/gstreamer-1.0",
    "/usr/lib64/gstreamer-1.0",
];

/// Starts GStreamer. What is missing shows where it is needed, see [`make`].
pub(crate) fn start() -> Result<(), Fault> {
    gst::init().map_err(|e| Fault::new(Reason::Tools, e))?;
    load();
    Ok(())
}

/// Loads the plugins; answers those that could not be.
fn load() -> Vec<String> {
    let Some(folder) = FOLDERS.iter().map(Path::new).find(|f| f.is_dir()) else {
        return vec!["gstreamer-1.0".to_owned()];
    };
    let missing = PLUGINS.iter().filter(|name| {
        let file = folder.join(format!("libgst{name}.so"));
        gst::Plugin::load_file(file).is_err()
    });
    missing.map(|name| (*name).to_owned()).collect()
}

/// Plugins that are missing.
pub(crate) fn missing() -> Vec<String> {
    let registry = gst::Registry::get();
    let lacks = PLUGINS.iter().filter(|name| registry.find_plugin(name).is_none());
    lacks.map(|name| (*name).to_owned()).collect()
}

/// An element, which is missing where its plugin is.
pub(crate) fn make(name: &str) -> Result<gst::Element, Fault> {
    gst::ElementFactory::make(name)
        .build()
        .map_err(|_| Fault::new(Reason::Tools, format!("no element {name}")))
}

/// A filter of formats.
pub(crate) fn caps(text: &str) -> Result<gst::Element, Fault> {
    let caps: gst::Caps = text.parse().map_err(|e| Fault::new(Reason::Tools, e))?;
    let filter = make("capsfilter")?;
    filter.set_property("caps", caps);
    Ok(filter)
}

/// A queue that holds what its neighbour is behind by.
pub(crate) fn queue() -> Result<gst::Element, Fault> {
    let queue = make("queue")?;
    queue.set_property("max-size-buffers", 0u32);
    queue.set_property("max-size-time", 0u64);
    queue.set_property("max-size-bytes", 48u32 << 20);
    Ok(queue)
}

/// Adds elements and links each to the next.
pub(crate) fn chain(pipeline: &gst::Pipeline, elements: &[gst::Element]) -> Result<(), Fault> {
    let wrong = |e: glib::BoolError| Fault::new(Reason::Unreadable, e);
    pipeline.add_many(elements).map_err(wrong)?;
    gst::Element::link_many(elements).map_err(wrong)?;
    for element in elements {
        element.sync_state_with_parent().map_err(wrong)?;
    }
    Ok(())
}
