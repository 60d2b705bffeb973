//! What administrators do with server keys. Every act is logged with who did it, in the unit that does it.

use gm::Certificate;
use gm::certificate::{Purpose, usage};
use gm::key::{P256Key, RsaKey, Signer, Sm2Key};
use records::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::load::{TPM, owner};
use super::{KeyAlgorithm, KeyCommand, KeyPurpose, KeyState};
use crate::application::KeyIndex;
use crate::engine::Engine;
use crate::stamping::may_stamp;
use crate::vault::KeyRow;
use crate::wrap::Wrapping;
use crate::{Refusal, secret_code};

/// Usages of which a certificate for encryption has one.
const ENCRYPTS: u16 = usage::KEY_ENCIPHERMENT | usage::DATA_ENCIPHERMENT | usage::KEY_AGREEMENT;

/// A key to be made.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// Its name, for people: 1 to 64 characters.
    pub label: String,
    /// Its kind.
    pub algorithm: KeyAlgorithm,
    /// The code that requests must name to use it (GB/T 38629 `keyValue`); none when absent.
    #[serde(default)]
    pub access_code: Option<String>,
    /// What it is for; signing when absent.
    #[serde(default)]
    pub purpose: KeyPurpose,
    /// The device that makes and keeps it; wrapped here under the TPM when absent.
    #[serde(default)]
    pub device: Option<String>,
}

/// A key that is there, to become a server key.
pub(super) struct Found {
    pub(super) label: String,
    pub(super) algorithm: KeyAlgorithm,
    pub(super) purpose: KeyPurpose,
    pub(super) access_code: Option<Vec<u8>>,
    pub(super) public_key: Vec<u8>,
    pub(super) place: Place,
}

/// Where it is.
pub(super) enum Place {
    /// Here: to be wrapped under the TPM. SM2 as the scalar, others as PKCS#8.
    Here(Zeroizing<Vec<u8>>),
    /// In a device, under this reference.
    Device(String, String),
}

impl Engine {
    /// Makes a key, wrapped under the TPM or in a device that makes keys.
    pub fn generate_key(&self, by: &str, new: &NewKey) -> Result<KeyIndex, Refusal> {
        let label = label(&new.label)?;
        let access_code = new.access_code.as_deref().map(secret_code::keep).transpose()?;
        let (place, public_key) = match &new.device {
            Some(device) => self.make_in_device(by, device, new.algorithm)?,
            None => {
                let (secret, public_key) = make(new.algorithm)?;
                (Place::Here(secret), public_key)
            }
        };
        let found = Found {
            label,
            algorithm: new.algorithm,
            purpose: new.purpose,
            access_code,
            public_key,
            place,
        };
        self.keep_key(by, "key.generated", &found)
    }

    /// Keeps a key that is there. One that is known already is refused: it would have two lives.
    pub(super) fn keep_key(&self, by: &str, act: &'static str, found: &Found) -> Result<KeyIndex, Refusal> {
        let kek = match &found.place {
            Place::Here(_) => Some(self.kek()?),
            Place::Device(..) => None,
        };
        let now = self.clock.now();
        self.vault.write(|unit| {
            let destroyed = KeyState::Destroyed.name();
            let known = unit.keys()?.into_iter();
            let mut known = known.filter(|row| row.state != destroyed && row.public_key == found.public_key);
            if let Some(known) = known.next() {
                let text = format!("这个密钥已经登记，索引为 {}（{}）。", known.index, known.label);
                return Err(Refusal::no("key_known", text));
            }
            let index = unit.next_key_index()?;
            let owner = owner(index);
            let (custody, reference, wrapped) = match (&found.place, &kek) {
                (Place::Device(device, reference), _) => (device.clone(), reference.clone(), None),
                (Place::Here(secret), Some(kek)) => {
                    let wrapped = Wrapping::derive(kek, None, &owner)?.wrap(secret, &owner)?;
                    (TPM.to_owned(), String::new(), Some(wrapped))
                }
                (Place::Here(_), None) => return Err(Refusal::Damaged("key of keys")),
            };
            let row = KeyRow {
                index,
                label: found.label.clone(),
                algorithm: found.algorithm.name().to_owned(),
                custody,
                purpose: found.purpose.name().to_owned(),
                reference,
                wrapped,
                public_key: found.public_key.clone(),
                state: KeyState::Generated.name().to_owned(),
                access_code: found.access_code.clone(),
                made_at: now,
            };
            unit.put_key(&row, now)?;
            let detail = format!(
                "key {index} {} {} {} {}",
                row.algorithm, row.purpose, row.custody, row.reference
            );
            unit.log(now, act, by, detail.trim_end())?;
            Ok(KeyIndex(index))
        })
    }

    /// Gives a key a certificate. `chain` begins with the key's own and goes up; the key must be the certificate's.
    pub fn certify_key(&self, by: &str, index: KeyIndex, chain: &[Certificate]) -> Result<(), Refusal> {
        let (own, above) = chain
            .split_first()
            .ok_or_else(|| Refusal::no("certificate", "没有证书。"))?;
        let now = self.clock.now();
        own.is_valid_at(now.offset())?;
        let mut issued = own;
        for issuer in above {
            issued.is_issued_by(issuer)?;
            issued = issuer;
        }
        let above: Vec<u8> = above.iter().flat_map(|c| c.der.iter().copied()).collect();
        self.change_key(by, index, KeyCommand::Certify, now, |unit, row| {
            if own.public_key.to_spki() != row.public_key {
                return Err(Refusal::no("certificate_key", "证书中的公钥不是该密钥的公钥。"));
            }
            match KeyPurpose::named(&row.purpose).ok_or(Refusal::Damaged("key purpose"))? {
                // A key for time stamps signs nothing else, and one that signs stamps nothing.
                KeyPurpose::Sign => own.may_sign_documents().or_else(|_| may_stamp(own, now))?,
                KeyPurpose::Encrypt if own.has_usage(ENCRYPTS) => {}
                KeyPurpose::Encrypt => return Err(Refusal::no("certificate_usage", "该证书不是加密证书。")),
            }
            unit.add_key_certificate(index.0, &own.der, &above, now)?;
            Ok(own.serial_hex())
        })
    }

