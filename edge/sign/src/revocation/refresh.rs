//! The task that keeps lists up to date, and fetching now.

use std::sync::Arc;
use std::time::Duration;

use gm::Certificate;
use gm::crl::MAX_CRL;
use records::Timestamp;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::lists::ListId;
use super::{Revocation, Taken, Trouble};
use crate::service::Service;
use crate::state::State;

/// Time for one list.
const FETCH: Duration = Duration::from_secs(120);
/// Lists fetched at a time: each may take its whole length of memory.
const AT_A_TIME: usize = 2;
/// The longest sleep; the clock may be set meanwhile.
const NAP: Duration = Duration::from_secs(20);

/// Those who may sign lists: everyone in the chains and above signers at outside servers.
fn issuers(state: &State, outside: &[Certificate]) -> Arc<Vec<Certificate>> {
    let all = state.chains.values().flat_map(|chain| &chain.certificates);
    Arc::new(all.chain(outside).cloned().collect())
}

impl Service {
    /// The certificates of outside servers' signers and those above them, as they are now. Blocks.
    fn outside_certificates(&self) -> Vec<Certificate> {
        self.engine.outside_issuers().unwrap_or_else(|refusal| {
            tracing::error!(sign.refusal = %refusal, "certificates of outside signers could not be read");
            Vec::new()
        })
    }

    /// [`Self::outside_certificates`] away from the threads that serve.
    async fn outside_now(self: &Arc<Self>) -> Vec<Certificate> {
        let service = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || service.outside_certificates()).await;
        read.unwrap_or_default()
    }

    /// Reads the kept lists, then fetches each address when it is due, and issues our own lists daily, until told to stop.
    pub async fn keep_lists(self: Arc<Self>, stop: CancellationToken) {
        let mut outside = self.outside_now().await;
        let (service, known) = (Arc::clone(&self), issuers(&self.state(), &outside));
        let load = move || service.revocation.load(&known);
        if tokio::task::spawn_blocking(load).await.is_err() {
            tracing::error!("kept lists could not be read");
        }
        let mut fetching: JoinSet<()> = JoinSet::new();
        let mut surveyed: Option<Arc<State>> = None;
        let mut own_due = self.engine.clock.now();
        while !stop.is_cancelled() {
            let (state, now) = (self.state(), self.engine.clock.now());
            if now >= own_due {
                own_due = now.plus(self.renew_own_lists().await);
            }
            let bound = self.outside_now().await;
            if bound != outside {
                (outside, surveyed) = (bound, None);
            }
            if !surveyed.as_ref().is_some_and(|before| Arc::ptr_eq(before, &state)) {
                let (service, known) = (Arc::clone(&self), issuers(&state, &outside));
                let forget = move || service.revocation.forget_all_but(&known);
                if tokio::task::spawn_blocking(forget).await.is_err() {
                    tracing::error!("lists of removed chains could not be deleted");
                }
                self.revocation.survey(&state, &outside, now);
            }
            surveyed = Some(state);
            while fetching.len() < AT_A_TIME
                && let Some(address) = self.revocation.due(now)
            {
                let service = Arc::clone(&self);
                fetching.spawn(async move {
                    // What went wrong is kept with the address.
                    let _ = service.fetch_list(&address, FETCH).await;
                });
            }
            let full = fetching.len() == AT_A_TIME;
            let nap = if full { NAP } else { self.revocation.nap(now) };
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.revocation.wake.notified() => {}
                Some(_) = fetching.join_next(), if !fetching.is_empty() => surveyed = None,
                () = tokio::time::sleep(nap) => {}
            }
        }
    }

    /// Fetches a list now and takes it in; all who want the same wait for one fetch.
    pub(crate) async fn fetch_list(self: &Arc<Self>, address: &str, limit: Duration) -> Result<Taken, Trouble> {
        let revocation = Arc::clone(&self.revocation);
        let known = issuers(&self.state(), &self.outside_now().await);
        let bytes = revocation.web.get(address, MAX_CRL, limit).await;
        let now = self.engine.clock.now();
        let taken = match bytes {
            Ok(bytes) => {
                let revocation = Arc::clone(&revocation);
                let take = move || revocation.take(&bytes, &known, now);
                tokio::task::spawn_blocking(take)
                    .await
                    .unwrap_or(Err(Trouble::Internal))
            }
            Err(trouble) => Err(trouble),
        };
        revocation.note(address, &taken, now);
        if let Err(trouble) = &taken {
            tracing::warn!(%trouble, %address, "a list was not taken");
        }
        taken
    }

    /// Takes in a list that somebody brought. Blocks.
    pub(crate) fn import_list(&self, bytes: &[u8]) -> Result<Taken, Trouble> {
        let known = issuers(&self.state(), &self.outside_certificates());
        self.revocation.take(bytes, &known, self.engine.clock.now())
    }
}

impl Revocation {
    fn next_update(&self, list: &ListId) -> Option<Timestamp> {
        let lists = self.lists();
        let next = lists.get(list)?.crl.head().next_update?;
        Some(Timestamp::from_offset(next))
    }

    fn note(&self, address: &str, taken: &Result<Taken, Trouble>, now: Timestamp) {
        let outcome = match taken {
            Ok(taken) => Ok((taken.id(), self.next_update(&taken.id()))),
            Err(trouble) => Err(trouble.clone()),
        };
        if let Some(source) = self.sources().get_mut(address) {
            source.note(outcome, now);
        }
    }

    /// An address that is due; it is the caller's to fetch.
    fn due(&self, now: Timestamp) -> Option<String> {
        let mut sources = self.sources();
        let due = sources
            .iter_mut()
            .filter(|(_, source)| !source.busy && source.due <= now);
        let (address, source) = due.min_by_key(|(_, source)| source.due)?;
        source.busy = true;
        Some(address.clone())
    }

    /// How long nothing is due.
    fn nap(&self, now: Timestamp) -> Duration {
        let sources = self.sources();
        let next = sources
            .values()
            .filter(|source| !source.busy)
            .map(|source| source.due)
            .min();
        let left = next.map_or(NAP, |due| {
            Duration::from_micros(u64::try_from(due.as_micros() - now.as_micros()).unwrap_or(0))
        });
        left.clamp(Duration::from_millis(200), NAP)
    }
}
