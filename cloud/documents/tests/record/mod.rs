//! Two windows on one record.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{PIN, World, both};

const PATH: &str = "/doctor/visits/con_1/record";

fn wish(advice: &str, based_on: u32) -> Value {
    json!({ "chief_complaint": "头晕3天", "diagnoses": [{ "code": "I10.x00" }], "advice": advice, "based_on": based_on })
}

async fn saved(w: &World, wish: Value) -> Value {
    let (status, view) = w.call("stf_wang", Method::PUT, PATH, wish).await;
    assert_eq!(status, StatusCode::OK, "{view}");
    view
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_did_not_see_the_newest_version_writes_nothing_over_it() {
    both(|w| async move {
        assert_eq!(saved(&w, wish("一号窗口", 0)).await["version"], 1);
        let (status, answer) = w.call("stf_wang", Method::PUT, PATH, wish("二号窗口", 0)).await;
        assert_eq!(
            (
                status,
                answer["code"].as_str().unwrap(),
                answer["message"].as_str().unwrap()
            ),
            (
                StatusCode::CONFLICT,
                "record_changed",
                "病历已在其他窗口或设备上保存为第1版，您的内容尚未保存，请先查看最新内容"
            )
        );
        // One that never heard of versions is treated as one that saw none.
        let mut old = wish("旧页面", 0);
        old.as_object_mut().unwrap().remove("based_on");
        assert_eq!(
            w.refused("stf_wang", Method::PUT, PATH, old).await,
            (409, "record_changed".into())
        );
        assert_eq!(w.get("stf_wang", PATH).await["advice"], "一号窗口");
        // Having seen it, the doctor writes over it; the answer may get lost and be asked for again.
        for _ in 0..2 {
            assert_eq!(saved(&w, wish("二号窗口", 1)).await["version"], 2);
        }
        let ahead = w.refused("stf_wang", Method::PUT, PATH, wish("没有的版本", 7)).await;
        assert_eq!(ahead.1, "record_changed");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_signed_that_the_doctor_has_not_on_the_screen() {
    both(|w| async move {
        w.enrol().await;
        saved(&w, wish("一号窗口", 0)).await;
        saved(&w, wish("二号窗口", 1)).await;
        let sign = format!("{PATH}/sign");
        let other = w
            .refused("stf_wang", Method::POST, &sign, json!({ "pin": PIN, "version": 1 }))
            .await;
        assert_eq!(other, (409, "record_changed".into()));
        assert_eq!(w.get("stf_wang", PATH).await["signed"], false);
        let view = w.post("stf_wang", &sign, json!({ "pin": PIN, "version": 2 })).await;
        assert_eq!((&view["version"], &view["signed"]), (&json!(2), &json!(true)));
    })
    .await;
}
