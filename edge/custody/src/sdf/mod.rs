//! Devices with the interface of GM/T 0018 (GB/T 36322): a vendor's shared library.
//!
//! Keys are made and destroyed with the vendor's own tool, at an index and under a password; the standard has no call for either.
//! A session serves one thread at a time and carries the right to private keys with it. Errors stick to sessions, so one that
//! failed is thrown away; after communication failed the device is opened anew, once.

mod code;
mod layout;
mod library;
mod room;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use zeroize::Zeroizing;

pub use code::Code;
pub use layout::{CipherForm, Coordinate, Layout, RsaWidth};

use crate::der::Sm2Cipher;
use crate::judge::{self, Known};
use crate::pin::Pin;
use crate::pool::Pool;
use crate::reference::Named;
use crate::{
    Cipher, CipherKey, Device, DeviceInfo, Direction, Fault, Hash, KeyAlgorithm, KeyInfo, KeyRef, Mode, PublicKey,
    Scheme, SdfKey, Unwrap, Usage,
};
use library::{Crypting, Export, Library, Opened, Session};

/// Bytes handed over at once.
const CHUNK: usize = 16 * 1024;

/// An SDF device as configured.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The vendor's library, by absolute path.
    pub library: PathBuf,
    /// File with the password of the private keys; without it the password is given at run time, or the device wants none.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Sessions open at once, and threads that call.
    #[serde(default = "sessions")]
    pub sessions: usize,
    /// Highest index looked at when keys are listed.
    #[serde(default = "indexes")]
    pub indexes: u32,
    /// What the vendor's header says.
    #[serde(default)]
    pub layout: Layout,
    /// Algorithm numbers of SM1 in ECB and CBC, where the vendor has others than GM/T 0006.
    #[serde(default = "sm1")]
    pub sm1: [u32; 2],
}

fn sessions() -> usize {
    8
}

fn indexes() -> u32 {
    16
}

fn sm1() -> [u32; 2] {
    [0x101, 0x102]
}

impl Config {
    /// The defaults for a library.
    pub fn new(library: impl Into<PathBuf>) -> Self {
        Self {
            library: library.into(),
            password_file: None,
            sessions: sessions(),
            indexes: indexes(),
            layout: Layout::default(),
            sm1: sm1(),
        }
    }
}

/// `SGD_SM1`, `SGD_SM4` among the symmetric abilities; `SGD_RSA` and SM2 among the asymmetric (GM/T 0006).
const ABILITY_SM1: u32 = 0x100;
const ABILITY_SM4: u32 = 0x400;
const ABILITY_RSA: u32 = 0x0001_0000;
const SM4: [u32; 2] = [0x401, 0x402];

/// An SDF device. Calls block: see [`crate::open`] for deadlines.
pub struct Sdf {
    config: Config,
    library: Arc<Library>,
    pin: Arc<Pin>,
    device: Mutex<Arc<Opened>>,
    pool: Pool<Session>,
    known: Mutex<HashMap<SdfKey, Known>>,
    /// Held while a password is tried, so that a wrong one is tried once and not by every thread.
    asking: Mutex<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the session, or the device under it, may be the trouble.
fn lost(fault: &Fault) -> bool {
    matches!(
        code::of_fault(fault),
        Some(Code::Communication | Code::Hardware | Code::OpenDevice)
    )
}

/// Whether the session is as good as before.
fn sound(fault: &Fault) -> bool {
    !matches!(fault, Fault::BadReply { .. } | Fault::Device { .. }) || code::of_fault(fault) == Some(Code::NoKey)
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let text = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default());
    text.chars()
        .filter(|letter| !letter.is_control())
        .collect::<String>()
        .trim()
        .to_owned()
}

/// `DEVICEINFO`, read.
struct Abilities {
    maker: String,
    model: String,
    serial: String,
    asymmetric: u32,
    symmetric: u32,
}

impl Abilities {
    fn read(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        Some(Self {
            maker: text(bytes.get(..40)?),
            model: text(bytes.get(40..56)?),
            serial: text(bytes.get(56..72)?),
            asymmetric: word(80)?,
            symmetric: word(88)?,
        })
    }
}

