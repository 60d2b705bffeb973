//! The hospital's own templates.

use hub::{Language, State, Step};
use records::paper::{PaperKind, PrintTemplate};
use serde_json::json;

use crate::printer::{Printer, dots};
use crate::window::Window;

#[tokio::test(flavor = "multi_thread")]
async fn a_template_is_used_a_wrong_one_is_kept_aside_and_the_shipped_one_comes_back() {
    let (dir, printer) = (
        tempfile::tempdir().unwrap(),
        Printer::speaking(Language::Tspl, 864, 203).on(),
    );
    let window = Window::open(dir.path(), &printer).await;
    let template = |version, template| PrintTemplate {
        kind: PaperKind::PickupSlip,
        version,
        template,
    };
    let own = json!({"elements": [
        {"type": "text", "text": "{患者}", "size_pt": 20},
        {"type": "barcode", "content": "{码}", "height_mm": 12, "caption": true},
    ]});
    window.learn(template(2, Some(own.clone()))).await;
    window.print("a").await;
    window.until("a", State::Printed).await;
    assert_eq!(printer.scanned(dir.path()).await, ["CODE-128:YQ-a"]);
    // One that is wrong, and one that comes late, change nothing; the first is told.
    window
        .learn(template(
            3,
            Some(json!({"elements": [{"type": "text", "text": "{姓氏}", "size_pt": 9}]})),
        ))
        .await;
    window.learn(template(1, None)).await;
    let told = window.hub.queue().await.unwrap().templates;
    assert_eq!((told.len(), told[0].version), (1, 2));
    assert_eq!(
        told[0].refused.as_deref(),
        Some("第 3 版不能使用：第1项使用了这种单据没有的字段“姓氏”")
    );
    window.print("b").await;
    window.until("b", State::Printed).await;
    assert_eq!(printer.scanned(dir.path()).await, ["CODE-128:YQ-b"]);
    let (_, plain, _) = dots(&printer.picture(dir.path()).await);
    // A reprint carries its mark whatever the template says.
    assert!(window.hub.decide("b", Step::Reprint).await.unwrap().is_ok());
    window.until("b", State::Printed).await;
    let (_, marked, _) = dots(&printer.picture(dir.path()).await);
    assert!(marked > plain + 30, "{marked} {plain}");
    window.learn(template(4, None)).await;
    window.print("c").await;
    window.until("c", State::Printed).await;
    assert_eq!(printer.scanned(dir.path()).await, ["QR-Code:YQ-c"]);
    window.close().await;
    // A template outlives a restart.
    window_again(dir.path(), &printer, template(5, Some(own))).await;
}

async fn window_again(dir: &std::path::Path, printer: &Printer, template: PrintTemplate) {
    let window = Window::open(dir, printer).await;
    window.learn(template).await;
    window.close().await;
    let window = Window::open(dir, printer).await;
    window.print("d").await;
    window.until("d", State::Printed).await;
    assert_eq!(printer.scanned(dir).await, ["CODE-128:YQ-d"]);
    window.close().await;
}
