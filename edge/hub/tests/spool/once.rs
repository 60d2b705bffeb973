//! A job is printed once, whatever dies.

use std::time::{Duration, Instant};

use hub::{PrinterConfig, SlipFont, State, Step};
use serde_json::json;

use crate::printer::Printer;
use crate::window::{PATIENCE, Window};

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
    window.until_told("a", "打印机未联机").await;
    assert_eq!(window.state("a").await, (State::Waiting, 1, "打印机未联机".to_owned()));
    printer.switch_on_without_paper();
    window.hub.wake();
    window.until_told("a", "打印机缺纸").await;
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
    window.until_told("a", "小票排版失败，请检查前置机的字体文件").await;
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
        window.until_health(0, "ready").await;
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

/// The disk is full at the moment the slip is on paper: what became of it is written down when there is room again, and the
/// slip is not printed a second time meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_leaves_no_slip_on_its_way_for_ever() {
    let (dir, printer) = (tempfile::tempdir().unwrap(), Printer::new().on());
    let window = Window::open(dir.path(), &printer).await;
    window
        .have(
            "CREATE TRIGGER full BEFORE UPDATE ON print_job WHEN NEW.state = 'printed'
             BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END",
        )
        .await;
    window.print("a").await;
    let end = Instant::now() + PATIENCE;
    while printer.slips().await == 0 {
        assert!(Instant::now() < end, "nothing came out");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    window.until("a", State::Printing).await;
    window.have("DROP TRIGGER full").await;
    window.until("a", State::Printed).await;
    assert_eq!(printer.slips().await, 1);
    assert_eq!(window.told("a").await, ["printed"]);
    window.close().await;
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
            .post(
                "faults",
                json!({"op": "job", "kind": "slow", "rows": 5_000, "times": 9}),
            )
            .await;
        printer
    });
    // The slip is on its way for half a minute, and a printer that slow is waited for.
    let config = PrinterConfig {
        answer_s: 120,
        ..printer.config("dispensing_window")
    };
    before.block_on(async {
        let window = Window::before(dir.path(), vec![config], SlipFont::default()).await;
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
