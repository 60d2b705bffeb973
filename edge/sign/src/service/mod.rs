//! What applications are served, whatever interface they use: HTTPS with JSON, the messages of GB/T 38629, SOAP.
//!
//! Every act goes the same way ([`Service::perform`]): the policy is asked, the act is done, its entry is written to the
//! log and flushed, and only then the answer leaves. A refusal is an entry too.

mod certificate;
mod choice;
mod cipher;
mod data;
mod judge;
mod message;
mod meter;
mod once;
mod pdf;
mod progress;
mod refusals;
mod session;
mod xml;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use records::Timestamp;
use tokio::sync::Semaphore;

use crate::application::{Application, Format, KeyIndex};
use crate::engine::Engine;
use crate::fault::{Code, Fault};
use crate::http::TurnedAway;
use crate::keys::device::Held;
use crate::keys::{KeyPurpose, KeyState, ServerKey};
use crate::ledger::Ledger;
use crate::names::Names;
use crate::revocation::{Lists, Open, Revocation};
use crate::selftest::Report;
use crate::stamping::{StampSettings, Stamping};
use crate::state::State;
use crate::syslog::Progress;
use crate::vault::Entry;
use crate::{Refusal, ServerName, secret_code};

pub use certificate::{Item, Wanted, Whose};
pub use choice::Choice;
pub use cipher::{Cipher, Direction, MAX_RANDOM, Mode, Sealed, Sm2Form, Symmetric};
pub(crate) use data::bounded;
pub use data::{Judged, MAX_DATA, Over, SignData, SignedData, VerifyData};
pub use judge::Level;
pub(crate) use judge::refused;
pub use message::{Kind, SignMessage, Signatory, SignedMessage, VerifiedMessage, VerifyMessage};
pub use meter::{Meter, Second};
pub(crate) use once::{Once, Replayed};
pub use pdf::PdfSignature;
pub use progress::SESSIONS;
pub use session::{Begin, Purpose};
pub use xml::{SignXml, SignedXml, VerifiedXml, VerifyXml, XmlKind};

/// Bytes from which an act leaves the threads that serve connections.
const HEAVY: usize = 64 * 1024;
/// Heavy acts at a time; more wait.
const HEAVY_ACTS: usize = 4;

/// An act waits so long for its turn at a device.
const TURN: Duration = Duration::from_secs(10);

/// By which door a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interface {
    /// This server's JSON.
    Json,
    /// The messages of GB/T 38629.
    Svs,
    /// The web service.
    Soap,
    /// The socket of the appliance.
    Socket,
}

impl Interface {
    fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Svs => "svs",
            Self::Soap => "soap",
            Self::Socket => "socket",
        }
    }
}

/// Who asks.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The application, authenticated.
    pub application: Arc<Application>,
    /// Its address.
    pub from: IpAddr,
    /// The door.
    pub interface: Interface,
    /// Where the request carries an idempotency key: its entry waits for the answer.
    pub(crate) once: Option<Arc<Once>>,
}

/// What an act uses besides this process.
pub(crate) enum Tool {
    /// Nothing.
    None,
    /// The private half of a key (the policy's first when none is named), which may be in a device.
    Key(Option<KeyIndex>),
    /// A device.
    Device(Arc<Held>),
}

/// What an act has at hand.
pub(crate) struct Desk {
    pub(crate) state: Arc<State>,
    pub(crate) application: Arc<Application>,
    /// The time to sign at; believed.
    pub(crate) now: Timestamp,
    /// Revocation lists in force.
    pub(crate) lists: Arc<Lists>,
    revocation: Arc<Revocation>,
    /// What is judged after the act, when those who know have been asked.
    open: Arc<Mutex<Vec<Open>>>,
}

/// The acts for applications.
pub struct Service {
    pub(crate) engine: Arc<Engine>,
    state: RwLock<Arc<State>>,
    /// One change of the settings at a time, so that an older reading never takes the place of a newer one.
    loading: Mutex<()>,
    ledger: Ledger,
    /// What requests signed with a key are to be signed for.
    pub(crate) names: Names,
    /// Rate and latency, for the management page.
    pub meter: Meter,
    draining: AtomicBool,
    /// 3DES decrypts old data.
    triple_des: AtomicBool,
    /// The web service answers.
    web_service: AtomicBool,
    sessions: progress::Sessions,
    strangers: refusals::Strangers,
    /// Connections that there was no place for.
    pub turned_away: Arc<TurnedAway>,
    /// The TPM gave the keys at the last reload.
    open: AtomicBool,
    /// How the sending of the log stands.
    pub log_sending: Arc<Mutex<Progress>>,
    /// What the last self-test found.
    pub(crate) tested: RwLock<Option<Arc<Report>>>,
    heavy: Semaphore,
    pub(crate) revocation: Arc<Revocation>,
    pub(crate) stamping: Stamping,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").finish_non_exhaustive()
    }
}

