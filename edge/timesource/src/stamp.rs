//! Timestamps of NTP, and the eras they do not name.

use records::Timestamp;

/// Seconds from the prime epoch of NTP (1900-01-01) to the Unix epoch (RFC 5905, figure 4).
const UNIX_EPOCH_S: i64 = 2_208_988_800;

/// No true time lies before this crate was written (2026-01-01). A machine that wakes in 1970 with an empty battery
/// would otherwise take the wrong era for the nearest.
const FLOOR: Timestamp = Timestamp::from_seconds(1_767_225_600);

/// The 64-bit timestamp of NTP: seconds of the present era and a binary fraction (RFC 5905, 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamp(pub u64);

impl Stamp {
    /// "Unknown" on the wire.
    pub const ZERO: Self = Self(0);

    /// The instant in the era nearest to `pivot` (within 68 years of it). Era 0 ends on 2036-02-07.
    pub fn resolve(self, pivot: Timestamp) -> Timestamp {
        let near = pivot.max(FLOOR).as_seconds().saturating_add(UNIX_EPOCH_S);
        let [.., a, b, c, d] = near.to_be_bytes();
        let wire_seconds = u32::try_from(self.0 >> 32).unwrap_or_default();
        let distance = wire_seconds
            .wrapping_sub(u32::from_be_bytes([a, b, c, d]))
            .cast_signed();
        let seconds = near.saturating_add(i64::from(distance)).saturating_sub(UNIX_EPOCH_S);
        let micros = ((self.0 & 0xFFFF_FFFF) * 1_000_000 + (1 << 31)) >> 32;
        Timestamp::from_micros(
            seconds
                .saturating_mul(1_000_000)
                .saturating_add(i64::try_from(micros).unwrap_or_default()),
        )
    }

    /// As it would be written on the wire, whatever the era.
    pub fn of(at: Timestamp) -> Self {
        let seconds = at.as_seconds().saturating_add(UNIX_EPOCH_S).cast_unsigned() & 0xFFFF_FFFF;
        let micros = at.as_micros().rem_euclid(1_000_000).cast_unsigned();
        Self((seconds << 32) | ((micros << 32) / 1_000_000))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use records::Timestamp;

    use super::Stamp;

    #[test]
    fn known_instants() {
        // RFC 5905, figure 4: the first day of Unix, and the first day of era 1.
        let unix = Stamp(2_208_988_800 << 32);
        let in_2026 = Timestamp::parse("2026-11-21T00:00:00Z").unwrap();
        assert_eq!(unix.resolve(in_2026).to_string(), "1970-01-01T00:00:00Z");
        let rollover = Timestamp::parse("2036-02-07T06:28:16Z").unwrap();
        assert_eq!(Stamp::of(rollover), Stamp::ZERO);
        assert_eq!(Stamp(1 << 32).resolve(in_2026).to_string(), "2036-02-07T06:28:17Z");
    }

    #[test]
    fn a_machine_that_wakes_in_1970_still_finds_the_era() {
        let in_2040 = Timestamp::parse("2040-05-01T12:00:00Z").unwrap();
        assert_eq!(Stamp::of(in_2040).resolve(Timestamp::from_seconds(0)), in_2040);
    }

    proptest! {
        #[test]
        fn a_stamp_comes_back_from_either_side_of_the_rollover(
            pivot_s in 1_767_225_600_i64..4_000_000_000,
            away_us in -2_100_000_000_000_000_i64..2_100_000_000_000_000,
        ) {
            let pivot = Timestamp::from_seconds(pivot_s);
            let at = Timestamp::from_micros(pivot.as_micros() + away_us);
            let back = Stamp::of(at).resolve(pivot);
            prop_assert!((back.as_micros() - at.as_micros()).abs() <= 1);
        }
    }
}
