//! The SDF device as a [`Device`].

use zeroize::Zeroizing;

use super::session::Crypting;
use super::{ABILITY_RSA, ABILITY_SM1, ABILITY_SM4, CHUNK, Code, SM4, Sdf, code, lock};
use crate::der::Sm2Cipher;
use crate::judge;
use crate::reference::Named;
use crate::{
    Cipher, CipherKey, Device, DeviceInfo, Direction, Fault, Hash, KeyAlgorithm, KeyInfo, KeyRef, Mode, PublicKey,
    Scheme, SdfKey, Unwrap, Usage,
};

fn own(key: &KeyRef) -> Result<SdfKey, Fault> {
    match &key.0 {
        Named::Sdf(key) => Ok(*key),
        Named::Pkcs11(_) => Err(Fault::NoKey(key.to_string())),
    }
}

fn wrong(key: SdfKey, wanted: &'static str) -> Fault {
    let key = KeyRef::from(key).to_string();
    Fault::WrongKey { key, wanted }
}

impl Device for Sdf {
    fn info(&self) -> Result<DeviceInfo, Fault> {
        let abilities = self.abilities()?;
        let mut schemes = vec![Scheme::Sm2];
        if abilities.asymmetric & ABILITY_RSA != 0 {
            schemes.extend([Hash::Sha256, Hash::Sha384, Hash::Sha512].map(Scheme::RsaPkcs1));
            schemes.extend([Hash::Sha256, Hash::Sha384, Hash::Sha512].map(Scheme::RsaPss));
        }
        let mut ciphers = Vec::new();
        if abilities.symmetric & ABILITY_SM1 != 0 {
            ciphers.push(Cipher::Sm1);
        }
        if abilities.symmetric & ABILITY_SM4 != 0 {
            ciphers.push(Cipher::Sm4);
        }
        Ok(DeviceInfo {
            maker: abilities.maker,
            model: abilities.model,
            serial: abilities.serial,
            label: String::new(),
            schemes,
            ciphers,
            generates: false,
        })
    }

    fn keys(&self) -> Result<Vec<KeyInfo>, Fault> {
        let rsa = self.abilities()?.asymmetric & ABILITY_RSA != 0;
        let kinds: &[bool] = if rsa { &[false, true] } else { &[false] };
        let mut keys = Vec::new();
        for index in 1..=self.config.indexes.min(1024) {
            for (rsa, usage) in kinds
                .iter()
                .flat_map(|rsa| [(*rsa, Usage::Sign), (*rsa, Usage::Encrypt)])
            {
                let key = SdfKey { index, usage, rsa };
                // A slot that is not there is told in many ways; only a device that is gone ends the list.
                let known = match self.with(|session| Self::export(session, key)) {
                    Ok(known) => known,
                    Err(fault @ (Fault::Gone(_) | Fault::Busy | Fault::BadReply { .. })) => return Err(fault),
                    Err(_) => None,
                };
                keys.extend(known.map(|known| KeyInfo {
                    key: key.into(),
                    label: format!("{index}"),
                    algorithm: Some(known.public.algorithm),
                    signs: usage == Usage::Sign,
                    decrypts: usage == Usage::Encrypt,
                }));
            }
        }
        Ok(keys)
    }

    fn generate(&self, _label: &str, _algorithm: KeyAlgorithm) -> Result<KeyInfo, Fault> {
        Err(Fault::NotOffered("在设备内产生密钥，请使用厂商管理工具"))
    }

    fn public_key(&self, key: &KeyRef) -> Result<PublicKey, Fault> {
        Ok(self.known(own(key)?)?.public)
    }

    fn sign(&self, key: &KeyRef, scheme: Scheme, digest: &[u8]) -> Result<Vec<u8>, Fault> {
        let key = own(key)?;
        scheme.check(digest)?;
        if key.usage != Usage::Sign || key.rsa != matches!(scheme, Scheme::RsaPkcs1(_) | Scheme::RsaPss(_)) {
            return Err(wrong(key, "签名"));
        }
        if scheme == Scheme::EcdsaP256 {
            return Err(Fault::NotOffered("ECDSA"));
        }
        let known = self.known(key)?;
        let (function, reply) = if key.rsa {
            (
                "SDF_InternalPrivateKeyOperation_RSA",
                self.sign_rsa(key, &known, scheme, digest)?,
            )
        } else {
            let raw = self.privately(key, |session| session.sign(key.index, digest))?;
            ("SDF_InternalSign_ECC", raw.to_vec())
        };
        known.accept(function, scheme, digest, &reply).inspect_err(|_| {
            // The key may have been replaced in the device: the next call reads it anew.
            lock(&self.known).remove(&key);
        })
    }

