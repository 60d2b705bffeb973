//! What administrators do with devices and the keys in them.

use curve::Nonces;
use custody::{Device, KeyRef};
use gm::key::{Kind, Signer};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::{DeviceSigner, DeviceView, refusal};
use crate::application::KeyIndex;
use crate::engine::Engine;
use crate::keys::act::{Found, Place, label};
use crate::keys::{KeyAlgorithm, KeyCommand, KeyPurpose, KeyState, TPM};
use crate::service::Service;
use crate::{Refusal, secret_code, wrap};

/// A key in a device, to become a server key.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdoptKey {
    /// Its name, for people: 1 to 64 characters.
    pub label: String,
    /// The device, by its name in the settings.
    pub device: String,
    /// The key: `pkcs11:object=seal;id=%01` or `sdf:1`, `sdf:1;use=encrypt`.
    pub reference: String,
    /// What it is for; signing when absent.
    #[serde(default)]
    pub purpose: KeyPurpose,
    /// The code that requests must name to use it (GB/T 38629 `keyValue`); none when absent.
    #[serde(default)]
    pub access_code: Option<String>,
}

/// A key that a device says it has.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DeviceKey {
    /// How it is named.
    pub reference: String,
    /// Its label in the device.
    pub label: String,
    /// What it is; none when it is nothing this server uses.
    pub algorithm: Option<KeyAlgorithm>,
    /// It signs.
    pub signs: bool,
    /// It decrypts.
    pub decrypts: bool,
    /// The server key that it is already.
    pub index: Option<KeyIndex>,
}

impl Service {
    /// The devices of the settings, as they are now. Asks none of them.
    #[must_use]
    pub fn devices(&self) -> Vec<DeviceView> {
        self.engine.devices.all().map(|held| held.view()).collect()
    }
}

impl Engine {
    /// The keys in a device.
    pub fn device_keys(&self, device: &str) -> Result<Vec<DeviceKey>, Refusal> {
        let held = self.devices.named(device)?;
        let found = held.call(|device| device.keys()).map_err(|fault| refusal(&fault))?;
        let rows = self.vault.read(|unit| unit.keys())?;
        let destroyed = KeyState::Destroyed.name();
        let known = |reference: &str| {
            let mut same = rows
                .iter()
                .filter(|row| row.custody == device && row.reference == reference);
            same.find(|row| row.state != destroyed).map(|row| KeyIndex(row.index))
        };
        let view = |key: custody::KeyInfo| {
            let reference = key.key.to_string();
            DeviceKey {
                index: known(&reference),
                reference,
                label: key.label,
                algorithm: key.algorithm.and_then(algorithm),
                signs: key.signs,
                decrypts: key.decrypts,
            }
        };
        Ok(found.into_iter().map(view).collect())
    }

    /// Makes a server key of a key that a device has. It is tried first: a key that cannot be used is not kept.
    pub fn adopt_key(&self, by: &str, asked: &AdoptKey) -> Result<KeyIndex, Refusal> {
        let label = label(&asked.label)?;
        let access_code = asked.access_code.as_deref().map(secret_code::keep).transpose()?;
        let key: KeyRef = asked.reference.parse().map_err(|fault| refusal(&fault))?;
        let held = self.devices.named(&asked.device)?;
        let public = held
            .call(|device| device.public_key(&key))
            .map_err(|fault| refusal(&fault))?;
        let algorithm = algorithm(public.algorithm)
            .ok_or_else(|| Refusal::no("key_algorithm", "只支持 SM2、P-256 与 2048、3072、4096 位的 RSA 密钥。"))?;
        let reference = key.to_string();
        attempt(&DeviceSigner::new(held, &reference, &public.spki)?, asked.purpose)?;
        let found = Found {
            label,
            algorithm,
            purpose: asked.purpose,
            access_code,
            public_key: public.spki,
            place: Place::Device(held.name.clone(), reference),
        };
        self.keep_key(by, "key.adopted", &found)
    }

    /// Has a device tried now, whatever its schedule says.
    pub fn retry_device(&self, by: &str, device: &str) -> Result<(), Refusal> {
        let held = self.devices.named(device)?;
        let now = self.clock.now();
        self.vault.write(|unit| unit.log(now, "device.retried", by, device))?;
        held.retry();
        Ok(())
    }

    /// Gives a device its PIN or password. It is kept in memory, and tried when a key is next used.
    pub fn give_device_pin(&self, by: &str, device: &str, pin: Zeroizing<String>) -> Result<(), Refusal> {
        let held = self.devices.named(device)?;
        if !(1..=256).contains(&pin.len()) || pin.chars().any(char::is_control) {
            return Err(Refusal::no("device_pin", "口令应为 1 至 256 个字符。"));
        }
        let now = self.clock.now();
        self.vault.write(|unit| unit.log(now, "device.pin_given", by, device))?;
        held.give_pin(pin);
        Ok(())
    }

