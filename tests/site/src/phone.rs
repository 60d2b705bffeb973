//! What a person does outside our apps: reads a text message or a one-time code, pays at the channel's cashier.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::Addresses;

const PATIENCE: Duration = Duration::from_secs(90);

/// Empties the demo phone, so that the next code is the newest one.
///
/// # Errors
/// When the demo phone does not answer.
pub async fn forget_messages(site: &Addresses) -> Result<()> {
    client()?
        .delete(format!("{}/control/messages", site.sms))
        .send()
        .await?
        .error_for_status()?;
    Ok(())
}

/// The newest login code sent to a phone.
///
/// # Errors
/// When none arrives.
pub async fn sms_code(site: &Addresses, phone: &str) -> Result<String> {
    let started = Instant::now();
    loop {
        let messages: Value = get(&format!("{}/control/messages?phone={phone}", site.sms)).await?;
        let list = messages
            .as_array()
            .or_else(|| messages["messages"].as_array())
            .cloned()
            .unwrap_or_default();
        let code = list.last().and_then(|m| six_digits(m["text"].as_str()?));
        match code {
            Some(code) => return Ok(code),
            None if started.elapsed() > PATIENCE => bail!("no text message with a code reached {phone}"),
            None => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

fn six_digits(text: &str) -> Option<String> {
    let mut run = String::new();
    for letter in text.chars().chain(std::iter::once(' ')) {
        if letter.is_ascii_digit() {
            run.push(letter);
        } else if run.len() == 6 {
            return Some(run);
        } else {
            run.clear();
        }
    }
    None
}

/// The one-time code of a member of staff.
///
/// # Errors
/// When the demo phone does not know them.
pub async fn totp_code(site: &Addresses, login: &str) -> Result<String> {
    let answer = get(&format!("{}/control/totp/{login}", site.sms)).await?;
    answer["code"]
        .as_str()
        .map(str::to_owned)
        .with_context(|| format!("no one-time code for {login}: {answer}"))
}

/// Pays an order at the channel's cashier.
///
/// # Errors
/// When the channel does not know the order or refuses.
pub async fn pay_at_cashier(site: &Addresses, payment: &str) -> Result<()> {
    let answer = client()?
        .post(format!("{}/control/pay/{payment}", site.pay))
        .send()
        .await?;
    let status = answer.status();
    if !status.is_success() {
        bail!("the cashier refused {payment}: {status} {}", answer.text().await?);
    }
    Ok(())
}

async fn get(url: &str) -> Result<Value> {
    client()?
        .get(url)
        .send()
        .await
        .with_context(|| format!("asking {url}"))?
        .json()
        .await
        .context("JSON")
}

fn client() -> Result<reqwest::Client> {
    Ok(reqwest::Client::builder().timeout(PATIENCE).build()?)
}

/// A stroke of ink on white paper, 96 × 32 pixels: a handwritten signature for tests.
pub fn signature_png() -> Vec<u8> {
    let (width, height) = (96u32, 32u32);
    let mut rows = Vec::new();
    for y in 0..height {
        rows.push(0u8);
        rows.extend((0..width).map(|x| {
            if (x / 6 + y / 4) % 5 == 0 && x % 7 != 0 {
                20
            } else {
                255
            }
        }));
    }
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = Vec::new();
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    header.extend([8, 0, 0, 0, 0]);
    chunk(&mut png, b"IHDR", &header);
    chunk(&mut png, b"IDAT", &stored_zlib(&rows));
    chunk(&mut png, b"IEND", &[]);
    png
}

fn chunk(png: &mut Vec<u8>, kind: &[u8; 4], body: &[u8]) {
    png.extend(u32::try_from(body.len()).unwrap_or(0).to_be_bytes());
    let mut checked = kind.to_vec();
    checked.extend(body);
    png.extend(&checked);
    png.extend(crc32(&checked).to_be_bytes());
}

/// A zlib stream of one stored block: the picture is smaller than 64 KiB.
fn stored_zlib(data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap_or(u16::MAX);
    let mut out = vec![0x78, 0x01, 0x01];
    out.extend(length.to_le_bytes());
    out.extend((!length).to_le_bytes());
    out.extend(data);
    let (a, b) = data.iter().fold((1u32, 0u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65521;
        (a, (b + a) % 65521)
    });
    out.extend(((b << 16) | a).to_be_bytes());
    out
}

fn crc32(data: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in data {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0xEDB8_8320
            } else {
                crc >> 1
            };
        }
    }
    !crc
}