    fn decrypt(&self, key: &KeyRef, scheme: Unwrap, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let key = own(key)?;
        if key.usage != Usage::Encrypt || key.rsa != (scheme != Unwrap::Sm2) {
            return Err(wrong(key, "解密"));
        }
        let opened = match scheme {
            Unwrap::Sm2 => {
                let cipher = Sm2Cipher::read(ciphertext)?;
                let structure = self
                    .library
                    .layout
                    .write_cipher(&cipher)
                    .ok_or(Fault::Input("密文过长"))?;
                self.privately(key, |session| session.decrypt(key.index, &structure, cipher.text.len()))
            }
            Unwrap::RsaPkcs1 => {
                if ciphertext.len() != self.known(key)?.modulus_len() {
                    return Err(Fault::Ciphertext);
                }
                self.privately(key, |session| session.rsa(key.index, ciphertext))
            }
            Unwrap::RsaOaep(_) => return Err(Fault::NotOffered("RSA-OAEP")),
        };
        let room = opened.map_err(|fault| match code::of_fault(&fault) {
            Some(Code::Ciphertext | Code::PrivateKey | Code::PublicKey | Code::Input) => Fault::Ciphertext,
            _ => fault,
        })?;
        match scheme {
            Unwrap::Sm2 => Ok(Zeroizing::new(room.bytes().to_vec())),
            _ => judge::unpad(room.bytes()).ok_or(Fault::Ciphertext),
        }
    }

    fn cipher(
        &self,
        key: &CipherKey,
        cipher: Cipher,
        mode: Mode,
        direction: Direction,
        data: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let CipherKey::Given(key) = key else {
            return Err(Fault::NotOffered("设备内的对称密钥"));
        };
        let (ability, numbers, absent) = match cipher {
            Cipher::Sm1 => (
                ABILITY_SM1,
                self.config.sm1,
                "SM1（仅存在于经认证的密码设备内，当前设备未提供）",
            ),
            Cipher::Sm4 => (ABILITY_SM4, SM4, "SM4"),
            Cipher::Aes => return Err(Fault::NotOffered("AES")),
        };
        if self.abilities()?.symmetric & ability == 0 {
            return Err(Fault::NotOffered(absent));
        }
        if key.len() != 16 {
            return Err(Fault::Input("密钥应为 16 字节"));
        }
        if data.is_empty() || !data.len().is_multiple_of(16) {
            return Err(Fault::Input("数据长度应为 16 字节的整数倍"));
        }
        let [ecb, cbc] = numbers;
        let (algorithm, first) = match mode {
            Mode::Ecb => (ecb, [0; 16]),
            Mode::Cbc(iv) => (cbc, iv),
        };
        let encrypt = direction == Direction::Encrypt;
        self.with(|session| {
            let handle = session.import(key)?;
            let mut output = Zeroizing::new(Vec::with_capacity(data.len()));
            let mut iv = first;
            let mut work = || {
                for chunk in data.chunks(CHUNK) {
                    let how = Crypting { algorithm, iv, encrypt };
                    let room = session.crypt(handle, how, chunk)?;
                    // Chained over the pieces by us: not every device moves the IV on.
                    let last = if encrypt { room.bytes() } else { chunk }.last_chunk();
                    iv = last.copied().unwrap_or(iv);
                    output.extend_from_slice(room.bytes());
                }
                Ok(())
            };
            let outcome: Result<(), Fault> = work();
            // A key that could not be destroyed dies with its session.
            let destroyed = session.forget(handle);
            outcome.and(destroyed)?;
            Ok(output)
        })
    }

    fn sm3(&self, data: &[u8]) -> Result<[u8; 32], Fault> {
        self.with(|session| session.sm3(data))
    }

    fn random(&self, length: usize) -> Result<Zeroizing<Vec<u8>>, Fault> {
        if length > 64 * 1024 {
            return Err(Fault::Input("一次最多 64 KiB 随机数"));
        }
        self.with(|session| {
            let mut bytes = Zeroizing::new(Vec::with_capacity(length));
            while bytes.len() < length {
                let room = session.random((length - bytes.len()).min(4096) as u16)?;
                let dead = room.bytes().len() >= 16 && room.bytes().windows(2).all(|pair| pair.first() == pair.last());
                if dead {
                    return Err(Fault::BadReply {
                        function: "SDF_GenerateRandom",
                        what: "the same byte over and over",
                    });
                }
                bytes.extend_from_slice(room.bytes());
            }
            Ok(bytes)
        })
    }

    fn destroy(&self, _key: &KeyRef) -> Result<(), Fault> {
        Err(Fault::NotOffered("销毁设备内密钥，请使用厂商管理工具"))
    }

    fn give_pin(&self, pin: Zeroizing<String>) {
        self.pin.give(pin);
    }
}
