//! Who it is.

use std::time::Instant;

use super::{Ask, Session, Stage, Task};
use crate::hospital::{Person, Token};

impl Session {
    /// A card or code was held against a reader. Another person's card in the midst ends what the first one did.
    pub fn shown(&mut self, token: Token, now: Instant) -> Vec<Ask> {
        let (task, mut asks) = match &self.stage {
            Stage::Home => (None, Vec::new()),
            Stage::Identify { task, .. } => (*task, Vec::new()),
            Stage::Waiting { .. } => return Vec::new(),
            // More than the card: whoever shows it goes on with what they came for.
            Stage::Prove { task, .. } => (*task, self.begin_anew()),
            _ => (None, self.end()),
        };
        asks.extend(self.ask(Ask::Who(token), task));
        self.touch(now);
        asks
    }

    /// What was held there is nothing we know.
    pub fn misread(&mut self, words: &str, now: Instant) {
        let task = match &self.stage {
            Stage::Home => None,
            Stage::Identify { task, .. } => *task,
            Stage::Prove { task, .. } => {
                self.stage = Stage::Prove {
                    task: *task,
                    trouble: Some(words.to_owned()),
                };
                return self.touch(now);
            }
            _ => return,
        };
        self.once_more(task, words.to_owned());
        self.touch(now);
    }

    pub(super) fn known(&mut self, found: Option<Person>, card: Option<Token>, task: Option<Task>) -> Vec<Ask> {
        let Some(person) = found else {
            return self.once_more(task, "没有查到您的建档信息，请先到窗口建档".to_owned());
        };
        self.person = Some(person);
        self.card = card;
        if self.wanted.is_some() {
            return self.open_scanned();
        }
        match task {
            Some(task) => self.begin(task),
            None => {
                self.stage = Stage::Menu;
                Vec::new()
            }
        }
    }

    pub(super) fn once_more(&mut self, task: Option<Task>, words: String) -> Vec<Ask> {
        self.stage = Stage::Identify {
            task,
            trouble: Some(words),
        };
        Vec::new()
    }
}
