//! SM2 private keys: PKCS#8 (RFC 5958) and SEC1 (RFC 5915), in DER and PEM.

use curve::PrivateKey;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

use crate::KeyRefused;

/// The label `openssl ec` gives to SEC1 of this curve, where it should say `EC`.
const SM2_LABEL: &str = "-----BEGIN SM2 PRIVATE KEY-----";
/// Its end.
const SM2_LABEL_END: &str = "-----END SM2 PRIVATE KEY-----";

/// Reads the first private key of a PEM file, of whatever kind: PKCS#8, SEC1 (also under the label `SM2 PRIVATE KEY`),
/// PKCS#1. What it is shows when it is loaded.
pub fn key_from_pem(text: &[u8]) -> Result<PrivateKeyDer<'static>, KeyRefused> {
    let text = std::str::from_utf8(text).map_err(|_| KeyRefused::Form)?;
    if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") || text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(KeyRefused::Encrypted);
    }
    let text = Zeroizing::new(text.replace(SM2_LABEL, "-----BEGIN EC PRIVATE KEY-----"));
    let text = Zeroizing::new(text.replace(SM2_LABEL_END, "-----END EC PRIVATE KEY-----"));
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| KeyRefused::Form)
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
/// Parameters of SEC1, \[0\].
const PARAMETERS: u8 = 0xa0;
/// Public key of SEC1, \[1\].
const PUBLIC: u8 = 0xa1;

/// id-ecPublicKey.
const EC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// The SM2 curve.
const SM2: &[u8] = &[0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x82, 0x2d];

/// Reads an SM2 key. A key of another kind is [`KeyRefused::NotSm2`], which is no damage.
pub fn read_key(der: &PrivateKeyDer<'_>) -> Result<PrivateKey, KeyRefused> {
    match der {
        PrivateKeyDer::Pkcs8(der) => pkcs8(der.secret_pkcs8_der()),
        PrivateKeyDer::Sec1(der) => sec1(der.secret_sec1_der(), false),
        _ => Err(KeyRefused::NotSm2),
    }
}

/// `SEQUENCE { version, SEQUENCE { OID, parameters }, OCTET STRING, … }`.
fn pkcs8(der: &[u8]) -> Result<PrivateKey, KeyRefused> {
    let mut outer = Reader(der);
    let mut inner = Reader(outer.take(SEQUENCE)?);
    outer.end()?;
    inner.take(INTEGER)?;
    let mut algorithm = Reader(inner.take(SEQUENCE)?);
    if algorithm.take(OID)? != EC_KEY || algorithm.take(OID).ok() != Some(SM2) {
        return Err(KeyRefused::NotSm2);
    }
    // Attributes may follow.
    sec1(inner.take(OCTET_STRING)?, true)
}

/// `SEQUENCE { 1, OCTET STRING, [0] parameters, [1] public key }`; within PKCS#8 the curve is known.
fn sec1(der: &[u8], known: bool) -> Result<PrivateKey, KeyRefused> {
    let mut outer = Reader(der);
    let mut inner = Reader(outer.take(SEQUENCE)?);
    outer.end()?;
    inner.take(INTEGER)?;
    let secret: &[u8; 32] = inner.take(OCTET_STRING)?.try_into().map_err(|_| KeyRefused::Form)?;
    match inner.optional(PARAMETERS)? {
        Some(curve) if Reader(curve).take(OID).ok() != Some(SM2) => return Err(KeyRefused::NotSm2),
        None if !known => return Err(KeyRefused::NotSm2),
        _ => {}
    }
    let key = PrivateKey::from_bytes(secret).map_err(|_| KeyRefused::Range)?;
    if let Some(public) = inner.optional(PUBLIC)? {
        // A bit string begins with the number of unused bits.
        let [0, point @ ..] = Reader(public).take(BIT_STRING)? else {
            return Err(KeyRefused::Form);
        };
        if point != key.public_key().to_point() {
            return Err(KeyRefused::Mismatch);
        }
    }
    Ok(key)
}

/// Elements of DER, one after the other.
struct Reader<'d>(&'d [u8]);

impl<'d> Reader<'d> {
    fn take(&mut self, tag: u8) -> Result<&'d [u8], KeyRefused> {
        let (length, rest) = match self.0 {
            [first, short @ ..=0x7f, rest @ ..] if *first == tag => (usize::from(*short), rest),
            [first, 0x81, length @ 0x80..=0xff, rest @ ..] if *first == tag => (usize::from(*length), rest),
            [first, 0x82, high @ 1..=0xff, low, rest @ ..] if *first == tag => {
                (usize::from(u16::from_be_bytes([*high, *low])), rest)
            }
            _ => return Err(KeyRefused::Form),
        };
        let (content, rest) = rest.split_at_checked(length).ok_or(KeyRefused::Form)?;
        self.0 = rest;
        Ok(content)
    }

    fn optional(&mut self, tag: u8) -> Result<Option<&'d [u8]>, KeyRefused> {
        if self.0.first() == Some(&tag) {
            self.take(tag).map(Some)
        } else {
            Ok(None)
        }
    }

    fn end(&self) -> Result<(), KeyRefused> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(KeyRefused::Form)
        }
    }
}
