//! How many connections one machine may have, so that it cannot keep all others out.
//!
//! Counted by address; of IPv6 also by network (/64), since a machine gives itself as many addresses there as it likes. A
//! balancer, behind which everybody has its address, is listed as such and not bounded.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Connections of a large interface at a time.
pub const CONNECTIONS: usize = 2_048;
/// Of these one address has no more than this, unless it is set otherwise: several hundred users behind one address are
/// served, and half of all is left to others.
pub const PER_ADDRESS: usize = 1_024;
/// Nobody's bound takes the places of all.
const _: () = assert!(per_network(CONNECTIONS) < CONNECTIONS && PER_ADDRESS < CONNECTIONS);
/// Addresses turned away are written to the process's log so often at most.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// And one network of IPv6 no more than this: a quarter is left to others.
const fn per_network(connections: usize) -> usize {
    connections / 4 * 3
}

/// What one address may have.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Connections at a time of one address, of at most 2048.
    pub per_address: usize,
    /// Addresses of balancers: they are not bounded.
    pub balancers: Vec<IpAddr>,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            per_address: PER_ADDRESS,
            balancers: Vec::new(),
        }
    }
}

/// Whose connections are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Origin {
    Address(IpAddr),
    /// The upper half of an IPv6 address.
    Network(u64),
}

impl Origin {
    /// An IPv4 address that came over an IPv6 socket is the same machine as over its own.
    fn of(address: IpAddr) -> [Option<Self>; 2] {
        match address.to_canonical() {
            IpAddr::V4(four) => [Some(Self::Address(four.into())), None],
            IpAddr::V6(six) => {
                let network = u64::try_from(Ipv6Addr::to_bits(six) >> 64).ok();
                [Some(Self::Address(six.into())), network.map(Self::Network)]
            }
        }
    }
}

/// Connections that were turned away, for the management page and the process's log.
#[derive(Debug, Default)]
pub struct TurnedAway(Mutex<Turned>);

#[derive(Debug, Default)]
struct Turned {
    count: u64,
    said: u64,
    said_at: Option<Instant>,
    last: Option<(Instant, IpAddr)>,
}

impl TurnedAway {
    /// Counts one.
    fn count(&self, from: IpAddr) {
        let mut turned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        turned.count += 1;
        turned.last = Some((now, from));
        if turned.said_at.is_none_or(|at| now.duration_since(at) >= SAID_EVERY) {
            let more = turned.count - turned.said;
            tracing::warn!(http.from = %from, http.turned_away = more, "an address has as many connections as one may have");
            (turned.said, turned.said_at) = (turned.count, Some(now));
        }
    }

    /// How many since the start, and the last address, where one was within this time.
    #[must_use]
    pub fn within(&self, time: Duration) -> Option<(u64, IpAddr)> {
        let turned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, from) = turned.last?;
        (at.elapsed() <= time).then_some((turned.count, from))
    }
}

/// The places that are taken.
#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_origin: HashMap<Origin, usize>,
}

/// The connections of an interface, by address.
#[derive(Debug)]
pub struct Places {
    connections: usize,
    per_address: usize,
    unbounded: HashSet<IpAddr>,
    taken: Mutex<Taken>,
    turned_away: Arc<TurnedAway>,
}

impl Places {
    /// None taken yet, of [`CONNECTIONS`].
    #[must_use]
    pub fn new(bounds: &Bounds, turned_away: Arc<TurnedAway>) -> Arc<Self> {
        Self::among(CONNECTIONS, bounds, turned_away)
    }

    /// None taken yet, of these.
    #[must_use]
    pub fn among(connections: usize, bounds: &Bounds, turned_away: Arc<TurnedAway>) -> Arc<Self> {
        Arc::new(Self {
            connections,
            per_address: bounds.per_address,
            unbounded: bounds.balancers.iter().map(IpAddr::to_canonical).collect(),
            taken: Mutex::default(),
            turned_away,
        })
    }

