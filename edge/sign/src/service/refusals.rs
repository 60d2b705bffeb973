//! Entries for what was refused before any act began: requests of nobody known, of another's nonce, out of form.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use records::Timestamp;

use super::{Caller, Interface, Service};
use crate::fault::Fault;
use crate::vault::Entry;

/// Entries a second for those who did not sign in; what is more is counted and said in the next entry, so that nobody can
/// fill the disk by knocking.
const A_SECOND: u32 = 20;

/// Strangers of the present second.
#[derive(Debug, Default)]
pub(super) struct Strangers(Mutex<(i64, u32, u64)>);

impl Strangers {
    /// Whether this one gets an entry, and how many before it got none.
    fn admit(&self, now: Timestamp) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (second, entries, silent) = &mut *state;
        if *second != now.as_seconds() {
            (*second, *entries) = (now.as_seconds(), 0);
        }
        if *entries >= A_SECOND {
            *silent += 1;
            return None;
        }
        *entries += 1;
        Some(std::mem::take(silent))
    }
}

impl Service {
    /// Enters the refusal of a request whose sender is not known.
    pub(crate) async fn refuse_stranger(&self, from: IpAddr, interface: Interface, fault: &Fault) {
        let now = self.engine.clock.now();
        let Some(silent) = self.strangers.admit(now) else {
            return;
        };
        let mut detail = format!("{} via {} from {from}", said(fault), interface.name());
        if silent > 0 {
            detail.push_str(&format!(", {silent} more before"));
        }
        self.enter(now, Arc::from(""), detail).await;
    }

    /// Enters the refusal of an application's request that did not come as far as an act.
    pub(crate) async fn refuse_early(&self, caller: &Caller, fault: &Fault) {
        let now = self.engine.clock.now();
        let detail = format!("{} via {} from {}", said(fault), caller.interface.name(), caller.from);
        self.enter(now, Arc::from(caller.application.id.0.as_str()), detail)
            .await;
    }

    async fn enter(&self, at: Timestamp, subject: Arc<str>, detail: String) {
        let entry = Entry {
            at,
            act: "request.refused",
            subject,
            detail,
        };
        // It was refused already; that the log cannot be written stops the acts themselves.
        if let Err(refusal) = self.ledger.append(entry).await {
            tracing::error!(sign.refusal = %refusal, "a refusal could not be logged");
        }
    }
}

/// A refusal as the log has it: bounded, on one line.
fn said(fault: &Fault) -> String {
    let detail: String = fault.detail.chars().filter(|c| !c.is_control()).take(300).collect();
    format!("refused {} {detail}", fault.code.name())
}
