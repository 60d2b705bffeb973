//! The second factor: time-based codes (RFC 6238: SHA-1, 6 digits, 30 s) as authenticator apps show them.

use hmac::{Hmac, KeyInit, Mac};
use records::Timestamp;
use sha1::Sha1;
use zeroize::Zeroizing;

use super::password::equal;
use crate::Refusal;
use crate::wrap;

const STEP_SECONDS: i64 = 30;
/// RFC 4226 4: at least 128 bits, 160 recommended.
const SECRET: usize = 20;

/// A new secret.
pub(crate) fn secret() -> Result<Zeroizing<Vec<u8>>, Refusal> {
    Ok(Zeroizing::new(wrap::random::<SECRET>()?.to_vec()))
}

/// The code of a step.
fn code(secret: &[u8], step: i64) -> Option<String> {
    let mut mac = <Hmac<Sha1> as KeyInit>::new_from_slice(secret).ok()?;
    mac.update(&step.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let offset = usize::from(digest.last()? & 0x0f);
    let word: [u8; 4] = digest.get(offset..offset + 4)?.try_into().ok()?;
    let number = (u32::from_be_bytes(word) & 0x7fff_ffff) % 1_000_000;
    Some(format!("{number:06}"))
}

/// The step whose code this is, among now and its neighbours, later than the last one used.
pub(crate) fn accept(secret: &[u8], given: &str, at: Timestamp, last_used: i64) -> Option<i64> {
    let now = at.as_seconds().div_euclid(STEP_SECONDS);
    // All are computed and compared whole.
    [now, now - 1, now + 1].into_iter().fold(None, |found, step| {
        let same = code(secret, step).is_some_and(|right| equal(right.as_bytes(), given.trim().as_bytes()));
        if same && step > last_used { Some(step) } else { found }
    })
}

/// In base 32 (RFC 4648), as authenticator apps take it.
pub(crate) fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let (mut held, mut bits, mut out) = (0_u32, 0_u32, String::new());
    let mut letter = |value: u32| out.push(ALPHABET.get((value & 31) as usize).copied().map_or('A', char::from));
    for byte in bytes {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            letter(held >> bits);
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        letter(held << (5 - bits));
    }
    out
}

/// What the authenticator app reads from the picture.
pub(crate) fn uri(secret: &[u8], account: &str) -> String {
    // Names are letters, digits, `.`, `_` and `-`: nothing to escape.
    format!(
        "otpauth://totp/Yiqiao-signd:{account}?secret={}&issuer=Yiqiao-signd",
        base32(secret)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238 appendix B, last six digits.
    #[test]
    fn codes_are_those_of_the_standard() {
        let secret = b"12345678901234567890";
        for (at, expected) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code(secret, at / STEP_SECONDS).as_deref(), Some(expected));
        }
        assert_eq!(base32(secret), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        // RFC 4648 10, without padding.
        for (bytes, text) in [
            (&b"f"[..], "MY"),
            (b"fo", "MZXQ"),
            (b"foo", "MZXW6"),
            (b"foob", "MZXW6YQ"),
        ] {
            assert_eq!(base32(bytes), text);
        }
    }

    #[test]
    fn a_code_is_good_once_and_only_for_a_minute() {
        let secret = b"12345678901234567890";
        let at = Timestamp::from_seconds(1_111_111_109);
        let step = accept(secret, "081804", at, 0).expect("right");
        assert_eq!(accept(secret, "081804", at, step), None);
        assert_eq!(
            accept(secret, "081804", Timestamp::from_seconds(1_111_111_109 + 90), 0),
            None
        );
        for wrong in ["081805", "", "81804", "0818040"] {
            assert_eq!(accept(secret, wrong, at, 0), None, "{wrong}");
        }
    }
}
