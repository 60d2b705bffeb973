//! Reading a list.
//!
//! ```text
//! CertificateList { TBS { version?, algorithm, issuer, thisUpdate, nextUpdate?, { serial, date, extensions? }*?,
//!                         [0] extensions? }, algorithm, signature }
//! ```

use time::OffsetDateTime;

use super::set::{Record, Set, seconds};
use super::{Crl, MAX_CRL, Number, Scope};
use crate::der::{Element, Reader, tag};
use crate::evidence::{Kind, Reason, Unfit};
use crate::extension::{self, ENUMERATED, Particulars, id};
use crate::signed::Signed;
use crate::{Certificate, Refused, oid};

/// What stands around the entries.
#[derive(Debug, Clone)]
pub struct Head {
    /// 1 or 2.
    pub version: u8,
    /// Issuer's name as it stands.
    pub issuer_der: Vec<u8>,
    /// When it was issued.
    pub this_update: OffsetDateTime,
    /// When the next one is due.
    pub next_update: Option<OffsetDateTime>,
    /// Its number.
    pub number: Option<Number>,
    /// Of a delta: the number of the list it changes.
    pub base: Option<Number>,
    /// What it covers.
    pub scope: Scope,
    /// Addresses of its deltas.
    pub deltas: Vec<String>,
    pub(super) key_id: Option<Vec<u8>>,
}

struct Parts<'a> {
    head: Head,
    entries: Option<Element<'a>>,
    signed: Signed<'a>,
}

impl Head {
    /// Reads what stands around the entries, without verifying anything: to know whose list it is.
    ///
    /// # Errors
    /// Malformed, too large, or with something critical that is not understood.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        Ok(parts(bytes)?.head)
    }
}

pub(super) fn read(bytes: &[u8], issuers: &[Certificate]) -> Result<Crl, Refused> {
    let Parts { head, entries, signed } = parts(bytes)?;
    let mut why = Refused::from(Unfit::WrongIssuer { what: Kind::Crl });
    // Several certificates of one authority may carry its name: the key that verifies is the one.
    let named = issuers.iter().filter(|issuer| issuer.subject_der == head.issuer_der);
    for issuer in named.take(8) {
        let particulars = Particulars::of(issuer)?;
        if let (Some(theirs), Some(ours)) = (&head.key_id, &particulars.key_id)
            && theirs != ours
        {
            continue;
        }
        if !particulars.signs_crls() {
            why = Unfit::Unauthorised {
                what: Kind::Crl,
                why: "its certificate may not sign lists",
            }
            .into();
            continue;
        }
        match signed.verify(&issuer.public_key) {
            Ok(()) => {
                let revoked = match entries {
                    Some(entries) => read_entries(entries.value, &head)?,
                    None => Set::default(),
                };
                return Ok(Crl {
                    head,
                    issuer: issuer.clone(),
                    revoked,
                });
            }
            Err(Refused::SignatureInvalid) => why = Unfit::Signature { what: Kind::Crl }.into(),
            Err(other) => why = other,
        }
    }
    Err(why)
}

fn parts(bytes: &[u8]) -> Result<Parts<'_>, Refused> {
    if bytes.len() > MAX_CRL {
        return Err(Refused::TooLarge { at: "CRL" });
    }
    let signed = Signed::read(bytes, "CRL")?;
    let mut body = Reader::new(signed.body.value, "CRL body");
    let version = match body.peek() {
        Some(tag::INTEGER) => match body.small()? {
            1 => 2,
            _ => return Err(Refused::Malformed { at: "CRL version" }),
        },
        _ => 1,
    };
    if body.expect(tag::SEQUENCE)?.raw != signed.algorithm_der {
        return Err(Refused::Malformed { at: "CRL algorithms" });
    }
    let issuer = body.expect(tag::SEQUENCE)?.raw;
    let this_update = body.time()?;
    let next_update = match body.peek() {
        Some(tag::UTC_TIME | tag::GENERALIZED_TIME) => Some(body.time()?),
        _ => None,
    };
    let entries = body.optional(tag::SEQUENCE)?;
    let mut head = Head {
        version,
        issuer_der: issuer.to_vec(),
        this_update,
        next_update,
        number: None,
        base: None,
        scope: Scope::default(),
        deltas: Vec::new(),
        key_id: None,
    };
    if let Some(wrapped) = body.optional(tag::context(0))? {
        if version == 1 {
            return Err(Refused::Malformed { at: "CRL version" });
        }
        read_extensions(&mut head, wrapped.value)?;
    }
    body.finish()?;
    if next_update.is_some_and(|next| next < this_update) {
        return Err(Refused::Malformed { at: "CRL times" });
    }
    Ok(Parts { head, entries, signed })
}

