//! Reports and prescriptions on paper.

use std::time::Instant;

use super::{Ask, Session, Stage, Task, on_paper};
use crate::hospital::Trouble;
use crate::paper::Paper;
use crate::prescription::{NotPrinted, PaperCode, Prescribed};

impl Session {
    pub(super) fn print_document(&mut self, at: usize) -> Vec<Ask> {
        let Stage::Documents { documents, .. } = &mut self.stage else {
            return Vec::new();
        };
        let Some(document) = documents.get_mut(at) else {
            return Vec::new();
        };
        let key = document.key.clone();
        let ask = on_paper(document);
        self.watch(&key);
        ask.into_iter().collect()
    }

    /// The code of an e-prescription was scanned. It says nothing of who stands there: whoever is known stays so.
    pub fn prescription(&mut self, paper: PaperCode, now: Instant) -> Vec<Ask> {
        if matches!(self.stage, Stage::Waiting { .. }) {
            return Vec::new();
        }
        self.wanted = None;
        let asks = self.ask(Ask::Prescribed(paper), Some(Task::Prescriptions));
        self.touch(now);
        asks
    }

    pub(super) fn prescribed(&mut self, found: Prescribed) -> Vec<Ask> {
        self.wanted = Some(found);
        if self.person.is_some() {
            return self.open_scanned();
        }
        self.stage = Stage::Identify {
            task: Some(Task::Prescriptions),
            trouble: None,
        };
        Vec::new()
    }

    /// The prescription that was scanned, when it is that of the person who stands there.
    pub(super) fn open_scanned(&mut self) -> Vec<Ask> {
        if !self.is_proven() {
            // Not even whether it is theirs.
            return self.prove(Some(Task::Prescriptions));
        }
        let (Some(wanted), Some(person)) = (self.wanted.take(), self.person.clone()) else {
            return Vec::new();
        };
        let theirs = wanted.his_patient_id == person.his_patient_id;
        let ask = Ask::Prescription(person, wanted);
        if theirs {
            return self.ask(ask, Some(Task::Prescriptions));
        }
        let trouble = Trouble::Refused(NotPrinted::NotYours.to_string());
        self.failed(trouble, ask, Some(Task::Prescriptions))
    }

    /// What was scanned comes out by itself, the first time; another copy is asked for.
    pub(super) fn print_scanned(&mut self) -> Vec<Ask> {
        let fresh = match &self.stage {
            Stage::Documents { documents, .. } => documents
                .first()
                .is_some_and(|d| matches!(d.paper, Paper::None | Paper::GivenUp)),
            _ => false,
        };
        if fresh { self.print_document(0) } else { Vec::new() }
    }
}
