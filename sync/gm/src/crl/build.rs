//! Building a list: our own authority revokes doctors' certificates.

use time::OffsetDateTime;

use super::Number;
use crate::der::{self, tag};
use crate::evidence::{Reason, Revoked};
use crate::extension::{self, ENUMERATED, Particulars, id};
use crate::key::Signer;
use crate::{Certificate, Refused, signed};

/// One revoked certificate of a list to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Serial number, without leading zero.
    pub serial: Vec<u8>,
    /// Since when, and why. `RemoveFromCrl` only in a delta.
    pub revoked: Revoked,
}

/// What to put into a new list.
#[derive(Debug, Clone)]
pub struct Draft<'a> {
    /// When it is issued.
    pub this_update: OffsetDateTime,
    /// When the next one will be there.
    pub next_update: OffsetDateTime,
    /// Its number: greater than that of every earlier list of the authority.
    pub number: Number,
    /// A delta to the list with this number.
    pub base: Option<Number>,
    /// What it revokes: everything, or since the base.
    pub entries: &'a [Entry],
    /// The address it will be fetched from; a certificate must name it to be covered. `None` covers all certificates.
    pub address: Option<&'a str>,
}

impl Draft<'_> {
    /// Signs it as the authority.
    ///
    /// # Errors
    /// When the authority may not sign lists, an entry has no place in it, or signing fails.
    pub fn issue(&self, issuer: &Certificate, key: &dyn Signer) -> Result<Vec<u8>, Refused> {
        let particulars = Particulars::of(issuer)?;
        if !particulars.signs_crls() || &issuer.public_key != key.public_key() {
            return Err(Refused::NotAnAuthority {
                serial: issuer.serial_hex(),
            });
        }
        let entries = self.entries.iter().map(|entry| self.entry(entry));
        let entries = entries.collect::<Result<Vec<_>, _>>()?.concat();
        // An empty list is absent, not empty (RFC 5280 5.1.2.6).
        let entries = if entries.is_empty() {
            Vec::new()
        } else {
            der::element(tag::SEQUENCE, &entries)
        };
        let algorithm = signed::algorithm(key);
        let body = der::sequence(&[
            &der::unsigned(&[1]),
            &algorithm,
            &issuer.subject_der,
            &der::time(self.this_update),
            &der::time(self.next_update),
            &entries,
            &der::constructed(tag::context(0), &[&self.extensions(particulars.key_id.as_deref())]),
        ]);
        signed::sign(&body, key)
    }

    fn entry(&self, entry: &Entry) -> Result<Vec<u8>, Refused> {
        let removes = entry.revoked.reason == Reason::RemoveFromCrl;
        if entry.serial.is_empty() || entry.serial.len() > 20 || (removes && self.base.is_none()) {
            return Err(Refused::Malformed { at: "CRL entry" });
        }
        let reason = match entry.revoked.reason {
            Reason::Unspecified => Vec::new(), // RFC 5280 5.3.1: absent instead
            reason => {
                let value = der::element(ENUMERATED, &[reason as u8]);
                der::sequence(&[&extension::write(id::CRL_REASON, false, &value)])
            }
        };
        Ok(der::sequence(&[
            &der::unsigned(&entry.serial),
            &der::time(entry.revoked.at),
            &reason,
        ]))
    }

    fn extensions(&self, key_id: Option<&[u8]>) -> Vec<u8> {
        let mut all = Vec::new();
        if let Some(bytes) = key_id {
            let key = der::element(tag::context_primitive(0), bytes);
            all.extend(extension::write(id::AUTHORITY_KEY_ID, false, &der::sequence(&[&key])));
        }
        let number = der::unsigned(self.number.bytes());
        all.extend(extension::write(id::CRL_NUMBER, false, &number));
        if let Some(base) = &self.base {
            all.extend(extension::write(id::DELTA_CRL, true, &der::unsigned(base.bytes())));
        }
        if let Some(address) = self.address {
            let uri = der::element(tag::context_primitive(6), address.as_bytes());
            let name = der::constructed(tag::context(0), &[&der::constructed(tag::context(0), &[&uri])]);
            all.extend(extension::write(id::ISSUING_POINT, true, &der::sequence(&[&name])));
        }
        der::element(tag::SEQUENCE, &all)
    }
}
