//! The same spool, every language: what comes out is decoded by the bench printer and read by a scanner.

use hub::{Language, PrinterConfig, SlipFont, State, Step};
use records::PrintJob;
use records::paper::{PaperKind, TestPage};
use serde_json::json;

use crate::printer::{Printer, dots, scan};
use crate::window::{Window, job};

/// Heads of the tender: 864 dots at 203 dpi are 108 mm (at least 106 asked), 1280 at 300 dpi are 108.4 mm (at least 108).
const HEADS: [(Language, u32, u32); 6] = [
    (Language::Tspl, 864, 203),
    (Language::Tspl, 1280, 300),
    (Language::Zpl, 864, 203),
    (Language::Zpl, 1280, 300),
    (Language::Escpos, 384, 203),
    (Language::Escpos, 864, 203),
];

/// 203 and 300 dpi; heads of at least 106 and 108 mm are used over their whole width.
/// Rows: AP-276, AP-277, AP-283, AP-284
#[tokio::test(flavor = "multi_thread")]
async fn a_slip_comes_out_the_same_in_every_language_and_its_codes_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut pictures = Vec::new();
    for (n, (language, width, dpi)) in HEADS.into_iter().enumerate() {
        let printer = Printer::speaking(language, width, dpi).on();
        let home = dir.path().join(n.to_string());
        std::fs::create_dir(&home).unwrap();
        let window = Window::open(&home, &printer).await;
        window.print("8F3K2210").await;
        window.until("8F3K2210", State::Printed).await;
        assert_eq!(
            printer.scanned(&home).await,
            ["QR-Code:YQ-8F3K2210"],
            "{language:?} {dpi}"
        );
        let (wide, high, ink) = dots(&printer.picture(&home).await);
        assert_eq!(wide, width as usize);
        // The rules go from margin to margin.
        let span = (0..high)
            .map(|y| &ink[y * wide..(y + 1) * wide])
            .filter_map(|row| Some(row.iter().rposition(|b| *b)? - row.iter().position(|b| *b)?))
            .max()
            .unwrap();
        assert!(span * 254 > (wide - 40) * 250, "{span} of {wide}");
        pictures.push((language, width, ink, wide));
        // The other kinds, in the templates that came with the software.
        for (kind, read) in [
            (PaperKind::Receipt, "CODE-128:4200002210202611210001"),
            (PaperKind::QueueTicket, "QR-Code:A037-1007352210"),
            (PaperKind::Label, "CODE-128:P001207-2210"),
            (PaperKind::Wristband, "CODE-128:1007352210"),
            (
                PaperKind::EInvoice,
                "QR-Code:https://pjcy.mof.gov.cn/33060126/0012345678",
            ),
        ] {
            let asked = PrintJob {
                kind,
                slip: kind.sample(),
                ..job(kind.as_str())
            };
            window.take(asked).await;
            window.until(kind.as_str(), State::Printed).await;
            assert_eq!(printer.scanned(&home).await, [read], "{language:?} {kind}");
        }
        assert_eq!(printer.slips().await, 6);
        window.close().await;
    }
    // Dot for dot the same picture, whichever way it went; only the paper's length differs by the language's feed.
    let inked = |n: usize| {
        let (_, _, ink, wide) = &pictures[n];
        let rows: Vec<&[bool]> = ink.chunks(*wide).collect();
        let (first, last) = (
            rows.iter().position(|r| r.contains(&true)).unwrap(),
            rows.iter().rposition(|r| r.contains(&true)).unwrap(),
        );
        rows[first..=last].concat()
    };
    assert!(inked(0) == inked(2) && inked(0) == inked(5), "864 dots");
    assert!(inked(1) == inked(3), "1280 dots");
}

#[tokio::test(flavor = "multi_thread")]
async fn troubles_of_a_label_printer_are_told_and_end_like_those_of_a_receipt_printer() {
    for language in [Language::Tspl, Language::Zpl] {
        let (dir, printer) = (tempfile::tempdir().unwrap(), Printer::speaking(language, 864, 203).on());
        let window = Window::open(dir.path(), &printer).await;
        window.until_health(0, "ready").await;
        for (state, word) in [
            (json!({"paper": "out"}), "out_of_paper"),
            (json!({"paper": "ok", "cover_open": true}), "cover_open"),
            (json!({"cover_open": false, "offline": true}), "offline"),
        ] {
            printer.post("state", state).await;
            window.until_health(0, word).await;
        }
        printer.post("state", json!({"offline": false, "error": "hot"})).await;
        window.until_health(0, "head_hot").await;
        window.print("a").await;
        assert_eq!(window.state("a").await.0, State::Waiting);
        printer.post("state", json!({"error": "none"})).await;
        window.until_health(0, "ready").await;
        window.until("a", State::Printed).await;
        assert_eq!(printer.slips().await, 1);
        // The paper ends in the middle; later the rest comes out and a person decides.
        let fault = json!({"op": "job", "kind": "paper_out_after_rows", "rows": 150});
        printer.post("faults", fault).await;
        window.print("b").await;
        window.until("b", State::Unknown).await;
        printer.post("state", json!({"paper": "ok"})).await;
        assert!(window.hub.decide("b", Step::Reprint).await.unwrap().is_ok());
        window.until("b", State::Printed).await;
        assert_eq!(window.state("b").await.1, 2);
        // Dies after it has taken the job.
        let fault = json!({"op": "job", "kind": "power_after_bytes", "bytes": 4000});
        printer.post("faults", fault).await;
        window.print("c").await;
        window.until("c", State::Unknown).await;
        window.close().await;
    }
}

