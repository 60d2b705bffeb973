//! What a handshake failed for, when it failed because both sides have nothing in common.

use std::error::Error as StdError;

use rustls::{AlertDescription, Error, PeerIncompatible};

use crate::Offer;

/// What was missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// No cipher suite in common.
    Suite,
    /// No group in common.
    Group,
    /// No signature scheme in common, or none for the certificate at hand.
    Signature,
    /// No version in common: SM is for TLS 1.3 alone.
    Version,
    /// The other side found nothing in what we offered and said no more (alert `handshake_failure`).
    Refused,
}

/// A handshake between sides with nothing in common. `Display` is for the operator, [`Missing::person`] for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{} (offered here: {})", self.what.text(), describe(self.ours))]
pub struct Missing {
    /// What was missing.
    pub what: What,
    /// What our side offers.
    pub ours: Offer,
}

impl What {
    fn text(self) -> &'static str {
        match self {
            Self::Suite => "no cipher suite in common with the other side",
            Self::Group => "no key exchange group in common with the other side",
            Self::Signature => "the other side does not accept the signatures of our certificate's key",
            Self::Version => "no TLS version in common with the other side; SM needs TLS 1.3",
            Self::Refused => "the other side refused the handshake: it has none of the algorithms offered",
        }
    }

    fn of(error: &Error) -> Option<Self> {
        match error {
            Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon) => Some(Self::Suite),
            Error::PeerIncompatible(PeerIncompatible::NoKxGroupsInCommon) => Some(Self::Group),
            Error::PeerIncompatible(
                PeerIncompatible::NoSignatureSchemesInCommon
                | PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon,
            ) => Some(Self::Signature),
            Error::PeerIncompatible(
                PeerIncompatible::SupportedVersionsExtensionRequired
                | PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled
                | PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            )
            | Error::AlertReceived(AlertDescription::ProtocolVersion) => Some(Self::Version),
            Error::AlertReceived(AlertDescription::HandshakeFailure) => Some(Self::Refused),
            _ => None,
        }
    }
}

fn describe(offer: Offer) -> &'static str {
    match offer {
        Offer::Sm => "only TLS_SM4_GCM_SM3, curveSM2, sm2sig_sm3 of RFC 8998",
        Offer::SmFirst => "RFC 8998 before the classic algorithms",
        Offer::ClassicFirst => "the classic algorithms before RFC 8998",
        Offer::Classic => "only the classic algorithms, not RFC 8998",
    }
}

impl Missing {
    /// Of a handshake's error; `None` when it failed for another reason.
    #[must_use]
    pub fn of(error: &Error, ours: Offer) -> Option<Self> {
        What::of(error).map(|what| Self { what, ours })
    }

    /// The same for an error that carries one within, such as an I/O error of a stream.
    #[must_use]
    pub fn within(error: &(dyn StdError + 'static), ours: Offer) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            // What an I/O error wraps is not its source.
            let inner = error
                .downcast_ref::<std::io::Error>()
                .and_then(std::io::Error::get_ref)
                .map(|inner| inner as &(dyn StdError + 'static));
            let found = [Some(error), inner].into_iter().flatten();
            if let Some(error) = found.filter_map(|error| error.downcast_ref::<Error>()).next() {
                return Self::of(error, ours);
            }
            next = inner.or_else(|| error.source());
        }
        None
    }

    /// What to do, for a person.
    #[must_use]
    pub fn person(self) -> &'static str {
        match (self.ours, self.what) {
            (_, What::Version) => "双方没有共同的 TLS 版本：国密套件只用于 TLS 1.3，请让对方启用 TLS 1.3",
            (_, What::Signature) => "对方不接受本机证书的签名算法：请在两端配置同类证书（国密或普通）",
            (Offer::Sm, _) => {
                "对方不支持国密 TLS（需要 TLS_SM4_GCM_SM3、curveSM2、sm2sig_sm3）：请在对方启用国密，或在本机允许普通算法"
            }
            (Offer::Classic, _) => "对方没有普通 TLS 算法，可能只允许国密：请在本机启用国密，或让对方允许普通算法",
            (Offer::SmFirst | Offer::ClassicFirst, _) => {
                "双方没有共同的 TLS 算法：国密与普通算法都未谈成，请核对对方配置"
            }
        }
    }
}
