//! Access codes of keys: kept as a keyed digest with a salt of its own.

use hmac::{Hmac, KeyInit, Mac};
use sm3::Sm3;

use crate::Refusal;
use crate::wrap;

const SALT: usize = 16;

/// What is kept of a code of 8 to 64 printable characters.
pub(crate) fn keep(code: &str) -> Result<Vec<u8>, Refusal> {
    let fits = (8..=64).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_graphic());
    if !fits {
        return Err(Refusal::no(
            "access_code",
            "密钥权限标识码应为 8 至 64 位字母、数字或符号。",
        ));
    }
    let salt = wrap::random::<SALT>()?;
    let digest = digest(&salt, code.as_bytes()).ok_or(Refusal::Damaged("salt"))?;
    Ok([&salt[..], &digest.finalize().into_bytes()].concat())
}

/// Whether this is the code; the time says nothing of how much of it was right.
pub(crate) fn is(kept: &[u8], code: &[u8]) -> bool {
    let Some((salt, expected)) = kept.split_at_checked(SALT) else {
        return false;
    };
    digest(salt, code).is_some_and(|digest| digest.verify_slice(expected).is_ok())
}

fn digest(salt: &[u8], code: &[u8]) -> Option<Hmac<Sm3>> {
    let mut mac = Hmac::<Sm3>::new_from_slice(salt).ok()?;
    mac.update(code);
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_code_itself_is_the_code() {
        let kept = keep("yizhen-2026").expect("kept");
        assert!(is(&kept, b"yizhen-2026"));
        for wrong in [&b""[..], b"yizhen-2025", b"yizhen-2026 ", b"yizhen-202"] {
            assert!(!is(&kept, wrong));
        }
        assert!(!is(b"short", b"yizhen-2026"));
        assert!(keep("short").is_err());
    }
}
