//! Visits of today, the number, its ticket.

use records::his::{HisOrderState, QueuePlace};

use super::{Ask, Session, Stage, Task, on_paper};
use crate::paper::Document;

impl Session {
    pub(super) fn choose_visit(&mut self, at: usize) -> Vec<Ask> {
        let Stage::Visits { visits, .. } = &self.stage else {
            return Vec::new();
        };
        let (Some(visit), Some(person)) = (visits.get(at).cloned(), self.person.clone()) else {
            return Vec::new();
        };
        match visit.state {
            HisOrderState::Paid if !visit.stopped => self.ask(Ask::CheckIn(person, visit), Some(Task::CheckIn)),
            HisOrderState::CheckedIn => self.ask(Ask::Place(person, visit), Some(Task::CheckIn)),
            _ => Vec::new(),
        }
    }

    pub(super) fn placed(&mut self, ask: &Ask, place: QueuePlace, ticket: Box<Document>) -> Vec<Ask> {
        let (Ask::CheckIn(_, visit) | Ask::Place(_, visit)) = ask.clone() else {
            return Vec::new();
        };
        self.stage = Stage::Ticket { visit, place, ticket };
        self.print_ticket()
    }

    /// The number on paper; another copy when it came out before.
    pub(super) fn print_ticket(&mut self) -> Vec<Ask> {
        let Stage::Ticket { ticket, .. } = &mut self.stage else {
            return Vec::new();
        };
        let key = ticket.key.clone();
        let ask = on_paper(ticket);
        self.watch(&key);
        ask.into_iter().collect()
    }
}
