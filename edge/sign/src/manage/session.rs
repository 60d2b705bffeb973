//! Sessions: in memory, found by the digest of a random token that only the browser's cookie holds.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::Refusal;
use crate::wrap;

/// The cookie. `__Host-`: HTTPS only, this host only, every path.
pub(crate) const COOKIE: &str = "__Host-signd";
/// Sessions of one account at a time; a further one ends the oldest.
const PER_ACCOUNT: usize = 4;

/// A session.
#[derive(Debug, Clone)]
struct Session {
    account: String,
    since: Instant,
    last: Instant,
}

/// Open sessions. Their times are counted by a clock that nobody sets.
#[derive(Debug)]
pub(crate) struct Sessions {
    idle: Duration,
    longest: Duration,
    open: Mutex<HashMap<[u8; 32], Session>>,
}

impl Sessions {
    pub(crate) fn new(idle_s: u32, longest_s: u32) -> Self {
        Self {
            idle: Duration::from_secs(idle_s.into()),
            longest: Duration::from_secs(longest_s.into()),
            open: Mutex::default(),
        }
    }

    /// Opens one; its token.
    pub(crate) fn open(&self, account: &str) -> Result<String, Refusal> {
        let token = hex::encode(wrap::random::<32>()?);
        let now = Instant::now();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, session| self.lives(session, now));
        let own = open.iter().filter(|(_, session)| session.account == account);
        if own.clone().count() >= PER_ACCOUNT
            && let Some(oldest) = own.min_by_key(|(_, session)| session.last).map(|(key, _)| *key)
        {
            open.remove(&oldest);
        }
        let session = Session {
            account: account.to_owned(),
            since: now,
            last: now,
        };
        open.insert(digest(&token), session);
        Ok(token)
    }

    /// The account of a session that has not timed out, which begins to be idle anew.
    pub(crate) fn account(&self, token: &str) -> Option<String> {
        let now = Instant::now();
        let key = digest(token);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let session = open.get_mut(&key)?;
        if !self.lives(session, now) {
            open.remove(&key);
            return None;
        }
        session.last = now;
        Some(session.account.clone())
    }

    /// Ends one.
    pub(crate) fn close(&self, token: &str) {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&digest(token));
    }

    /// Ends all of an account but the one with this token.
    pub(crate) fn close_others(&self, account: &str, but: Option<&str>) {
        let but = but.map(digest);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|key, session| session.account != account || Some(*key) == but);
    }

    /// Ends all.
    pub(crate) fn close_all(&self) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn lives(&self, session: &Session, now: Instant) -> bool {
        now.duration_since(session.last) < self.idle && now.duration_since(session.since) < self.longest
    }
}

fn digest(token: &str) -> [u8; 32] {
    gm::key::sha256(token.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_end_when_idle_when_old_and_when_told() {
        let sessions = Sessions::new(60, 600);
        let token = sessions.open("acc_1").expect("opened");
        assert_eq!(sessions.account(&token).as_deref(), Some("acc_1"));
        assert_eq!(sessions.account("another"), None);
        sessions.close(&token);
        assert_eq!(sessions.account(&token), None);
        for (idle, longest) in [(0, 600), (60, 0)] {
            let sessions = Sessions::new(idle, longest);
            let token = sessions.open("acc_1").expect("opened");
            assert_eq!(sessions.account(&token), None);
        }
        let tokens: Vec<String> = (0..6).map(|_| sessions.open("acc_1").expect("opened")).collect();
        let alive = tokens.iter().filter(|token| sessions.account(token).is_some()).count();
        assert_eq!(alive, PER_ACCOUNT);
        sessions.close_others("acc_1", tokens.last().map(String::as_str));
        assert!(sessions.account(&tokens[5]).is_some() && sessions.account(&tokens[4]).is_none());
    }
}
