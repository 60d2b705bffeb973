//! What signing and verifying cost: `cargo run --release -p xmldsig --example cost`.

use std::time::{Duration, Instant};

use gm::certificate::{Draft as Certify, Purpose};
use gm::key::{P256Key, RsaKey, Signer, Sm2Key};
use gm::{Certificate, Identity};
use time::OffsetDateTime;
use xmldsig::{Canonical, Draft, Limits, Options, Work, canonical, sign, verify};

/// A prescription list of about this many bytes: elements, attributes, two namespaces, Chinese.
fn document(bytes: usize) -> String {
    let mut text = String::from("<rx:处方 xmlns:rx=\"urn:rx\" xmlns=\"urn:drug\">\r\n");
    let mut number = 0;
    while text.len() < bytes {
        number += 1;
        text.push_str(&format!(
            "  <rx:药品 编号=\"{number}\" rx:单位=\"盒\"><名称>阿莫西林胶囊 &lt;0.5 g&gt;</名称><用法 途径=\"口服\">每日三次</用法></rx:药品>\r\n"
        ));
    }
    text.push_str("</rx:处方>");
    text
}

/// Microseconds of one run: the median of many.
fn microseconds(
    mut run: impl FnMut() -> Result<(), Box<dyn std::error::Error>>,
) -> Result<f64, Box<dyn std::error::Error>> {
    let mut times = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(700) || times.len() < 5 {
        let start = Instant::now();
        run()?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times.get(times.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1e6))
}

fn certificate(key: &dyn Signer) -> Result<Certificate, gm::Refused> {
    let subject = Identity {
        common_name: "张医生".to_owned(),
        ..Identity::default()
    };
    let certify = Certify {
        serial: [7; 16],
        subject: &subject,
        public_key: key.public_key(),
        purpose: Purpose::Documents,
        not_before: OffsetDateTime::UNIX_EPOCH,
        not_after: OffsetDateTime::UNIX_EPOCH + time::Duration::days(40_000),
    };
    certify.issue(None, key)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::default();
    let keys: [(&str, Box<dyn Signer>); 3] = [
        ("SM2", Box::new(Sm2Key::generate()?)),
        ("ECDSA P-256", Box::new(P256Key::from_pkcs8(&P256Key::generate()?)?)),
        ("RSA-2048", Box::new(RsaKey::from_pkcs8(&RsaKey::generate(2048)?)?)),
    ];
    println!("| document | key | sign µs | verify µs | canonical form alone µs |\n|---|---|---|---|---|");
    for bytes in [10 << 10, 1 << 20] {
        let text = document(bytes);
        let form = microseconds(|| {
            canonical(&text, &Canonical::EXCLUSIVE, &Limits::default())?;
            Ok(())
        })?;
        for (name, key) in &keys {
            let chain = [certificate(key.as_ref())?];
            let work = Work::Enveloped {
                document: &text,
                id: None,
            };
            let signed = sign(work, key.as_ref(), &chain, &Draft::default(), &options)?;
            let signing = microseconds(|| {
                sign(work, key.as_ref(), &chain, &Draft::default(), &options)?;
                Ok(())
            })?;
            let verifying = microseconds(|| {
                verify(signed.as_bytes(), &[], None, &options)?;
                Ok(())
            })?;
            println!(
                "| {} KiB | {name} | {signing:.0} | {verifying:.0} | {form:.0} |",
                text.len() >> 10
            );
        }
    }
    Ok(())
}
