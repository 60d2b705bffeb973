//! What docking needs of others.

use std::path::Path;

use async_trait::async_trait;
use recorder::Plugged;
use records::Outcome;

/// The appliance as a signer at the signature server. The secret number only tells its key from others' at the same server,
/// whose socket is open to our user alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// Id at the signature server.
    pub id: String,
    /// Its secret number.
    pub pin: String,
    /// Organisation in its certificate.
    pub organisation: String,
}

/// Signs custody entries.
#[async_trait]
pub trait Sealer: Send + Sync {
    /// A detached signature over these bytes (CMS, DER, base64). The same key with the same bytes answers the same.
    async fn seal(&self, signer: &Signer, key: &str, document: &[u8]) -> Outcome<String>;
}

/// What became of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carried {
    /// The cloud has all of it; SHA-256 of what was sent, hex.
    Whole(String),
    /// Our copy cannot be read.
    Unreadable(String),
    /// Not now; the reason.
    Later(String),
}

/// Brings files to the cloud.
#[async_trait]
pub trait Carrier: Send + Sync {
    /// Sends a file; goes on where the cloud stands.
    async fn carry(&self, file: &Path) -> Carried;
}

/// What the bay's light says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Light {
    /// Its footage is on the way: do not pull.
    Busy,
    /// Empty and charged: may be taken.
    Ready,
    /// A person has to look.
    Attention,
    /// This is the one that was issued: take it; the lock is open.
    Take,
}

/// The bays of the dock.
pub trait Bays: Send + Sync {
    /// Shows how it stands with the recorder of this serial number. Asked again at each change; a dock that is away loses
    /// nothing but light.
    fn show(&self, serial: &str, light: Light);

    /// The bay at a port, for people; none when no bay is wired to it.
    fn place(&self, _port: &str) -> Option<String> {
        None
    }

    /// What is plugged told who it is; without a number: it left.
    fn seat(&self, _plugged: &Plugged, _serial: Option<&str>) {}
}

/// A dock without lights.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoBays;

impl Bays for NoBays {
    fn show(&self, _: &str, _: Light) {}
}
