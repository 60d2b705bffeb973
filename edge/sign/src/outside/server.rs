//! One outside server and the thread that looks after it.
//!
//! ```text
//! opening ──answers──▶ ready ──no connection, no answer──▶ down ──answers its keeper──▶ ready
//! ```
//! While it is down nothing is sent to it but the tries of its own thread: after 1 s, then twice as long each time up to a
//! minute, or when a person asks. While it is ready its certificates are looked at every ten minutes: one that is not the
//! accepted one stops its signer.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gm::{Algorithm, Certificate, Trust};
use records::{Clock, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::line::{Line, Place, STACK};
use super::quota::{Contract, Use};
use super::{Beyond, BindingState, Fault, OutsideConfig, chain, message};
use crate::Refusal;
use crate::keys::device::{DeviceState, Trouble};
use crate::vault::{BindingRow, Unit, Vault};

/// The first pause before a server is tried again, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Certificates of a server that is ready are looked at this often.
const LOOK: Duration = Duration::from_secs(600);
/// A call waits so long for the first try.
const FIRST_TRY: Duration = Duration::from_secs(3);
/// A name that no server has: its answer, whatever it is, shows that it lives.
const NOBODY: &str = "signd-probe";

/// A server of the settings.
pub(crate) struct Server {
    pub(crate) name: String,
    pub(super) config: OutsideConfig,
    /// To whom signers' certificates lead.
    pub(super) trust: Trust,
    pub(super) contract: Option<Contract>,
    line: Line,
    pub(super) vault: Arc<Vault>,
    pub(super) clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
    moved: Condvar,
}

struct Inner {
    stage: Stage,
    since: Timestamp,
    trouble: Option<Trouble>,
    /// A person wants it tried now.
    asked: bool,
    closed: bool,
}

enum Stage {
    Opening,
    Ready,
    Down,
}

/// An outside server as it is now, without asking it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = OutsideServerView)]
pub struct ServerView {
    /// Its name in the settings.
    pub name: String,
    /// Where it is asked.
    pub url: String,
    /// We show it a certificate of ours.
    pub mutual: bool,
    /// What is spoken: `classic`, `sm`, ….
    pub tls: String,
    /// How it is.
    pub state: DeviceState,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// The last thing that went wrong, also when all is well again.
    pub trouble: Option<Trouble>,
    /// How much is used of what was agreed.
    #[serde(rename = "use")]
    pub used: Use,
    /// Signers that cannot sign until somebody does something: another certificate, a refused password.
    pub stopped: u64,
}

impl Server {
    /// Begins to ask it.
    pub(super) fn start(
        config: &OutsideConfig,
        vault: Arc<Vault>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, Refusal> {
        let contract = config.contract.as_ref();
        let server = Arc::new(Self {
            name: config.name.clone(),
            trust: config.trust()?,
            contract: contract
                .map(|contract| Contract::read(&config.name, contract))
                .transpose()?,
            line: Line::start(config)?,
            config: config.clone(),
            vault,
            inner: Mutex::new(Inner {
                stage: Stage::Opening,
                since: clock.now(),
                trouble: None,
                asked: false,
                closed: false,
            }),
            clock,
            moved: Condvar::new(),
        });
        let keeper = Arc::clone(&server);
        let thread = std::thread::Builder::new()
            .name("outside-keeper".to_owned())
            .stack_size(STACK);
        let started = thread.spawn(move || keeper.keep());
        started.map_err(|_| Refusal::no("outside_thread", "无法为外部签名服务器启动线程。"))?;
        Ok(server)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'g>(&self, inner: MutexGuard<'g, Inner>, until: Instant) -> Option<MutexGuard<'g, Inner>> {
        let left = until.checked_duration_since(Instant::now())?;
        let waited = self.moved.wait_timeout(inner, left);
        Some(waited.unwrap_or_else(PoisonError::into_inner).0)
    }

    /// Tries the server, looks after it, tries it again: until it is closed.
    fn keep(&self) {
        let mut pause = PAUSES.0;
        loop {
            let rest = match self.look() {
                Ok(()) => {
                    pause = PAUSES.0;
                    self.rise();
                    LOOK
                }
                // Others keep it so busy that it must be well.
                Err(Fault::Busy) => PAUSES.1,
                Err(fault) => {
                    self.fall(&fault);
                    let rest = pause;
                    pause = (pause * 2).min(PAUSES.1);
                    rest
                }
            };
            if !self.rest(rest) {
                return;
            }
        }
    }

    /// Waits before the next look; until one is due, or a call found the server down. False when there will be none.
    fn rest(&self, pause: Duration) -> bool {
        let mut until = Instant::now() + pause;
        let mut inner = self.inner();
        let was_ready = matches!(inner.stage, Stage::Ready);
        loop {
            if inner.closed {
                return false;
            }
            if std::mem::take(&mut inner.asked) {
                return true;
            }
            if was_ready && matches!(inner.stage, Stage::Down) {
                until = until.min(Instant::now() + PAUSES.0);
            }
            match self.wait(inner, until) {
                Some(woken) => inner = woken,
                None => return true,
            }
        }
    }

    /// Asks for the certificate of every signer bound here; when there is none, whether it answers at all.
    fn look(&self) -> Result<(), Fault> {
        let rows = self.vault.read(|unit| unit.outside_signers(&self.name));
        let mut rows = rows.unwrap_or_default();
        rows.retain(|row| row.state != BindingState::Ended.name());
        if rows.is_empty() {
            return self.probe(NOBODY);
        }
        for row in rows {
            match self.fetch(&row.identification) {
                Ok(der) => self.compare(&row, &der),
                // It answers; what it has against this one is for an administrator to see.
                Err(Fault::Refused { number, words }) => {
                    let fault = Fault::Refused { number, words };
                    self.remember(&fault, &format!("{} 的证书无法导出：", row.signer));
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }

    fn probe(&self, name: &str) -> Result<(), Fault> {
        match self.fetch(name) {
            Ok(_) | Err(Fault::Refused { number: 1000.., .. }) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    /// Exports a certificate, DER, past the state: the keeper and administrators may ask a server that is down.
    pub(super) fn fetch(&self, identification: &str) -> Result<Vec<u8>, Fault> {
        let answer = self
            .line
            .place()?
            .ask(message::export_cert(identification, self.config.wrapped))?;
        message::exported(&answer)
    }

    /// Exports a certificate, led to the roots of the settings and fit for documents: what a binding begins with.
    pub(super) fn export(&self, identification: &str) -> Result<Vec<Certificate>, Refusal> {
        let der = self
            .fetch(identification)
            .inspect_err(|fault| self.note(fault))
            .map_err(|fault| self.refusal(&fault))?;
        self.judged(&der)
    }

    /// The path of a certificate to the roots.
    pub(super) fn judged(&self, der: &[u8]) -> Result<Vec<Certificate>, Refusal> {
        let leaf = Certificate::parse(der)?;
        leaf.may_sign_documents()?;
        if Algorithm::default_of(leaf.public_key.kind()) != Algorithm::Sm2 {
            return Err(Refusal::no(
                "outside_algorithm",
                "外部签名服务器上的证书不是 SM2 证书，不能登记。",
            ));
        }
        Ok(self.trust.path(&leaf, &[], self.clock.now().offset())?)
    }

    /// Holds an exported certificate against the accepted one.
    pub(super) fn compare(&self, row: &BindingRow, der: &[u8]) {
        if Certificate::parse(der).is_err() {
            self.remember(&Fault::Garbage("导出的不是证书"), &format!("{}：", row.signer));
            return;
        }
        let accepted = chain(row).ok().and_then(|chain| chain.into_iter().next());
        if accepted.is_none_or(|accepted| accepted.der == der) || row.seen.as_deref() == Some(der) {
            return;
        }
        if let Err(refusal) = self.changed(row, der) {
            tracing::error!(sign.refusal = %refusal, "a changed certificate could not be noted");
        }
    }

    /// Another certificate than the accepted one: its signer stops until an administrator has looked at it.
    fn changed(&self, row: &BindingRow, der: &[u8]) -> Result<(), Refusal> {
        let now = self.clock.now();
        let print = hex::encode(gm::key::sha256(der));
        tracing::error!(outside.name = %self.name, sign.signer = row.signer, "an outside server has another certificate");
        self.vault.write(|unit| {
            let same = |found: &BindingRow| found.server == self.name && found.chain == row.chain;
            let Some(mut found) = unit.outside_signer(&row.signer)?.filter(same) else {
                return Ok(());
            };
            if found.state == BindingState::Ended.name() {
                return Ok(());
            }
            found.seen = Some(der.to_vec());
            found.state = BindingState::Changed.name().to_owned();
            unit.put_outside_signer(&found, now)?;
            unit.log(
                now,
                "outside.changed",
                &row.signer,
                &format!("{} certificate {print}", self.name),
            )
        })
    }

    /// It answers.
    fn rise(&self) {
        let mut inner = self.inner();
        if !matches!(inner.stage, Stage::Ready) {
            tracing::info!(outside.name = %self.name, "an outside signature server answers");
            inner.stage = Stage::Ready;
            inner.since = self.clock.now();
        }
        drop(inner);
        self.moved.notify_all();
    }

    /// It does not.
    fn fall(&self, fault: &Fault) {
        let now = self.clock.now();
        let mut inner = self.inner();
        if !matches!(inner.stage, Stage::Down) {
            tracing::error!(outside.name = %self.name, outside.fault = %fault, "an outside signature server is down");
            inner.since = now;
        }
        inner.stage = Stage::Down;
        inner.trouble = Some(fault.trouble(now, ""));
        drop(inner);
        self.moved.notify_all();
    }

    /// What a call found out about the server.
    pub(super) fn note(&self, fault: &Fault) {
        match fault {
            Fault::Withheld | Fault::Busy => {}
            fault if fault.lost() => self.fall(fault),
            fault => self.remember(fault, ""),
        }
    }

    fn remember(&self, fault: &Fault, about: &str) {
        tracing::warn!(outside.name = %self.name, outside.fault = %fault, "an outside signature server refused");
        self.inner().trouble = Some(fault.trouble(self.clock.now(), about));
    }

    /// A place at a server that is not known to be down.
    pub(super) fn place(&self) -> Result<Place<'_>, Fault> {
        let until = Instant::now() + FIRST_TRY;
        let mut inner = self.inner();
        while matches!(inner.stage, Stage::Opening) && !inner.closed {
            match self.wait(inner, until) {
                Some(woken) => inner = woken,
                None => return Err(Fault::Withheld),
            }
        }
        if !matches!(inner.stage, Stage::Ready) {
            return Err(Fault::Withheld);
        }
        drop(inner);
        self.line.place()
    }

    /// Whether one signer more may be bound.
    pub(super) fn has_room(&self, bound: u64) -> bool {
        let contract = self.contract.as_ref();
        contract.is_none_or(|contract| contract.beyond == Beyond::Allow || bound < contract.signers)
    }

    /// Has it tried now.
    pub(super) fn retry(&self) {
        self.inner().asked = true;
        self.moved.notify_all();
    }

    /// Its thread ends when it is free.
    pub(super) fn close(&self) {
        self.inner().closed = true;
        self.moved.notify_all();
    }

    pub(super) fn words(&self, fault: &Fault) -> String {
        format!("外部签名服务器 {}：{}", self.name, fault.person())
    }

    pub(super) fn refusal(&self, fault: &Fault) -> Refusal {
        Refusal::no(fault.code(), self.words(fault))
    }

    /// How it is, without asking it.
    pub(super) fn view(&self, unit: &Unit<'_>) -> Result<ServerView, Refusal> {
        let year = self.year(self.clock.now());
        let row = unit.outside_use(&self.name, year.begins.as_seconds())?;
        let signers = unit.outside_signers(&self.name)?;
        let count = |states: &[BindingState]| {
            let among = signers
                .iter()
                .filter(|row| states.iter().any(|state| state.name() == row.state));
            among.count() as u64
        };
        let bound = signers.len() as u64 - count(&[BindingState::Ended]);
        let inner = self.inner();
        Ok(ServerView {
            name: self.name.clone(),
            url: self.config.url.clone(),
            mutual: self.config.client_certificate.is_some(),
            tls: self.config.tls.clone(),
            state: match inner.stage {
                Stage::Opening => DeviceState::Opening,
                Stage::Ready => DeviceState::Ready,
                Stage::Down => DeviceState::Down,
            },
            since: inner.since,
            trouble: inner.trouble.clone(),
            used: Use::of(self.contract.as_ref(), year, row, bound),
            stopped: count(&[BindingState::Changed, BindingState::Locked]),
        })
    }
}
