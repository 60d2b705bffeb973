//! Slips at the dispensing window, on a printer in a process of its own.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may panic")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hub::{Hub, PrinterConfig, SlipFont, State, Step};
use kit::process::{Process, binary};
use records::line::{Slip, SlipItem};
use records::{Clock, Fen, PrintJob, SystemClock, TenantId};
use serde_json::{Value, json};
use store::{Scope, SqliteOptions, Store, StoreError};
use tokio_util::sync::CancellationToken;

struct Printer {
    process: Option<Process>,
    port: u16,
    control: u16,
    http: reqwest::Client,
}

impl Printer {
    fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let [port, control] = kit::ports::free_ports::<2>();
        Self {
            process: None,
            port,
            control,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    fn on(mut self) -> Self {
        self.switch_on();
        self
    }

    fn switch_on(&mut self) {
        let (port, control) = (self.port.to_string(), self.control.to_string());
        let args = [
            "printer",
            "--port",
            &port,
            "--control",
            &control,
            "--dots",
            "576",
            "--rows-per-s",
            "4000",
        ];
        self.process = Some(Process::start(binary("hil"), &args).ready(Duration::from_secs(30)));
    }

    async fn get(&self, path: &str) -> Value {
        let url = format!("http://127.0.0.1:{}/control/{path}", self.control);
        serde_json::from_str(&self.http.get(url).send().await.unwrap().text().await.unwrap()).unwrap()
    }

    async fn post(&self, path: &str, body: Value) {
        let url = format!("http://127.0.0.1:{}/control/{path}", self.control);
        let answer = self
            .http
            .post(url)
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }

    /// Slips that came out whole, with a cut.
    async fn slips(&self) -> usize {
        let jobs = self.get("jobs").await;
        jobs.get("jobs")
            .unwrap_or(&jobs)
            .as_array()
            .unwrap_or_else(|| panic!("{jobs}"))
            .len()
    }
}

struct Window {
    hub: Hub,
    store: Store,
    scope: Scope,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
}

impl Window {
    async fn open(dir: &Path, printer: &Printer) -> Self {
        Self::open_with(dir, printer, SlipFont::default()).await
    }

    async fn open_with(dir: &Path, printer: &Printer, font: SlipFont) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = Store::open_sqlite(&dir.join("edge.sqlite"), SqliteOptions::default(), clock)
            .await
            .unwrap();
        let tenant = TenantId::parse("hos_binhe").unwrap();
        let printers = vec![PrinterConfig {
            id: "dispensing_window".into(),
            name: "发药窗口".into(),
            address: format!("127.0.0.1:{}", printer.port),
            width: 576,
            answer_s: 2,
        }];
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

