//! Verifying: certificates under the default user id, CertificateVerify under the one of RFC 8998.

use curve::{Bound, DEFAULT_ID, PublicKey, Signature};
use rustls::SignatureScheme;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};

use crate::{HANDSHAKE_ID, SCHEME};

/// id-ecPublicKey with the curve 1.2.156.10197.1.301, the content of an AlgorithmIdentifier.
pub(crate) const PUBLIC_KEY: AlgorithmIdentifier = AlgorithmIdentifier::from_slice(&[
    0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x82, 0x2d,
]);
/// SM2-with-SM3, 1.2.156.10197.1.501, without parameters (GM/T 0015).
const SIGNATURE: AlgorithmIdentifier =
    AlgorithmIdentifier::from_slice(&[0x06, 0x08, 0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x83, 0x75]);
/// The same with the parameters NULL, as many authorities write it.
const SIGNATURE_NULL: AlgorithmIdentifier =
    AlgorithmIdentifier::from_slice(&[0x06, 0x08, 0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x83, 0x75, 0x05, 0x00]);

/// SM2 with SM3 under a user id.
#[derive(Debug)]
pub(crate) struct Sm2Sm3 {
    id: &'static [u8],
    algorithm: AlgorithmIdentifier,
}

/// Certificates that name the algorithm without parameters.
static CERTIFICATE: Sm2Sm3 = Sm2Sm3 {
    id: DEFAULT_ID,
    algorithm: SIGNATURE,
};
/// Certificates that name it with NULL.
static CERTIFICATE_NULL: Sm2Sm3 = Sm2Sm3 {
    id: DEFAULT_ID,
    algorithm: SIGNATURE_NULL,
};
/// CertificateVerify.
static HANDSHAKE: Sm2Sm3 = Sm2Sm3 {
    id: HANDSHAKE_ID,
    algorithm: SIGNATURE,
};

type Algorithms = &'static [&'static dyn SignatureVerificationAlgorithm];

/// For chains.
pub(crate) static CHAINS: Algorithms = &[&CERTIFICATE, &CERTIFICATE_NULL];
/// For the handshake; in TLS 1.3 `rustls` uses this one and does not look at `CHAINS`.
pub(crate) static HANDSHAKES: &[(SignatureScheme, Algorithms)] = &[(SCHEME, &[&HANDSHAKE])];
/// Both.
pub(crate) const SM2: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: CHAINS,
    mapping: HANDSHAKES,
};

impl SignatureVerificationAlgorithm for Sm2Sm3 {
    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let verify = || -> Result<(), curve::Refused> {
            let key = PublicKey::from_point(key)?;
            let e = Bound::new(self.id, &key)?.digest(message);
            key.verify(&e, &Signature::from_der(signature)?)
        };
        verify().map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        PUBLIC_KEY
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm
    }
}