    /// Certifies a key under the hospital's own authority.
    pub fn certify_key_here(&self, by: &str, index: KeyIndex, organisation: &str, name: &str) -> Result<(), Refusal> {
        let now = self.trusted_now()?;
        let kek = self.kek()?;
        let authority = self.authority(&kek, organisation, now)?;
        let row = self.key_row(index)?;
        let public_key = gm::PublicKey::read_spki(&mut gm::der::Reader::new(&row.public_key, "public key"))?;
        let purpose = match KeyPurpose::named(&row.purpose).ok_or(Refusal::Damaged("key purpose"))? {
            KeyPurpose::Sign => Purpose::Documents,
            KeyPurpose::Encrypt => Purpose::Encryption,
        };
        let subject = gm::Identity {
            country: "CN".to_owned(),
            organization: organisation.to_owned(),
            unit: "server".to_owned(),
            common_name: name.to_owned(),
            serial_number: format!("key {}", index.0),
        };
        let own = authority.issue(&kek, organisation, &subject, &public_key, now, purpose)?;
        self.certify_key(by, index, &[own, authority.issuing, authority.root])
    }

    /// Puts a key to use, takes it out of use, or destroys it.
    pub fn command_key(&self, by: &str, index: KeyIndex, command: KeyCommand) -> Result<(), Refusal> {
        let gone = match command {
            KeyCommand::Destroy => self.destroy_in_device(by, index)?,
            KeyCommand::Certify | KeyCommand::Activate | KeyCommand::Retire => false,
        };
        let now = self.clock.now();
        self.change_key(by, index, command, now, |_, row| {
            if command != KeyCommand::Destroy {
                return Ok(row.label.clone());
            }
            // `secure_delete` overwrites the page.
            row.wrapped = None;
            if gone {
                row.reference.clear();
            }
            Ok(match row.reference.as_str() {
                "" => row.label.clone(),
                reference => format!("{} device {} still holds {reference}", row.label, row.custody),
            })
        })
    }

    fn change_key(
        &self,
        by: &str,
        index: KeyIndex,
        command: KeyCommand,
        now: Timestamp,
        change: impl FnOnce(&crate::vault::Unit<'_>, &mut KeyRow) -> Result<String, Refusal>,
    ) -> Result<(), Refusal> {
        let act = match command {
            KeyCommand::Certify => "key.certified",
            KeyCommand::Activate => "key.activated",
            KeyCommand::Retire => "key.retired",
            KeyCommand::Destroy => "key.destroyed",
        };
        self.vault.write(|unit| {
            let row = unit.keys()?.into_iter().find(|row| row.index == index.0);
            let mut row = row.ok_or_else(|| unknown(index))?;
            let state = KeyState::named(&row.state).ok_or(Refusal::Damaged("key state"))?;
            row.state = state.after(command)?.name().to_owned();
            let detail = change(unit, &mut row)?;
            unit.put_key(&row, now)?;
            unit.log(now, act, by, &format!("key {} {detail}", index.0))
        })
    }
}

/// A key's name, fit to be shown.
pub(super) fn label(text: &str) -> Result<String, Refusal> {
    let label = text.trim();
    if label.is_empty() || label.chars().count() > 64 || label.chars().any(char::is_control) {
        return Err(Refusal::no("label", "密钥名称应为 1 至 64 个字。"));
    }
    Ok(label.to_owned())
}

pub(super) fn unknown(index: KeyIndex) -> Refusal {
    Refusal::no("key_unknown", format!("没有索引为 {} 的密钥。", index.0))
}

/// The private half in the form that is wrapped, and `SubjectPublicKeyInfo`.
fn make(algorithm: KeyAlgorithm) -> Result<(Zeroizing<Vec<u8>>, Vec<u8>), Refusal> {
    match algorithm {
        KeyAlgorithm::Sm2 => {
            let key = Sm2Key::generate()?;
            Ok((Zeroizing::new(key.secret().to_vec()), key.public_key().to_spki()))
        }
        KeyAlgorithm::P256 => {
            let secret = P256Key::generate()?;
            let public_key = P256Key::from_pkcs8(&secret)?.public_key().to_spki();
            Ok((secret, public_key))
        }
        KeyAlgorithm::Rsa2048 => make_rsa(2048),
        KeyAlgorithm::Rsa3072 => make_rsa(3072),
        KeyAlgorithm::Rsa4096 => make_rsa(4096),
    }
}

fn make_rsa(bits: usize) -> Result<(Zeroizing<Vec<u8>>, Vec<u8>), Refusal> {
    let secret = RsaKey::generate(bits)?;
    let public_key = RsaKey::from_pkcs8(&secret)?.public_key().to_spki();
    Ok((secret, public_key))
}
