//! What is known of a server: whether requests go there, and how many are under way.

use std::sync::atomic::{AtomicI64, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use records::Timestamp;
use reqwest::Url;

/// Whether a server gets requests. Better ones come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It serves.
    Ready,
    /// It is there and does not serve: leaving, its clock is not believed, its self-test failed.
    Leaving,
    /// It could not be reached.
    Away,
}

impl Standing {
    const ALL: [Self; 3] = [Self::Ready, Self::Leaving, Self::Away];
}

/// One server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) url: Url,
    /// Host and port, for people.
    pub(crate) name: String,
    standing: AtomicU8,
    under_way: AtomicUsize,
    /// Requests are signed for no earlier time than this, in microseconds: it restarted, and does not know which of those
    /// before it had accepted.
    sign_from: AtomicI64,
    /// What it says that it is called, for requests signed with a key.
    called: RwLock<Option<Arc<str>>>,
}

/// A request under way; counted until it is dropped.
pub(crate) struct UnderWay<'s>(&'s Server);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Server {
    pub(crate) fn new(url: Url) -> Self {
        let name = match (url.host_str(), url.port_or_known_default()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            _ => url.to_string(),
        };
        Self {
            url,
            name,
            standing: AtomicU8::new(Standing::Ready as u8),
            under_way: AtomicUsize::new(0),
            sign_from: AtomicI64::new(i64::MIN),
            called: RwLock::default(),
        }
    }

    /// Its name in signed requests, once it has said it.
    pub(crate) fn called(&self) -> Option<Arc<str>> {
        self.called.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes note of what it says that it is called: another name when another machine has taken its place.
    pub(crate) fn is_called(&self, name: &str) {
        if is_name(name) && self.called().is_none_or(|before| &*before != name) {
            *self.called.write().unwrap_or_else(PoisonError::into_inner) = Some(name.into());
        }
    }

    pub(crate) fn sign_from(&self) -> Timestamp {
        Timestamp::from_micros(self.sign_from.load(Ordering::Relaxed))
    }

    /// Takes note of the time after which it wants requests signed.
    pub(crate) fn signs_after(&self, after: Timestamp) {
        let from = after.plus(Duration::from_millis(1));
        self.sign_from.fetch_max(from.as_micros(), Ordering::Relaxed);
    }

    pub(crate) fn begin(&self) -> UnderWay<'_> {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(self)
    }

    pub(crate) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    pub(crate) fn standing(&self) -> Standing {
        let number = usize::from(self.standing.load(Ordering::Relaxed));
        Standing::ALL.get(number).copied().unwrap_or(Standing::Away)
    }

    pub(crate) fn stands(&self, now: Standing) {
        let before = self.standing.swap(now as u8, Ordering::Relaxed);
        if before != now as u8 {
            tracing::info!(signd.server = %self.name, signd.standing = ?now, "a signature server changed");
        }
    }
}

/// Whether this may be a server's name in signed requests: a host name's letters.
pub(crate) fn is_name(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (1..=253).contains(&text.len()) && text.bytes().all(letter)
}

/// The server for the next request: the best standing, then the fewest requests under way, then in turn. Those already
/// tried are left out; `None` when that leaves none.
pub(crate) fn choose<'s>(servers: &'s [Server], turn: usize, tried: &[usize]) -> Option<(usize, &'s Server)> {
    let count = servers.len();
    (0..count)
        .map(|step| (turn % count + step) % count)
        .filter(|index| !tried.contains(index))
        .filter_map(|index| servers.get(index).map(|server| (index, server)))
        .min_by_key(|(_, server)| (server.standing(), server.under_way()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers() -> Vec<Server> {
        let server = |port: u16| Server::new(Url::parse(&format!("https://[::1]:{port}")).expect("url"));
        vec![server(1), server(2), server(3)]
    }

    #[test]
    fn a_server_is_called_as_it_said_last_and_nothing_strange() {
        let all = servers();
        assert_eq!(all[0].called(), None);
        for said in ["srv_1", "srv_2", "", "签名", "srv_3,app=app_his", "srv_3\n"] {
            all[0].is_called(said);
        }
        assert_eq!(all[0].called().as_deref(), Some("srv_2"));
    }

    #[test]
    fn requests_go_to_the_least_busy_server_that_serves_and_in_turn_among_equals() {
        let all = servers();
        let chosen = |turn: usize, tried: &[usize]| choose(&all, turn, tried).map(|(index, _)| index);
        assert_eq!(
            [chosen(0, &[]), chosen(1, &[]), chosen(2, &[]), chosen(3, &[])],
            [Some(0), Some(1), Some(2), Some(0)]
        );
        let busy = all[0].begin();
        assert_eq!(chosen(0, &[]), Some(1));
        all[1].stands(Standing::Leaving);
        assert_eq!(chosen(1, &[]), Some(2));
        assert_eq!(chosen(0, &[2]), Some(0), "a busy one serves, a leaving one does not");
        drop(busy);
        all[0].stands(Standing::Away);
        all[2].stands(Standing::Away);
        assert_eq!(chosen(0, &[]), Some(1), "the best there is, though none serves");
        assert_eq!(chosen(usize::MAX, &[0, 1, 2]), None);
    }
}
