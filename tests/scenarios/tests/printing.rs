//! Printing from the administrator's page to the paper, over the public APIs, every part real.
#![expect(
    clippy::indexing_slicing,
    reason = "a story fails where it stands; JSON answers null"
)]

use std::process::Command;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use scenarios::client::{self, Person};
use scenarios::journey;
use serde_json::{Value, json};
use site::{Addresses, Options, Site};

/// The administrator sees the printer, prints a test page, changes how receipts look, and the next page looks so.
#[tokio::test(flavor = "multi_thread")]
async fn a_template_changed_in_the_cloud_is_on_the_next_paper() {
    site::prepare();
    let folder = tempfile::tempdir().unwrap();
    let mut site = Site::start(folder.path(), Options::free_ports().unwrap())
        .await
        .unwrap();
    let addresses = site.addresses().clone();
    let told = story(&addresses, folder.path()).await;
    let killed = site.stop().await;
    told.unwrap();
    assert!(killed.is_empty(), "did not stop when asked: {killed:?}");
}

async fn story(site: &Addresses, folder: &std::path::Path) -> Result<()> {
    let admin = journey::sign_in_staff(site, &site.demo.admin_login).await?;
    let ready = |v: &Value| v["printers"][0]["state"] == "ready";
    let view = admin.wait("admin/printers", "a printer that is ready", ready).await?;
    let printer = view["printers"][0]["id"].as_str().context("no printer")?.to_owned();
    ensure!(test_page(site, &admin, &printer, folder).await? == "CODE-128:YIQIAO-TEST-0123456789");
    let template = json!({"elements": [
        {"type": "text", "text": "{抬头}", "size_pt": 14, "align": "centre", "fit": "shrink"},
        {"type": "fields", "size_pt": 10},
        {"type": "pair", "left": "合计", "right": "{合计}", "size_pt": 10},
        {"type": "qr", "content": "{码}", "side_mm": 25, "caption": true},
    ]});
    let change = json!({"version": 0, "template": template});
    let saved = admin
        .until_done(Method::PUT, "admin/print/templates/receipt", Some(&change))
        .await?;
    ensure!(saved["version"] == 1, "{saved}");
    let in_use = |v: &Value| {
        v["templates"]
            .as_array()
            .is_some_and(|t| t.iter().any(|t| t["kind"] == "receipt" && t["version"] == 1))
    };
    admin
        .wait("admin/printers", "the template on the appliance", in_use)
        .await?;
    ensure!(test_page(site, &admin, &printer, folder).await? == "QR-Code:YIQIAO-TEST-0123456789");
    // A second copy is asked for, and says so in the list.
    let view = admin.get("admin/printers").await?;
    let key = view["jobs"][0]["key"].as_str().context("no job")?.to_owned();
    admin
        .post("admin/printers/decide", json!({"key": key, "act": "reprint"}))
        .await?;
    let again = |v: &Value| {
        v["jobs"].as_array().is_some_and(|jobs| {
            jobs.iter()
                .any(|j| j["key"] == key && j["state"] == "printed" && j["copy"] == 2)
        })
    };
    admin.wait("admin/printers", "the second copy", again).await?;
    ensure!(client::slips(site).await? == 3);
    Ok(())
}

/// Prints one and reads its code with a scanner.
async fn test_page(site: &Addresses, admin: &Person, printer: &str, folder: &std::path::Path) -> Result<String> {
    let job = admin.post("admin/printers/test", json!({"printer": printer})).await?;
    let printed = |v: &Value| {
        v["jobs"]
            .as_array()
            .is_some_and(|jobs| jobs.iter().any(|j| j["key"] == job["key"] && j["state"] == "printed"))
    };
    admin.wait("admin/printers", "the test page", printed).await?;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let jobs: Value = http
        .get(format!("{}/control/jobs", site.printer))
        .send()
        .await?
        .json()
        .await?;
    let png = jobs
        .as_array()
        .and_then(|j| j.last())
        .and_then(|j| j["png"].as_str())
        .context("no slip")?
        .to_owned();
    let bytes = http.get(format!("{}{png}", site.printer)).send().await?.bytes().await?;
    let file = folder.join("slip.png");
    std::fs::write(&file, &bytes)?;
    // The two symbols of our papers: others are also seen in lines of text.
    let symbols = ["-Sdisable", "-Scode128.enable", "-Sqrcode.enable"];
    let read = Command::new("zbarimg").arg("-q").args(symbols).arg(&file).output()?;
    Ok(String::from_utf8_lossy(&read.stdout).trim().to_owned())
}
