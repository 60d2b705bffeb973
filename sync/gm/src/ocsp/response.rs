//! Reading and judging an answer.
//!
//! ```text
//! OCSPResponse { status, [0] { id-pkix-ocsp-basic, OCTET STRING {
//!   Basic { { [0] version?, [1] name | [2] key hash, producedAt, { CertID, status, thisUpdate, [0] nextUpdate? }*,
//!             [1] extensions? }, algorithm, signature, [0] certificates? } } } }
//! ```

use time::OffsetDateTime;

use super::{MAX_NONCE, MAX_RESPONSE, NameHash, Question};
use crate::der::{Element, Reader, tag};
use crate::evidence::{CLOCK_SKEW, Kind, Moment, Reason, Revoked, Status, Unfit};
use crate::extension::{self, ENUMERATED, Particulars, id};
use crate::signed::Signed;
use crate::{Certificate, Refused, oid};

/// More answers in one reply are not read.
const MAX_SINGLES: usize = 256;
/// More certificates in one reply are not read.
const MAX_CERTIFICATES: usize = 8;

/// A reply that has been read, not yet verified.
#[derive(Debug, Clone)]
pub struct Response<'a> {
    signed: Signed<'a>,
    responder: Responder<'a>,
    certificates: Vec<Certificate>,
    produced_at: OffsetDateTime,
    singles: Vec<Single>,
    nonce: Option<Vec<u8>>,
}

#[derive(Debug, Clone, Copy)]
enum Responder<'a> {
    Name(&'a [u8]),
    Key(&'a [u8]),
}

#[derive(Debug, Clone)]
struct Single {
    question: Option<Question>,
    state: State,
    this_update: OffsetDateTime,
    next_update: Option<OffsetDateTime>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Good,
    Revoked(Revoked),
    Unknown,
}

impl<'a> Response<'a> {
    /// Reads an `OCSPResponse`; a bare `BasicOCSPResponse`, as evidence beside a signature is kept, too.
    ///
    /// # Errors
    /// Malformed, too large, or the responder says that it cannot answer.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Refused> {
        Self::read_basic(basic(bytes)?)
    }

    fn read_basic(bytes: &'a [u8]) -> Result<Self, Refused> {
        let mut outer = Reader::new(bytes, "OCSP response");
        let mut whole = outer.sequence("OCSP response")?;
        outer.finish()?;
        let signed = Signed::read_inside(&mut whole)?;
        let mut certificates = Vec::new();
        if let Some(wrapped) = whole.optional(tag::context(0))? {
            let mut list = Reader::new(wrapped.value, "OCSP certificates").sequence("OCSP certificates")?;
            while !list.is_empty() {
                if certificates.len() == MAX_CERTIFICATES {
                    return Err(Refused::TooLarge {
                        at: "OCSP certificates",
                    });
                }
                certificates.push(Certificate::parse(list.expect(tag::SEQUENCE)?.raw)?);
            }
        }
        whole.finish()?;

        let mut body = Reader::new(signed.body.value, "OCSP response data");
        if let Some(version) = body.optional(tag::context(0))?
            && Reader::new(version.value, "OCSP version").small()? != 0
        {
            return Err(Refused::Malformed { at: "OCSP version" });
        }
        let responder = read_responder(body.any()?)?;
        let produced_at = body.time()?;
        let mut list = body.sequence("OCSP answers")?;
        let mut singles = Vec::new();
        while !list.is_empty() {
            if singles.len() == MAX_SINGLES {
                return Err(Refused::TooLarge { at: "OCSP answers" });
            }
            singles.push(read_single(&mut list)?);
        }
        let mut nonce = None;
        if let Some(wrapped) = body.optional(tag::context(1))? {
            for one in read_extensions(wrapped.value)? {
                if one.id == id::OCSP_NONCE {
                    nonce = Some(read_nonce(one.value)?);
                }
            }
        }
        body.finish()?;
        Ok(Self {
            signed,
            responder,
            certificates,
            produced_at,
            singles,
            nonce,
        })
    }

    /// Verifies the signature under the issuer of the certificates asked about, or under a certificate that this issuer
    /// gave for answering (id-kp-OCSPSigning, RFC 6960 4.2.2.2).
    ///
    /// # Errors
    /// When the responder is neither, its certificate was not valid then, or the signature is not.
    pub fn verify(self, issuer: &Certificate) -> Result<Answer, Refused> {
        let what = Kind::Ocsp;
        let unauthorised = |why| Refused::from(Unfit::Unauthorised { what, why });
        let (responder, delegated, unchecked) = if self.responder.is(issuer)? {
            (issuer.clone(), false, false)
        } else {
            let mut named = None;
            for certificate in &self.certificates {
                if self.responder.is(certificate)? {
                    named = Some(certificate);
                    break;
                }
            }
            let responder = named.ok_or(Unfit::WrongIssuer { what })?;
            responder
                .is_issued_by(issuer)
                .map_err(|_| unauthorised("another authority issued its certificate"))?;
            let particulars = Particulars::of(responder)?;
            if !particulars.names(id::OCSP_SIGNING) || responder.authority.is_some() {
                return Err(unauthorised("its certificate is not for answering"));
            }
            if particulars.key_usage.is_some_and(|usage| usage & 0b1100_0000 == 0) {
                return Err(unauthorised("its certificate may not sign"));
            }
            if responder.is_valid_at(self.produced_at).is_err() {
                return Err(unauthorised("its certificate was not valid then"));
            }
            (responder.clone(), true, !particulars.no_check)
        };
        match self.signed.verify(&responder.public_key) {
            Ok(()) => Ok(Answer {
                responder,
                delegated,
                unchecked,
                issuer: issuer.clone(),
                produced_at: self.produced_at,
                singles: self.singles,
                nonce: self.nonce,
            }),
            Err(Refused::SignatureInvalid) => Err(Unfit::Signature { what }.into()),
            Err(other) => Err(other),
        }
    }
}

