//! A number at the terminal.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use site::{Addresses, LineState};

use crate::terminal::{PATIENCE, Terminal, on_site, ready};

/// The story takes so long on a busy machine.
const ROOM: Duration = Duration::from_secs(480);

/// A patient puts a card, reports in and takes a ticket; again without the internet and with an answer of the hospital
/// lost; reports on paper; a printer without paper. The same check-in never takes two numbers.
#[tokio::test(flavor = "multi_thread")]
async fn a_patient_takes_a_number_at_the_terminal_with_and_without_the_internet() {
    // Registrations of today are none after midnight.
    site::room_in_the_day(ROOM).await;
    on_site(|site, folder| async move { story(&site, &folder).await }).await;
}

async fn story(site: &Addresses, folder: &std::path::Path) -> Result<()> {
    let terminal = Terminal::at(site)?;
    let people = terminal.ask(&site.his, "demo", None).await?;
    let people = people["patients"].as_array().cloned().unwrap_or_default();
    let grown: Vec<&Value> = people
        .iter()
        .filter(|p| p["guardian"].is_null() && p["follow_up_within_90_days"] == true)
        .collect();
    let (one, other) = (grown.first().context("a patient")?, grown.get(1).context("another")?);
    let word = |p: &Value, key: &str| p[key].as_str().unwrap_or_default().to_owned();
    let order = terminal.walk_in(&word(one, "pat_id")).await?;
    terminal.until("a terminal in order", ready).await?;

    // The card alone says who it is; two fingers on the button take one number.
    terminal.card(&word(one, "name"), &word(one, "id_number")).await?;
    let menu = terminal.until("the menu", |s| s["view"] == "menu").await?;
    ensure!(
        !menu.to_string().contains(&word(one, "name")),
        "bystanders read the name: {menu}"
    );
    terminal.tap("task:check_in").await?;
    terminal
        .until("today's visits", |s| s["rows"][0]["button"]["act"] == "visit:0")
        .await?;
    tokio::try_join!(terminal.tap("visit:0"), terminal.tap("visit:0"))?;
    let ticket = terminal
        .until("a number on paper", |s| {
            s["view"] == "ticket" && s["lead"].as_str().is_some_and(|l| l.contains("已打印"))
        })
        .await?;
    let number = ticket["big"].as_str().context("no number")?.to_owned();
    ensure!(terminal.taken().await? == 1, "one number was taken");
    ensure!(
        terminal.codes(folder).await? == order,
        "the ticket carries the registration"
    );

    // The same card again: the same number, no second paper; another copy is asked for.
    terminal.tap("leave").await?;
    let home = terminal.until("the home page", |s| s["view"] == "home").await?;
    ensure!(
        !home.to_string().contains(&number),
        "the next person sees nothing: {home}"
    );
    terminal
        .http
        .delete(format!("{}/control/card", site.reader))
        .send()
        .await?;
    terminal.card(&word(one, "name"), &word(one, "id_number")).await?;
    terminal.until("the menu", |s| s["view"] == "menu").await?;
    terminal.tap("task:check_in").await?;
    let row = terminal
        .until("today's visits", |s| s["rows"][0]["button"]["act"] == "visit:0")
        .await?;
    ensure!(row["rows"][0]["state"] == "已报到", "{row}");
    terminal.tap("visit:0").await?;
    let again = |s: &Value| s["view"] == "ticket" && s["lead"].as_str().is_some_and(|l| l.contains("已打印"));
    let same = terminal.until("the number of before", again).await?;
    ensure!(same["big"] == number.as_str(), "{same}");
    ensure!(terminal.slips().await?.len() == 1, "printed once");
    terminal.tap("ticket").await?;
    let begun = Instant::now();
    while terminal.slips().await?.len() < 2 {
        ensure!(begun.elapsed() < PATIENCE, "no second copy");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    // A report of theirs, with its number as a bar code.
    terminal.until("the copy printed", again).await?;
    terminal.tap("back").await?;
    terminal.tap("task:reports").await?;
    terminal
        .until("reports", |s| s["rows"][0]["button"]["act"] == "print:0")
        .await?;
    terminal.tap("print:0").await?;
    terminal
        .until("a report on paper", |s| s["rows"][0]["state"] == "已打印")
        .await?;
    let code = terminal.codes(folder).await?;
    ensure!(!code.is_empty() && code != order, "the report's own number: {code}");
    terminal.tap("leave").await?;

    // Without the internet, with a voucher, and with the hospital's answer lost after it was done.
    site::set_line(site, LineState::Cut).await?;
    let second = terminal.walk_in(&word(other, "pat_id")).await?;
    let rule = json!({ "op": "takeNetNo", "kind": "result_after_commit", "code": "-2", "times": 1 });
    let rule = site::add_rule(&site.his, &rule).await?;
    let voucher = json!({ "patId": word(other, "pat_id") });
    let voucher = terminal.ask(&site.his, "voucher", Some(voucher)).await?;
    let shown = json!({ "text": voucher["token"], "end": "" });
    terminal.tap("task:check_in").await?;
    terminal.until("asked for a card", |s| s["view"] == "identify").await?;
    terminal.ask(&site.reader, "code", Some(shown)).await?;
    terminal
        .until("today's visits", |s| s["rows"][0]["button"]["act"] == "visit:0")
        .await?;
    terminal.tap("visit:0").await?;
    terminal.until("a number on paper", again).await?;
    ensure!(site::rule_fired(&site.his, rule).await?, "the answer was lost");
    ensure!(terminal.codes(folder).await? == second, "the second person's ticket");
    ensure!(terminal.taken().await? == 2, "nobody took two numbers");
    terminal.tap("leave").await?;

    // Used vouchers and strange codes are told apart; a printer without paper is told, and the number is given all the same.
    terminal
        .ask(&site.reader, "code", Some(json!({ "text": "https://example.com/x" })))
        .await?;
    terminal
        .until("a code of others", |s| {
            s["title"].as_str().is_some_and(|t| t.contains("不认识"))
        })
        .await?;
    terminal.tap("back").await?;
    terminal.walk_in(&word(other, "pat_id")).await?;
    terminal
        .ask(&site.kiosk_printer, "state", Some(json!({ "paper": "out" })))
        .await?;
    terminal
        .until("told of the paper", |s| s["notices"].to_string().contains("缺纸"))
        .await?;
    let card = terminal.ask(&site.reader, "code", Some(json!({ "text": word(other, "card") })));
    card.await?;
    terminal.until("the menu", |s| s["view"] == "menu").await?;
    terminal.tap("task:check_in").await?;
    let visits = terminal
        .until("today's visits", |s| s["rows"].as_array().is_some_and(|r| r.len() == 2))
        .await?;
    let rows = visits["rows"].as_array().cloned().unwrap_or_default();
    let open = rows
        .iter()
        .find(|r| r["button"]["label"] == "报到")
        .context("an open visit")?;
    terminal.tap(open["button"]["act"].as_str().unwrap_or_default()).await?;
    let shown = terminal
        .until("a number without paper", |s| s["view"] == "ticket")
        .await?;
    ensure!(!shown["big"].as_str().unwrap_or_default().is_empty(), "{shown}");
    let said = |s: &Value| {
        s["lead"]
            .as_str()
            .is_some_and(|l| l.contains("缺纸") && l.contains("已为您报到"))
    };
    terminal.until("told what to do", said).await?;
    // Whoever has the card's number has no report by it.
    terminal.tap("back").await?;
    terminal.tap("task:reports").await?;
    let asked = terminal
        .until("asked for what the card does not carry", |s| s["view"] == "prove")
        .await?;
    ensure!(asked["rows"].as_array().is_some_and(Vec::is_empty), "{asked}");
    terminal.tap("leave").await?;
    terminal
        .ask(&site.kiosk_printer, "state", Some(json!({ "paper": "ok" })))
        .await?;
    terminal.until("paper again", ready).await?;
    ensure!(
        terminal.slips().await?.len() == 4,
        "nothing comes out after the person has gone"
    );
    site::set_line(site, LineState::Whole).await
}
