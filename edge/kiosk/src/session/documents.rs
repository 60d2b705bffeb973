//! Reports and prescriptions on paper.

use super::{Ask, Session, Stage, on_paper};

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
}
