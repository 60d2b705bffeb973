//! The patient code of the app, held against the terminal's scanner.

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use scenarios::journey;
use serde_json::json;
use site::{Addresses, LineState};

use crate::terminal::{Terminal, on_site, ready};

/// A resident shows the code on the phone and prints a report, with the hospital's line cut: the terminal judges the code
/// alone. The same code opens nothing a second time, a changed one nothing at all.
///
/// Rows: HZ-124
#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_printed_with_the_code_on_the_phone_while_the_line_is_cut() {
    on_site(|site, folder| async move { story(&site, &folder).await }).await;
}

async fn story(site: &Addresses, folder: &std::path::Path) -> Result<()> {
    let terminal = Terminal::at(site)?;
    let patient = journey::sign_in_patient(site, &site.demo.patient_phone).await?;
    let who = site.demo.patients.first().context("a demo patient")?;
    let entry = json!({ "name": who.name, "id_number": who.id_number, "phone": who.phone, "relation": "self" });
    let added = patient.until_done(Method::POST, "patients", Some(&entry)).await?;
    let path = format!("patients/{}/code", added["id"].as_str().context("patient id")?);
    patient
        .wait("patients", "the hospital to know the patient", |p| {
            p[0]["his_state"] == "matched"
        })
        .await?;
    terminal.until("a terminal in order", ready).await?;

    // The first code makes sure that the appliance has been told the key; then the line is cut.
    let asked = patient.post(&path, json!({})).await?;
    let text = |code: &serde_json::Value| code["text"].as_str().unwrap_or_default().to_owned();
    terminal.scan(&text(&asked)).await?;
    let menu = terminal.until("the menu", |s| s["view"] == "menu").await?;
    ensure!(
        !menu.to_string().contains(&who.name),
        "bystanders read the name: {menu}"
    );
    terminal.tap("leave").await?;
    let reports = text(&patient.post(&path, json!({ "task": "reports" })).await?);
    site::set_line(site, LineState::Cut).await?;

    terminal.until("the home page", |s| s["view"] == "home").await?;
    terminal.scan(&reports).await?;
    terminal
        .until("their reports", |s| s["rows"][0]["button"]["act"] == "print:0")
        .await?;
    terminal.tap("print:0").await?;
    terminal
        .until("a report on paper", |s| s["rows"][0]["state"] == "已打印")
        .await?;
    ensure!(
        !terminal.codes(folder).await?.is_empty(),
        "the report carries its number"
    );
    terminal.tap("leave").await?;
    terminal.until("the home page", |s| s["view"] == "home").await?;

    // Photographed by somebody, or written anew.
    terminal.scan(&reports).await?;
    terminal.titled("已经用过").await?;
    let last = reports.chars().last().context("a code")?;
    let other = if last == '0' { '1' } else { '0' };
    let forged = format!("{}{other}", &reports[..reports.len() - 1]);
    terminal.scan(&forged).await?;
    terminal.titled("这不是本院的就诊码").await?;
    terminal.scan("YQP100").await?;
    terminal.titled("这不是本院的就诊码").await?;
    terminal.tap("back").await?;
    site::set_line(site, LineState::Whole).await
}
