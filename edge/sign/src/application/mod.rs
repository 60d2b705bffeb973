//! Applications 应用系统 and what each may do.

mod act;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use records::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// An application's id: `app_` and letters, digits, `_` or `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct ApplicationId(pub String);

/// Index of a server key (GB/T 38629 `keyIndex`), from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct KeyIndex(pub u32);

/// Id of a chain: `chn_…`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct ChainId(pub String);

/// What an application may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Raw signatures (PKCS#1, GB/T 35276).
    Pkcs1,
    /// Messages with their content (PKCS#7 attached).
    Pkcs7Attached,
    /// Messages without their content (PKCS#7 detached).
    Pkcs7Detached,
    /// XML signatures.
    Xml,
    /// PDF signatures.
    Pdf,
    /// Time stamps.
    Stamp,
    /// Encryption, decryption, digests, random numbers.
    Cipher,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Pkcs1,
        Self::Pkcs7Attached,
        Self::Pkcs7Detached,
        Self::Xml,
        Self::Pdf,
        Self::Stamp,
        Self::Cipher,
    ];
}

/// How a certificate's revocation is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Revocation {
    /// Not at all.
    None,
    /// By the revocation list.
    Crl,
    /// By asking the authority.
    Ocsp,
    /// By either: the list first, the authority where there is none.
    CrlOrOcsp,
}

/// An application's access policy 访问策略.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Server keys it may sign and decrypt with; the first is taken when a request names none.
    pub keys: Vec<KeyIndex>,
    /// Chains under which it accepts certificates.
    pub chains: Vec<ChainId>,
    /// How revocation is looked at.
    pub revocation: Revocation,
    /// A certificate whose status cannot be found out is refused; otherwise accepted, and said so.
    pub revocation_must_be_known: bool,
    /// What it may ask for.
    pub formats: BTreeSet<Format>,
    /// Requests a second; 0 sets no limit.
    pub rate_per_second: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            chains: Vec::new(),
            revocation: Revocation::CrlOrOcsp,
            revocation_must_be_known: true,
            formats: Format::ALL.into(),
            rate_per_second: 0,
        }
    }
}

/// An application as it is served.
#[derive(Debug)]
pub struct Application {
    /// Its id.
    pub id: ApplicationId,
    /// Its name, for people.
    pub name: String,
    /// Requests are answered at all.
    pub enabled: bool,
    /// What it may do.
    pub policy: Policy,
    /// The key with which it signs its requests, where it has one.
    pub(crate) secret: Option<Arc<Secret>>,
    pub(crate) wrapped_secret: Option<Vec<u8>>,
    pub(crate) limit: Arc<Limit>,
}

/// A request key; not printed.
pub(crate) struct Secret(pub(crate) Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Requests that may still be made: filled evenly, a second's worth at most.
#[derive(Debug, Default)]
pub(crate) struct Limit(Mutex<Option<(Timestamp, f64)>>);

impl Limit {
    /// Takes one, if there is one.
    pub(crate) fn take(&self, rate_per_second: u32, now: Timestamp) -> bool {
        if rate_per_second == 0 {
            return true;
        }
        let most = f64::from(rate_per_second);
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, left) = state.unwrap_or((now, most));
        // A clock that is set back fills nothing.
        let passed = (now.as_micros() - last.as_micros()).max(0) as f64 / 1e6;
        let left = (left + passed * most).min(most);
        let granted = left >= 1.0;
        *state = Some((now, if granted { left - 1.0 } else { left }));
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_lets_a_seconds_worth_pass_and_fills_evenly() {
        let limit = Limit::default();
        let at = |ms: i64| Timestamp::from_micros(1_800_000_000_000_000 + ms * 1000);
        let granted = (0..20).filter(|_| limit.take(10, at(0))).count();
        assert_eq!(granted, 10);
        assert!(!limit.take(10, at(50)));
        assert!(limit.take(10, at(160)));
        assert!(!limit.take(10, at(160)));
        assert!(!limit.take(10, at(-5000)), "a clock set back grants nothing");
        assert!((0..1000).all(|_| limit.take(0, at(200))));
    }
}
