//! Which prefix means which namespace, here.

use std::collections::HashMap;

/// Bindings with a way back: constant time per lookup however deep the document is.
#[derive(Debug, Default)]
pub(crate) struct Scope<'a> {
    bound: HashMap<&'a str, u32>,
    undo: Vec<(&'a str, Option<u32>)>,
}

impl<'a> Scope<'a> {
    /// The namespace of a prefix (the empty prefix: the default namespace).
    pub(crate) fn get(&self, prefix: &str) -> Option<u32> {
        self.bound.get(prefix).copied()
    }

    /// Binds until [`Self::rewind`].
    pub(crate) fn bind(&mut self, prefix: &'a str, namespace: u32) {
        self.undo.push((prefix, self.bound.insert(prefix, namespace)));
    }

    /// Where to come back to.
    pub(crate) fn mark(&self) -> usize {
        self.undo.len()
    }

    /// Forgets what was bound since `mark`.
    pub(crate) fn rewind(&mut self, mark: usize) {
        for (prefix, before) in self.undo.drain(mark.min(self.undo.len())..).rev() {
            match before {
                Some(namespace) => self.bound.insert(prefix, namespace),
                None => self.bound.remove(prefix),
            };
        }
    }

    /// All bindings, by prefix.
    pub(crate) fn sorted(&self) -> Vec<(&'a str, u32)> {
        let mut all: Vec<_> = self.bound.iter().map(|(prefix, uri)| (*prefix, *uri)).collect();
        all.sort_unstable();
        all
    }
}