    /// Makes a key in a device, under a label of its own. That it was asked for is in the log before: what a crash leaves
    /// behind in the device can be found and adopted.
    pub(in crate::keys) fn make_in_device(
        &self,
        by: &str,
        device: &str,
        wanted: KeyAlgorithm,
    ) -> Result<(Place, Vec<u8>), Refusal> {
        let held = self.devices.named(device)?;
        let label = format!("signd-{}", hex::encode(wrap::random::<8>()?));
        let now = self.clock.now();
        let detail = format!("{device} {label} {}", wanted.name());
        self.vault.write(|unit| unit.log(now, "key.generating", by, &detail))?;
        let made = held.call(|device| {
            let made = device.generate(&label, asked(wanted))?;
            let public = device.public_key(&made.key)?;
            Ok((made, public))
        });
        let (made, public) = made.map_err(|fault| refusal(&fault))?;
        if algorithm(public.algorithm) != Some(wanted) {
            return Err(Refusal::no("device_bad_reply", "密码设备产生的密钥不是所要求的类型。"));
        }
        let reference = made.key.to_string();
        DeviceSigner::new(held, &reference, &public.spki)?;
        Ok((Place::Device(held.name.clone(), reference), public.spki))
    }

    /// Destroys a key in its device, where the device lets that be done: whether it is gone. The intent is in the log
    /// before; a key that is gone already is gone.
    pub(in crate::keys) fn destroy_in_device(&self, by: &str, index: KeyIndex) -> Result<bool, Refusal> {
        let row = self.key_row(index)?;
        let state = KeyState::named(&row.state).ok_or(Refusal::Damaged("key state"))?;
        state.after(KeyCommand::Destroy)?;
        if row.custody == TPM {
            return Ok(true);
        }
        // A device that is in the settings no more does not keep a key from being given up.
        let Some(held) = self.devices.get(&row.custody) else {
            return Ok(false);
        };
        let key: KeyRef = row.reference.parse().map_err(|_| Refusal::Damaged("key reference"))?;
        // Another key may lie there by now: it is not ours to destroy.
        let there = held.call(|device| device.public_key(&key));
        let ours = match there {
            Ok(public) => public.spki == row.public_key,
            Err(custody::Fault::NoKey(_)) => false,
            Err(fault) => return Err(refusal(&fault)),
        };
        if !ours {
            return Ok(true);
        }
        let now = self.clock.now();
        let detail = format!("key {} {} {}", index.0, row.custody, row.reference);
        self.vault.write(|unit| unit.log(now, "key.destroying", by, &detail))?;
        match held.call(|device| device.destroy(&key)) {
            Ok(()) | Err(custody::Fault::NoKey(_)) => Ok(true),
            Err(custody::Fault::NotOffered(_)) => Ok(false),
            Err(fault) => Err(refusal(&fault)),
        }
    }
}

/// Uses a key once for what it is for.
pub(crate) fn attempt(signer: &dyn Signer, purpose: KeyPurpose) -> Result<(), Refusal> {
    const TEXT: &[u8] = b"self-test";
    let public = signer.public_key();
    match purpose {
        KeyPurpose::Sign => {
            let signature = signer.sign(TEXT)?;
            Ok(public.verify(signer.algorithm(), TEXT, &signature)?)
        }
        KeyPurpose::Encrypt => {
            // RSA cannot be tried: nothing here encrypts with it.
            let Some(point) = public.point().filter(|_| public.kind() == Kind::Sm2) else {
                return Ok(());
            };
            let key = curve::PublicKey::from_point(point).map_err(|_| gm::Refused::InvalidKey)?;
            let sealed = key
                .encrypt(TEXT, &mut Nonces::new())
                .map_err(|_| gm::Refused::Randomness)?;
            let opened = signer.open(&sealed)?;
            if opened.as_slice() == TEXT {
                Ok(())
            } else {
                Err(gm::Refused::Envelope.into())
            }
        }
    }
}

fn algorithm(algorithm: custody::KeyAlgorithm) -> Option<KeyAlgorithm> {
    match algorithm {
        custody::KeyAlgorithm::Sm2 => Some(KeyAlgorithm::Sm2),
        custody::KeyAlgorithm::P256 => Some(KeyAlgorithm::P256),
        custody::KeyAlgorithm::Rsa { bits: 2048 } => Some(KeyAlgorithm::Rsa2048),
        custody::KeyAlgorithm::Rsa { bits: 3072 } => Some(KeyAlgorithm::Rsa3072),
        custody::KeyAlgorithm::Rsa { bits: 4096 } => Some(KeyAlgorithm::Rsa4096),
        custody::KeyAlgorithm::Rsa { .. } | custody::KeyAlgorithm::Aes { .. } => None,
    }
}

fn asked(algorithm: KeyAlgorithm) -> custody::KeyAlgorithm {
    match algorithm {
        KeyAlgorithm::Sm2 => custody::KeyAlgorithm::Sm2,
        KeyAlgorithm::P256 => custody::KeyAlgorithm::P256,
        KeyAlgorithm::Rsa2048 => custody::KeyAlgorithm::Rsa { bits: 2048 },
        KeyAlgorithm::Rsa3072 => custody::KeyAlgorithm::Rsa { bits: 3072 },
        KeyAlgorithm::Rsa4096 => custody::KeyAlgorithm::Rsa { bits: 4096 },
    }
}
