//! Whether time tells of secrets, the long form: `cargo run --release -p curve --example timing -- SECONDS` (600 when
//! absent). Prints the largest |t| of each round; ends with failure when a subject's *median* round is above 4.5, or when
//! the control is not found.

mod welch;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use welch::{Subject, largest_t};

/// Measurements of a round.
const ROUND: usize = 100_000;
/// |t| of a difference that is taken as real (dudect).
const LIMIT: f64 = 4.5;

fn main() -> ExitCode {
    let seconds = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(600);
    let begun = Instant::now();
    let mut sound = true;
    let subjects = Subject::SOUND;
    let mut rounds: Vec<Vec<f64>> = vec![Vec::new(); subjects.len()];
    let control = largest_t(Subject::Control, ROUND);
    println!("{:?}: {control:.1}", Subject::Control);
    sound &= control > LIMIT;
    while begun.elapsed() < Duration::from_secs(seconds) {
        for (subject, ts) in subjects.iter().zip(&mut rounds) {
            let t = largest_t(*subject, ROUND);
            println!("{subject:?}: {t:.2}");
            ts.push(t);
        }
    }
    for (subject, ts) in subjects.iter().zip(&mut rounds) {
        ts.sort_unstable_by(f64::total_cmp);
        let median = ts.get(ts.len() / 2).copied().unwrap_or(f64::INFINITY);
        println!("{subject:?}: median of {} rounds {median:.2}", ts.len());
        sound &= median < LIMIT;
    }
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
