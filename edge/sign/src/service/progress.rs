//! Sessions under way: whose they are, and how far their digests have come.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use gm::key::Hashing;
use gm::{Algorithm, PublicKey};

use super::session::Purpose;
use crate::application::ApplicationId;
use crate::fault::{Code, Fault};
use crate::wrap;

/// A session that is not fed ends after this.
const IDLE: Duration = Duration::from_secs(300);
/// Sessions of one application at a time.
pub const SESSIONS: usize = 64;
/// Sessions of all applications.
const ALL: usize = 4096;

/// A digest in progress.
pub(super) struct Progress {
    pub(super) purpose: Purpose,
    pub(super) algorithm: Algorithm,
    /// The key that must be used in the end.
    pub(super) public_key: Option<PublicKey>,
    pub(super) hashing: Hashing,
    pub(super) bytes: u64,
}

impl Progress {
    /// Whether it may be finished with this key.
    pub(super) fn is_for(&self, key: &PublicKey) -> bool {
        self.public_key.as_ref().is_none_or(|bound| bound == key)
    }
}

struct Slot {
    owner: ApplicationId,
    last: Instant,
    /// Absent while a part is being taken in.
    progress: Option<Box<Progress>>,
}

/// Sessions that were begun.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<String, Slot>>);

impl Sessions {
    pub(super) fn open(&self, owner: &ApplicationId, progress: Progress) -> Result<String, Fault> {
        let id = hex::encode(wrap::random::<16>()?);
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        slots.retain(|_, slot| now.duration_since(slot.last) < IDLE);
        let own = slots.values().filter(|slot| slot.owner == *owner).count();
        if own >= SESSIONS || slots.len() >= ALL {
            return Err(Fault::new(
                Code::TooManySessions,
                format!("每个应用系统最多 {SESSIONS} 个"),
            ));
        }
        let slot = Slot {
            owner: owner.clone(),
            last: now,
            progress: Some(Box::new(progress)),
        };
        slots.insert(id.clone(), slot);
        Ok(id)
    }

    /// Takes the digest out for one act. Another application's session is as unknown as one there is not.
    pub(super) fn take(&self, id: &str, owner: &ApplicationId, purpose: Purpose) -> Result<Box<Progress>, Fault> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots
            .get_mut(id)
            .filter(|slot| slot.owner == *owner && slot.last.elapsed() < IDLE);
        let slot = slot.ok_or(Code::SessionUnknown)?;
        slot.last = Instant::now();
        match slot.progress.take() {
            Some(progress) if progress.purpose == purpose => Ok(progress),
            Some(other) => {
                slot.progress = Some(other);
                Err(Fault::new(Code::SessionUnknown, "会话用于另一种操作"))
            }
            None => Err(Fault::new(Code::Busy, "会话的上一段数据还在处理")),
        }
    }

    pub(super) fn put_back(&self, id: &str, progress: Box<Progress>) {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get_mut(id) {
            slot.progress = Some(progress);
        }
    }

    /// Takes the digest out for good.
    pub(super) fn close(&self, id: &str, owner: &ApplicationId, purpose: Purpose) -> Result<Box<Progress>, Fault> {
        let progress = self.take(id, owner, purpose)?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        Ok(progress)
    }
}
