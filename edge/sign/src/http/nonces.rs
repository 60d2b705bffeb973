//! A request that is signed with a key is accepted once: in one life of the process by its nonce, over a restart by its time.
//!
//! Nonces are kept in memory alone ([`super::seen`]). For what comes after a restart each application has a **mark** on the
//! disk: it has had no request accepted that is signed for a later time. The mark is raised ahead, by [`STEP`], so that the
//! disk is written once in that time and not at each request; a new life of the process accepts only what is signed for a
//! time after the mark it found.
//!
//! An application is not kept waiting: it signs anew, and the refusal says after which time (`sign-after`). That matters
//! where its clock is behind, or where another of its machines has one that is ahead; the time said is never further ahead
//! than requests may be.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use records::Timestamp;

use super::authenticate::{TOLERANCE, Unproven};
use super::seen::Seen;
use crate::Refusal;
use crate::application::ApplicationId;
use crate::fault::{Code, Fault};
use crate::vault::Vault;

/// Marks are raised by this much beyond what is needed.
const STEP: Duration = Duration::from_secs(2);
/// What is left of it when the next raising begins, so that requests seldom wait for it.
const EARLY: Duration = Duration::from_secs(1);

/// What was accepted, in this life and in those before.
pub(crate) struct Nonces {
    vault: Arc<Vault>,
    seen: Mutex<Seen>,
    marks: Mutex<HashMap<ApplicationId, Mark>>,
    /// Marks are raised one at a time.
    raising: tokio::sync::Mutex<()>,
}

/// An application's mark.
#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    /// Where it stood at the start: what is signed up to there may have been accepted then.
    found: Option<Timestamp>,
    /// Where it stands on the disk now.
    stands: Option<Timestamp>,
    /// It is being raised before anybody waits for it.
    under_way: bool,
}

/// How a request's time lies to its application's mark.
enum Standing {
    /// It may have been accepted before the start.
    Before(Timestamp),
    /// The mark covers it; and nearly no more, where it is for this request to have it raised.
    Covered { raise: bool },
    /// The mark must be raised first.
    Beyond,
}

impl Mark {
    fn standing(&mut self, time: Timestamp) -> Standing {
        if let Some(found) = self.found.filter(|found| time <= *found) {
            return Standing::Before(found);
        }
        match self.stands {
            Some(stands) if time <= stands => {
                let raise = !self.under_way && time.plus(EARLY) > stands;
                self.under_way |= raise;
                Standing::Covered { raise }
            }
            _ => Standing::Beyond,
        }
    }
}

impl Nonces {
    /// With the marks of the lives before.
    pub(super) fn start(vault: Arc<Vault>) -> Result<Self, Refusal> {
        let found = vault.read(|unit| unit.request_marks())?;
        let marks = found.into_iter().map(|(application, at)| {
            let mark = Mark {
                found: Some(at),
                stands: Some(at),
                under_way: false,
            };
            (ApplicationId(application), mark)
        });
        Ok(Self {
            vault,
            seen: Mutex::new(Seen::new()?),
            marks: Mutex::new(marks.collect()),
            raising: tokio::sync::Mutex::default(),
        })
    }

    /// Accepts a request of this application that is signed for `time` under this nonce, unless it was accepted already.
    pub(super) async fn take(
        self: &Arc<Self>,
        application: &ApplicationId,
        nonce: &str,
        time: Timestamp,
        now: Timestamp,
    ) -> Result<(), Unproven> {
        match self.marked(application, |mark| mark.standing(time)) {
            Standing::Before(mark) => return Err(Unproven::before_the_start(mark)),
            Standing::Covered { raise: false } => {}
            Standing::Covered { raise: true } => {
                let (nonces, application) = (Arc::clone(self), application.clone());
                tokio::spawn(async move {
                    // Who needs it raised tries again, and is told.
                    let soon = time.plus(EARLY).min(now.plus(TOLERANCE)).max(time);
                    let _ = nonces.raise(&application, soon, now).await;
                    nonces.marked(&application, |mark| mark.under_way = false);
                });
            }
            Standing::Beyond => self.raise(application, time, now).await?,
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(seen.take(application, nonce, time, now)?)
    }

    /// Ends when the mark covers this time on the disk.
    async fn raise(&self, application: &ApplicationId, time: Timestamp, now: Timestamp) -> Result<(), Fault> {
        let _one = self.raising.lock().await;
        if self.marked(application, |mark| mark.stands.is_some_and(|stands| time <= stands)) {
            return Ok(());
        }
        let mark = ahead(time, now);
        let (vault, id) = (Arc::clone(&self.vault), application.0.clone());
        let written = tokio::task::spawn_blocking(move || vault.write(|unit| unit.raise_request_mark(&id, mark))).await;
        match written {
            Ok(Ok(())) => {
                self.marked(application, |known| known.stands = known.stands.max(Some(mark)));
                Ok(())
            }
            Ok(Err(refusal)) => {
                tracing::error!(sign.refusal = %refusal, "the mark of accepted requests could not be raised");
                Err(Code::LogUnwritten.into())
            }
            Err(_) => Err(Code::Internal.into()),
        }
    }

    fn marked<T>(&self, application: &ApplicationId, look: impl FnOnce(&mut Mark) -> T) -> T {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        match marks.get_mut(application) {
            Some(mark) => look(mark),
            None => look(marks.entry(application.clone()).or_default()),
        }
    }
}

/// The mark for a request of this time: some way ahead, but never so far that nobody could sign for a time after it.
fn ahead(time: Timestamp, now: Timestamp) -> Timestamp {
    time.plus(STEP).min(now.plus(TOLERANCE)).max(time)
}

#[cfg(test)]
mod tests {
    use super::super::authenticate::Anew;
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);

