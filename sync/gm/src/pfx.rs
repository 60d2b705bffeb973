//! A key with its certificates in one file (PKCS#12, RFC 7292; `.pfx`, `.p12`), read for import. Encryption by PBES2 and an
//! integrity code by SHA-2 or, of older tools, SHA-1; files under the ciphers of the nineties (RC2, 3DES) are refused by name.

use ring::hmac;
use zeroize::Zeroizing;

use crate::der::{Reader, tag};
use crate::key::{PrivateKey, Signer};
use crate::{Certificate, Refused, oid, pbes2, pkcs8};

/// Larger files are not read.
const MAX_FILE: usize = 1024 * 1024;
/// More rounds of the integrity key's derivation are not computed.
const MAX_ROUNDS: u32 = 5_000_000;
/// More bags are not read.
const MAX_BAGS: usize = 64;

/// What a file holds.
pub struct Pfx {
    /// The one private key.
    pub key: PrivateKey,
    /// The same as PKCS#8, not encrypted: to be wrapped by custody.
    pub pkcs8: Zeroizing<Vec<u8>>,
    /// Its certificate, when the file has it.
    pub certificate: Option<Certificate>,
    /// The other certificates.
    pub others: Vec<Certificate>,
}

impl std::fmt::Debug for Pfx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pfx")
            .field("key", &self.key)
            .field("certificate", &self.certificate)
            .field("others", &self.others)
            .finish_non_exhaustive()
    }
}

/// Opens a file with its password.
pub fn open(file: &[u8], password: &str) -> Result<Pfx, Refused> {
    if file.len() > MAX_FILE {
        return Err(Refused::TooLarge { at: "key file" });
    }
    let mut reader = Reader::new(file, "key file");
    let mut whole = reader.sequence("key file")?;
    reader.finish()?;
    if whole.small()? != 3 {
        return Err(Refused::Malformed { at: "key file version" });
    }
    let mut content = whole.sequence("key file")?;
    let safe = read_data(&mut content)?;
    // Without a code anybody could have put another certificate beside the key.
    check_code(&mut whole.sequence("integrity code")?, safe, password)?;
    whole.finish()?;

    let mut bags = Bags::default();
    let mut outer = Reader::new(safe, "key file");
    let mut list = outer.sequence("key file")?;
    outer.finish()?;
    while !list.is_empty() {
        let mut part = list.sequence("key file")?;
        if part.clone().oid()? == oid::ENCRYPTED_DATA {
            part.oid()?;
            bags.read(&read_encrypted(&mut part, password)?, password)?;
        } else {
            bags.read(read_data(&mut part)?, password)?;
        }
    }
    bags.finish()
}

/// Content of a `ContentInfo` of type data.
fn read_data<'a>(content: &mut Reader<'a>) -> Result<&'a [u8], Refused> {
    let kind = content.oid()?;
    if kind != oid::PKCS7_DATA {
        return Err(Refused::UnknownContentType(oid::dotted(kind)));
    }
    let mut wrapped = content.inside(tag::context(0), "key file")?;
    content.finish()?;
    let data = wrapped.expect(tag::OCTET_STRING)?.value;
    wrapped.finish()?;
    Ok(data)
}

fn read_encrypted(part: &mut Reader<'_>, password: &str) -> Result<Zeroizing<Vec<u8>>, Refused> {
    let mut wrapped = part.inside(tag::context(0), "encrypted part")?;
    part.finish()?;
    let mut inner = wrapped.sequence("encrypted part")?;
    wrapped.finish()?;
    inner.small()?;
    let mut content = inner.sequence("encrypted part")?;
    if content.oid()? != oid::PKCS7_DATA {
        return Err(Refused::Malformed { at: "encrypted part" });
    }
    let mut algorithm = content.sequence("encryption algorithm")?;
    let sealed = content.expect(tag::context_primitive(0))?.value;
    content.finish()?;
    pbes2::decrypt(&mut algorithm, sealed, password.as_bytes())
}

#[derive(Default)]
struct Bags {
    keys: Vec<(PrivateKey, Zeroizing<Vec<u8>>)>,
    certificates: Vec<Certificate>,
    count: usize,
}

