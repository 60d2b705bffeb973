//! Several runs, and what they told together.

use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Break, Ward, run};

/// What several runs told.
#[derive(Debug, Default)]
pub struct Tally {
    /// Runs whose fault happened, or that found something.
    pub counted: u32,
    /// Faults that happened.
    pub fired: u32,
    /// Each run.
    pub details: Vec<Value>,
    /// What is not as it should be, in all.
    pub differences: usize,
}

impl Tally {
    /// One run more; answers whether it counted.
    async fn run(&mut self, ward: &Ward, seed: u64) -> Result<bool> {
        let started = Instant::now();
        let told = run(ward, seed).await.with_context(|| format!("seed {seed}"))?;
        let found = told.differences;
        eprintln!(
            "seed {seed}: {:?} after {:.1} s, {} — {} in {:.0} s",
            told.broke,
            told.after.as_secs_f64(),
            if told.fired { "fired" } else { "did not fire" },
            if found.is_empty() {
                "every byte is kept".to_owned()
            } else {
                format!("{} differences", found.len())
            },
            started.elapsed().as_secs_f64()
        );
        for difference in &found {
            eprintln!("    {difference}");
        }
        let counts = told.fired || !found.is_empty();
        self.counted += u32::from(counts);
        self.fired += u32::from(told.fired);
        self.differences += found.len();
        self.details.push(json!({ "seed": seed, "fault": format!("{:?}", told.broke), "fired": told.fired, "differences": found, "seconds": started.elapsed().as_secs_f64() }));
        Ok(counts)
    }
}

/// Runs seeds from `first` until so many counted, then each of `also`. A run whose fault did not happen does not count; it is
/// replaced, but not for ever: on a busy machine the appliance may be done before the fault comes.
///
/// # Errors
/// When the bench itself fails.
pub async fn runs(ward: &Ward, first: u64, wanted: u32, also: &[u64]) -> Result<Tally> {
    let (mut tally, mut seed) = (Tally::default(), first);
    while tally.counted < wanted && seed < first + u64::from(wanted) * 4 {
        tally.run(ward, seed).await?;
        seed += 1;
    }
    for seed in also {
        for again in 0..10 {
            // The same fault at another moment.
            if tally.run(ward, seed + again * Break::ALL.len() as u64).await? {
                break;
            }
        }
    }
    Ok(tally)
}
