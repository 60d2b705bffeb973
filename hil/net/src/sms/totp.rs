//! The authenticator: RFC 6238 codes for the demo's staff.

use std::path::Path;

use ring::hmac::{HMAC_SHA1_FOR_LEGACY_USE_ONLY, Key, sign};
use serde_json::Value;

const STEP_S: i64 = 30;

/// Login and base32 secret pairs of the file; none without a file.
pub(super) fn secrets(file: Option<&Path>) -> Result<Vec<(String, String)>, String> {
    let Some(file) = file else {
        return Ok(Vec::new());
    };
    let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let Ok(Value::Object(pairs)) = serde_json::from_str(&text) else {
        return Err(format!("{} is not a JSON object", file.display()));
    };
    Ok(pairs
        .into_iter()
        .filter_map(|(login, secret)| Some((login, secret.as_str()?.to_owned())))
        .collect())
}

/// The six digits of now.
pub(super) fn code(secret: &str, unix: i64) -> Option<String> {
    let key = base32(secret)?;
    let counter = u64::try_from(unix / STEP_S).ok()?.to_be_bytes();
    let mac = sign(&Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key), &counter);
    let mac = mac.as_ref();
    let at = usize::from(mac.last()? & 0x0f);
    let four: [u8; 4] = mac.get(at..at + 4)?.try_into().ok()?;
    Some(format!("{:06}", (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000))
}

/// Seconds the present code still holds.
pub(super) fn left(unix: i64) -> i64 {
    STEP_S - unix.rem_euclid(STEP_S)
}

fn base32(text: &str) -> Option<Vec<u8>> {
    let mut bits: u64 = 0;
    let mut held = 0;
    let mut out = Vec::new();
    for c in text.bytes().filter(|c| !matches!(c, b' ' | b'-' | b'=')) {
        let value = match c.to_ascii_uppercase() {
            letter @ b'A'..=b'Z' => letter - b'A',
            digit @ b'2'..=b'7' => digit - b'2' + 26,
            _ => return None,
        };
        bits = (bits << 5) | u64::from(value);
        held += 5;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from((bits >> held) & 0xff).ok()?);
        }
    }
    (!out.is_empty()).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::{code, left};

    #[test]
    fn the_codes_are_those_of_rfc_6238() {
        // Appendix B, SHA-1, last six of the eight digits.
        let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
        for (at, expected) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_234_567_890, "005924"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code(secret, at).unwrap(), expected);
        }
        assert_eq!(left(59), 1);
        assert_eq!(code("1!", 59), None);
    }
}
