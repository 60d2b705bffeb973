//! Large things: content-addressed, sent over HTTPS in parts, resumed where the receiver stands.
//!
//! A subset of tus 1.0. `POST /blobs` with `Upload-Digest` and `Upload-Length` begins (200 and `Upload-Complete: 1`
//! when the content is there already: a second upload sends no byte); `HEAD /blobs/{digest}` tells `Upload-Offset`;
//! `PATCH /blobs/{digest}` with `Upload-Offset` and `Upload-Checksum` adds one part, each a complete request, durable
//! when it is answered. 409 carries the receiver's offset: ask and go on. 422: the part was damaged, nothing was kept.
//! When the last part is in, the digest of the whole is checked before the blob exists under its name.
//!
//! The appliance proves itself with its certificate; the log entry that names the digest is appended only after
//! [`Uploader::upload`] has returned.

mod folder;
mod receive;
mod upload;

pub use folder::{Expired, FolderSink};
pub use receive::{Progress, Sink, SinkError, routes};
pub use upload::{UploadError, Uploader};

use sha2::{Digest as _, Sha256};

/// The name of a content: `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(String);

impl Digest {
    const PREFIX: &'static str = "sha256:";

    /// Reads a digest; `None` when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.strip_prefix(Self::PREFIX)?;
        let fits = hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        fits.then(|| Self(text.to_owned()))
    }

    /// Of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::finish(Sha256::new_with_prefix(bytes))
    }

    pub(crate) fn finish(hash: Sha256) -> Self {
        Self(format!("{}{}", Self::PREFIX, hex::encode(hash.finalize())))
    }

    /// The text, as named in log entries.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The hexadecimal part.
    pub fn hex(&self) -> &str {
        self.0.strip_prefix(Self::PREFIX).unwrap_or_default()
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

pub(crate) const OFFSET: &str = "upload-offset";
pub(crate) const LENGTH: &str = "upload-length";
pub(crate) const DIGEST: &str = "upload-digest";
pub(crate) const CHECKSUM: &str = "upload-checksum";
pub(crate) const COMPLETE: &str = "upload-complete";
