//! curveSM2: ephemeral ECDH (RFC 8998, 3.1.3); and the operating system's random source.

use std::cell::RefCell;

use curve::{Ephemeral, Nonces, PublicKey};
use rustls::crypto::{ActiveKeyExchange, GetRandomFailed, SecureRandom, SharedSecret, SupportedKxGroup};
use rustls::{Error, NamedGroup, PeerMisbehaved, ProtocolVersion};

use crate::GROUP;

thread_local! {
    /// Nonces for ephemeral keys and signatures, as secret as the keys: of this thread alone, wiped when it ends.
    static NONCES: RefCell<Nonces> = RefCell::default();
}

/// With this thread's nonces.
pub(crate) fn with_nonces<T>(act: impl FnOnce(&mut Nonces) -> T) -> T {
    NONCES.with_borrow_mut(act)
}

/// The group.
#[derive(Debug)]
pub(crate) struct CurveSm2;

impl SupportedKxGroup for CurveSm2 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let pair = with_nonces(Ephemeral::generate).map_err(|_| Error::FailedToGetRandomBytes)?;
        let point = pair.public_key().to_point();
        Ok(Box::new(Started { pair, point }))
    }

    fn name(&self) -> NamedGroup {
        GROUP
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        version == ProtocolVersion::TLSv1_3
    }
}

/// A pair whose point was sent.
struct Started {
    pair: Ephemeral,
    point: [u8; 65],
}

impl ActiveKeyExchange for Started {
    fn complete(self: Box<Self>, theirs: &[u8]) -> Result<SharedSecret, Error> {
        // Uncompressed, on the curve, not infinity: everything else is refused here.
        let theirs = PublicKey::from_point(theirs).map_err(|_| PeerMisbehaved::InvalidKeyShare)?;
        Ok(SharedSecret::from(&self.pair.shared_x(&theirs)[..]))
    }

    fn pub_key(&self) -> &[u8] {
        &self.point
    }

    fn group(&self) -> NamedGroup {
        GROUP
    }
}

/// Randoms of hellos and tickets.
#[derive(Debug)]
pub(crate) struct SystemRandom;

impl SecureRandom for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        getrandom::fill(bytes).map_err(|_| GetRandomFailed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_share_a_secret_and_bad_points_are_refused() {
        let ours = CurveSm2.start().expect("started");
        let theirs = CurveSm2.start_and_complete(ours.pub_key()).expect("completed");
        let shared = ours.complete(&theirs.pub_key).expect("completed");
        assert_eq!(shared.secret_bytes(), theirs.secret.secret_bytes());
        assert_eq!(shared.secret_bytes().len(), 32);

        let mut off = theirs.pub_key.clone();
        off[64] ^= 1;
        let mut compressed = theirs.pub_key[..33].to_vec();
        compressed[0] = 2 + (theirs.pub_key[64] & 1);
        for bad in [&[][..], &[0], &off, &compressed, &[&[4][..], &[0; 64]].concat()] {
            let refused = CurveSm2.start().expect("started").complete(bad).map(|_| ());
            let wanted = Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare);
            assert_eq!(refused, Err(wanted), "{bad:x?}");
        }
    }
}
