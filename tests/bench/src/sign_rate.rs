//! SM2, SM3 and SM4 alone, then doctors' signatures through `signd`'s socket, with a software TPM: PIN, unwrapping under the
//! TPM, SM2, CMS, journal.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gm::Sm2Key;
use gm::key::Signer;
use kit::process::{Process, binary};
use kit::swtpm::SoftTpm;
use records::sign::{Enrol, EnrolRequest, Pin, SignDocument, SignRequest};
use sign::Client;

use crate::report::Row;
use crate::say;
use crate::timing::{Samples, rate};

const PIN: &str = "202611";
/// Bytes of the document.
const DOCUMENT: usize = 1024;

pub(crate) async fn run(quick: bool) -> Result<Vec<Row>> {
    let mut rows = crate::sm2::run(quick)?;
    rows.extend(crate::block::run(quick)?);
    for remembered in [true, false] {
        rows.extend(through_signd(quick, remembered).await?);
    }
    let own = in_process(Duration::from_secs(if quick { 1 } else { 3 }))?;
    let raw = openssl(1, if quick { 1 } else { 3 })?;
    rows.push(
        Row::new(
            "sign in process (gm), 1 thread",
            rate(own.0.len(), own.1),
            "signatures/s",
        )
        .beside("openssl speed sm2, 1 process: raw signatures", raw)
        .times(&own.0)
        .note("1 KiB message, DER; wall time"),
    );
    Ok(rows)
}

/// Doctors at the socket; `remembered` as it is shipped, otherwise every PIN is stretched.
async fn through_signd(quick: bool, remembered: bool) -> Result<Vec<Row>> {
    let (seconds, warm) = if quick { (1, 4) } else { (8, 40) };
    let folder = tempfile::tempdir()?;
    let tpm = SoftTpm::start(&folder.path().join("tpm"));
    let (state, socket) = (folder.path().join("state"), folder.path().join("state/signd.sock"));
    std::fs::create_dir_all(&state)?;
    let config = state.join("signd.toml");
    let mut text = format!("state_dir = {state:?}\nsocket = {socket:?}\ntpm = {:?}\n", tpm.tcti());
    if !remembered {
        text.push_str("pin_remembered_s = 0\n");
    }
    std::fs::write(&config, text)?;
    let mut command = Command::new(binary("signd"));
    command.arg("--config").arg(&config);
    let _signd = Process::spawn(command).ready(Duration::from_secs(60));
    let client = Client::new(&socket);
    for signer in 0..8 {
        enrol(&client, signer).await?;
    }
    say("warm-up");
    load(&client, 1, Duration::ZERO, warm).await?;
    let (name, note) = if remembered {
        (
            "",
            "the PIN with each signature, stretched by Argon2id at a signer's first",
        )
    } else {
        (", every PIN stretched", "PIN stretched by Argon2id each time")
    };
    let mut rows = Vec::new();
    for clients in [1, 8] {
        say(&format!("{clients} clients{name}"));
        let (times, took, errors) = load(&client, clients, Duration::from_secs(seconds), 0).await?;
        let processes = clients.min(std::thread::available_parallelism().map_or(1, |n| n.get() as u64));
        let openssl = openssl(processes, if quick { 1 } else { 3 })?;
        let row = format!("sign through signd, {clients} clients{name}");
        rows.push(
            Row::new(row, rate(times.len(), took), "signatures/s")
                .beside(format!("openssl speed sm2, {processes} processes: raw signatures"), openssl)
                .times(&times)
                .errors(errors)
                .note(format!(
                    "1 KiB document, a signer each; {note}; the TPM asked for its state, CMS, journal on disk; one connection a \
                     signature"
                )),
        );
    }
    Ok(rows)
}

fn signer_id(signer: u64) -> String {
    format!("sta_{signer}")
}

async fn enrol(client: &Client, signer: u64) -> Result<()> {
    let asked = EnrolRequest {
        signer_id: signer_id(signer),
        name: "王医生".to_owned(),
        role: "doctor".to_owned(),
        organisation: "永州示范医院".to_owned(),
        pin: Pin(PIN.to_owned()),
    };
    let outcome = client.call::<Enrol>(Some(&signer_id(signer)), &asked).await;
    outcome.done().context("a signer cannot be enrolled")?;
    Ok(())
}

/// A closed loop of clients, each for `time` and at least `fewest` signatures; every document and key is new.
async fn load(client: &Client, clients: u64, time: Duration, fewest: u64) -> Result<(Samples, Duration, u64)> {
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for signer in 0..clients {
        let client = client.clone();
        tasks.spawn(async move {
            let (mut times, mut errors, mut tries) = (Samples::default(), 0u64, 0u64);
            while begun.elapsed() < time || tries < fewest {
                tries += 1;
                let mut document = vec![0u8; DOCUMENT];
                rand::fill(document.as_mut_slice());
                let asked = SignRequest {
                    signer_id: signer_id(signer),
                    pin: Pin(PIN.to_owned()),
                    document: STANDARD.encode(document),
                };
                let key = format!("rx_{:032x}", rand::random::<u128>());
                let one = Instant::now();
                match client.call::<SignDocument>(Some(&key), &asked).await.done() {
                    Some(_) => times.push(one.elapsed()),
                    None => errors += 1,
                }
            }
            (times, errors)
        });
    }
    let (mut all, mut failed) = (Samples::default(), 0);
    while let Some(done) = tasks.join_next().await {
        let (times, errors) = done?;
        all.join(times);
        failed += errors;
    }
    Ok((all, begun.elapsed(), failed))
}

fn in_process(time: Duration) -> Result<(Samples, Duration)> {
    let key = Sm2Key::generate().context("a key")?;
    let message = vec![7u8; DOCUMENT];
    for _ in 0..50 {
        key.sign(&message).context("a signature")?;
    }
    let (begun, mut times) = (Instant::now(), Samples::default());
    while begun.elapsed() < time {
        let one = Instant::now();
        key.sign(&message).context("a signature")?;
        times.push(one.elapsed());
    }
    Ok((times, begun.elapsed()))
}

/// Signatures per second of Debian's OpenSSL.
pub(crate) fn openssl(processes: u64, seconds: u64) -> Result<f64> {
    let mut command = Command::new("openssl");
    command.args(["speed", "-elapsed", "-seconds", &seconds.to_string()]);
    if processes > 1 {
        command.args(["-multi", &processes.to_string()]);
    }
    let output = command.arg("sm2").output().context("openssl speed")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // ` 256 bits SM2 (CurveSM2)   0.0003s   0.0003s   3011.2   3250.0`: seconds, seconds, signatures, verifications.
    let line = text
        .lines()
        .rfind(|l| l.contains("SM2") && l.trim_end().ends_with(|c: char| c.is_ascii_digit()));
    let rate = line.and_then(|l| l.split_whitespace().rev().nth(1)?.parse().ok());
    match rate {
        Some(rate) if rate > 0.0 => Ok(rate),
        _ => bail!("openssl speed says nothing of SM2: {text}"),
    }
}
