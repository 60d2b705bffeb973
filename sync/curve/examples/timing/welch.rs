//! Does time depend on a secret? Two classes of secrets, drawn in random order: one special value again and again, and
//! random ones. Welch's t between the times of both tells whether their means differ (after dudect: Reparaz, Balasch,
//! Verbauwhede, 2017). Times are of the processor for this thread, so that others on the machine disturb less; slow
//! measurements are cut off at several percentiles, because interruptions say nothing of secrets.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what a measurement cannot set up ends it"
)]

use std::hint::black_box;

use curve::{Bound, Ciphertext, DEFAULT_ID, Exchange, Nonces, Peer, PrivateKey, PublicKey, Role};
use rustix::time::{ClockId, clock_gettime};

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject {
    /// A secret multiple of the base point and the inverse of 1 + d: what is done for a key, and k·G for a nonce. The
    /// special scalar is 1: all its digits but one are zero.
    SmallMultiple,
    /// The same; the special scalar has the largest digit in every window.
    LargeMultiple,
    /// A signature; the special key is 1.
    Signature,
    /// A secret multiple of a given point with the hash and the comparison after it: decrypting a text that belongs to none
    /// of the keys, so that all end the same way. The special key is 1.
    Decryption,
    /// The same; the special key is n − 6, the one of `window` whose last addition is chosen around.
    DecryptionAtTheException,
    /// An exchange: t·(P + x̄·R) and what is derived. The special own key is 1. (ECDH is the same multiplication without
    /// the rest; its secret comes from the random source alone.)
    Agreement,
    /// As `SmallMultiple`, and on purpose 64 bytes of SM3 (about the time of one addition of 37) more unless the lowest
    /// byte but one is zero: a leak that must be found.
    Control,
}

impl Subject {
    /// All that must tell nothing.
    pub(crate) const SOUND: [Self; 6] = [
        Self::SmallMultiple,
        Self::LargeMultiple,
        Self::Signature,
        Self::Decryption,
        Self::DecryptionAtTheException,
        Self::Agreement,
    ];

    fn special(self) -> [u8; 32] {
        let mut one = [0; 32];
        one[31] = 1;
        match self {
            // Windows of 1000000 (the digit 0) less one half each: 63, the largest positive digit, in all but the highest.
            Self::LargeMultiple => {
                let mut ones = [0xff; 32];
                ones[0] = 0x0f;
                // 63 = 0111111 in each window of seven bits: ones but for every seventh bit.
                for bit in (6..256).step_by(7) {
                    ones[31 - bit / 8] &= !(1 << (bit % 8));
                }
                ones
            }
            Self::DecryptionAtTheException => {
                let mut last = [0xff; 32];
                last[3] = 0xfe;
                last[16..].copy_from_slice(&0x7203_df6b_21c6_052b_53bb_f409_39d5_411du128.to_be_bytes());
                last
            }
            Self::SmallMultiple | Self::Signature | Self::Decryption | Self::Agreement | Self::Control => one,
        }
    }
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

/// What is the same in all measurements.
struct Fixed {
    bound: Bound,
    /// Of nobody's key.
    text: Ciphertext,
    peer: PublicKey,
    point: PublicKey,
}

impl Fixed {
    fn new(nonces: &mut Nonces) -> Result<Self, curve::Refused> {
        let key = PrivateKey::generate(nonces)?;
        let point = *PrivateKey::generate(nonces)?.public_key();
        Ok(Self {
            bound: Bound::new(DEFAULT_ID, key.public_key())?,
            text: key.public_key().encrypt(&[7; 16], nonces)?,
            peer: *key.public_key(),
            point,
        })
    }
}

/// Time of one act, in nanoseconds.
fn time(subject: Subject, secret: &[u8; 32], nonces: &mut Nonces, fixed: &Fixed) -> i64 {
    let bound = &fixed.bound;
    match subject {
        Subject::SmallMultiple | Subject::LargeMultiple => {
            let begun = now();
            let key = PrivateKey::from_bytes(black_box(secret));
            let took = now() - begun;
            black_box(key.is_ok());
            took
        }
        Subject::Control => {
            let begun = now();
            let key = PrivateKey::from_bytes(black_box(secret));
            if secret[30] != 0 {
                black_box(bound.digest(black_box(&[0; 64])));
            }
            let took = now() - begun;
            black_box(key.is_ok());
            took
        }
        Subject::Decryption | Subject::DecryptionAtTheException => {
            let key = PrivateKey::from_bytes(secret).expect("in range");
            let begun = now();
            let plain = key.decrypt(black_box(&fixed.text));
            let took = now() - begun;
            black_box(plain.is_ok());
            took
        }
        Subject::Agreement => {
            let key = PrivateKey::from_bytes(secret).expect("in range");
            let exchange = Exchange::start(Role::Initiator, &key, DEFAULT_ID, nonces).expect("begun");
            let peer = Peer {
                key: &fixed.peer,
                id: DEFAULT_ID,
                point: &fixed.point,
            };
            let begun = now();
            let agreed = exchange.agree(black_box(&peer), 16);
            let took = now() - begun;
            black_box(agreed.is_ok());
            took
        }
        Subject::Signature => {
            let key = PrivateKey::from_bytes(secret).expect("in range");
            let begun = now();
            // Eight, so that the clock weighs less.
            for number in 0..8 {
                black_box(key.sign(black_box(&[number; 32]), nonces).is_ok());
            }
            now() - begun
        }
    }
}

/// The largest |t| of `count` measurements that two cut-offs agree on: a single one may fall between two speeds of the
/// machine, where chance decides which class has more of the few slower ones; it was seen to give 8, of either sign.
pub(crate) fn largest_t(subject: Subject, count: usize) -> f64 {
    let mut nonces = Nonces::new();
    let fixed = Fixed::new(&mut nonces).expect("keys");
    let special = subject.special();
    // All secrets lie ready in one place, so that fetching them is the same for both classes.
    let secrets: Vec<(bool, [u8; 32])> = (0..count)
        .map(|_| {
            let is_special = random::<1>()[0] & 1 == 1;
            let mut secret = random::<32>();
            secret[0] &= 0x7f; // below n
            (is_special, if is_special { special } else { secret })
        })
        .collect();
    for (_, secret) in secrets.iter().take(200) {
        time(subject, secret, &mut nonces, &fixed);
    }
    let times: Vec<(bool, f64)> = secrets
        .iter()
        .map(|(is_special, secret)| (*is_special, time(subject, secret, &mut nonces, &fixed) as f64))
        .collect();
    let mut sorted: Vec<f64> = times.iter().map(|(_, time)| *time).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let mut all = [0.5, 0.75, 0.9, 0.97].map(|part| {
        let limit = sorted[(count as f64 * part) as usize];
        let of = |class: bool| -> Vec<f64> {
            let kept = times
                .iter()
                .filter(|(is_special, time)| *is_special == class && *time <= limit);
            kept.map(|(_, time)| *time).collect()
        };
        welch(&of(true), &of(false)).abs()
    });
    all.sort_unstable_by(f64::total_cmp);
    all[all.len() - 2]
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
