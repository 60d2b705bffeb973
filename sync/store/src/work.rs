//! A unit of work on its way to a database: the closure, for whom it runs, and who waits for the answer.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use records::Clock;
use tokio::sync::oneshot;

use crate::stream::Growth;
use crate::tx::{Conn, Trace};
use crate::{Scope, StoreError, Tx};

pub(crate) struct Work<T, E, F> {
    pub(crate) closure: F,
    pub(crate) scope: Scope,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) growth: Arc<Growth>,
    /// Only frees space, so that it may run on a full disk.
    pub(crate) relieves: bool,
    pub(crate) reply: oneshot::Sender<Result<T, E>>,
    pub(crate) answer: Option<Result<T, E>>,
    pub(crate) trace: Trace,
}

impl<T, E, F> Work<T, E, F>
where
    E: From<StoreError>,
    F: for<'a, 'c> Fn(&'a mut Tx<'c>) -> BoxFuture<'a, Result<T, E>>,
{
    /// Opens the unit on a connection. What an earlier run left behind is forgotten.
    pub(crate) fn open<'c>(&mut self, conn: Conn<'c>) -> Tx<'c> {
        self.answer = None;
        self.trace = Trace::default();
        Tx::begin(conn, self.clock.now(), self.scope.clone())
    }

    /// Keeps what a run came to; `false` when its writes are to be undone.
    pub(crate) fn ran(&mut self, answer: Result<T, E>, trace: Trace) -> bool {
        self.trace = trace;
        let answer = match (&self.trace.failed, answer) {
            // A closure that swallows a failed statement would commit half a unit.
            (Some(failed), Ok(_)) => Err(failed.clone().into()),
            (_, answer) => answer,
        };
        let good = answer.is_ok();
        self.answer = Some(answer);
        good
    }

    /// Answers the caller, `commit` being what came of the transaction that held the unit.
    pub(crate) fn answer(self, commit: Result<(), StoreError>) {
        let answer = match (self.answer, commit) {
            (Some(Err(own)), _) => Err(own),
            (_, Err(shared)) => Err(shared.into()),
            (Some(Ok(answer)), Ok(())) => {
                self.trace.committed(&self.growth);
                Ok(answer)
            }
            (None, Ok(())) => Err(StoreError::Closed.into()),
        };
        // The caller may have gone; its unit stands all the same.
        let _ = self.reply.send(answer);
    }
}
