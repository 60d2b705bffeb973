//! The appliance's spool in front of the printers.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hub::{Hub, PrinterConfig, SlipFont, State};
use records::line::{Slip, SlipItem};
use records::paper::{PaperKind, PrintTemplate};
use records::{Clock, Fen, PrintJob, SystemClock, TenantId};
use serde_json::Value;
use store::{Scope, SqliteOptions, Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::printer::Printer;

/// For whatever must come; a silent printer alone takes its answer's time, more than once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Window {
    pub(crate) hub: Hub,
    store: Store,
    scope: Scope,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
}

impl Window {
    pub(crate) async fn open(dir: &Path, printer: &Printer) -> Self {
        Self::open_with(dir, printer, SlipFont::default()).await
    }

    pub(crate) async fn open_with(dir: &Path, printer: &Printer, font: SlipFont) -> Self {
        Self::before(dir, vec![printer.config("dispensing_window")], font).await
    }

    pub(crate) async fn before(dir: &Path, printers: Vec<PrinterConfig>, font: SlipFont) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = Store::open_sqlite(&dir.join("edge.sqlite"), SqliteOptions::default(), clock)
            .await
            .unwrap();
        let tenant = TenantId::parse("hos_binhe").unwrap();
        let hub = Hub::open(store.clone(), tenant.clone(), printers, font).await.unwrap();
        let stop = CancellationToken::new();
        let (own, token) = (hub.clone(), stop.clone());
        let running = tokio::spawn(async move { own.run(token).await });
        Self {
            hub,
            store,
            scope: Scope::system(tenant),
            stop,
            running,
        }
    }

    pub(crate) async fn print(&self, key: &str) {
        self.take(job(key)).await;
    }

    pub(crate) async fn take(&self, job: PrintJob) {
        let took = self.store.write(&self.scope, move |tx| {
            let job = job.clone();
            Box::pin(async move { Hub::accept(tx, &job).await })
        });
        took.await.map_err(|e: StoreError| e).unwrap();
        self.hub.wake();
    }

    pub(crate) async fn learn(&self, template: PrintTemplate) {
        let took = self.store.write(&self.scope, move |tx| {
            let template = template.clone();
            Box::pin(async move { Hub::accept_template(tx, &template).await })
        });
        took.await.map_err(|e: StoreError| e).unwrap();
    }

    pub(crate) async fn state(&self, key: &str) -> (State, u32, String) {
        let job = self
            .hub
            .jobs(99)
            .await
            .unwrap()
            .into_iter()
            .find(|j| j.key == key)
            .unwrap();
        (job.state, job.copy, job.note)
    }

    pub(crate) async fn until(&self, key: &str, wanted: State) {
        let end = Instant::now() + PATIENCE;
        while self.state(key).await.0 != wanted {
            assert!(Instant::now() < end, "{key} is {:?}", self.state(key).await);
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// Waits until a job that waits says why: its printer was asked.
    pub(crate) async fn until_explained(&self, key: &str) {
        self.until_note(key, |note| !note.is_empty()).await;
    }

    /// Waits until a job that waits says just this.
    pub(crate) async fn until_told(&self, key: &str, words: &str) {
        self.until_note(key, |note| note == words).await;
    }

    async fn until_note(&self, key: &str, so: impl Fn(&str) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !so(&self.state(key).await.2) {
            assert!(Instant::now() < end, "{:?}", self.state(key).await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits for the n-th printer's state.
    pub(crate) async fn until_health(&self, n: usize, wanted: &str) {
        let end = Instant::now() + PATIENCE;
        while self.hub.health().await.unwrap()[n].state != wanted {
            assert!(Instant::now() < end, "{:?}", self.hub.health().await.unwrap());
            self.hub.wake();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Has the database do something of its own.
    pub(crate) async fn have(&self, sql: &'static str) {
        let done = self.store.write(&self.scope, move |tx| {
            Box::pin(async move { tx.exec(sql, &[]).await.map(drop) })
        });
        done.await.map_err(|e: StoreError| e).unwrap();
    }

    /// States told to the cloud about a job.
    pub(crate) async fn told(&self, key: &str) -> Vec<String> {
        let rows = self.store.read(&self.scope, |tx| {
            Box::pin(async move {
                tx.all::<(Value,)>(
                    "SELECT body FROM store_outbox WHERE kind = 'print.state' ORDER BY seq",
                    &[],
                )
                .await
            })
        });
        let rows = rows.await.map_err(|e: StoreError| e).unwrap();
        rows.into_iter()
            .filter(|r| r.0["key"] == key)
            .map(|r| r.0["state"].as_str().unwrap().to_owned())
            .collect()
    }

    pub(crate) async fn close(self) {
        self.stop.cancel();
        self.running.await.unwrap();
    }
}

/// A pick-up slip.
pub(crate) fn job(key: &str) -> PrintJob {
    PrintJob {
        key: key.into(),
        printer: "dispensing_window".into(),
        subject: "rx_1".into(),
        kind: PaperKind::PickupSlip,
        slip: Slip {
            header: "滨河市第一人民医院".into(),
            title: "取药凭条".into(),
            fields: vec![("患者".into(), "欧阳𬭩娜".into())],
            items: vec![SlipItem {
                name: "氨氯地平片".into(),
                quantity: "1盒".into(),
                amount_fen: Some(Fen(3080)),
                note: "口服".into(),
            }],
            total_fen: Some(Fen(3080)),
            qr: Some(format!("YQ-{key}")),
            footer: vec!["凭码取药".into()],
        },
    }
}
