//! Signers whose PIN was proven a short while ago.
//!
//! A PIN is stretched by Argon2id so that a stolen state file with a stolen key of keys still costs a thief work for every
//! guess; that takes tens of milliseconds and 19 MiB. For some minutes after a right PIN the key it opened stays in this
//! process, beside a keyed digest of the PIN, and **the PIN is asked for at each signature as before**: nothing is signed
//! without it, only the stretching is left out when it is the same one. What does not match is a try like any other:
//! counted on the disk first, then stretched. A wrong PIN, a lock, an unlocking, another PIN or another certificate end it;
//! use does not prolong it.
//!
//! As for the key of keys, it is kept only where memory is locked and cannot be dumped.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use sm3::Sm3;
use zeroize::Zeroizing;

use crate::Refusal;
use crate::vault::SignerRow;
use crate::wrap;

/// Signers remembered at a time: more than sign at once in a hospital.
const SIGNERS: usize = 1_024;

/// Keys that a right PIN opened.
pub(super) struct Proven<K> {
    lasts: Duration,
    kept: Mutex<Kept<K>>,
}

struct Kept<K> {
    /// The key of the digests; of this process alone.
    secret: Option<Zeroizing<[u8; 32]>>,
    signers: HashMap<String, One<K>>,
}

impl<K> Default for Kept<K> {
    fn default() -> Self {
        Self {
            secret: None,
            signers: HashMap::new(),
        }
    }
}

impl<K> Default for Proven<K> {
    fn default() -> Self {
        Self {
            lasts: Duration::ZERO,
            kept: Mutex::default(),
        }
    }
}

struct One<K> {
    digest: Zeroizing<[u8; 32]>,
    /// Of the signer as the state file had it.
    row: [u8; 32],
    key: K,
    until: Instant,
}

