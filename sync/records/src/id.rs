//! Identifiers: newtypes over `prefix_` + 26 characters (48 bits of milliseconds, 80 random bits, Crockford base 32),
//! so that they sort by birth, read well in a log and cannot be mixed up.

use std::fmt;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Declares an identifier newtype with its readable prefix.
#[macro_export]
macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The readable prefix of this kind of identifier.
            pub const PREFIX: &'static str = $prefix;

            /// A new identifier, never given before.
            pub fn generate(ids: &$crate::Ids, at: $crate::Timestamp) -> Self {
                Self(ids.next(Self::PREFIX, at))
            }

            /// Takes a text from outside; `None` when it is not such an identifier.
            pub fn parse(text: &str) -> Option<Self> {
                let rest = text.strip_prefix(Self::PREFIX)?.strip_prefix('_')?;
                let fits = !rest.is_empty()
                    && rest.len() <= 64
                    && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
                fits.then(|| Self(text.to_owned()))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The text, owned.
            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

id_type!(
    /// A hospital (医院) as tenant.
    TenantId,
    "hos"
);
id_type!(
    /// An appliance (前置机) as enrolled in the fleet.
    EdgeId,
    "edg"
);
id_type!(
    /// A patient (就诊人) of one account holder.
    PatientId,
    "pat"
);
id_type!(
    /// An account of a person who signs in by phone.
    AccountId,
    "acc"
);
id_type!(
    /// A member of staff (医护人员): doctor, pharmacist, administrator.
    StaffId,
    "stf"
);
id_type!(
    /// An online visit (问诊, FHIR Encounter). Also the platform order number `psOrdNum` towards the HIS.
    VisitId,
    "con"
);
id_type!(
    /// A prescription (处方, FHIR MedicationRequest group).
    PrescriptionId,
    "rx"
);
id_type!(
    /// An order of examinations or laboratory tests (检查单, 检验单; FHIR ServiceRequest group).
    OrderId,
    "ord"
);
id_type!(
    /// A payment order; also `out_trade_no` at the channel.
    PaymentId,
    "pay"
);
id_type!(
    /// A refund of a payment; also `out_refund_no` at the channel and `psRefOrdNum` towards the HIS.
    RefundId,
    "ref"
);
id_type!(
    /// A stored image, voice message, document or recording.
    BlobId,
    "blb"
);

/// One end of the line: `cloud`, or an appliance id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PeerId(String);

impl PeerId {
    /// The cloud as peer of an appliance.
    pub fn cloud() -> Self {
        Self("cloud".to_owned())
    }

    /// An appliance as peer of the cloud.
    pub fn edge(id: &EdgeId) -> Self {
        Self(id.as_str().to_owned())
    }

    /// Takes a text; `None` unless it is `cloud` or an appliance id.
    pub fn parse(text: &str) -> Option<Self> {
        (text == "cloud" || EdgeId::parse(text).is_some()).then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who does something, for histories and the audit chain.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "id")]
pub enum Actor {
    /// An account holder.
    Patient(AccountId),
    /// A member of staff.
    Staff(StaffId),
    /// The HIS of the hospital, through the appliance.
    His,
    /// The payment channel.
    Channel,
    /// An appliance.
    Edge(EdgeId),
    /// A timer or reconciler of ours.
    System,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Patient(id) => write!(f, "{id}"),
            Self::Staff(id) => write!(f, "{id}"),
            Self::Edge(id) => write!(f, "{id}"),
            Self::His => f.write_str("his"),
            Self::Channel => f.write_str("channel"),
            Self::System => f.write_str("system"),
        }
    }
}

/// A source of random bytes; the daemon hands in the operating system's.
pub trait Entropy: Send + Sync + 'static {
    /// Fills the buffer with random bytes.
    fn fill(&self, buffer: &mut [u8]);
}

/// Repeatable pseudo-random bytes (SplitMix64) for tests and simulations; never for secrets.
#[derive(Debug)]
pub struct SeededEntropy(Mutex<u64>);

impl SeededEntropy {
    /// A stream determined by the seed.
    pub const fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        let mut state = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for chunk in buffer.chunks_mut(8) {
            *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = *state;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^= z >> 31;
            for (to, from) in chunk.iter_mut().zip(z.to_le_bytes()) {
                *to = from;
            }
        }
    }
}

/// Gives new identifiers.
pub struct Ids(Box<dyn Entropy>);

impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ids")
    }
}

impl Ids {
    /// Identifiers from this source of randomness.
    pub fn new(entropy: impl Entropy) -> Self {
        Self(Box::new(entropy))
    }

    /// Random bytes for tokens, nonces and codes.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0u8; N];
        self.0.fill(&mut bytes);
        bytes
    }

    /// `prefix_` and 26 characters that sort by `at`.
    pub fn next(&self, prefix: &str, at: Timestamp) -> String {
        let millis = u128::try_from(at.as_micros().max(0) / 1000).unwrap_or(0);
        let mut random = [0u8; 16];
        self.0.fill(&mut random[..10]);
        let value = (millis << 80) | (u128::from_le_bytes(random) & ((1 << 80) - 1));
        let mut text = String::with_capacity(prefix.len() + 27);
        text.push_str(prefix);
        text.push('_');
        for i in (0..26).rev() {
            let digit = usize::try_from((value >> (i * 5)) & 31).unwrap_or(0);
            text.push(CROCKFORD.get(digit).copied().map_or('0', char::from));
        }
        text
    }
}

const CROCKFORD: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_sort_by_birth_and_refuse_foreign_prefixes() {
        let ids = Ids::new(SeededEntropy::new(1));
        let a = VisitId::generate(&ids, Timestamp::from_seconds(1_700_000_000));
        let b = VisitId::generate(&ids, Timestamp::from_seconds(1_700_000_001));
        assert!(a < b);
        assert_eq!(VisitId::parse(a.as_str()), Some(a));
        assert_eq!(VisitId::parse("rx_0000"), None);
        assert_eq!(VisitId::parse("con_' or 1=1"), None);
    }
}
