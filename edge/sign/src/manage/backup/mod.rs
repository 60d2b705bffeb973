//! Backup and restore of the configuration 备份与恢复, and the custodians 密钥托管人 who can restore it elsewhere.
//!
//! # What is in it
//! Applications, chains, kept certificates, settings, accounts, server keys, the hospital's own authorities. Not in it: the
//! log and the journal (they say what *this* device did), TLS keys (they name this device), keys that live in devices
//! (their record is), and **signers' keys**: they are wrapped under a key that is derived from a root
//! *and* the signer's PIN, and roots go to an attested appliance only (`crate::replica`), not into a file that lies about.
//! On the same device they are untouched by a restore; on another one signers enrol anew.
//!
//! # How it is kept
//! One file ([`file`]): a header that says who made it, and a body under a fresh key. That key is wrapped twice: under this
//! device's key of keys, and under the custodians' recovery key, which is split m of n ([`share`]). Keys inside the body
//! are wrapped once more under the file's key: they are never plain, not even in the opened body.
//!
//! # Restoring
//! The opened file is previewed, then applied in one unit of work or not at all. Keys of this device that the file does
//! not know are kept, and a destroyed key stays destroyed.

pub(crate) mod content;
mod custodians;
mod file;
mod preview;
pub(crate) mod restore;
mod share;

use records::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Refusal;
use crate::engine::Engine;

pub(crate) use restore::Staged;

/// A custodian's share.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ShareText {
    /// Whose it is.
    pub(crate) name: String,
    /// The share: to be printed or kept as a file; it carries a checksum.
    pub(crate) text: String,
    /// A name for the file.
    pub(crate) file_name: String,
}

/// What restoring would change.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Preview {
    /// To be sent back to restore; good for ten minutes.
    pub(crate) token: String,
    /// When the backup was made.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) made_at: Timestamp,
    /// By which version.
    pub(crate) version: String,
    /// It was made on this device.
    pub(crate) own: bool,
    /// What changes, line by line.
    pub(crate) changes: Vec<Change>,
}

/// What becomes of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Change {
    /// The kind of thing.
    pub(crate) kind: Kind,
    /// Which one.
    pub(crate) name: String,
    /// What becomes of it.
    pub(crate) what: What,
}

/// Kinds of things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Account,
    Key,
    Authority,
    Application,
    Chain,
    Certificate,
    Setting,
}

/// What becomes of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum What {
    /// It is there only in the backup.
    Added,
    /// It becomes as it is in the backup.
    Changed,
    /// It is there only here, and goes.
    Removed,
    /// It is there only here, and stays.
    Kept,
}

/// The same bytes for the same device, different for every other: derived from the sealed key of keys, which no other
/// device has.
fn device_id(kek: &[u8]) -> String {
    hex::encode(&gm::key::sha256(&[&b"signd device"[..], &gm::key::sha256(kek)].concat())[..8])
}

impl Engine {
    /// The configuration as one encrypted file, and a name for it.
    pub(crate) fn backup(&self, by: &str) -> Result<(String, Vec<u8>), Refusal> {
        let kek = self.kek()?;
        let now = self.clock.now();
        let (file, header) = self.vault.write(|unit| {
            let made = file::make(unit, &kek, now)?;
            unit.log(now, "backup.made", by, &format!("format {}", file::FORMAT))?;
            Ok(made)
        })?;
        let day = now.local_date().to_string().replace('-', "");
        Ok((format!("signd-{}-{day}.yqbackup", header.device), file))
    }
}
