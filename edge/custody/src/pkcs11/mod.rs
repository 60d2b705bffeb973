//! Tokens behind a PKCS#11 module (v2.40 and later), by `cryptoki`.
//!
//! SM2 is offered only through mechanisms the vendor defines and the configuration names; a key on the SM2 curve signed by
//! `CKM_ECDSA` is not SM2 and is refused. A session serves one thread at a time; the sign-in belongs to the whole process. After
//! the token was reset, replaced or signed out by somebody else, sessions are opened and signed in anew, once.

mod config;
mod keys;
mod module;
mod snag;
mod work;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cryptoki::context::Pkcs11;
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::MechanismType;
use cryptoki::object::ObjectHandle;
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;
use zeroize::Zeroizing;

pub use config::{Config, VendorSm2};
use snag::{Snag, Worked, by};

use crate::judge::Known;
use crate::pin::Pin;
use crate::pool::Pool;
use crate::{
    Cipher, CipherKey, Device, DeviceInfo, Direction, Fault, Hash, KeyAlgorithm, KeyInfo, KeyRef, Mode, PublicKey,
    Scheme, Unwrap,
};

/// A session with what it has looked up.
struct Line {
    session: Session,
    handles: HashMap<KeyRef, ObjectHandle>,
}

/// A PKCS#11 token. Calls block: see [`crate::open`] for deadlines.
pub struct Token {
    config: Config,
    module: Pkcs11,
    pin: Arc<Pin>,
    slot: Mutex<Slot>,
    pool: Pool<Line>,
    known: Mutex<HashMap<KeyRef, Known>>,
    /// Held while a PIN is tried, so that a wrong one is tried once and not by every thread.
    asking: Mutex<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Token {
    /// Loads the module and finds the token.
    pub fn open(config: Config, pin: Arc<Pin>) -> Result<Self, Fault> {
        let module = module::load(&config.module)?;
        let slot = module::find(&module, &config)?;
        Ok(Self {
            pool: Pool::new(config.sessions),
            slot: Mutex::new(slot),
            known: Mutex::default(),
            asking: Mutex::default(),
            config,
            module,
            pin,
        })
    }

    fn token(&self) -> Worked<TokenInfo> {
        let slot = *lock(&self.slot);
        self.module.get_token_info(slot).or_else(by("C_GetTokenInfo"))
    }

    fn line(&self) -> Worked<Line> {
        let slot = *lock(&self.slot);
        let session = match self.module.open_rw_session(slot) {
            Err(Error::Pkcs11(RvError::TokenWriteProtected, _)) => self.module.open_ro_session(slot),
            opened => opened,
        };
        Ok(Line {
            session: session.or_else(by("C_OpenSession"))?,
            handles: HashMap::new(),
        })
    }

    /// Signs in unless the process is; a wrong PIN is tried once.
    fn sign_in(&self, session: &Session) -> Worked<()> {
        let _asking = lock(&self.asking);
        let state = session
            .get_session_info()
            .or_else(by("C_GetSessionInfo"))?
            .session_state();
        if matches!(state, SessionState::RwUser | SessionState::RoUser) {
            return Ok(());
        }
        let token = self.token()?;
        if !token.login_required() {
            return Ok(());
        }
        if token.user_pin_locked() {
            self.pin.lock();
        }
        let offered = self.pin.offer()?;
        if token.user_pin_final_try() && !offered.by_person {
            return Err(Fault::PinLastTry.into());
        }
        let pin = AuthPin::from(offered.pin.as_str().to_owned());
        match session.login(UserType::User, Some(&pin)) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
            Err(error) => {
                if let Error::Pkcs11(code, _) = &error {
                    match code {
                        RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange => {
                            self.pin.refuse(&offered.pin)
                        }
                        RvError::PinLocked => self.pin.lock(),
                        _ => {}
                    }
                }
                tracing::warn!(device.error = %error, "a PKCS#11 token refused the sign-in");
                Err(Snag::Module("C_Login", error))
            }
        }
    }

    /// Works in a session that is signed in. Repeated once on new sessions when the old ones turn out to be worthless; what
    /// makes keys looks for its label first, so that repeating makes no second one.
    fn with<T>(&self, work: impl Fn(&mut Line) -> Worked<T>) -> Result<T, Fault> {
        let mut last = None;
        for attempt in 0..2 {
            let snag = match self.attempt(&work) {
                Ok(value) => return Ok(value),
                Err(snag) => snag,
            };
            if !snag.stale() {
                return Err(snag.fault());
            }
            last = Some(snag);
            if attempt == 0 {
                self.reopen()?;
            }
        }
        let trouble = last.map_or_else(String::new, |snag| snag.fault().to_string());
        Err(Fault::Gone(trouble))
    }

    fn attempt<T>(&self, work: &impl Fn(&mut Line) -> Worked<T>) -> Worked<T> {
        // The pool speaks faults; what the module said about opening is kept beside.
        let snag = Mutex::new(None);
        let opened = self.pool.take(|| {
            self.line().map_err(|failed| match failed {
                Snag::Module(_, Error::Pkcs11(RvError::SessionCount, _)) => Fault::Busy,
                failed => {
                    *lock(&snag) = Some(failed);
                    Fault::Gone(String::new())
                }
            })
        });
        let mut line = match opened {
            Ok(line) => line,
            Err(fault) => return Err(lock(&snag).take().unwrap_or(Snag::Fault(fault))),
        };
        let outcome = self.sign_in(&line.session).and_then(|()| work(&mut line));
        match &outcome {
            Err(snag) if snag.stale() || matches!(snag, Snag::Fault(Fault::BadReply { .. })) => drop(line),
            _ => line.give_back(),
        }
        outcome
    }

