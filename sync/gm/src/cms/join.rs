//! Several signers of one content: their messages put together.

use super::message::{Message, Profile, open};
use crate::Refused;
use crate::der::{self, Reader, tag};
use crate::key::Family;
use crate::oid;

/// The elements of one message's `SignedData`, byte for byte.
struct Parts<'a> {
    family: Family,
    digests: Vec<&'a [u8]>,
    content: &'a [u8],
    certificates: Vec<&'a [u8]>,
    crls: Vec<&'a [u8]>,
    signers: Vec<&'a [u8]>,
}

/// One message with the signers of both, over the same content. No signature is verified here, none is changed.
pub fn joined(one: &[u8], other: &[u8]) -> Result<Vec<u8>, Refused> {
    let (mut all, other) = (Parts::read(one)?, Parts::read(other)?);
    if all.family != other.family {
        return Err(Refused::MixedAlgorithms);
    }
    if all.content != other.content {
        return Err(Refused::DigestMismatch);
    }
    add(&mut all.digests, other.digests);
    add(&mut all.certificates, other.certificates);
    add(&mut all.crls, other.crls);
    add(&mut all.signers, other.signers);
    let set = |tag: u8, parts: &[&[u8]]| -> Vec<u8> {
        if parts.is_empty() && tag != tag::SET {
            return Vec::new();
        }
        let mut set = der::set_of(parts.iter().map(|part| part.to_vec()).collect());
        if let Some(first) = set.first_mut() {
            *first = tag;
        }
        set
    };
    let body = der::sequence(&[
        &der::unsigned(&[1]),
        &set(tag::SET, &all.digests),
        all.content,
        // In the order given: the signer's chain is easier to read.
        &if all.certificates.is_empty() {
            Vec::new()
        } else {
            der::constructed(tag::context(0), &all.certificates)
        },
        &set(tag::context(1), &all.crls),
        &set(tag::SET, &all.signers),
    ]);
    let kind = match all.family {
        Family::Gm => oid::GM_SIGNED_DATA,
        Family::Classic => oid::PKCS7_SIGNED_DATA,
    };
    let whole = der::sequence(&[&der::oid(kind), &der::constructed(tag::context(0), &[&body])]);
    Message::read(&whole, Profile::default())?; // the bounds hold for the whole too
    Ok(whole)
}

fn add<'a>(all: &mut Vec<&'a [u8]>, more: Vec<&'a [u8]>) {
    for one in more {
        if !all.contains(&one) {
            all.push(one);
        }
    }
}

impl<'a> Parts<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Refused> {
        Message::read(bytes, Profile::default())?;
        let (family, mut body) = open(bytes)?;
        body.any()?; // version
        let digests = elements(body.expect(tag::SET)?.value)?;
        let content = body.expect(tag::SEQUENCE)?.raw;
        let mut optional = |tag: u8| -> Result<Vec<&'a [u8]>, Refused> {
            body.optional(tag)?
                .map_or_else(|| Ok(Vec::new()), |set| elements(set.value))
        };
        let (certificates, crls) = (optional(tag::context(0))?, optional(tag::context(1))?);
        let signers = elements(body.expect(tag::SET)?.value)?;
        Ok(Self {
            family,
            digests,
            content,
            certificates,
            crls,
            signers,
        })
    }
}

fn elements(value: &[u8]) -> Result<Vec<&[u8]>, Refused> {
    let mut reader = Reader::new(value, "signed message");
    let mut all = Vec::new();
    while !reader.is_empty() {
        all.push(reader.any()?.raw);
    }
    Ok(all)
}
