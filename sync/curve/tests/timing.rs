//! Whether time tells of secrets: the short form. The long one is the example `timing`.

#[path = "../examples/timing/welch.rs"]
mod welch;

use welch::{Subject, largest_t};

/// Measurements of one attempt, at first and at most.
const COUNTS: std::ops::RangeInclusive<usize> = 10_000..=640_000;
/// Above this in every attempt is a finding. The difference of a sound implementation is below 4.5; what is between is left
/// to the long form, because a machine under load makes a single attempt lie.
const LIMIT: f64 = 10.0;
const ATTEMPTS: usize = 10;

/// How many measurements this machine, as busy as it is, needs until a leak is found.
fn enough() -> usize {
    let mut count = *COUNTS.start();
    loop {
        let t = largest_t(Subject::Control, count);
        println!("{:?}: t = {t:.1} of {count}", Subject::Control);
        if t > LIMIT {
            return count;
        }
        count *= 2;
        assert!(
            count <= *COUNTS.end(),
            "one addition more or less must be found: t = {t:.1}"
        );
    }
}

/// The first of a few attempts that finds nothing, or the least: a leak shows in every one, a disturbance in some.
fn least_of(subject: Subject, count: usize) -> f64 {
    let mut least = f64::INFINITY;
    for _ in 0..ATTEMPTS {
        least = least.min(largest_t(subject, count));
        if least < LIMIT {
            break;
        }
    }
    least
}

#[test]
fn time_does_not_tell_of_the_key_or_the_nonce_and_the_test_would_notice() {
    let count = enough();
    for subject in Subject::SOUND {
        let t = least_of(subject, count);
        println!("{subject:?}: t = {t:.1}");
        assert!(t < LIMIT, "{subject:?}: t = {t:.1}");
    }
}
