//! One device and the thread that looks after it.
//!
//! ```text
//! opening ──answers──▶ ready ──no answer, gone──▶ down ──opened anew──▶ ready
//!     └────────────fails────────────────────────────▲
//! ```
//! While it is down nothing is sent to it but the tries of its own thread: after 1 s, then twice as long each time up to
//! a minute, or when a person asks. The pause begins small again only after a minute of health, so that a device which
//! hangs at every call is not woken every second.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use custody::{Deadlines, Device, DeviceInfo, Fault, Guarded, Scheme};
use records::{Clock, Timestamp};
use tokio::sync::Semaphore;

use super::{DeviceKind, DeviceState, DeviceView, Trouble};
use crate::config::DeviceConfig;

/// The first pause before a device is tried again, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// So long a device is well before its troubles are forgotten.
const HEALTHY: Duration = Duration::from_secs(60);
/// A device that is ready is asked how it is this often.
const LOOK: Duration = Duration::from_secs(30);
/// A call waits so long for the first opening.
const FIRST_OPENING: Duration = Duration::from_secs(3);
/// Making an RSA key in a small token takes a minute.
const SLOW: Duration = Duration::from_secs(120);

/// A device of the settings.
pub(crate) struct Held {
    pub(crate) name: String,
    kind: DeviceKind,
    guarded: Guarded,
    /// Acts at a time: as many as the device has sessions. Others wait without a thread.
    pub(crate) places: Semaphore,
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
    moved: Condvar,
}

struct Inner {
    stage: Stage,
    since: Timestamp,
    info: Option<DeviceInfo>,
    trouble: Option<Trouble>,
    /// How often it was opened: what an earlier opening left behind says nothing of this one.
    opening: u64,
    /// A person wants it tried now.
    asked: bool,
    closed: bool,
}

enum Stage {
    Opening,
    Ready,
    Down(Fault),
}

/// The device itself is the trouble, rather than what was asked of it.
fn lost(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::Library(_) | Fault::Absent(_) | Fault::Gone(_) | Fault::Silent { .. } | Fault::Withheld
    )
}

