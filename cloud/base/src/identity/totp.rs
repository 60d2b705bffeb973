//! The second factor: time-based codes (RFC 6238, SHA-1, 6 digits, 30 s) as authenticator apps show them.

use hmac::{Hmac, KeyInit, Mac};
use records::Timestamp;
use sha1::Sha1;

const STEP_SECONDS: i64 = 30;

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

/// The code shown at an instant; for tests and onboarding checks.
pub fn code_at(secret: &[u8], at: Timestamp) -> Option<String> {
    code(secret, at.as_seconds().div_euclid(STEP_SECONDS))
}

/// The step whose code this is, among now and its neighbours, later than the last one used.
pub(crate) fn accept(secret: &[u8], given: &str, at: Timestamp, last_used: i64) -> Option<i64> {
    let now = at.as_seconds().div_euclid(STEP_SECONDS);
    let steps = [now, now - 1, now + 1].into_iter().filter(|step| *step > last_used);
    // All three are computed and compared whole.
    steps.fold(None, |found, step| {
        let same = code(secret, step).is_some_and(|right| equal(right.as_bytes(), given.as_bytes()));
        if same { Some(step) } else { found }
    })
}

fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |sum, (x, y)| sum | (x ^ y)) == 0
}

/// A new secret in base 32: 160 bits.
pub(crate) fn new_secret(ids: &records::Ids) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let letter = |byte: u8| ALPHABET.get(usize::from(byte & 31)).copied().map_or('A', char::from);
    ids.random::<32>().into_iter().map(letter).collect()
}

/// Reads a secret in base 32, as onboarding writes it.
pub fn secret(base32: &str) -> Option<Vec<u8>> {
    let (mut bits, mut held, mut out) = (0_u32, 0_u32, Vec::new());
    for c in base32.trim().trim_end_matches('=').chars().filter(|c| *c != ' ') {
        let digit = match c.to_ascii_uppercase() {
            c @ 'A'..='Z' => u32::from(c) - u32::from('A'),
            c @ '2'..='7' => u32::from(c) - u32::from('2') + 26,
            _ => return None,
        };
        bits = (bits << 5) | digit;
        held += 5;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from((bits >> held) & 0xff).ok()?);
            bits &= (1 << held) - 1;
        }
    }
    (out.len() >= 10).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238 appendix B, last six digits.
    #[test]
    fn codes_are_those_of_the_standard() {
        let secret = b"12345678901234567890";
        for (at, expected) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            assert_eq!(code_at(secret, Timestamp::from_seconds(at)).unwrap(), expected);
        }
        assert_eq!(super::secret("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").unwrap(), secret);
    }

    #[test]
    fn a_code_is_good_once_and_only_for_a_minute() {
        let secret = b"12345678901234567890";
        let at = Timestamp::from_seconds(1_111_111_109);
        let step = accept(secret, "081804", at, 0).unwrap();
        assert_eq!(accept(secret, "081804", at, step), None);
        assert_eq!(
            accept(secret, "081804", Timestamp::from_seconds(1_111_111_109 + 90), 0),
            None
        );
        assert_eq!(accept(secret, "081805", at, 0), None);
    }
}
