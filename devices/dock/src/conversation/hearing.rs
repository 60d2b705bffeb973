//! What the board says: its greeting, answers, events and signs of life.

use std::time::Duration;

use dock_link::{Alive, Answer, BoardHello, BoardStatus, Command, Down, Event, Refusal, Up};

use super::{Conversation, Heard, Owner, Phase, REPLAY, UnderWay};
use crate::state::{BoardState, DockEvent, Happening, applied};

impl Conversation {
    pub(super) fn hear(&mut self, message: Up, now: Duration) {
        match message {
            Up::Hello(hello) => self.greeted(hello, now),
            Up::Answer { seq, answer } => self.answered(seq, answer, now),
            Up::Event { number, at_ms, event } => self.happened(number, at_ms, event, now),
            Up::Alive(alive) => self.alive(alive, now),
        }
    }

    fn greeted(&mut self, hello: BoardHello, now: Duration) {
        if hello.session != self.session || !matches!(self.phase, Phase::Greeting { .. }) {
            return;
        }
        let before = self.state.board;
        if before.is_none_or(|b| b.boot != hello.boot) {
            self.last_event = 0;
        }
        self.state.board = Some(BoardState {
            boot: hello.boot,
            firmware: hello.firmware,
            trial: hello.trial,
            reset: hello.reset,
            supply_low: before.is_some_and(|b| b.supply_low),
            supply_mv: before.map_or(0, |b| b.supply_mv),
        });
        let bays = hello.bays.min(dock_link::MAX_BAYS as u8);
        self.state.bays.resize(usize::from(bays), dock_link::Bay::default());
        if before.is_some_and(|b| b.boot != hello.boot) {
            self.tell(0, 0, Happening::Restarted(hello.reset));
        }
        self.phase = Phase::Reading;
        self.to_read = (0..bays).collect();
        self.read_board = true;
        self.seq = 0;
        let restarted = before.is_some_and(|b| b.boot != hello.boot);
        if let Some(UnderWay {
            owner: Owner::Caller(ticket),
            command: Command::Restart,
            ..
        }) = self.under_way
            && restarted
        {
            // Its answer was lost in the start that it asked for.
            self.under_way = None;
            self.news.push_back(Heard::Answered(ticket, Answer::Done));
        }
        // A command of the former session is asked again under a number of this one.
        if let Some(mut under_way) = self.under_way.take() {
            under_way.seq = self.next_seq();
            (under_way.sent, under_way.since) = (now, now);
            self.outgoing.push_back(Down::Command {
                seq: under_way.seq,
                command: under_way.command.clone(),
            });
            self.under_way = Some(under_way);
        }
        self.replay(now);
    }

    fn replay(&mut self, now: Duration) {
        self.replayed = now;
        self.outgoing.push_back(Down::Replay { after: self.last_event });
    }

    fn answered(&mut self, seq: u32, answer: Answer, now: Duration) {
        if self.under_way.as_ref().is_none_or(|u| u.seq != seq) {
            return;
        }
        if matches!(answer, Answer::Refused(Refusal::NoSession | Refusal::Stale)) {
            if !matches!(self.phase, Phase::Greeting { .. }) {
                self.begin_anew(now);
            }
            return;
        }
        let Some(under_way) = self.under_way.take() else { return };
        match (under_way.owner, answer) {
            (Owner::Caller(ticket), answer) => self.news.push_back(Heard::Answered(ticket, answer)),
            (Owner::Bay(bay), Answer::Bay(told)) => {
                if let Some(place) = self.state.bays.get_mut(usize::from(bay))
                    && *place != told
                {
                    *place = told;
                    self.changed();
                }
            }
            (Owner::Board, Answer::Board(status)) => self.learned(status),
            (Owner::Bay(_) | Owner::Board, _) => {}
        }
    }

    fn learned(&mut self, status: BoardStatus) {
        if let Some(board) = &mut self.state.board {
            (board.supply_low, board.supply_mv) = (status.supply_low, status.supply_mv);
            self.changed();
        }
    }

    pub(super) fn changed(&mut self) {
        if self.phase == Phase::Open {
            self.news.push_back(Heard::Changed);
        }
    }

    fn happened(&mut self, number: u32, at_ms: u64, event: Event, now: Duration) {
        if matches!(self.phase, Phase::Greeting { .. }) {
            // Of a start of the board that is not known yet: it is repeated after the greeting.
            return;
        }
        if number > self.last_event.wrapping_add(1) {
            if now.saturating_sub(self.replayed) >= REPLAY {
                self.replay(now);
            }
            return;
        }
        if number == self.last_event.wrapping_add(1) {
            self.last_event = number;
            if let Event::Inserted { bay }
            | Event::Removed { bay, .. }
            | Event::Identified { bay, .. }
            | Event::Charge { bay, .. }
            | Event::Lock { bay, .. }
            | Event::Fault { bay, .. } = event
            {
                self.to_read.insert(bay);
            }
            let what = applied(&mut self.state, event);
            self.tell(number, at_ms, what);
            self.changed();
        }
        self.outgoing.push_back(Down::Acknowledge { event: self.last_event });
    }

    pub(super) fn tell(&mut self, number: u32, at_ms: u64, what: Happening) {
        let boot = self.state.board.map_or(0, |b| b.boot);
        self.news.push_back(Heard::Event(DockEvent {
            boot,
            number,
            at_ms,
            what,
        }));
    }

    fn alive(&mut self, alive: Alive, now: Duration) {
        if matches!(self.phase, Phase::Greeting { .. }) {
            return;
        }
        if alive.session != self.session || self.state.board.is_none_or(|b| b.boot != alive.boot) {
            self.begin_anew(now);
            return;
        }
        if alive.oldest_event > self.last_event.wrapping_add(1) {
            self.last_event = alive.oldest_event.wrapping_sub(1);
            self.to_read = (0..self.state.bays.len() as u8).collect();
            self.tell(0, 0, Happening::Missed);
        }
        if alive.last_event > self.last_event && now.saturating_sub(self.replayed) >= REPLAY {
            self.replay(now);
        }
        // Currents move without an event: one bay a second is read again.
        if self.phase == Phase::Open && !self.state.bays.is_empty() {
            self.next_poll = (self.next_poll + 1) % self.state.bays.len() as u8;
            self.to_read.insert(self.next_poll);
            self.read_board |= self.next_poll == 0;
        }
    }
}
