//! A printer that is down is stood in for, before the first byte and never after.

use hub::{Language, SlipFont, State};
use serde_json::json;

use crate::printer::Printer;
use crate::window::Window;

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_to_the_stand_in_while_its_own_printer_is_down_and_never_to_both() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (Printer::new().on(), Printer::speaking(Language::Zpl, 864, 203).on());
    let mut own = first.config("dispensing_window");
    own.stand_in = Some("pharmacy_store".into());
    let other = second.config("pharmacy_store");
    let window = Window::before(dir.path(), vec![own, other], SlipFont::default()).await;
    window.until_health(0, "ready").await;
    window.print("a").await;
    window.until("a", State::Printed).await;
    assert_eq!((first.slips().await, second.slips().await), (1, 0));
    // Out of paper before the first byte: the other one prints, and the row says so.
    first.post("state", json!({"paper": "out"})).await;
    window.until_health(0, "out_of_paper").await;
    window.print("b").await;
    window.until("b", State::Printed).await;
    assert_eq!(window.state("b").await.2, "由“pharmacy_store 打印机”代打");
    assert_eq!((first.slips().await, second.slips().await), (1, 1));
    assert_eq!(second.scanned(dir.path()).await, ["QR-Code:YQ-b"]);
    // In the middle of a job: unknown, and nobody stands in.
    first.post("state", json!({"paper": "ok"})).await;
    window.until_health(0, "ready").await;
    first
        .post(
            "faults",
            json!({"op": "job", "kind": "paper_out_after_rows", "rows": 150}),
        )
        .await;
    window.print("c").await;
    window.until("c", State::Unknown).await;
    window.until_health(0, "out_of_paper").await;
    window.print("d").await;
    window.until("d", State::Printed).await;
    assert_eq!(window.state("c").await.0, State::Unknown);
    assert_eq!(second.slips().await, 2, "d only");
    let queue = window.hub.queue().await.unwrap();
    let used = |key: &str| queue.jobs.iter().find(|j| j.key == key).and_then(|j| j.used.clone());
    assert_eq!(used("c").as_deref(), Some("dispensing_window"));
    assert_eq!(used("d").as_deref(), Some("pharmacy_store"));
    assert_eq!((queue.printers[0].unknown, queue.jobs[0].key.as_str()), (1, "c"));
    window.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn printers_that_cannot_be_are_refused_with_their_name() {
    let dir = tempfile::tempdir().unwrap();
    let printer = Printer::new();
    let with = |change: fn(&mut hub::PrinterConfig)| {
        let mut config = printer.config("dispensing_window");
        change(&mut config);
        config
    };
    for (config, words) in [
        (with(|c| c.address = "printer".into()), "地址“printer”无效"),
        (with(|c| c.language = Language::Png), "png 只能用于 ipp:// 地址"),
        (with(|c| c.stand_in = Some("elsewhere".into())), "elsewhere 不存在"),
        (with(|c| c.width = 20), "宽度应为"),
    ] {
        let clock = std::sync::Arc::new(records::SystemClock);
        let path = dir.path().join("edge.sqlite");
        let store = store::Store::open_sqlite(&path, store::SqliteOptions::default(), clock)
            .await
            .unwrap();
        let tenant = records::TenantId::parse("hos_binhe").unwrap();
        let refused = hub::Hub::open(store, tenant, vec![config], SlipFont::default())
            .await
            .err()
            .unwrap();
        assert!(refused.to_string().contains(words), "{refused}");
        assert!(refused.to_string().contains("dispensing_window"));
    }
}
