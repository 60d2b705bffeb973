//! Credentials for a TURN relay by the REST convention (draft-uberti-behave-turn-rest-00), as coturn's
//! `use-auth-secret`: user = end of validity, password = HMAC-SHA1 of it under the shared secret.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use records::Timestamp;
use ring::hmac;
use serde::Serialize;
use utoipa::ToSchema;

/// How long credentials are good for.
const GOOD_FOR: Duration = Duration::from_secs(6 * 3600);

/// A relay that browsers may use.
#[derive(Clone, PartialEq, Eq)]
pub struct Relay {
    /// Addresses, e.g. `turn:hospital.example:3478?transport=udp`.
    pub urls: Vec<String>,
    /// The secret shared with it; none for plain STUN.
    pub secret: Option<String>,
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay")
            .field("urls", &self.urls)
            .finish_non_exhaustive()
    }
}

/// `RTCIceServer`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct IceServer {
    /// Addresses.
    pub urls: Vec<String>,
    /// User.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

impl Relay {
    /// What a browser needs to use it.
    pub fn ice_server(&self, now: Timestamp) -> IceServer {
        let user = now.plus(GOOD_FOR).as_seconds().to_string();
        let credential = self.secret.as_ref().map(|secret| {
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
            BASE64.encode(hmac::sign(&key, user.as_bytes()))
        });
        IceServer {
            urls: self.urls.clone(),
            username: credential.is_some().then_some(user),
            credential,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_those_a_relay_with_the_same_secret_computes() {
        let relay = Relay {
            urls: vec!["turn:relay.example:3478".into()],
            secret: Some("north".into()),
        };
        let given = relay.ice_server(Timestamp::from_seconds(1_700_000_000 - 6 * 3600));
        assert_eq!(given.username.as_deref(), Some("1700000000"));
        // printf 1700000000 | openssl dgst -sha1 -hmac north -binary | base64
        assert_eq!(given.credential.as_deref(), Some("CWyHi3zCeWqXBir9thl4m+iZPRY="));
        let plain = Relay {
            urls: vec!["stun:relay.example:3478".into()],
            secret: None,
        };
        assert_eq!(plain.ice_server(Timestamp::from_seconds(0)).credential, None);
    }
}
