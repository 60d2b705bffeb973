//! The sending half of one log lane.

use std::collections::VecDeque;
use std::time::Duration;

use crate::effect::{Alarm, Channel, Effect};
use crate::frame::{Batch, Body, Cursor, Entry, Gap, OutState};
use crate::mark::{Mark, Own, parted_after};
use crate::pace::Pace;

/// Where a lane stands after a RESYNC or ACK.
#[derive(Debug)]
pub(crate) struct Outgoing {
    stream: OutState,
    phase: Phase,
    /// Last entry handed to the wire.
    position: u64,
    /// Last entry the receiver committed.
    acked: u64,
    credit: u64,
    /// Sent and not acknowledged: last number, size and time of sending of each batch.
    in_flight: VecDeque<(u64, u64, Duration)>,
    pace: Pace,
    /// The ticket of the read that is under way.
    reading: Option<u64>,
    /// There may be entries beyond `position`.
    more: bool,
    progress_at: Duration,
}

#[derive(Debug)]
enum Phase {
    /// Waits for the receiver's cursor.
    Announced,
    /// The receiver stands elsewhere than we were told: waits for the marks of our own entries.
    Recalling(Recall),
    /// Waits for the store to begin a new epoch.
    Rebasing,
    /// Waits for the store to forget its suspicion. No suspect entry may be sent before that is durable: after a
    /// crash the receiver's cursor would look like another history.
    Verifying(Cursor),
    Running,
}

/// Marks of our own entries after `after` were asked for under this ticket, to be compared with the receiver's.
#[derive(Debug)]
struct Recall {
    ticket: u64,
    after: u64,
    cursor: Cursor,
    theirs: Vec<Mark>,
}

impl Outgoing {
    /// A lane whose stream was just announced.
    pub(crate) fn announce(stream: OutState, now: Duration, out: &mut VecDeque<(Channel, Body)>) -> Self {
        out.push_back((Channel::Ctl, Body::Announce(stream)));
        Self {
            stream,
            phase: Phase::Announced,
            position: stream.base,
            acked: 0,
            credit: 0,
            in_flight: VecDeque::new(),
            pace: Pace::new(),
            reading: None,
            more: true,
            progress_at: now,
        }
    }

    /// The store begins a new epoch for this lane.
    pub(crate) const fn is_rebasing(&self) -> bool {
        matches!(self.phase, Phase::Rebasing)
    }

    /// The store could not read.
    pub(crate) fn load_failed(&mut self, ticket: u64) {
        if self.reading == Some(ticket) {
            self.reading = None;
            self.more = false;
        }
    }

    fn forget_flight(&mut self) {
        self.in_flight.clear();
        self.reading = None;
        self.more = true;
    }

    /// What the receiver is known to have committed of this history.
    fn settled(&self) -> u64 {
        self.stream.acked.unwrap_or(0).max(self.stream.base)
    }

    pub(crate) fn on_resync(
        &mut self,
        c: Cursor,
        now: Duration,
        lane: records::Lane,
        tickets: &mut u64,
        effects: &mut VecDeque<Effect>,
    ) {
        if c.epoch != self.stream.epoch {
            return;
        }
        match self.phase {
            Phase::Announced => self.compare(c, now, lane, tickets, effects),
            Phase::Running => self.resume(&c, now, lane, effects),
            Phase::Recalling(_) | Phase::Rebasing | Phase::Verifying(_) => {}
        }
    }

    /// Nothing is to be compared when the receiver stands where we were told. Further on may be another's entries; less
    /// far stands one that was restored from a backup, and since then a twin may have used our numbers.
    fn compare(
        &mut self,
        cursor: Cursor,
        now: Duration,
        lane: records::Lane,
        tickets: &mut u64,
        effects: &mut VecDeque<Effect>,
    ) {
        let theirs = cursor
            .marks
            .as_ref()
            .map(|packed| Mark::unpack(packed))
            .unwrap_or_default();
        let after = match theirs.first() {
            _ if cursor.applied > self.settled() => self.settled(),
            Some(oldest) if cursor.applied < self.settled() => oldest.seq.saturating_sub(1).max(self.stream.base),
            _ => {
                self.agreed(cursor, now, lane, effects);
                return;
            }
        };
        *tickets += 1;
        effects.push_back(Effect::Recall {
            lane,
            after,
            upto: cursor.applied,
            ticket: *tickets,
        });
        self.phase = Phase::Recalling(Recall {
            ticket: *tickets,
            after,
            cursor,
            theirs,
        });
    }

