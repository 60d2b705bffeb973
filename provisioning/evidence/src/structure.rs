//! TPM 2.0 structures (Part 2) as far as enrolment needs them, read strictly.

use ring::digest::{SHA256, digest};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};

/// Why evidence was not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The bytes are not the TPM structure they should be.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// A key that is not ECC P-256 with SHA-256 names.
    #[error("{0} is of an unsupported kind")]
    Unsupported(&'static str),
    /// A key that could have been made or copied outside the TPM, or could sign what it is told to be.
    #[error("{0} lacks the required attributes")]
    Attributes(&'static str),
    /// A certification that does not verify, or is about something else.
    #[error("certification is not valid: {0}")]
    Certification(&'static str),
    /// The credential could not be made for this endorsement key.
    #[error("credential cannot be made")]
    Credential,
}

const ECC: u16 = 0x0023;
const SHA256_ALG: u16 = 0x000b;
const NULL: u16 = 0x0010;
const NIST_P256: u16 = 0x0003;

const FIXED_TPM: u32 = 1 << 1;
const FIXED_PARENT: u32 = 1 << 4;
const SENSITIVE_DATA_ORIGIN: u32 = 1 << 5;
const RESTRICTED: u32 = 1 << 16;
const DECRYPT: u32 = 1 << 17;
const SIGN: u32 = 1 << 18;
const MADE_INSIDE: u32 = FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN;

struct Bytes<'a>(&'a [u8], &'static str);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Refused> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Refused::Malformed(self.1))?;
        self.0 = rest;
        Ok(taken)
    }
    fn u16(&mut self) -> Result<u16, Refused> {
        let bytes = self.take(2)?;
        Ok(bytes.iter().fold(0, |sum, b| (sum << 8) | u16::from(*b)))
    }
    fn u32(&mut self) -> Result<u32, Refused> {
        let bytes = self.take(4)?;
        Ok(bytes.iter().fold(0, |sum, b| (sum << 8) | u32::from(*b)))
    }
    fn sized(&mut self) -> Result<&'a [u8], Refused> {
        let size = self.u16()?;
        self.take(usize::from(size))
    }
    fn end(&self) -> Result<(), Refused> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Refused::Malformed(self.1))
        }
    }
}

/// A public key as its TPM describes it (`TPMT_PUBLIC`, ECC P-256).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TpmKey {
    attributes: u32,
    name: Vec<u8>,
    point: [u8; 65],
}

impl TpmKey {
    /// Reads the structure; `what` names the key in refusals.
    pub fn parse(public: &[u8], what: &'static str) -> Result<Self, Refused> {
        let mut reader = Bytes(public, what);
        if reader.u16()? != ECC || reader.u16()? != SHA256_ALG {
            return Err(Refused::Unsupported(what));
        }
        let attributes = reader.u32()?;
        reader.sized()?; // policy
        if reader.u16()? != NULL {
            reader.take(4)?; // symmetric: bits and mode
        }
        if reader.u16()? != NULL {
            reader.take(2)?; // scheme: hash
        }
        if reader.u16()? != NIST_P256 {
            return Err(Refused::Unsupported(what));
        }
        if reader.u16()? != NULL {
            reader.take(2)?; // key derivation: hash
        }
        let (x, y) = (reader.sized()?, reader.sized()?);
        reader.end()?;
        let mut point = [0u8; 65];
        let (head, tail) = point.split_at_mut(33);
        if let Some(first) = head.first_mut() {
            *first = 4;
        }
        pad(x, head.get_mut(1..).unwrap_or_default(), what)?;
        pad(y, tail, what)?;
        let mut name = SHA256_ALG.to_be_bytes().to_vec();
        name.extend_from_slice(digest(&SHA256, public).as_ref());
        Ok(Self {
            attributes,
            name,
            point,
        })
    }

    /// `nameAlg ‖ H(TPMT_PUBLIC)`.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The uncompressed point.
    #[must_use]
    pub fn point(&self) -> &[u8; 65] {
        &self.point
    }

