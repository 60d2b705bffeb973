//! Private keys in files: PKCS#8 (RFC 5958), plain and encrypted (PBES2, RFC 8018), and the older bare forms.
//!
//! | part | read |
//! |---|---|
//! | key derivation | PBKDF2 with HMAC-SHA-1 (the default of old tools), -SHA-256, -SHA-384, -SHA-512, -SM3 |
//! | cipher | AES-128/192/256-CBC, SM4-CBC |
//! | key | SM2, P-256, RSA |
//!
//! Written: PBKDF2 with HMAC-SM3 and SM4-CBC. A wrong password and a damaged file look the same.

use zeroize::Zeroizing;

use crate::der::{self, Reader, tag};
use crate::key::{Algorithm, Kind, P256Key, PublicKey, RsaKey, Signer, Sm2Key, read_kind};
use crate::{Refused, oid, pbes2, pem};

/// Larger files are not read.
const MAX_KEY: usize = 64 * 1024;

/// A private key of any kind.
#[derive(Debug)]
pub enum PrivateKey {
    /// SM2.
    Sm2(Box<Sm2Key>),
    /// ECDSA P-256.
    P256(Box<P256Key>),
    /// RSA.
    Rsa(Box<RsaKey>),
}

impl PrivateKey {
    fn signer(&self) -> &dyn Signer {
        match self {
            Self::Sm2(key) => key.as_ref(),
            Self::P256(key) => key.as_ref(),
            Self::Rsa(key) => key.as_ref(),
        }
    }

    /// Reads PKCS#8 that is not encrypted.
    pub fn from_pkcs8(bytes: &[u8]) -> Result<Self, Refused> {
        let mut reader = Reader::new(bytes, "private key");
        let mut info = reader.sequence("private key")?;
        reader.finish()?;
        if info.small()? > 1 {
            return Err(Refused::Malformed {
                at: "private key version",
            });
        }
        let mut algorithm = info.sequence("private key algorithm")?;
        let kind = read_kind(&mut algorithm)?;
        algorithm.finish()?;
        let inner = info.expect(tag::OCTET_STRING)?.value;
        // Attributes and the public key may follow; neither is needed.
        match kind {
            Kind::Rsa => RsaKey::from_der(inner).map(|key| Self::Rsa(Box::new(key))),
            curve => Self::from_ec(curve, inner),
        }
    }

    /// Reads `ECPrivateKey` (RFC 5915); what it says of its public key must be true.
    fn from_ec(curve: Kind, bytes: &[u8]) -> Result<Self, Refused> {
        let mut reader = Reader::new(bytes, "EC private key");
        let mut inner = reader.sequence("EC private key")?;
        reader.finish()?;
        if inner.small()? != 1 {
            return Err(Refused::Malformed { at: "EC private key" });
        }
        let scalar = inner.expect(tag::OCTET_STRING)?.value;
        // Of the field's length by the standard; some leave leading zeros out, some have one too many.
        let scalar: Vec<u8> = scalar.iter().copied().skip_while(|byte| *byte == 0).collect();
        let scalar = Zeroizing::new(scalar);
        let start = 32usize.checked_sub(scalar.len()).ok_or(Refused::InvalidKey)?;
        let mut secret = Zeroizing::new([0u8; 32]);
        secret
            .iter_mut()
            .skip(start)
            .zip(scalar.iter())
            .for_each(|(to, from)| *to = *from);
        inner.optional(tag::context(0))?;
        let said = match inner.optional(tag::context(1))? {
            None => None,
            Some(wrapped) => Some(Reader::new(wrapped.value, "EC private key").bits()?),
        };
        inner.finish()?;
        let key = match curve {
            Kind::Sm2 => Self::Sm2(Box::new(Sm2Key::from_secret(secret)?)),
            Kind::P256 => Self::P256(Box::new(P256Key::from_secret(&secret)?)),
            Kind::Rsa => return Err(Refused::InvalidKey),
        };
        match said {
            Some(point) if point != key.public_key().bytes() => Err(Refused::InvalidKey),
            _ => Ok(key),
        }
    }

    /// Reads an encrypted PKCS#8.
    pub fn from_encrypted(bytes: &[u8], password: &[u8]) -> Result<Self, Refused> {
        Self::from_pkcs8(&decrypt(bytes, password)?)
    }

    /// Reads a key from PEM, or from the DER of PKCS#8: encrypted with `password`, or plain.
    pub fn from_file(file: &[u8], password: Option<&[u8]>) -> Result<Self, Refused> {
        Self::from_pkcs8(&read_file(file, password)?)
    }
}

impl Signer for PrivateKey {
    fn public_key(&self) -> &PublicKey {
        self.signer().public_key()
    }