impl<K: Clone> Proven<K> {
    /// For so long after the stretching; zero keeps nothing.
    pub(super) fn lasting(lasts: Duration) -> Self {
        Self {
            lasts,
            kept: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept<K>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers that this PIN opened this key.
    pub(super) fn put(&self, pin: &str, row: &SignerRow, key: &K, now: Instant) -> Result<(), Refusal> {
        if self.lasts.is_zero() {
            return Ok(());
        }
        let mut kept = self.lock();
        let secret = match &kept.secret {
            Some(secret) => secret.clone(),
            None => kept.secret.insert(Zeroizing::new(wrap::random()?)).clone(),
        };
        let digest = digest(&secret, &row.id, pin)?.finalize().into_bytes();
        if kept.signers.len() >= SIGNERS {
            let oldest = kept.signers.iter().min_by_key(|(_, one)| one.until);
            if let Some(id) = oldest.map(|(id, _)| id.clone()) {
                kept.signers.remove(&id);
            }
        }
        let one = One {
            digest: Zeroizing::new(digest.into()),
            row: fingerprint(row),
            key: key.clone(),
            until: now + self.lasts,
        };
        kept.signers.insert(row.id.clone(), one);
        Ok(())
    }

    /// The key, when this is the PIN that opened it, the signer is the same and may still try.
    pub(super) fn key(&self, pin: &str, row: &SignerRow, now: Instant) -> Option<K> {
        let mut kept = self.lock();
        let secret = kept.secret.clone()?;
        let one = kept.signers.get(&row.id)?;
        if row.tries_left == 0 || one.until <= now || one.row != fingerprint(row) {
            kept.signers.remove(&row.id);
            return None;
        }
        // In constant time; what differs is a try to be counted.
        let same = digest(&secret, &row.id, pin).ok()?.verify_slice(one.digest.as_slice());
        same.is_ok().then(|| one.key.clone())
    }

    /// Ends it for a signer.
    pub(super) fn forget(&self, signer: &str) {
        self.lock().signers.remove(signer);
    }

    /// Ends it for all.
    pub(super) fn forget_all(&self) {
        *self.lock() = Kept::default();
    }

    /// Ends it for those whose time is over.
    pub(super) fn forget_expired(&self, now: Instant) {
        self.lock().signers.retain(|_, one| now < one.until);
    }
}

fn digest(secret: &[u8; 32], signer: &str, pin: &str) -> Result<Hmac<Sm3>, Refusal> {
    let mut mac = Hmac::<Sm3>::new_from_slice(secret).map_err(|_| Refusal::Damaged("PIN"))?;
    mac.update(&(signer.len() as u64).to_be_bytes());
    mac.update(signer.as_bytes());
    mac.update(pin.as_bytes());
    Ok(mac)
}

/// A new PIN, key or certificate gives another one.
fn fingerprint(row: &SignerRow) -> [u8; 32] {
    let mut bytes = Vec::with_capacity(1024);
    for part in [&row.wrapped, &row.salt, &row.certificate] {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    gm::sm3(&bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use gm::Sm2Key;
    use gm::key::Signer;

    const MINUTE: Duration = Duration::from_secs(60);

    fn row(id: &str) -> SignerRow {
        SignerRow {
            root: None,
            id: id.to_owned(),
            organisation: "永州市中心医院".to_owned(),
            name: "王医生".to_owned(),
            role: "doctor".to_owned(),
            certificate: vec![1; 300],
            wrapped: vec![2; 60],
            salt: vec![3; 16],
            tries_left: 5,
        }
    }

    fn key() -> Arc<Sm2Key> {
        Arc::new(Sm2Key::generate().expect("key"))
    }

    #[test]
    fn only_the_same_pin_of_the_same_signer_finds_the_key() {
        let (proven, now, wang, key) = (Proven::lasting(MINUTE), Instant::now(), row("sta_1"), key());
        assert!(proven.key("202611", &wang, now).is_none());
        proven.put("202611", &wang, &key, now).expect("kept");
        let found = proven.key("202611", &wang, now).expect("the key");
        assert_eq!(found.public_key(), key.public_key());
        for wrong in ["202612", "20261", "2026110", ""] {
            assert!(proven.key(wrong, &wang, now).is_none(), "{wrong:?}");
        }
        assert!(proven.key("202611", &row("sta_2"), now).is_none());
        assert!(
            proven.key("202611", &wang, now).is_some(),
            "who counts tries ends it, not who looks"
        );
        proven.forget("sta_1");
        assert!(proven.key("202611", &wang, now).is_none());
    }

    #[test]
    fn it_ends_with_its_time_with_a_lock_and_with_every_change_of_the_signer() {
        let (proven, now, key) = (Proven::lasting(MINUTE), Instant::now(), key());
        let changes: [fn(&mut SignerRow); 4] = [
            |row| row.tries_left = 0,
            |row| row.salt = vec![4; 16],
            |row| row.wrapped = vec![4; 60],
            |row| row.certificate = vec![4; 300],
        ];
        for change in changes {
            let (before, mut after) = (row("sta_1"), row("sta_1"));
            change(&mut after);
            proven.put("202611", &before, &key, now).expect("kept");
            assert!(proven.key("202611", &after, now).is_none());
            assert!(proven.key("202611", &before, now).is_none(), "it does not come back");
        }
        let wang = row("sta_1");
        proven.put("202611", &wang, &key, now).expect("kept");
        assert!(proven.key("202611", &wang, now + MINUTE / 2).is_some());
        assert!(
            proven.key("202611", &wang, now + MINUTE).is_none(),
            "use has not prolonged it"
        );
        proven.put("202611", &wang, &key, now).expect("kept");
        proven.forget_expired(now + MINUTE);
        assert!(proven.lock().signers.is_empty());
    }

    #[test]
    fn so_many_signers_are_remembered_and_none_where_none_shall_be() {
        let (proven, now, key) = (Proven::lasting(MINUTE), Instant::now(), key());
        for signer in 0..SIGNERS + 10 {
            let at = now + Duration::from_millis(signer as u64);
            proven
                .put("202611", &row(&format!("sta_{signer}")), &key, at)
                .expect("kept");
        }
        assert_eq!(proven.lock().signers.len(), SIGNERS);
        assert!(
            proven.key("202611", &row("sta_9"), now).is_none(),
            "the oldest gave way"
        );
        assert!(proven.key("202611", &row("sta_10"), now).is_some());
        proven.forget_all();
        assert!(proven.lock().signers.is_empty());

        let none: Proven<Arc<Sm2Key>> = Proven::default();
        none.put("202611", &row("sta_1"), &key, now).expect("nothing kept");
        assert!(none.lock().signers.is_empty());
    }
}
