//! Evidence kept with a signature, so that it can be verified when authorities and responders are long gone.

use std::sync::Arc;

use super::{Evidence, Judged, Rule, Trust};
use crate::crl::Crl;
use crate::der::{self, Reader, tag};
use crate::evidence::Moment;
use crate::ocsp::{self, Answer, Response};
use crate::{Certificate, Refused};

/// More pieces are not read.
const MAX_PIECES: usize = 32;

/// Lists and answers as they came, byte for byte.
///
/// Written as `RevocationValues` of CAdES (ETSI EN 319 122-1 A.1.2.2), so that it can stand in a message as the unsigned
/// attribute id-aa-ets-revocationValues, or beside it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stapled {
    /// Certificate lists, DER.
    pub crls: Vec<Vec<u8>>,
    /// OCSP replies, DER (`OCSPResponse` or `BasicOCSPResponse`).
    pub answers: Vec<Vec<u8>>,
}

impl Stapled {
    /// `RevocationValues`.
    ///
    /// # Errors
    /// When a reply cannot be read.
    pub fn to_der(&self) -> Result<Vec<u8>, Refused> {
        let answers = self.answers.iter().map(|answer| ocsp::basic(answer));
        let answers = answers.collect::<Result<Vec<_>, _>>()?;
        let part = |tag: u8, pieces: &[u8]| -> Vec<u8> {
            if pieces.is_empty() {
                Vec::new()
            } else {
                der::constructed(tag, &[&der::element(tag::SEQUENCE, pieces)])
            }
        };
        Ok(der::sequence(&[
            &part(tag::context(0), &self.crls.concat()),
            &part(tag::context(1), &answers.concat()),
        ]))
    }

    /// Reads `RevocationValues`.
    ///
    /// # Errors
    /// Malformed, or with more pieces than are read.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let mut outer = Reader::new(bytes, "revocation values");
        let mut inner = outer.sequence("revocation values")?;
        outer.finish()?;
        let crls = pieces(&mut inner, tag::context(0))?;
        let answers = pieces(&mut inner, tag::context(1))?;
        inner.optional(tag::context(2))?; // other kinds are not used
        inner.finish()?;
        Ok(Self { crls, answers })
    }

    /// What of it verifies: lists and answers under the issuers on this path. Pieces about others are left aside; the
    /// reasons against those that should have been about this path are given, too.
    #[must_use]
    pub fn open(&self, path: &[Certificate], others: &[Certificate]) -> Opened {
        let mut opened = Opened::default();
        let issuers: Vec<Certificate> = path.iter().chain(others).cloned().collect();
        for crl in self.crls.iter().take(MAX_PIECES) {
            match Crl::read(crl, &issuers) {
                Ok(crl) => opened.crls.push(Arc::new(crl)),
                Err(reason) => opened.reasons.push(reason),
            }
        }
        for answer in self.answers.iter().take(MAX_PIECES) {
            let read = |issuer: &Certificate| Response::read(answer)?.verify(issuer);
            let mut why = None;
            let found = path.iter().skip(1).find_map(|issuer| match read(issuer) {
                Ok(answer) => Some(answer),
                Err(reason) => {
                    why = Some(reason);
                    None
                }
            });
            match found {
                Some(answer) => opened.answers.push(answer),
                None => opened.reasons.extend(why),
            }
        }
        opened
    }
}

/// Stapled evidence that verified.
#[derive(Debug, Clone, Default)]
pub struct Opened {
    crls: Vec<Arc<Crl>>,
    answers: Vec<Answer>,
    /// Why pieces were left aside.
    pub reasons: Vec<Refused>,
}

impl Opened {
    /// For [`Trust::judge`].
    #[must_use]
    pub fn evidence(&self) -> Evidence<'_> {
        Evidence {
            crls: &self.crls,
            answers: &self.answers,
        }
    }
}

impl Trust {
    /// Judges a path by what was kept with the signature, at the moment of the signature.
    #[must_use]
    pub fn judge_stapled(&self, path: &[Certificate], rule: Rule, stapled: &Stapled, moment: Moment) -> Judged {
        let opened = stapled.open(path, self.authorities());
        self.judge(path, rule, &opened.evidence(), moment)
    }
}

fn pieces(inner: &mut Reader<'_>, under: u8) -> Result<Vec<Vec<u8>>, Refused> {
    let Some(wrapped) = inner.optional(under)? else {
        return Ok(Vec::new());
    };
    let mut outer = Reader::new(wrapped.value, "revocation values");
    let mut list = outer.sequence("revocation values")?;
    outer.finish()?;
    let mut all = Vec::new();
    while !list.is_empty() {
        if all.len() == MAX_PIECES {
            return Err(Refused::TooLarge {
                at: "revocation values",
            });
        }
        all.push(list.expect(tag::SEQUENCE)?.raw.to_vec());
    }
    Ok(all)
}
