//! The cloud is killed between the signature and what it stands for. The attempt was written down before the signature server
//! was asked, so what it signed is asked for again by the same key and never signed twice; nothing takes effect by itself.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use rusqlite::{Connection, OpenFlags, Params};
use scenarios::client::Person;
use scenarios::counter::House;
use scenarios::journey::{self, PIN};
use serde_json::{Value, json};

/// Each piece on its way up waits so long: time enough to kill the cloud before an answer arrives.
const SLOW_MS: u64 = 5000;
/// Nobody waits longer for a signature.
const LONGEST: Duration = Duration::from_secs(60);

pub(crate) async fn story(house: &House, expert: &Person) -> Result<()> {
    let cast = &house.cast;
    let patient = house.patient(1).await?;
    let (visit, _) = house.paid_visit(&patient, &house.time(1).await?, "killed").await?;
    journey::accept(cast, &visit).await?;
    let prescription = journey::prescribe(cast, &visit).await?;
    opinion(house, expert, &visit).await.context("opinion")?;
    end(house, &visit, &prescription).await.context("end of service")
}

/// The expert's opinion is signed and the cloud gone: asked again, it is concluded once with the signature that was made.
async fn opinion(house: &House, expert: &Person, visit: &str) -> Result<()> {
    let me = expert.get("auth/me").await?;
    let wish =
        json!({ "key": "killed-1", "expert_id": me["staff"]["id"], "question": "是否调整剂量？", "summary": "高血压" });
    let consilia = format!("doctor/visits/{visit}/consilia");
    let asked = house.cast.doctor.post(&consilia, wish).await?;
    let id = asked["id"].as_str().context("a consilium")?;
    let path = format!("doctor/consilia/{id}");
    expert.post(&format!("{path}/accept"), json!({})).await?;
    let sign = format!("{path}/opinion");
    let body = json!({ "opinion": "维持现方案。", "pin": PIN });
    let made = cut_short(house, expert, &sign, &body).await?;
    is_open(house, &made)?;
    ensure!(
        expert.get(&path).await?["state"] == "open",
        "it moved without a signature"
    );
    let signed = expert.post(&sign, body).await?;
    ensure!(signed["state"] == "concluded", "{signed}");
    is_kept_once(house, &made, "consilium", id)?;
    let sql = "SELECT COUNT(*) FROM treatment_consilium_step WHERE consilium_id = ?1 AND command = 'sign'";
    let steps: i64 = in_cloud(house, sql, [id])?;
    ensure!(steps == 1, "concluded {steps} times");
    let read = house.cast.doctor.get(&path).await?;
    ensure!(read["opinion"]["signature"]["valid"] == true, "{read}");
    Ok(())
}

/// The cloud dies over the record's signature, and again over the prescription's; the third time the service ends.
async fn end(house: &House, visit: &str, prescription: &str) -> Result<()> {
    let doctor = &house.cast.doctor;
    let path = format!("doctor/visits/{visit}/end-of-service");
    let list = doctor.get(&path).await?;
    ensure!(list["unsigned"] == 2, "{list}");
    let body = json!({ "pin": PIN, "seen": journey::unsigned(&list) });

    let record = cut_short(house, doctor, &path, &body).await?;
    is_open(house, &record)?;
    ensure!(doctor.get(&path).await? == list, "something counted that was not kept");

    let recipe = cut_short(house, doctor, &path, &body).await?;
    is_open(house, &recipe)?;
    let midway = doctor.get(&path).await?;
    let counts = (&midway["unsigned"], &midway["finished"]);
    ensure!(counts == (&json!(1), &json!(false)), "{midway}");

    let made = journal(house)?.len();
    let ended = doctor.post(&path, body.clone()).await?;
    let counts = (&ended["unsigned"], &ended["finished"]);
    ensure!(counts == (&json!(0), &json!(true)), "{ended}");
    ensure!(doctor.post(&path, body).await? == ended, "ended twice");
    ensure!(journal(house)?.len() == made, "something was signed again");
    is_kept_once(house, &record, "record", &format!("{visit}/1"))?;
    is_kept_once(house, &recipe, "prescription", prescription)?;
    submitted_once(house, visit, prescription).await
}

