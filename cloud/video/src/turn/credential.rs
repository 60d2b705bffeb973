//! Credentials by the REST convention (draft-uberti-behave-turn-rest-00), as coturn's `use-auth-secret`: user = end of
//! validity and a name, password = HMAC-SHA1 of that under the shared secret.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use records::Timestamp;
use ring::hmac;

/// How long credentials are good for.
const GOOD_FOR: Duration = Duration::from_secs(6 * 3600);

/// The user name for somebody, good from now on. `who` does not go over the wire: the name is a keyed digest of it.
pub(crate) fn user(secret: &str, who: &str, now: Timestamp) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let digest = hmac::sign(&key, who.as_bytes());
    let name: String = digest.as_ref().iter().take(8).map(|b| format!("{b:02x}")).collect();
    format!("{}:{name}", now.plus(GOOD_FOR).as_seconds())
}

/// The password of a user name.
pub(crate) fn password(secret: &str, user: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
    BASE64.encode(hmac::sign(&key, user.as_bytes()))
}

/// Whose a user name is; `None` when it is none of ours or no longer good.
pub(crate) fn name(user: &str, now: Timestamp) -> Option<&str> {
    let (until, name) = user.split_once(':')?;
    let until: i64 = until.parse().ok()?;
    (now.as_seconds() < until && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_good_for_six_hours_and_the_same_for_the_same_person() {
        let now = Timestamp::from_seconds(1_700_000_000);
        let mine = user("north", "con_1/patient", now);
        assert!(mine.starts_with("1700021600:"), "{mine}");
        assert!(!mine.contains("con_1"));
        let known = name(&mine, now).map(str::to_owned);
        assert!(known.is_some());
        let later = user("north", "con_1/patient", now.plus(Duration::from_secs(60)));
        assert_eq!(name(&later, now).map(str::to_owned), known);
        assert_ne!(name(&user("north", "con_1/doctor", now), now).map(str::to_owned), known);
        assert_eq!(name(&mine, now.plus(Duration::from_secs(6 * 3600))), None);
        for foreign in ["", "1700021600", "soon:me", "1800000000:"] {
            assert_eq!(name(foreign, now), None, "{foreign}");
        }
        // printf 1700000000 | openssl dgst -sha1 -hmac north -binary | base64
        assert_eq!(password("north", "1700000000"), "CWyHi3zCeWqXBir9thl4m+iZPRY=");
    }
}
