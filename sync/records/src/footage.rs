//! Work recorders (工作记录仪) and their footage across the line: who has which recorder goes down, what was taken from it
//! comes up, and a clip is cleared from its recorder only after the cloud has confirmed it.
//!
//! ```text
//! cloud → edge   recorder.listed · recorder.unlisted · recorder.issued · recorder.returned · footage.confirmed · footage.refused
//! edge → cloud   recorder.docking · footage.sealed · footage.cleared
//! ```

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::id::EdgeId;

crate::id_type!(
    /// One stay of a recorder in a bay (入坞).
    DockingId,
    "dok"
);
crate::id_type!(
    /// One file of a recorder (片段).
    ClipId,
    "clp"
);
crate::id_type!(
    /// One issue of a recorder to a person (发放).
    IssueId,
    "iss"
);

/// Kinds of log entries, as written in the envelope.
pub mod kind {
    /// cloud → edge: a recorder is on the white list; body [`super::RecorderListed`].
    pub const RECORDER_LISTED: &str = "recorder.listed";
    /// cloud → edge: a recorder is not (any more); body [`super::RecorderUnlisted`].
    pub const RECORDER_UNLISTED: &str = "recorder.unlisted";
    /// cloud → edge: a recorder was given to a person; body [`super::RecorderIssue`].
    pub const RECORDER_ISSUED: &str = "recorder.issued";
    /// cloud → edge: an issue ended; body [`super::RecorderReturn`].
    pub const RECORDER_RETURNED: &str = "recorder.returned";
    /// edge → cloud: how a docking stands; body [`super::DockingReport`].
    pub const RECORDER_DOCKING: &str = "recorder.docking";
    /// edge → cloud: a clip is here, verified, signed and uploaded; body [`super::SealedFootage`].
    pub const FOOTAGE_SEALED: &str = "footage.sealed";
    /// cloud → edge: the clip is kept by the cloud; body [`super::FootageConfirmed`].
    pub const FOOTAGE_CONFIRMED: &str = "footage.confirmed";
    /// cloud → edge: the clip could not be confirmed; body [`super::FootageRefused`].
    pub const FOOTAGE_REFUSED: &str = "footage.refused";
    /// edge → cloud: the clip was cleared from its recorder; body [`super::FootageCleared`].
    pub const FOOTAGE_CLEARED: &str = "footage.cleared";
}

/// A recorder of the hospital: its footage is taken in and cleared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecorderListed {
    /// Serial number, its identity.
    pub serial: String,
    /// Make and model.
    pub model: String,
    /// Name of the hospital: the organisation under which custody entries are signed.
    pub hospital: String,
    /// When.
    pub at: Timestamp,
}

/// A recorder whose footage is not taken: retired, removed from the white list, deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecorderUnlisted {
    /// Serial number.
    pub serial: String,
    /// Why, in plain words.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// Who has a recorder, and for which order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecorderIssue {
    /// Id.
    pub id: IssueId,
    /// The recorder.
    pub serial: String,
    /// Staff id of who has it.
    pub holder: String,
    /// Their name.
    pub holder_name: String,
    /// Number of the order (护理订单) it is used for; may be empty.
    pub order: String,
    /// When it was given out.
    pub at: Timestamp,
}

/// An issue ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecorderReturn {
    /// The issue.
    pub id: IssueId,
    /// The recorder.
    pub serial: String,
    /// When.
    pub at: Timestamp,
}

/// How a docking stands; sent at each change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DockingReport {
    /// Id.
    pub id: DockingId,
    /// The recorder; empty when it could not be told.
    pub serial: String,
    /// Make and model as it says itself.
    pub model: String,
    /// Where it is plugged.
    pub place: String,
    /// `arrived`, `held`, `copying`, `waiting`, `clearing`, `ready`, `kept`, `pulled`, `interrupted`, `left`.
    pub state: String,
    /// Plain words.
    pub note: String,
    /// When it came.
    pub arrived_at: Timestamp,
    /// Milliseconds by which the recorder's clock was ahead when it came, if it tells its time.
    pub clock_offset_ms: Option<i64>,
    /// Percent, if it tells.
    pub battery: Option<u8>,
    /// Files found.
    pub clips: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files cleared.
    pub cleared: u64,
    /// Pauses between one file and the next that are longer than allowed.
    #[serde(default)]
    pub gaps: Vec<FootageGap>,
    /// When it came to this.
    pub at: Timestamp,
}

