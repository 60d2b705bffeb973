//! Turns at reading, handed out by [`recorder::turns`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use recorder::turns::{Limits, Wish, next};
use tokio::sync::Notify;

/// Hands out turns; cheap to clone.
#[derive(Clone)]
pub(crate) struct Turns {
    inner: Arc<Inner>,
}

struct Inner {
    limits: Limits,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    number: u64,
    wishes: Vec<(u64, Wish)>,
    running: BTreeMap<String, usize>,
}

/// A turn that was given; it ends when dropped.
pub(crate) struct Turn {
    inner: Arc<Inner>,
    controller: String,
}

impl Turns {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            inner: Arc::new(Inner {
                limits,
                state: Mutex::default(),
                changed: Notify::new(),
            }),
        }
    }

    /// Waits for a turn. Given up when the future is dropped.
    pub(crate) async fn wait(&self, wish: Wish) -> Turn {
        let controller = wish.controller.clone();
        let ticket = self.inner.join(wish);
        let guard = Leaving(&self.inner, ticket);
        loop {
            let changed = self.inner.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.inner.try_take(ticket, &controller) {
                std::mem::forget(guard);
                return Turn {
                    inner: Arc::clone(&self.inner),
                    controller,
                };
            }
            changed.await;
        }
    }
}

/// A wish whose waiter went away.
struct Leaving<'a>(&'a Inner, u64);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.lock().wishes.retain(|(n, _)| *n != self.1);
        self.0.changed.notify_waiters();
    }
}

impl Inner {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(&self, wish: Wish) -> u64 {
        let mut state = self.lock();
        state.number += 1;
        let ticket = state.number;
        state.wishes.push((ticket, wish));
        drop(state);
        self.changed.notify_waiters();
        ticket
    }

    fn try_take(&self, ticket: u64, controller: &str) -> bool {
        let mut state = self.lock();
        let wishes: Vec<Wish> = state.wishes.iter().map(|(_, w)| w.clone()).collect();
        let running = |which: &str| match which {
            "" => state.running.values().sum(),
            one => state.running.get(one).copied().unwrap_or(0),
        };
        let chosen = next(&wishes, running, self.limits);
        if chosen.and_then(|at| state.wishes.get(at)).map(|(n, _)| *n) != Some(ticket) {
            return false;
        }
        state.wishes.retain(|(n, _)| *n != ticket);
        *state.running.entry(controller.to_owned()).or_default() += 1;
        drop(state);
        // The next one may have a turn beside this.
        self.changed.notify_waiters();
        true
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(count) = self.inner.lock().running.get_mut(&self.controller) {
            *count = count.saturating_sub(1);
        }
        self.inner.changed.notify_waiters();
    }
}
