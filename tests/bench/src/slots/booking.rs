//! Booking: every booking is another patient and clinic session, because the hospital refuses the same one twice.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::text;
use crate::http::{self, Connection, Counted};
use crate::place::{Person, Place};
use crate::soap;

/// One booking to be made.
#[derive(Debug, Clone)]
pub(super) struct Job {
    person: Person,
    slot: Value,
    consent: Value,
}

/// All bookings that are possible, in an order that spreads them over doctors and days.
pub(super) async fn jobs(place: &Place, people: &[Person]) -> Result<Vec<Job>> {
    let mut by_department: HashMap<&str, Vec<&Person>> = HashMap::new();
    for person in people {
        by_department.entry(&person.department).or_default().push(person);
    }
    let mut jobs = Vec::new();
    for (department, persons) in by_department {
        let first = persons.first().context("a patient")?;
        let consent = place.done("GET", "consents/current", Some(&first.token), None).await?;
        let path = format!("slots?department_code={department}");
        let listed = place.done("GET", &path, Some(&first.token), None).await?;
        let mut sessions: HashMap<String, Vec<(u64, Value)>> = HashMap::new();
        for slot in listed.as_array().cloned().unwrap_or_default() {
            let left = slot.get("left").and_then(Value::as_u64).unwrap_or(0);
            let session = sessions.entry(text(&slot, "work_id").to_owned()).or_default();
            session.push((left, slot));
        }
        for times in sessions.values_mut() {
            for person in &persons {
                let Some((left, slot)) = times
                    .iter_mut()
                    .max_by_key(|(left, _)| *left)
                    .filter(|(left, _)| *left > 0)
                else {
                    break;
                };
                *left -= 1;
                let (person, slot) = ((*person).clone(), slot.clone());
                jobs.push(Job {
                    person,
                    slot,
                    consent: consent.clone(),
                });
            }
        }
    }
    // An order of chance, fixed by the slots' own names: neighbours in time are not neighbours in the queue.
    jobs.sort_by_key(|job| {
        let name = format!("{}{}", job.person.id, text(&job.slot, "work_id"));
        name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    });
    Ok(jobs)
}

impl Job {
    fn request(&self, run: &str) -> Vec<u8> {
        let slot = &self.slot;
        let body = json!({
            "key": format!("{run}-{}-{}", self.person.his_id, text(slot, "work_id")),
            "patient_id": self.person.id,
            "purpose": "renew_prescription",
            "department_code": slot.get("department_code"),
            "doctor_code": slot.get("doctor_code"),
            "slot": { "work_id": slot.get("work_id"), "date": slot.get("date"), "begin": slot.get("begin"), "end": slot.get("end") },
            "consent": { "id": self.consent.get("id"), "version": self.consent.get("version") },
            "statement": { "complaint": "血压控制尚可，需续方", "duration": "3年", "history": "高血压病史3年",
                "allergies": "无", "medications": "苯磺酸氨氯地平片 5mg 每日一次" },
        });
        http::api("POST", "visits", Some(&self.person.token), Some(&body))
    }

    async fn through_us(&self, connection: &mut Connection, run: &str, counted: &mut Counted) -> Result<()> {
        let request = self.request(run);
        let begun = Instant::now();
        let reply = connection.ask(&request).await?;
        let (body, took) = (reply.json(), begun.elapsed());
        let state = text(&body, "state");
        if reply.is_success() && state == "awaiting_payment" {
            counted.times.push(took);
            return Ok(());
        }
        counted.fail(format!("{} {state} {}", reply.status, text(&body, "message")));
        if reply.status == 504 || matches!(state, "locking" | "lock_unknown") {
            counted.uncertain += 1;
        }
        Ok(())
    }

    async fn directly(&self, connection: &mut Connection, run: &str, counted: &mut Counted) -> Result<()> {
        let (person, slot) = (&self.person, &self.slot);
        let (date, doctor) = (text(slot, "date"), text(slot, "doctor_code"));
        let department = text(slot, "department_code");
        let order = format!("{run}-{}-{}", person.his_id, text(slot, "work_id"));
        let begun = Instant::now();
        let asked = [
            soap::call(
                "checkRevisit",
                &[("patId", &person.his_id), ("deptCode", department), ("days", "180")],
            ),
            soap::call(
                "getNetRegInfo",
                &[
                    ("beginDate", date),
                    ("endDate", date),
                    ("deptCode", department),
                    ("doctorCode", doctor),
                ],
            ),
            soap::call(
                "orderNetReg",
                &[
                    ("psOrdNum", &order),
                    ("patId", &person.his_id),
                    ("workId", text(slot, "work_id")),
                    ("deptCode", department),
                    ("doctorCode", doctor),
                    ("scheduleDate", date),
                    ("beginTime", text(slot, "begin")),
                    ("endTime", text(slot, "end")),
                ],
            ),
        ];
        for call in &asked {
            if let Err(error) = soap::ask(connection, call).await {
                counted.fail(format!("{error:#}"));
                return Ok(());
            }
        }
        counted.times.push(begun.elapsed());
        Ok(())
    }
}

/// Which way a booking goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Through the cloud's API.
    Product,
    /// To the hospital itself.
    Direct,
}

/// `connections` clients take one booking after the other until none is left.
pub(super) async fn run(at: SocketAddr, way: Way, connections: usize, jobs: &[Job], name: &str) -> Result<Counted> {
    let (jobs, name): (Arc<[Job]>, Arc<str>) = (jobs.into(), name.into());
    let next = Arc::new(AtomicUsize::new(0));
    let ready = Arc::new(Barrier::new(connections + 1));
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let (jobs, name, next, ready) = (jobs.clone(), name.clone(), next.clone(), ready.clone());
        tasks.spawn(async move {
            let opened = Connection::open(at).await;
            ready.wait().await;
            let (mut connection, mut counted) = (opened?, Counted::default());
            while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                let done = match way {
                    Way::Product => job.through_us(&mut connection, &name, &mut counted).await,
                    Way::Direct => job.directly(&mut connection, &name, &mut counted).await,
                };
                if let Err(error) = done {
                    counted.fail(format!("{error:#}"));
                    connection = Connection::open(at).await?;
                }
            }
            Ok::<_, anyhow::Error>(counted)
        });
    }
    ready.wait().await;
    let begun = Instant::now();
    let mut all = Counted::default();
    while let Some(counted) = tasks.join_next().await {
        all.join(counted??);
    }
    all.took = begun.elapsed();
    Ok(all)
}

/// The hospital holds the places that were booked and no other; those whose lock was left uncertain it may hold.
pub(super) async fn check(place: &Place, counted: &Counted) -> Result<()> {
    let books = place.books().await?;
    let open = |r: &&Value| r.get("released") == Some(&json!(0));
    let registrations = books.get("registrations").and_then(Value::as_array);
    let held = registrations.map_or(0, |all| all.iter().filter(open).count()) as u64;
    let booked = counted.times.len();
    ensure!(
        (booked..=booked + counted.uncertain).contains(&held),
        "{booked} bookings were answered ({} uncertain), the hospital holds {held}",
        counted.uncertain
    );
    Ok(())
}
