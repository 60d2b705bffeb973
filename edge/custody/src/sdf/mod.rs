//! Devices with the interface of GM/T 0018 (GB/T 36322): a vendor's shared library.
//!
//! Keys are made and destroyed with the vendor's own tool, at an index and under a password; the standard has no call for either.
//! A session serves one thread at a time and carries the right to private keys with it. Errors stick to sessions, so one that
//! failed is thrown away; after communication failed the device is opened anew, once.

mod code;
mod config;
mod device;
mod layout;
mod library;
mod room;
mod session;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

pub use code::Code;
pub use config::Config;
pub use layout::{CipherForm, Coordinate, Layout, RsaWidth};

use crate::judge::{self, Known};
use crate::pin::Pin;
use crate::pool::Pool;
use crate::{Fault, KeyRef, PublicKey, Scheme, SdfKey, Usage};
use library::{Library, Opened};
use session::{Export, Session};

/// Bytes handed over at once.
const CHUNK: usize = 16 * 1024;

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
            known.map(Some).ok_or_else(|| {
                bad(if which.encrypt {
                    "SDF_ExportEncPublicKey_RSA"
                } else {
                    "SDF_ExportSignPublicKey_RSA"
                })
            })
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
            known.map(Some).ok_or_else(|| {
                bad(if which.encrypt {
                    "SDF_ExportEncPublicKey_ECC"
                } else {
                    "SDF_ExportSignPublicKey_ECC"
                })
            })
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
