//! One question and its answer: what it says, whether it may be believed.

use crate::clock::drift_us;
use crate::error::{Invalid, SourceError};
use crate::nts;
use crate::packet::{Header, Kiss, Leap, SERVER, UNSYNCHRONISED_STRATUM};
use crate::reading::{Reading, micros};
use crate::stamp::Stamp;

/// Drift assumed of any clock between two settings, parts per million (RFC 5905 assumes 15; a cheap crystal in a warm
/// cabinet does 50).
pub const DRIFT_PPM: u64 = 50;

/// A server farther than this from its primary source is not synchronised (RFC 5905, MAXDISP), microseconds.
const MAX_DISPERSION_US: u64 = 16_000_000;

/// How far the wall clock may move against the steady one during an exchange, microseconds.
const MOVED_US: i64 = 10_000;

/// How finely the machine's clocks are read together, microseconds.
const OWN_PRECISION_US: u64 = 50;

/// What one question and its answer say (RFC 5905, 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// When the answer came.
    pub at: Reading,
    /// What to add to the machine's clock, microseconds.
    pub offset_us: i64,
    /// Round trip without the server's own time, microseconds.
    pub delay_us: u64,
    /// Largest error of the offset, up to the primary source: half of all round trips and all dispersion, microseconds
    /// ("root distance", RFC 5905, 10).
    pub error_us: u64,
    /// Stratum of the server, 1–15.
    pub stratum: u8,
    /// Its warning of a leap second.
    pub leap: Leap,
}

impl Sample {
    /// What the sample says a little later: sources answer at different moments, and are compared at one.
    #[must_use]
    pub fn carried_to(self, now: Reading) -> Self {
        let moved_us = now.ran_ahead_us(&self.at);
        let grown_us = drift_us(now.since(&self.at)).max(moved_us.unsigned_abs());
        Self {
            at: now,
            offset_us: self.offset_us.saturating_sub(moved_us),
            error_us: self.error_us.saturating_add(grown_us),
            ..self
        }
    }
}

/// A question under way.
#[derive(Debug)]
pub struct Asked {
    /// The random number that stands in place of the transmit timestamp.
    pub origin: Stamp,
    /// When it left.
    pub sent: Reading,
    /// How the answer must be protected.
    pub protection: Option<nts::Expected>,
}

/// What becomes of a datagram.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not the answer; a later one may be.
    Ignored(Invalid),
    /// The answer, with the cookies it brought.
    Answered(Result<Sample, SourceError>, Vec<nts::Cookie>),
    /// The server lost our keys. Anybody could have sent this, so a protected answer is still waited for.
    Nak,
}

/// Judges a datagram against the question. Total over all bytes.
pub fn judge(asked: &Asked, datagram: &[u8], received: Reading) -> Verdict {
    let Some(header) = Header::parse(datagram) else {
        return Verdict::Ignored(Invalid::Truncated);
    };
    let version_fits = header.version == 4 || (header.version == 3 && asked.protection.is_none());
    if header.mode != SERVER || !version_fits {
        return Verdict::Ignored(Invalid::NotAnAnswer);
    }
    if header.origin != asked.origin {
        return Verdict::Ignored(Invalid::WrongOrigin);
    }
    let cookies = match &asked.protection {
        None => Vec::new(),
        Some(expected) => match expected.open(datagram) {
            Ok(cookies) => cookies,
            Err(Invalid::Unprotected) if header.kiss() == Some(Kiss::NtsNak) && expected.is_echoed(datagram) => {
                return Verdict::Nak;
            }
            Err(invalid) => return Verdict::Ignored(invalid),
        },
    };
    Verdict::Answered(evaluate(&header, asked.sent, received), cookies)
}

fn evaluate(header: &Header, sent: Reading, received: Reading) -> Result<Sample, SourceError> {
    match header.kiss() {
        None => {}
        Some(Kiss::Rate) => return Err(SourceError::TooOften),
        Some(Kiss::Deny) => return Err(SourceError::Denied { code: "DENY" }),
        Some(Kiss::Restrict) => return Err(SourceError::Denied { code: "RSTR" }),
        Some(Kiss::NtsNak) => return Err(SourceError::Nak),
        Some(Kiss::Other(code)) => {
            return Err(SourceError::Kiss(code.escape_ascii().to_string()));
        }
    }
    if header.leap == Leap::Unknown || header.stratum >= UNSYNCHRONISED_STRATUM {
        return Err(SourceError::Unsynchronised {
            stratum: header.stratum,
        });
    }
    if [header.receive, header.transmit].contains(&Stamp::ZERO) {
        return Err(SourceError::Inconsistent);
    }
    if received.ran_ahead_us(&sent).abs() > MOVED_US {
        return Err(SourceError::ClockMoved);
    }
    let root_us = header.root_delay_us / 2 + header.root_dispersion_us;
    if root_us >= MAX_DISPERSION_US {
        return Err(SourceError::TooVague {
            error_ms: root_us / 1_000,
        });
    }
    let arrived = header.receive.resolve(sent.wall).as_micros();
    let left = header.transmit.resolve(sent.wall).as_micros();
    // The server's last setting cannot lie after its answer (RFC 5905, A.5.1.1).
    let set = header.reference.resolve(sent.wall).as_micros();
    if header.reference != Stamp::ZERO && set > left {
        return Err(SourceError::Inconsistent);
    }
    let travelled_us = micros(received.since(&sent));
    let held_us = left.saturating_sub(arrived);
    let server_precision_us = header.precision_us();
    let slack_us = i64::try_from(server_precision_us + OWN_PRECISION_US).unwrap_or(i64::MAX);
    if held_us < 0 || held_us > travelled_us.saturating_add(slack_us) {
        return Err(SourceError::Inconsistent);
    }
    let outward = i128::from(arrived) - i128::from(sent.wall.as_micros());
    let homeward = i128::from(left) - i128::from(received.wall.as_micros());
    let offset_us = i64::try_from((outward + homeward) / 2).map_err(|_| SourceError::Inconsistent)?;
    let delay_us = u64::try_from(travelled_us.saturating_sub(held_us)).unwrap_or(0).max(1);
    let dispersion_us =
        server_precision_us + OWN_PRECISION_US + travelled_us.unsigned_abs().saturating_mul(DRIFT_PPM) / 1_000_000;
    Ok(Sample {
        at: received,
        offset_us,
        delay_us,
        error_us: root_us + delay_us / 2 + dispersion_us,
        stratum: header.stratum,
        leap: header.leap,
    })
}

/// The sample of a poll to be believed: the one with the shortest round trip, because queues only ever add delay and do
/// so on one side (RFC 5905, 10, without its memory of earlier polls). The spread of the others is added to its error.
pub fn best(samples: &[Sample]) -> Option<Sample> {
    let best = samples.iter().min_by_key(|sample| sample.delay_us)?;
    let others = u128::try_from(samples.len().saturating_sub(1)).unwrap_or(0);
    let squares: u128 = samples
        .iter()
        .map(|sample| u128::from(sample.offset_us.abs_diff(best.offset_us)).pow(2))
        .fold(0, u128::saturating_add);
    let jitter_us = squares.checked_div(others).map_or(0, u128::isqrt);
    Some(Sample {
        error_us: best
            .error_us
            .saturating_add(u64::try_from(jitter_us).unwrap_or(u64::MAX)),
        ..*best
    })
}

#[cfg(test)]
#[path = "sample_tests.rs"]
mod tests;
