//! The three books after a run: our orders, the hospital's rows, the channel's ledger; and the logs of the line.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use site::Addresses;

use crate::client::DEADLINE;
use crate::journey::{Cast, Made};

/// How long everything may take to come to rest after the last fault is healed.
const REST: Duration = Duration::from_secs(180);

/// Compares until the books agree or [`REST`] has passed; answers the differences that remain.
///
/// # Errors
/// When a book cannot be read at all.
pub async fn compare(site: &Addresses, cast: &Cast, made: &[Made]) -> Result<Vec<String>> {
    let started = Instant::now();
    loop {
        let differences = once(site, cast, made).await?;
        if differences.is_empty() || started.elapsed() > REST {
            return Ok(differences);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// The books as they are now.
struct Books {
    /// Registrations of the hospital by our order number.
    registrations: BTreeMap<String, Vec<Value>>,
    /// Recipes of the hospital by our prescription number.
    recipes: BTreeMap<String, Vec<Value>>,
    /// Movements of money in the hospital.
    his_ledger: Vec<Value>,
    /// Orders of the channel by our payment number.
    channel: BTreeMap<String, Value>,
    /// Refunds of the channel by our refund number.
    channel_refunds: BTreeMap<String, Value>,
    /// Our payments.
    payments: BTreeMap<String, Value>,
}

async fn once(site: &Addresses, cast: &Cast, made: &[Made]) -> Result<Vec<String>> {
    let books = read(site, cast).await?;
    let mut differences = Vec::new();
    for run in made {
        visit(&books, cast, run, &mut differences).await?;
    }
    money(&books, &mut differences);
    locks(&books, cast, &mut differences).await?;
    line(&site.data, &mut differences)?;
    Ok(differences)
}

async fn read(site: &Addresses, cast: &Cast) -> Result<Books> {
    let his = fetch(&format!("{}/control/books", site.his)).await?;
    let ledger = fetch(&format!("{}/control/ledger", site.his)).await?;
    let channel = fetch(&format!("{}/control/ledger", site.pay)).await?;
    let payments = all_pages(cast, "admin/payments").await?;
    Ok(Books {
        registrations: group(&his["registrations"], "ps_ord"),
        recipes: group(&his["recipes"], "rx_no"),
        his_ledger: ledger["movements"].as_array().cloned().unwrap_or_default(),
        channel: single(&channel["trades"], "out_trade_no"),
        channel_refunds: single(&channel["refunds"], "out_refund_no"),
        payments: payments.into_iter().map(|p| (text(&p, "id"), p)).collect(),
    })
}

async fn fetch(url: &str) -> Result<Value> {
    let http = reqwest::Client::builder().timeout(DEADLINE).build()?;
    http.get(url)
        .send()
        .await?
        .error_for_status()?
        .json()
        .await
        .with_context(|| format!("reading {url}"))
}

async fn all_pages(cast: &Cast, path: &str) -> Result<Vec<Value>> {
    let mut items = Vec::new();
    for page in 1.. {
        let answer = cast.admin.get(&format!("{path}?page={page}&size=100")).await?;
        let batch = answer["items"].as_array().cloned().unwrap_or_default();
        let last = batch.len() < 100;
        items.extend(batch);
        if last {
            break;
        }
    }
    Ok(items)
}

fn group(rows: &Value, key: &str) -> BTreeMap<String, Vec<Value>> {
    let mut groups: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for row in rows.as_array().into_iter().flatten() {
        groups.entry(text(row, key)).or_default().push(row.clone());
    }
    groups
}

fn single(rows: &Value, key: &str) -> BTreeMap<String, Value> {
    rows.as_array()
        .into_iter()
        .flatten()
        .map(|row| (text(row, key), row.clone()))
        .collect()
}

fn text(row: &Value, key: &str) -> String {
    row[key].as_str().unwrap_or_default().to_owned()
}

/// One visit in all books: finished here, one registration and one recipe there, each paid once with the same amount.
async fn visit(books: &Books, cast: &Cast, run: &Made, differences: &mut Vec<String>) -> Result<()> {
    let id = &run.visit;
    let ours = cast.admin.get(&format!("admin/visits/{id}")).await?;
    if ours["state"] != "finished" {
        differences.push(format!("{id}: our state is {}", ours["state"]));
    }
    let registrations = books.registrations.get(id).cloned().unwrap_or_default();
    let paid: Vec<_> = registrations
        .iter()
        .filter(|r| matches!(r["status"].as_i64(), Some(2 | 5 | 6)))
        .collect();
    if paid.len() != 1 {
        differences.push(format!(
            "{id}: {} paid registrations in the HIS: {registrations:?}",
            paid.len()
        ));
    }
    let charges = books
        .his_ledger
        .iter()
        .filter(|m| m["ps_ord_num"] == id.as_str() && m["kind"] == "pay")
        .count();
    if charges != 1 {
        differences.push(format!("{id}: charged {charges} times in the HIS ledger"));
    }
    let recipes = books.recipes.get(&run.prescription).cloned().unwrap_or_default();
    if recipes.len() != 1 {
        differences.push(format!("{}: {} recipes in the HIS", run.prescription, recipes.len()));
    }
    if !recipes.iter().all(|r| matches!(r["status"].as_i64(), Some(5 | 6))) {
        differences.push(format!("{}: recipe not paid in the HIS: {recipes:?}", run.prescription));
    }
    let signed = cast.patient.get(&format!("prescriptions/{}", run.prescription)).await?;
    for recipe in &recipes {
        if recipe["total"] != signed["written_fen"] || signed["total_fen"] != signed["written_fen"] {
            differences.push(format!(
                "{}: signed over {} fen, billed {}, shown {}",
                run.prescription, signed["written_fen"], recipe["total"], signed["total_fen"]
            ));
        }
    }
    for payment in &run.payments {
        let ours = books.payments.get(payment);
        let theirs = books.channel.get(payment);
        let state = ours.map(|p| text(p, "state")).unwrap_or_default();
        if state != "done" {
            differences.push(format!("{payment}: our payment state is {state:?}"));
        }
        if theirs.map(|t| text(t, "state")).as_deref() != Some("SUCCESS") {
            differences.push(format!("{payment}: the channel says {theirs:?}"));
        }
        let (ours, theirs) = (
            ours.map(|p| p["amount_fen"].clone()),
            theirs.map(|t| t["total_fen"].clone()),
        );
        if ours != theirs {
            differences.push(format!("{payment}: amounts differ: ours {ours:?}, channel {theirs:?}"));
        }
    }
    Ok(())
}

/// Every fen the channel took, less what it gave back, is in the hospital's ledger and in ours.
fn money(books: &Books, differences: &mut Vec<String>) {
    let taken: i64 = books
        .channel
        .values()
        .filter(|o| matches!(o["state"].as_str(), Some("SUCCESS" | "REFUND")))
        .filter_map(|o| o["total_fen"].as_i64())
        .sum();
    let given_back: i64 = books
        .channel_refunds
        .values()
        .filter(|r| r["status"] == "SUCCESS")
        .filter_map(|r| r["amount_fen"].as_i64())
        .sum();
    let hospital: i64 = books
        .his_ledger
        .iter()
        .filter_map(|m| {
            m["amount_fen"]
                .as_i64()
                .map(|a| if m["kind"] == "pay" { a } else { -a })
        })
        .sum();
    if taken - given_back != hospital {
        differences.push(format!(
            "the channel holds {} fen, the hospital booked {hospital}",
            taken - given_back
        ));
    }
    for (id, order) in &books.channel {
        if order["state"] == "SUCCESS" && !books.payments.contains_key(id) {
            differences.push(format!("{id}: paid at the channel, unknown to us"));
        }
    }
    for (id, rows) in &books.registrations {
        let pays = books
            .his_ledger
            .iter()
            .filter(|m| m["ps_ord_num"] == id.as_str() && m["kind"] == "pay")
            .count();
        if pays > 1 {
            differences.push(format!("{id}: charged {pays} times in the HIS: {rows:?}"));
        }
    }
}

/// A lock that the hospital still holds belongs to a visit that waits for payment.
async fn locks(books: &Books, cast: &Cast, differences: &mut Vec<String>) -> Result<()> {
    for (id, rows) in &books.registrations {
        let held = rows
            .iter()
            .filter(|r| r["status"].as_i64() == Some(1) && r["released"].as_i64() != Some(1))
            .count();
        if held == 0 {
            continue;
        }
        let ours = cast.admin.get(&format!("admin/visits/{id}")).await;
        let state = ours.map(|v| text(&v, "state")).unwrap_or_else(|e| format!("{e:#}"));
        if held > 1 || !matches!(state.as_str(), "awaiting_payment" | "locking" | "lock_unknown") {
            differences.push(format!("{id}: the HIS holds {held} locks, our visit is {state}"));
        }
    }
    Ok(())
}

/// Each end has applied exactly what the other has written, and nothing was parked.
fn line(data: &Path, differences: &mut Vec<String>) -> Result<()> {
    let cloud = open(&data.join("cloud/cloud.sqlite"))?;
    let edge = open(&data.join("edge/edge.sqlite"))?;
    for (name, from, to) in [("edge → cloud", &edge, &cloud), ("cloud → edge", &cloud, &edge)] {
        let written = sums(from, "SELECT lane, SUM(last_seq) FROM store_stream GROUP BY lane")?;
        let applied = sums(to, "SELECT lane, SUM(seq) FROM store_cursor GROUP BY lane")?;
        let acknowledged = sums(from, "SELECT lane, SUM(acked_seq) FROM store_stream GROUP BY lane")?;
        for (lane, last) in written {
            let (done, acked) = (
                applied.get(&lane).copied().unwrap_or(0),
                acknowledged.get(&lane).copied().unwrap_or(0),
            );
            // Telemetry goes on while we look.
            let slack = if lane == 3 { 3 } else { 0 };
            if (last - done).abs() > slack || (last - acked).abs() > slack {
                differences.push(format!(
                    "{name}, lane {lane}: {last} written, {done} applied, {acked} acknowledged"
                ));
            }
        }
        let parked: i64 = to.query_row("SELECT COUNT(*) FROM store_parked", [], |row| row.get(0))?;
        if parked != 0 {
            differences.push(format!("{name}: {parked} entries were parked"));
        }
    }
    Ok(())
}

fn open(path: &Path) -> Result<Connection> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .with_context(|| format!("opening {}", path.display()))?;
    // Its owner may just be recovering it after a kill.
    db.busy_timeout(DEADLINE)?;
    Ok(db)
}

fn sums(db: &Connection, sql: &str) -> Result<BTreeMap<i64, i64>> {
    let mut statement = db.prepare(sql)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
