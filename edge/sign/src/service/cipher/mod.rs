//! Encryption, decryption, digests and random numbers.
//!
//! The log says that they were asked for, by whom and how much; never keys or texts.

mod device;
mod symmetric;

use std::sync::Arc;

use curve::{Ciphertext, Nonces};
use gm::Refused;
use gm::certificate::usage;
use gm::key::{Hash, Kind};
use serde::Deserialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::certificate::parse;
use super::choice::Choice;
use super::data::bounded;
use super::judge::{Level, refused};
use super::{Caller, Service, Tool};
use crate::application::Format;
use crate::fault::{Code, Fault};
use crate::keys::KeyState;

pub use symmetric::{Cipher, Direction, Mode, Sealed, Symmetric};

/// Random bytes of one request.
pub const MAX_RANDOM: usize = 65_536;

/// How an SM2 cipher text is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sm2Form {
    /// `SM2Cipher` (GB/T 35276), DER.
    #[default]
    Der,
    /// `04 ‖ C1 ‖ C3 ‖ C2`.
    Bytes,
}

impl Service {
    /// Encrypts or decrypts with a key that the application gives.
    pub async fn cipher(self: &Arc<Self>, caller: &Caller, asked: Symmetric) -> Result<Sealed, Fault> {
        let bytes = asked.data.len();
        let old = self.decrypts_triple_des();
        let devices = &self.engine.devices;
        let held = devices
            .offering(custody::Cipher::Sm1)
            .filter(|_| asked.cipher == Cipher::Sm1);
        let held = held.cloned();
        let tool = held.clone().map_or(Tool::None, Tool::Device);
        self.perform_with(caller, "data.ciphered", Some(Format::Cipher), bytes, tool, move |_| {
            bounded(bytes)?;
            let detail = format!(
                "{:?} {:?} {:?} {bytes} bytes",
                asked.cipher, asked.mode, asked.direction
            );
            Ok(match &held {
                Some(held) => (device::sm1(held, asked)?, format!("{detail} {}", held.name)),
                None => (asked.run(old)?, detail),
            })
        })
        .await
    }

    /// Encrypts to the holder of a certificate (SM2), which must hold under the application's chains.
    pub async fn encrypt_to(
        self: &Arc<Self>,
        caller: &Caller,
        certificate: Vec<u8>,
        data: Vec<u8>,
        form: Sm2Form,
    ) -> Result<Vec<u8>, Fault> {
        let bytes = data.len();
        self.perform(caller, "data.encrypted_to", Some(Format::Cipher), bytes, move |desk| {
            bounded(bytes)?;
            let certificate = parse(&certificate)?;
            desk.judge(&certificate, &[], desk.now, Level::Policy)?;
            if !certificate.has_usage(usage::KEY_ENCIPHERMENT | usage::DATA_ENCIPHERMENT | usage::KEY_AGREEMENT) {
                return Err(Fault::new(Code::WrongUsage, "证书不能用于加密"));
            }
            let key = &certificate.public_key;
            let point = key.point().filter(|_| key.kind() == Kind::Sm2);
            let point = point.ok_or_else(|| absent("公钥加密只支持 SM2 证书"))?;
            let key = curve::PublicKey::from_point(point).map_err(|_| Code::Certificate)?;
            let sealed = key.encrypt(&data, &mut Nonces::new()).map_err(|reason| match reason {
                curve::Refused::PlainLength => Fault::new(Code::TooLarge, "SM2 加密的数据应为 1 字节至 1 MiB"),
                _ => Code::Internal.into(),
            })?;
            let sealed = match form {
                Sm2Form::Der => sealed.to_der(),
                Sm2Form::Bytes => sealed.to_bytes(),
            };
            Ok((sealed, format!("serial {} {bytes} bytes", certificate.serial_hex())))
        })
        .await
    }

    /// Decrypts with a server key what was encrypted to it; a retired key still decrypts.
    pub async fn decrypt_with_key(
        self: &Arc<Self>,
        caller: &Caller,
        with: Choice,
        data: Vec<u8>,
        form: Sm2Form,
    ) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let bytes = data.len();
        let tool = Tool::Key(with.key);
        self.perform_with(
            caller,
            "data.decrypted",
            Some(Format::Cipher),
            bytes,
            tool,
            move |desk| {
                bounded(bytes)?;
                let states = [KeyState::Active, KeyState::Retired];
                let key = desk.key_in(&states, with.key, with.access_code.as_deref())?;
                let signer = key.opened()?;
                // One answer for all causes but a device that did not try.
                let failed = |reason| match reason {
                    Refused::Device { .. } => refused(reason),
                    _ => Fault::new(Code::DataFormat, "解密失败"),
                };
                if signer.public_key().kind() == Kind::Rsa && key.device().is_some() {
                    let plain = key.decrypt_oaep(&data).map_err(failed)?;
                    return Ok((plain, format!("key {} {bytes} bytes", key.index.0)));
                }
                if signer.public_key().kind() != Kind::Sm2 {
                    return Err(absent(
                        "解密只支持 SM2 密钥，以及密码设备中的 RSA 密钥（OAEP，SHA-256）",
                    ));
                }
                let text = match form {
                    Sm2Form::Der => Ciphertext::from_der(&data),
                    Sm2Form::Bytes => Ciphertext::from_bytes(&data),
                };
                let text = text.map_err(|reason| Fault::new(Code::DataFormat, reason.to_string()))?;
                let plain = signer.open(&text).map_err(failed)?;
                Ok((plain, format!("key {} {bytes} bytes", key.index.0)))
            },
        )
        .await
    }

    /// A digest.
    pub async fn digest(self: &Arc<Self>, caller: &Caller, hash: Hash, data: Vec<u8>) -> Result<Vec<u8>, Fault> {
        let bytes = data.len();
        self.perform(caller, "data.digested", Some(Format::Cipher), bytes, move |_| {
            bounded(bytes)?;
            Ok((hash.digest(&data), format!("{} {bytes} bytes", hash.name())))
        })
        .await
    }

    /// Random bytes.
    pub async fn random(self: &Arc<Self>, caller: &Caller, bytes: usize) -> Result<Zeroizing<Vec<u8>>, Fault> {
        self.perform(caller, "random.drawn", Some(Format::Cipher), 0, move |_| {
            if !(1..=MAX_RANDOM).contains(&bytes) {
                return Err(Fault::new(Code::TooLarge, format!("一次 1 至 {MAX_RANDOM} 字节")));
            }
            let mut drawn = Zeroizing::new(vec![0; bytes]);
            getrandom::fill(&mut drawn).map_err(|_| Code::Internal)?;
            Ok((drawn, format!("{bytes} bytes")))
        })
        .await
    }
}

fn absent(text: &str) -> Fault {
    Fault::new(Code::AlgorithmAbsent, text)
}
