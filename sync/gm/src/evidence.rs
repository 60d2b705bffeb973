//! What proves the state of a certificate or a time: CRLs, OCSP responses, time stamps; and why one is not accepted.

use std::fmt;

use time::{Duration, OffsetDateTime};

/// Clocks of two machines may differ by this much.
pub(crate) const CLOCK_SKEW: Duration = Duration::minutes(5);

/// A kind of evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Certificate revocation list (吊销列表, 黑名单), RFC 5280 5.
    Crl,
    /// Answer of an online status service, RFC 6960.
    Ocsp,
    /// Time stamp, RFC 3161, GM/T 0033.
    Stamp,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Crl => "CRL",
            Self::Ocsp => "OCSP response",
            Self::Stamp => "time stamp",
        })
    }
}

/// Why a certificate was revoked: `CRLReason` of RFC 5280 5.3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Reason {
    /// Not said.
    #[default]
    Unspecified = 0,
    /// The private key is known to others.
    KeyCompromise = 1,
    /// The authority's key is known to others.
    CaCompromise = 2,
    /// Name or other words of the certificate changed.
    AffiliationChanged = 3,
    /// Replaced by another certificate.
    Superseded = 4,
    /// No longer needed.
    CessationOfOperation = 5,
    /// Suspended, may become valid again.
    CertificateHold = 6,
    /// Valid again; in a delta CRL only.
    RemoveFromCrl = 8,
    /// A right was taken away.
    PrivilegeWithdrawn = 9,
    /// The attribute authority's key is known to others.
    AaCompromise = 10,
}

impl Reason {
    /// From its number.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Unspecified,
            1 => Self::KeyCompromise,
            2 => Self::CaCompromise,
            3 => Self::AffiliationChanged,
            4 => Self::Superseded,
            5 => Self::CessationOfOperation,
            6 => Self::CertificateHold,
            8 => Self::RemoveFromCrl,
            9 => Self::PrivilegeWithdrawn,
            10 => Self::AaCompromise,
            _ => return None,
        })
    }
}

/// A revocation: since when, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revoked {
    /// Since when.
    pub at: OffsetDateTime,
    /// Why.
    pub reason: Reason,
}

impl Revoked {
    /// A revocation that no newer evidence takes back: all but a suspension.
    #[must_use]
    pub fn stands(&self, at: OffsetDateTime) -> bool {
        self.reason != Reason::CertificateHold && Status::at(Some(*self), at) == Status::Revoked(*self)
    }
}

/// What a piece of evidence says about a certificate at the moment asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Not revoked at that moment.
    Good,
    /// Revoked at that moment.
    Revoked(Revoked),
    /// The responder does not know the certificate.
    Unknown,
}

impl Status {
    /// A revocation counts from its date on; one for a compromised key counts always, because nobody knows since when
    /// others could sign (RFC 5280 5.3.2 leaves the invalidity date to the authority's good will).
    pub(crate) fn at(found: Option<Revoked>, at: OffsetDateTime) -> Self {
        match found {
            Some(revoked) if revoked.at <= at || compromised(revoked.reason) => Self::Revoked(revoked),
            _ => Self::Good,
        }
    }
}

fn compromised(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::KeyCompromise | Reason::CaCompromise | Reason::AaCompromise
    )
}

/// The moment a signature is judged at, and the present: for a fresh signature they are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// When the signature was made, as proven (a time stamp) or claimed.
    pub at: OffsetDateTime,
    /// The present.
    pub now: OffsetDateTime,
}

impl Moment {
    /// Judged now.
    #[must_use]
    pub fn present(now: OffsetDateTime) -> Self {
        Self { at: now, now }
    }

    /// Evidence speaks for the moment when it was issued after it or was still fresh then, and not in the future.
    /// Evidence issued after the certificate's end may have dropped the certificate (RFC 5280 5: expired ones leave).
    pub(crate) fn covered(
        &self,
        what: Kind,
        this_update: OffsetDateTime,
        next_update: Option<OffsetDateTime>,
        not_after: OffsetDateTime,
    ) -> Result<(), Unfit> {
        if this_update > self.now + CLOCK_SKEW {
            return Err(Unfit::FromFuture { what });
        }
        if this_update > not_after {
            return Err(Unfit::AfterExpiry { what });
        }
        // Without an end the evidence holds for a day; a promise of newer evidence that is not kept makes it stale.
        let until = next_update.unwrap_or(this_update + Duration::DAY);
        if this_update < self.at && until + CLOCK_SKEW < self.at {
            return Err(Unfit::Stale { what, since: until });
        }
        Ok(())
    }
}

