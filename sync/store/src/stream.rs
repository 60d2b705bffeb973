//! Streams of log entries: their names, and who wants to know when one grows.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use records::{Lane, PeerId, TenantId};
use tokio::sync::watch;

/// A stream of the log: the entries of one lane between this store and one peer, on behalf of one hospital.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamKey {
    /// The hospital.
    pub tenant: TenantId,
    /// The other end.
    pub peer: PeerId,
    /// The lane.
    pub lane: Lane,
}

impl StreamKey {
    /// Names a stream.
    pub const fn new(tenant: TenantId, peer: PeerId, lane: Lane) -> Self {
        Self { tenant, peer, lane }
    }
}

/// Tells waiters of committed growth.
#[derive(Default)]
pub(crate) struct Growth {
    streams: Mutex<HashMap<StreamKey, watch::Sender<u64>>>,
}

impl Growth {
    pub(crate) fn watch(&self, key: StreamKey) -> watch::Receiver<u64> {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.entry(key).or_insert_with(|| watch::Sender::new(0)).subscribe()
    }

    pub(crate) fn announce(&self, grown: Vec<(StreamKey, u64)>) {
        if grown.is_empty() {
            return;
        }
        let streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, seq) in grown {
            if let Some(watchers) = streams.get(&key) {
                watchers.send_if_modified(|newest| {
                    let higher = seq > *newest;
                    *newest = seq.max(*newest);
                    higher
                });
            }
        }
    }
}
