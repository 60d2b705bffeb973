//! Signers: their keys, PINs and certificates.

use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gm::certificate::Purpose;
use gm::key::Signer as _;
use gm::{Certificate, Identity, PublicKey, Sm2Key};
use records::{Timestamp, sign as ops};
use zeroize::{Zeroize, Zeroizing};

use super::Engine;
use super::authority::sm2_key;
use super::outside::Key;
use crate::Refusal;
use crate::pin::{self, TRIES};
use crate::vault::{SignerRow, Unit};
use crate::wrap::{self, Wrapping};

/// A certificate this close to its end is issued anew when its signer enrols again.
const RENEW_DAYS: i64 = 60;

fn owner(signer: &str) -> String {
    format!("signer {signer}")
}

/// A key that its PIN has opened.
pub(super) struct Opened {
    pub(super) row: SignerRow,
    pub(super) key: Key,
    /// A try was taken for it.
    tried: bool,
}

impl Opened {
    /// Gives the tries back, in the commit that records what the key was used for. Who was locked meanwhile stays so,
    /// unless the last try was this one.
    pub(super) fn give_back(&self, unit: &Unit<'_>) -> Result<(), Refusal> {
        if self.tried {
            unit.restore_tries(&self.row.id)
        } else if unit.restore_tries_left(&self.row.id)? {
            Ok(())
        } else {
            Err(locked())
        }
    }
}

impl Engine {
    fn signer_row(&self, id: &str) -> Result<SignerRow, Refusal> {
        self.vault
            .write(|unit| unit.signer(id))?
            .ok_or_else(|| Refusal::no("not_enrolled", "尚未登记电子签名，请先设置签名密码。"))
    }

    /// Opens a signer's key with the PIN. A try is taken before, durably; the caller gives it back in the commit that
    /// records what the key was used for.
    pub(super) fn open_signer(
        &self,
        kek: &[u8],
        id: &str,
        pin: &mut ops::Pin,
        now: Timestamp,
    ) -> Result<Opened, Refusal> {
        let text = take(pin)?;
        self.try_pin(kek, self.signer_row(id)?, &text, now)
    }

    /// The same for a signature, without stretching a PIN that was proven a short while ago.
    pub(super) fn open_to_sign(
        &self,
        kek: &[u8],
        id: &str,
        pin: &mut ops::Pin,
        now: Timestamp,
    ) -> Result<Opened, Refusal> {
        let (text, row) = (take(pin)?, self.signer_row(id)?);
        if let Some(key) = self.proven.key(&text, &row, Instant::now()) {
            return Ok(Opened { row, key, tried: false });
        }
        let opened = self.try_pin(kek, row, &text, now)?;
        self.proven.put(&text, &opened.row, &opened.key, Instant::now())?;
        Ok(opened)
    }

    fn try_pin(&self, kek: &[u8], row: SignerRow, text: &str, now: Timestamp) -> Result<Opened, Refusal> {
        let id = row.id.as_str();
        let Some(left) = self.vault.take_try(id)? else {
            return Err(locked());
        };
        let stretched = pin::stretch(text, &row.salt)?;
        let owner = owner(id);
        let root = self.root_of(kek, &row)?;
        let secret = Wrapping::derive(&root, Some(&stretched), &owner)?.unwrap(&row.wrapped, &owner)?;
        let Some(secret) = secret else {
            self.proven.forget(id);
            self.vault
                .write(|unit| unit.log(now, "pin.wrong", id, &format!("left {left}")))?;
            return Err(if left == 0 {
                locked()
            } else {
                Refusal::no("pin_wrong", format!("签名密码错误，还可尝试 {left} 次。"))
            });
        };
        let binding = self.vault.read(|unit| unit.outside_signer(id))?;
        if binding.is_some_and(|binding| binding.held) {
            let key = Key::Outside(Arc::new(secret));
            return Ok(Opened { row, key, tried: true });
        }
        let key = sm2_key(&secret)?;
        if key.public_key() != &Certificate::parse(&row.certificate)?.public_key {
            return Err(Refusal::Damaged("signer's certificate"));
        }
        let key = Key::Here(Arc::new(key));
        Ok(Opened { row, key, tried: true })
    }