    async fn print(&self, key: &str) {
        let job = PrintJob {
            key: key.into(),
            printer: "dispensing_window".into(),
            subject: "rx_1".into(),
            slip: Slip {
                header: "滨河市第一人民医院".into(),
                title: "取药凭条".into(),
                fields: vec![("姓名".into(), "欧阳娜".into())],
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
        };
        let took = self.store.write(&self.scope, move |tx| {
            let job = job.clone();
            Box::pin(async move { Hub::accept(tx, &job).await })
        });
        took.await.map_err(|e: StoreError| e).unwrap();
        self.hub.wake();
    }

    async fn state(&self, key: &str) -> (State, u32, String) {
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

    async fn until(&self, key: &str, wanted: State) {
        let end = Instant::now() + Duration::from_secs(20);
        while self.state(key).await.0 != wanted {
            assert!(Instant::now() < end, "{key} is {:?}", self.state(key).await);
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// States told to the cloud about a job.
    async fn told(&self, key: &str) -> Vec<String> {
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

    async fn close(self) {
        self.stop.cancel();
        self.running.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slip_is_printed_once_however_often_it_is_asked_for() {
    let (dir, printer) = (tempfile::tempdir().unwrap(), Printer::new().on());
    let window = Window::open(dir.path(), &printer).await;
    window.print("a").await;
    window.until("a", State::Printed).await;
    window.print("a").await;
    window.print("b").await;
    window.until("b", State::Printed).await;
    assert_eq!(printer.slips().await, 2);
    assert_eq!(window.told("a").await, ["printed", "printed"]);
    assert_eq!(window.hub.health().await.unwrap()[0].state, "ready");
    window.close().await;
    // A restart prints nothing again.
    let window = Window::open(dir.path(), &printer).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(printer.slips().await, 2);
    window.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slip_waits_for_paper_and_for_a_printer_that_is_off_and_says_why() {
    let (dir, mut printer) = (tempfile::tempdir().unwrap(), Printer::new());
    let window = Window::open(dir.path(), &printer).await;
    window.print("a").await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(window.state("a").await, (State::Waiting, 1, "打印机未联机".to_owned()));
    printer.switch_on();
    printer.post("state", json!({"paper": "out"})).await;
    window.hub.wake();
    let end = Instant::now() + Duration::from_secs(15);
    while window.state("a").await.2 != "打印机缺纸" {
        assert!(Instant::now() < end, "{:?}", window.state("a").await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(window.hub.health().await.unwrap()[0].state, "out_of_paper");
    printer.post("state", json!({"paper": "ok"})).await;
    window.hub.wake();
    window.until("a", State::Printed).await;
    assert_eq!(printer.slips().await, 1);
    assert_eq!(window.told("a").await, ["waiting", "waiting", "printed"]);
    window.close().await;
}

/// The font package is removed while the appliance runs: the slip waits and says why, and is printed once it is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_slip_that_cannot_be_set_waits_for_its_font() {
    let (dir, printer) = (tempfile::tempdir().unwrap(), Printer::new().on());
    let shipped = SlipFont::default();
    let font = SlipFont {
        path: dir.path().join("font.ttc"),
        index: shipped.index,
    };
    std::fs::copy(&shipped.path, &font.path).unwrap();
    let window = Window::open_with(dir.path(), &printer, font.clone()).await;
    std::fs::remove_file(&font.path).unwrap();
    window.print("a").await;
    let end = Instant::now() + Duration::from_secs(15);
    while window.state("a").await.2 != "小票排版失败，请检查前置机的字体文件" {
        assert!(Instant::now() < end, "{:?}", window.state("a").await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(printer.slips().await, 0);
    std::fs::copy(&shipped.path, &font.path).unwrap();
    window.hub.wake();
    window.until("a", State::Printed).await;
    assert_eq!(printer.slips().await, 1);
    window.close().await;
}

/// The printer dies at different places of a job; nothing is printed again by itself, and a person settles it.
#[tokio::test(flavor = "multi_thread")]
async fn a_printer_that_dies_midway_leaves_a_question_for_a_person() {
    let faults = [
        json!({"op": "job", "kind": "reset_after_bytes", "bytes": 3000}),
        json!({"op": "job", "kind": "power_after_bytes", "bytes": 12000}),
        json!({"op": "job", "kind": "paper_out_after_rows", "rows": 150}),
    ];
    for (n, fault) in faults.into_iter().enumerate() {
        let (dir, printer) = (tempfile::tempdir().unwrap(), Printer::new().on());
        let window = Window::open(dir.path(), &printer).await;
        // The first look at the printer is over, so that the misdeed meets the job.
        let end = Instant::now() + Duration::from_secs(10);
        while window.hub.health().await.unwrap()[0].state != "ready" {
            assert!(Instant::now() < end);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        printer.post("faults", fault.clone()).await;
        window.print("a").await;
        window.until("a", State::Unknown).await;
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert_eq!(
            window.state("a").await.0,
            State::Unknown,
            "{fault}: never printed again silently"
        );
        if n == 0 {
            assert!(window.hub.decide("a", Step::MarkPrinted).await.unwrap().is_ok());
            assert_eq!(window.told("a").await, ["unknown", "printed"]);
        } else {
            printer.post("state", json!({"paper": "ok", "power": true})).await;
            assert!(window.hub.decide("a", Step::Reprint).await.unwrap().is_ok());
            window.until("a", State::Printed).await;
            assert_eq!(window.state("a").await.1, 2, "{fault}: the copy is marked");
        }
        assert!(window.hub.decide("a", Step::MarkPrinted).await.unwrap().is_err());
        window.close().await;
    }
}

/// The appliance loses power while a slip is on its way.
#[test]
fn a_power_cut_while_printing_leaves_it_unknown_after_the_restart() {
    let start = || {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let (dir, outer, before) = (tempfile::tempdir().unwrap(), start(), start());
    let printer = outer.block_on(async {
        let printer = Printer::new().on();
        printer
            .post("faults", json!({"op": "job", "kind": "slow", "rows": 300, "times": 9}))
            .await;
        printer
    });
    before.block_on(async {
        let window = Window::open(dir.path(), &printer).await;
        window.print("a").await;
        window.until("a", State::Printing).await;
    });
    before.shutdown_background();
    outer.block_on(async {
        let window = Window::open(dir.path(), &printer).await;
        assert_eq!(window.state("a").await.0, State::Unknown);
        assert_eq!(window.told("a").await, ["unknown"]);
        window.close().await;
    });
}
