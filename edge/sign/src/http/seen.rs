//! The nonces of this life of the process, by the minute that their requests are signed for.
//!
//! A request is good until five minutes after the time it is signed for; so long its nonce is remembered, and no longer. With
//! clocks that are right that is five minutes and the rest of one; with clocks that are ahead, eleven at most. A minute that is
//! forgotten stays so: whatever is signed for it is refused, also when the clock was set back.
//!
//! Of a nonce 16 bytes are kept, the beginning of SM3 over a secret of this process, the application and the nonce: nobody can
//! look for two that are taken for one.
//!
//! **How many**: [`NONCES`] in memory that is never written to disk, some 30 bytes each, at most 40. That bears 11,600 requests
//! a second for good (right clocks, six minutes remembered), and 6,300 where all clocks are five minutes ahead.

use std::collections::{BTreeMap, HashSet};

use records::Timestamp;

use super::authenticate::TOLERANCE;
use crate::application::ApplicationId;
use crate::fault::{Code, Fault};
use crate::{Refusal, wrap};

/// Nonces remembered; when there are more, requests wait for the oldest to lapse.
const NONCES: usize = 1 << 22;
/// Bytes kept of each.
const KEPT: usize = 16;

type Kept = [u8; KEPT];

/// What was accepted.
#[derive(Debug)]
pub(super) struct Seen {
    /// By the minute since 1970 that the request is signed for.
    minutes: BTreeMap<i64, HashSet<Kept>>,
    count: usize,
    most: usize,
    /// Minutes before this one are forgotten.
    oldest: i64,
    secret: [u8; 32],
}

impl Seen {
    pub(super) fn new() -> Result<Self, Refusal> {
        Self::at_most(NONCES)
    }

    fn at_most(most: usize) -> Result<Self, Refusal> {
        Ok(Self {
            minutes: BTreeMap::new(),
            count: 0,
            most,
            oldest: i64::MIN,
            secret: wrap::random()?,
        })
    }

    /// Takes the nonce of a request signed for `time`, unless it was used.
    pub(super) fn take(
        &mut self,
        application: &ApplicationId,
        nonce: &str,
        time: Timestamp,
        now: Timestamp,
    ) -> Result<(), Fault> {
        self.forget_before(minute(now.minus(TOLERANCE)));
        let minute = minute(time);
        if minute < self.oldest {
            return Err(Fault::new(Code::RequestExpired, time.to_string()));
        }
        let kept = self.kept(application, nonce);
        if self.minutes.values().any(|nonces| nonces.contains(&kept)) {
            return Err(Code::Replayed.into());
        }
        if self.count >= self.most {
            return Err(Code::Busy.into());
        }
        self.minutes.entry(minute).or_default().insert(kept);
        self.count += 1;
        Ok(())
    }

    fn forget_before(&mut self, oldest: i64) {
        if oldest <= self.oldest {
            return;
        }
        self.oldest = oldest;
        let kept = self.minutes.split_off(&oldest);
        let gone = std::mem::replace(&mut self.minutes, kept);
        self.count -= gone.values().map(HashSet::len).sum::<usize>();
    }

    fn kept(&self, application: &ApplicationId, nonce: &str) -> Kept {
        // An application's id has no line feed.
        let whole = [&self.secret[..], application.0.as_bytes(), b"\n", nonce.as_bytes()].concat();
        let mut kept = Kept::default();
        kept.iter_mut().zip(gm::sm3(&whole)).for_each(|(to, from)| *to = from);
        kept
    }
}

fn minute(time: Timestamp) -> i64 {
    time.as_seconds().div_euclid(60)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);

    fn second(n: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(n))
    }

    fn take(seen: &mut Seen, nonce: &str, time: Timestamp, now: Timestamp) -> Result<(), Code> {
        let id = ApplicationId("app_his".to_owned());
        seen.take(&id, nonce, time, now).map_err(|fault| fault.code)
    }

    #[test]
    fn a_nonce_is_remembered_for_as_long_as_its_request_is_good() {
        let mut seen = Seen::new().expect("random");
        let ahead = NOW.plus(TOLERANCE);
        assert_eq!(take(&mut seen, "right", NOW, NOW), Ok(()));
        assert_eq!(take(&mut seen, "ahead", ahead, NOW), Ok(()));
        for later in [0, 60, 299, 300] {
            assert_eq!(take(&mut seen, "right", NOW, second(later)), Err(Code::Replayed));
        }
        for later in [301, 600] {
            assert_eq!(take(&mut seen, "ahead", ahead, second(later)), Err(Code::Replayed));
        }
        // Another application's, or one signed for another time: the nonce is what counts.
        let other = ApplicationId("app_lis".to_owned());
        assert!(seen.take(&other, "ahead", ahead, second(600)).is_ok());
        assert_eq!(take(&mut seen, "ahead", second(600), second(600)), Err(Code::Replayed));
    }

    #[test]
    fn what_is_forgotten_is_not_accepted_again_when_the_clock_is_set_back() {
        let mut seen = Seen::new().expect("random");
        assert_eq!(take(&mut seen, "a", NOW, NOW), Ok(()));
        // Somebody sets the clock an hour ahead, and back.
        assert_eq!(take(&mut seen, "b", second(3600), second(3600)), Ok(()));
        assert_eq!(take(&mut seen, "a", NOW, NOW), Err(Code::RequestExpired));
        assert_eq!(take(&mut seen, "c", NOW, NOW), Err(Code::RequestExpired));
        assert_eq!(take(&mut seen, "d", second(3600), second(3600)), Ok(()));
    }

    #[test]
    fn a_rate_within_bounds_goes_on_for_hours_and_a_rush_is_over_in_minutes() {
        let most = 6 * 60 * 4;
        let mut seen = Seen::at_most(most).expect("random");
        let mut number = 0;
        let mut ask = |seen: &mut Seen, at: u64, requests: usize| {
            (0..requests)
                .filter(|_| {
                    number += 1;
                    take(seen, &number.to_string(), second(at), second(at)) == Ok(())
                })
                .count()
        };
        for at in 0..2 * 3600 {
            assert_eq!(ask(&mut seen, at, 4), 4, "in second {at}");
            assert!(seen.count <= most);
        }
        // Ten times as many are more than is remembered: they wait, and nothing is forgotten for them.
        let rush = 2 * 3600;
        assert!((rush..rush + 60).any(|at| ask(&mut seen, at, 40) < 40));
        assert_eq!(ask(&mut seen, rush + 60 + 360, 4), 4);
        let kept: usize = seen.minutes.values().map(HashSet::len).sum();
        assert_eq!(kept, seen.count);
    }
}
