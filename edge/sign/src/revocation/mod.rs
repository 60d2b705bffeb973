//! Whether certificates are revoked (黑名单, CRL; OCSP): lists kept up to date without restart or pause, responders asked
//! away from the threads that serve connections, and the hospital's own lists.
//!
//! | module | what |
//! |---|---|
//! | [`lists`] | the lists in force, as one value that is replaced whole; which list may take the place of which |
//! | [`store`] | the same in files beside the state file, each written whole or not at all |
//! | [`source`] | addresses, when each is due, what became of it |
//! | [`refresh`] | the task that fetches |
//! | [`ask`] | OCSP: one question for all who wait, answers kept until newer ones are due |
//! | [`judge`] | an application's rule applied to a path, and what was seen, by what |
//! | [`own`] | what the hospital's own authority revokes |
//! | [`web`] | HTTP, bounded in size and time |
//!
//! What is fetched proves itself by its signature, whoever carried it: HTTP without TLS will do.

mod address;
mod ask;
mod http;
mod judge;
mod lists;
mod own;
mod refresh;
mod source;
mod store;
mod web;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use gm::crl::{Crl, Head, MAX_CRL};
use gm::evidence::Unfit;
use gm::{Certificate, Refused};
use records::Timestamp;
use tokio::sync::{Notify, watch};

use crate::Refusal;
use ask::Asking;
use source::Source;
use store::Store;
use web::Web;

pub(crate) use address::ListAddress;
pub use address::OwnLists;
pub use http::published;
pub(crate) use http::routes;
pub(crate) use judge::{Checked, Look, Open, States, rule};
pub(crate) use lists::{Kept, Lists, Taken};
pub(crate) use own::{OWN_LISTS, Revoking};
pub(crate) use web::{Trouble, is_web};

/// Lists of others lie in this folder beside the state file.
const LISTS: &str = "lists";

/// All that is known about revocations.
pub(crate) struct Revocation {
    store: Store,
    web: Web,
    lists: RwLock<Arc<Lists>>,
    /// One change of the lists at a time.
    changing: Mutex<()>,
    /// By address.
    sources: Mutex<BTreeMap<String, Source>>,
    asking: Asking,
    wake: Notify,
    /// The lists on the disk have been read.
    loaded: watch::Sender<bool>,
}

impl Revocation {
    /// Keeps its lists under this folder; they are read by [`Self::load`].
    pub(crate) fn new(folder: &Path) -> Result<Self, Refusal> {
        Ok(Self {
            store: Store::new(folder.join(LISTS)),
            web: Web::new().map_err(|_| Refusal::Damaged("HTTP client"))?,
            lists: RwLock::default(),
            changing: Mutex::default(),
            sources: Mutex::default(),
            asking: Asking::default(),
            wake: Notify::new(),
            loaded: watch::Sender::new(false),
        })
    }

    /// The lists in force.
    pub(crate) fn lists(&self) -> Arc<Lists> {
        Arc::clone(&self.lists.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The chains changed: addresses are looked for again.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    fn sources(&self) -> MutexGuard<'_, BTreeMap<String, Source>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One change of the lists; requests under way go on with those before.
    fn change<T>(&self, change: impl FnOnce(&mut Lists) -> Result<T, Trouble>) -> Result<T, Trouble> {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lists = Lists::clone(&self.lists());
        let done = change(&mut lists)?;
        *self.lists.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(lists);
        Ok(done)
    }

    /// Takes a list in, from an address or by hand, when its signature holds under one of `issuers` and it is better than
    /// what there is. Blocks.
    pub(crate) fn take(&self, bytes: &[u8], issuers: &[Certificate], now: Timestamp) -> Result<Taken, Trouble> {
        if bytes.len() > MAX_CRL {
            return Err(Trouble::TooLarge);
        }
        // The cheap half first: whose it is, and whether it is one.
        Head::read(bytes).map_err(Trouble::list)?;
        let crl = Arc::new(Crl::read(bytes, issuers).map_err(Trouble::list)?);
        self.change(|lists| {
            let taken = lists.offer(&crl, now)?;
            if let Taken::New(id) = &taken {
                let delta = crl.head().base.is_some();
                // On the disk before it is in force: what was served once is there after a power cut.
                self.store.put(id, delta, bytes).map_err(Trouble::disk)?;
            }
            Ok(taken)
        })
    }

    /// Puts a list of our own into force; it lies in the state file.
    pub(crate) fn put_own(&self, bytes: &[u8], issuer: &Certificate) -> Result<(), Refusal> {
        let crl = Arc::new(Crl::read(bytes, std::slice::from_ref(issuer))?);
        let put = self.change(|lists| {
            lists.put_own(crl, Arc::from(bytes));
            Ok(())
        });
        put.map_err(|_| Refusal::Damaged("own list"))
    }

    /// Reads the lists on the disk. Blocks, long for long lists; signatures do not wait for it.
    pub(crate) fn load(&self, issuers: &[Certificate]) {
        for (id, full, delta) in self.store.all() {
            let read = |bytes: &[u8]| Crl::read(bytes, issuers).map(Arc::new);
            let base = match read(&full) {
                Ok(base) => base,
                Err(Refused::Evidence(Unfit::WrongIssuer { .. })) => {
                    // Its chain was removed; it is fetched again when the chain comes back.
                    self.delete(&id);
                    continue;
                }
                Err(reason) => {
                    tracing::warn!(%reason, list = %id, "a kept list is left aside");
                    continue;
                }
            };
            drop(full);
            let served = delta.and_then(|delta| base.apply(read(&delta).ok()?.as_ref()).ok());
            let put = self.change(|lists| {
                lists.put_kept(id, Arc::clone(&base), served.map(Arc::new));
                Ok(())
            });
            if let Err(trouble) = put {
                tracing::warn!(%trouble, "a kept list was not taken");
            }
        }
        self.loaded.send_replace(true);
    }

    /// Takes lists of removed chains out of force, and off the disk. Blocks.
    pub(super) fn forget_all_but(&self, issuers: &[Certificate]) {
        let forgotten = self.change(|lists| Ok(lists.forget_all_but(issuers)));
        for id in forgotten.unwrap_or_default() {
            self.delete(&id);
        }
    }

    fn delete(&self, id: &lists::ListId) {
        match self.store.remove(id) {
            Ok(()) => tracing::info!(list = %id, "the list of a removed chain is deleted"),
            Err(error) => tracing::warn!(%error, list = %id, "the list of a removed chain is not deleted"),
        }
    }

    /// The bytes of a list in force, as evidence. Blocks.
    pub(crate) fn bytes_of(&self, list: &Kept) -> Option<Vec<u8>> {
        match &list.own {
            Some(bytes) => Some(bytes.to_vec()),
            None => self.store.get(&list.id),
        }
    }

    /// What somebody should look at: lists that are past their time, addresses that do not answer.
    pub(crate) fn notices(&self, now: Timestamp) -> Vec<String> {
        let lists = self.lists();
        let stale = lists.all().filter(|kept| kept.crl.is_stale(now.offset()));
        let mut found: Vec<String> = stale
            .map(|kept| format!("{} 的黑名单（CRL）已过期，请检查更新地址或手工导入。", kept.issuer()))
            .collect();
        for (address, source) in self.sources().iter().filter(|(_, source)| !source.learned) {
            if let Some(trouble) = source.trouble.as_ref().filter(|_| source.failures >= source::GRAVE) {
                found.push(format!(
                    "黑名单地址 {address} 连续 {} 次更新失败：{trouble}",
                    source.failures
                ));
            }
        }
        found
    }
}
