//! Passwords of staff: argon2id, and what is strong enough.

use std::time::Duration;

use argon2::password_hash::{PasswordHash, SaltString};
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use records::Ids;
use tokio::sync::Semaphore;

use crate::ApiError;

/// Passwords that are checked at the same time. Each check takes 19 MiB and a core for a moment, on purpose: without a
/// limit a flood of made-up logins would take the machine.
const AT_ONCE: usize = 4;
/// How long a person waits for their turn.
const TURN: Duration = Duration::from_secs(10);

static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);

/// At least ten characters of at least three kinds (GB/T 22239 §8.1.4.1 a).
pub fn strong_enough(password: &str) -> Result<(), ApiError> {
    let kinds: [fn(&char) -> bool; 4] = [
        char::is_ascii_lowercase,
        char::is_ascii_uppercase,
        char::is_ascii_digit,
        |c| !c.is_ascii_alphanumeric(),
    ];
    let kinds = kinds.iter().filter(|kind| password.chars().any(|c| kind(&c))).count();
    if password.chars().count() < 10 || kinds < 3 {
        return Err(ApiError::field(
            "password",
            "密码至少10位，须包含大写字母、小写字母、数字、符号中的三种",
        ));
    }
    Ok(())
}

/// The hash to store.
pub fn hash(password: &str, ids: &Ids) -> Result<String, ApiError> {
    let salt = SaltString::encode_b64(&ids.random::<16>()).map_err(ApiError::internal)?;
    Argon2::default()
        .hash_password(password.as_bytes(), &salt)
        .map(|hash| hash.to_string())
        .map_err(ApiError::internal)
}

/// Whether the password is the one hashed. Takes its time also when there is no hash, so that nobody can tell which
/// logins exist.
pub(crate) async fn matches(password: String, hash: Option<String>) -> Result<bool, ApiError> {
    let Ok(Ok(turn)) = tokio::time::timeout(TURN, TURNS.acquire()).await else {
        return Err(ApiError::too_many(5));
    };
    let checked = tokio::task::spawn_blocking(move || fits(&password, hash.as_deref())).await;
    drop(turn);
    checked.map_err(ApiError::internal)
}

fn fits(password: &str, hash: Option<&str>) -> bool {
    const NOBODY: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let Ok(parsed) = PasswordHash::new(hash.unwrap_or(NOBODY)) else {
        return false;
    };
    let right = Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok();
    right && hash.is_some()
}