    /// A place for a connection from this address; `None`, and counted, when it has as many as it may have, or all are
    /// taken.
    pub fn take(self: &Arc<Self>, from: IpAddr) -> Option<Place> {
        let origins = match self.unbounded.contains(&from.to_canonical()) {
            true => [None, None],
            false => Origin::of(from),
        };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let full = origins.iter().flatten().any(|origin| {
            let most = match origin {
                Origin::Address(_) => self.per_address,
                Origin::Network(_) => per_network(self.connections).max(self.per_address),
            };
            taken.by_origin.get(origin).is_some_and(|count| *count >= most)
        });
        if full || taken.all >= self.connections {
            drop(taken);
            self.turned_away.count(from.to_canonical());
            return None;
        }
        taken.all += 1;
        for origin in origins.iter().flatten() {
            *taken.by_origin.entry(*origin).or_default() += 1;
        }
        drop(taken);
        Some(Place {
            places: Arc::clone(self),
            origins,
        })
    }
}

/// A connection's place; given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    origins: [Option<Origin>; 2],
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        for origin in self.origins.iter().flatten() {
            if let Some(count) = taken.by_origin.get_mut(origin) {
                *count -= 1;
                if *count == 0 {
                    taken.by_origin.remove(origin);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("address")
    }

    fn places(per_address: usize, balancers: &[&str]) -> (Arc<Places>, Arc<TurnedAway>) {
        let turned_away = Arc::new(TurnedAway::default());
        let bounds = Bounds {
            per_address,
            balancers: balancers.iter().map(|text| address(text)).collect(),
        };
        (Places::new(&bounds, Arc::clone(&turned_away)), turned_away)
    }

    #[test]
    fn one_address_at_its_bound_leaves_the_others_their_places() {
        let (places, turned_away) = places(2, &["10.0.0.9"]);
        let near = address("10.0.0.1");
        // Over the socket of both families it is the same machine.
        let mapped = address("::ffff:10.0.0.1");
        let kept = (places.take(near).expect("first"), places.take(mapped).expect("second"));
        assert!(places.take(near).is_none() && places.take(mapped).is_none());
        assert_eq!(turned_away.within(Duration::from_secs(60)), Some((2, near)));
        let other = places.take(address("10.0.0.2")).expect("another address");
        let balancer: Vec<_> = (0..9).map(|_| places.take(address("::ffff:10.0.0.9"))).collect();
        assert!(balancer.iter().all(Option::is_some));
        drop(kept.0);
        let again = places.take(near).expect("given back");
        drop((kept.1, again, other, balancer));
        assert!(
            places.taken.lock().expect("lock").by_origin.is_empty(),
            "nothing is remembered of those who left"
        );
    }

    #[test]
    fn a_machine_with_many_addresses_of_its_network_is_bounded_too() {
        let (places, _) = places(PER_ADDRESS, &[]);
        let of = |network: u16, n: usize| {
            let low = u16::try_from(n).expect("small");
            IpAddr::from([0x2001, 0xdb8, 0, network, 0, 0, 0, low])
        };
        let most = per_network(CONNECTIONS);
        let kept: Vec<_> = (0..most).map(|n| places.take(of(1, n))).collect();
        assert!(kept.iter().all(Option::is_some));
        assert!(places.take(of(1, most)).is_none());
        assert!(places.take(of(2, 1)).is_some());
    }

    #[test]
    fn when_all_are_taken_nobody_comes_in_until_somebody_leaves() {
        let bounds = Bounds {
            per_address: 2,
            balancers: Vec::new(),
        };
        let places = Places::among(3, &bounds, Arc::default());
        let of = |last: u8| places.take(IpAddr::from([10, 0, 0, last]));
        let mut kept = vec![of(1), of(1), of(2)];
        assert!(kept.iter().all(Option::is_some) && of(3).is_none());
        kept.pop();
        assert!(of(3).is_some());
    }
}
