//! The time-stamp unit 时间戳 (RFC 3161, GM/T 0033): server keys that are designated for it, with a certificate for time
//! stamps alone. Serial numbers are never given twice; nothing is stamped under a clock that is not believed.

mod http;
mod seen;
mod settings;

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use gm::stamp::{Failure, Imprint, Unit, Unsigned};
use gm::{Certificate, Hash};
use records::Timestamp;

use crate::Refusal;
use crate::application::{Format, KeyIndex};
use crate::fault::{Code, Fault};
use crate::keys::{KeyState, ServerKey};
use crate::service::{Caller, Desk, Service, SignMessage, SignedMessage, Tool, refused};
use crate::wrap;

pub(crate) use http::routes;
pub(crate) use settings::SETTING;
pub use settings::StampSettings;

/// Serial numbers reserved in the state file at a time; those left at a restart are never used.
const RESERVED: u32 = 1_000;

/// What a signature gets besides itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extras {
    /// A time stamp over it.
    pub stamp: bool,
    /// Evidence that no certificate on its path was revoked.
    pub evidence: bool,
}

/// The unit's settings and serial numbers.
#[derive(Debug, Default)]
pub(crate) struct Stamping {
    settings: RwLock<Arc<StampSettings>>,
    /// The next one, and how many are reserved from it on.
    serials: Mutex<(u64, u32)>,
}

impl Stamping {
    pub(crate) fn settings(&self) -> Arc<StampSettings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn put(&self, settings: StampSettings) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }
}

/// What is to be stamped.
enum Asked {
    /// A request of RFC 3161.
    Request(Vec<u8>),
    /// A signature.
    Imprint(Imprint),
}

impl Service {
    /// Answers a time-stamp request; refusals of the unit are answers, too.
    pub(crate) async fn stamp(
        self: &Arc<Self>,
        caller: &Caller,
        key: Option<KeyIndex>,
        request: Vec<u8>,
    ) -> Result<Vec<u8>, Fault> {
        let done = self.stamped(caller, key, Asked::Request(request)).await;
        match done {
            Err(fault) if matches!(fault.code, Code::ClockUntrusted | Code::SelfTest | Code::Draining) => {
                Ok(Unit::refuse(Failure::TimeNotAvailable))
            }
            done => done,
        }
    }

    async fn stamped(self: &Arc<Self>, caller: &Caller, key: Option<KeyIndex>, asked: Asked) -> Result<Vec<u8>, Fault> {
        let settings = self.stamping.settings();
        let designated = match key {
            Some(key) => settings.keys.contains(&key).then_some(key),
            None => settings.keys.first().copied(),
        };
        let key = designated.and_then(|index| self.state().keys.get(&index).cloned());
        let tool = key
            .as_ref()
            .and_then(|key| key.device().cloned())
            .map_or(Tool::None, Tool::Device);
        let service = Arc::clone(self);
        self.perform_with(caller, "time.stamped", Some(Format::Stamp), 0, tool, move |desk| {
            let key = key.filter(|key| key.state == KeyState::Active);
            let key = key.ok_or_else(|| Fault::new(Code::KeyIndex, "没有指定时间戳密钥，或该密钥不在使用中"))?;
            let (chain, own) = unit_of(&key, desk)?;
            let signer = key.signer.as_ref().ok_or(Code::DeviceAbsent)?;
            let policy = settings.policy_der().map_err(Fault::from)?;
            let unit = Unit::new(signer.as_ref(), chain, &policy, settings.accuracy()).map_err(refused)?;
            let serial = service.stamp_serial()?;
            let at = desk.now.offset();
            let (token, over) = match &asked {
                Asked::Request(request) => {
                    let over = gm::stamp::Request::read(request).map(|request| request.imprint.digest);
                    (
                        unit.answer(request, &serial, at).map_err(refused)?,
                        over.unwrap_or_default(),
                    )
                }
                Asked::Imprint(imprint) => (
                    unit.stamp(imprint, &serial, at).map_err(refused)?,
                    imprint.digest.clone(),
                ),
            };
            let detail = format!(
                "key {} serial {} unit {} over {}",
                key.index.0,
                hex::encode(serial),
                own.serial_hex(),
                hex::encode(over)
            );
            Ok((token, detail))
        })
        .await
    }

