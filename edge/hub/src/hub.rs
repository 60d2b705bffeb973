//! One task per printer: asks for its state, and prints what waits for it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use printer::tcp::Patience;
use printer::{Font, FontError, Item, Outcome, Status, escpos};
use records::line::PrinterHealth;
use records::{Actor, PrintJob, TenantId};
use store::{Scope, Store, StoreError, Tx};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::spool::{self, Job, Refusal, Step};

/// A printer of the hospital.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct PrinterConfig {
    /// Role name, as jobs call it.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// `host:port`.
    pub address: String,
    /// Dots across: 576 for 80 mm, 864 for 108 mm paper.
    #[serde(default = "receipt")]
    pub width: u32,
    /// Seconds without an answer after which a job is given up as unknown.
    #[serde(default = "ten")]
    pub answer_s: u64,
}

const fn receipt() -> u32 {
    576
}
const fn ten() -> u64 {
    10
}

/// The font slips are set in.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct SlipFont {
    /// File.
    pub path: PathBuf,
    /// Number within a collection.
    #[serde(default)]
    pub index: u32,
}

impl Default for SlipFont {
    fn default() -> Self {
        Self {
            path: PathBuf::from("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"),
            index: 2,
        }
    }
}

/// Why the hub cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Opened {
    /// Of the database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Of the font.
    #[error(transparent)]
    Font(#[from] FontError),
    /// Loading was cut off.
    #[error("font could not be loaded")]
    CutOff,
}