impl Service {
    /// Serves with the engine's state. When the TPM does not answer, keys stay shut until [`Self::reload`].
    ///
    /// `common`: the name it shares with others behind a balancer.
    pub fn start(engine: Arc<Engine>, common: Option<ServerName>) -> Result<Self, Refusal> {
        let names = Names::load(&engine.vault, common, engine.clock.now())?;
        let ledger = Ledger::start(Arc::clone(&engine.vault)).map_err(|_| Refusal::Damaged("thread"))?;
        let revocation = Arc::new(Revocation::new(&engine.dir)?);
        engine.heed(&revocation);
        let service = Self {
            engine,
            state: RwLock::default(),
            loading: Mutex::new(()),
            ledger,
            names,
            meter: Meter::default(),
            draining: AtomicBool::new(false),
            triple_des: AtomicBool::new(false),
            web_service: AtomicBool::new(false),
            sessions: progress::Sessions::default(),
            strangers: refusals::Strangers::default(),
            turned_away: Arc::default(),
            open: AtomicBool::new(false),
            log_sending: Arc::default(),
            tested: RwLock::default(),
            heavy: Semaphore::new(HEAVY_ACTS),
            revocation,
            stamping: Stamping::default(),
        };
        if let Err(refusal) = service.reload() {
            tracing::warn!(sign.refusal = %refusal, "server keys stay shut");
        }
        Ok(service)
    }

    /// Takes the settings as they are now. Requests under way finish under those before.
    ///
    /// # Errors
    /// The TPM does not answer: what it keeps stays as it was, everything else is taken.
    pub fn reload(&self) -> Result<(), Refusal> {
        let _one = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        let kek = self.engine.kek();
        let settings = self.engine.settings()?;
        self.web_service.store(settings.web_service.enabled, Ordering::Relaxed);
        self.engine.published.put(&settings.own_lists);
        let before = self.state();
        let kek_bytes = kek.as_ref().ok().map(|kek| kek.as_slice());
        let devices = &self.engine.devices;
        let state = self
            .engine
            .vault
            .read(|unit| State::load(unit, &before, kek_bytes, devices))?;
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(state);
        self.open.store(kek.is_ok(), Ordering::Relaxed);
        self.stamping.put(self.engine.vault.read(StampSettings::load)?);
        if let Err(refusal) = self.put_own_lists() {
            tracing::warn!(sign.refusal = %refusal, "our own revocation lists were not renewed");
        }
        self.revocation.wake();
        kek.map(|_| ())
    }

    /// Whether the TPM gave the keys at the last reload.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// The settings in force.
    #[must_use]
    pub fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Answers that this server is leaving, so that the balancer sends requests elsewhere. Requests under way go on.
    pub fn drain(&self, leaving: bool) {
        self.draining.store(leaving, Ordering::Relaxed);
    }

    /// Lets 3DES decrypt old data, or not.
    pub fn decrypt_triple_des(&self, allowed: bool) {
        self.triple_des.store(allowed, Ordering::Relaxed);
    }

    /// Whether the web service answers.
    pub(crate) fn web_service(&self) -> bool {
        self.web_service.load(Ordering::Relaxed)
    }

    fn decrypts_triple_des(&self) -> bool {
        self.triple_des.load(Ordering::Relaxed)
    }

    /// Whether requests should be sent here, or why not.
    pub fn ready(&self) -> Result<(), Fault> {
        if self.draining.load(Ordering::Relaxed) {
            return Err(Code::Draining.into());
        }
        self.engine.trusted_now()?;
        Ok(())
    }