impl Responder<'_> {
    fn is(&self, certificate: &Certificate) -> Result<bool, Refused> {
        Ok(match self {
            Self::Name(name) => *name == certificate.subject_der,
            Self::Key(hash) => {
                let key = extension::public_key_bits(certificate)?;
                [NameHash::Sha1, NameHash::Sha256, NameHash::Sm3]
                    .iter()
                    .any(|kind| kind.digest(key) == *hash)
            }
        })
    }
}

/// A reply whose signature was verified.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Who signed it.
    pub responder: Certificate,
    /// Whether the responder is not the issuer itself.
    pub delegated: bool,
    /// Whether the responder's own state would have to be asked elsewhere (no id-pkix-ocsp-nocheck in it).
    pub unchecked: bool,
    /// When it was signed.
    pub produced_at: OffsetDateTime,
    issuer: Certificate,
    singles: Vec<Single>,
    nonce: Option<Vec<u8>>,
}

impl Answer {
    /// It was made for the question with this nonce.
    ///
    /// # Errors
    /// When its nonce is absent or another one.
    pub fn has_nonce(&self, nonce: &[u8]) -> Result<(), Refused> {
        if self.nonce.as_deref() == Some(nonce) {
            Ok(())
        } else {
            Err(Unfit::Nonce { what: Kind::Ocsp }.into())
        }
    }

    /// Whether it speaks for this issuer's certificates.
    #[must_use]
    pub fn is_of(&self, issuer: &Certificate) -> bool {
        self.issuer.subject_der == issuer.subject_der && self.issuer.public_key == issuer.public_key
    }

    /// When newer answers will be there, of the one about this certificate.
    #[must_use]
    pub fn next_update(&self, certificate: &Certificate) -> Option<OffsetDateTime> {
        self.about(certificate).ok()?.next_update
    }

    fn about(&self, certificate: &Certificate) -> Result<&Single, Refused> {
        for single in &self.singles {
            if let Some(question) = &single.question
                && question.is(certificate, &self.issuer)?
            {
                return Ok(single);
            }
        }
        Err(Unfit::NotAnswered.into())
    }

    /// What it says about a certificate at a moment, or why it says nothing about it.
    ///
    /// # Errors
    /// Not about this certificate, too old for the moment, from the future.
    pub fn status(&self, certificate: &Certificate, moment: Moment) -> Result<Status, Refused> {
        if certificate.issuer_der != self.issuer.subject_der {
            return Err(Unfit::WrongIssuer { what: Kind::Ocsp }.into());
        }
        let single = self.about(certificate)?;
        if self.produced_at > moment.now + CLOCK_SKEW {
            return Err(Unfit::FromFuture { what: Kind::Ocsp }.into());
        }
        if let State::Revoked(revoked) = single.state
            && revoked.stands(moment.at)
        {
            return Ok(Status::Revoked(revoked)); // however old the answer
        }
        moment.covered(
            Kind::Ocsp,
            single.this_update,
            single.next_update,
            certificate.not_after,
        )?;
        Ok(match single.state {
            State::Good => Status::Good,
            State::Unknown => Status::Unknown,
            State::Revoked(revoked) => Status::at(Some(revoked), moment.at),
        })
    }
}

