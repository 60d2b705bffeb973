//! Our own time-stamp unit.

use time::{Duration, OffsetDateTime};

use super::{Failure, Imprint, Info, Request, id};
use crate::der::{self, tag};
use crate::extension::{self, Particulars};
use crate::hash::Hash;
use crate::key::Signer;
use crate::{Certificate, Refused, oid};

/// A key that stamps, with its certificate.
pub struct Unit<'a> {
    key: &'a dyn Signer,
    chain: &'a [Certificate],
    /// The policy stamps are issued under, as object identifier content.
    policy: &'a [u8],
    accuracy: Option<Duration>,
}

impl std::fmt::Debug for Unit<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unit")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl<'a> Unit<'a> {
    /// A unit: `chain` starts with its own certificate, which must be for time stamps alone (RFC 3161 2.3).
    /// `accuracy`: the bound within which the clock is known to be right.
    ///
    /// # Errors
    /// When the certificate is not for this, or not for this key.
    pub fn new(
        key: &'a dyn Signer,
        chain: &'a [Certificate],
        policy: &'a [u8],
        accuracy: Option<Duration>,
    ) -> Result<Self, Refused> {
        let own = chain.first().ok_or(Refused::SignerCertificateMissing)?;
        if &own.public_key != key.public_key() || !stamps(own)? {
            return Err(Refused::WrongUsage);
        }
        Ok(Self {
            key,
            chain,
            policy,
            accuracy,
        })
    }

    /// Answers a request with a `TimeStampResp`. The caller gives a serial that it never gave before (journaled before it
    /// is used) and the trusted time; without one it calls [`Unit::refuse`] with [`Failure::TimeNotAvailable`].
    ///
    /// # Errors
    /// When signing fails; requests that cannot be served are answered with a refusal instead.
    pub fn answer(&self, request: &[u8], serial: &[u8], at: OffsetDateTime) -> Result<Vec<u8>, Refused> {
        let request = match Request::read(request) {
            Ok(request) => request,
            Err(failure) => return Ok(Self::refuse(failure)),
        };
        if request.policy.as_ref().is_some_and(|wanted| wanted != self.policy) {
            return Ok(Self::refuse(Failure::UnacceptedPolicy));
        }
        let own = self.chain.first().ok_or(Refused::SignerCertificateMissing)?;
        if own.is_valid_at(at).is_err() {
            return Ok(Self::refuse(Failure::TimeNotAvailable));
        }
        let token = self.token(&request.imprint, request.nonce, serial, at, request.certificates)?;
        let granted = der::sequence(&[&der::unsigned(&[0])]);
        Ok(der::sequence(&[&granted, &token]))
    }

    /// A token for our own signatures, with the certificates in it.
    ///
    /// # Errors
    /// When signing fails or the certificate is not valid at that time.
    pub fn stamp(&self, imprint: &Imprint, serial: &[u8], at: OffsetDateTime) -> Result<Vec<u8>, Refused> {
        let own = self.chain.first().ok_or(Refused::SignerCertificateMissing)?;
        own.is_valid_at(at)?;
        self.token(imprint, None, serial, at, true)
    }

    /// A refusal (`TimeStampResp` with status 2).
    #[must_use]
    pub fn refuse(failure: Failure) -> Vec<u8> {
        let bit = failure as usize;
        let mut bits = vec![0u8; 2 + bit / 8];
        if let Some(byte) = bits.last_mut() {
            *byte = 0x80 >> (bit % 8);
        }
        if let Some(unused) = bits.first_mut() {
            *unused = (7 - bit % 8) as u8; // DER: no trailing zero bits
        }
        let status = der::sequence(&[&der::unsigned(&[2]), &der::element(tag::BIT_STRING, &bits)]);
        der::sequence(&[&status])
    }

    fn token(
        &self,
        imprint: &Imprint,
        nonce: Option<Vec<u8>>,
        serial: &[u8],
        at: OffsetDateTime,
        certificates: bool,
    ) -> Result<Vec<u8>, Refused> {
        let own = self.chain.first().ok_or(Refused::SignerCertificateMissing)?;
        let info = Info {
            policy: self.policy.to_vec(),
            imprint: imprint.clone(),
            serial: serial.to_vec(),
            at,
            accuracy: self.accuracy,
            ordering: false,
            nonce,
        }
        .to_der();
        let algorithm = self.key.algorithm();
        let hash = algorithm.hash();
        let attribute = |id: &[u8], value: &[u8]| der::sequence(&[&der::oid(id), &der::element(tag::SET, value)]);
        let attributes = der::set_of(vec![
            attribute(oid::CONTENT_TYPE, &der::oid(id::TST_INFO)),
            attribute(oid::MESSAGE_DIGEST, &der::octets(&hash.digest(&info))),
            attribute(oid::SIGNING_CERTIFICATE_V2, &signing_certificate(own, hash)),
        ]);
        let signature = self.key.sign(&attributes)?;
        let mut implicit = attributes;
        if let Some(first) = implicit.first_mut() {
            *first = tag::context(0);
        }
        let signer = der::sequence(&[
            &der::unsigned(&[1]),
            &der::sequence(&[&own.issuer_der, &der::unsigned(&own.serial)]),
            &hash.to_der(),
            &implicit,
            &algorithm.to_der(),
            &der::octets(&signature),
        ]);
        let carried = if certificates {
            let all: Vec<&[u8]> = self.chain.iter().map(|c| c.der.as_slice()).collect();
            der::constructed(tag::context(0), &all)
        } else {
            Vec::new()
        };
        let content = der::constructed(tag::context(0), &[&der::octets(&info)]);
        let body = der::sequence(&[
            &der::unsigned(&[3]),
            &der::element(tag::SET, &hash.to_der()),
            &der::sequence(&[&der::oid(id::TST_INFO), &content]),
            &carried,
            &der::element(tag::SET, &signer),
        ]);
        // RFC 3161 for every algorithm: units of the GM world are asked with the same identifiers.
        Ok(der::sequence(&[
            &der::oid(oid::PKCS7_SIGNED_DATA),
            &der::constructed(tag::context(0), &[&body]),
        ]))
    }
}

/// Whether a certificate is for time stamps and nothing else.
pub(super) fn stamps(certificate: &Certificate) -> Result<bool, Refused> {
    let particulars = Particulars::of(certificate)?;
    let alone = particulars.extended.as_ref().is_some_and(|all| all.len() == 1);
    let signs = particulars.key_usage.is_none_or(|usage| usage & 0b1100_0000 != 0);
    Ok(alone
        && signs
        && particulars.extended_critical
        && particulars.names(extension::id::TIME_STAMPING)
        && certificate.authority.is_none())
}

/// `SigningCertificateV2` (RFC 5035 4): SHA-256 is the default and therefore left out.
pub(super) fn signing_certificate(own: &Certificate, hash: Hash) -> Vec<u8> {
    let algorithm = if hash == Hash::Sha256 {
        Vec::new()
    } else {
        hash.to_der()
    };
    let id = der::sequence(&[&algorithm, &der::octets(&hash.digest(&own.der))]);
    der::sequence(&[&der::sequence(&[&id])])
}
