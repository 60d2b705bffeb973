//! Marks: short digests by which two ends see whether they speak of the same entries under the same numbers.
//!
//! Two appliances with one disk image write different entries under one number. A cursor alone cannot tell whose the
//! committed ones were, least of all to an appliance whose own were sent and never acknowledged; their marks can.

use sha2::{Digest, Sha256};

use crate::frame::Entry;

/// An entry's number and digest. The digest tells entries apart, it proves nothing to an enemy: both ends are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Number of the entry.
    pub seq: u64,
    /// First eight bytes of SHA-256 over kind, entity, time and body, each with its length before it.
    pub digest: u64,
}

const PACKED: usize = 16;

impl Mark {
    /// The mark of numbers that the sender no longer had, at the first of them: it is like no entry's.
    pub const fn of_gap(first: u64) -> Self {
        Self { seq: first, digest: 0 }
    }

    /// The mark of an entry.
    pub fn of(seq: u64, entry: &Entry) -> Self {
        let mut hash = Sha256::new();
        for part in [
            entry.kind.as_bytes(),
            entry.entity.as_bytes(),
            &entry.at_us.to_be_bytes(),
            &entry.body,
        ] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let digest = hash
            .finalize()
            .first_chunk()
            .map_or(0, |first| u64::from_be_bytes(*first));
        Self { seq, digest }
    }

    /// As they cross the line: number and digest of each, big-endian.
    pub(crate) fn pack(marks: &[Self]) -> Vec<u8> {
        marks
            .iter()
            .flat_map(|m| [m.seq.to_be_bytes(), m.digest.to_be_bytes()].concat())
            .collect()
    }

    /// What [`Self::pack`] wrote; an odd rest is passed over.
    pub(crate) fn unpack(bytes: &[u8]) -> Vec<Self> {
        let number = |half: &[u8]| half.first_chunk().map_or(0, |n| u64::from_be_bytes(*n));
        bytes
            .chunks_exact(PACKED)
            .map(|pair| {
                let (seq, digest) = pair.split_at(PACKED / 2);
                Self {
                    seq: number(seq),
                    digest: number(digest),
                }
            })
            .collect()
    }
}

/// What a sender knows of its own stream when it meets the receiver's cursor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Own {
    /// Everything up to here is known to be shared; our marks begin after it.
    pub(crate) settled: u64,
    /// Newest entry.
    pub(crate) last: u64,
    /// First entry written since this process began, while no cursor was compared.
    pub(crate) suspect_from: Option<u64>,
}

