//! What is derived from footage: facts, a poster, a strip of key frames, a copy that browsers play, what can be rescued of
//! a damaged file, a small preview, an export with the watermark burnt in.
//!
//! Footage is untrusted: each [`Job`] runs in a process of its own, `media-worker`, which confines itself before it reads a
//! byte (memory, processor time, files, network, new processes) and is killed when it takes too long ([`Worker`]). Whatever
//! happens in there is an answer or a named [`Failure`], never the server's end. The original is opened for reading only.
//!
//! ```text
//! server ── Order, one line of JSON ──▶ media-worker ──▶ file in the scratch folder
//!        ◀── {"progress": 40} … {"made": …} or {"failed": …} ──┘
//! ```

mod job;
mod runner;
#[cfg(feature = "worker")]
pub mod salvage;

pub use job::{Answer, Audio, Export, Facts, Job, Made, Order, Reason, Rescued, Strip, Video};
pub use runner::{Failure, Tools, Worker};