    /// Everything looked up so far may be wrong: sessions, slot, keys.
    fn reopen(&self) -> Result<(), Fault> {
        tracing::warn!(device.module = %self.config.module.display(), "sessions of a PKCS#11 token are opened anew");
        self.pool.forget();
        lock(&self.known).clear();
        module::initialize(&self.module)?;
        *lock(&self.slot) = module::find(&self.module, &self.config).map_err(|fault| Fault::Gone(fault.to_string()))?;
        Ok(())
    }
}

impl Device for Token {
    fn info(&self) -> Result<DeviceInfo, Fault> {
        let read = || {
            let slot = *lock(&self.slot);
            let token = self.token()?;
            let mechanisms = self.module.get_mechanism_list(slot).or_else(by("C_GetMechanismList"))?;
            Ok((token, mechanisms))
        };
        let (token, mechanisms) = match read() {
            Err(snag) if Snag::stale(&snag) => {
                self.reopen()?;
                read()
            }
            done => done,
        }
        .map_err(Snag::fault)?;
        let has = |mechanism| mechanisms.contains(&mechanism);
        let hashes = [Hash::Sha256, Hash::Sha384, Hash::Sha512];
        let mut schemes = Vec::new();
        if let Some(sm2) = self.config.sm2 {
            schemes.extend(
                module::mechanism(sm2.sign)
                    .filter(|sign| has(*sign))
                    .map(|_| Scheme::Sm2),
            );
        }
        schemes.extend(has(MechanismType::ECDSA).then_some(Scheme::EcdsaP256));
        if has(MechanismType::RSA_PKCS) {
            schemes.extend(hashes.map(Scheme::RsaPkcs1));
        }
        if has(MechanismType::RSA_PKCS_PSS) {
            schemes.extend(hashes.map(Scheme::RsaPss));
        }
        Ok(DeviceInfo {
            maker: token.manufacturer_id().to_owned(),
            model: token.model().to_owned(),
            serial: token.serial_number().to_owned(),
            label: token.label().to_owned(),
            schemes,
            ciphers: has(MechanismType::AES_CBC).then_some(Cipher::Aes).into_iter().collect(),
            generates: !token.write_protected(),
        })
    }

    fn keys(&self) -> Result<Vec<KeyInfo>, Fault> {
        self.with(|line| keys::list(self, line))
    }

    fn generate(&self, label: &str, algorithm: KeyAlgorithm) -> Result<KeyInfo, Fault> {
        if label.is_empty() || label.len() > 128 || label.chars().any(char::is_control) {
            return Err(Fault::Input("标签应为 1 至 128 字节的文字"));
        }
        self.with(|line| keys::generate(self, line, label, algorithm))
    }

    fn public_key(&self, key: &KeyRef) -> Result<PublicKey, Fault> {
        self.with(|line| keys::known(self, line, key)).map(|known| known.public)
    }

    fn sign(&self, key: &KeyRef, scheme: Scheme, digest: &[u8]) -> Result<Vec<u8>, Fault> {
        scheme.check(digest)?;
        self.with(|line| work::sign(self, line, key, scheme, digest))
            .inspect_err(|fault| {
                if matches!(fault, Fault::BadReply { .. }) {
                    lock(&self.known).remove(key);
                }
            })
    }

    fn decrypt(&self, key: &KeyRef, scheme: Unwrap, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, Fault> {
        self.with(|line| work::decrypt(self, line, key, scheme, ciphertext))
    }

    fn cipher(
        &self,
        key: &CipherKey,
        cipher: Cipher,
        mode: Mode,
        direction: Direction,
        data: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let key = match (key, cipher) {
            (CipherKey::Held(key), Cipher::Aes) => key,
            (CipherKey::Given(_), Cipher::Aes) => return Err(Fault::NotOffered("导入对称密钥")),
            (_, Cipher::Sm1) => return Err(Fault::NotOffered("SM1（仅存在于经认证的密码设备内，当前设备未提供）")),
            (_, Cipher::Sm4) => return Err(Fault::NotOffered("SM4")),
        };
        if data.is_empty() || !data.len().is_multiple_of(16) {
            return Err(Fault::Input("数据长度应为 16 字节的整数倍"));
        }
        self.with(|line| work::cipher(self, line, key, mode, direction, data))
    }

    fn sm3(&self, _data: &[u8]) -> Result<[u8; 32], Fault> {
        Err(Fault::NotOffered("SM3"))
    }

    fn random(&self, length: usize) -> Result<Zeroizing<Vec<u8>>, Fault> {
        if length > 64 * 1024 {
            return Err(Fault::Input("一次最多 64 KiB 随机数"));
        }
        self.with(|line| {
            let mut bytes = Zeroizing::new(vec![0; length]);
            let filled = line.session.generate_random_slice(&mut bytes);
            filled.or_else(by("C_GenerateRandom"))?;
            Ok(bytes)
        })
    }

    fn destroy(&self, key: &KeyRef) -> Result<(), Fault> {
        lock(&self.known).remove(key);
        self.with(|line| keys::destroy(self, line, key))
    }

    fn give_pin(&self, pin: Zeroizing<String>) {
        self.pin.give(pin);
    }
}