/// The `BasicOCSPResponse` inside a reply.
pub(crate) fn basic(bytes: &[u8]) -> Result<&[u8], Refused> {
    if bytes.len() > MAX_RESPONSE {
        return Err(Refused::TooLarge { at: "OCSP response" });
    }
    let mut outer = Reader::new(bytes, "OCSP response");
    let mut whole = outer.sequence("OCSP response")?;
    outer.finish()?;
    if whole.peek() == Some(tag::SEQUENCE) {
        return Ok(bytes);
    }
    let status = whole.expect(ENUMERATED)?.value;
    let words = match status {
        [0] => None,
        [1] => Some("the request is malformed"),
        [2] => Some("internal error"),
        [3] => Some("try later"),
        [5] => Some("the request must be signed"),
        [6] => Some("not authorised to ask"),
        _ => Some("unknown status"),
    };
    if let Some(words) = words {
        return Err(Unfit::Responder(words).into());
    }
    let mut wrapped = whole.inside(tag::context(0), "OCSP response bytes")?;
    whole.finish()?;
    let mut typed = wrapped.sequence("OCSP response bytes")?;
    wrapped.finish()?;
    let kind = typed.oid()?;
    if kind != id::OCSP_BASIC {
        return Err(Refused::UnknownContentType(oid::dotted(kind)));
    }
    let inner = typed.expect(tag::OCTET_STRING)?.value;
    typed.finish()?;
    Ok(inner)
}

fn read_responder(element: Element<'_>) -> Result<Responder<'_>, Refused> {
    let mut inner = Reader::new(element.value, "OCSP responder id");
    let responder = if element.tag == tag::context(1) {
        Responder::Name(inner.expect(tag::SEQUENCE)?.raw)
    } else if element.tag == tag::context(2) {
        Responder::Key(inner.expect(tag::OCTET_STRING)?.value)
    } else {
        return Err(Refused::Malformed {
            at: "OCSP responder id",
        });
    };
    inner.finish()?;
    Ok(responder)
}

fn read_single(list: &mut Reader<'_>) -> Result<Single, Refused> {
    let mut one = list.sequence("OCSP answer")?;
    let question = Question::read(&mut one)?;
    let state = one.any()?;
    let state = match (state.tag, state.value) {
        (0x80, []) => State::Good,
        (0x82, []) => State::Unknown,
        (0xa1, value) => State::Revoked(read_revoked(value)?),
        _ => return Err(Refused::Malformed { at: "OCSP status" }),
    };
    let this_update = one.time()?;
    let next_update = match one.optional(tag::context(0))? {
        Some(wrapped) => {
            let mut inner = Reader::new(wrapped.value, "OCSP next update");
            let time = inner.time()?;
            inner.finish()?;
            Some(time)
        }
        None => None,
    };
    if let Some(wrapped) = one.optional(tag::context(1))? {
        read_extensions(wrapped.value)?;
    }
    one.finish()?;
    if next_update.is_some_and(|next| next < this_update) {
        return Err(Refused::Malformed { at: "OCSP times" });
    }
    Ok(Single {
        question,
        state,
        this_update,
        next_update,
    })
}

fn read_revoked(value: &[u8]) -> Result<Revoked, Refused> {
    let mut inner = Reader::new(value, "OCSP revocation");
    let at = inner.time()?;
    let reason = match inner.optional(tag::context(0))? {
        Some(wrapped) => {
            let mut wrapped = Reader::new(wrapped.value, "OCSP reason");
            match wrapped.expect(ENUMERATED)?.value {
                [code] => Reason::from_code(*code).ok_or(Refused::Malformed { at: "OCSP reason" })?,
                _ => return Err(Refused::Malformed { at: "OCSP reason" }),
            }
        }
        None => Reason::Unspecified,
    };
    inner.finish()?;
    Ok(Revoked { at, reason })
}

fn read_extensions(value: &[u8]) -> Result<Vec<extension::Extension<'_>>, Refused> {
    let mut outer = Reader::new(value, "OCSP extensions");
    let all = extension::read(&mut outer)?;
    outer.finish()?;
    match all.iter().find(|one| one.critical && one.id != id::OCSP_NONCE) {
        Some(unknown) => Err(Unfit::UnknownCritical {
            what: Kind::Ocsp,
            id: oid::dotted(unknown.id),
        }
        .into()),
        None => Ok(all),
    }
}

fn read_nonce(value: &[u8]) -> Result<Vec<u8>, Refused> {
    let mut inner = Reader::new(value, "OCSP nonce");
    let nonce = inner.expect(tag::OCTET_STRING)?.value;
    inner.finish()?;
    if nonce.is_empty() || nonce.len() > MAX_NONCE {
        return Err(Refused::Malformed { at: "OCSP nonce" });
    }
    Ok(nonce.to_vec())
}
