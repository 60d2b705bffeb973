//! Keys and settings on more than one appliance 多机互备: one appliance, the *source* 主设备, sends what applications are
//! served with to others, its *followers* 跟随设备, so that any of them answers behind a balancer.
//!
//! # What travels
//! Server keys that are wrapped under the TPM with their states and certificates, the hospital's own authorities with what
//! they revoked, applications with their policies and request keys, chains, kept certificates, signers. It travels whole:
//! a follower becomes as its source is, and a key that was destroyed there is destroyed here. Not: keys in PKCS#11 and SDF
//! devices (they do not leave them; an application asking the follower for one is told that it has no such key),
//! accounts, TLS keys, settings of the machine, the time-stamp unit (two units with one key could give one serial number
//! twice), the log (each appliance accounts for what it did itself).
//!
//! **Signers' keys** travel as they are wrapped: under a root *and* the signer's PIN (`engine::signer_root`). The root goes
//! as every other key; the PIN goes nowhere, and opens the same key on the follower. Each appliance counts wrong tries for
//! itself; who is locked at the source is locked at the follower with the next package. A signer enrolled on the follower,
//! or with a PIN changed there, stays so until the source changes it. Signers from before there were roots come along when
//! they have changed their PIN.
//!
//! # Why nobody on the way gets a key
//! Each package has its own content key. It is put into a credential (`TPM2_MakeCredential`) for the follower's
//! endorsement key *and* the name of its attestation key: only the TPM that has both gives it back, inside the guarded
//! process of `signd`, where each key is at once wrapped under that appliance's own key of keys. Inside the package keys
//! are wrapped once more under the content key. The whole package is signed by a key in the source's TPM, so that a
//! follower knows whose it is; packages are numbered, and a number that was taken is never taken again.
//!
//! So the connection needs to keep no secret, and it does not have to prove who is at its end: it is a pipe, like the
//! postman who carries the same package as a file. Certificates of management pages are made by the machines themselves
//! and renewed at will; trust that hung on them would break at every renewal, or be clicked away.
//!
//! # Pairing
//! ```text
//! proposed ──approve──▶ approved ──end──▶ ended
//!     └──────────────────end─────────────────▲
//! ```
//! Each appliance has an [`introduction`]: endorsement key with its maker's certificate, attestation key, signing key,
//! measured state, bound together by the TPM. An administrator of each side takes the other's introduction; it is judged
//! without a TPM. Where the makers' roots are configured (`[replica] endorsement_roots`) the endorsement key's certificate
//! must lead to one of them; where not, nobody but people can say that the key belongs to the machine next door: then the
//! fingerprint is compared by **two** administrators, the one who proposed and another one who types it in to approve.
//! Which of both it was is in the log and on the page. Both sides must have approved before anything is sent or taken.
//!
//! # A follower follows
//! While an appliance follows, what it gets from its source cannot be changed on it: a change would be lost with the next
//! package, without a word. When the source is gone for good, an administrator ends the pairing on the follower and goes
//! on there.

mod content;
mod courier;
mod introduction;
mod own;
mod package;
mod pairing;
mod taking;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gm::Trust;
use records::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, Semaphore};
use utoipa::ToSchema;

use crate::Refusal;
use crate::config::ReplicaConfig;
use crate::engine::Engine;
use crate::service::Service;

pub(crate) use pairing::{Proposal, Replication};
pub(crate) use taking::Receipt;

/// Packages received at a time: their senders are not known yet.
const TURNS: usize = 4;

/// What a paired appliance is to this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PeerRole {
    /// It sends; this appliance follows it.
    Source,
    /// It follows this appliance.
    Follower,
}

impl PeerRole {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Follower => "follower",
        }
    }
}

/// How far a pairing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PeerState {
    /// Its introduction was taken; nobody has approved it.
    Proposed,
    /// Packages go to it, or are taken from it.
    Approved,
    /// No more.
    Ended,
}

impl PeerState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Approved => "approved",
            Self::Ended => "ended",
        }
    }
}

/// What an endorsement key is believed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Belief {
    /// Its maker's certificate leads to a configured root.
    Certificate,
    /// Two people compared the fingerprint.
    People,
}

impl Belief {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::People => "people",
        }
    }
}

/// What keeps this appliance and its peers alike.
pub(crate) struct Replica {
    service: Arc<Service>,
    /// This appliance's keys in the TPM, once it has answered.
    own: Mutex<Option<Arc<own::Own>>>,
    /// Makers of TPMs.
    roots: Option<Trust>,
    name: String,
    following: AtomicBool,
    wake: Notify,
    /// Packages received at a time.
    pub(crate) turns: Semaphore,
    /// When a package from the line was last refused.
    refused_at: Mutex<Option<Timestamp>>,
}

impl Replica {
    /// With the settings, and the pairings as they are.
    pub(crate) fn start(service: Arc<Service>, config: &ReplicaConfig) -> Result<Self, Refusal> {
        let roots = config.endorsement_roots.as_deref().map(read_roots).transpose()?;
        let name = config.name.clone().unwrap_or_else(|| {
            let host = rustix::system::uname();
            host.nodename().to_string_lossy().into_owned()
        });
        let replica = Self {
            service,
            own: Mutex::new(None),
            roots,
            name,
            following: AtomicBool::new(false),
            wake: Notify::new(),
            turns: Semaphore::new(TURNS),
            refused_at: Mutex::default(),
        };
        replica.look()?;
        Ok(replica)
    }

    fn engine(&self) -> &Engine {
        &self.service.engine
    }

    /// What is served here comes from another appliance, and is changed there.
    pub(crate) fn follows(&self) -> bool {
        self.following.load(Ordering::Relaxed)
    }

    /// Packages are expected by the line at all.
    pub(crate) fn expects(&self) -> Result<(), Refusal> {
        if self.follows() {
            Ok(())
        } else {
            Err(taking::unpaired())
        }
    }

    /// Something changed that followers should have.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Whether a refusal of what came by the line gets an entry: one a second, so that nobody can fill the disk by knocking.
    fn enters_refusal(&self, now: Timestamp) -> bool {
        let mut last = self.refused_at.lock().unwrap_or_else(PoisonError::into_inner);
        let enters = last.is_none_or(|last| last.as_seconds() != now.as_seconds());
        *last = Some(now);
        enters
    }

    /// Takes the pairings as they are.
    fn look(&self) -> Result<(), Refusal> {
        let peers = self.engine().vault.read(|unit| unit.peers())?;
        let source = |row: &crate::vault::PeerRow| {
            row.role == PeerRole::Source.name() && row.state == PeerState::Approved.name()
        };
        self.following.store(peers.iter().any(source), Ordering::Relaxed);
        Ok(())
    }
}

fn read_roots(path: &Path) -> Result<Trust, Refusal> {
    let unreadable = || {
        let text = format!("配置的 TPM 厂商根证书文件 {} 无法读取。", path.display());
        Refusal::no("replica_roots", text)
    };
    let file = std::fs::read(path).map_err(|_| unreadable())?;
    let all = crate::manage::bundle::certificates(&file).map_err(|_| unreadable())?;
    let (roots, below): (Vec<_>, Vec<_>) = all.iter().partition(|one| one.is_issued_by(one).is_ok());
    let trust = Trust::new(roots.iter().map(|one| &one.der))?;
    Ok(trust.with_authorities(below.iter().map(|one| &one.der))?)
}
