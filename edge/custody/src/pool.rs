//! Sessions of a device: each serves one thread at a time.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::{Fault, POOL_PATIENCE};

/// Idle sessions, and how many are open.
pub(crate) struct Pool<S> {
    state: Mutex<State<S>>,
    freed: Condvar,
    most: usize,
}

struct State<S> {
    idle: Vec<S>,
    open: usize,
    /// Sessions of an earlier generation are closed instead of coming back.
    generation: u64,
}

/// A session on loan; closed unless given back.
pub(crate) struct Lease<'a, S> {
    pool: &'a Pool<S>,
    session: Option<S>,
    generation: u64,
}

impl<S> Pool<S> {
    pub(crate) fn new(most: usize) -> Self {
        let state = State {
            idle: Vec::new(),
            open: 0,
            generation: 0,
        };
        Self {
            state: Mutex::new(state),
            freed: Condvar::new(),
            most: most.max(1),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An idle session, or a new one. A device that has no more ([`Fault::Busy`]) is waited for while ours are at work.
    pub(crate) fn take(&self, open: impl Fn() -> Result<S, Fault>) -> Result<Lease<'_, S>, Fault> {
        let until = Instant::now() + POOL_PATIENCE;
        let mut full = false;
        let mut state = self.lock();
        loop {
            let generation = state.generation;
            if let Some(session) = state.idle.pop() {
                return Ok(self.lease(session, generation));
            }
            if state.open < self.most && !full {
                state.open += 1;
                drop(state);
                let opened = open();
                state = self.lock();
                match opened {
                    Ok(session) => return Ok(self.lease(session, generation)),
                    Err(fault) => {
                        if state.generation == generation {
                            state.open = state.open.saturating_sub(1);
                        }
                        if fault != Fault::Busy || state.open == 0 {
                            return Err(fault);
                        }
                        full = true;
                        continue;
                    }
                }
            }
            let left = until.checked_duration_since(Instant::now()).ok_or(Fault::Busy)?;
            let waited = self.freed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            // One of ours may have been closed meanwhile.
            full = false;
        }
    }

    fn lease(&self, session: S, generation: u64) -> Lease<'_, S> {
        Lease {
            pool: self,
            session: Some(session),
            generation,
        }
    }

    /// The device was reset: all sessions opened before are worthless.
    pub(crate) fn forget(&self) {
        let mut state = self.lock();
        state.generation += 1;
        state.open = 0;
        let idle = std::mem::take(&mut state.idle);
        drop(state);
        // Closing them talks to the device, so not under the lock.
        drop(idle);
        self.freed.notify_all();
    }
}

impl<S> Lease<'_, S> {
    /// The session is sound: the next may have it.
    pub(crate) fn give_back(mut self) {
        let Some(session) = self.session.take() else { return };
        let mut state = self.pool.lock();
        if state.generation == self.generation {
            state.idle.push(session);
            drop(state);
            self.pool.freed.notify_one();
        }
    }
}

impl<S> std::ops::DerefMut for Lease<'_, S> {
    #[expect(
        clippy::expect_used,
        reason = "the session is taken out only by what consumes the lease"
    )]
    fn deref_mut(&mut self) -> &mut S {
        self.session.as_mut().expect("a lease has its session")
    }
}

impl<S> std::ops::Deref for Lease<'_, S> {
    type Target = S;

    #[expect(
        clippy::expect_used,
        reason = "the session is taken out only by what consumes the lease"
    )]
    fn deref(&self) -> &S {
        self.session.as_ref().expect("a lease has its session")
    }
}

impl<S> Drop for Lease<'_, S> {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else { return };
        // Closed first, so that who waits may open another.
        drop(session);
        let mut state = self.pool.lock();
        if state.generation == self.generation {
            state.open = state.open.saturating_sub(1);
        }
        drop(state);
        self.pool.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::Pool;
    use crate::Fault;

    #[test]
    fn who_waits_opens_a_session_when_another_is_closed() {
        let (pool, left, asked) = (Pool::new(4), AtomicUsize::new(1), AtomicUsize::new(0));
        let open = || {
            asked.fetch_add(1, Ordering::AcqRel);
            let took = left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1));
            took.map_err(|_| Fault::Busy)
        };
        let first = pool.take(open).map_err(|_| ()).ok();
        let second = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| pool.take(open).map(|lease| lease.give_back()));
            // It has found the device full when it asked and the count of open sessions is back at one.
            while asked.load(Ordering::Acquire) < 2 || pool.lock().open != 1 {
                std::thread::yield_now();
            }
            left.store(1, Ordering::Release);
            drop(first);
            waiting.join()
        });
        assert!(matches!(second, Ok(Ok(()))));
    }

    #[test]
    fn sessions_of_an_earlier_generation_do_not_come_back() {
        let (pool, opened) = (Pool::new(1), AtomicUsize::new(0));
        let open = || Ok(opened.fetch_add(1, Ordering::AcqRel));
        let old = pool.take(open);
        pool.forget();
        old.into_iter().for_each(|lease| lease.give_back());
        assert_eq!(pool.take(open).map(|lease| *lease), Ok(1));
        pool.take(open).into_iter().for_each(|lease| lease.give_back());
        let ours = pool.take(open);
        let refused = pool.take(|| Err(Fault::Busy)).map(|lease| *lease);
        assert_eq!(
            (ours.map(|lease| *lease), refused),
            (Ok(2), Err(Fault::Busy)),
            "one at a time"
        );
    }
}
