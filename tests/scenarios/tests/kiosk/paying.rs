//! A fee that is looked up at the terminal and paid on the phone.

use anyhow::{Context, Result, ensure};
use scenarios::books;
use scenarios::journey::{self, Cast, Step, Strike};
use serde_json::{Value, json};
use site::Addresses;

use crate::terminal::{Terminal, on_site, ready};

/// The code of the fee is shown, the phone pays at the channel, the hospital takes it and its answer is lost: the terminal
/// says that it asks, then that it is paid, and prints the receipt, once. The second person walks away before paying:
/// the money arrives all the same, and the receipt waits for them.
#[tokio::test(flavor = "multi_thread")]
async fn a_fee_found_at_the_terminal_is_paid_on_the_phone_and_nothing_is_lost_by_walking_away() {
    on_site(|site, folder| async move { story(&site, &folder).await }).await;
}

/// Somebody at the terminal while the journey goes on.
struct Visitor<'a> {
    terminal: &'a Terminal<'a>,
    cast: &'a Cast,
    walks_away: bool,
}

impl Visitor<'_> {
    /// Shows the code of the app and looks at the fee.
    async fn at_the_fee(&self) -> Result<Value> {
        let terminal = self.terminal;
        self.identified().await?;
        let list = terminal
            .until("the fee", |s| s["rows"][0]["button"]["act"] == "bill:0")
            .await?;
        terminal.tap("bill:0").await?;
        let fee = terminal
            .until("the code of the fee", |s| s["qr"]["side"].is_number())
            .await?;
        ensure!(fee["big"] == list["rows"][0]["title"], "{fee}");
        Ok(fee)
    }

    /// Fees of the one the journey is about: who was added last.
    async fn identified(&self) -> Result<()> {
        let patients = self.cast.patient.get("patients").await?;
        let patients = patients.as_array().context("patients")?;
        let id = patients.last().and_then(|p| p["id"].as_str()).context("a patient")?;
        let path = format!("patients/{id}/code");
        let code = self.cast.patient.post(&path, json!({ "task": "fees" })).await?;
        self.terminal.until("a free terminal", |s| s["view"] == "home").await?;
        self.terminal.scan(code["text"].as_str().context("a code")?).await
    }
}

impl Strike for Visitor<'_> {
    async fn before(&mut self, step: Step) -> Result<()> {
        let terminal = self.terminal;
        match step {
            Step::PayDrugs => {
                self.at_the_fee().await?;
                if self.walks_away {
                    return terminal.tap("leave").await;
                }
                // Done at the hospital, the answer lost, and nobody there to ask for a while.
                for rule in [
                    json!({ "op": "ackPayOrder", "kind": "result_after_commit", "code": "-2", "times": 1 }),
                    json!({ "op": "getMZFeeStatus", "kind": "fault", "times": 2 }),
                ] {
                    site::add_rule(&terminal.site.his, &rule).await?;
                }
            }
            Step::Print if self.walks_away => {
                // Nobody stands there: nothing came out, and the terminal is free.
                ensure!(terminal.screen().await?["view"] == "home");
            }
            Step::Print => {
                let told = |s: &Value| {
                    s["title"]
                        .as_str()
                        .is_some_and(|t| t.starts_with("已收到支付") || t == "支付成功")
                };
                let told = terminal.until("the payment noticed", told).await?;
                ensure!(told["qr"].is_null(), "nobody is asked to pay twice: {told}");
                let printed =
                    |s: &Value| s["title"] == "支付成功" && s["lead"].as_str().is_some_and(|l| l.contains("已打印"));
                terminal.until("paid, with a receipt", printed).await?;
            }
            _ => {}
        }
        Ok(())
    }
}

async fn story(site: &Addresses, folder: &std::path::Path) -> Result<()> {
    let terminal = Terminal::at(site)?;
    let cast = journey::gather(site).await?;
    terminal.until("a terminal in order", ready).await?;
    let mut visitor = Visitor {
        terminal: &terminal,
        cast: &cast,
        walks_away: false,
    };
    let stays = journey::follow_up_visit(site, &cast, "kiosk-0", &mut visitor).await?;
    ensure!(terminal.slips().await?.len() == 1, "one receipt");
    let receipt = terminal.codes(folder).await?;
    let ledger = terminal.ask(&site.his, "ledger", None).await?;
    ensure!(
        receipt.starts_with('S'),
        "the hospital's receipt number: {receipt} of {ledger}"
    );
    terminal.tap("leave").await?;

    visitor.walks_away = true;
    let leaves = journey::follow_up_visit(site, &cast, "kiosk-1", &mut visitor).await?;
    ensure!(
        terminal.slips().await?.len() == 1,
        "nothing comes out for somebody who has gone"
    );
    visitor.identified().await?;
    let list = terminal
        .until("the receipt offered", |s| s["rows"][0]["button"]["act"] == "receipt:0")
        .await?;
    ensure!(list["rows"][0]["state"] == "已支付", "{list}");
    terminal.tap("receipt:0").await?;
    terminal
        .until("the receipt on paper", |s| s["rows"][0]["state"] == "已打印")
        .await?;
    ensure!(terminal.slips().await?.len() == 2, "one receipt for each");
    ensure!(terminal.codes(folder).await? != receipt, "and each their own");
    terminal.tap("leave").await?;

    // Ours, the hospital's and the channel's books say the same.
    let differences = books::compare(site, &cast, &[stays, leaves]).await?;
    ensure!(differences.is_empty(), "{}", differences.join("\n"));
    Ok(())
}
