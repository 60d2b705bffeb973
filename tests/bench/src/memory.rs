//! Resident memory of every process of an idle product, beside its budget.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::place::Place;
use crate::report::Row;
use crate::say;

/// Budgets in MiB.
const BUDGETS: [(&str, f64); 3] = [("edge", 64.0), ("signd", 32.0), ("cloud", 128.0)];

pub(crate) async fn run(quick: bool) -> Result<Vec<Row>> {
    let mut place = Place::as_shipped().await?;
    let settle = Duration::from_secs(if quick { 1 } else { 30 });
    say(&format!("idle for {} s", settle.as_secs()));
    tokio::time::sleep(settle).await;
    let memory = place.site.processes().memory();
    place.close().await;
    for (name, _) in BUDGETS {
        ensure!(memory.iter().any(|(n, _)| *n == name), "{name} does not run");
    }
    let mut rows: Vec<Row> = memory
        .iter()
        .map(|(name, kib)| {
            let row = Row::new(format!("memory of {name}, idle"), *kib as f64 / 1024.0, "MiB");
            match BUDGETS.iter().find(|(n, _)| n == name) {
                Some((_, budget)) => row.beside("budget", *budget),
                None => row.note("a peer of the bench, without a budget"),
            }
        })
        .collect();
    rows.sort_by_key(|row| row.peer.is_none());
    Ok(rows)
}
