//! Nanoseconds of each operation, to work on them: `cargo run --release -p curve --example curve_speed`.
//! The figures of record are those of `cargo xtask bench sign`, beside their peers.

use std::hint::black_box;

use curve::{Bound, DEFAULT_ID, Ephemeral, KnownKey, Nonces, PrivateKey};
use rustix::time::{ClockId, clock_gettime};

/// Processor time of this thread, in nanoseconds.
fn now() -> i64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// The median of nine runs.
fn measure<T>(what: &str, times: u32, mut act: impl FnMut() -> T) {
    let mut runs: Vec<i64> = (0..9)
        .map(|_| {
            let begun = now();
            (0..times).for_each(|_| drop(black_box(act())));
            now() - begun
        })
        .collect();
    runs.sort_unstable();
    let median = runs.get(4).copied().unwrap_or_default() as f64 / f64::from(times);
    println!("{what:<28}{median:>10.0} ns {:>10.0}/s", 1e9 / median);
}

fn main() -> Result<(), curve::Refused> {
    let mut nonces = Nonces::new();
    let key = PrivateKey::generate(&mut nonces)?;
    let bound = Bound::new(DEFAULT_ID, key.public_key())?;
    let message = vec![7u8; 1024];
    let e = bound.digest(&message);
    let signature = key.sign(&e, &mut nonces)?;
    let known = KnownKey::new(key.public_key());
    measure("e of 1 KiB", 5_000, || bound.digest(black_box(&message)));
    measure("sign e", 3_200, || key.sign(black_box(&e), &mut nonces));
    measure("sign 1 KiB", 3_200, || {
        key.sign(&bound.digest(black_box(&message)), &mut nonces)
    });
    measure("verify e, unknown key", 500, || {
        key.public_key().verify(black_box(&e), &signature)
    });
    measure("verify e, known key", 2_000, || known.verify(black_box(&e), &signature));
    let text = key.public_key().encrypt(&[7; 16], &mut nonces)?;
    measure("encrypt 16 bytes", 500, || {
        key.public_key().encrypt(black_box(&[7; 16]), &mut nonces)
    });
    measure("decrypt 16 bytes", 500, || key.decrypt(black_box(&text)));
    let peer = *key.public_key();
    measure("ephemeral key and ECDH", 500, || {
        Ephemeral::generate(&mut nonces).map(|pair| pair.shared_x(black_box(&peer)))
    });
    measure("table of a key", 20, || KnownKey::new(key.public_key()));
    let bytes = key.to_bytes();
    measure("private key from bytes", 500, || {
        PrivateKey::from_bytes(black_box(&bytes))
    });
    Ok(())
}
