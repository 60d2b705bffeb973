//! Whether time tells of secrets: two classes of secrets, one special value again and again and random ones, in random
//! order, and Welch's t between their times (after dudect: Reparaz, Balasch, Verbauwhede, 2017). Times are of the
//! processor for this thread; slow measurements are cut off at several percentiles, because interruptions say nothing
//! of secrets.

#![expect(clippy::indexing_slicing, reason = "what a measurement cannot set up ends it")]

use std::hint::black_box;

use block::{BLOCK, Block, Gcm, Key, Path, cbc};
use rustix::time::{ClockId, clock_gettime};

/// Measurements of one attempt, at first and at most.
const COUNTS: std::ops::RangeInclusive<usize> = 10_000..=320_000;
/// Those before, that do not count.
const WARM_UP: usize = 200;
/// Above this in every attempt is a finding. The difference of a sound implementation is below 4.5; a machine under
/// load makes a single attempt lie.
const LIMIT: f64 = 10.0;
const ATTEMPTS: usize = 10;
/// Bytes of a text.
const TEXT: usize = 320;

/// What is secret.
#[derive(Clone, Copy, Debug)]
enum Subject {
    /// The key, in its expansion and in use; the special one is zero.
    Key,
    /// The text to be sealed; the special one is zero.
    Text,
    /// Where a padding is wrong: at its last byte but for the special ones, at its first byte there.
    Padding,
    /// Where a tag is wrong: in its first byte but for the special ones, in its last byte there.
    Tag,
    /// As `Key`, and on purpose a few blocks more unless the last byte of the key is zero: a leak that must be found.
    Control,
}

fn now() -> i64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// Not secret-grade, but quick and different in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill_with(|| (self.next() >> 56) as u8);
    }
}

/// A measurement to be made.
struct Input {
    special: bool,
    secret: Block,
    text: [u8; TEXT],
}

/// All of them, made beforehand: what prepares a secret leaves traces in the processor's branch prediction.
fn inputs(subject: Subject, key: &Key, sealed: &([u8; 16], [u8; TEXT]), count: usize) -> Vec<Input> {
    let mut random = Random(now() as u64 | 1);
    let mut one = || {
        let special = random.next() >> 63 == 0;
        let (mut secret, mut text) = ([0; BLOCK], [0; TEXT]);
        random.fill(&mut secret);
        random.fill(&mut text);
        match subject {
            Subject::Key | Subject::Control if special => secret = [0; BLOCK],
            Subject::Text if special => text = [0; TEXT],
            Subject::Padding => {
                secret = if special { [16; BLOCK] } else { [0; BLOCK] };
                secret[0] = 1;
                cbc::encrypt_blocks(key, &mut [0; BLOCK], std::slice::from_mut(&mut secret));
            }
            Subject::Tag => {
                secret = sealed.0;
                secret[if special { BLOCK - 1 } else { 0 }] ^= 1;
                text = sealed.1;
            }
            _ => {}
        }
        Input { special, secret, text }
    };
    std::iter::repeat_with(&mut one).take(count + WARM_UP).collect()
}

/// Times of both classes, the special one first.
fn times(subject: Subject, path: Path, count: usize) -> [Vec<i64>; 2] {
    let (some, nonce) = ([0x5a; 16], [1; 12]);
    let (key, gcm) = (Key::on(path, &some), Gcm::on(path, &some));
    let mut sealed = [0; TEXT];
    let tag = gcm.seal_in_place(&nonce, b"", &mut sealed);
    let inputs = inputs(subject, &key, &(tag, sealed), count);
    let measure = |input: &Input| {
        let (secret, mut text) = (input.secret, input.text);
        let begun = now();
        for _ in 0..4 {
            match subject {
                Subject::Key | Subject::Control => {
                    Key::on(path, black_box(&secret)).encrypt_blocks(black_box(text.as_chunks_mut().0));
                    if matches!(subject, Subject::Control) && secret[BLOCK - 1] != 0 {
                        key.encrypt_blocks(black_box(text.as_chunks_mut::<BLOCK>().0.split_at_mut(12).0));
                    }
                }
                Subject::Text => drop(black_box(gcm.seal_in_place(&nonce, b"", black_box(&mut text)))),
                Subject::Padding => drop(black_box(cbc::decrypt(&key, &[0; BLOCK], black_box(&secret)))),
                Subject::Tag => {
                    let opened = gcm.open_in_place(&nonce, b"", black_box(&mut text), black_box(&secret));
                    black_box(opened.is_err());
                }
            }
        }
        now() - begun
    };
    let all: Vec<i64> = inputs.iter().map(measure).collect();
    [true, false].map(|class| {
        let measured = inputs.iter().zip(&all).skip(WARM_UP);
        let of_class = measured.filter(|(input, _)| input.special == class);
        of_class.map(|(_, time)| *time).collect()
    })
}

/// The largest |t| that two cut-offs agree on: a single one may fall between two speeds of the machine.
fn largest_t(subject: Subject, path: Path, count: usize) -> f64 {
    let all = times(subject, path, count);
    let mut sorted = all.concat();
    sorted.sort_unstable();
    let mut found = [50, 75, 90, 97].map(|percent| {
        let limit = sorted[sorted.len() * percent / 100];
        let [a, b] = all.each_ref().map(|class| {
            let kept = class.iter().filter(|time| **time <= limit);
            kept.map(|time| *time as f64).collect::<Vec<_>>()
        });
        welch(&a, &b).abs()
    });
    found.sort_unstable_by(f64::total_cmp);
    found[2]
}

fn welch(a: &[f64], b: &[f64]) -> f64 {
    let moments = |all: &[f64]| {
        let n = all.len() as f64;
        let mean = all.iter().sum::<f64>() / n;
        let variance = all.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
        (mean, variance / n)
    };
    // A class that a cut-off leaves nearly empty differs as much as can be.
    if a.len() < 20 || b.len() < 20 {
        return f64::INFINITY;
    }
    let ((mean_a, error_a), (mean_b, error_b)) = (moments(a), moments(b));
    (mean_a - mean_b) / (error_a + error_b).sqrt().max(f64::MIN_POSITIVE)
}

/// How many measurements this machine, as busy as it is, needs until a leak is found.
fn enough(path: Path) -> usize {
    let mut count = *COUNTS.start();
    loop {
        let t = largest_t(Subject::Control, path, count);
        println!("{}: {:?}: t = {t:.1} of {count}", path.name(), Subject::Control);
        if t > LIMIT {
            return count;
        }
        count *= 2;
        assert!(
            count <= *COUNTS.end(),
            "a few blocks more or less must be found: t = {t:.1}"
        );
    }
}

#[test]
fn time_does_not_tell_of_keys_texts_paddings_and_tags_and_the_test_would_notice() {
    for path in Path::all() {
        let count = enough(path);
        for subject in [Subject::Key, Subject::Text, Subject::Padding, Subject::Tag] {
            // A leak shows in every attempt, a disturbance in some.
            let mut t = f64::INFINITY;
            for _ in 0..ATTEMPTS {
                t = t.min(largest_t(subject, path, count));
                if t < LIMIT / 2.0 {
                    break;
                }
            }
            println!("{}: {subject:?}: t = {t:.1}", path.name());
            assert!(t < LIMIT, "{}: {subject:?}: t = {t:.1}", path.name());
        }
    }
}
