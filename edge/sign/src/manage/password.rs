//! Passwords of the management page: Argon2id, as PINs are stretched.

use crate::{Refusal, pin, wrap};

const SALT: usize = 16;

/// What is kept of a password.
pub(crate) struct Kept {
    pub(crate) salt: Vec<u8>,
    pub(crate) stretched: Vec<u8>,
}

/// Keeps a password that fits the rule: 10 to 128 characters, of three of the kinds small and capital letters, digits and
/// others (GB/T 22239 wants them mixed), without the account's name.
pub(crate) fn keep(password: &str, name: &str) -> Result<Kept, Refusal> {
    let long = (10..=128).contains(&password.chars().count());
    let kinds: [fn(char) -> bool; 4] = [
        |c| c.is_ascii_lowercase(),
        |c| c.is_ascii_uppercase(),
        |c| c.is_ascii_digit(),
        |c| !c.is_ascii_alphanumeric(),
    ];
    let kinds = kinds.into_iter().filter(|kind| password.chars().any(kind)).count();
    let apart = !password.to_lowercase().contains(&name.to_lowercase());
    if !(long && kinds >= 3 && apart) {
        return Err(Refusal::no(
            "password_weak",
            "密码应为 10 至 128 个字符，包含大写字母、小写字母、数字、符号中的至少三种，且不含用户名。",
        ));
    }
    let salt = wrap::random::<SALT>()?.to_vec();
    let stretched = pin::stretch(password, &salt)?.to_vec();
    Ok(Kept { salt, stretched })
}

/// Whether this is the password. Without an account the same work is done for nothing.
pub(crate) fn is(kept: Option<(&[u8], &[u8])>, password: &str) -> Result<bool, Refusal> {
    let (salt, stretched) = kept.unwrap_or((&[0; SALT], &[]));
    // A password that nobody can have is not stretched at length.
    let given = pin::stretch(password.get(..512.min(password.len())).unwrap_or_default(), salt)?;
    Ok(equal(given.as_slice(), stretched))
}

/// A password to begin with: 80 random bits, letters that cannot be mistaken, in groups.
pub(crate) fn fresh() -> Result<String, Refusal> {
    const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789A";
    let random = wrap::random::<16>()?;
    let letters = random.iter().filter_map(|byte| LETTERS.get(usize::from(byte & 31)));
    let mut text = String::new();
    for (n, letter) in letters.enumerate() {
        if n > 0 && n % 4 == 0 {
            text.push('-');
        }
        text.push(char::from(*letter));
    }
    Ok(text)
}

/// In a time that does not depend on where they differ.
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |sum, (x, y)| sum | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_passwords_are_refused_and_the_right_one_is_known() {
        for weak in ["Short1!", "alllowercaseletters", "Zhangsan-2026", "", "1234567890"] {
            assert!(keep(weak, "zhangsan").is_err(), "{weak}");
        }
        let kept = keep("Correct-horse-7", "zhangsan").expect("kept");
        let kept = Some((kept.salt.as_slice(), kept.stretched.as_slice()));
        assert!(is(kept, "Correct-horse-7").expect("judged"));
        assert!(!is(kept, "Correct-horse-8").expect("judged"));
        assert!(!is(None, "Correct-horse-7").expect("judged"));
    }

    #[test]
    fn a_password_to_begin_with_is_long_and_new() {
        let (one, other) = (fresh().expect("made"), fresh().expect("made"));
        assert_ne!(one, other);
        assert_eq!(one.len(), 19);
    }
}
