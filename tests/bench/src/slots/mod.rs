//! Slots: the listing, which many read at once, and the booking, which ends in the hospital's books. Through the cloud's
//! HTTP API with the whole product behind it, on SQLite and on PostgreSQL.

pub(crate) mod alone;
mod booking;
mod cloud_alone;
pub(crate) mod plain;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;

use crate::http;
use crate::place::{Person, Place};
use crate::report::Row;
use crate::say;
use booking::{Job, Way};

const CEILING: &str = "the same bytes from memory by a bare axum server in its own process";
const DIRECT: &str = "the same three operations to the HIS peer directly by SOAP, as many connections";

const NOTE: &str = "POST visits until the place is locked in the hospital: eligibility, slots, lock; whatever else came of it is an \
                    error and is not tried again; checked against the hospital's books";

/// A text of a JSON object.
fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

struct Sizes {
    connections: [usize; 2],
    warm: Duration,
    time: Duration,
    people: usize,
    bookings: usize,
    first: usize,
}

impl Sizes {
    fn load(&self, at: SocketAddr, connections: usize) -> http::Load {
        http::Load {
            at,
            connections,
            warm: self.warm,
            time: self.time,
            good: http::Reply::is_success,
        }
    }
}

pub(crate) async fn run(quick: bool) -> Result<Vec<Row>> {
    let sizes = if quick {
        Sizes {
            connections: [4, 16],
            warm: Duration::from_millis(200),
            time: Duration::from_millis(500),
            people: 3,
            bookings: 20,
            first: 5,
        }
    } else {
        Sizes {
            connections: [64, 512],
            warm: Duration::from_secs(1),
            time: Duration::from_secs(5),
            people: usize::MAX,
            bookings: 1_000,
            first: 100,
        }
    };
    let mut rows = Vec::new();
    for database in ["SQLite", "PostgreSQL"] {
        say(database);
        let url = || (database == "PostgreSQL").then(kit::postgres::database);
        rows.extend(cloud_alone::run(url(), &sizes, database).await?);
        let place = Place::for_load(url()).await?;
        let measured = whole(&place, &sizes, database).await;
        place.close().await;
        rows.extend(measured?);
    }
    Ok(rows)
}

async fn whole(place: &Place, sizes: &Sizes, database: &str) -> Result<Vec<Row>> {
    let people = place.people(sizes.people).await?;
    let mut rows = listing(place, &people, sizes, database).await?;
    rows.extend(bookings(place, &people, sizes, database).await?);
    Ok(rows)
}

/// Two questions of the patient app: one doctor's day, and a department's week for the page that lists its doctors.
async fn questions(place: &Place, person: &Person) -> Result<[(&'static str, String); 2]> {
    let department = &person.department;
    let week = format!("slots?department_code={department}");
    let slots = place.done("GET", &week, Some(&person.token), None).await?;
    let slot = slots.as_array().and_then(|all| all.last()).context("a slot")?;
    let (doctor, day) = (text(slot, "doctor_code"), text(slot, "date"));
    let last = records::LocalDate::parse(day).map_err(|e| anyhow!("{day}: {e}"))?;
    let first = last.plus_days(-6);
    Ok([
        (
            "one doctor's day",
            format!("slots?department_code={department}&doctor_code={doctor}&from={day}&to={day}"),
        ),
        (
            "a department's week",
            format!("slots?department_code={department}&from={first}&to={day}"),
        ),
    ])
}

async fn listing(place: &Place, people: &[Person], sizes: &Sizes, database: &str) -> Result<Vec<Row>> {
    let first = people.first().context("a patient")?;
    let plain = http::each(vec![http::request("GET", "/", &[], b"")]);
    let mut rows = Vec::new();
    for (what, path) in questions(place, first).await? {
        let asked = http::each(
            people
                .iter()
                .map(|p| http::api("GET", &path, Some(&p.token), None))
                .collect(),
        );
        let reply = place.ask("GET", &path, Some(&first.token), None).await?;
        let slots = reply.json().as_array().map_or(0, Vec::len);
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), &reply.body)?;
        let (_peer, at) = plain::start(file.path())?;
        for connections in sizes.connections {
            say(&format!("{what}, {connections} connections"));
            let theirs = sizes.load(at, connections).run(&plain).await?.sound("bare server")?;
            let ours = sizes.load(place.web, connections).run(&asked).await?;
            let ours = ours.sound("listing")?;
            let name = format!("slots listing, {what}, {database}, {connections} connections");
            let note = format!(
                "{slots} slots, {} bytes an answer; {} patients signed in; the hospital is asked every 3 s",
                reply.body.len(),
                people.len(),
            );
            rows.push(
                Row::new(name, ours.rate(), "requests/s")
                    .beside(CEILING, theirs.rate())
                    .times(&ours.times)
                    .peer_times(&theirs.times)
                    .errors(ours.errors)
                    .note(note),
            );
        }
    }
    Ok(rows)
}

async fn bookings(place: &Place, people: &[Person], sizes: &Sizes, database: &str) -> Result<Vec<Row>> {
    let jobs = booking::jobs(place, people).await?;
    say(&format!("{} bookings are possible", jobs.len()));
    // The same patient cannot book the same session twice: each part is another set.
    let mut jobs = jobs.into_iter();
    let warm: Vec<Job> = jobs.by_ref().take(sizes.first).collect();
    for (way, at) in [(Way::Direct, place.soap), (Way::Product, place.web)] {
        place.reset_hospital().await?;
        booking::run(at, way, 4, &warm, "warm").await?.sound("warm-up")?;
    }
    let mut rows = Vec::new();
    for connections in sizes.connections {
        let jobs: Vec<Job> = jobs.by_ref().take(sizes.bookings).collect();
        ensure!(jobs.len() == sizes.bookings, "too few bookings are possible");
        say(&format!("{} bookings, {connections} connections", jobs.len()));
        let name = connections.to_string();
        place.reset_hospital().await?;
        let theirs = booking::run(place.soap, Way::Direct, connections, &jobs, &name).await?;
        let theirs = theirs.sound("direct booking")?;
        place.reset_hospital().await?;
        let ours = booking::run(place.web, Way::Product, connections, &jobs, &name).await?;
        let ours = ours.sound("booking")?;
        booking::check(place, &ours).await?;
        let name = format!("slots booking, {database}, {connections} connections");
        let row = Row::new(name, ours.rate(), "bookings/s")
            .beside(DIRECT, theirs.rate())
            .times(&ours.times)
            .peer_times(&theirs.times)
            .errors(ours.errors)
            .note(NOTE);
        rows.push(row);
    }
    Ok(rows)
}
