//! The relays that `/ice` names: our own ([`crate::turn`]), or others that share a secret with us (coturn's
//! `use-auth-secret`).

use records::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::turn::credential;

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
    /// What a browser needs to use it; `who` is whose allocations are counted together.
    pub fn ice_server(&self, who: &str, now: Timestamp) -> IceServer {
        let secret = self.secret.as_deref();
        let username = secret.map(|secret| credential::user(secret, who, now));
        let credential = secret
            .zip(username.as_deref())
            .map(|(secret, user)| credential::password(secret, user));
        IceServer {
            urls: self.urls.clone(),
            username,
            credential,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_with_a_secret_is_named_with_credentials_and_plain_stun_without() {
        let relay = |secret: Option<&str>| Relay {
            urls: vec!["turn:relay.example:3478".into()],
            secret: secret.map(str::to_owned),
        };
        let now = Timestamp::from_seconds(1_700_000_000);
        let given = relay(Some("north")).ice_server("con_1/patient", now);
        let user = given.username.unwrap();
        assert_eq!(given.credential, Some(credential::password("north", &user)));
        let plain = relay(None).ice_server("con_1/patient", now);
        assert_eq!((plain.username, plain.credential), (None, None));
    }
}