/// Where the receiver's committed entries are no longer ours: the last shared number, or `None` when they are all ours.
/// `theirs` are the newest committed marks up to `applied`; `ours` those of our entries in that range, both ascending.
pub(crate) fn parted_after(theirs: &[Mark], ours: &[Mark], applied: u64, own: Own) -> Option<u64> {
    let Some(known_from) = theirs.first().map(|m| m.seq) else {
        // A build that knew no marks: only what we never wrote is seen to be another's.
        return (applied > own.last).then_some(own.last.max(own.settled));
    };
    let is_theirs = |mark: &Mark| {
        let found = theirs.binary_search_by_key(&mark.seq, |m| m.seq);
        found.ok().and_then(|at| theirs.get(at)) == Some(mark)
    };
    // Histories of one image share their beginning. Where one entry is alike all before it are, also those that one of
    // the two dropped for it.
    let alike = ours.iter().rev().find(|m| is_theirs(m)).map(|m| m.seq);
    // Beyond, an entry that the receiver holds as a gap was dropped by somebody else; we have it.
    let differs = ours.iter().map(|m| m.seq).find(|seq| Some(*seq) > alike);
    if differs.is_none() && applied <= own.last {
        return None;
    }
    let first_foreign = differs.unwrap_or(own.last + 1);
    let shared = if alike.is_some() || known_from <= own.settled + 1 {
        first_foreign - 1
    } else {
        // The receiver no longer knows its marks that far back. What was written before this process began was known to
        // whoever wrote on from this image; without that knowledge entries are rather sent again than lost.
        own.suspect_from
            .map_or(own.settled, |from| from - 1)
            .min(first_foreign - 1)
    };
    Some(shared.max(own.settled))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(numbers: std::ops::RangeInclusive<u64>, history: u64) -> Vec<Mark> {
        numbers
            .map(|seq| Mark {
                seq,
                digest: seq * 1000 + history,
            })
            .collect()
    }

    fn own(settled: u64, last: u64, suspect_from: Option<u64>) -> Own {
        Own {
            settled,
            last,
            suspect_from,
        }
    }

    #[test]
    fn marks_cross_the_line_whole() {
        let sent = marks(7..=9, 1);
        assert_eq!(Mark::unpack(&Mark::pack(&sent)), sent);
        assert_eq!(Mark::unpack(&Mark::pack(&sent)[..40]), sent[..2]);
    }

    #[test]
    fn the_mark_follows_every_part_of_an_entry() {
        let entry = |kind: &str, entity: &str, at_us, body: &str| Entry {
            kind: kind.into(),
            entity: entity.into(),
            at_us,
            body: body.into(),
        };
        let one = Mark::of(1, &entry("his.command", "con_1", 5, "{}"));
        assert_eq!(one, Mark::of(1, &entry("his.command", "con_1", 5, "{}")));
        for other in [
            entry("his.comman", "dcon_1", 5, "{}"),
            entry("his.command", "con_2", 5, "{}"),
            entry("his.command", "con_1", 6, "{}"),
            entry("his.command", "con_1", 5, "{ }"),
        ] {
            assert_ne!(one.digest, Mark::of(1, &other).digest);
        }
    }

    #[test]
    fn ones_own_entries_are_known_again_though_nobody_acknowledged_them() {
        assert_eq!(
            parted_after(&marks(1..=9, 1), &marks(6..=9, 1), 9, own(5, 9, None)),
            None
        );
        // Values dropped for newer ones after they were sent cannot be compared.
        let ours = [marks(6..=6, 1), marks(9..=9, 1)].concat();
        assert_eq!(parted_after(&marks(1..=9, 1), &ours, 9, own(5, 12, None)), None);
    }

    #[test]
    fn what_a_sharer_of_our_history_dropped_for_a_later_entry_that_both_have_is_not_sent_after_it() {
        let theirs = [marks(1..=5, 1), vec![Mark::of_gap(6)], marks(9..=9, 1)].concat();
        let ours = marks(6..=9, 1);
        assert_eq!(parted_after(&theirs, &ours, 9, own(5, 12, None)), None);
        let theirs = [theirs, marks(10..=11, 2)].concat();
        let ours = marks(6..=12, 1);
        assert_eq!(parted_after(&theirs, &ours[..6], 11, own(5, 12, None)), Some(9));
    }

    #[test]
    fn numbers_a_twin_no_longer_had_are_known_as_such_and_ours_under_them_are_sent() {
        let theirs = [vec![Mark::of_gap(6)], marks(9..=9, 2)].concat();
        assert_eq!(parted_after(&theirs, &marks(6..=9, 1), 9, own(5, 9, Some(9))), Some(5));
    }

    #[test]
    fn ours_that_the_receiver_can_no_longer_compare_are_not_taken_for_delivered() {
        let theirs = marks(129..=4250, 2);
        assert_eq!(
            parted_after(&theirs, &marks(121..=4250, 1), 4250, own(120, 5000, None)),
            Some(120)
        );
    }

    #[test]
    fn a_twins_entries_under_our_numbers_are_told_from_ours_however_many_we_sent() {
        let twins = [marks(1..=7, 1), marks(8..=20, 2)].concat();
        assert_eq!(parted_after(&twins, &marks(6..=15, 1), 20, own(5, 15, None)), Some(7));
        assert_eq!(
            parted_after(&twins, &marks(6..=30, 1), 20, own(5, 30, Some(25))),
            Some(7)
        );
    }

    #[test]
    fn a_disk_rolled_back_parts_where_its_image_ends() {
        assert_eq!(
            parted_after(&marks(1..=9, 1), &marks(6..=7, 1), 9, own(5, 7, Some(8))),
            Some(7)
        );
        let wrote_on = [marks(6..=7, 1), marks(8..=9, 2)].concat();
        assert_eq!(
            parted_after(&marks(1..=9, 1), &wrote_on, 9, own(5, 9, Some(8))),
            Some(7)
        );
    }

    #[test]
    fn beyond_what_the_receiver_remembers_the_start_of_the_process_decides_and_then_the_last_acknowledgement() {
        let far = marks(5000..=9000, 1);
        assert_eq!(parted_after(&far, &[], 9000, own(100, 110, Some(104))), Some(103));
        assert_eq!(parted_after(&far, &[], 9000, own(100, 110, None)), Some(100));
    }
}