fn read_extensions(head: &mut Head, value: &[u8]) -> Result<(), Refused> {
    let mut outer = Reader::new(value, "CRL extensions");
    let all = extension::read(&mut outer)?;
    outer.finish()?;
    for extension in all {
        let mut inner = Reader::new(extension.value, "CRL extension");
        match extension.id {
            id::CRL_NUMBER => head.number = Some(number(&mut inner)?),
            id::DELTA_CRL => head.base = Some(number(&mut inner)?),
            id::ISSUING_POINT => head.scope = Scope::read(extension.value)?,
            id::FRESHEST_CRL => head.deltas = Particulars::addresses_of_points(&mut inner)?,
            id::AUTHORITY_KEY_ID => {
                let mut parts = inner.sequence("authority key id")?;
                head.key_id = parts.optional(tag::context_primitive(0))?.map(|e| e.value.to_vec());
            }
            other if extension.critical => {
                return Err(Unfit::UnknownCritical {
                    what: Kind::Crl,
                    id: oid::dotted(other),
                }
                .into());
            }
            _ => {}
        }
    }
    Ok(())
}

fn number(inner: &mut Reader<'_>) -> Result<Number, Refused> {
    let bytes = inner.unsigned()?;
    inner.finish()?;
    if bytes.len() > 20 {
        return Err(Refused::Malformed { at: "CRL number" });
    }
    Ok(Number::new(bytes))
}

fn read_entries(bytes: &[u8], head: &Head) -> Result<Set, Refused> {
    let mut set = Set::default();
    let mut list = Reader::new(bytes, "CRL entry");
    while !list.is_empty() {
        let mut entry = list.sequence("CRL entry")?;
        let serial = entry.unsigned()?;
        let seconds = seconds(entry.time()?);
        let reason = if entry.is_empty() {
            Reason::Unspecified
        } else if head.version == 1 {
            return Err(Refused::Malformed { at: "CRL version" });
        } else {
            read_reason(&mut entry)?
        };
        entry.finish()?;
        let fits = reason != Reason::RemoveFromCrl || head.base.is_some();
        let record = Record {
            serial,
            seconds,
            reason,
        };
        if !fits || !set.push(record) {
            return Err(Refused::Malformed { at: "CRL entry" });
        }
    }
    set.sort();
    Ok(set)
}

fn read_reason(entry: &mut Reader<'_>) -> Result<Reason, Refused> {
    let mut reason = None;
    let mut list = entry.sequence("CRL entry extensions")?;
    while !list.is_empty() {
        let extension = extension::read_one(&mut list)?;
        if extension.id == id::CRL_REASON {
            let mut inner = Reader::new(extension.value, "CRL reason");
            let value = inner.expect(ENUMERATED)?.value;
            inner.finish()?;
            let code = match value {
                [code] => Reason::from_code(*code),
                _ => None,
            };
            let code = code.ok_or(Refused::Malformed { at: "CRL reason" })?;
            if reason.replace(code).is_some() {
                return Err(Refused::Malformed { at: "CRL reason" });
            }
        } else if extension.critical {
            // The certificate issuer of indirect lists is one of these: taking its entries for our issuer's would revoke
            // the wrong certificates.
            return Err(Unfit::UnknownCritical {
                what: Kind::Crl,
                id: oid::dotted(extension.id),
            }
            .into());
        }
    }
    Ok(reason.unwrap_or_default())
}
