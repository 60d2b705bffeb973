//! Events, numbered and kept until the appliance has them.

use dock_link::Event;
use heapless::Deque;

/// Events kept for an appliance that is away; the oldest goes first.
pub const KEPT_EVENTS: usize = 64;

/// An event with its number and time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbered {
    /// From 1 since the start.
    pub number: u32,
    /// Milliseconds since the start.
    pub at_ms: u64,
    /// What happened.
    pub event: Event,
}

/// The events not yet taken.
#[derive(Debug, Default)]
pub struct Events {
    kept: Deque<Numbered, KEPT_EVENTS>,
    last: u32,
    /// Newest that was handed out for sending.
    told: u32,
}

impl Events {
    /// None.
    pub const fn new() -> Self {
        Self {
            kept: Deque::new(),
            last: 0,
            told: 0,
        }
    }

    /// Something happened.
    pub fn happened(&mut self, event: Event, at_ms: u64) {
        self.last = self.last.wrapping_add(1);
        if self.kept.is_full() {
            self.kept.pop_front();
        }
        // There is room: one was just given up.
        let _ = self.kept.push_back(Numbered {
            number: self.last,
            at_ms,
            event,
        });
    }

    /// The next event to send.
    pub fn next_to_tell(&mut self) -> Option<Numbered> {
        let next = self.kept.iter().find(|e| e.number > self.told)?.clone();
        self.told = next.number;
        Some(next)
    }

    /// Sends again what came after a number.
    pub fn replay(&mut self, after: u32) {
        self.told = after.min(self.last);
    }

    /// The appliance has the events up to this number.
    pub fn acknowledge(&mut self, event: u32) {
        while self.kept.front().is_some_and(|e| e.number <= event) {
            self.kept.pop_front();
        }
        self.told = self.told.max(event.min(self.last));
    }

    /// Number of the oldest event kept; one above the newest when none is.
    pub fn oldest(&self) -> u32 {
        self.kept.front().map_or(self.last.wrapping_add(1), |e| e.number)
    }

    /// Number of the newest event.
    pub fn last(&self) -> u32 {
        self.last
    }
}
