//! What `signd` does, without its socket.

mod approved;
mod authority;
mod document;
mod kek;
mod outside;
mod proven;
pub(crate) mod seal_stamp;
mod signer;
mod signer_root;

pub use approved::Approvals;
pub(crate) use authority::{open_key, owner as authority_owner, sm2_key};
use document::Signing;
pub(crate) use document::Waiting;
pub(crate) use signer_root::owner as signer_root_owner;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use attest::Tpm;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use records::his::Operation;
use records::{Clock, Outcome, Timestamp, sign as ops};
use serde_json::Value;
use timesource::TimeKeeper;

use self::kek::Holding;
use self::outside::Key;
use self::proven::Proven;
use crate::Refusal;
use crate::config::DeviceConfig;
use crate::guard::{self, Guarded, MemoryLock};
use crate::keys::device::Devices;
use crate::outside::{Outside, OutsideConfig};
use crate::revocation::{ListAddress, Revocation};
use crate::vault::{Check, Vault};
use crate::wire::Request;

/// No signature before this version was written (2026-11-01).
const BUILT: Timestamp = Timestamp::from_seconds(1_793_491_200);
/// A clock may be set back by this much (time servers do).
const BACKWARD: Duration = Duration::from_secs(60);
/// A clock that leaps further than this is not believed.
const FORWARD: Duration = Duration::from_secs(400 * 24 * 3600);

/// Entries of a log that is checked whole each time: some milliseconds' worth.
const SHORT_LOG: i64 = 5_000;

/// The signature server's engine. Its acts block: on the disk, on the TPM and on stretching the PIN.
pub struct Engine {
    pub(crate) vault: Arc<Vault>,
    /// The state folder.
    pub(crate) dir: PathBuf,
    pub(crate) tpm: Arc<Tpm>,
    pub(crate) rules: Rules,
    holding: Holding,
    proven: Proven<Key>,
    pub(crate) clock: Arc<dyn Clock>,
    /// How far the log has been found whole; what was checked once is not read again.
    checked: Mutex<Check>,
    /// Checkpoints are made and looked at one at a time.
    pub(crate) checkpointing: Mutex<()>,
    /// The self-test failed.
    stopped: AtomicBool,
    /// Devices that keep keys.
    pub(crate) devices: Devices,
    /// Signature servers of others that keep signers' keys.
    pub(crate) outside: Outside,
    /// Where the lists of our own authority are published.
    pub(crate) published: ListAddress,
    /// Serial numbers of our own time stamps.
    stamp_numbers: seal_stamp::Numbers,
    /// States of the machine that its maker approves.
    approvals: Option<Approvals>,
    /// The time by its sources; absent in a process that keeps none.
    time: OnceLock<TimeKeeper>,
    /// Revocation lists of other authorities; absent in a process that fetches none.
    revocation: OnceLock<Arc<Revocation>>,
}

/// What a hospital may set.
#[derive(Debug, Clone)]
pub struct Rules {
    /// PCRs of the sha256 bank to which the key of keys is sealed.
    pub pcrs: Vec<u8>,
    /// Fewest digits of a PIN, 4 to 12.
    pub pin_min: usize,
    /// What keeps keys inside this process.
    pub guarded: Guarded,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("tpm", &self.tpm).finish_non_exhaustive()
    }
}

impl Engine {
    /// Opens the state in `dir`. The TPM need not answer yet.
    pub fn open(dir: &Path, tpm: Tpm, rules: Rules, clock: Arc<dyn Clock>) -> Result<Self, Refusal> {
        let vault = Vault::open(&dir.join("signd.db"))?;
        Ok(Self {
            vault: Arc::new(vault),
            dir: dir.to_path_buf(),
            tpm: Arc::new(tpm),
            rules,
            holding: Holding::default(),
            proven: Proven::default(),
            clock,
            checked: Mutex::default(),
            checkpointing: Mutex::default(),
            stopped: AtomicBool::new(false),
            devices: Devices::default(),
            outside: Outside::default(),
            published: ListAddress::default(),
            stamp_numbers: seal_stamp::Numbers::default(),
            approvals: None,
            time: OnceLock::new(),
            revocation: OnceLock::new(),
        })
    }

    /// With the devices of the settings, which begin to be opened. They need not be there yet.
    pub fn with_devices(mut self, devices: &[DeviceConfig]) -> Result<Self, Refusal> {
        self.devices = Devices::start(devices, &self.clock)?;
        Ok(self)
    }

    /// With the signature servers of others of the settings, which begin to be asked. They need not be there yet.
    pub fn with_outside(mut self, servers: &[OutsideConfig]) -> Result<Self, Refusal> {
        self.outside = Outside::start(servers, &self.vault, &self.clock)?;
        Ok(self)
    }

    /// With the lists of our own authority published under this address, unless an administrator says another: certificates
    /// name it.
    #[must_use]
    pub fn publishing(mut self, address: Option<String>) -> Self {
        self.published = ListAddress::starting_with(address);
        self
    }

