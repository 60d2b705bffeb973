//! Passwords of staff: argon2id, and what is strong enough.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use argon2::password_hash::{self, Output, PasswordHash, Salt, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, PasswordHasher, Version};
use records::Ids;
use tokio::sync::Semaphore;

use crate::ApiError;

/// Passwords that are checked at the same time. Each check takes 19 MiB and a core for a moment, on purpose: without a
/// limit a flood of made-up logins would take the machine.
const AT_ONCE: usize = 4;
/// How long a person waits for their turn.
const TURN: Duration = Duration::from_secs(10);

static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);

/// Working memory of the checks, one piece per turn, used again. Taken and given back each time it would stay behind in
/// the allocator, once for each thread that ever checked a password.
static MEMORY: Mutex<Vec<Vec<Block>>> = Mutex::new(Vec::new());

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
    let right = computed(password, &parsed).is_ok_and(|output| parsed.hash.is_some_and(|expected| expected == output));
    right && hash.is_some()
}

/// The hash of a password with the salt and the costs of another. Outputs compare in constant time.
fn computed(password: &str, like: &PasswordHash<'_>) -> password_hash::Result<Output> {
    let params = Params::try_from(like)?;
    let version = like.version.map_or(Ok(Version::default()), Version::try_from)?;
    let argon2 = Argon2::new(Algorithm::try_from(like.algorithm)?, version, params);
    let (mut salt, length) = ([0; Salt::MAX_LENGTH], like.hash.map_or(0, |hash| hash.len()));
    let salt = like.salt.ok_or(password_hash::Error::Password)?.decode_b64(&mut salt)?;
    let pool = || MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    let mut memory = pool().pop().unwrap_or_default();
    memory.resize(argon2.params().block_count(), Block::default());
    let output = Output::init_with(length, |out| {
        Ok(argon2.hash_password_into_with_memory(password.as_bytes(), salt, out, &mut memory)?)
    });
    let mut pool = pool();
    if pool.len() < AT_ONCE {
        pool.push(memory);
    }
    output
}

#[cfg(test)]
mod tests {
    use records::{Ids, SeededEntropy};

    /// One piece of memory serves them all.
    #[test]
    fn only_the_password_that_was_hashed_fits_and_nobody_has_none() {
        let ids = Ids::new(SeededEntropy::new(7));
        let stored = super::hash("Morgen#2026x", &ids).unwrap();
        assert!(super::fits("Morgen#2026x", Some(&stored)));
        assert!(!super::fits("Morgen#2026y", Some(&stored)));
        assert!(!super::fits("Morgen#2026x", None));
        assert!(!super::fits("Morgen#2026x", Some("$argon2id$v=19$m=1$short")));
        assert!(super::fits("Morgen#2026x", Some(&stored)));
        assert_eq!(super::MEMORY.lock().unwrap().len(), 1);
    }
}
