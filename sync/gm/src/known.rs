//! Keys that verify often: their tables are kept, so that a signature of theirs takes a third of the time.
//!
//! Only a key whose signatures verified earns a table (forged messages cost no memory), at its third one: until then the
//! table would cost more than it saves. The least recently used key gives way.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use curve::{Bound, KnownKey, Signature};

use crate::Refused;
use crate::key::USER_ID;

/// Verified signatures after which a key gets its table.
const EARNED: u32 = 3;
/// Keys kept when nothing else is said: 22 MiB when all have tables.
const DEFAULT_KEPT: usize = 256;

/// A point as certificates have it.
type Point = [u8; 65];

struct Entry {
    seen: u32,
    /// When it was last used, as a count of uses.
    used: u64,
    bound: Bound,
    table: Option<Arc<KnownKey>>,
}

struct Keys {
    kept: usize,
    uses: u64,
    entries: HashMap<Point, Entry>,
}

static KEYS: LazyLock<Mutex<Keys>> = LazyLock::new(|| Mutex::new(Keys::new(DEFAULT_KEPT)));

/// How many keys' tables the process keeps (86 KiB each): as many as sign regularly; 0 keeps none.
pub fn keep_tables(count: usize) {
    let mut keys = lock(&KEYS);
    keys.kept = count;
    keys.shrink_to(count);
}

/// What was signed.
#[derive(Clone, Copy)]
pub(crate) enum Over<'a> {
    /// A message, under the default user id.
    Message(&'a [u8]),
    /// e, made with whatever id.
    Digest(&'a [u8; 32]),
}

impl Over<'_> {
    fn digest(self, bound: &Bound) -> [u8; 32] {
        match self {
            Self::Message(message) => bound.digest(message),
            Self::Digest(e) => *e,
        }
    }
}

/// Verifies a signature.
pub(crate) fn verify(point: &Point, over: Over<'_>, signature: &Signature) -> Result<(), Refused> {
    verify_among(&KEYS, point, over, signature)
}

fn verify_among(keys: &Mutex<Keys>, point: &Point, over: Over<'_>, signature: &Signature) -> Result<(), Refused> {
    let found = lock(keys).find(point);
    if let Some((bound, Some(table))) = found {
        let e = over.digest(&bound);
        return table.verify(&e, signature).map_err(|_| Refused::SignatureInvalid);
    }
    let key = curve::PublicKey::from_point(point).map_err(|_| Refused::InvalidKey)?;
    let bound = match found {
        Some((bound, _)) => bound,
        None => Bound::new(USER_ID.as_bytes(), &key).map_err(|_| Refused::InvalidKey)?,
    };
    let e = over.digest(&bound);
    key.verify(&e, signature).map_err(|_| Refused::SignatureInvalid)?;
    // The table is made while nobody waits for the lock.
    let earned = lock(keys).count(point, &bound);
    if earned {
        let table = Arc::new(KnownKey::new(&key));
        lock(keys).put(point, table);
    }
    Ok(())
}

fn lock(keys: &Mutex<Keys>) -> MutexGuard<'_, Keys> {
    // Every change is a single insertion or removal: a panic elsewhere leaves nothing half done.
    keys.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Keys {
    fn new(kept: usize) -> Self {
        Self {
            kept,
            uses: 0,
            entries: HashMap::new(),
        }
    }

    fn find(&mut self, point: &Point) -> Option<(Bound, Option<Arc<KnownKey>>)> {
        self.uses += 1;
        let entry = self.entries.get_mut(point)?;
        entry.used = self.uses;
        Some((entry.bound.clone(), entry.table.clone()))
    }

    /// Counts a verified signature; true for the one that earns the table.
    fn count(&mut self, point: &Point, bound: &Bound) -> bool {
        if self.kept == 0 {
            return false;
        }
        if !self.entries.contains_key(point) {
            self.shrink_to(self.kept - 1);
        }
        let used = self.uses;
        let entry = self.entries.entry(*point).or_insert_with(|| Entry {
            seen: 0,
            used,
            bound: bound.clone(),
            table: None,
        });
        entry.seen = entry.seen.saturating_add(1);
        entry.seen == EARNED
    }

    fn put(&mut self, point: &Point, table: Arc<KnownKey>) {
        if let Some(entry) = self.entries.get_mut(point) {
            entry.table = Some(table);
        }
    }

    fn shrink_to(&mut self, count: usize) {
        while self.entries.len() > count {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used);
            let Some(point) = oldest.map(|(point, _)| *point) else {
                return;
            };
            self.entries.remove(&point);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sm2Key;
    use crate::key::Signer;

    const RX: Over<'static> = Over::Message(b"rx");
    const RX_BENT: Over<'static> = Over::Message(b"rX");

    struct Signed {
        point: Point,
        signature: Signature,
    }

    fn signed() -> Signed {
        let key = Sm2Key::generate().expect("key");
        let signature = Signature::from_der(&key.sign(b"rx").expect("signed")).expect("DER");
        Signed {
            point: *key.public_key().point().expect("point"),
            signature,
        }
    }

    fn table(keys: &Mutex<Keys>, point: &Point) -> bool {
        lock(keys).entries.get(point).is_some_and(|entry| entry.table.is_some())
    }

    #[test]
    fn a_key_earns_its_table_by_signatures_that_verify_and_verdicts_stay_the_same() {
        let keys = Mutex::new(Keys::new(2));
        let Signed { point, signature } = signed();
        for _ in 0..5 {
            assert_eq!(
                verify_among(&keys, &point, RX_BENT, &signature),
                Err(Refused::SignatureInvalid)
            );
        }
        assert!(lock(&keys).entries.is_empty(), "what does not verify is not remembered");
        for seen in 1..6 {
            assert_eq!(verify_among(&keys, &point, RX, &signature), Ok(()));
            assert_eq!(
                verify_among(&keys, &point, RX_BENT, &signature),
                Err(Refused::SignatureInvalid)
            );
            assert_eq!(table(&keys, &point), seen >= EARNED);
        }
    }

    #[test]
    fn the_least_recently_used_key_gives_way() {
        let keys = Mutex::new(Keys::new(2));
        let all = [signed(), signed(), signed()];
        let verify = |which: usize| verify_among(&keys, &all[which].point, RX, &all[which].signature);
        for _ in 0..EARNED {
            assert_eq!((verify(0), verify(1)), (Ok(()), Ok(())));
        }
        assert_eq!(verify(0), Ok(()));
        assert_eq!(verify(2), Ok(()));
        assert!(table(&keys, &all[0].point));
        assert!(!lock(&keys).entries.contains_key(&all[1].point));
        assert_eq!(lock(&keys).entries.len(), 2);
        assert_eq!(verify(1), Ok(()), "it still verifies");
    }

    #[test]
    fn none_are_kept_when_none_are_wanted() {
        let keys = Mutex::new(Keys::new(0));
        let Signed { point, signature } = signed();
        for _ in 0..5 {
            assert_eq!(verify_among(&keys, &point, RX, &signature), Ok(()));
        }
        assert!(lock(&keys).entries.is_empty());
    }
}