    pub(super) fn enrol(&self, mut asked: ops::EnrolRequest) -> Result<ops::SignerStatus, Refusal> {
        check_subject(&asked)?;
        let known = self.vault.write(|unit| unit.signer(&asked.signer_id))?.is_some();
        // Who has a PIN already proves it; only a new one is judged by the rule of today.
        if !known {
            pin::check_choice(&asked.pin, self.rules.pin_min)?;
        }
        let now = self.trusted_now()?;
        let kek = self.kek()?;
        let authority = self.authority(&kek, &asked.organisation, now)?;
        if known {
            return self.enrol_again(&kek, asked, now);
        }
        let bound = self.vault.read(|unit| unit.outside_signer(&asked.signer_id))?;
        if let Some(binding) = bound.filter(|binding| binding.password.is_some()) {
            let mut asked = asked;
            return self.enrol_outside(&kek, &mut asked, binding, now);
        }
        let key = Sm2Key::generate()?;
        let subject = subject(&asked.signer_id, &asked.organisation, &asked.name, &asked.role);
        let certificate = authority.issue(
            &kek,
            &asked.organisation,
            &subject,
            key.public_key(),
            now,
            Purpose::Documents,
        )?;
        let (root, under) = self.root(&kek)?;
        let (wrapped, salt) = wrap_under_pin(&under, &asked.signer_id, &mut asked.pin, key.secret())?;
        let row = SignerRow {
            id: asked.signer_id,
            organisation: asked.organisation,
            name: asked.name,
            role: asked.role,
            certificate: certificate.der.clone(),
            wrapped,
            salt,
            tries_left: TRIES,
            root: Some(root),
        };
        let new = self.vault.write(|unit| {
            let new = unit.put_signer(&row, true, now)?;
            if new {
                unit.log(now, "signer.enrolled", &row.id, &certificate.serial_hex())?;
            }
            Ok(new)
        })?;
        if !new {
            return Err(Refusal::no("enrolled_meanwhile", "该人员刚刚完成登记，请刷新后使用。"));
        }
        self.status(&row.id)
    }

    /// Who has enrolled already and knows the PIN gets the same certificate, or a new one near its end.
    fn enrol_again(
        &self,
        kek: &[u8],
        mut asked: ops::EnrolRequest,
        now: Timestamp,
    ) -> Result<ops::SignerStatus, Refusal> {
        let mut again = ops::Pin(asked.pin.0.clone());
        let mut opened = self.open_signer(kek, &asked.signer_id, &mut asked.pin, now)?;
        if let Some(status) = self.enrol_outside_again(kek, &mut opened, &mut again, now)? {
            again.0.zeroize();
            return Ok(status);
        }
        let certificate = Certificate::parse(&opened.row.certificate)?;
        let unbound = matches!(opened.key, Key::Outside(_));
        let print = gm::key::sha256(&certificate.der);
        if unbound || self.vault.read(|unit| unit.is_revoked(&print))? {
            // A revoked key is never certified again; one that was outside is not here.
            let key = Sm2Key::generate()?;
            let (root, under) = self.root(kek)?;
            let (wrapped, salt) = wrap_under_pin(&under, &asked.signer_id, &mut again, key.secret())?;
            (opened.row.wrapped, opened.row.salt, opened.row.root) = (wrapped, salt, Some(root));
            let row = &opened.row;
            let authority = self.authority(kek, &row.organisation, now)?;
            let subject = subject(&row.id, &row.organisation, &row.name, &row.role);
            let public_key = key.public_key();
            let fresh = authority.issue(kek, &row.organisation, &subject, public_key, now, Purpose::Documents)?;
            opened.row.certificate = fresh.der.clone();
            opened.row.tries_left = TRIES;
            self.vault.write(|unit| {
                unit.put_signer(&opened.row, false, now)?;
                if unbound {
                    unit.forget_outside_signer(&opened.row.id)?;
                }
                unit.log(now, "signer.renewed", &opened.row.id, &fresh.serial_hex())
            })?;
            return self.status(&opened.row.id);
        }
        again.0.zeroize();
        let ends = certificate.not_after - now.offset();
        if ends < time::Duration::days(RENEW_DAYS) {
            let row = &opened.row;
            let authority = self.authority(kek, &row.organisation, now)?;
            let subject = subject(&row.id, &row.organisation, &row.name, &row.role);
            let public_key: &PublicKey = opened.key.here()?.public_key();
            let renewed = authority.issue(kek, &row.organisation, &subject, public_key, now, Purpose::Documents)?;
            opened.row.certificate = renewed.der.clone();
            opened.row.tries_left = TRIES;
            self.vault.write(|unit| {
                unit.put_signer(&opened.row, false, now)?;
                unit.log(now, "signer.renewed", &opened.row.id, &renewed.serial_hex())
            })?;
        } else {
            self.vault.write(|unit| unit.restore_tries(&opened.row.id))?;
        }
        self.status(&opened.row.id)
    }