    /// Signs a message, and adds to it what is asked for.
    pub async fn sign_message_with(
        self: &Arc<Self>,
        caller: &Caller,
        asked: SignMessage,
        extras: Extras,
    ) -> Result<SignedMessage, Fault> {
        let mut signed = self.sign_message(caller, asked).await?;
        if extras.stamp {
            let signature = Unsigned::read(&signed.message).map_err(refused)?.signature;
            let imprint = Imprint::of(self.stamp_hash(), &signature);
            let token = self.stamped(caller, None, Asked::Imprint(imprint)).await?;
            signed.message = gm::stamp::attach(&signed.message, &token).map_err(refused)?;
        }
        if extras.evidence {
            let states = self.judge_own(caller, signed.key).await?;
            let stapled = self.evidence(&states).await?;
            signed.message = gm::stamp::attach_evidence(&signed.message, &stapled).map_err(refused)?;
        }
        Ok(signed)
    }

    /// The digest of our own stamps: that of the unit's algorithm.
    fn stamp_hash(&self) -> Hash {
        let first = self.stamping.settings().keys.first().copied();
        let key = first.and_then(|index| self.state().keys.get(&index).cloned());
        key.and_then(|key| key.signer.as_ref().map(|signer| signer.algorithm().hash()))
            .unwrap_or(Hash::Sm3)
    }

    /// A serial number: reserved in the state file before it is given, and random behind, so that a state file restored on
    /// another device does not give it again.
    fn stamp_serial(&self) -> Result<[u8; 16], Refusal> {
        let number = {
            let mut serials = self.stamping.serials.lock().unwrap_or_else(PoisonError::into_inner);
            if serials.1 == 0 {
                let first = self.engine.vault.write(|unit| unit.reserve_stamp_serials(RESERVED))?;
                *serials = (first, RESERVED);
            }
            let number = serials.0;
            *serials = (number + 1, serials.1 - 1);
            number
        };
        stamp_number(number)
    }
}

/// The serial number of a stamp from a reserved number.
pub(crate) fn stamp_number(number: u64) -> Result<[u8; 16], Refusal> {
    let mut serial = [0; 16];
    let (front, back) = serial.split_at_mut(8);
    front.copy_from_slice(&number.to_be_bytes());
    back.copy_from_slice(&wrap::random::<8>()?);
    // A positive number without leading zeros, whatever the count: the first byte is 1 (RFC 5280's habit).
    if let Some(first) = serial.first_mut() {
        *first = 1;
    }
    Ok(serial)
}

/// The unit's certificate and those above it, when it may stamp now.
fn unit_of<'k>(key: &'k ServerKey, desk: &Desk) -> Result<(&'k [Certificate], &'k Certificate), Fault> {
    let chain = &key.certificate().ok_or(Code::Certificate)?.chain;
    let own = chain.first().ok_or(Code::Certificate)?;
    own.is_valid_at(desk.now.offset()).map_err(refused)?;
    if desk.lists.revoke(own, desk.now) {
        return Err(Fault::new(Code::CertificateRevoked, own.serial_hex()));
    }
    Ok((chain, own))
}

/// Whether a certificate is for time stamps alone (RFC 3161 2.3).
pub(crate) fn may_stamp(certificate: &Certificate, now: Timestamp) -> Result<(), Refusal> {
    certificate.is_valid_at(now.offset())?;
    let alone = certificate.extended_usages.as_ref().is_some_and(|all| all.len() == 1);
    if alone && certificate.has_extended_usage(gm::oid::TIME_STAMPING) {
        Ok(())
    } else {
        Err(Refusal::no("certificate_usage", "该证书不是专用于时间戳的证书。"))
    }
}
