//! The key of keys: sealed by the TPM, and held for a minute after it was unsealed.
//!
//! It is held only in a process whose memory is locked and cannot be dumped; elsewhere it is unsealed for every act. Before
//! it is used again the TPM is asked for the measured state: an absent chip or a changed state stops everything at once,
//! as it does when the key is unsealed anew. After a minute the TPM unseals it again, so that a chip that was taken away
//! and one that merely answers the same are told apart.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use attest::{Measured, Sealed};
use zeroize::Zeroizing;

use super::Engine;
use crate::Refusal;
use crate::wrap;

/// Held for so long after it was unsealed, however often it is used.
const HELD: Duration = Duration::from_secs(60);

/// The key of keys while it is held; wiped when its time is over.
#[derive(Default)]
pub(super) struct Holding(Mutex<Option<Held>>);

struct Held {
    /// What it was unsealed from.
    sealed: String,
    /// The machine's state before it was unsealed.
    measured: Measured,
    kek: Zeroizing<Vec<u8>>,
    until: Instant,
}

impl Holding {
    fn lock(&self) -> MutexGuard<'_, Option<Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, sealed: &str, measured: &Measured, now: Instant) -> Option<Zeroizing<Vec<u8>>> {
        let mut held = self.lock();
        if !held
            .as_ref()
            .is_some_and(|held| held.sealed == sealed && held.measured == *measured && now < held.until)
        {
            *held = None;
        }
        held.as_ref().map(|held| held.kek.clone())
    }

    /// Wipes it.
    pub(super) fn forget(&self) {
        *self.lock() = None;
    }

    /// Wipes it when its time is over.
    pub(super) fn forget_expired(&self, now: Instant) {
        let mut held = self.lock();
        if held.as_ref().is_some_and(|held| held.until <= now) {
            *held = None;
        }
    }
}

impl Engine {
    /// The key of keys for one act; made and sealed at the very first.
    pub(crate) fn kek(&self) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let text = match self.vault.write(|unit| unit.kek())? {
            Some(text) => text,
            None => self.make_kek()?,
        };
        let sealed: Sealed = serde_json::from_str(&text).map_err(|_| Refusal::Damaged("sealed key"))?;
        if !self.may_hold_secrets() {
            return self.unseal(&text, &sealed);
        }
        let measured = sealed.measured(&self.tpm).inspect_err(|_| self.holding.forget())?;
        if let Some(kek) = self.holding.get(&text, &measured, Instant::now()) {
            return Ok(kek);
        }
        let kek = self.unseal(&text, &sealed)?;
        *self.holding.lock() = Some(Held {
            sealed: text,
            measured,
            kek: kek.clone(),
            until: Instant::now() + HELD,
        });
        Ok(kek)
    }

    /// Makes and seals it, unless somebody else just did.
    fn make_kek(&self) -> Result<String, Refusal> {
        let fresh = Zeroizing::new(wrap::random::<32>()?);
        let sealed = Sealed::under(&self.tpm, fresh.as_slice(), &self.rules.pcrs, self.approver())?;
        let text = serde_json::to_string(&sealed).map_err(|_| Refusal::Damaged("sealed key"))?;
        let now = self.clock.now();
        let kept = self.vault.write(|unit| {
            if unit.kek()?.is_none() {
                unit.put_kek(&text, now)?;
                unit.log(now, "kek.sealed", "", &format!("pcrs {:?}", self.rules.pcrs))?;
            }
            unit.kek()
        })?;
        kept.ok_or(Refusal::Damaged("sealed key"))
    }
}
