//! Files as people have them: PEM (RFC 7468), DER, bare Base64, PKCS#7 bundles.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::cms::{Message, Profile};
use crate::der::{self, Reader, tag};
use crate::{Certificate, Refused, oid};

/// Larger files are not read: a CRL of a large authority fits.
pub const MAX_FILE: usize = 64 * 1024 * 1024;
/// More blocks in a file are not read.
const MAX_BLOCKS: usize = 1024;

/// Label of a certificate.
pub const CERTIFICATE: &str = "CERTIFICATE";
/// Label of a list.
pub const CRL: &str = "X509 CRL";
/// Label of a request.
pub const REQUEST: &str = "CERTIFICATE REQUEST";
/// Label of a public key.
pub const PUBLIC_KEY: &str = "PUBLIC KEY";
/// Label of a private key, not encrypted.
pub const PRIVATE_KEY: &str = "PRIVATE KEY";
/// Label of an encrypted private key.
pub const ENCRYPTED_PRIVATE_KEY: &str = "ENCRYPTED PRIVATE KEY";
/// Label of a signed message or a bundle.
pub const PKCS7: &str = "PKCS7";

const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
        .with_decode_allow_trailing_bits(false),
);

/// One block of a PEM file. Wiped on drop: it may be a key.
#[derive(Clone)]
pub struct Block {
    /// What stands between `BEGIN` and the dashes.
    pub label: String,
    /// What it holds.
    pub der: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Block")
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}

/// One block, in lines of 64 letters.
#[must_use]
pub fn write(label: &str, der: &[u8]) -> String {
    let body = Zeroizing::new(ENGINE.encode(der));
    let mut out = String::with_capacity(body.len() + body.len() / 64 + label.len() * 2 + 40);
    out.push_str(&format!("-----BEGIN {label}-----\n"));
    for (at, letter) in body.chars().enumerate() {
        if at > 0 && at % 64 == 0 {
            out.push('\n');
        }
        out.push(letter);
    }
    if !body.is_empty() {
        out.push('\n');
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

/// A chain of certificates, the signer first.
#[must_use]
pub fn write_chain(chain: &[Certificate]) -> String {
    chain.iter().map(|c| write(CERTIFICATE, &c.der)).collect()
}

fn bad() -> Refused {
    Refused::Malformed { at: "PEM" }
}

/// The blocks of a PEM file. Words around the blocks are allowed, as tools write them; within a block only Base64 is. A key
/// encrypted the old way (`Proc-Type: 4,ENCRYPTED`) is refused by name.
pub fn read(text: &str) -> Result<Vec<Block>, Refused> {
    if text.len() > MAX_FILE {
        return Err(Refused::TooLarge { at: "file" });
    }
    let mut blocks = Vec::new();
    let mut lines = text.lines().map(|line| line.trim_end_matches([' ', '\t', '\r']));
    while let Some(line) = lines.next() {
        let Some(label) = marked(line, "BEGIN") else { continue };
        let mut body = Zeroizing::new(String::new());
        loop {
            let line = lines.next().ok_or_else(bad)?;
            if let Some(end) = marked(line, "END") {
                if end != label {
                    return Err(bad());
                }
                break;
            }
            if line.starts_with("Proc-Type:") {
                return Err(Refused::UnknownEncryption("PEM Proc-Type".to_owned()));
            }
            body.push_str(line);
        }
        if blocks.len() == MAX_BLOCKS {
            return Err(Refused::TooLarge { at: "file" });
        }
        blocks.push(Block {
            label: label.to_owned(),
            der: Zeroizing::new(ENGINE.decode(body.as_bytes()).map_err(|_| bad())?),
        });
    }
    Ok(blocks)
}

fn marked<'a>(line: &'a str, mark: &str) -> Option<&'a str> {
    let label = line.strip_prefix("-----")?.strip_prefix(mark)?.strip_prefix(' ')?;
    label.strip_suffix("-----").filter(|label| !label.is_empty())
}

/// The one block with one of these labels: a file with none or with several is refused.
pub(crate) fn the_one(text: &str, labels: &[&str], what: &'static str) -> Result<Block, Refused> {
    let mut found = read(text)?
        .into_iter()
        .filter(|block| labels.contains(&block.label.as_str()));
    let one = found.next().ok_or(Refused::NotFound { what })?;
    if found.next().is_some() {
        return Err(Refused::Several { what });
    }
    Ok(one)
}

/// Certificates and lists of a file.
#[derive(Debug, Clone, Default)]
pub struct Bundle {
    /// Certificates, as they stand in the file.
    pub certificates: Vec<Certificate>,
    /// Lists, DER, not yet read.
    pub crls: Vec<Vec<u8>>,
}

/// Reads certificates and lists from whatever a person drags in: PEM with one or many, DER of a certificate, of a list or of
/// a PKCS#7 bundle (`.p7b`), or one of these as bare Base64. A private key in the file is a refusal: it does not belong
/// there, and who put it there should know.
pub fn read_bundle(file: &[u8]) -> Result<Bundle, Refused> {
    if file.len() > MAX_FILE {
        return Err(Refused::TooLarge { at: "file" });
    }
    let mut bundle = Bundle::default();
    let text = std::str::from_utf8(file)
        .ok()
        .map(|text| text.trim_start_matches('\u{feff}'));
    if let Some(text) = text.filter(|text| text.contains("-----BEGIN ")) {
        for block in read(text)? {
            match block.label.as_str() {
                CERTIFICATE | "TRUSTED CERTIFICATE" | "X509 CERTIFICATE" | CRL | PKCS7 | "CMS" => {
                    bundle.add(&block.der)?
                }
                label if label.ends_with("PRIVATE KEY") => return Err(Refused::UnexpectedKey),
                _ => {}
            }
        }
    } else if let Some(text) = text {
        let letters: String = text.split_ascii_whitespace().collect();
        bundle.add(
            &ENGINE
                .decode(letters)
                .map_err(|_| Refused::NotFound { what: "certificate" })?,
        )?;
    } else {
        bundle.add(file)?;
    }
    if bundle.certificates.is_empty() && bundle.crls.is_empty() {
        return Err(Refused::NotFound { what: "certificate" });
    }
    Ok(bundle)
}