    /// The marks of our own entries: see the crate's header on epochs.
    pub(crate) fn recalled(
        &mut self,
        ticket: u64,
        ours: &[Mark],
        now: Duration,
        lane: records::Lane,
        effects: &mut VecDeque<Effect>,
    ) {
        let Phase::Recalling(recall) = &self.phase else {
            return;
        };
        if recall.ticket != ticket {
            return;
        }
        let own = Own {
            settled: recall.after,
            last: self.stream.next.saturating_sub(1),
            suspect_from: self.stream.suspect_from,
        };
        let c = recall.cursor.clone();
        let Some(after) = parted_after(&recall.theirs, ours, c.applied, own) else {
            self.agreed(c, now, lane, effects);
            return;
        };
        self.phase = Phase::Rebasing;
        effects.push_back(Effect::Alarm(Alarm::RolledBack {
            lane,
            ours: after + 1,
            theirs: c.applied,
        }));
        effects.push_back(Effect::Rebase { lane, after });
    }

    /// The receiver's cursor is of our own history.
    fn agreed(&mut self, c: Cursor, now: Duration, lane: records::Lane, effects: &mut VecDeque<Effect>) {
        if self.stream.suspect_from.is_some() {
            self.phase = Phase::Verifying(c);
            effects.push_back(Effect::Verified { lane });
        } else {
            self.phase = Phase::Running;
            self.resume(&c, now, lane, effects);
        }
    }

    /// The store has durably forgotten its suspicion.
    pub(crate) fn verified(&mut self, now: Duration, lane: records::Lane, effects: &mut VecDeque<Effect>) {
        if let Phase::Verifying(c) = &self.phase {
            let c = c.clone();
            self.stream.suspect_from = None;
            self.phase = Phase::Running;
            self.resume(&c, now, lane, effects);
        }
    }

    fn resume(&mut self, c: &Cursor, now: Duration, lane: records::Lane, effects: &mut VecDeque<Effect>) {
        self.credit = c.credit;
        self.forget_flight();
        self.position = c.from.saturating_sub(1).max(c.applied);
        self.take_ack(c.applied, c.held_us, now, lane, effects);
        self.progress_at = now;
    }

    pub(crate) fn on_ack(&mut self, c: &Cursor, now: Duration, lane: records::Lane, effects: &mut VecDeque<Effect>) {
        if c.epoch != self.stream.epoch || !matches!(self.phase, Phase::Running) {
            return;
        }
        self.credit = c.credit;
        self.take_ack(c.applied, c.held_us, now, lane, effects);
    }

    fn take_ack(
        &mut self,
        applied: u64,
        held_us: Option<u64>,
        now: Duration,
        lane: records::Lane,
        effects: &mut VecDeque<Effect>,
    ) {
        let mut newest = None;
        while let Some((last, size, sent)) = self.in_flight.pop_front_if(|(last, ..)| *last <= applied) {
            newest = Some((last, size, sent));
        }
        // Only the newest batch waited exactly as long as the receiver says.
        if let (Some((last, size, sent)), Some(held_us)) = (newest, held_us)
            && last == applied
        {
            let took = now.saturating_sub(sent).saturating_sub(Duration::from_micros(held_us));
            self.pace.acknowledged(size, took, now, self.credit);
        }
        if applied > self.acked {
            self.acked = applied;
            self.progress_at = now;
            effects.push_back(Effect::Acked {
                lane,
                epoch: self.stream.epoch,
                upto: applied,
            });
        }
        self.position = self.position.max(applied);
    }