/// Why a CRL, an OCSP response or a time stamp is not accepted as evidence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unfit {
    /// Its time lies in the future.
    #[error("the {what} is dated in the future")]
    FromFuture {
        /// What it is.
        what: Kind,
    },
    /// Newer evidence should have been there.
    #[error("the {what} is too old: a newer one was due {since}")]
    Stale {
        /// What it is.
        what: Kind,
        /// When the next one was due.
        since: OffsetDateTime,
    },
    /// Issued after the certificate's end, so that it may not name it any more.
    #[error("the {what} was issued after the certificate's end")]
    AfterExpiry {
        /// What it is.
        what: Kind,
    },
    /// Signed by nobody who may speak for the certificate's issuer.
    #[error("the {what} is not from the certificate's issuer")]
    WrongIssuer {
        /// What it is.
        what: Kind,
    },
    /// Its signature does not verify.
    #[error("the signature of the {what} is not valid")]
    Signature {
        /// What it is.
        what: Kind,
    },
    /// The signer's certificate is not for this, or was not valid then.
    #[error("the signer of the {what} is not authorised: {why}")]
    Unauthorised {
        /// What it is.
        what: Kind,
        /// What is missing.
        why: &'static str,
    },
    /// A critical extension nobody here knows.
    #[error("the {what} has an unknown critical extension {id}")]
    UnknownCritical {
        /// What it is.
        what: Kind,
        /// Its object identifier.
        id: String,
    },
    /// Of a kind that is not supported, by name.
    #[error("CRLs {0} are not supported")]
    Unsupported(&'static str),
    /// It does not cover this certificate.
    #[error("the CRL covers {0} only")]
    OutOfScope(&'static str),
    /// A delta CRL stands where a full one is needed, or the reverse, or they do not fit together.
    #[error("the delta CRL does not fit: {0}")]
    Delta(&'static str),
    /// The responder answered that it cannot answer.
    #[error("the OCSP responder answered: {0}")]
    Responder(&'static str),
    /// The nonce is not the one sent.
    #[error("the nonce of the {what} is absent or another one")]
    Nonce {
        /// What it is.
        what: Kind,
    },
    /// The answer is about other certificates.
    #[error("the OCSP response does not speak of this certificate")]
    NotAnswered,
    /// The time-stamp authority refused.
    #[error("the time-stamp authority refused: {0}")]
    StampRefused(String),
    /// The time stamp is over other bytes.
    #[error("the time stamp is over something else")]
    Imprint,
    /// The time stamp is under another policy than asked for.
    #[error("the time stamp is under policy {0}")]
    Policy(String),
}

impl Unfit {
    /// Stable name of the reason.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::FromFuture { .. } => "evidence_from_future",
            Self::Stale { .. } => "evidence_stale",
            Self::AfterExpiry { .. } => "evidence_after_expiry",
            Self::WrongIssuer { .. } => "evidence_wrong_issuer",
            Self::Signature { .. } => "evidence_signature",
            Self::Unauthorised { .. } => "evidence_unauthorised",
            Self::UnknownCritical { .. } => "evidence_unknown_critical",
            Self::Unsupported(_) => "crl_unsupported",
            Self::OutOfScope(_) => "crl_out_of_scope",
            Self::Delta(_) => "crl_delta",
            Self::Responder(_) => "ocsp_responder",
            Self::Nonce { .. } => "evidence_nonce",
            Self::NotAnswered => "ocsp_not_answered",
            Self::StampRefused(_) => "stamp_refused",
            Self::Imprint => "stamp_imprint",
            Self::Policy(_) => "stamp_policy",
        }
    }

    /// Plain words for the person who asked.
    #[must_use]
    pub fn person(&self) -> &'static str {
        match self {
            Self::Stale { what: Kind::Crl, .. } => "吊销列表已过期，请联系管理员更新。",
            Self::FromFuture { .. } | Self::Stale { .. } => "证书状态信息的时间不可信，请联系管理员。",
            Self::Responder(_) | Self::NotAnswered => "证书状态服务没有给出结果，请稍后重试。",
            Self::StampRefused(_) => "时间戳服务拒绝了请求，请稍后重试。",
            Self::Imprint | Self::Policy(_) | Self::Nonce { what: Kind::Stamp } => "时间戳与文件不符。",
            Self::Signature { what: Kind::Stamp }
            | Self::WrongIssuer { what: Kind::Stamp }
            | Self::Unauthorised { what: Kind::Stamp, .. } => "时间戳不是由受信任的机构签发。",
            _ => "证书状态信息无效，无法确认证书是否已吊销。",
        }
    }
}
