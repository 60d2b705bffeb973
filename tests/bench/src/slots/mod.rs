//! Slots: the listing, which many read at once, and the booking, which ends in the hospital's books. Through the cloud's
//! HTTP API with the whole product behind it, on SQLite and on PostgreSQL.

mod booking;
pub(crate) mod plain;

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::http;
use crate::place::{Person, Place};
use crate::report::Row;
use crate::say;
use booking::{Job, Way};

const CEILING: &str = "the same bytes from memory by a bare axum server in its own process";
const DIRECT: &str = "the same three operations to the HIS peer directly by SOAP, as many connections";

const NOTE: &str = "POST visits until the place is locked in the hospital: eligibility, slots, lock; every try that was \
                    refused is an error and is made again after 0.1 s, within the booking's time; checked against the \
                    hospital's books";

struct Sizes {
    connections: [usize; 2],
    warm: Duration,
    time: Duration,
    people: usize,
    bookings: usize,
    first: usize,
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
            time: Duration::from_secs(6),
            people: usize::MAX,
            bookings: 1_000,
            first: 100,
        }
    };
    let mut rows = Vec::new();
    for database in ["SQLite", "PostgreSQL"] {
        say(database);
        let url = (database == "PostgreSQL").then(kit::postgres::database);
        let place = Place::for_load(url).await?;
        let people = place.people(sizes.people).await?;
        rows.extend(listing(&place, &people, &sizes, database).await?);
        rows.extend(bookings(&place, &people, &sizes, database).await?);
        place.close().await;
    }
    Ok(rows)
}

async fn listing(place: &Place, people: &[Person], sizes: &Sizes, database: &str) -> Result<Vec<Row>> {
    let department = &people.first().context("a patient")?.department;
    let path = format!("slots?department_code={department}");
    let asked: Vec<_> = people
        .iter()
        .map(|p| http::api("GET", &path, Some(&p.token), None))
        .collect();
    let first = people.first().context("a patient")?;
    let body = place.ask("GET", &path, Some(&first.token), None).await?.body;
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), &body)?;
    let (_peer, at) = plain::start(file.path())?;
    let plain = [http::request("GET", "/", &[], b"")];
    let mut rows = Vec::new();
    for connections in sizes.connections {
        say(&format!("listing, {connections} connections"));
        let theirs = http::repeat(at, connections, &plain, sizes.warm, sizes.time)
            .await?
            .sound("bare server")?;
        let ours = http::repeat(place.web, connections, &asked, sizes.warm, sizes.time)
            .await?
            .sound("listing")?;
        let row = Row::new(
            format!("slots listing, {database}, {connections} connections"),
            ours.rate(),
            "requests/s",
        )
        .beside(CEILING, theirs.rate())
        .times(&ours.times)
        .peer_times(&theirs.times)
        .errors(ours.errors)
        .note(format!(
            "{} patients signed in, {} bytes an answer; the hospital is asked every 3 s",
            people.len(),
            body.len()
        ));
        rows.push(row);
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
        booking::check(place, ours.times.len()).await?;
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