    /// Entries read from the store after `position`.
    pub(crate) fn loaded(
        &mut self,
        ticket: u64,
        entries: Vec<(u64, Entry)>,
        now: Duration,
        out: &mut VecDeque<(Channel, Body)>,
    ) {
        if self.reading != Some(ticket) {
            return;
        }
        self.reading = None;
        if entries.is_empty() {
            self.more = false;
            return;
        }
        if self.in_flight.is_empty() {
            self.progress_at = now;
        }
        let (lane, epoch) = (self.stream.lane, self.stream.epoch);
        let mut run: Vec<Entry> = Vec::with_capacity(entries.len());
        let mut first = self.position + 1;
        for (seq, entry) in entries {
            let expected = self.position + 1;
            if seq < expected {
                continue;
            }
            if seq > expected {
                // What was evicted or pruned is named, so that the receiver records it.
                self.flush(first, &mut run, now, out);
                out.push_back((
                    Channel::Bulk,
                    Body::Gap(Gap {
                        lane,
                        epoch,
                        first: expected,
                        last: seq - 1,
                    }),
                ));
                self.in_flight.push_back((seq - 1, 0, now));
                first = seq;
            }
            self.position = seq;
            run.push(entry);
        }
        self.flush(first, &mut run, now, out);
    }

    fn flush(&mut self, first: u64, run: &mut Vec<Entry>, now: Duration, out: &mut VecDeque<(Channel, Body)>) {
        if run.is_empty() {
            return;
        }
        let entries = std::mem::take(run);
        let size = entries.iter().map(weight).sum();
        let last = first + entries.len() as u64 - 1;
        self.in_flight.push_back((last, size, now));
        let (lane, epoch) = (self.stream.lane, self.stream.epoch);
        out.push_back((
            Channel::Bulk,
            Body::Batch(Batch {
                lane,
                epoch,
                first,
                entries,
            }),
        ));
    }

    /// Something was appended, or time to look again.
    pub(crate) fn look(&mut self) {
        self.more = true;
    }

    /// There may be entries that were not handed to the wire yet. Until the receiver's cursor is settled nobody knows.
    pub(crate) fn has_more(&self) -> bool {
        !matches!(self.phase, Phase::Running) || self.more || self.reading.is_some()
    }

    /// Asks for more entries when there may be some and the receiver has room.
    pub(crate) fn pump(
        &mut self,
        lane: records::Lane,
        batch_bytes: u64,
        tickets: &mut u64,
        effects: &mut VecDeque<Effect>,
    ) {
        if !matches!(self.phase, Phase::Running) || self.reading.is_some() || !self.more {
            return;
        }
        let flying: u64 = self.in_flight.iter().map(|(_, bytes, _)| bytes).sum();
        let window = self.pace.window(self.credit);
        if flying >= window.max(1) {
            return;
        }
        *tickets += 1;
        self.reading = Some(*tickets);
        effects.push_back(Effect::Read {
            lane,
            after: self.position,
            max_bytes: batch_bytes.min(window.saturating_sub(flying)).max(1),
            ticket: *tickets,
        });
    }

    /// When this lane wants to be looked at although nothing happens.
    pub(crate) fn tick(&mut self, now: Duration, patience: Duration, out: &mut VecDeque<(Channel, Body)>) {
        self.more = true;
        if now.saturating_sub(self.progress_at) < patience {
            return;
        }
        let stuck = match self.phase {
            Phase::Announced => true,
            Phase::Running => !self.in_flight.is_empty(),
            Phase::Recalling(_) | Phase::Rebasing | Phase::Verifying(_) => false,
        };
        if stuck {
            // Ask where the receiver stands instead of guessing what was lost.
            self.progress_at = now;
            out.push_back((Channel::Ctl, Body::Announce(self.stream)));
        }
    }
}

/// What an entry costs of the credit.
fn weight(entry: &Entry) -> u64 {
    (entry.body.len() + entry.kind.len() + entry.entity.len() + 16) as u64
}
