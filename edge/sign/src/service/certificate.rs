//! Certificates: given out, read item by item, judged (GB/T 38629 6.2 to 6.4), and found again by those who were given
//! them.

use std::sync::Arc;

use gm::Certificate;
use gm::certificate::Info;

use super::data::Judged;
use super::judge::Level;
use super::{Caller, Desk, Service};
use crate::application::KeyIndex;
use crate::fault::{Code, Fault};

/// How a certificate is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// By itself, DER.
    Certificate(Vec<u8>),
    /// By its serial number in hexadecimal: of a key here, or kept here.
    Serial(String),
}

/// Which kept certificate is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// That of a server key which the policy grants.
    Key(KeyIndex),
    /// By SHA-256.
    Fingerprint([u8; 32]),
    /// By serial number in hexadecimal.
    Serial(String),
}

impl Wanted {
    /// From GB/T 38629's certificate identification: up to six decimal digits are a key's index, 64 hexadecimal digits a
    /// fingerprint, other hexadecimal digits (`:` or blanks between them) a serial number.
    pub fn read(text: &str) -> Result<Self, Fault> {
        let text = text.trim();
        if (1..=6).contains(&text.len())
            && let Ok(index) = text.parse()
        {
            return Ok(Self::Key(KeyIndex(index)));
        }
        let digits = digits(text)?;
        let fingerprint = hex::decode(&digits).ok().and_then(|bytes| bytes.try_into().ok());
        Ok(fingerprint.map_or_else(|| Self::Serial(whole(&digits)), Self::Fingerprint))
    }
}

/// The hexadecimal digits of a number as people write it.
fn digits(text: &str) -> Result<String, Fault> {
    let bare: String = text.chars().filter(|c| !matches!(c, ':' | ' ')).collect();
    if bare.is_empty() || bare.len() > 64 || !bare.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Fault::new(Code::CertificateId, "证书标识应为密钥索引、序列号或指纹"));
    }
    Ok(bare.to_ascii_lowercase())
}

/// The digits of a serial number as certificates are found by them: whole bytes, and no zeros before them. Other software
/// writes the byte that its sign costs (`00:8a…`), or leaves out the first digit of `0a2f…`.
fn whole(digits: &str) -> String {
    let bare = digits.trim_start_matches('0');
    let missing = if bare.is_empty() { 2 } else { bare.len() % 2 };
    "0".repeat(missing) + bare
}

/// One item of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Which.
    pub item: Info,
    /// Its text; empty when the certificate does not say it.
    pub text: String,
}

impl Service {
    /// Gives out certificates that are kept here: of a server key, or of a client. More than one when authorities gave
    /// out the same serial number.
    pub async fn find_certificates(
        self: &Arc<Self>,
        caller: &Caller,
        wanted: Wanted,
    ) -> Result<Vec<Certificate>, Fault> {
        let service = Arc::clone(self);
        self.perform(caller, "certificate.exported", None, 0, move |desk| {
            let found = match &wanted {
                Wanted::Key(index) => vec![desk.certificate_of(*index)?],
                Wanted::Fingerprint(fingerprint) => service.kept(desk, None, Some(fingerprint))?,
                Wanted::Serial(serial) => service.kept(desk, Some(serial), None)?,
            };
            if found.is_empty() {
                return Err(Code::CertificateId.into());
            }
            let serials: Vec<String> = found.iter().map(Certificate::serial_hex).collect();
            Ok((found, format!("serial {}", serials.join(","))))
        })
        .await
    }

    /// Reads a certificate: one item, or all of them.
    pub async fn read_certificate(
        self: &Arc<Self>,
        caller: &Caller,
        certificate: Vec<u8>,
        item: Option<Info>,
    ) -> Result<Vec<Item>, Fault> {
        let bytes = certificate.len();
        self.perform(caller, "certificate.read", None, bytes, move |_| {
            let certificate = parse(&certificate)?;
            let wanted: &[Info] = item.as_slice();
            let wanted = if wanted.is_empty() { &Info::ALL } else { wanted };
            let items = wanted.iter().map(|item| {
                let text = certificate.info(*item);
                let text = text.map_err(|reason| Fault::new(Code::CertificateDecode, reason.to_string()))?;
                Ok(Item {
                    item: *item,
                    text: text.unwrap_or_default(),
                })
            });
            let items = items.collect::<Result<Vec<_>, Fault>>()?;
            Ok((items, format!("serial {}", certificate.serial_hex())))
        })
        .await
    }

    /// The value of an extension by its dotted identifier.
    pub async fn read_extension(
        self: &Arc<Self>,
        caller: &Caller,
        certificate: Vec<u8>,
        id: String,
    ) -> Result<String, Fault> {
        let bytes = certificate.len();
        self.perform(caller, "certificate.read", None, bytes, move |_| {
            let certificate = parse(&certificate)?;
            let found = certificate.info_by_oid(&id);
            let found = found.map_err(|reason| Fault::new(Code::CertificateDecode, reason.to_string()))?;
            let text = found.ok_or_else(|| Fault::new(Code::InfoType, "证书没有这个扩展项"))?;
            Ok((text, format!("serial {}", certificate.serial_hex())))
        })
        .await
    }