    /// The key signed this message (ECDSA with SHA-256, DER).
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Refused> {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.point)
            .verify(message, signature)
            .map_err(|_| Refused::Certification("signature"))
    }

    fn has(&self, set: u32, clear: u32, what: &'static str) -> Result<(), Refused> {
        if self.attributes & set == set && self.attributes & clear == 0 {
            Ok(())
        } else {
            Err(Refused::Attributes(what))
        }
    }

    /// An endorsement key: restricted decryption, never leaves its TPM.
    pub fn is_endorsement(&self) -> Result<(), Refused> {
        self.has(MADE_INSIDE | RESTRICTED | DECRYPT, SIGN, "endorsement key")
    }

    /// An attestation key: signs only what the TPM itself says.
    pub fn is_attestation(&self) -> Result<(), Refused> {
        self.has(MADE_INSIDE | RESTRICTED | SIGN, DECRYPT, "attestation key")
    }

    /// A device key: signs, made inside, cannot be duplicated.
    pub fn is_device(&self) -> Result<(), Refused> {
        self.has(MADE_INSIDE | SIGN, RESTRICTED | DECRYPT, "device key")
    }
}

fn pad(from: &[u8], to: &mut [u8], what: &'static str) -> Result<(), Refused> {
    let start = to.len().checked_sub(from.len()).ok_or(Refused::Malformed(what))?;
    to.iter_mut().skip(start).zip(from).for_each(|(to, from)| *to = *from);
    Ok(())
}

/// What an attestation key says about another key (`TPMS_ATTEST` of type certify).
#[derive(Debug, Clone)]
pub struct Certified;

impl Certified {
    /// The attestation key has certified `key`, answering `nonce`.
    pub fn check(attest: &[u8], signature: &[u8], ak: &TpmKey, key: &TpmKey, nonce: &[u8]) -> Result<(), Refused> {
        let mut reader = statement(attest, signature, ak, nonce)?;
        if reader.0 != 0x8017 {
            return Err(Refused::Certification("not about a key"));
        }
        let reader = &mut reader.1;
        if reader.sized()? != key.name() {
            return Err(Refused::Certification("another key"));
        }
        reader.sized()?; // qualified name
        reader.end()
    }
}

/// The measured state of a machine, as its attestation key says it (`TPMS_ATTEST` of type quote).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quoted {
    /// PCRs of the sha256 bank, in order.
    pub pcrs: Vec<u8>,
    /// SHA-256 over their values.
    pub digest: Vec<u8>,
}

impl Quoted {
    /// The attestation key has said it, answering `nonce`.
    pub fn check(attest: &[u8], signature: &[u8], ak: &TpmKey, nonce: &[u8]) -> Result<Self, Refused> {
        let (kind, mut reader) = statement(attest, signature, ak, nonce)?;
        if kind != 0x8018 {
            return Err(Refused::Certification("not about the measured state"));
        }
        if reader.u32()? != 1 || reader.u16()? != SHA256_ALG {
            return Err(Refused::Unsupported("bank of PCRs"));
        }
        let size = reader.take(1)?.first().copied().unwrap_or_default();
        let selected = reader.take(usize::from(size))?;
        let digest = reader.sized()?.to_vec();
        reader.end()?;
        let chosen = |pcr: &u8| {
            let byte = selected.get(usize::from(pcr / 8)).copied().unwrap_or_default();
            byte & (1 << (pcr % 8)) != 0
        };
        Ok(Self {
            pcrs: (0..24).filter(chosen).collect(),
            digest,
        })
    }
}

/// The type of a statement of this key with this nonce, and what follows.
fn statement<'a>(attest: &'a [u8], signature: &[u8], ak: &TpmKey, nonce: &[u8]) -> Result<(u16, Bytes<'a>), Refused> {
    ak.verify(attest, signature)?;
    let mut reader = Bytes(attest, "certification");
    if reader.u32()? != 0xff54_4347 {
        return Err(Refused::Certification("not made by a TPM"));
    }
    let kind = reader.u16()?;
    reader.sized()?; // qualified signer
    if reader.sized()? != nonce {
        return Err(Refused::Certification("another nonce"));
    }
    reader.take(17)?; // clock
    reader.take(8)?; // firmware
    Ok((kind, reader))
}

/// DER `SEQUENCE { r, s }` of an ECDSA signature as the TPM gives it.
#[must_use]
pub fn ecdsa_der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |value: &[u8]| {
        let start = value.iter().position(|b| *b != 0).unwrap_or(value.len());
        let value = value.get(start..).unwrap_or_default();
        let lead = value.first().is_none_or(|b| *b >= 0x80);
        let mut out = vec![0x02, (value.len() + usize::from(lead)) as u8];
        if lead {
            out.push(0);
        }
        out.extend_from_slice(value);
        out
    };
    let body = [integer(r), integer(s)].concat();
    [&[0x30, body.len() as u8], &body[..]].concat()
}