impl Sdf {
    /// Loads the library and opens the device.
    pub fn open(config: Config, pin: Arc<Pin>) -> Result<Self, Fault> {
        let library = Library::load(&config.library, config.layout)?;
        let device = library.open()?;
        Ok(Self {
            pool: Pool::new(config.sessions),
            device: Mutex::new(device),
            known: Mutex::default(),
            asking: Mutex::default(),
            config,
            library,
            pin,
        })
    }

    fn session(&self) -> Result<Session, Fault> {
        let device = Arc::clone(&lock(&self.device));
        device.session().map_err(|fault| match code::of_fault(&fault) {
            Some(Code::OpenSession) => Fault::Busy,
            _ => fault,
        })
    }

    /// Works in a session. What the standard offers can all be repeated without harm: nothing in it changes the device.
    fn with<T>(&self, work: impl Fn(&mut Session) -> Result<T, Fault>) -> Result<T, Fault> {
        let mut trouble = String::new();
        for attempt in 0..3 {
            let fault = match self.pool.take(|| self.session()) {
                Err(fault) => fault,
                Ok(mut session) => match work(&mut session) {
                    Ok(value) => {
                        session.give_back();
                        return Ok(value);
                    }
                    Err(fault) if sound(&fault) => {
                        session.give_back();
                        return Err(fault);
                    }
                    Err(fault) => fault,
                },
            };
            if !lost(&fault) {
                return Err(fault);
            }
            trouble = fault.to_string();
            // First a session of its own, then the device anew.
            if attempt == 1 {
                self.reopen()?;
            }
        }
        Err(Fault::Gone(trouble))
    }

    fn reopen(&self) -> Result<(), Fault> {
        let mut device = lock(&self.device);
        tracing::warn!(device.library = %self.config.library.display(), "an SDF device is opened anew");
        *device = self.library.open().map_err(|fault| Fault::Gone(fault.to_string()))?;
        drop(device);
        self.pool.forget();
        lock(&self.known).clear();
        Ok(())
    }

    /// Gets the session the right to a private key. Without a password the device may want none.
    fn right(&self, session: &mut Session, index: u32) -> Result<bool, Fault> {
        if session.rights.contains(&index) {
            return Ok(true);
        }
        let _asking = lock(&self.asking);
        let offered = match self.pin.offer() {
            Err(Fault::PinMissing) => return Ok(false),
            offered => offered?,
        };
        const NAME: &str = "SDF_GetPrivateKeyAccessRight";
        let code = session.ask_right(index, offered.pin.as_bytes())?;
        if code == 0 {
            session.rights.push(index);
            return Ok(true);
        }
        match Code::of(code) {
            Some(Code::NoKey) => Err(Fault::NoKey(format!("sdf:{index}"))),
            Some(
                Code::NotSupported
                | Code::Communication
                | Code::Hardware
                | Code::OpenDevice
                | Code::OpenSession
                | Code::Step
                | Code::NoBuffer,
            ) => Err(code::fault(NAME, code)),
            // The standard has no number for a wrong password and every vendor chose another: whatever is not known to be
            // about something else is taken for one, because a second try could lock the key.
            _ => {
                self.pin.refuse(&offered.pin);
                tracing::warn!(device.code = code, "an SDF device refused the password of its keys");
                Err(Fault::PinWrong)
            }
        }
    }

    /// Works with a private key. A right that lapsed is asked for once more.
    fn privately<T>(&self, key: SdfKey, work: impl Fn(&mut Session) -> Result<T, Fault>) -> Result<T, Fault> {
        let name = || KeyRef::from(key).to_string();
        self.with(|session| {
            let mut again = session.rights.contains(&key.index);
            loop {
                let held = self.right(session, key.index)?;
                let fault = match work(session) {
                    Err(fault) => fault,
                    done => return done,
                };
                match code::of_fault(&fault) {
                    Some(Code::NoKey) => return Err(Fault::NoKey(name())),
                    // SoftSDF calls a missing right a wrong argument.
                    Some(Code::NoRight | Code::Input) if again => {
                        again = false;
                        session.release_right(key.index);
                    }
                    Some(Code::NoRight | Code::Input) if !held => return Err(Fault::PinMissing),
                    Some(Code::NoRight) => return Err(Fault::NoRight(name())),
                    _ => return Err(fault),
                }
            }
        })
    }

