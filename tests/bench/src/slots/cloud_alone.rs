//! Listing and booking of the cloud alone, see [`super::alone`].

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use kit::process::Process;
use records::{Clock, LocalDate, SystemClock};
use serde_json::{Value, json};

use super::alone::{BEGINS, DEPARTMENT, HOSPITAL, work_id};
use super::{Sizes, text};
use crate::http::{self, Connection, Maker, Reply};
use crate::report::Row;
use crate::sync_log::{DISK, fdatasync};
use crate::timing::rate;
use crate::{say, slots};

const NOTE: &str = "POST visits with the cloud's own contexts and database, the hospital answering at once from memory: \
                    three units of work that write, every booking another place";
const BANK: &str =
    "pgbench on the same server: the least a booking is, one UPDATE and one INSERT of 1 KB a transaction";

struct Patient {
    token: String,
    id: String,
}

pub(super) async fn run(postgres: Option<String>, sizes: &Sizes, database: &str) -> Result<Vec<Row>> {
    say(&format!("the cloud alone on {database}"));
    let folder = tempfile::tempdir()?;
    let port = kit::ports::free_port();
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["role", "cloud-alone"]).arg(folder.path());
    command.args([&port.to_string(), postgres.as_deref().unwrap_or("sqlite")]);
    let process = Process::spawn(command).ready(Duration::from_secs(60));
    let at = SocketAddr::from(([127, 0, 0, 1], port));
    let mut connection = Connection::open(at).await?;
    let mut patients = Vec::new();
    for number in 0..sizes.connections[0].min(64) {
        patients.push(sign_in(&mut connection, &process, number as u64).await?);
    }
    let consent = done(&mut connection, "GET", "consents/current", first(&patients)?, None).await?;
    let mut rows = listing(at, &patients, sizes, database).await?;
    let bookings = bookings(patients, consent);
    for connections in sizes.connections {
        say(&format!("bookings of the cloud alone, {connections} connections"));
        let (peer, other) = peer(folder.path(), postgres.as_deref(), connections, sizes)?;
        let mut load = sizes.load(at, connections);
        load.good = is_booked;
        let counted = load.run(&bookings).await?.sound("booking")?;
        rows.push(
            Row::new(
                format!("slots booking, cloud alone, {database}, {connections} connections"),
                counted.rate(),
                "bookings/s",
            )
            .beside(peer, other)
            .times(&counted.times)
            .errors(counted.errors)
            .note(NOTE),
        );
    }
    Ok(rows)
}

fn first(patients: &[Patient]) -> Result<&str> {
    Ok(&patients.first().context("a patient")?.token)
}

fn is_booked(reply: &Reply) -> bool {
    reply.is_success() && text(&reply.json(), "state") == "awaiting_payment"
}

async fn listing(at: SocketAddr, patients: &[Patient], sizes: &Sizes, database: &str) -> Result<Vec<Row>> {
    let today = SystemClock.now().local_date();
    let (from, to) = (today.plus_days(1), today.plus_days(1));
    let path = format!("slots?department_code={DEPARTMENT}&doctor_code=D1&from={from}&to={to}");
    let asked = patients
        .iter()
        .map(|p| http::api("GET", &path, Some(&p.token), None))
        .collect();
    let asked = http::each(asked);
    let mut connection = Connection::open(at).await?;
    let reply = connection.ask(&asked(0)).await?;
    ensure!(reply.is_success(), "listing: {} {}", reply.status, reply.json());
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), &reply.body)?;
    let (_peer, plain_at) = slots::plain::start(file.path())?;
    let plain = http::each(vec![http::request("GET", "/", &[], b"")]);
    let mut rows = Vec::new();
    for connections in sizes.connections {
        let theirs = sizes
            .load(plain_at, connections)
            .run(&plain)
            .await?
            .sound("bare server")?;
        let ours = sizes.load(at, connections).run(&asked).await?.sound("listing")?;
        rows.push(
            Row::new(
                format!("slots listing, cloud alone, {database}, {connections} connections"),
                ours.rate(),
                "requests/s",
            )
            .beside(slots::CEILING, theirs.rate())
            .times(&ours.times)
            .peer_times(&theirs.times)
            .errors(ours.errors)
            .note(format!("24 slots, {} bytes an answer", reply.body.len())),
        );
    }
    Ok(rows)
}

