//! Two windows on one record.

use std::process::Command;
use std::sync::Arc;

use axum::http::{Method, StatusCode};
use documents::{FontFiles, Press};
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

/// Rows: AP-080, BJ-131, FT-084
#[tokio::test(flavor = "multi_thread")]
async fn a_signed_record_becomes_a_sealed_file_that_other_software_reads_and_anybody_can_verify() {
    both(|w| async move {
        let press = Arc::new(Press::load(&FontFiles::default()).unwrap());
        let (pdf, brief) = ("/visits/con_1/record/pdf", "/visits/con_1/record");
        w.enrol().await;
        saved(&w, wish("低盐饮食，两周后复诊", 0)).await;
        assert_eq!(
            w.refused("acc_1", Method::GET, pdf, Value::Null).await,
            (409, "no_record".into())
        );
        w.post("stf_wang", &format!("{PATH}/sign"), json!({ "pin": PIN, "version": 1 }))
            .await;
        assert_eq!(
            w.refused("acc_1", Method::GET, pdf, Value::Null).await,
            (409, "no_pdf".into())
        );
        // The signature server is away: nothing is lost, the next round makes it.
        w.appliance.away.store(true, std::sync::atomic::Ordering::SeqCst);
        documents::tick(&w.ctx, &press).await;
        assert_eq!(w.refused("stf_wang", Method::GET, pdf, Value::Null).await.1, "no_pdf");
        w.appliance.away.store(false, std::sync::atomic::Ordering::SeqCst);
        documents::tick(&w.ctx, &press).await;
        documents::tick(&w.ctx, &press).await;
        let (status, file) = w.raw("acc_1", Method::GET, pdf, vec![]).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(w.raw("stf_wang", Method::GET, pdf, vec![]).await.1, file);
        for stranger in ["acc_2", "stf_zhao", "stf_li", "stf_admin"] {
            assert_eq!(
                w.refused(stranger, Method::GET, pdf, Value::Null).await.0,
                404,
                "{stranger}"
            );
        }
        let path = w.folder.path().join("record.pdf");
        std::fs::write(&path, &file).unwrap();
        let see = |program: &str, options: &[&str]| {
            let output = Command::new(program)
                .args(options)
                .arg(&path)
                .arg("-")
                .output()
                .unwrap();
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let text = see("pdftotext", &["-layout"]);
        assert!(
            text.contains("低盐饮食，两周后复诊") && text.contains("I10.x00"),
            "{text}"
        );
        let seal = Command::new("pdfsig").arg("-nocert").arg(&path).output().unwrap();
        let seal = String::from_utf8_lossy(&seal.stdout).into_owned();
        for wanted in ["Signature is Valid.", "Total document signed", "ETSI.CAdES.detached"] {
            assert!(seal.contains(wanted), "{seal}");
        }

        let code = text
            .split("验真码 ")
            .nth(1)
            .and_then(|t| t.split_whitespace().next())
            .unwrap();
        let public = w.get("nobody", &format!("/verify/{code}")).await;
        assert_eq!(
            (&public["valid"], &public["document"]["kind"]),
            (&json!(true), &json!("record")),
            "{public}"
        );
        assert_eq!(public["document"]["patient_name_masked"], "陈*兰");
        // The code proves the paper, it does not open the record.
        assert!(
            !public.to_string().contains("高血压") && !public.to_string().contains("低盐"),
            "{public}"
        );
        let upload = format!("/verify/{code}/document");
        let check = |bytes: Vec<u8>| async {
            let (_, answer) = w.raw("nobody", Method::POST, &upload, bytes).await;
            serde_json::from_slice::<Value>(&answer).unwrap()
        };
        let same = check(file.clone()).await;
        assert_eq!(
            (&same["valid"], &same["file_is_issued"], &same["file_seal"]),
            (&json!(true), &json!(true), &json!("valid"))
        );
        assert!(same["file_stamped_at"].is_string(), "{same}");
        let mut forged = file.clone();
        let middle = forged.len() / 2;
        forged[middle] ^= 1;
        let other = check(forged).await;
        assert_eq!(
            (&other["valid"], &other["file_seal"]),
            (&json!(false), &json!("broken"))
        );

        // A newer version gets a file of its own; who holds the older is told so.
        saved(&w, wish("低盐低脂饮食", 1)).await;
        w.post("stf_wang", &format!("{PATH}/sign"), json!({ "pin": PIN, "version": 2 }))
            .await;
        documents::tick(&w.ctx, &press).await;
        let (_, newer) = w.raw("acc_1", Method::GET, pdf, vec![]).await;
        assert_ne!(newer, file);
        let older = w.get("nobody", &format!("/verify/{code}")).await;
        assert_eq!(
            (&older["valid"], &older["document"]["state_text"]),
            (&json!(true), &json!("医师已签署更新的第 2 版"))
        );
        assert_eq!(w.get("acc_1", brief).await["version"], 2);
    })
    .await;
}
