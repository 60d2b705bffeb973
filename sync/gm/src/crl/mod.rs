//! Certificate revocation lists (吊销列表, RFC 5280 5): read strictly into a compact set, verified, judged; and built.
//!
//! ```text
//! let head = gm::crl::Head::read(&bytes)?;             // whose is it, which number: cheap
//! let crl = gm::crl::Crl::read(&bytes, &issuers)?;      // signature verified, entries kept
//! let crl = crl.apply(&delta)?;                         // newer, without fetching all of it again
//! crl.status(&certificate, moment)?
//! ```
//! Version 1 lists (no version, no extensions) are read too: old authorities still issue them. Critical extensions that
//! are not understood refuse the list by name, and so do indirect lists and lists of some reasons.

mod build;
mod read;
mod scope;
mod set;

use time::OffsetDateTime;

pub use build::{Draft, Entry};
pub use read::Head;
pub use scope::Scope;
use set::Set;

use crate::evidence::{Kind, Moment, Revoked, Status, Unfit};
use crate::{Certificate, Refused};

/// Larger lists are not read: 64 MiB are about 1.7 million entries.
pub const MAX_CRL: usize = 64 * 1024 * 1024;

/// A list whose signature was verified.
#[derive(Debug, Clone)]
pub struct Crl {
    head: Head,
    issuer: Certificate,
    revoked: Set,
}

impl Crl {
    /// Who signed it, its times, its number and what it covers.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The certificate its signature was verified with.
    #[must_use]
    pub fn issuer(&self) -> &Certificate {
        &self.issuer
    }

    /// How many certificates it revokes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.revoked.len()
    }

    /// Whether it revokes none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that its entries take.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.revoked.memory()
    }

    /// The entry of a serial number (without leading zero), whatever the moment.
    #[must_use]
    pub fn find(&self, serial: &[u8]) -> Option<Revoked> {
        self.revoked.find(serial)
    }

    /// Whether a newer list was due by this time.
    #[must_use]
    pub fn is_stale(&self, now: OffsetDateTime) -> bool {
        self.head.next_update.is_some_and(|due| due < now)
    }

    /// What it says about a certificate at a moment, or why it says nothing about it.
    ///
    /// # Errors
    /// Another issuer, another scope, a delta alone, too old for the moment.
    pub fn status(&self, certificate: &Certificate, moment: Moment) -> Result<Status, Refused> {
        if self.head.base.is_some() {
            return Err(Unfit::Delta("it needs its base").into());
        }
        if certificate.issuer_der != self.head.issuer_der {
            return Err(Unfit::WrongIssuer { what: Kind::Crl }.into());
        }
        self.head.scope.covers(certificate)?;
        let found = self.revoked.find(&certificate.serial);
        if let Some(revoked) = found
            && revoked.stands(moment.at)
        {
            return Ok(Status::Revoked(revoked)); // however old the list
        }
        moment.covered(
            Kind::Crl,
            self.head.this_update,
            self.head.next_update,
            certificate.not_after,
        )?;
        Ok(Status::at(found, moment.at))
    }

    /// This full list brought up to date by a delta (RFC 5280 5.2.4): same issuer, key and scope, a base number that is
    /// not newer than this list, a number that is not older.
    ///
    /// # Errors
    /// When they do not fit together; this list is unchanged.
    pub fn apply(&self, delta: &Self) -> Result<Self, Refused> {
        let base = delta.head.base.as_ref().ok_or(Unfit::Delta("it is a full list"))?;
        let (Some(ours), Some(theirs)) = (&self.head.number, &delta.head.number) else {
            return Err(Unfit::Delta("a number is missing").into());
        };
        if self.head.base.is_some() {
            return Err(Unfit::Delta("the base is a delta itself").into());
        }
        if self.head.issuer_der != delta.head.issuer_der || self.issuer.public_key != delta.issuer.public_key {
            return Err(Unfit::Delta("another issuer").into());
        }
        if self.head.scope != delta.head.scope {
            return Err(Unfit::Delta("another scope").into());
        }
        if base > ours {
            return Err(Unfit::Delta("its base is newer than the list").into());
        }
        if theirs < ours {
            return Err(Unfit::Delta("it is older than the list").into());
        }
        let mut head = delta.head.clone();
        head.base = None;
        head.version = self.head.version;
        Ok(Self {
            head,
            issuer: delta.issuer.clone(),
            revoked: self.revoked.with(&delta.revoked),
        })
    }

    /// Reads a list and verifies it under the one of `issuers` that its name and key id point to; that certificate must
    /// be allowed to sign lists. Whether it is trusted, and the issuer of the certificate in question, is judged by
    /// [`crate::Trust::judge`].
    ///
    /// # Errors
    /// Malformed, too large, of nobody among `issuers`, badly signed, or not understood.
    pub fn read(bytes: &[u8], issuers: &[Certificate]) -> Result<Self, Refused> {
        read::read(bytes, issuers)
    }
}

/// The number of a list (`CRLNumber`): up to 20 bytes, compared as a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number(Vec<u8>);

impl Number {
    /// From its bytes, most significant first.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let zeros = bytes.iter().take_while(|b| **b == 0).count();
        Self(bytes.get(zeros..).unwrap_or_default().to_vec())
    }

    /// Its bytes without leading zeros.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Self::new(&number.to_be_bytes())
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("0x")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