/// Every request is a place that nobody has booked.
fn bookings(patients: Vec<Patient>, consent: Value) -> Maker {
    let next = AtomicU64::new(0);
    let today: LocalDate = SystemClock.now().local_date();
    Arc::new(move |connection| {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let Some(patient) = patients.get(connection % patients.len().max(1)) else {
            return Vec::new();
        };
        // Another begin, then another day, then another doctor.
        let (begins, days) = (BEGINS.len() as u64, 10);
        let begin = BEGINS.iter().cycle().nth((number % begins) as usize);
        let day = i64::try_from(number / begins % days).unwrap_or(0) + 1;
        let date = today.plus_days(day).to_string();
        let doctor = format!("D{}", number / (begins * days));
        let body = json!({
            "key": format!("k{number}"),
            "patient_id": patient.id,
            "purpose": "renew_prescription",
            "department_code": DEPARTMENT,
            "doctor_code": doctor,
            "slot": { "work_id": work_id(&doctor, &date, 0), "date": date, "begin": begin, "end": "23:59" },
            "consent": { "id": consent.get("id"), "version": consent.get("version") },
            "statement": { "complaint": "血压控制尚可，需续方", "duration": "3年", "history": "高血压病史3年",
                "allergies": "无", "medications": "苯磺酸氨氯地平片 5mg 每日一次" },
        });
        http::api("POST", "visits", Some(&patient.token), Some(&body))
    })
}

async fn done(
    connection: &mut Connection,
    method: &str,
    path: &str,
    token: &str,
    body: Option<&Value>,
) -> Result<Value> {
    let token = Some(token).filter(|t| !t.is_empty());
    let reply = connection.ask(&http::api(method, path, token, body)).await?;
    if !reply.is_success() {
        bail!("{method} {path}: {} {}", reply.status, reply.json());
    }
    Ok(reply.json())
}

/// A patient on their own phone.
async fn sign_in(connection: &mut Connection, process: &Process, number: u64) -> Result<Patient> {
    let phone = format!("138{number:08}");
    let asked = json!({ "hospital": HOSPITAL, "phone": phone });
    done(connection, "POST", "auth/phone/code", "", Some(&asked)).await?;
    let word = format!("code {phone} ");
    let told = tokio::task::block_in_place(|| {
        process
            .stdout
            .wait_for(Duration::from_secs(10), |line| line.starts_with(&word))
    });
    let told = told.context("no login code")?;
    let given = json!({ "hospital": HOSPITAL, "phone": phone, "code": told.trim_start_matches(&word) });
    let signed = done(connection, "POST", "auth/phone/login", "", Some(&given)).await?;
    let token = text(&signed, "token").to_owned();
    let body = json!({ "name": "张三", "id_number": id_number(number), "phone": phone, "relation": "self" });
    let added = done(connection, "POST", "patients", &token, Some(&body)).await?;
    ensure!(
        text(&added, "his_state") == "matched",
        "a patient is not matched: {added}"
    );
    let id = text(&added, "id").to_owned();
    Ok(Patient { token, id })
}

/// An identity card number with its check digit (GB 11643).
fn id_number(number: u64) -> String {
    let body = format!("11010519800101{:03}", number % 1000);
    let weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = body
        .chars()
        .zip(weights)
        .map(|(c, w)| c.to_digit(10).unwrap_or(0) * w)
        .sum();
    let check = "10X98765432".chars().nth((sum % 11) as usize).unwrap_or('X');
    format!("{body}{check}")
}

/// What the disk or the database server does at most.
fn peer(folder: &Path, postgres: Option<&str>, connections: usize, sizes: &Sizes) -> Result<(String, f64)> {
    let Some(url) = postgres else {
        let count = sizes.bookings as u64;
        return Ok((DISK.to_owned(), rate(count, fdatasync(folder, count, 1)?.1)));
    };
    // The server takes 200 connections.
    let clients = connections.min(64).to_string();
    kit::postgres::psql(
        url,
        "CREATE TABLE IF NOT EXISTS bench_slot(id BIGINT PRIMARY KEY, booked BIGINT NOT NULL);
         CREATE TABLE IF NOT EXISTS bench_visit(slot BIGINT NOT NULL, body TEXT NOT NULL);
         INSERT INTO bench_slot SELECT n, 0 FROM generate_series(1, 1000) n ON CONFLICT DO NOTHING",
    );
    let script = folder.join("booking.sql");
    std::fs::write(
        &script,
        "\\set id random(1, 1000)\nBEGIN;\nUPDATE bench_slot SET booked = booked + 1 WHERE id = :id AND booked < 1000000;\n\
         INSERT INTO bench_visit VALUES (:id, repeat('x', 1000));\nCOMMIT;\n",
    )?;
    let seconds = sizes.time.as_secs().max(1).to_string();
    let output = Command::new("pgbench")
        .args(["-n", "-M", "prepared", "-j", "2", "-c", &clients, "-T", &seconds, "-f"])
        .arg(&script)
        .arg(url)
        .output()
        .context("pgbench (Debian package postgresql)")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let tps = said
        .lines()
        .find_map(|l| l.strip_prefix("tps = ")?.split_whitespace().next()?.parse().ok());
    let tps = tps.with_context(|| format!("pgbench: {said} {}", String::from_utf8_lossy(&output.stderr)))?;
    Ok((format!("{BANK}, {clients} clients"), tps))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_check_digit_is_that_of_the_standard() {
        assert_eq!(super::id_number(2).len(), 18);
        assert_eq!(super::id_number(2), "110105198001010024");
    }
}
