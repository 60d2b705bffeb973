//! What a slip said is forgotten once it is on paper.

use std::time::Duration;

use hub::{State, Step};
use records::{Clock, SystemClock, Timestamp};
use serde_json::Value;

use crate::printer::Printer;
use crate::window::{Window, job};

fn soon() -> Timestamp {
    SystemClock.now().plus(Duration::from_secs(60))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_printed_slip_is_blanked_and_comes_again_only_with_its_content() {
    let (dir, mut printer) = (tempfile::tempdir().unwrap(), Printer::new().on());
    let window = Window::open(dir.path(), &printer).await;
    window.print("a").await;
    window.until("a", State::Printed).await;
    // Not before its time.
    let long_ago = SystemClock.now().minus(Duration::from_secs(60));
    assert_eq!(window.hub.blank(long_ago).await.unwrap(), 0);
    assert_eq!(window.hub.blank(soon()).await.unwrap(), 1);
    assert_eq!(window.hub.blank(soon()).await.unwrap(), 0, "once");
    let kept = window.hub.job("a").await.unwrap().unwrap();
    assert_eq!((kept.state, kept.copy, &kept.slip), (State::Printed, 1, &Value::Null));
    assert_eq!(kept.kind, job("a").kind.as_str());
    // The same order again prints nothing, and what is gone is not printed as if it were there.
    window.print("a").await;
    let refused = window.hub.decide("a", Step::Reprint).await.unwrap().unwrap_err();
    assert!(refused.blanked && refused.to_string().contains("blanked"), "{refused}");
    assert_eq!(printer.slips().await, 1);
    let again = window.hub.reprint(job("a"), "服务台").await.unwrap().unwrap();
    assert_eq!((again.state, again.copy, again.blanked_at), (State::Waiting, 2, None));
    window.until("a", State::Printed).await;
    assert_eq!(printer.slips().await, 2);

    // What waits keeps what it has to say, and is not taken for over.
    printer.off();
    window.print("b").await;
    assert!(window.hub.reprint(job("b"), "服务台").await.unwrap().is_err());
    assert_eq!(window.hub.blank(soon()).await.unwrap(), 1, "the second copy of a");
    assert_ne!(window.hub.job("b").await.unwrap().unwrap().slip, Value::Null);
    assert!(window.hub.decide("b", Step::Cancel).await.unwrap().is_ok());
    assert_eq!(window.hub.blank(soon()).await.unwrap(), 1, "given up is over, too");
    window.close().await;
}
