//! Asking for a time stamp, and taking the reply.

use super::info::number;
use super::{Imprint, MAX_TOKEN, Token};
use crate::der::{self, Reader, tag};
use crate::evidence::{Kind, Unfit};
use crate::extension;
use crate::hash::Hash;
use crate::{Refused, oid};

/// `TimeStampReq`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What is to be stamped.
    pub imprint: Imprint,
    /// The policy wanted, as object identifier content.
    pub policy: Option<Vec<u8>>,
    /// Random, so that an old reply is not taken for this one's.
    pub nonce: Option<Vec<u8>>,
    /// The token should carry the unit's certificate.
    pub certificates: bool,
}

/// Why a unit refuses: `PKIFailureInfo`, by bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Failure {
    /// The digest algorithm is not accepted.
    BadAlgorithm = 0,
    /// The request cannot be served.
    BadRequest = 2,
    /// The request cannot be read.
    BadFormat = 5,
    /// The unit has no trusted time.
    TimeNotAvailable = 14,
    /// The policy is not offered.
    UnacceptedPolicy = 15,
    /// An extension is not understood.
    UnacceptedExtension = 16,
    /// Something else.
    SystemFailure = 25,
}

impl Request {
    /// Over some bytes, asking for the certificate too.
    #[must_use]
    pub fn over(hash: Hash, bytes: &[u8]) -> Self {
        Self {
            imprint: Imprint::of(hash, bytes),
            policy: None,
            nonce: None,
            certificates: true,
        }
    }

    /// With 8 to 32 random bytes.
    #[must_use]
    pub fn with_nonce(mut self, nonce: &[u8]) -> Self {
        let zeros = nonce.iter().take_while(|b| **b == 0).count();
        self.nonce = Some(match nonce.get(zeros..) {
            None | Some([]) => vec![0],
            Some(rest) => rest.to_vec(),
        });
        self
    }

    /// Written; POST as application/timestamp-query.
    #[must_use]
    pub fn to_der(&self) -> Vec<u8> {
        let policy = self.policy.as_ref().map_or_else(Vec::new, |p| der::oid(p));
        let nonce = self.nonce.as_ref().map_or_else(Vec::new, |n| der::unsigned(n));
        let certificates = if self.certificates {
            der::element(tag::BOOLEAN, &[0xff])
        } else {
            Vec::new()
        };
        der::sequence(&[
            &der::unsigned(&[1]),
            &self.imprint.to_der(),
            &policy,
            &nonce,
            &certificates,
        ])
    }

    /// Reads a request, or says how to refuse it.
    ///
    /// # Errors
    /// What to answer: see [`super::Unit::refuse`].
    pub fn read(bytes: &[u8]) -> Result<Self, Failure> {
        Self::parse(bytes).map_err(|reason| match reason {
            Refused::UnknownDigest(_) => Failure::BadAlgorithm,
            Refused::UnknownCritical(_) => Failure::UnacceptedExtension,
            _ => Failure::BadFormat,
        })
    }

    fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        if bytes.len() > MAX_TOKEN {
            return Err(Refused::TooLarge {
                at: "time stamp request",
            });
        }
        let mut outer = Reader::new(bytes, "time stamp request");
        let mut inner = outer.sequence("time stamp request")?;
        outer.finish()?;
        if inner.small()? != 1 {
            return Err(Refused::Malformed {
                at: "time stamp request",
            });
        }
        let imprint = Imprint::read(&mut inner)?;
        let policy = match inner.peek() {
            Some(tag::OID) => Some(inner.oid()?.to_vec()),
            _ => None,
        };
        let nonce = match inner.peek() {
            Some(tag::INTEGER) => Some(number(&mut inner)?),
            _ => None,
        };
        let certificates = extension::flag(&mut inner, tag::BOOLEAN)?;
        if let Some(list) = inner.optional(tag::context(0))? {
            // RFC 3161 2.4.1: an extension that is not understood refuses the request, critical or not.
            let one = extension::read_one(&mut Reader::new(list.value, "time stamp request"))?;
            return Err(Refused::UnknownCritical(oid::dotted(one.id)));
        }
        inner.finish()?;
        Ok(Self {
            imprint,
            policy,
            nonce,
            certificates,
        })
    }

    /// Takes a reply (`TimeStampResp`) and gives its token when it is an answer to this request. The token's signature is
    /// verified by [`Token::verify`].
    ///
    /// # Errors
    /// Refused by the unit, over something else, another nonce or policy.
    pub fn accept(&self, reply: &[u8]) -> Result<Vec<u8>, Refused> {
        let token = token_of(reply)?;
        let info = Token::read(token)?.info;
        if info.imprint != self.imprint {
            return Err(Unfit::Imprint.into());
        }
        if info.nonce != self.nonce {
            return Err(Unfit::Nonce { what: Kind::Stamp }.into());
        }
        if self.policy.as_ref().is_some_and(|wanted| *wanted != info.policy) {
            return Err(Unfit::Policy(oid::dotted(&info.policy)).into());
        }
        Ok(token.to_vec())
    }
}

/// The token of a reply (`TimeStampResp`), whatever was asked.
///
/// # Errors
/// Malformed, or the unit refused.
pub fn token_of(reply: &[u8]) -> Result<&[u8], Refused> {
    if reply.len() > MAX_TOKEN {
        return Err(Refused::TooLarge { at: "time stamp reply" });
    }
    let mut outer = Reader::new(reply, "time stamp reply");
    let mut whole = outer.sequence("time stamp reply")?;
    outer.finish()?;
    let mut status = whole.sequence("time stamp status")?;
    let code = status.small()?;
    if !matches!(code, 0 | 1) {
        return Err(Unfit::StampRefused(refusal(code, &mut status)).into());
    }
    let token = whole.expect(tag::SEQUENCE)?.raw;
    whole.finish()?;
    Ok(token)
}

/// The unit's own words, shortened, or its failure bits.
fn refusal(code: u8, status: &mut Reader<'_>) -> String {
    let mut words = format!("status {code}");
    if let Ok(Some(list)) = status.optional(tag::SEQUENCE) {
        let mut list = Reader::new(list.value, "time stamp status");
        while let Ok(text) = list.any() {
            words.push_str(": ");
            words.extend(String::from_utf8_lossy(text.value).chars().take(200));
        }
    }
    if let Ok(Some(bits)) = status.optional(tag::BIT_STRING) {
        let bytes = bits.value.get(1..).unwrap_or_default();
        for (index, byte) in bytes.iter().take(4).enumerate() {
            for bit in (0..8).filter(|bit| byte & (0x80 >> bit) != 0) {
                words.push_str(&format!(", failure {}", index * 8 + bit));
            }
        }
    }
    words
}
