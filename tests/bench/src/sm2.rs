//! SM2 beside RustCrypto's: what the product calls, without sockets and journals.
//!
//! Own figure and peer are measured by turns in processor time of the thread, so that others on the machine weigh on both
//! or on neither; the value is the median of the turns.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use gm::key::{Algorithm, Signer, keep_tables};
use gm::{PublicKey, Sm2Key, USER_ID};
use rustix::time::{ClockId, clock_gettime};
use sm2::dsa::signature::{RandomizedSigner, Verifier};

use crate::report::Row;
use crate::say;

/// Bytes of a message.
const MESSAGE: usize = 1024;
const PEER: &str = "RustCrypto sm2, its key objects made once";

/// Processor time of this thread, in seconds.
fn now() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Rates of both, by turns.
pub(crate) struct Turns {
    pub(crate) own: f64,
    pub(crate) peer: f64,
    pub(crate) samples: u64,
}

impl Turns {
    fn row(&self, name: &str, note: &str) -> Row {
        Row::new(name, self.own, "operations/s")
            .beside(PEER, self.peer)
            .samples(self.samples)
            .note(note)
    }
}

/// Operations in a second of processor time, for about `seconds`.
pub(crate) fn rate(seconds: f64, act: &mut dyn FnMut() -> Result<()>) -> Result<(f64, u64)> {
    let (begun, mut done) = (now(), 0u64);
    loop {
        // The clock is a system call: it is not asked after every operation.
        for _ in 0..32 {
            act()?;
        }
        done += 32;
        let took = now() - begun;
        if took >= seconds {
            return Ok((done as f64 / took, done));
        }
    }
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_unstable_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}

/// Both for a while, by turns; the medians.
pub(crate) fn by_turns(
    quick: bool,
    mut own: impl FnMut() -> Result<()>,
    mut peer: impl FnMut() -> Result<()>,
) -> Result<Turns> {
    let (turns, seconds) = if quick { (1, 0.02) } else { (7, 0.4) };
    rate(seconds / 4.0, &mut own)?;
    rate(seconds / 4.0, &mut peer)?;
    let (mut ours, mut theirs, mut samples) = (Vec::new(), Vec::new(), 0);
    for _ in 0..turns {
        let (figure, done) = rate(seconds, &mut own)?;
        ours.push(figure);
        samples += done;
        theirs.push(rate(seconds, &mut peer)?.0);
    }
    Ok(Turns {
        own: median(ours),
        peer: median(theirs),
        samples,
    })
}

/// Operations in a second of real time with a thread for every core, each with an act of its own.
fn all_cores<A: FnMut() -> Result<()>>(quick: bool, make: impl Fn() -> Result<A> + Sync) -> Result<(f64, u64)> {
    let time = Duration::from_millis(if quick { 20 } else { 3_000 });
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let ready = std::sync::Barrier::new(cores);
    std::thread::scope(|scope| {
        let work = || -> Result<(f64, u64)> {
            let act = make();
            ready.wait();
            let mut act = act?;
            let (begun, mut done) = (Instant::now(), 0u64);
            while begun.elapsed() < time {
                for _ in 0..32 {
                    act()?;
                }
                done += 32;
            }
            Ok((done as f64 / begun.elapsed().as_secs_f64(), done))
        };
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_fold((0.0, 0), |(sum, all), thread| {
            let (rate, done) = thread.join().map_err(|_| anyhow!("a measuring thread died"))??;
            Ok((sum + rate, all + done))
        })
    })
}

fn sign_everywhere(quick: bool) -> Result<Row> {
    let message = vec![7u8; MESSAGE];
    let (own, samples) = all_cores(quick, || {
        let (key, message) = (Sm2Key::generate().context("a key")?, &message);
        Ok(move || {
            black_box(key.sign(black_box(message)).context("a signature")?);
            Ok(())
        })
    })?;
    let (peer, _) = all_cores(quick, || {
        let key = Sm2Key::generate().context("a key")?;
        let (key, message) = (peer_key(&key)?, &message);
        Ok(move || {
            let made = key.try_sign_with_rng(&mut getrandom::SysRng, black_box(message)).ok();
            black_box(made.context("the peer's signature")?);
            Ok(())
        })
    })?;
    let note = "as sm2-sign-1k, a thread for each core, real time";
    let row = Row::new("sm2-sign-1k, all cores", own, "operations/s");
    Ok(row.beside(PEER, peer).samples(samples).note(note))
}

fn peer_key(key: &Sm2Key) -> Result<sm2::dsa::SigningKey> {
    sm2::dsa::SigningKey::from_slice(USER_ID, key.secret())
        .ok()
        .context("the peer's key")
}

pub(crate) fn run(quick: bool) -> Result<Vec<Row>> {
    say("SM2 in one thread");
    let key = Sm2Key::generate().context("a key")?;
    let theirs = peer_key(&key)?;
    let message = vec![7u8; MESSAGE];
    let mut random = getrandom::SysRng;

    let sign = by_turns(
        quick,
        || {
            black_box(key.sign(black_box(&message)).context("a signature")?);
            Ok(())
        },
        || {
            let made = theirs.try_sign_with_rng(&mut random, black_box(&message)).ok();
            black_box(made.context("the peer's signature")?);
            Ok(())
        },
    )?;

    let public: &PublicKey = key.public_key();
    let signature = key.sign(&message).context("a signature")?;
    let made = theirs
        .try_sign_with_rng(&mut random, &message)
        .ok()
        .context("the peer's signature")?;
    let verify = || {
        let peer = theirs.verifying_key();
        by_turns(
            quick,
            || {
                public
                    .verify(Algorithm::Sm2, black_box(&message), &signature)
                    .context("a verdict")
            },
            || {
                peer.verify(black_box(&message), &made)
                    .ok()
                    .context("the peer's verdict")
            },
        )
    };
    keep_tables(0);
    let unknown = verify()?;
    keep_tables(256);
    for _ in 0..4 {
        public
            .verify(Algorithm::Sm2, &message, &signature)
            .context("a verdict")?;
    }
    let known = verify()?;

    Ok(vec![
        sign.row(
            "sm2-sign-1k",
            "1 KiB message, DER, nonces in batches of 32, constant time",
        ),
        sign_everywhere(quick)?,
        unknown.row("sm2-verify-unknown", "1 KiB message; key read and Z computed each time"),
        known.row("sm2-verify-known", "1 KiB message; the key's table is kept"),
    ])
}