/// Nonsense and silence before a job: nothing is sent, and the state says what is the matter.
#[tokio::test(flavor = "multi_thread")]
async fn a_printer_that_answers_nonsense_or_nothing_gets_no_job() {
    for language in Language::SPOKEN {
        for (kind, word) in [("nonsense", &["unknown", "offline"][..]), ("mute", &["offline"])] {
            let (dir, printer) = (tempfile::tempdir().unwrap(), Printer::speaking(language, 864, 203).on());
            printer
                .post("faults", json!({"op": "job", "kind": kind, "times": 1_000}))
                .await;
            let config = PrinterConfig {
                answer_s: 2,
                ..printer.config("dispensing_window")
            };
            let window = Window::before(dir.path(), vec![config], SlipFont::default()).await;
            window.print("a").await;
            window.until_explained("a").await;
            let state = window.hub.health().await.unwrap()[0].state.clone();
            assert!(word.contains(&state.as_str()), "{language:?} {kind}: {state}");
            assert_eq!((window.state("a").await.0, printer.slips().await), (State::Waiting, 0));
            window.close().await;
        }
    }
}

/// A label of fixed height: what does not fit at the smallest type stands on the next one.
#[tokio::test(flavor = "multi_thread")]
async fn labels_are_of_their_height_and_the_text_goes_on() {
    let (dir, printer) = (
        tempfile::tempdir().unwrap(),
        Printer::speaking(Language::Tspl, 576, 203).on(),
    );
    let mut config = printer.config("dispensing_window");
    (config.label_mm, config.gap_mm, config.cutter) = (Some(50), 3, false);
    let window = Window::before(dir.path(), vec![config], SlipFont::default()).await;
    let mut asked = PrintJob {
        kind: PaperKind::Label,
        slip: PaperKind::Label.sample(),
        ..job("short")
    };
    window.take(asked.clone()).await;
    window.until("short", State::Printed).await;
    let (_, high, _) = dots(&printer.picture(dir.path()).await);
    assert_eq!((high, printer.slips().await), (399, 1), "50 mm at 203 dpi");
    assert_eq!(scan(&printer.picture(dir.path()).await), ["CODE-128:P001207-2210"]);
    asked.key = "long".into();
    for (label, value) in &mut asked.slip.fields {
        if label == "用法" {
            *value = "每日一次，每次五毫克，饭后半小时温水送服；".repeat(20);
        }
    }
    window.take(asked).await;
    window.until("long", State::Printed).await;
    assert!(printer.slips().await > 2, "{}", printer.slips().await);
    window.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_page_comes_out_once_and_a_waiting_job_can_be_cancelled() {
    let (dir, printer) = (
        tempfile::tempdir().unwrap(),
        Printer::speaking(Language::Tspl, 864, 203).on(),
    );
    let window = Window::open(dir.path(), &printer).await;
    let asked = TestPage {
        key: "test-1".into(),
        printer: "dispensing_window".into(),
        by: "管理员".into(),
    };
    for _ in 0..2 {
        assert!(
            window
                .hub
                .test_page(&asked, "2026-11-21 09:30:00")
                .await
                .unwrap()
                .is_some()
        );
        window.until("test-1", State::Printed).await;
    }
    assert_eq!(printer.slips().await, 1);
    assert_eq!(printer.scanned(dir.path()).await, ["CODE-128:YIQIAO-TEST-0123456789"]);
    let nowhere = TestPage {
        printer: "elsewhere".into(),
        ..asked
    };
    assert!(window.hub.test_page(&nowhere, "").await.unwrap().is_none());
    printer.post("state", json!({"paper": "out"})).await;
    window.until_health(0, "out_of_paper").await;
    window.print("a").await;
    assert!(window.hub.decide("a", Step::Cancel).await.unwrap().is_ok());
    printer.post("state", json!({"paper": "ok"})).await;
    window.until_health(0, "ready").await;
    let queue = window.hub.queue().await.unwrap();
    assert_eq!((window.state("a").await.0, printer.slips().await), (State::Failed, 1));
    assert_eq!(
        (queue.printers[0].language.as_str(), queue.printers[0].waiting),
        ("TSPL", 0)
    );
    window.close().await;
}

/// Who is asked in every language answers in his own; nothing is printed by being asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_printer_is_found_at_its_port_and_known_by_its_answers() {
    for language in Language::SPOKEN {
        let printer = Printer::speaking(language, 864, 203).on();
        let here = std::net::Ipv4Addr::LOCALHOST;
        let found = printer::wire::find::scan(&[(here, 32)], printer.port).await;
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].language, found[0].status),
            (Some(language), printer::Status::Ready)
        );
        assert_eq!(found[0].address.to_string(), format!("127.0.0.1:{}", printer.port));
        assert_eq!(printer.slips().await, 0);
    }
    let nobody = kit::ports::free_port();
    assert!(
        printer::wire::find::scan(&[(std::net::Ipv4Addr::LOCALHOST, 32)], nobody)
            .await
            .is_empty()
    );
}