/// A pause in a recorder's footage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FootageGap {
    /// End of the file before, by corrected time.
    pub from: Timestamp,
    /// Beginning of the file after.
    pub to: Timestamp,
}

/// What a custody entry (保管链条目) says. Its canonical bytes are what is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustodyEntry {
    /// `yiqiao.custody/1`.
    pub format: String,
    /// The appliance that took the clip.
    pub appliance: EdgeId,
    /// Place in the appliance's chain, from 1.
    pub sequence: u64,
    /// SM3 of the canonical bytes of the entry before, hex; 64 zeros before the first.
    pub previous: String,
    /// The clip.
    pub clip: ClipId,
    /// The docking in which it was taken.
    pub docking: DockingId,
    /// The recorder's serial number.
    pub recorder: String,
    /// Its make and model.
    pub model: String,
    /// Who had it; absent when it was given to nobody.
    pub issue: Option<CustodyIssue>,
    /// Path on the recorder; what is no readable text is written `%XX`.
    pub file: String,
    /// Bytes.
    pub size: u64,
    /// SM3 of the file, hex.
    pub sm3: String,
    /// SHA-256 of the file, hex.
    pub sha256: String,
    /// `mp4`, `ts`, `avi`, `wav`, `jpeg`, `other`.
    pub container: String,
    /// `complete`, `truncated`, `damaged`, `unknown`.
    pub condition: String,
    /// When the recording began, by the recorder's own clock, if that can be told.
    pub recorded_at: Option<Timestamp>,
    /// Its length in milliseconds, if that can be told.
    pub duration_ms: Option<u64>,
    /// Milliseconds by which the recorder's clock was ahead at docking.
    pub clock_offset_ms: Option<i64>,
    /// When the recorder was docked.
    pub docked_at: Timestamp,
    /// When the copy was verified.
    pub copied_at: Timestamp,
}

impl CustodyEntry {
    /// Of this form.
    pub const FORMAT: &'static str = "yiqiao.custody/1";
    /// What the first entry of a chain names as the one before.
    pub const FIRST: &'static str = "0000000000000000000000000000000000000000000000000000000000000000";
    /// Role of the appliance in its certificate (organisational unit).
    pub const SIGNER_ROLE: &'static str = "appliance";

    /// When the recording began by the time of the appliance.
    pub fn corrected_at(&self) -> Option<Timestamp> {
        let own = self.recorded_at?;
        let ahead = self.clock_offset_ms.unwrap_or(0).saturating_mul(1000);
        Some(Timestamp::from_micros(own.as_micros().saturating_sub(ahead)))
    }
}

/// Who had the recorder when the clip was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustodyIssue {
    /// The issue.
    pub id: IssueId,
    /// Staff id.
    pub holder: String,
    /// Name.
    pub holder_name: String,
    /// Number of the order.
    pub order: String,
    /// When it was given out.
    pub issued_at: Timestamp,
}

/// A clip as the appliance hands it over. The blob was uploaded whole before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedFootage {
    /// The clip.
    pub clip: ClipId,
    /// Canonical bytes of its [`CustodyEntry`], base64.
    pub entry: String,
    /// Signature over them: CMS SignedData, detached (GB/T 35275), DER, base64.
    pub cms: String,
}

/// The cloud keeps the clip durably, its hashes agree with the entry and the entry's signature holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FootageConfirmed {
    /// The clip.
    pub clip: ClipId,
    /// SHA-256 of what the cloud keeps, hex; read by the cloud itself.
    pub sha256: String,
    /// When.
    pub at: Timestamp,
}

/// The cloud could not confirm a clip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FootageRefused {
    /// The clip.
    pub clip: ClipId,
    /// Why.
    pub reason: FootageRefusal,
    /// Plain words.
    pub text: String,
    /// When.
    pub at: Timestamp,
}

/// Why a clip was not confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FootageRefusal {
    /// The blob is not there (any more): upload it again.
    Missing,
    /// Entry, signature and blob do not fit each other: a person has to look.
    Unsound,
}

/// A clip was cleared from its recorder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FootageCleared {
    /// The clip.
    pub clip: ClipId,
    /// When.
    pub at: Timestamp,
}