    /// After a right PIN the signer's next signatures cost no stretching for so long: see [`proven`].
    #[must_use]
    pub fn remembering_pins(mut self, lasts: Duration) -> Self {
        if self.may_hold_secrets() {
            self.proven = Proven::lasting(lasts);
        }
        self
    }

    /// Whether secrets may stay in memory between acts: nobody else sees this process's memory, not even the disk.
    fn may_hold_secrets(&self) -> bool {
        self.memory_locked() && self.rules.guarded.no_dumps
    }

    /// Memory is never written to swap.
    fn memory_locked(&self) -> bool {
        self.rules.guarded.memory_locked && guard::memory_lock() != MemoryLock::Lost
    }

    /// Wipes secrets whose time is over; to be called every few seconds.
    pub fn forget_expired(&self) {
        let now = Instant::now();
        self.holding.forget_expired(now);
        self.proven.forget_expired(now);
    }

    /// Does what a request asks. Refusals are logged here and answered in plain words.
    pub fn answer(&self, request: Request) -> Outcome<Value> {
        match self.begin(request) {
            Step::Done(outcome) => outcome,
            Step::Outside(waiting) => self.finish(*waiting),
        }
    }

    /// Does what a request asks, but for what an outside server must be waited for: [`Self::finish`] does that.
    pub(crate) fn begin(&self, request: Request) -> Step {
        let key = request.key.as_deref();
        if request.method == ops::SignDocument::METHOD {
            let Ok(asked) = serde_json::from_value::<ops::SignRequest>(request.body) else {
                return Step::Done(Outcome::refused("bad_request", "请求格式不正确。"));
            };
            return match self.sign_document(key, asked) {
                Ok(Signing::Outside(waiting)) => Step::Outside(waiting),
                Ok(Signing::Made(made)) => Step::Done(told::<ops::SignDocument>(Ok(made))),
                Err(refusal) => Step::Done(told::<ops::SignDocument>(Err(refusal))),
            };
        }
        Step::Done(self.answer_here(key, &request.method, request.body))
    }

    /// Waits for an outside server, and answers.
    pub(crate) fn finish(&self, waiting: Waiting) -> Outcome<Value> {
        told::<ops::SignDocument>(self.sign_outside(waiting))
    }

    fn answer_here(&self, key: Option<&str>, method: &str, body: Value) -> Outcome<Value> {
        match method {
            ops::Enrol::METHOD => self.run::<ops::Enrol>(body, |r| self.enrol(r)),
            ops::SealPdf::METHOD => self.run::<ops::SealPdf>(body, |r| self.seal_pdf(key, r)),
            ops::Status::METHOD => self.run::<ops::Status>(body, |r| self.status(&r.signer_id)),
            ops::ChangePin::METHOD => self.run::<ops::ChangePin>(body, |r| self.change_pin(r)),
            ops::Unlock::METHOD => self.run::<ops::Unlock>(body, |r| self.unlock(r)),
            ops::TrustRoots::METHOD => self.run::<ops::TrustRoots>(body, |_| self.roots()),
            ops::RevocationLists::METHOD => self.run::<ops::RevocationLists>(body, |_| self.newest_lists()),
            ops::Verify::METHOD => self.run::<ops::Verify>(body, |r| self.verify(&r)),
            ops::Health::METHOD => self.run::<ops::Health>(body, |_| self.health()),
            _ => Outcome::refused("unknown_method", "签名服务器不支持该操作。"),
        }
    }

    fn run<O: Operation>(
        &self,
        body: Value,
        act: impl FnOnce(O::Request) -> Result<O::Response, Refusal>,
    ) -> Outcome<Value> {
        let Ok(asked) = serde_json::from_value::<O::Request>(body) else {
            return Outcome::refused("bad_request", "请求格式不正确。");
        };
        told::<O>(act(asked))
    }

    /// Stops all signing after a failed self-test, or lets it go on after one that passed.
    pub(crate) fn stop_signing(&self, stop: bool) {
        self.stopped.store(stop, Ordering::SeqCst);
        if stop {
            self.holding.forget();
            self.proven.forget_all();
        }
    }

    /// The present time, cut to seconds, if it can be believed and this server is well.
    pub(crate) fn trusted_now(&self) -> Result<Timestamp, Refusal> {
        // The lock is asked for as well: it stops signing before the self-test has come round to say so.
        if self.stopped.load(Ordering::SeqCst) || guard::memory_lock() == MemoryLock::Lost {
            return Err(Refusal::no("self_test", "自检未通过，已停止签名，请联系管理员。"));
        }
        let now = match self.time.get() {
            Some(time) => {
                time.now()
                    .map_err(|why| Refusal::no("clock_untrusted", format!("{why}。")))?
                    .at
            }
            None => self.clock.now(),
        };
        let now = Timestamp::from_seconds(now.as_seconds());
        let last = self.vault.last_seen();
        let early = now < BUILT || last.is_some_and(|last| now < last.minus(BACKWARD));
        let leapt = last.is_some_and(|last| now > last.plus(FORWARD));
        if early || leapt {
            return Err(Refusal::no(
                "clock_untrusted",
                "设备时钟不可信，暂停签名，请联系管理员校时。",
            ));
        }
        Ok(now)
    }

