//! Whether time tells of an RSA key or of what it signs, over digests at hand (`rsa_factors`):
//! `cargo run --release -p gm --example rsa_timing -- SECONDS` (600 when absent). Prints |t| of each round; ends with failure
//! when a subject's *median* round is above 4.5, or when the control is not found.
//!
//! As `curve`'s example `timing` for SM2 (after dudect: Reparaz, Balasch, Verbauwhede, 2017): two classes in random order, one
//! special value again and again, and others; Welch's t between the times of both. Times are of the processor for this
//! thread; slow measurements are cut off at several percentiles, because interruptions say nothing of secrets.

#![expect(clippy::print_stdout, reason = "an example tells what it measured")]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what a measurement cannot set up ends it"
)]

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use gm::Signer;
use gm::key::RsaKey;
use rustix::time::{ClockId, clock_gettime};

/// Measurements of a round; each is a signature of 2048 bits and the reading of its key.
const ROUND: usize = 4_000;
/// |t| of a difference that is taken as real (dudect).
const LIMIT: f64 = 4.5;
/// Keys of the class that is not special.
const KEYS: usize = 32;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    /// One key, one digest again and again, and random ones: what its powers, their difference and the way back to one number
    /// are, decides nothing.
    Digest,
    /// One digest, one key again and again, and others. Each is read anew before it signs, so that all lie in memory alike.
    Key,
    /// As `Digest`, and on purpose three percent of a signature's time more where the digest is not the special one: a leak that
    /// must be found.
    Control,
}

/// Keys to choose from, as they are kept.
struct Keys(Vec<Vec<u8>>);

impl Keys {
    fn make() -> Self {
        let make = |_| RsaKey::generate(2048).expect("a key").to_vec();
        Self((0..=KEYS).map(make).collect())
    }

    /// The special one, or one of the others.
    fn one(&self, special: bool) -> RsaKey {
        let other = 1 + usize::from(random::<1>()[0]) % KEYS;
        let at = if special { 0 } else { other };
        RsaKey::from_pkcs8(&self.0[at]).expect("a key")
    }
}

fn main() -> ExitCode {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let until = Instant::now() + Duration::from_secs(seconds.unwrap_or(600));
    let keys = Keys::make();
    let control = largest_t(Subject::Control, &keys);
    println!("{:?}: {control:.1}", Subject::Control);
    let mut sound = control > LIMIT;
    let mut rounds = [(Subject::Digest, Vec::new()), (Subject::Key, Vec::new())];
    while rounds[0].1.is_empty() || Instant::now() < until {
        for (subject, ts) in &mut rounds {
            let t = largest_t(*subject, &keys);
            println!("{subject:?}: {t:.2}");
            ts.push(t);
        }
    }
    for (subject, ts) in &mut rounds {
        ts.sort_unstable_by(f64::total_cmp);
        let median = ts[ts.len() / 2];
        println!("{subject:?}: median of {} rounds {median:.2}", ts.len());
        sound &= median < LIMIT;
    }
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Processor time of this thread, in nanoseconds.
fn now() -> i64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("random bytes");
    bytes
}

/// Time of one signature, in nanoseconds.
fn time(subject: Subject, special: bool, keys: &Keys) -> f64 {
    let key = keys.one(special || subject != Subject::Key);
    let other = random::<32>();
    let digest = if special || subject == Subject::Key {
        [0; 32]
    } else {
        other
    };
    let begun = now();
    let signed = key.sign_digest(black_box(&digest));
    let took = now() - begun;
    if subject == Subject::Control && !special {
        // So much more work in the time of one.
        let until = now() + took * 3 / 100;
        while now() < until {
            black_box(());
        }
    }
    let took = now() - begun;
    black_box(signed.expect("signed"));
    took as f64
}

/// The largest |t| that two cut-offs agree on: a single one may fall between two speeds of the machine, where chance decides
/// which class has more of the few slower ones.
fn largest_t(subject: Subject, keys: &Keys) -> f64 {
    for _ in 0..50 {
        time(subject, true, keys);
    }
    let mut times = Vec::with_capacity(ROUND);
    for _ in 0..ROUND {
        let special = random::<1>()[0] & 1 == 1;
        times.push((special, time(subject, special, keys)));
    }
    let mut sorted: Vec<f64> = times.iter().map(|(_, time)| *time).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let mut all = [0.5, 0.75, 0.9, 0.97].map(|part| {
        let limit = sorted[(ROUND as f64 * part) as usize];
        let of = |class: bool| -> Vec<f64> {
            let kept = times
                .iter()
                .filter(|(special, time)| *special == class && *time <= limit);
            kept.map(|(_, time)| *time).collect()
        };
        welch(&of(true), &of(false)).abs()
    });
    all.sort_unstable_by(f64::total_cmp);
    all[all.len() - 2]
}

fn welch(a: &[f64], b: &[f64]) -> f64 {
    // A class that a cut-off leaves nearly empty differs as much as can be.
    if a.len() < 20 || b.len() < 20 {
        return f64::INFINITY;
    }
    let moments = |all: &[f64]| {
        let n = all.len() as f64;
        let mean = all.iter().sum::<f64>() / n;
        let variance = all.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
        (mean, variance / n)
    };
    let ((mean_a, error_a), (mean_b, error_b)) = (moments(a), moments(b));
    (mean_a - mean_b) / (error_a + error_b).sqrt().max(f64::MIN_POSITIVE)
}
