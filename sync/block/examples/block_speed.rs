//! Megabytes per second of each mode on each path, to work on them: `cargo run --release -p block --example block_speed`.
//! The figures of record are those of `cargo xtask bench sign`, beside their peers.

use std::hint::black_box;

use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{AeadInOut, KeyInit};
use block::{Gcm, Key, Path, cbc, ctr};
use rustix::time::{ClockId, clock_gettime};

/// Processor time of this thread, in nanoseconds.
fn now() -> i64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// The median of nine runs of at least 20 ms.
fn measure(what: &str, bytes: usize, mut act: impl FnMut()) {
    let mut runs: Vec<f64> = (0..9)
        .map(|_| {
            let (begun, mut times) = (now(), 0);
            loop {
                (0..8).for_each(|_| act());
                times += 8;
                let took = now() - begun;
                if took > 20_000_000 {
                    return took as f64 / f64::from(times);
                }
            }
        })
        .collect();
    runs.sort_unstable_by(f64::total_cmp);
    let median = runs.get(4).copied().unwrap_or_default();
    println!(
        "  {what:<20}{bytes:>6} B {median:>9.0} ns {:>8.0} MB/s",
        bytes as f64 * 1e3 / median
    );
}

fn main() {
    let (bytes, nonce, iv) = ([7; 16], [1; 12], [2; 16]);
    for path in Path::all() {
        println!("{}", path.name());
        measure("key", 16, || drop(black_box(Key::on(path, black_box(&bytes)))));
        measure("GCM key", 16, || drop(black_box(Gcm::on(path, black_box(&bytes)))));
        let (key, gcm) = (Key::on(path, &bytes), Gcm::on(path, &bytes));
        for length in [16, 64, 256, 1024, 16 * 1024] {
            let mut data = vec![0; length];
            measure("GCM seal", length, || {
                black_box(gcm.seal_in_place(&nonce, b"", black_box(&mut data)));
            });
        }
        let mut data = vec![0; 16 * 1024];
        let tag = gcm.seal_in_place(&nonce, b"", &mut data);
        let sealed = data.clone();
        measure("GCM open", data.len(), || {
            data.copy_from_slice(&sealed);
            let opened = gcm.open_in_place(&nonce, b"", black_box(&mut data), &tag);
            assert!(black_box(opened).is_ok());
        });
        measure("CTR", data.len(), || {
            ctr::Stream::new(&key, &iv).apply(black_box(&mut data))
        });
        measure("ECB", data.len(), || {
            key.encrypt_blocks(black_box(data.as_chunks_mut().0))
        });
        measure("CBC decrypt", data.len(), || {
            cbc::decrypt_blocks(&key, &mut iv.clone(), black_box(data.as_chunks_mut().0));
        });
        measure("CBC encrypt", data.len(), || {
            cbc::encrypt_blocks(&key, &mut iv.clone(), black_box(data.as_chunks_mut().0));
        });
    }
    println!("RustCrypto");
    let peer = aes_gcm::AesGcm::<sm4::Sm4, U12>::new(&bytes.into());
    measure("GCM key", 16, || {
        black_box(aes_gcm::AesGcm::<sm4::Sm4, U12>::new(black_box(&bytes.into())));
    });
    for length in [16, 1024, 16 * 1024] {
        let mut data = vec![0; length];
        measure("GCM seal", length, || {
            let tag = peer.encrypt_inout_detached(&nonce.into(), b"", black_box(data.as_mut_slice()).into());
            black_box(tag.is_ok());
        });
    }
}
