//! Requests for certificates (PKCS#10, RFC 2986; GB/T 35291 uses the same form): made in the device, or read.

use crate::der::{self, Reader, tag};
use crate::draft::{self, AlternativeName, Extras, Purpose};
use crate::key::{Algorithm, Signer};
use crate::{Identity, PublicKey, Refused, extension, oid, pem};

/// Larger requests are not read.
const MAX_REQUEST: usize = 16 * 1024;

/// A request that has been read and whose signature holds: who sent it has the private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The whole request.
    pub der: Vec<u8>,
    /// Who asks, as it stands.
    pub subject_der: Vec<u8>,
    /// Who asks.
    pub subject: Identity,
    /// The key to be certified.
    pub public_key: PublicKey,
    /// What the request is signed with.
    pub algorithm: Algorithm,
    /// Other names asked for.
    pub alternative_names: Vec<AlternativeName>,
}

impl Request {
    /// Makes a request for `key`, to be used for `purpose`; of `extras` the names are asked for. The authority decides.
    pub fn make(subject: &Identity, key: &dyn Signer, purpose: Purpose, extras: &Extras) -> Result<Self, Refused> {
        let wanted = der::element(tag::SEQUENCE, &draft::requested(purpose, extras).concat());
        let attribute = der::sequence(&[&der::oid(oid::EXTENSION_REQUEST), &der::element(tag::SET, &wanted)]);
        let body = der::sequence(&[
            &der::unsigned(&[0]),
            &subject.to_der(),
            &key.public_key().to_spki(),
            &der::element(tag::context(0), &attribute),
        ]);
        let signature = key.sign(&body)?;
        Self::parse(&der::sequence(&[
            &body,
            &key.algorithm().to_der(),
            &der::bits(&signature),
        ]))
    }

    /// Reads a request and verifies its signature; SM2 with the default user id.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        if bytes.len() > MAX_REQUEST {
            return Err(Refused::TooLarge {
                at: "certificate request",
            });
        }
        let mut reader = Reader::new(bytes, "certificate request");
        let mut whole = reader.sequence("certificate request")?;
        reader.finish()?;
        let signed = whole.expect(tag::SEQUENCE)?;
        let algorithm = Algorithm::read(&mut whole)?;
        let signature = whole.bits()?;
        whole.finish()?;

        let mut body = Reader::new(signed.value, "certificate request");
        if body.small()? != 0 {
            return Err(Refused::Malformed {
                at: "certificate request version",
            });
        }
        let subject = body.expect(tag::SEQUENCE)?;
        let public_key = PublicKey::read_spki(&mut body)?;
        let alternative_names = match body.optional(tag::context(0))? {
            Some(attributes) => read_names(attributes.value)?,
            None => Vec::new(), // some tools leave the empty set out
        };
        body.finish()?;
        public_key.verify(algorithm, signed.raw, signature)?;
        Ok(Self {
            der: bytes.to_vec(),
            subject_der: subject.raw.to_vec(),
            subject: Identity::read(subject.value)?,
            public_key,
            algorithm,
            alternative_names,
        })
    }

    /// Reads a request from PEM or DER.
    pub fn from_file(file: &[u8]) -> Result<Self, Refused> {
        match std::str::from_utf8(file) {
            Ok(text) if text.contains("-----BEGIN ") => {
                let labels = [pem::REQUEST, "NEW CERTIFICATE REQUEST"];
                Self::parse(&pem::the_one(text, &labels, "certificate request")?.der)
            }
            _ => Self::parse(file),
        }
    }

    /// As PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem::write(pem::REQUEST, &self.der)
    }
}

fn read_names(attributes: &[u8]) -> Result<Vec<AlternativeName>, Refused> {
    let mut all = Vec::new();
    let mut list = Reader::new(attributes, "request attributes");
    while !list.is_empty() {
        let mut attribute = list.sequence("request attribute")?;
        let id = attribute.oid()?;
        let mut values = attribute.inside(tag::SET, "request attribute")?;
        attribute.finish()?;
        if id != oid::EXTENSION_REQUEST {
            continue;
        }
        let wanted = extension::read(&mut values)?;
        values.finish()?;
        for one in wanted.iter().filter(|one| one.id == oid::ALTERNATIVE_NAME) {
            all.extend(draft::read_names(&mut Reader::new(one.value, "alternative names"))?);
        }
    }
    Ok(all)
}