    pub(super) fn change_pin(&self, mut asked: ops::ChangePinRequest) -> Result<ops::SignerStatus, Refusal> {
        pin::check_choice(&asked.new_pin, self.rules.pin_min)?;
        let now = self.trusted_now()?;
        let kek = self.kek()?;
        let mut opened = self.open_signer(&kek, &asked.signer_id, &mut asked.pin, now)?;
        let (root, under) = self.root(&kek)?;
        let (wrapped, salt) = wrap_under_pin(&under, &asked.signer_id, &mut asked.new_pin, opened.key.secret())?;
        self.proven.forget(&asked.signer_id);
        opened.row.wrapped = wrapped;
        opened.row.salt = salt;
        opened.row.root = Some(root);
        opened.row.tries_left = TRIES;
        self.vault.write(|unit| {
            unit.put_signer(&opened.row, false, now)?;
            unit.log(now, "pin.changed", &opened.row.id, "")
        })?;
        self.status(&opened.row.id)
    }

    /// Two administrators give a locked signer new tries. The PIN stays what it was.
    pub(super) fn unlock(&self, asked: ops::UnlockRequest) -> Result<ops::SignerStatus, Refusal> {
        let [one, two] = &asked.administrators;
        if one.is_empty() || two.is_empty() || one == two || [one, two].contains(&&asked.signer_id) {
            return Err(Refusal::no(
                "two_administrators",
                "解锁须由两名不同的管理员共同办理，且不能是本人。",
            ));
        }
        self.signer_row(&asked.signer_id)?;
        self.proven.forget(&asked.signer_id);
        let now = self.clock.now();
        self.vault.write(|unit| {
            unit.restore_tries(&asked.signer_id)?;
            unit.log(now, "signer.unlocked", &asked.signer_id, &format!("{one} {two}"))
        })?;
        self.status(&asked.signer_id)
    }

    pub(super) fn status(&self, id: &str) -> Result<ops::SignerStatus, Refusal> {
        let Some(row) = self.vault.write(|unit| unit.signer(id))? else {
            return Ok(ops::SignerStatus {
                signer_id: id.to_owned(),
                enrolled: false,
                locked: false,
                tries_left: 0,
                certificate_serial: None,
                certificate: None,
                not_after: None,
            });
        };
        let certificate = Certificate::parse(&row.certificate)?;
        Ok(ops::SignerStatus {
            signer_id: row.id,
            enrolled: true,
            locked: row.tries_left == 0,
            tries_left: row.tries_left,
            certificate_serial: Some(certificate.serial_hex()),
            certificate: Some(STANDARD.encode(&certificate.der)),
            not_after: Some(Timestamp::from_offset(certificate.not_after)),
        })
    }
}

/// The PIN as it was typed, out of the request.
fn take(pin: &mut ops::Pin) -> Result<Zeroizing<String>, Refusal> {
    // What cannot be a PIN (an empty field, a slip of the finger) is said so and costs no try.
    pin::check_shape(pin, *ops::Pin::DIGITS.start())?;
    Ok(Zeroizing::new(std::mem::take(&mut pin.0)))
}

fn locked() -> Refusal {
    Refusal::no("pin_locked", "签名密码已锁定，须由两名管理员解锁。")
}

fn check_subject(asked: &ops::EnrolRequest) -> Result<(), Refusal> {
    let fits = |text: &str, most: usize| {
        !text.trim().is_empty() && text.chars().count() <= most && !text.chars().any(char::is_control)
    };
    if !fits(&asked.signer_id, 64) {
        return Err(Refusal::no("signer_id", "人员编号不正确。"));
    }
    if !fits(&asked.name, 64) {
        return Err(Refusal::no("name", "姓名应为 1 至 64 个字。"));
    }
    // The appliance itself signs custody entries of footage.
    if !matches!(asked.role.as_str(), "doctor" | "pharmacist" | "appliance") {
        return Err(Refusal::no("role", "只有医生、药师和前置机可以登记电子签名。"));
    }
    Ok(())
}

fn subject(id: &str, organisation: &str, name: &str, role: &str) -> Identity {
    Identity {
        country: "CN".to_owned(),
        organization: organisation.to_owned(),
        unit: role.to_owned(),
        common_name: name.to_owned(),
        serial_number: id.to_owned(),
    }
}

pub(super) fn wrap_under_pin(
    root: &[u8],
    id: &str,
    pin: &mut ops::Pin,
    secret: &[u8],
) -> Result<(Vec<u8>, Vec<u8>), Refusal> {
    let text = Zeroizing::new(std::mem::take(&mut pin.0));
    let salt = wrap::random::<16>()?;
    let stretched = pin::stretch(&text, &salt)?;
    let owner = owner(id);
    let wrapped = Wrapping::derive(root, Some(&stretched), &owner)?.wrap(secret, &owner)?;
    Ok((wrapped, salt.to_vec()))
}