/// The hub; cheap to clone.
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    scope: Scope,
    printers: Vec<PrinterConfig>,
    font: SlipFont,
    states: Mutex<BTreeMap<String, &'static str>>,
    wake: Notify,
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

    async fn serve(&self, printer: &PrinterConfig, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let woken = self.inner.wake.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            let pause = match self.once(printer).await {
                Ok(true) => Duration::ZERO,
                Ok(false) => Duration::from_secs(3),
                Err(error) => {
                    tracing::error!(%error, printer.id = %printer.id, "spool cannot be used");
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

    /// Prints the next job if there is one; `true` when there may be more to do at once.
    async fn once(&self, printer: &PrinterConfig) -> Result<bool, StoreError> {
        let patience = Patience {
            answer: Duration::from_secs(printer.answer_s),
            ..Patience::default()
        };
        let id = printer.id.clone();
        let next = self.inner.store.read(&self.inner.scope, move |tx| {
            let id = id.clone();
            Box::pin(async move { spool::next(tx, &id).await })
        });
        let Some(job) = next.await? else {
            let status = printer::tcp::status(&printer.address, patience).await;
            self.seen(printer, status.map_or("offline", Status::word));
            return Ok(false);
        };
        let Some(parts) = self.parts(&job, printer.width).await else {
            self.explain(&job.key, "小票排版失败，请检查前置机的字体文件").await?;
            return Ok(false);
        };
        let begun = async || matches!(self.step(&job.key, Step::Begin, "").await, Ok(Ok(_)));
        let outcome = printer::tcp::print(&printer.address, parts, patience, begun).await;
        tracing::info!(printer.id = %printer.id, print.key = %job.key, print.outcome = ?outcome, "print job");
        let refusal = match outcome {
            Outcome::Printed => {
                self.seen(printer, "ready");
                self.step(&job.key, Step::Confirm, "").await?.err()
            }
            Outcome::Unknown(_) => self
                .step(&job.key, Step::Doubt, "打印途中打印机无应答，请核对纸张")
                .await?
                .err(),
            Outcome::NotPrinted(status) => {
                self.seen(printer, status.word());
                self.explain(&job.key, words(status.word())).await?;
                return Ok(false);
            }
            Outcome::Unreachable => {
                self.seen(printer, "offline");
                self.explain(&job.key, words("offline")).await?;
                return Ok(false);
            }
        };
        if let Some(refusal) = refusal {
            tracing::error!(%refusal, print.key = %job.key, "a print job changed under its printer");
        }
        Ok(true)
    }

    /// What goes to the printer. `None` when it could not be set: nothing was sent, the job stays where it is.
    async fn parts(&self, job: &Job, width: u32) -> Option<Vec<Vec<u8>>> {
        let slip = slip(job);
        let font = self.inner.font.clone();
        let set = tokio::task::spawn_blocking(move || {
            let font = Font::load(&font.path, font.index)?;
            Ok::<_, FontError>(escpos::encode(&printer::render(&slip, &font, width)))
        });
        let error = match set.await {
            Ok(Ok(parts)) => return Some(parts),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        tracing::error!(error, print.key = %job.key, "a slip cannot be set");
        None
    }

    fn seen(&self, printer: &PrinterConfig, state: &'static str) {
        let mut states = self.inner.states.lock().unwrap_or_else(PoisonError::into_inner);
        let before = states.insert(printer.id.clone(), state);
        if before != Some(state) {
            tracing::info!(printer.id = %printer.id, printer.state = state, "printer");
        }
    }

    async fn explain(&self, key: &str, note: &'static str) -> Result<(), StoreError> {
        let key = key.to_owned();
        let done = self.inner.store.write(&self.inner.scope, move |tx| {
            let key = key.clone();
            Box::pin(async move { spool::explain(tx, &key, note).await })
        });
        done.await
    }

    async fn step(&self, key: &str, step: Step, note: &str) -> Result<Result<Job, Refusal>, StoreError> {
        let (key, note) = (key.to_owned(), note.to_owned());
        let done = self.inner.store.write(&self.inner.scope, move |tx| {
            let (key, note) = (key.clone(), note.clone());
            Box::pin(async move { spool::step(tx, &key, step, &note).await })
        });
        done.await
    }

    /// A person decides about a job: [`Step::MarkPrinted`], [`Step::Reprint`] or [`Step::Cancel`].
    ///
    /// # Errors
    /// Of the database; `Ok(Err(_))` when the step does not fit the job's state.
    pub async fn decide(&self, key: &str, step: Step) -> Result<Result<Job, Refusal>, StoreError> {
        let note = match step {
            Step::MarkPrinted => "人工核对：已打印",
            Step::Reprint => "人工要求补打",
            _ => "人工取消",
        };
        let done = self.step(key, step, note).await;
        self.wake();
        done
    }

    /// Open jobs first, then the newest.
    ///
    /// # Errors
    /// Of the database.
    pub async fn jobs(&self, limit: usize) -> Result<Vec<Job>, StoreError> {
        self.inner
            .store
            .read(&self.inner.scope, move |tx| {
                Box::pin(async move { spool::latest(tx, limit).await })
            })
            .await
    }

    /// The printers with their states.
    ///
    /// # Errors
    /// Of the database.
    pub async fn health(&self) -> Result<Vec<PrinterHealth>, StoreError> {
        let waiting = self
            .inner
            .store
            .read(&self.inner.scope, |tx| {
                Box::pin(async move { spool::waiting(tx).await })
            })
            .await;
        let waiting: BTreeMap<String, u64> = waiting.map_err(|e: StoreError| e)?.into_iter().collect();
        let states = self.inner.states.lock().unwrap_or_else(PoisonError::into_inner);
        let printers = self.inner.printers.iter().map(|p| PrinterHealth {
            id: p.id.clone(),
            name: p.name.clone(),
            state: (*states.get(&p.id).unwrap_or(&"offline")).to_owned(),
            waiting: waiting.get(&p.id).copied().unwrap_or(0),
        });
        Ok(printers.collect())
    }
}

fn words(state: &str) -> &'static str {
    match state {
        "out_of_paper" => "打印机缺纸",
        "cover_open" => "打印机上盖未合",
        "error" => "打印机故障",
        _ => "打印机未联机",
    }
}

/// The driver's slip for a job; a copy beyond the first says so.
fn slip(job: &Job) -> printer::Slip {
    let Ok(slip) = serde_json::from_value::<records::line::Slip>(job.slip.clone()) else {
        return printer::Slip {
            title: "打印内容无法读取".to_owned(),
            ..printer::Slip::default()
        };
    };
    printer::Slip {
        mark: (job.copy > 1).then(|| format!("【补打 第{}份】", job.copy)),
        header: slip.header,
        title: slip.title,
        fields: slip.fields,
        items: slip
            .items
            .into_iter()
            .map(|i| Item {
                name: i.name,
                quantity: i.quantity,
                amount: i.amount_fen.map(|f| f.to_string()).unwrap_or_default(),
                note: i.note,
            })
            .collect(),
        total: slip.total_fen.map(|f| format!("{f} 元")),
        qr: slip.qr,
        footer: slip.footer,
    }
}