impl Bags {
    /// Reads `SafeContents`.
    fn read(&mut self, contents: &[u8], password: &str) -> Result<(), Refused> {
        let mut outer = Reader::new(contents, "key file");
        let mut list = outer.sequence("key file")?;
        outer.finish()?;
        while !list.is_empty() {
            self.count += 1;
            if self.count > MAX_BAGS {
                return Err(Refused::TooLarge { at: "key file" });
            }
            let mut bag = list.sequence("key file")?;
            let kind = bag.oid()?;
            let mut value = bag.inside(tag::context(0), "key file")?;
            match kind {
                oid::KEY_BAG | oid::SHROUDED_KEY_BAG => {
                    let raw = value.any()?.raw;
                    let pkcs8 = match kind {
                        oid::KEY_BAG => Zeroizing::new(raw.to_vec()),
                        _ => pkcs8::decrypt(raw, password.as_bytes())?,
                    };
                    self.keys.push((PrivateKey::from_pkcs8(&pkcs8)?, pkcs8));
                }
                oid::CERTIFICATE_BAG => {
                    let mut inner = value.sequence("certificate")?;
                    if inner.oid()? == oid::X509_CERTIFICATE {
                        let mut wrapped = inner.inside(tag::context(0), "certificate")?;
                        let certificate = wrapped.expect(tag::OCTET_STRING)?.value;
                        self.certificates.push(Certificate::parse(certificate)?);
                    }
                }
                _ => {} // lists, secrets, nested bags
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Pfx, Refused> {
        let (key, pkcs8) = self.keys.pop().ok_or(Refused::NotFound { what: "private key" })?;
        if !self.keys.is_empty() {
            return Err(Refused::Several { what: "private key" });
        }
        let at = self.certificates.iter().position(|c| &c.public_key == key.public_key());
        Ok(Pfx {
            certificate: at.map(|at| self.certificates.remove(at)),
            key,
            pkcs8,
            others: self.certificates,
        })
    }
}

/// Verifies `MacData` over the contents.
fn check_code(code: &mut Reader<'_>, contents: &[u8], password: &str) -> Result<(), Refused> {
    let mut info = code.sequence("integrity code")?;
    let mut algorithm = info.sequence("integrity code")?;
    let name = algorithm.oid()?;
    crate::der::null_or_absent(&mut algorithm)?;
    let wanted = info.expect(tag::OCTET_STRING)?.value;
    info.finish()?;
    let salt = code.expect(tag::OCTET_STRING)?.value;
    let rounds = if code.is_empty() { &[1][..] } else { code.unsigned()? };
    code.finish()?;
    let rounds = match rounds.len() {
        0..=4 => rounds.iter().fold(0u32, |sum, byte| (sum << 8) | u32::from(*byte)),
        _ => u32::MAX,
    };
    if rounds > MAX_ROUNDS || salt.len() > 1024 {
        return Err(Refused::TooLarge { at: "key derivation" });
    }
    let (digest, keyed) = match name {
        oid::SHA1 => (
            &ring::digest::SHA1_FOR_LEGACY_USE_ONLY,
            hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        ),
        oid::SHA256 => (&ring::digest::SHA256, hmac::HMAC_SHA256),
        oid::SHA384 => (&ring::digest::SHA384, hmac::HMAC_SHA384),
        oid::SHA512 => (&ring::digest::SHA512, hmac::HMAC_SHA512),
        other => return Err(Refused::UnknownDigest(oid::dotted(other))),
    };
    let key = derive(digest, password, salt, rounds);
    hmac::verify(&hmac::Key::new(keyed, &key), contents, wanted).map_err(|_| Refused::WrongPassword)
}

/// The integrity key (RFC 7292 B.2, purpose 3): one digest long, which is all that is needed.
fn derive(digest: &'static ring::digest::Algorithm, password: &str, salt: &[u8], rounds: u32) -> Zeroizing<Vec<u8>> {
    let block = digest.block_len();
    let filled = |bytes: &[u8]| -> Vec<u8> {
        let length = bytes.len().div_ceil(block) * block;
        bytes.iter().copied().cycle().take(length).collect()
    };
    // UTF-16, the highest byte first, with its final zero (B.1).
    let text: Zeroizing<Vec<u8>> = Zeroizing::new(
        password
            .encode_utf16()
            .chain(std::iter::once(0))
            .flat_map(u16::to_be_bytes)
            .collect(),
    );
    let start = Zeroizing::new([vec![3; block], filled(salt), filled(&text)].concat());
    let mut last = Zeroizing::new(ring::digest::digest(digest, &start).as_ref().to_vec());
    for _ in 1..rounds {
        last = Zeroizing::new(ring::digest::digest(digest, &last).as_ref().to_vec());
    }
    last
}
