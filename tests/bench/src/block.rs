//! SM3 beside OpenSSL's and SM4-GCM beside RustCrypto's, 16 KiB at once in one thread, in its processor time.

use std::hint::black_box;
use std::process::Command;

use ::block::{Gcm, Path};
use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{AeadInOut, KeyInit};
use anyhow::{Context, Result, bail};

use crate::report::Row;
use crate::say;
use crate::sm2::{by_turns, rate};

/// Bytes hashed or sealed at once.
const BLOCK: usize = 16 * 1024;
const PEER: &str = "RustCrypto sm4 in aes-gcm";

/// Megabytes in a second, from operations in a second.
fn megabytes(operations: f64) -> f64 {
    operations * BLOCK as f64 / 1e6
}

pub(crate) fn run(quick: bool) -> Result<Vec<Row>> {
    say("SM3 and SM4 in one thread");
    let mut rows = vec![sm3(quick)?, gcm(quick, Path::best(), "sm4-gcm-16k".to_owned())?];
    // What processors without the fastest instructions get.
    for path in Path::all().into_iter().skip(1) {
        rows.push(gcm(quick, path, format!("sm4-gcm-16k, {}", path.name()))?);
    }
    Ok(rows)
}

fn gcm(quick: bool, path: Path, name: String) -> Result<Row> {
    let (bytes, nonce) = ([7; 16], [1; 12]);
    let own = Gcm::on(path, &bytes);
    let peer = aes_gcm::AesGcm::<sm4::Sm4, U12>::new(&bytes.into());
    let (mut ours, mut theirs) = (vec![7; BLOCK], vec![7; BLOCK]);
    let turns = by_turns(
        quick,
        || {
            black_box(own.seal_in_place(&nonce, b"", black_box(&mut ours)));
            Ok(())
        },
        || {
            let data = black_box(theirs.as_mut_slice());
            let tag = peer.encrypt_inout_detached(&nonce.into(), b"", data.into());
            black_box(tag.ok().context("the peer's tag")?);
            Ok(())
        },
    )?;
    Ok(Row::new(name, megabytes(turns.own), "MB/s")
        .beside(PEER, megabytes(turns.peer))
        .samples(turns.samples)
        .note(format!(
            "sealed in place, key made once; {}; constant time",
            path.name()
        )))
}

fn sm3(quick: bool) -> Result<Row> {
    let block = vec![7; BLOCK];
    let (hashes, samples) = rate(if quick { 0.02 } else { 2.0 }, &mut || {
        black_box(gm::sm3(black_box(&block)));
        Ok(())
    })?;
    Ok(Row::new("sm3-16k", megabytes(hashes), "MB/s")
        .beside("openssl speed sm3, 16 KiB", openssl_sm3(quick)? / 1e6)
        .samples(samples)
        .note("RustCrypto sm3, as the product uses it; both in processor time"))
}

/// Bytes per second of Debian's OpenSSL.
fn openssl_sm3(quick: bool) -> Result<f64> {
    let seconds = if quick { "1" } else { "3" };
    let block = BLOCK.to_string();
    let output = Command::new("openssl")
        .args(["speed", "-mr", "-seconds", seconds, "-bytes", &block, "-evp", "sm3"])
        .output()
        .context("openssl speed")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // `+F:25:sm3:499875430.40`; without -elapsed it counts the processor's time.
    let line = text.lines().find(|line| line.starts_with("+F:"));
    match line.and_then(|line| line.rsplit(':').next()?.parse::<f64>().ok()) {
        Some(rate) if rate > 0.0 => Ok(rate),
        _ => bail!("openssl speed says nothing of SM3: {text}"),
    }
}