    /// Does an act: see the module's text. `bytes` is the size of what it works on.
    pub(crate) async fn perform<T: Send + 'static>(
        self: &Arc<Self>,
        caller: &Caller,
        name: &'static str,
        format: Option<Format>,
        bytes: usize,
        act: impl FnOnce(&Desk) -> Result<(T, String), Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        self.perform_with(caller, name, format, bytes, Tool::None, act).await
    }

    /// As [`Self::perform`], with what the act uses besides this process: acts on a device wait for their turn at it, away
    /// from the threads that serve connections and from the acts of others.
    pub(crate) async fn perform_with<T: Send + 'static>(
        self: &Arc<Self>,
        caller: &Caller,
        name: &'static str,
        format: Option<Format>,
        bytes: usize,
        tool: Tool,
        act: impl FnOnce(&Desk) -> Result<(T, String), Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let begun = std::time::Instant::now();
        let now = self.engine.clock.now();
        let done = match self.desk(caller, format, now) {
            Err(fault) => Err(fault),
            Ok(desk) => {
                let open = Arc::clone(&desk.open);
                let done = match desk.device(tool) {
                    Some(device) => at_device(&device, desk, act).await,
                    None if bytes < HEAVY => act(&desk),
                    None => self.apart(desk, act).await,
                };
                match done {
                    Ok(done) => self.settle(&open).await.map(|()| done),
                    refused => refused,
                }
            }
        };
        let (outcome, detail) = match done {
            Ok((answer, detail)) => (Ok(answer), detail),
            Err(fault) => {
                let detail = format!("refused {} {}", fault.code.name(), fault.detail);
                (Err(fault), detail)
            }
        };
        let detail = format!("{detail} via {} from {}", caller.interface.name(), caller.from);
        let entry = Entry {
            at: now,
            act: name,
            subject: Arc::from(caller.application.id.0.as_str()),
            detail,
        };
        let entry = match &caller.once {
            Some(once) if outcome.is_ok() => match once.hold(entry, begun) {
                None => return outcome,
                Some(entry) => entry,
            },
            _ => entry,
        };
        let logged = self.ledger.append(entry).await;
        self.meter
            .count(now, begun.elapsed(), outcome.is_ok() && logged.is_ok());
        logged?;
        outcome
    }

    fn desk(&self, caller: &Caller, format: Option<Format>, now: Timestamp) -> Result<Desk, Fault> {
        if self.draining.load(Ordering::Relaxed) {
            return Err(Code::Draining.into());
        }
        let application = &caller.application;
        if !application.enabled {
            return Err(Code::ApplicationDisabled.into());
        }
        if !application.limit.take(application.policy.rate_per_second, now) {
            return Err(Code::TooMany.into());
        }
        if let Some(format) = format
            && !application.policy.formats.contains(&format)
        {
            return Err(Fault::new(Code::NotPermitted, format!("{format:?}")));
        }
        Ok(Desk {
            state: self.state(),
            application: Arc::clone(application),
            now: self.engine.trusted_now()?,
            lists: self.revocation.lists(),
            revocation: Arc::clone(&self.revocation),
            open: Arc::default(),
        })
    }

    /// On a thread that may be kept busy.
    async fn apart<T: Send + 'static>(
        &self,
        desk: Desk,
        act: impl FnOnce(&Desk) -> Result<(T, String), Fault> + Send + 'static,
    ) -> Result<(T, String), Fault> {
        let Ok(_place) = self.heavy.acquire().await else {
            return Err(Code::Draining.into());
        };
        let done = tokio::task::spawn_blocking(move || act(&desk)).await;
        done.unwrap_or_else(|_| Err(Code::Internal.into()))
    }
}

/// On a thread that may wait for a device, when it is this act's turn there.
async fn at_device<T: Send + 'static>(
    device: &Arc<Held>,
    desk: Desk,
    act: impl FnOnce(&Desk) -> Result<(T, String), Fault> + Send + 'static,
) -> Result<(T, String), Fault> {
    let Ok(Ok(_place)) = tokio::time::timeout(TURN, device.places.acquire()).await else {
        return Err(Fault::new(Code::Busy, format!("密码设备 {} 正忙", device.name)));
    };
    let done = tokio::task::spawn_blocking(move || act(&desk)).await;
    done.unwrap_or_else(|_| Err(Code::Internal.into()))
}

impl Desk {
    /// The device that an act uses.
    fn device(&self, tool: Tool) -> Option<Arc<Held>> {
        match tool {
            Tool::None => None,
            Tool::Device(held) => Some(held),
            Tool::Key(index) => {
                let index = index.or_else(|| self.application.policy.keys.first().copied())?;
                self.state.keys.get(&index)?.device().cloned()
            }
        }
    }

    /// A key in use that the policy grants, the first one when none is named, with its access code checked.
    pub(crate) fn key(&self, index: Option<KeyIndex>, access_code: Option<&str>) -> Result<Arc<ServerKey>, Fault> {
        let key = self.key_in(&[KeyState::Active], index, access_code)?;
        if let Some(own) = key.certificate().and_then(|certificate| certificate.chain.first()) {
            if self.lists.revoke(own, self.now) {
                return Err(Fault::new(Code::CertificateRevoked, own.serial_hex()));
            }
            if key.purpose == KeyPurpose::Sign {
                own.may_sign_documents().map_err(refused)?;
            }
        }
        Ok(key)
    }

    /// The same of a key in one of these states.
    fn key_in(
        &self,
        states: &[KeyState],
        index: Option<KeyIndex>,
        access_code: Option<&str>,
    ) -> Result<Arc<ServerKey>, Fault> {
        let key = self.granted_in(states, index)?;
        if let Some(kept) = &key.access_code
            && !secret_code::is(kept, access_code.unwrap_or_default().as_bytes())
        {
            return Err(Code::KeyValue.into());
        }
        Ok(key)
    }

    /// A key in use that the policy grants, for its public half.
    fn granted(&self, index: Option<KeyIndex>) -> Result<Arc<ServerKey>, Fault> {
        self.granted_in(&[KeyState::Active], index)
    }

    fn granted_in(&self, states: &[KeyState], index: Option<KeyIndex>) -> Result<Arc<ServerKey>, Fault> {
        let granted = &self.application.policy.keys;
        let index = match index {
            Some(index) if granted.contains(&index) => index,
            Some(index) => return Err(Fault::new(Code::KeyNotPermitted, format!("密钥索引 {}", index.0))),
            None => *granted
                .first()
                .ok_or_else(|| Fault::new(Code::KeyNotPermitted, "访问策略没有给该应用系统任何密钥"))?,
        };
        let key = self.state.keys.get(&index).filter(|key| states.contains(&key.state));
        key.cloned()
            .ok_or_else(|| Fault::new(Code::KeyIndex, format!("密钥索引 {}", index.0)))
    }
}