    fn second(n: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(n))
    }

    async fn taken(nonces: &Arc<Nonces>, nonce: &str, time: Timestamp) -> Result<(), Code> {
        let id = ApplicationId("app_his".to_owned());
        let taken = nonces.take(&id, nonce, time, NOW).await;
        taken.map_err(|unproven| unproven.fault.code)
    }

    #[tokio::test]
    async fn a_new_life_accepts_nothing_that_the_one_before_may_have_accepted() {
        let dir = tempfile::tempdir().expect("dir");
        let vault = Arc::new(Vault::open(&dir.path().join("signd.db")).expect("vault"));
        let nonces = Arc::new(Nonces::start(Arc::clone(&vault)).expect("first life"));
        assert_eq!(taken(&nonces, "a", NOW).await, Ok(()));
        assert_eq!(taken(&nonces, "a", NOW).await, Err(Code::Replayed));
        // Clocks behind and ahead.
        assert_eq!(taken(&nonces, "b", NOW.minus(TOLERANCE)).await, Ok(()));
        assert_eq!(taken(&nonces, "c", second(200)).await, Ok(()));
        assert_eq!(taken(&nonces, "d", NOW.plus(TOLERANCE)).await, Ok(()));

        let again = Arc::new(Nonces::start(Arc::clone(&vault)).expect("second life"));
        for (nonce, time) in [
            ("a", NOW),
            ("b", NOW.minus(TOLERANCE)),
            ("c", second(200)),
            ("d", NOW.plus(TOLERANCE)),
            ("e", second(100)),
        ] {
            assert_eq!(
                taken(&again, nonce, time).await,
                Err(Code::SignedBeforeStart),
                "{nonce}"
            );
        }
        let id = ApplicationId("app_his".to_owned());
        let refused = again.take(&id, "f", NOW, NOW).await.expect_err("before the start");
        let after = NOW.plus(TOLERANCE);
        assert_eq!(
            refused.anew,
            Some(Anew::After(after)),
            "no further ahead than requests may be"
        );
        let next = after.plus(Duration::from_micros(1));
        assert_eq!(taken(&again, "f", next).await, Ok(()));
        assert_eq!(taken(&again, "f", next).await, Err(Code::Replayed));
        // Another application is not concerned.
        let other = ApplicationId("app_lis".to_owned());
        assert!(again.take(&other, "a", NOW, NOW).await.is_ok());
    }

    #[tokio::test]
    async fn marks_of_a_wrong_clock_go_when_the_right_one_is_accepted() {
        let dir = tempfile::tempdir().expect("dir");
        let vault = Arc::new(Vault::open(&dir.path().join("signd.db")).expect("vault"));
        let wrong = Arc::new(Nonces::start(Arc::clone(&vault)).expect("life"));
        assert_eq!(taken(&wrong, "a", second(90 * 24 * 3600)).await, Ok(()));
        vault.write(|unit| unit.lower_request_marks(NOW)).expect("lowered");
        let right = Arc::new(Nonces::start(vault).expect("next life"));
        assert_eq!(taken(&right, "b", NOW).await, Err(Code::SignedBeforeStart));
        assert_eq!(taken(&right, "c", second(1)).await, Ok(()));
    }

    #[tokio::test]
    async fn the_disk_is_written_once_in_a_while_and_ahead() {
        let dir = tempfile::tempdir().expect("dir");
        let vault = Arc::new(Vault::open(&dir.path().join("signd.db")).expect("vault"));
        let nonces = Arc::new(Nonces::start(Arc::clone(&vault)).expect("life"));
        let stands = || vault.read(|unit| unit.request_marks()).expect("marks");
        for nonce in 0..1000 {
            assert_eq!(taken(&nonces, &nonce.to_string(), NOW).await, Ok(()));
        }
        assert_eq!(
            stands(),
            [("app_his".to_owned(), NOW.plus(STEP))],
            "written by the first alone"
        );
        // Near its end it is raised beside the request.
        let near = second(2).minus(Duration::from_micros(1));
        assert_eq!(taken(&nonces, "near", near).await, Ok(()));
        while stands().iter().any(|(_, mark)| *mark == NOW.plus(STEP)) {
            tokio::task::yield_now().await;
        }
        // Whatever was accepted is covered at once.
        assert_eq!(taken(&nonces, "far", second(60)).await, Ok(()));
        assert!(stands().iter().all(|(_, mark)| *mark >= second(60)));
    }
}