    /// Takes the time from these sources from now on.
    pub fn keep_time(&self, time: TimeKeeper) {
        // Said once, at the start of the process.
        let _ = self.time.set(time);
    }

    /// Signs by these lists of other authorities from now on.
    pub(crate) fn heed(&self, revocation: &Arc<Revocation>) {
        let _ = self.revocation.set(Arc::clone(revocation));
    }

    /// The time by its sources.
    pub(crate) fn time(&self) -> Result<&TimeKeeper, Refusal> {
        self.time
            .get()
            .ok_or_else(|| Refusal::no("time_off", "本进程没有启用时间源。"))
    }

    /// Takes the machine's clock for right, whatever was seen before; for an administrator at the machine.
    pub fn accept_clock(&self) -> Result<(), Refusal> {
        let now = self.clock.now();
        self.vault.write(|unit| {
            unit.forget_clock()?;
            unit.lower_request_marks(now)?;
            unit.log(now, "clock.accepted", "", "")
        })
    }

    /// Lets the check of the log begin after what it holds now; for an administrator at the machine who has looked into a
    /// log that was tampered with.
    pub fn accept_log(&self) -> Result<(), Refusal> {
        let now = self.clock.now();
        let check = self.vault.check_log(Check::default())?;
        let detail = check.broken_at.map_or_else(String::new, |at| format!("broken at {at}"));
        self.vault.write(|unit| {
            unit.log(now, "log.accepted", "", &detail)?;
            unit.accept_log(now)
        })?;
        self.checkpoint_anew()
    }

    pub(crate) fn health(&self) -> Result<ops::ServerHealth, Refusal> {
        let sealed = self.vault.write(|unit| unit.kek())?;
        let tpm = match sealed {
            None => self.tpm.answers().map(|()| "new"),
            Some(_) => self.kek().map(|_| "ok").map_err(|error| match error {
                Refusal::Tpm(error) => error,
                _ => attest::TpmError::Malformed,
            }),
        };
        let (signers, locked) = self.vault.counts()?;
        let check = self.check_log()?;
        Ok(ops::ServerHealth {
            tpm: tpm.unwrap_or_else(|error| error.code()).to_owned(),
            clock: if self.trusted_now().is_ok() { "ok" } else { "untrusted" }.to_owned(),
            signers,
            locked,
            log_entries: check.seq.unsigned_abs(),
            log_intact: check.broken_at.is_none(),
            memory_locked: self.memory_locked(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }

    /// Checks the log's chain: a short one whole, a long one from where it was last found whole. All of a long one is
    /// checked at start and on demand ([`Self::check_whole_log`]).
    pub(crate) fn check_log(&self) -> Result<Check, Refusal> {
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if checked.seq <= SHORT_LOG {
            *checked = Check::default();
        }
        if checked.broken_at.is_none() {
            *checked = self.vault.check_log(checked.clone())?;
        }
        Ok(checked.clone())
    }

    /// Checks the log's chain from its first entry.
    pub(crate) fn check_whole_log(&self) -> Result<Check, Refusal> {
        self.check_whole_log_telling(|_| {})
    }

    /// As [`Self::check_whole_log`], and tells how far it has come.
    pub(crate) fn check_whole_log_telling(&self, tell: impl FnMut(i64)) -> Result<Check, Refusal> {
        let check = self.vault.check_log_telling(Check::default(), tell)?;
        self.checked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone_from(&check);
        Ok(check)
    }

    fn roots(&self) -> Result<ops::Roots, Refusal> {
        let (roots, outside) = self.vault.write(|unit| Ok((unit.roots()?, unit.outside_roots()?)))?;
        let (mut signers, seals): (Vec<_>, Vec<_>) = roots
            .iter()
            .map(|(a, b)| (STANDARD.encode(a), STANDARD.encode(b)))
            .unzip();
        signers.extend(outside.iter().map(|root| STANDARD.encode(root)));
        Ok(ops::Roots { signers, seals })
    }
}

/// What a request came to, or whom it waits for.
pub(crate) enum Step {
    /// The answer.
    Done(Outcome<Value>),
    /// Nothing of this process is needed but patience.
    Outside(Box<Waiting>),
}

fn told<O: Operation>(done: Result<O::Response, Refusal>) -> Outcome<Value> {
    match done.map(serde_json::to_value) {
        Ok(Ok(value)) => Outcome::Done(value),
        Ok(Err(_)) => Outcome::refused("bad_answer", "签名服务器内部错误。"),
        Err(refusal) => {
            tracing::warn!(sign.method = O::METHOD, sign.refusal = %refusal, "refused");
            refusal.into_outcome()
        }
    }
}

fn decode(text: &str, field: &str) -> Result<Vec<u8>, Refusal> {
    STANDARD
        .decode(text)
        .map_err(|_| Refusal::no("bad_request", format!("请求中的 {field} 不是 Base64。")))
}

fn caller_key(key: Option<&str>) -> Result<&str, Refusal> {
    key.filter(|key| !key.is_empty() && key.len() <= 200)
        .ok_or_else(|| Refusal::no("key_missing", "请求缺少幂等键。"))
}
