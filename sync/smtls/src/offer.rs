//! Which algorithms are offered, and in which order.

use std::sync::{Arc, LazyLock};

use rustls::SignatureScheme;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::SignatureVerificationAlgorithm;

use crate::key::Keys;
use crate::{group, provider, record, verify};

/// What a configuration chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Offer {
    /// SM alone: a peer without it is refused.
    Sm,
    /// SM before the classic algorithms.
    SmFirst,
    /// The classic algorithms before SM.
    ClassicFirst,
    /// The classic algorithms alone.
    Classic,
}

/// The name of no offer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("TLS algorithms must be one of sm, sm-first, classic-first, classic; not {0:?}")]
pub struct UnknownOffer(pub String);

impl Offer {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Sm, Self::SmFirst, Self::ClassicFirst, Self::Classic];

    /// Its name in configuration files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sm => "sm",
            Self::SmFirst => "sm-first",
            Self::ClassicFirst => "classic-first",
            Self::Classic => "classic",
        }
    }

    /// The provider for `rustls`.
    #[must_use]
    pub fn provider(self) -> Arc<CryptoProvider> {
        Arc::new(match self {
            Self::Sm => provider(),
            Self::SmFirst | Self::ClassicFirst => with_classic(ring::default_provider(), self == Self::SmFirst),
            Self::Classic => ring::default_provider(),
        })
    }
}

impl Offer {
    /// What a provider offers.
    #[must_use]
    pub fn of(provider: &CryptoProvider) -> Self {
        let suites = &provider.cipher_suites;
        let sm = suites.iter().position(|suite| suite.suite() == crate::SUITE);
        match (sm, suites.len()) {
            (None, _) => Self::Classic,
            (Some(_), 1) => Self::Sm,
            (Some(0), _) => Self::SmFirst,
            (Some(_), _) => Self::ClassicFirst,
        }
    }

    /// Whether SM may be spoken.
    #[must_use]
    pub fn has_sm(self) -> bool {
        self != Self::Classic
    }

    /// Whether the classic algorithms may be spoken.
    #[must_use]
    pub fn has_classic(self) -> bool {
        self != Self::Sm
    }
}

impl std::fmt::Display for Offer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Offer {
    type Err = UnknownOffer;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.into_iter().find(|offer| offer.name() == text);
        named.ok_or_else(|| UnknownOffer(text.to_owned()))
    }
}

impl TryFrom<String> for Offer {
    type Error = UnknownOffer;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// SM and the suites and groups of a `ring` provider (all of them, or what the caller left in it). Signatures and keys are
/// those of `ring` whatever was left: a chain may need more than a suite does.
#[must_use]
pub fn with_classic(classic: CryptoProvider, sm_first: bool) -> CryptoProvider {
    let mut both = provider();
    let CryptoProvider {
        cipher_suites,
        kx_groups,
        secure_random,
        ..
    } = classic;
    both.secure_random = secure_random;
    both.key_provider = &*KEYS;
    both.signature_verification_algorithms = WebPkiSupportedAlgorithms {
        all: &ALGORITHMS.all,
        mapping: if sm_first {
            &ALGORITHMS.sm_first
        } else {
            &ALGORITHMS.classic_first
        },
    };
    if sm_first {
        both.cipher_suites.extend(cipher_suites);
        both.kx_groups.extend(kx_groups);
    } else {
        both.cipher_suites = [cipher_suites, vec![record::SM4_GCM_SM3]].concat();
        both.kx_groups = [kx_groups, vec![&group::CurveSm2]].concat();
    }
    both
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys {
    classic: Some(ring::default_provider().key_provider),
});

type Algorithms = &'static [&'static dyn SignatureVerificationAlgorithm];

/// The lists of both, which `rustls` wants to live for ever.
struct Lists {
    all: Vec<&'static dyn SignatureVerificationAlgorithm>,
    sm_first: Vec<(SignatureScheme, Algorithms)>,
    classic_first: Vec<(SignatureScheme, Algorithms)>,
}

static ALGORITHMS: LazyLock<Lists> = LazyLock::new(|| {
    let classic = ring::default_provider().signature_verification_algorithms;
    Lists {
        all: [verify::CHAINS, classic.all].concat(),
        sm_first: [verify::HANDSHAKES, classic.mapping].concat(),
        classic_first: [classic.mapping, verify::HANDSHAKES].concat(),
    }
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_are_read_as_they_are_written() {
        for offer in Offer::ALL {
            assert_eq!(offer.to_string().parse(), Ok(offer));
            assert_eq!(Offer::try_from(offer.to_string()), Ok(offer));
            assert_eq!(Offer::of(&offer.provider()), offer);
        }
        assert_eq!("SM".parse::<Offer>(), Err(UnknownOffer("SM".to_owned())));
    }

    #[test]
    fn the_order_is_as_asked() {
        let suites = |offer: Offer| -> Vec<_> { offer.provider().cipher_suites.iter().map(|s| s.suite()).collect() };
        let groups = |offer: Offer| -> Vec<_> { offer.provider().kx_groups.iter().map(|g| g.name()).collect() };
        let schemes = |offer: Offer| offer.provider().signature_verification_algorithms.supported_schemes();
        let last = |offer| (suites(offer).pop(), groups(offer).pop(), schemes(offer).pop());
        let sm = (Some(crate::SUITE), Some(crate::GROUP), Some(crate::SCHEME));
        assert_eq!(
            (suites(Offer::Sm), groups(Offer::Sm)),
            (vec![crate::SUITE], vec![crate::GROUP])
        );
        assert_eq!(schemes(Offer::Sm), [crate::SCHEME]);
        assert_eq!(last(Offer::ClassicFirst), sm);
        let first = (
            suites(Offer::SmFirst)[0],
            groups(Offer::SmFirst)[0],
            schemes(Offer::SmFirst)[0],
        );
        assert_eq!(first, (crate::SUITE, crate::GROUP, crate::SCHEME));
        assert_eq!(suites(Offer::SmFirst).len(), suites(Offer::Classic).len() + 1);
        assert!(!suites(Offer::Classic).contains(&crate::SUITE));
    }
}