impl Held {
    /// Begins to open it.
    pub(crate) fn start(config: &DeviceConfig, clock: Arc<dyn Clock>) -> std::io::Result<Arc<Self>> {
        let (kind, sessions) = match &config.custody {
            custody::Config::Pkcs11(config) => (DeviceKind::Pkcs11, config.sessions),
            custody::Config::Sdf(config) => (DeviceKind::Sdf, config.sessions),
        };
        let deadlines = Deadlines {
            call: Duration::from_millis(config.answer_ms),
            slow: SLOW,
        };
        let held = Arc::new(Self {
            name: config.name.clone(),
            kind,
            guarded: custody::shut(config.custody.clone(), deadlines),
            places: Semaphore::new(sessions.clamp(1, 64)),
            inner: Mutex::new(Inner {
                stage: Stage::Opening,
                since: clock.now(),
                info: None,
                trouble: None,
                opening: 0,
                asked: false,
                closed: false,
            }),
            clock,
            moved: Condvar::new(),
        });
        let keeper = Arc::clone(&held);
        std::thread::Builder::new()
            .name("device-keeper".to_owned())
            .spawn(move || keeper.keep())?;
        Ok(held)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'g>(&self, inner: MutexGuard<'g, Inner>, until: Instant) -> Option<MutexGuard<'g, Inner>> {
        let left = until.checked_duration_since(Instant::now())?;
        let waited = self
            .moved
            .wait_timeout(inner, left)
            .unwrap_or_else(PoisonError::into_inner);
        Some(waited.0)
    }

    /// Opens the device, looks after it, opens it again: until it is closed.
    fn keep(&self) {
        let mut pause = PAUSES.0;
        loop {
            let opened = self.guarded.reset().and_then(|()| self.guarded.info());
            let begun = Instant::now();
            match opened {
                Ok(info) => {
                    self.rise(info);
                    self.watch();
                }
                Err(fault) => self.fall(&fault),
            }
            if begun.elapsed() > HEALTHY {
                pause = PAUSES.0;
            }
            if !self.rest(pause) {
                return;
            }
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// It answers.
    fn rise(&self, info: DeviceInfo) {
        tracing::info!(device.name = %self.name, device.model = %info.model, "a key device is ready");
        let mut inner = self.inner();
        inner.stage = Stage::Ready;
        inner.since = self.clock.now();
        inner.info = Some(info);
        inner.opening += 1;
        drop(inner);
        self.moved.notify_all();
    }

    /// It does not.
    fn fall(&self, fault: &Fault) {
        tracing::error!(device.name = %self.name, device.code = fault.code(), device.fault = %fault, "a key device is down");
        let now = self.clock.now();
        let mut inner = self.inner();
        if matches!(inner.stage, Stage::Down(_)) {
            if *fault == Fault::Withheld {
                return; // says less than what is known
            }
        } else {
            inner.since = now;
        }
        inner.stage = Stage::Down(fault.clone());
        inner.trouble = Some(trouble(now, fault));
        drop(inner);
        self.moved.notify_all();
    }

    /// Looks after a device that answers, until it does not or is closed.
    fn watch(&self) {
        loop {
            let until = Instant::now() + LOOK;
            let mut inner = self.inner();
            loop {
                if inner.closed || !matches!(inner.stage, Stage::Ready) {
                    return;
                }
                if std::mem::take(&mut inner.asked) {
                    break;
                }
                match self.wait(inner, until) {
                    Some(woken) => inner = woken,
                    None => {
                        inner = self.inner();
                        break;
                    }
                }
            }
            let opening = inner.opening;
            drop(inner);
            match self.guarded.info() {
                Ok(info) => self.inner().info = Some(info),
                Err(fault) => self.note(opening, &fault),
            }
        }
    }

    /// Waits before the next try; false when there will be none.
    fn rest(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        let mut inner = self.inner();
        loop {
            if inner.closed {
                return false;
            }
            if std::mem::take(&mut inner.asked) {
                return true;
            }
            match self.wait(inner, until) {
                Some(woken) => inner = woken,
                None => return true,
            }
        }
    }

    /// Which opening a call would go to, or why it would not.
    fn ready(&self) -> Result<u64, Fault> {
        self.settle(Instant::now() + FIRST_OPENING);
        let inner = self.inner();
        match &inner.stage {
            Stage::Ready => Ok(inner.opening),
            Stage::Opening => Err(Fault::Absent("being opened".to_owned())),
            // This call did not reach it, whatever became of the one that found it silent.
            Stage::Down(Fault::Silent { .. }) => Err(Fault::Withheld),
            Stage::Down(fault) => Err(fault.clone()),
        }
    }

    /// What a call found out about the device.
    fn note(&self, opening: u64, fault: &Fault) {
        if matches!(fault, Fault::Busy | Fault::Ciphertext | Fault::Input(_)) {
            return;
        }
        let of_now = self.inner().opening == opening;
        match (of_now, lost(fault)) {
            (true, true) => self.fall(fault),
            (true, false) => {
                tracing::warn!(device.name = %self.name, device.code = fault.code(), device.fault = %fault, "a key device refused");
                self.inner().trouble = Some(trouble(self.clock.now(), fault));
            }
            (false, _) => {}
        }
    }

    /// Asks the device. Blocks for at most twice its deadline; at once when it is down.
    pub(crate) fn call<T>(&self, work: impl FnOnce(&Guarded) -> Result<T, Fault>) -> Result<T, Fault> {
        let opening = self.ready()?;
        work(&self.guarded).inspect_err(|fault| self.note(opening, fault))
    }

    /// Waits until the first opening succeeded or failed.
    pub(crate) fn settle(&self, until: Instant) {
        let mut inner = self.inner();
        while matches!(inner.stage, Stage::Opening) {
            match self.wait(inner, until) {
                Some(woken) => inner = woken,
                None => return,
            }
        }
    }

    /// Has it tried now, whatever the schedule says.
    pub(crate) fn retry(&self) {
        self.inner().asked = true;
        self.moved.notify_all();
    }

    /// Takes a PIN or password from a person, and tries the device.
    pub(crate) fn give_pin(&self, pin: zeroize::Zeroizing<String>) {
        self.guarded.give_pin(pin);
        // That one was missing or wrong says nothing of this one; its first use does.
        self.unlocked();
        self.retry();
    }

    /// Its PIN is not the trouble any more.
    pub(crate) fn unlocked(&self) {
        let mut inner = self.inner();
        if inner.trouble.as_ref().is_some_and(Trouble::of_pin) {
            inner.trouble = None;
        }
    }

    /// Its thread ends when it is free.
    pub(crate) fn close(&self) {
        self.inner().closed = true;
        self.moved.notify_all();
    }

    pub(crate) fn is_ready(&self) -> bool {
        matches!(self.inner().stage, Stage::Ready)
    }

    /// It reports this cipher, or did when it last answered.
    pub(crate) fn offers(&self, cipher: custody::Cipher) -> bool {
        let inner = self.inner();
        inner.info.as_ref().is_some_and(|info| info.ciphers.contains(&cipher))
    }

    /// How it is, without asking it.
    pub(crate) fn view(&self) -> DeviceView {
        let inner = self.inner();
        let info = inner.info.as_ref();
        let said = |text: fn(&DeviceInfo) -> &String| info.map(|info| text(info).clone()).unwrap_or_default();
        DeviceView {
            name: self.name.clone(),
            kind: self.kind,
            state: match inner.stage {
                Stage::Opening => DeviceState::Opening,
                Stage::Ready => DeviceState::Ready,
                Stage::Down(_) => DeviceState::Down,
            },
            since: inner.since,
            maker: said(|info| &info.maker),
            model: said(|info| &info.model),
            serial: said(|info| &info.serial),
            label: said(|info| &info.label),
            algorithms: info.map(algorithms).unwrap_or_default(),
            generates: info.is_some_and(|info| info.generates),
            trouble: inner.trouble.clone(),
        }
    }
}

fn trouble(at: Timestamp, fault: &Fault) -> Trouble {
    Trouble {
        at,
        code: fault.code(),
        text: fault.person(),
    }
}

/// What it offers, each once.
fn algorithms(info: &DeviceInfo) -> Vec<&'static str> {
    let schemes = info.schemes.iter().map(|scheme| match scheme {
        Scheme::Sm2 => "SM2",
        Scheme::EcdsaP256 => "ECDSA-P256",
        Scheme::RsaPkcs1(_) => "RSA-PKCS1",
        Scheme::RsaPss(_) => "RSA-PSS",
    });
    let ciphers = info.ciphers.iter().map(|cipher| match cipher {
        custody::Cipher::Sm1 => "SM1",
        custody::Cipher::Sm4 => "SM4",
        custody::Cipher::Aes => "AES",
    });
    let mut found: Vec<&'static str> = schemes.chain(ciphers).collect();
    found.dedup();
    found
}
