//! Times of single operations.

use std::time::Duration;

/// All times of a run; none is dropped.
#[derive(Debug, Clone, Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    pub(crate) fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub(crate) fn join(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// Nearest-rank percentile in milliseconds; `None` without samples.
    pub(crate) fn percentile(&self, p: f64) -> Option<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() as f64 * p).ceil().max(1.0) as usize;
        sorted.get(rank - 1).map(|time| time.as_secs_f64() * 1000.0)
    }
}

impl FromIterator<Duration> for Samples {
    fn from_iter<I: IntoIterator<Item = Duration>>(times: I) -> Self {
        Self(times.into_iter().collect())
    }
}

/// Operations per second.
pub(crate) fn rate(operations: u64, time: Duration) -> f64 {
    operations as f64 / time.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_all_samples() {
        let samples: Samples = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(samples.percentile(0.50), Some(50.0));
        assert_eq!(samples.percentile(0.99), Some(99.0));
        assert_eq!(samples.percentile(1.0), Some(100.0));
        let one: Samples = [Duration::from_millis(7)].into_iter().collect();
        assert_eq!(one.percentile(0.99), Some(7.0));
        assert_eq!(Samples::default().percentile(0.5), None);
    }
}