impl Bundle {
    /// Adds what this DER is.
    fn add(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        let mut reader = Reader::new(bytes, "file");
        let mut inside = reader.sequence("file")?;
        reader.finish()?;
        if inside.peek() == Some(tag::OID) {
            return self.add_message(bytes);
        }
        // The third part of both is the signature; the body of a list has no public key where a certificate has one.
        let mut body = inside.sequence("file")?;
        body.optional(tag::context(0))?;
        let listed = body.clone();
        let is_certificate = body.expect(tag::INTEGER).is_ok() && body.expect(tag::SEQUENCE).is_ok() && {
            body.expect(tag::SEQUENCE).is_ok()
                && body.expect(tag::SEQUENCE).is_ok()
                && body.expect(tag::SEQUENCE).is_ok()
        };
        if is_certificate {
            self.certificates.push(Certificate::parse(bytes)?);
            return Ok(());
        }
        if is_list(listed) {
            self.crls.push(bytes.to_vec());
            return Ok(());
        }
        // A certificate that is none names what is wrong with it.
        Certificate::parse(bytes).map(|certificate| self.certificates.push(certificate))
    }

    fn add_message(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        let profile = Profile {
            mixed_identifiers: true,
            ..Profile::default()
        };
        let message = Message::read(bytes, profile)?;
        if message.certificates.is_empty()
            && let Some(reason) = message.unread
        {
            return Err(reason);
        }
        self.certificates.extend(message.certificates);
        self.crls.extend(message.crls.iter().map(|crl| crl.to_vec()));
        Ok(())
    }

    /// As a PKCS#7 bundle without signers (`.p7b`).
    #[must_use]
    pub fn to_p7b(&self) -> Vec<u8> {
        let certificates: Vec<&[u8]> = self.certificates.iter().map(|c| c.der.as_slice()).collect();
        let crls = if self.crls.is_empty() {
            Vec::new()
        } else {
            der::element(tag::context(1), &self.crls.concat())
        };
        let body = der::sequence(&[
            &der::unsigned(&[1]),
            &der::element(tag::SET, &[]),
            &der::sequence(&[&der::oid(oid::PKCS7_DATA)]),
            &der::constructed(tag::context(0), &certificates),
            &crls,
            &der::element(tag::SET, &[]),
        ]);
        der::sequence(&[
            &der::oid(oid::PKCS7_SIGNED_DATA),
            &der::constructed(tag::context(0), &[&body]),
        ])
    }
}

/// `[version] algorithm name time …`.
fn is_list(mut body: Reader<'_>) -> bool {
    body.optional(tag::INTEGER).is_ok()
        && body.expect(tag::SEQUENCE).is_ok()
        && body.expect(tag::SEQUENCE).is_ok()
        && matches!(body.peek(), Some(tag::UTC_TIME | tag::GENERALIZED_TIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for length in [0, 1, 47, 48, 49, 1000] {
            let bytes: Vec<u8> = (0..length).map(|n| n as u8).collect();
            let text = format!(
                "words before\r\n{}words after\n{}",
                write("A B", &bytes),
                write("C", b"c")
            );
            let blocks = read(&text).expect("read");
            assert_eq!(
                (blocks[0].label.as_str(), blocks[0].der.as_slice()),
                ("A B", bytes.as_slice())
            );
            assert_eq!((blocks[1].label.as_str(), blocks[1].der.as_slice()), ("C", &b"c"[..]));
            assert!(text.lines().all(|line| line.len() <= 64));
        }
    }

    #[test]
    fn broken_files_are_refused_by_name() {
        for text in [
            "-----BEGIN A-----\nAAAA\n",
            "-----BEGIN A-----\nAAAA\n-----END B-----\n",
            "-----BEGIN A-----\nAA*A\n-----END A-----\n",
            "-----BEGIN A-----\nAAA\n-----END A-----\n",
            "-----BEGIN A-----\nAAB=\n-----END A-----\n",
            "-----BEGIN A-----\nX: y\n\nAAAA\n-----END A-----\n",
        ] {
            assert!(matches!(read(text), Err(Refused::Malformed { at: "PEM" })), "{text}");
        }
        let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
        assert!(matches!(read(old), Err(Refused::UnknownEncryption(_))));
        assert!(matches!(
            read_bundle(b""),
            Err(Refused::Malformed { .. } | Refused::NotFound { .. })
        ));
        assert!(matches!(read_bundle("你好".as_bytes()), Err(Refused::NotFound { .. })));
        assert!(matches!(
            read_bundle(write(PRIVATE_KEY, b"x").as_bytes()),
            Err(Refused::UnexpectedKey)
        ));
        assert!(matches!(
            read_bundle(write(PUBLIC_KEY, b"x").as_bytes()),
            Err(Refused::NotFound { .. })
        ));
    }

    proptest::proptest! {
        #[test]
        fn any_file_is_read_or_refused(bytes: Vec<u8>, text: String) {
            let _ = read_bundle(&bytes);
            let _ = read_bundle(text.as_bytes());
            let _ = read_bundle(format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----").as_bytes());
        }
    }
}
