//! The appliance's devices. Each part is measured alone: `bench devices` runs them all.

mod dock;
pub(crate) mod ingest;
mod receipt;

use anyhow::{Context, Result};

use crate::report::Row;
use crate::say;

pub(crate) async fn run(quick: bool) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    // Blocks; nothing else is to run meanwhile.
    rows.extend(ingest::run(quick).context("ingest")?);
    say("receipt-203");
    rows.extend(receipt::run(quick).await.context("receipt-203")?);
    say("dock-round-trip");
    rows.extend(dock::run(quick).await.context("dock-round-trip")?);
    Ok(rows)
}