    fn algorithm(&self) -> Algorithm {
        self.signer().algorithm()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Refused> {
        self.signer().sign(message)
    }

    fn sign_as(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, Refused> {
        self.signer().sign_as(algorithm, message)
    }

    fn sign_digest(&self, digest: &[u8]) -> Result<Vec<u8>, Refused> {
        self.signer().sign_digest(digest)
    }

    fn sign_digest_as(&self, algorithm: Algorithm, digest: &[u8]) -> Result<Vec<u8>, Refused> {
        self.signer().sign_digest_as(algorithm, digest)
    }

    fn open(&self, text: &curve::Ciphertext) -> Result<Zeroizing<Vec<u8>>, Refused> {
        self.signer().open(text)
    }
}

/// The PKCS#8 of the key in a file: PEM, or the DER of PKCS#8; encrypted with `password`, or plain. It is taken out, not read:
/// [`PrivateKey::from_pkcs8`] says whether it holds a key.
pub fn read_file(file: &[u8], password: Option<&[u8]>) -> Result<Zeroizing<Vec<u8>>, Refused> {
    if file.len() > MAX_KEY {
        return Err(Refused::TooLarge { at: "private key" });
    }
    let encrypted = |bytes: &[u8]| decrypt(bytes, password.ok_or(Refused::WrongPassword)?);
    let text = std::str::from_utf8(file).ok();
    let Some(text) = text.filter(|text| text.contains("-----BEGIN ")) else {
        let mut inside = Reader::new(file, "private key").sequence("private key")?;
        return if inside.any()?.tag == tag::INTEGER {
            Ok(Zeroizing::new(file.to_vec()))
        } else {
            encrypted(file)
        };
    };
    let labels = [
        pem::PRIVATE_KEY,
        pem::ENCRYPTED_PRIVATE_KEY,
        "EC PRIVATE KEY",
        "RSA PRIVATE KEY",
    ];
    let block = pem::the_one(text, &labels, "private key")?;
    match block.label.as_str() {
        pem::ENCRYPTED_PRIVATE_KEY => encrypted(&block.der),
        "RSA PRIVATE KEY" => Ok(dressed(&[&der::oid(oid::RSA_ENCRYPTION), der::NULL], &block.der)),
        "EC PRIVATE KEY" => {
            let curve = match named_curve(&block.der)? {
                Kind::Sm2 => oid::SM2_CURVE,
                Kind::P256 => oid::P256,
                Kind::Rsa => return Err(Refused::InvalidKey),
            };
            Ok(dressed(&[&der::oid(oid::EC_PUBLIC_KEY), &der::oid(curve)], &block.der))
        }
        _ => Ok(block.der.clone()),
    }
}

/// PKCS#8 around a bare key.
fn dressed(algorithm: &[&[u8]], key: &[u8]) -> Zeroizing<Vec<u8>> {
    let octets = Zeroizing::new(der::octets(key));
    Zeroizing::new(der::sequence(&[
        &der::unsigned(&[0]),
        &der::sequence(algorithm),
        &octets,
    ]))
}

/// The curve that an `ECPrivateKey` names itself.
fn named_curve(bytes: &[u8]) -> Result<Kind, Refused> {
    let mut inner = Reader::new(bytes, "EC private key").sequence("EC private key")?;
    inner.any()?;
    inner.any()?;
    let mut parameters = inner.inside(tag::context(0), "EC private key")?;
    match parameters.oid()? {
        oid::SM2_CURVE => Ok(Kind::Sm2),
        oid::P256 => Ok(Kind::P256),
        other => Err(Refused::UnknownKey(oid::dotted(other))),
    }
}

/// PKCS#8 of an SM2 key.
pub(crate) fn write_sm2(key: &Sm2Key) -> Zeroizing<Vec<u8>> {
    let public = der::constructed(tag::context(1), &[&der::bits(key.public_key().bytes())]);
    let secret = Zeroizing::new(der::octets(key.secret()));
    let inner = Zeroizing::new(der::sequence(&[&der::unsigned(&[1]), &secret, &public]));
    dressed(&[&der::oid(oid::EC_PUBLIC_KEY), &der::oid(oid::SM2_CURVE)], &inner)
}

/// Encrypts PKCS#8 under a password: PBKDF2 with HMAC-SM3, SM4-CBC.
pub fn encrypt(pkcs8: &[u8], password: &[u8]) -> Result<Vec<u8>, Refused> {
    let (algorithm, sealed) = pbes2::encrypt(pkcs8, password)?;
    Ok(der::sequence(&[&algorithm, &der::octets(&sealed)]))
}

/// Opens `EncryptedPrivateKeyInfo`.
pub fn decrypt(bytes: &[u8], password: &[u8]) -> Result<Zeroizing<Vec<u8>>, Refused> {
    if bytes.len() > MAX_KEY {
        return Err(Refused::TooLarge { at: "private key" });
    }
    let mut reader = Reader::new(bytes, "encrypted private key");
    let mut info = reader.sequence("encrypted private key")?;
    reader.finish()?;
    let mut algorithm = info.sequence("encryption algorithm")?;
    let sealed = info.expect(tag::OCTET_STRING)?.value;
    info.finish()?;
    pbes2::decrypt(&mut algorithm, sealed, password)
}
