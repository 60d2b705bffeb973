//! Where lists come from: addresses that chains are configured with, those in the certificates of chains, server keys and
//! signers at outside servers, those of deltas in lists, and those in certificates that were judged and had no list.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gm::Certificate;
use records::Timestamp;

use super::lists::ListId;
use super::web::is_web;
use super::{Revocation, Trouble};
use crate::state::State;

/// Failures in a row that somebody should look at.
pub(super) const GRAVE: u32 = 3;
/// Addresses learned from certificates, at most.
const LEARNED: usize = 256;
/// The first wait after a failure; doubled with each, up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_secs(15);
const LONGEST_WAIT: Duration = Duration::from_secs(30 * 60);
/// Nothing is fetched more often by schedule.
const SHORTEST: Duration = Duration::from_secs(30);

/// An address.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// Fetched at least this often, so that a revocation is known before the list's end.
    pub(super) every: Duration,
    /// From a certificate that was judged.
    pub(super) learned: bool,
    /// Being fetched by the schedule.
    pub(super) busy: bool,
    pub(super) due: Timestamp,
    pub(super) tried_at: Option<Timestamp>,
    pub(super) fetched_at: Option<Timestamp>,
    pub(super) failures: u32,
    pub(super) trouble: Option<Trouble>,
    pub(super) list: Option<ListId>,
}

/// An address, for people.
#[derive(Debug, Clone)]
pub(crate) struct SourceState {
    pub(crate) address: String,
    pub(crate) learned: bool,
    pub(crate) due: Timestamp,
    pub(crate) tried_at: Option<Timestamp>,
    pub(crate) fetched_at: Option<Timestamp>,
    pub(crate) failures: u32,
    pub(crate) trouble: Option<String>,
    pub(crate) list: Option<ListId>,
}

impl Source {
    fn new(every: Duration, learned: bool, due: Timestamp) -> Self {
        Self {
            every,
            learned,
            busy: false,
            due,
            tried_at: None,
            fetched_at: None,
            failures: 0,
            trouble: None,
            list: None,
        }
    }

    /// Notes what became of a fetch. `next_update`: when the list's next is promised.
    pub(super) fn note(&mut self, outcome: Result<(ListId, Option<Timestamp>), Trouble>, now: Timestamp) {
        self.busy = false;
        self.tried_at = Some(now);
        let wait = match outcome {
            Ok((list, next_update)) => {
                (self.fetched_at, self.failures, self.trouble) = (Some(now), 0, None);
                self.list = Some(list);
                // Before the next one is due, so that there is time for a second try; a little after its promise when the
                // promise is near or past.
                let left = next_update.map_or(self.every, |due| between(now, due).mul_f64(0.8));
                left.min(self.every).max(SHORTEST)
            }
            Err(trouble) => {
                self.failures = self.failures.saturating_add(1);
                self.trouble = Some(trouble);
                FIRST_WAIT
                    .saturating_mul(1 << (self.failures - 1).min(10))
                    .min(LONGEST_WAIT)
            }
        };
        self.due = now.plus(wait.mul_f64(jitter()));
    }
}

/// Between 0.85 and 1: a thousand hospitals do not ask at the same second.
fn jitter() -> f64 {
    let mut byte = [0u8];
    let drawn = getrandom::fill(&mut byte).map_or(0, |()| byte[0]);
    1.0 - 0.15 * f64::from(drawn) / 256.0
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(to.as_micros() - from.as_micros()).unwrap_or(0))
}

impl Revocation {
    /// Finds the addresses of a state again. What was known about those that stay is kept.
    /// `outside`: signers at outside servers, and those above them.
    pub(super) fn survey(&self, state: &State, outside: &[Certificate], now: Timestamp) {
        let mut wanted: BTreeMap<String, Duration> = BTreeMap::new();
        let mut want = |address: &str, every: Duration| {
            if is_web(address) {
                let known = wanted.entry(address.to_owned()).or_insert(every);
                *known = (*known).min(every);
            }
        };
        for chain in state.chains.values() {
            let every = chain.settings.every();
            for address in chain.settings.crls.iter().chain(&chain.settings.delta_crls) {
                want(address, every);
            }
            for certificate in &chain.certificates {
                for address in self.addresses(certificate) {
                    want(&address, every);
                }
            }
        }
        let usual = crate::trust::ChainSettings::default().every();
        let own = state.keys.values().flat_map(|key| &key.certificates);
        for certificate in own.filter_map(|one| one.chain.first()).chain(outside) {
            for address in self.addresses(certificate) {
                want(&address, usual);
            }
        }
        for kept in self.lists().all().filter(|kept| kept.own.is_none()) {
            for address in &kept.crl.head().deltas {
                want(address, usual);
            }
        }
        let mut sources = self.sources();
        sources.retain(|address, source| source.learned || wanted.contains_key(address));
        for (address, every) in wanted {
            let source = sources.entry(address).or_insert_with(|| Source::new(every, false, now));
            source.learned = false;
            if source.every != every {
                (source.every, source.due) = (every, now);
            }
        }
    }

    /// Takes up the addresses of a certificate that leads to a trusted root; the ones that were unknown.
    pub(super) fn learn(&self, certificate: &Certificate, now: Timestamp) -> Vec<String> {
        let mut sources = self.sources();
        let learned = sources.values().filter(|source| source.learned).count();
        let room = LEARNED.saturating_sub(learned);
        let fresh: BTreeSet<String> = self
            .addresses(certificate)
            .into_iter()
            .filter(|address| is_web(address) && !sources.contains_key(address))
            .take(room)
            .collect();
        let every = crate::trust::ChainSettings::default().every();
        for address in &fresh {
            // Who judges fetches it himself; the schedule comes later.
            let source = Source::new(every, true, now.plus(SHORTEST));
            sources.insert(address.clone(), source);
        }
        fresh.into_iter().collect()
    }

    /// All addresses.
    pub(crate) fn source_states(&self) -> Vec<SourceState> {
        let sources = self.sources();
        let states = sources.iter().map(|(address, source)| SourceState {
            address: address.clone(),
            learned: source.learned,
            due: source.due,
            tried_at: source.tried_at,
            fetched_at: source.fetched_at,
            failures: source.failures,
            trouble: source.trouble.as_ref().map(ToString::to_string),
            list: source.list,
        });
        states.collect()
    }
}