    fn abilities(&self) -> Result<Abilities, Fault> {
        let room = self.with(Session::info)?;
        Abilities::read(room.bytes()).ok_or(Fault::BadReply {
            function: "SDF_GetDeviceInfo",
            what: "length",
        })
    }

    /// Reads a public key; `None` where the device has an empty slot.
    fn export(session: &mut Session, key: SdfKey) -> Result<Option<Known>, Fault> {
        let which = Export {
            index: key.index,
            encrypt: key.usage == Usage::Encrypt,
        };
        let bad = |function| Fault::BadReply {
            function,
            what: "not a public key; the layout configured may not be the vendor's",
        };
        if key.rsa {
            let numbers = session.export_rsa(which)?;
            let known = numbers.and_then(|(modulus, exponent)| Known::rsa(&modulus, &exponent));
            known.map(Some).ok_or_else(|| bad("SDF_ExportPublicKey_RSA"))
        } else {
            let point = session.export_point(which)?;
            // Some devices answer an empty slot with zeros.
            if point
                .as_ref()
                .is_some_and(|point| point.iter().skip(1).all(|byte| *byte == 0))
            {
                return Ok(None);
            }
            let known = point.and_then(|point| Known::sm2(&point));
            known.map(Some).ok_or_else(|| bad("SDF_ExportPublicKey_ECC"))
        }
    }

    fn known(&self, key: SdfKey) -> Result<Known, Fault> {
        if let Some(known) = lock(&self.known).get(&key) {
            return Ok(known.clone());
        }
        let name = || Fault::NoKey(KeyRef::from(key).to_string());
        let known = self.with(|session| match Self::export(session, key) {
            Err(fault) if code::of_fault(&fault) == Some(Code::NoKey) => Err(name()),
            Err(fault) => Err(fault),
            Ok(known) => known.ok_or_else(name),
        })?;
        lock(&self.known).insert(key, known.clone());
        Ok(known)
    }

    fn sign_rsa(&self, key: SdfKey, known: &Known, scheme: Scheme, digest: &[u8]) -> Result<Vec<u8>, Fault> {
        let length = known.modulus_len();
        let message = match scheme {
            Scheme::RsaPss(hash) => judge::pss_message(hash, digest, known)?,
            Scheme::RsaPkcs1(hash) => judge::pkcs1(hash, digest, length).ok_or(Fault::Input("密钥过短"))?,
            _ => return Err(Fault::Input("密钥与签名算法不符")),
        };
        let room = self.privately(key, |session| session.rsa(key.index, &message))?;
        Ok(room.bytes().to_vec())
    }

    /// Asks the device to verify an SM2 signature r ‖ s of the key `04 ‖ x ‖ y` over e.
    pub fn verify(&self, point: &[u8; 65], e: &[u8; 32], signature: &[u8; 64]) -> Result<bool, Fault> {
        match self.with(|session| session.verify(point, e, signature)) {
            Ok(()) => Ok(true),
            Err(fault) if code::of_fault(&fault) == Some(Code::Verify) => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    /// An SM2 pair made by the device and handed out in clear (`SDF_GenerateKeyPair_ECC`): for keys that live elsewhere, such as
    /// under the TPM. The pair is held together: d·G must be the public key.
    pub fn pair_for_elsewhere(&self) -> Result<(PublicKey, Zeroizing<[u8; 32]>), Fault> {
        const NAME: &str = "SDF_GenerateKeyPair_ECC";
        let bad = |what| Fault::BadReply { function: NAME, what };
        let (public, private) = self.with(Session::pair)?;
        let layout = self.library.layout;
        let point = layout
            .read_public_key(public.bytes())
            .ok_or_else(|| bad("public key"))?;
        let known = Known::sm2(&point).ok_or_else(|| bad("public key"))?;
        let secret = layout
            .read_private_key(private.bytes())
            .ok_or_else(|| bad("private key"))?;
        let key = curve::PrivateKey::from_bytes(&secret).map_err(|_| bad("private key"))?;
        if key.public_key().to_point().as_slice() != point.as_slice() {
            return Err(bad("private and public key do not belong together"));
        }
        Ok((known.public, secret))
    }
}

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
