//! Debouncing.

/// A two-valued input that counts only after it has rested.
#[derive(Clone, Copy, Debug, Default)]
pub struct Steady {
    /// Settled value; none before it first rested.
    value: Option<bool>,
    candidate: bool,
    since_ms: u64,
    seen: bool,
}

impl Steady {
    /// Nothing seen yet.
    pub const fn new() -> Self {
        Self {
            value: None,
            candidate: false,
            since_ms: 0,
            seen: false,
        }
    }

    /// Takes what is seen now; the new value when it has just settled.
    pub fn see(&mut self, seen: bool, now_ms: u64, rest_ms: u64) -> Option<bool> {
        if !self.seen || seen != self.candidate {
            (self.seen, self.candidate, self.since_ms) = (true, seen, now_ms);
        }
        if self.value == Some(seen) || now_ms.saturating_sub(self.since_ms) < rest_ms {
            return None;
        }
        self.value = Some(seen);
        Some(seen)
    }

    /// Settled value; none before it first rested.
    pub fn value(&self) -> Option<bool> {
        self.value
    }

    /// Whether what is seen has not rested yet.
    pub fn is_settling(&self) -> bool {
        self.value != Some(self.candidate)
    }
}