    /// Judges a certificate now.
    pub async fn judge_certificate(
        self: &Arc<Self>,
        caller: &Caller,
        certificate: Vec<u8>,
        level: Level,
    ) -> Result<Judged, Fault> {
        let bytes = certificate.len();
        self.perform(caller, "certificate.judged", None, bytes, move |desk| {
            let certificate = parse(&certificate)?;
            let detail = format!("serial {} {level:?}", certificate.serial_hex());
            let judged = desk.judge(&certificate, &[], desk.now, level);
            let (path, states) = judged
                .map_err(|fault| Fault::new(fault.code, format!("{} {}", certificate.serial_hex(), fault.detail)))?;
            let judged = Judged {
                certificate,
                path,
                states,
            };
            Ok((judged, detail))
        })
        .await
    }

    /// The certificate that is meant.
    pub(super) fn whose(&self, desk: &Desk, whose: &Whose) -> Result<Certificate, Fault> {
        match whose {
            Whose::Certificate(der) => parse(der),
            Whose::Serial(serial) => {
                let mut found = self.kept(desk, Some(&whole(&digits(serial)?)), None)?;
                match (found.pop(), found.is_empty()) {
                    (Some(one), true) => Ok(one),
                    (None, _) => Err(Fault::new(Code::CertificateId, serial)),
                    (Some(_), false) => Err(Fault::new(
                        Code::CertificateId,
                        "多张证书有相同的序列号，请直接给出证书",
                    )),
                }
            }
        }
    }

    /// Certificates of server keys, of chains, and kept ones.
    fn kept(
        &self,
        desk: &Desk,
        serial: Option<&str>,
        fingerprint: Option<&[u8; 32]>,
    ) -> Result<Vec<Certificate>, Fault> {
        let keys = desk.state.keys.values().flat_map(|key| &key.certificates);
        let own = keys.filter_map(|certificate| certificate.chain.first());
        let chains = desk.state.chains.values().flat_map(|chain| &chain.certificates);
        let fits = |certificate: &&Certificate| match (serial, fingerprint) {
            (Some(serial), _) => certificate.serial_hex().eq_ignore_ascii_case(serial),
            (None, Some(fingerprint)) => gm::key::sha256(&certificate.der) == *fingerprint,
            (None, None) => false,
        };
        let mut found: Vec<Certificate> = own.chain(chains).filter(fits).cloned().collect();
        let rows = self.engine.vault.read(|unit| match (serial, fingerprint) {
            (Some(serial), _) => unit.certificates_by_serial(serial),
            (None, Some(fingerprint)) => Ok(unit.certificate(fingerprint)?.into_iter().collect()),
            (None, None) => Ok(Vec::new()),
        })?;
        for row in rows {
            if !found.iter().any(|known| known.der == row.certificate) {
                found.push(Certificate::parse(&row.certificate).map_err(|_| Code::Internal)?);
            }
        }
        Ok(found)
    }
}

impl Desk {
    /// The certificate of a key that the policy grants, whatever the key's state.
    fn certificate_of(&self, index: KeyIndex) -> Result<Certificate, Fault> {
        let absent = || Fault::new(Code::CertificateId, format!("密钥索引 {}", index.0));
        if !self.application.policy.keys.contains(&index) {
            return Err(Fault::new(Code::KeyNotPermitted, format!("密钥索引 {}", index.0)));
        }
        let key = self.state.keys.get(&index).ok_or_else(absent)?;
        let certificate = key.certificate().and_then(|certificate| certificate.chain.first());
        certificate.cloned().ok_or_else(absent)
    }
}

pub(super) fn parse(der: &[u8]) -> Result<Certificate, Fault> {
    if der.is_empty() {
        return Err(Code::Certificate.into());
    }
    Certificate::parse(der).map_err(|reason| Fault::new(Code::CertificateDecode, reason.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_number_is_one_however_it_is_written() {
        let number = "8a2f0c11d4e5f607";
        for (written, kept) in [
            (number.to_owned(), number),
            (format!("00{}", number.to_uppercase()), number),
            ("00:8A:2F:0C:11:D4:E5:F6:07".to_owned(), number),
            ("a2f0c11d4e5f607".to_owned(), "0a2f0c11d4e5f607"),
            ("0a2f0c11d4e5f607".to_owned(), "0a2f0c11d4e5f607"),
            ("0000000".to_owned(), "00"),
        ] {
            assert_eq!(
                Wanted::read(&written).ok(),
                Some(Wanted::Serial(kept.to_owned())),
                "{written}"
            );
        }
        // A fingerprint is not a number.
        let fingerprint = Wanted::read(&"00".repeat(32)).ok();
        assert_eq!(fingerprint, Some(Wanted::Fingerprint([0; 32])));
        assert!(Wanted::read("").is_err() && Wanted::read("x y z").is_err());
    }
}
