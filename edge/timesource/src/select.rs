//! Which of several sources tell the truth.

use crate::sample::Sample;

/// What the sources together say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreed {
    /// What to add to the machine's clock, microseconds.
    pub offset_us: i64,
    /// Largest error of it, microseconds, as long as most sources tell the truth.
    pub error_us: u64,
}

/// Why there is nothing to go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disagreement {
    /// Fewer usable answers than must agree.
    TooFew,
    /// No majority of the answers has an instant in common.
    NoMajority,
}

/// Whose clocks are right: which samples are truechimers, and what they say together.
///
/// Each sample says that the true offset lies within its error of its offset. As in RFC 5905, 11.2.1 the smallest number
/// of falsetickers is sought with which the others have an interval in common, where fewer than half may be falsetickers.
/// Simplified: a wide interval whose middle lies outside does not count as a falseticker (with two servers, a slow way to
/// one of them would leave no majority), and the clustering of 11.2.2, which prunes good clocks for better ones, is left out:
/// hospitals name two or three servers, and signatures need seconds, not microseconds. The survivors are averaged by the
/// inverse of their error as in 11.2.3. The result is then kept inside the common interval. Its error reaches to the ends of what is common
/// to any majority: liars who agree with each other can narrow the first interval, but not the second, which holds the
/// true time as long as fewer than half lie.
///
/// The answer tells for each sample in turn whether it is a truechimer.
pub fn agree(samples: &[Sample], fewest: usize) -> Result<(Agreed, Vec<bool>), Disagreement> {
    let count = samples.len();
    if count < fewest.max(1) {
        return Err(Disagreement::TooFew);
    }
    // A falseticker less than half: m - f > m / 2.
    let (low, high) = (0..count.div_ceil(2))
        .find_map(|falsetickers| region(samples, count - falsetickers))
        .ok_or(Disagreement::NoMajority)?;
    let (lowest, highest) = region(samples, count - (count - 1) / 2).ok_or(Disagreement::NoMajority)?;
    let true_chimers: Vec<bool> = samples
        .iter()
        .map(|sample| {
            let (from, to) = span(sample);
            from <= high && to >= low
        })
        .collect();
    let chosen: Vec<&Sample> = samples
        .iter()
        .zip(&true_chimers)
        .filter_map(|(sample, is_true)| is_true.then_some(sample))
        .collect();
    if chosen.len() < fewest {
        return Err(Disagreement::NoMajority);
    }
    let (mut weights, mut weighted) = (0_i128, 0_i128);
    for sample in chosen {
        let weight = 1_000_000_000_i128 / i128::from(sample.error_us.max(1)).min(1_000_000_000);
        weights += weight;
        weighted += weight * i128::from(sample.offset_us);
    }
    let mean = weighted.checked_div(weights).unwrap_or(0);
    let offset = mean.clamp(low, high);
    let error = (highest - offset).max(offset - lowest);
    Ok((
        Agreed {
            offset_us: i64::try_from(offset).unwrap_or(i64::MAX),
            error_us: u64::try_from(error).unwrap_or(u64::MAX),
        },
        true_chimers,
    ))
}

fn span(sample: &Sample) -> (i128, i128) {
    let (middle, error) = (i128::from(sample.offset_us), i128::from(sample.error_us));
    (middle - error, middle + error)
}

/// From the lowest to the highest point that lies in at least `wanted` intervals.
fn region(samples: &[Sample], wanted: usize) -> Option<(i128, i128)> {
    let covered = |point: &i128| {
        let holds = |sample: &&Sample| {
            let (from, to) = span(sample);
            (from..=to).contains(point)
        };
        samples.iter().filter(holds).count() >= wanted
    };
    // The number of covering intervals grows only at lower ends and shrinks only behind upper ends.
    let low = samples.iter().map(|sample| span(sample).0).filter(covered).min()?;
    let high = samples.iter().map(|sample| span(sample).1).filter(covered).max()?;
    Some((low, high))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use records::Timestamp;

    use super::{Disagreement, agree};
    use crate::packet::Leap;
    use crate::reading::Reading;
    use crate::sample::Sample;

    fn sample(offset_us: i64, error_us: u64) -> Sample {
        Sample {
            at: Reading {
                wall: Timestamp::from_seconds(0),
                steady: Duration::ZERO,
            },
            offset_us,
            delay_us: error_us,
            error_us,
            stratum: 2,
            leap: Leap::None,
        }
    }

    #[test]
    fn one_source_is_believed_when_one_suffices() {
        let (agreed, chimers) = agree(&[sample(70, 30)], 1).unwrap();
        assert_eq!((agreed.offset_us, agreed.error_us, chimers), (70, 30, vec![true]));
        assert_eq!(agree(&[sample(70, 30)], 2), Err(Disagreement::TooFew));
        assert_eq!(agree(&[], 1), Err(Disagreement::TooFew));
    }

    #[test]
    fn one_falseticker_among_three_is_outvoted() {
        let liar = sample(600_000_000, 50);
        let (agreed, chimers) = agree(&[sample(100, 50), liar, sample(120, 50)], 2).unwrap();
        assert_eq!(chimers, [true, false, true]);
        // Common: 70..150.
        assert_eq!((agreed.offset_us, agreed.error_us), (110, 40));
    }

    #[test]
    fn one_against_one_and_one_against_one_against_one_decide_nothing() {
        let apart = [sample(0, 10), sample(1_000, 10), sample(2_000, 10)];
        assert_eq!(agree(&apart[..2], 1), Err(Disagreement::NoMajority));
        assert_eq!(agree(&apart, 1), Err(Disagreement::NoMajority));
        // Two against two.
        let halves = [sample(0, 10), sample(1, 10), sample(1_000, 10), sample(1_001, 10)];
        assert_eq!(agree(&halves, 1), Err(Disagreement::NoMajority));
    }

    #[test]
    fn a_vague_source_does_not_pull_a_sharp_one() {
        let (agreed, _) = agree(&[sample(0, 10), sample(900, 1_000)], 2).unwrap();
        assert!((0..=10).contains(&agreed.offset_us), "{agreed:?}");
    }

    proptest! {
        /// While fewer than half lie, the truth is within the error.
        #[test]
        fn a_minority_of_liars_is_harmless(
            honest in prop::collection::vec((-1_000_000_i64..1_000_000, 0_u64..500_000), 1..6),
            lies in prop::collection::vec((any::<i32>(), 0_u64..1_000_000), 0..5),
        ) {
            // The true offset is zero: an honest sample's error covers it.
            let mut samples: Vec<_> =
                honest.iter().map(|(offset, more)| sample(*offset, offset.unsigned_abs() + more)).collect();
            for (offset, error) in lies.iter().take(honest.len() - 1) {
                samples.push(sample(i64::from(*offset), *error));
            }
            if let Ok((agreed, chimers)) = agree(&samples, 1) {
                prop_assert!(agreed.offset_us.unsigned_abs() <= agreed.error_us, "{agreed:?}");
                prop_assert!(chimers.iter().filter(|t| **t).count() * 2 > samples.len());
            }
        }

        #[test]
        fn any_samples_are_weighed(list in prop::collection::vec((any::<i64>(), any::<u64>()), 0..9), fewest in 0_usize..9) {
            let samples: Vec<_> = list.iter().map(|(offset, error)| sample(*offset, *error)).collect();
            if let Ok((_, chimers)) = agree(&samples, fewest) {
                prop_assert!(chimers.iter().filter(|t| **t).count() >= fewest.max(1));
            }
        }
    }
}
