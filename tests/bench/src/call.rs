//! A question of a patient that the cloud can only answer by asking the hospital: API, broker, appliance, HIS and back.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;

use crate::http;
use crate::place::Place;
use crate::report::Row;
use crate::{say, soap};

const PEER: &str = "the same question to the HIS peer directly by SOAP over kept connections";

pub(crate) async fn run(quick: bool) -> Result<Vec<Row>> {
    let (warm, time) = if quick { (100, 500) } else { (1_000, 6_000) };
    let (warm, time) = (Duration::from_millis(warm), Duration::from_millis(time));
    let place = Place::for_load(None).await?;
    let rows = measure(&place, warm, time).await;
    place.close().await;
    rows
}

async fn measure(place: &Place, warm: Duration, time: Duration) -> Result<Vec<Row>> {
    let people = place.people(1).await?;
    let person = people.first().context("a patient")?;
    let question = json!({ "patient_id": person.id, "department_code": person.department });
    let ours = http::each(vec![http::api(
        "POST",
        "visits/eligibility",
        Some(&person.token),
        Some(&question),
    )]);
    let direct = soap::call(
        "checkRevisit",
        &[
            ("patId", &person.his_id),
            ("deptCode", &person.department),
            ("days", "180"),
        ],
    );
    let mut connection = http::Connection::open(place.soap).await?;
    soap::ask(&mut connection, &direct).await?;
    let direct = http::each(vec![direct]);
    let mut rows = Vec::new();
    for outstanding in [1, 16] {
        say(&format!("{outstanding} outstanding"));
        let load = |at, good| http::Load {
            at,
            connections: outstanding,
            warm,
            time,
            good,
        };
        let theirs = load(place.soap, soap::is_done).run(&direct).await?.sound("direct")?;
        let all = load(place.web, http::Reply::is_success).run(&ours).await?;
        let all = all.sound("through the cloud")?;
        let (own, other) = (all.times.percentile(0.5), theirs.times.percentile(0.5));
        let (own, other) = (own.context("samples")?, other.context("samples")?);
        let label = if outstanding == 1 {
            "idle".to_owned()
        } else {
            format!("{outstanding} outstanding")
        };
        let note = format!(
            "value is the median; POST visits/eligibility, never cached; {:.0}/s against {:.0}/s; the product adds {:.2} ms",
            all.rate(),
            theirs.rate(),
            own - other
        );
        rows.push(
            Row::new(format!("call round trip, {label}"), own, "ms")
                .beside(PEER, other)
                .times(&all.times)
                .peer_times(&theirs.times)
                .errors(all.errors)
                .note(note),
        );
    }
    Ok(rows)
}
