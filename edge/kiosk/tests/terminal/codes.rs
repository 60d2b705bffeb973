//! Patient codes of the app, at two terminals.

use serde_json::{Value, json};

use crate::hall::Hall;
use crate::phone::Phone;

/// What is known at one terminal is not known at the other, and a code that was shown to one opens nothing at the other.
#[tokio::test(flavor = "multi_thread")]
async fn two_terminals_serve_two_people_and_take_a_code_once_between_them() {
    let hall = Hall::open().await;
    let phone = Phone::of("P000001", "王小明");
    let code = |nonce: u8| phone.code(&hall, nonce);
    let ready = |s: &Value| s["view"] == "home" && s["notices"] == json!([]);
    let (page, reader) = &hall.other;
    hall.until("the first terminal", ready).await;
    hall.until_at(page, "the second terminal", ready).await;
    let show = async |reader: &str, text: String| {
        hall.post(format!("{reader}/code"), json!({ "text": text })).await;
    };
    // No key has come yet.
    show(&hall.reader, code(1)).await;
    hall.until("told", |s| s["title"].to_string().contains("尚未开通就诊码"))
        .await;
    phone.opens(&hall).await;
    show(&hall.reader, code(1)).await;
    let menu = hall.until("the menu", |s| s["view"] == "menu").await;
    assert_eq!(menu["person"], "王*明");
    let apart = hall.screen_of(page).await;
    assert_eq!((&apart["view"], &apart["person"]), (&json!("home"), &Value::Null));
    // The same symbol at the next terminal; a fresh one of somebody else's phone is served there.
    show(reader, code(1)).await;
    hall.until_at(page, "refused", |s| s["title"].to_string().contains("已经用过"))
        .await;
    show(reader, code(2)).await;
    hall.until_at(page, "the menu", |s| s["view"] == "menu").await;
    hall.tap("leave").await;
    hall.until("home", |s| s["view"] == "home").await;
    assert_eq!(hall.screen_of(page).await["view"], "menu", "who stands there stays");
    hall.stop.cancel();
}
