//! The receiving half of one log lane.

use std::collections::VecDeque;
use std::time::Duration;

use records::Lane;

use crate::effect::{Channel, Effect};
use crate::frame::{Batch, Body, Cursor, Entry, Gap, OutState};
use crate::mark::Mark;

/// One thing to apply, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// An entry with its number.
    Entry(u64, Entry),
    /// Entries the sender no longer has; to be recorded.
    Gap {
        /// First missing number.
        first: u64,
        /// Last missing number.
        last: u64,
    },
}

impl Item {
    /// The last number this item covers.
    pub const fn last(&self) -> u64 {
        match self {
            Self::Entry(seq, _) => *seq,
            Self::Gap { last, .. } => *last,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Incoming {
    lane: Lane,
    epoch: u64,
    base: u64,
    /// What the sender knew to be committed when it announced its stream.
    settled: u64,
    /// The ticket under which the store was asked for the cursor.
    asked: Option<u64>,
    /// Cursor as committed; `None` until the store has told it.
    applied: Option<u64>,
    /// Marks beyond `settled`, until the sender goes on: it has seen them then.
    marks: Vec<Mark>,
    /// Next number that may be queued.
    expected: u64,
    /// What waits to be applied, and since when.
    queue: VecDeque<(Item, Duration)>,
    applying: Option<u64>,
    /// A RESYNC for a hole was sent then; not repeated for every batch behind the hole.
    resync_at: Option<Duration>,
    /// After a failed apply nothing is started before this time.
    rest_until: Duration,
    failures: u32,
}

const UNIT_ITEMS: usize = 256;

impl Incoming {
    /// The sender announced a stream.
    pub(crate) const fn announced(lane: Lane, stream: &OutState) -> Self {
        Self {
            lane,
            epoch: stream.epoch,
            base: stream.base,
            settled: match stream.acked {
                Some(acked) if acked > stream.base => acked,
                _ => stream.base,
            },
            asked: None,
            applied: None,
            marks: Vec::new(),
            expected: 0,
            queue: VecDeque::new(),
            applying: None,
            resync_at: None,
            rest_until: Duration::ZERO,
            failures: 0,
        }
    }

    /// Asks the store for the cursor, once, and answers the ticket. Only when no unit and no look of an earlier session is
    /// still on its way into the store: a unit would be committed after this look, and what the sender sends then would
    /// be taken for a repetition.
    pub(crate) fn ask(&mut self, tickets: &mut u64, effects: &mut VecDeque<Effect>) -> Option<u64> {
        if self.asked.is_none() {
            *tickets += 1;
            self.asked = Some(*tickets);
            effects.push_back(Effect::LoadCursor {
                lane: self.lane,
                epoch: self.epoch,
                base: self.base,
                settled: self.settled,
                ticket: *tickets,
            });
            return self.asked;
        }
        None
    }

    /// The sender asks again where we stand, in a stream we are already receiving.
    pub(crate) fn announced_again(
        &mut self,
        stream: &OutState,
        credit: u64,
        out: &mut VecDeque<(Channel, Body)>,
    ) -> bool {
        if stream.epoch != self.epoch {
            return false;
        }
        self.resync(credit, out);
        true
    }

    pub(crate) fn cursor(
        &mut self,
        ticket: u64,
        applied: u64,
        marks: Vec<Mark>,
        credit: u64,
        out: &mut VecDeque<(Channel, Body)>,
    ) {
        if self.asked != Some(ticket) || self.applied.is_some() {
            return;
        }
        self.marks = marks;
        self.applied = Some(applied);
        self.expected = applied + 1;
        self.resync(credit, out);
    }

    fn at(&self, applied: u64, credit: u64) -> Cursor {
        Cursor {
            lane: self.lane.number(),
            epoch: self.epoch,
            applied,
            from: self.expected,
            credit,
            held_us: None,
            marks: None,
        }
    }

    fn resync(&self, credit: u64, out: &mut VecDeque<(Channel, Body)>) {
        if let Some(applied) = self.applied {
            let shown = (!self.marks.is_empty()).then(|| Mark::pack(&self.marks).into());
            let resync = Cursor {
                marks: shown,
                ..self.at(applied, credit)
            };
            out.push_back((Channel::Ctl, Body::Resync(resync)));
        }
    }

    pub(crate) fn on_batch(&mut self, batch: Batch, now: Duration, credit: u64, out: &mut VecDeque<(Channel, Body)>) {
        if batch.epoch != self.epoch || self.applied.is_none() || batch.entries.is_empty() {
            return;
        }
        let last = batch.first.saturating_add(batch.entries.len() as u64 - 1);
        if !self.in_order(batch.first, last, now, credit, out) {
            return;
        }
        for (seq, entry) in (batch.first..).zip(batch.entries) {
            if seq == self.expected {
                self.queue.push_back((Item::Entry(seq, entry), now));
                self.expected += 1;
            }
        }
    }

    pub(crate) fn on_gap(&mut self, gap: Gap, now: Duration, credit: u64, out: &mut VecDeque<(Channel, Body)>) {
        if gap.epoch != self.epoch || self.applied.is_none() || gap.last < gap.first {
            return;
        }
        if self.in_order(gap.first, gap.last, now, credit, out) {
            self.queue.push_back((
                Item::Gap {
                    first: self.expected,
                    last: gap.last,
                },
                now,
            ));
            self.expected = gap.last.saturating_add(1);
        }
    }

    /// Whether a range continues what we have; answers a repetition or a hole.
    fn in_order(
        &mut self,
        first: u64,
        last: u64,
        now: Duration,
        credit: u64,
        out: &mut VecDeque<(Channel, Body)>,
    ) -> bool {
        if last < self.expected {
            // Seen before: our acknowledgement may have been lost.
            if let Some(applied) = self.applied {
                out.push_back((Channel::Ctl, Body::Ack(self.at(applied, credit))));
            }
            return false;
        }
        if first > self.expected {
            if self
                .resync_at
                .is_none_or(|at| now.saturating_sub(at) > Duration::from_secs(1))
            {
                self.resync_at = Some(now);
                self.resync(credit, out);
            }
            return false;
        }
        self.resync_at = None;
        self.marks = Vec::new();
        true
    }

    /// The unit on its way into the store.
    pub(crate) const fn applying(&self) -> Option<u64> {
        self.applying
    }

    /// Starts the next unit when none is under way.
    pub(crate) fn pump(&mut self, now: Duration, tickets: &mut u64, effects: &mut VecDeque<Effect>) {
        if self.applying.is_some() || now < self.rest_until {
            return;
        }
        let items: Vec<Item> = self
            .queue
            .iter()
            .take(UNIT_ITEMS)
            .map(|(item, _)| item.clone())
            .collect();
        if !items.is_empty() {
            *tickets += 1;
            self.applying = Some(*tickets);
            effects.push_back(Effect::Apply {
                lane: self.lane,
                epoch: self.epoch,
                items,
                ticket: *tickets,
            });
        }
    }

    pub(crate) fn applied(
        &mut self,
        ticket: u64,
        last: u64,
        credit: u64,
        now: Duration,
        out: &mut VecDeque<(Channel, Body)>,
    ) {
        if self.applying.take_if(|t| *t == ticket).is_none() {
            return;
        }
        self.failures = 0;
        self.applied = Some(last);
        let mut since = None;
        while let Some((_, arrived)) = self.queue.pop_front_if(|(item, _)| item.last() <= last) {
            since = Some(arrived);
        }
        let held_us = since.and_then(|since| u64::try_from(now.saturating_sub(since).as_micros()).ok());
        let ack = Cursor {
            held_us,
            ..self.at(last, credit)
        };
        out.push_back((Channel::Ctl, Body::Ack(ack)));
    }

    /// The unit could not be committed (disk full, busy): it is tried again after a rest, without any new input.
    pub(crate) fn apply_failed(&mut self, ticket: u64, now: Duration) {
        if self.applying.take_if(|t| *t == ticket).is_some() {
            let wait = Duration::from_millis(100) * 2u32.saturating_pow(self.failures.min(6));
            self.failures += 1;
            self.rest_until = now + wait;
        }
    }

    /// Something arrived whole and is not committed yet.
    pub(crate) fn is_busy(&self) -> bool {
        !self.queue.is_empty()
    }

    /// When this lane wants to be pumped although nothing happens.
    pub(crate) fn wants(&self) -> Option<Duration> {
        (self.applying.is_none() && !self.queue.is_empty()).then_some(self.rest_until)
    }
}
