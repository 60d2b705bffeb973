//! How many allocations at once: for each user, and in total.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// This user has as many as one may have.
    User,
    /// We have as many as we serve.
    Total,
}

#[derive(Debug)]
pub(crate) struct Limits {
    per_user: usize,
    in_total: usize,
    taken: Mutex<HashMap<String, usize>>,
}

/// Room for one allocation, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    limits: Arc<Limits>,
    user: String,
}

impl Limits {
    pub(crate) fn new(per_user: usize, in_total: usize) -> Arc<Self> {
        Arc::new(Self {
            per_user,
            in_total,
            taken: Mutex::default(),
        })
    }

    pub(crate) fn take(self: &Arc<Self>, user: &str) -> Result<Place, Full> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.values().sum::<usize>() >= self.in_total {
            return Err(Full::Total);
        }
        let own = taken.entry(user.to_owned()).or_default();
        if *own >= self.per_user {
            return Err(Full::User);
        }
        *own += 1;
        Ok(Place {
            limits: self.clone(),
            user: user.to_owned(),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.limits.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(&self.user) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                taken.remove(&self.user);
            }
        }
    }
}
