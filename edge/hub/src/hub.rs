//! One task per printer: asks for its state, and prints what waits for it, or for a printer it stands in for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use printer::wire::{self, Patience};
use printer::{Font, FontError, Outcome, Status};
use records::line::PrinterHealth;
use records::paper::PrintTemplate;
use records::{Actor, PrintJob, TenantId};
use store::{Scope, Store, StoreError, Tx};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Opened, Printer, PrinterConfig, SlipFont, checked};
use crate::spool::{self, Job, Refusal, Step};
use crate::template;

/// Between tries to write down what became of a job.
const AGAIN: Duration = Duration::from_secs(2);

/// The hub; cheap to clone.
#[derive(Clone)]
pub struct Hub {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) scope: Scope,
    pub(crate) printers: Vec<Printer>,
    font: SlipFont,
    states: Mutex<BTreeMap<String, Seen>>,
    wake: Notify,
}

/// What a printer said last, and since when it has been saying so.
#[derive(Debug, Clone, Copy)]
struct Seen {
    status: Status,
    since: Instant,
}

impl Hub {
    /// Opens the spool: brings its tables up to date and turns what was on its way into `unknown`.
    ///
    /// # Errors
    /// See [`Opened`].
    pub async fn open(
        store: Store,
        tenant: TenantId,
        printers: Vec<PrinterConfig>,
        font: SlipFont,
    ) -> Result<Self, Opened> {
        let printers = checked(printers)?;
        store.migrate(spool::MIGRATIONS).await?;
        let scope = Scope::new(tenant, Actor::System);
        let found = store
            .write(&scope, |tx| Box::pin(async move { spool::recover(tx).await }))
            .await?;
        if found > 0 {
            tracing::warn!(
                print.unknown = found,
                "print jobs were on their way when the process ended"
            );
        }
        // Told at the start, not at the first slip; then let go: a CJK collection takes tens of megabytes.
        let tried = font.clone();
        tokio::task::spawn_blocking(move || Font::load(&tried.path, tried.index).map(drop))
            .await
            .map_err(|_| Opened::CutOff)??;
        let inner = Inner {
            store,
            scope,
            printers,
            font,
            states: Mutex::default(),
            wake: Notify::new(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Takes a job from the cloud, in the unit that moves the inbox cursor. Call [`Hub::wake`] after the commit.
    ///
    /// # Errors
    /// Of the database.
    pub async fn accept(tx: &mut Tx<'_>, job: &PrintJob) -> Result<(), StoreError> {
        spool::accept(tx, job).await
    }

    /// Takes a template from the cloud, likewise. One that cannot be used is kept aside with the reason, and the last
    /// good one stays in use.
    ///
    /// # Errors
    /// Of the database.
    pub async fn accept_template(tx: &mut Tx<'_>, template: &PrintTemplate) -> Result<(), StoreError> {
        template::accept(tx, template).await
    }

    /// Has the printers look at once.
    pub fn wake(&self) {
        self.inner.wake.notify_waiters();
    }

    /// Prints until stopped; a job under way is ended first.
    pub async fn run(&self, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        for printer in self.inner.printers.clone() {
            let (own, stop) = (self.clone(), stop.clone());
            tasks.spawn(async move { own.serve(&printer, &stop).await });
        }
        tasks.close();
        tasks.wait().await;
    }

    async fn serve(&self, printer: &Printer, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let woken = self.inner.wake.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            let pause = match self.once(printer, stop).await {
                Ok(true) => Duration::ZERO,
                Ok(false) => Duration::from_secs(3),
                Err(error) => {
                    tracing::error!(%error, printer.id = %printer.config.id, "spool cannot be used");
                    Duration::from_secs(2)
                }
            };
            if pause.is_zero() {
                continue;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = woken => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Role names whose jobs this printer prints: its own, and those it stands in for while they are down.
    fn roles(&self, printer: &Printer) -> Vec<String> {
        let states = self.inner.states.lock().unwrap_or_else(PoisonError::into_inner);
        let down = |other: &PrinterConfig| {
            states.get(&other.id).is_some_and(|seen| {
                !seen.status.takes_jobs()
                    && seen.status != Status::Busy
                    && seen.since.elapsed() >= Duration::from_secs(other.stand_in_after_s)
            })
        };
        let others = self.inner.printers.iter().map(|p| &p.config);
        let others = others.filter(|o| o.stand_in.as_deref() == Some(printer.config.id.as_str()) && down(o));
        std::iter::once(printer.config.id.clone())
            .chain(others.map(|o| o.id.clone()))
            .collect()
    }

    /// Prints the next job if there is one; `true` when there may be more to do at once.
    async fn once(&self, printer: &Printer, stop: &CancellationToken) -> Result<bool, StoreError> {
        let config = &printer.config;
        let patience = Patience {
            answer: Duration::from_secs(config.answer_s),
            busy: Duration::from_secs(config.busy_s),
            ..Patience::default()
        };
        let roles = self.roles(printer);
        let next = self.inner.store.read(&self.inner.scope, move |tx| {
            let roles = roles.clone();
            Box::pin(async move { spool::next(tx, &roles).await })
        });
        let Some(job) = next.await? else {
            let status = wire::status(&printer.address, config.language, patience).await;
            self.seen(config, status.unwrap_or(Status::Offline));
            return Ok(false);
        };
        let own = job.printer == config.id;
        let Some(parts) = self.parts(&job, config).await? else {
            self.explain(&job.key, "小票排版失败，请检查前置机的字体文件").await?;
            return Ok(false);
        };
        let (language, tag) = (config.language, format!("YQ{}C{}", job.seq, job.copy));
        let note = if own {
            String::new()
        } else {
            format!("由“{}”代打", config.name)
        };
        let begun_here = AtomicBool::new(false);
        let begun = async || {
            let ours = matches!(self.begin(&job.key, &config.id, &note).await, Ok(Ok(_)));
            begun_here.store(ours, Ordering::Relaxed);
            ours
        };
        let sent = wire::Job { language, parts, tag };
        let outcome = wire::print(&printer.address, sent, patience, begun).await;
        tracing::info!(printer.id = %config.id, print.key = %job.key, print.outcome = ?outcome, "print job");
        let refusal = match outcome {
            Outcome::Printed => {
                self.seen(config, Status::Ready);
                self.settle(&job.key, Step::Confirm, &note, stop).await?.err()
            }
            Outcome::Unknown(_) => {
                let words = format!("打印途中打印机无应答，请核对“{}”的纸张", config.name);
                self.settle(&job.key, Step::Doubt, &words, stop).await?.err()
            }
            Outcome::NotPrinted(status) => {
                // A print server may refuse what it was offered: then nothing is on paper after all. A job that was not
                // begun here may be under way at a stand-in.
                if begun_here.load(Ordering::Relaxed) {
                    self.settle(&job.key, Step::Return, "", stop).await?.ok();
                }
                self.seen(config, status);
                if own {
                    self.explain(&job.key, status.words()).await?;
                }
                return Ok(false);
            }
            Outcome::Unreachable => {
                self.seen(config, Status::Offline);
                if own {
                    self.explain(&job.key, Status::Offline.words()).await?;
                }
                return Ok(false);
            }
            // Its own printer, a stand-in or a person was faster.
            Outcome::Withheld => return Ok(false),
        };
        if let Some(refusal) = refusal {
            tracing::error!(%refusal, print.key = %job.key, "a print job changed under its printer");
        }
        Ok(true)
    }

    /// What goes to the printer. `None` when it could not be set: nothing was sent, the job stays where it is.
    async fn parts(&self, job: &Job, config: &PrinterConfig) -> Result<Option<Vec<Vec<u8>>>, StoreError> {
        let kind = job.paper();
        let template = self.inner.store.read(&self.inner.scope, move |tx| {
            Box::pin(async move { template::in_use(tx, kind).await })
        });
        let template = template.await?;
        let slip = template::slip(job);
        let (font, sheet, language) = (self.inner.font.clone(), config.sheet(), config.language);
        let set = tokio::task::spawn_blocking(move || {
            let font = Font::load(&font.path, font.index)?;
            Ok::<_, FontError>(language.encode(&template.render(&slip, &font, &sheet), &sheet))
        });
        let error = match set.await {
            Ok(Ok(parts)) => return Ok(Some(parts)),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        tracing::error!(error, print.key = %job.key, "a slip cannot be set");
        Ok(None)
    }

    fn seen(&self, config: &PrinterConfig, status: Status) {
        let mut states = self.inner.states.lock().unwrap_or_else(PoisonError::into_inner);
        let before = states.get(&config.id).copied();
        if before.is_none_or(|b| b.status != status) {
            tracing::info!(printer.id = %config.id, printer.state = status.word(), "printer");
        }
        // Down stays down whatever the reason is now: the stand-in's patience runs from the first.
        let since = before
            .filter(|b| b.status.takes_jobs() == status.takes_jobs())
            .map_or_else(Instant::now, |b| b.since);
        states.insert(config.id.clone(), Seen { status, since });
    }

    async fn explain(&self, key: &str, note: &'static str) -> Result<(), StoreError> {
        let key = key.to_owned();
        let done = self.inner.store.write(&self.inner.scope, move |tx| {
            let key = key.clone();
            Box::pin(async move { spool::explain(tx, &key, note).await })
        });
        done.await
    }

    async fn begin(&self, key: &str, printer: &str, note: &str) -> Result<Result<Job, Refusal>, StoreError> {
        let (key, printer, note) = (key.to_owned(), printer.to_owned(), note.to_owned());
        let done = self.inner.store.write(&self.inner.scope, move |tx| {
            let (key, printer, note) = (key.clone(), printer.clone(), note.clone());
            Box::pin(async move { spool::begin(tx, &key, &printer, &note).await })
        });
        done.await
    }

    /// Writes down what became of a job, however long that takes (a full disk): a job that stays on its way is printed no
    /// more and cannot be settled by a person. Whoever stops us meanwhile finds it unknown at the next start.
    async fn settle(
        &self,
        key: &str,
        step: Step,
        note: &str,
        stop: &CancellationToken,
    ) -> Result<Result<Job, Refusal>, StoreError> {
        loop {
            match self.step(key, step, note).await {
                Err(error) if !stop.is_cancelled() => {
                    tracing::error!(%error, print.key = key, "what became of a print job cannot be written down yet");
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = tokio::time::sleep(AGAIN) => {}
                    }
                }
                done => return done,
            }
        }
    }

    pub(crate) async fn step(&self, key: &str, step: Step, note: &str) -> Result<Result<Job, Refusal>, StoreError> {
        let (key, note) = (key.to_owned(), note.to_owned());
        let done = self.inner.store.write(&self.inner.scope, move |tx| {
            let (key, note) = (key.clone(), note.clone());
            Box::pin(async move { spool::step(tx, &key, step, &note).await })
        });
        done.await
    }

    pub(crate) fn status_of(&self, id: &str) -> Status {
        let states = self.inner.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.get(id).map_or(Status::Offline, |seen| seen.status)
    }

    /// The printers with their states.
    ///
    /// # Errors
    /// Of the database.
    pub async fn health(&self) -> Result<Vec<PrinterHealth>, StoreError> {
        let counts = self.counts().await?;
        let printers = self.inner.printers.iter().map(|p| PrinterHealth {
            id: p.config.id.clone(),
            name: p.config.name.clone(),
            state: self.status_of(&p.config.id).word().to_owned(),
            waiting: counts.get(&p.config.id).map_or(0, |c| c.0),
        });
        Ok(printers.collect())
    }

    /// Jobs waiting and jobs to decide, per printer.
    pub(crate) async fn counts(&self) -> Result<BTreeMap<String, (u64, u64)>, StoreError> {
        let rows = self
            .inner
            .store
            .read(&self.inner.scope, |tx| Box::pin(async move { spool::counts(tx).await }))
            .await;
        let rows: Vec<(String, u64, u64)> = rows.map_err(|e: StoreError| e)?;
        Ok(rows
            .into_iter()
            .map(|(id, waiting, unknown)| (id, (waiting, unknown)))
            .collect())
    }
}
