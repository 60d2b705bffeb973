//! Revoked serial numbers, compact and sorted. Half a million 16-byte serials take 10.5 MB.

use time::OffsetDateTime;

use crate::evidence::{Reason, Revoked};

/// Longest serial number (RFC 5280 4.1.2.2).
const LONGEST: usize = 20;
/// Behind the serial: four bytes of Unix seconds, one of reason.
const TAIL: usize = 5;

/// Per length of the serial one run of records `serial ‖ seconds ‖ reason`, sorted by serial.
#[derive(Debug, Clone, Default)]
pub(super) struct Set {
    runs: Vec<Vec<u8>>,
}

/// One revocation on its way into the set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'a> {
    pub(super) serial: &'a [u8],
    /// Unix seconds; dates before 1970 are 0, after 2106 the last second of it: both mean "always" and "never yet".
    pub(super) seconds: u32,
    pub(super) reason: Reason,
}

impl Record<'_> {
    fn revoked(self) -> Revoked {
        let at = OffsetDateTime::from_unix_timestamp(i64::from(self.seconds)).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        Revoked {
            at,
            reason: self.reason,
        }
    }
}

/// Seconds as records keep them.
pub(super) fn seconds(at: OffsetDateTime) -> u32 {
    u32::try_from(at.unix_timestamp().max(0)).unwrap_or(u32::MAX)
}

impl Set {
    /// Adds without sorting; `false` when the serial is too long or empty.
    pub(super) fn push(&mut self, record: Record<'_>) -> bool {
        let length = record.serial.len();
        if length == 0 || length > LONGEST {
            return false;
        }
        if self.runs.len() < length {
            self.runs.resize(length, Vec::new());
        }
        let Some(run) = self.runs.get_mut(length - 1) else {
            return false;
        };
        run.extend_from_slice(record.serial);
        run.extend_from_slice(&record.seconds.to_be_bytes());
        run.push(record.reason as u8);
        true
    }

    /// Sorts; of a serial that occurs twice the later record stands.
    pub(super) fn sort(&mut self) {
        for (index, run) in self.runs.iter_mut().enumerate() {
            let (serial, stride) = (index + 1, index + 1 + TAIL);
            if !ascending(run, serial, stride) {
                *run = sorted(run, serial, stride);
            }
            run.shrink_to_fit();
        }
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        let strides = (1 + TAIL)..;
        self.runs
            .iter()
            .zip(strides)
            .map(|(run, stride)| run.len() / stride)
            .sum()
    }

    /// Bytes on the heap.
    pub(super) fn memory(&self) -> usize {
        self.runs.iter().map(Vec::capacity).sum()
    }

    /// The revocation of this serial: a binary search.
    pub(super) fn find(&self, serial: &[u8]) -> Option<Revoked> {
        let length = serial.len();
        let run = self.runs.get(length.checked_sub(1)?)?;
        let stride = length + TAIL;
        let (mut low, mut high) = (0, run.len() / stride);
        while low < high {
            let middle = low + (high - low) / 2;
            let record = record(run.get(middle * stride..(middle + 1) * stride)?, length)?;
            match record.serial.cmp(serial) {
                std::cmp::Ordering::Equal => return Some(record.revoked()),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// All records, shorter serials first.
    pub(super) fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        self.runs.iter().enumerate().flat_map(|(index, run)| {
            run.chunks_exact(index + 1 + TAIL)
                .filter_map(move |bytes| record(bytes, index + 1))
        })
    }

    /// This set with the changes of a delta: `removeFromCRL` takes out, anything else puts in or replaces.
    pub(super) fn with(&self, delta: &Self) -> Self {
        let mut merged = Self::default();
        for record in self.iter().filter(|record| delta.find(record.serial).is_none()) {
            merged.push(record);
        }
        for record in delta.iter().filter(|record| record.reason != Reason::RemoveFromCrl) {
            merged.push(record);
        }
        merged.sort();
        merged
    }
}

fn record(bytes: &[u8], length: usize) -> Option<Record<'_>> {
    let (serial, tail) = bytes.split_at_checked(length)?;
    let [a, b, c, d, reason] = tail else { return None };
    Some(Record {
        serial,
        seconds: u32::from_be_bytes([*a, *b, *c, *d]),
        reason: Reason::from_code(*reason)?,
    })
}

fn serial_of(run: &[u8], at: usize, serial: usize, stride: usize) -> &[u8] {
    run.get(at * stride..at * stride + serial).unwrap_or_default()
}

fn ascending(run: &[u8], serial: usize, stride: usize) -> bool {
    (1..run.len() / stride).all(|at| serial_of(run, at - 1, serial, stride) < serial_of(run, at, serial, stride))
}

fn sorted(run: &[u8], serial: usize, stride: usize) -> Vec<u8> {
    let count = u32::try_from(run.len() / stride).unwrap_or(u32::MAX);
    let mut order: Vec<u32> = (0..count).collect();
    // Equal serials: the later one first, and the first one is kept.
    order.sort_unstable_by(|a, b| {
        let key = |at: u32| serial_of(run, at as usize, serial, stride);
        key(*a).cmp(key(*b)).then(b.cmp(a))
    });
    order.dedup_by(|later, kept| {
        serial_of(run, *later as usize, serial, stride) == serial_of(run, *kept as usize, serial, stride)
    });
    let mut out = Vec::with_capacity(order.len() * stride);
    for at in order {
        let start = at as usize * stride;
        out.extend_from_slice(run.get(start..start + stride).unwrap_or_default());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(serials: &[(&[u8], u32)]) -> Set {
        let mut set = Set::default();
        for (serial, seconds) in serials {
            assert!(set.push(Record {
                serial,
                seconds: *seconds,
                reason: Reason::Superseded,
            }));
        }
        set.sort();
        set
    }

    #[test]
    fn every_serial_is_found_whatever_the_order_and_no_other() {
        let set = set(&[
            (&[9], 1),
            (&[3], 2),
            (&[3, 9], 3),
            (&[3, 1], 4),
            (&[0xff; 20], 5),
            (&[3], 6),
        ]);
        assert_eq!(set.len(), 5);
        let seconds = |serial: &[u8]| set.find(serial).map(|r| r.at.unix_timestamp());
        assert_eq!(seconds(&[9]), Some(1));
        assert_eq!(seconds(&[3]), Some(6), "the later of two");
        assert_eq!(seconds(&[3, 1]), Some(4));
        assert_eq!(seconds(&[0xff; 20]), Some(5));
        for absent in [&[][..], &[4], &[3, 2], &[0xff; 19], &[0xff; 21]] {
            assert_eq!(seconds(absent), None);
        }
    }

    proptest::proptest! {
        #[test]
        fn a_set_is_a_map(entries in proptest::collection::vec((proptest::collection::vec(0u8..4, 1..4), 0u32..1000), 0..60)) {
            let mut map = std::collections::BTreeMap::new();
            let mut set = Set::default();
            for (serial, seconds) in &entries {
                map.insert(serial.clone(), *seconds);
                set.push(Record { serial, seconds: *seconds, reason: Reason::Unspecified });
            }
            set.sort();
            proptest::prop_assert_eq!(set.len(), map.len());
            for (serial, seconds) in &map {
                let found = set.find(serial).map(|r| r.at.unix_timestamp());
                proptest::prop_assert_eq!(found, Some(i64::from(*seconds)));
            }
        }
    }
}
