//! What administrators do with server keys. Every act is logged with who did it, in the unit that does it.

use gm::Certificate;
use gm::certificate::Purpose;
use gm::key::{P256Key, RsaKey, Signer, Sm2Key};
use records::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::load::{TPM, owner};
use super::{KeyAlgorithm, KeyCommand, KeyState};
use crate::application::KeyIndex;
use crate::engine::Engine;
use crate::vault::KeyRow;
use crate::wrap::Wrapping;
use crate::{Refusal, secret_code};

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
}

impl Engine {
    /// Makes a key, wrapped under the TPM.
    pub fn generate_key(&self, by: &str, new: &NewKey) -> Result<KeyIndex, Refusal> {
        let label = new.label.trim();
        if label.is_empty() || label.chars().count() > 64 || label.chars().any(char::is_control) {
            return Err(Refusal::no("label", "密钥名称应为 1 至 64 个字。"));
        }
        let access_code = new.access_code.as_deref().map(secret_code::keep).transpose()?;
        let (secret, public_key) = make(new.algorithm)?;
        let (kek, now) = (self.kek()?, self.clock.now());
        self.vault.write(|unit| {
            let index = unit.next_key_index()?;
            let owner = owner(index);
            let row = KeyRow {
                index,
                label: label.to_owned(),
                algorithm: new.algorithm.name().to_owned(),
                custody: TPM.to_owned(),
                reference: String::new(),
                wrapped: Some(Wrapping::derive(&kek, None, &owner)?.wrap(&secret, &owner)?),
                public_key: public_key.clone(),
                state: KeyState::Generated.name().to_owned(),
                access_code: access_code.clone(),
                made_at: now,
            };
            unit.put_key(&row, now)?;
            let detail = format!("key {index} {} {}", row.algorithm, row.custody);
            unit.log(now, "key.generated", by, &detail)?;
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
        own.may_sign_documents()?;
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
            unit.add_key_certificate(index.0, &own.der, &above, now)?;
            Ok(own.serial_hex())
        })
    }

    /// Certifies a key under the hospital's own authority.
    pub fn certify_key_here(&self, by: &str, index: KeyIndex, organisation: &str, name: &str) -> Result<(), Refusal> {
        let now = self.trusted_now()?;
        let kek = self.kek()?;
        let authority = self.authority(&kek, organisation, now)?;
        let public_key = self.vault.read(|unit| {
            let row = unit.keys()?.into_iter().find(|row| row.index == index.0);
            Ok(row.ok_or_else(|| unknown(index))?.public_key)
        })?;
        let public_key = gm::PublicKey::read_spki(&mut gm::der::Reader::new(&public_key, "public key"))?;
        let subject = gm::Identity {
            country: "CN".to_owned(),
            organization: organisation.to_owned(),
            unit: "server".to_owned(),
            common_name: name.to_owned(),
            serial_number: format!("key {}", index.0),
        };
        let own = authority.issue(&kek, organisation, &subject, &public_key, now, Purpose::Documents)?;
        self.certify_key(by, index, &[own, authority.issuing, authority.root])
    }

    /// Puts a key to use, takes it out of use, or destroys it.
    pub fn command_key(&self, by: &str, index: KeyIndex, command: KeyCommand) -> Result<(), Refusal> {
        let now = self.clock.now();
        self.change_key(by, index, command, now, |_, row| {
            if command == KeyCommand::Destroy {
                // `secure_delete` overwrites the page.
                row.wrapped = None;
            }
            Ok(row.label.clone())
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

fn unknown(index: KeyIndex) -> Refusal {
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