/// Each stands in its queue once, and the visit was ended once.
async fn submitted_once(house: &House, visit: &str, prescription: &str) -> Result<()> {
    let reviews: i64 = in_cloud(
        house,
        "SELECT COUNT(*) FROM treatment_record_review WHERE visit_id = ?1 AND state = 'in_review'",
        [visit],
    )?;
    ensure!(reviews == 1, "{reviews} reviews of the record");
    let look = format!("doctor/prescriptions/{prescription}");
    let seen = house.cast.doctor.get(&look).await?;
    let trail = seen["trail"].as_array().context("trail")?;
    let times = |state: &str| trail.iter().filter(|step| step["state"] == state).count();
    ensure!((times("signed"), times("in_review")) == (1, 1), "{trail:?}");
    let rows = house.audited("visit.end_of_service").await?;
    let ends = rows.iter().filter(|row| row["subject"] == visit).count();
    ensure!(ends == 1, "{ends} ends in {rows:?}");
    house.reaches(visit, &["finished"]).await.map(drop)
}

/// A signature as the signature server keeps it.
#[derive(Debug, PartialEq, Eq)]
struct Made {
    key: String,
    message: Vec<u8>,
}

/// Asks for something to be signed over a slow line, kills the cloud as soon as one more signature is made, and starts it
/// again. Answers the signature.
async fn cut_short(house: &House, person: &Person, path: &str, body: &Value) -> Result<Made> {
    let before = journal(house)?.len();
    slow(house, SLOW_MS).await?;
    let (asker, path, body) = (person.clone(), path.to_owned(), body.clone());
    let asking = tokio::spawn(async move { asker.once(Method::POST, &path, Some(&body)).await });
    let started = Instant::now();
    while journal(house)?.len() == before {
        ensure!(started.elapsed() < LONGEST, "nothing was signed");
        if asking.is_finished() {
            anyhow::bail!("answered without a signature: {:?}", asking.await?);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    house.site.lock().await.processes().kill("cloud").await?;
    let answer = asking.await?;
    ensure!(answer.is_err(), "the answer came before the end: {answer:?}");
    slow(house, 0).await?;
    house.site.lock().await.processes().restart("cloud").await?;
    let there = |view: &Value| view["locked"] == false;
    person.wait("doctor/signature", "the appliance", there).await?;
    let made = journal(house)?;
    ensure!(made.len() == before + 1, "{} signatures at once", made.len() - before);
    made.into_iter().last().context("a signature")
}

async fn slow(house: &House, delay_ms: u64) -> Result<()> {
    let line = json!({ "delay_up_ms": delay_ms });
    house.move_peer(&house.at.line, "lines/mqtt", line).await.map(drop)
}

fn open(house: &House, file: &str) -> Result<Connection> {
    let path = house.at.data.join(file);
    Ok(Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?)
}

/// What the signature server has signed of people, in order.
fn journal(house: &House) -> Result<Vec<Made>> {
    let db = open(house, "signd/signd.db")?;
    let mut rows = db.prepare("SELECT key, cms FROM journal WHERE act = 'document' ORDER BY rowid")?;
    let rows = rows.query_map([], |row| {
        Ok(Made {
            key: row.get(0)?,
            message: row.get(1)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn in_cloud<T: rusqlite::types::FromSql>(house: &House, sql: &str, with: impl Params) -> Result<T> {
    Ok(open(house, "cloud/cloud.sqlite")?.query_row(sql, with, |row| row.get(0))?)
}

/// It was written down before it was asked for, and nothing stands on it yet.
fn is_open(house: &House, made: &Made) -> Result<()> {
    let state: String = in_cloud(house, "SELECT state FROM treatment_signing WHERE key = ?1", [&made.key])?;
    let kept: i64 = in_cloud(
        house,
        "SELECT COUNT(*) FROM treatment_signature WHERE key = ?1",
        [&made.key],
    )?;
    ensure!(
        (state.as_str(), kept) == ("open", 0),
        "{}: {state}, kept {kept} times",
        made.key
    );
    Ok(())
}

/// The one signature under what was signed is the one that was made before the cloud died.
fn is_kept_once(house: &House, made: &Made, purpose: &str, subject: &str) -> Result<()> {
    let count = "SELECT COUNT(*) FROM treatment_signature WHERE purpose = ?1 AND subject = ?2";
    let many: i64 = in_cloud(house, count, [purpose, subject])?;
    ensure!(many == 1, "{many} signatures under {purpose} {subject}");
    let kept = "SELECT cms FROM treatment_signature WHERE purpose = ?1 AND subject = ?2 AND key = ?3";
    let kept: Vec<u8> = in_cloud(house, kept, [purpose, subject, &made.key])?;
    ensure!(kept == made.message, "another signature under {purpose} {subject}");
    let state: String = in_cloud(house, "SELECT state FROM treatment_signing WHERE key = ?1", [&made.key])?;
    ensure!(state == "done", "{}: {state}", made.key);
    Ok(())
}
