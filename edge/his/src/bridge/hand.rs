//! What a person decides about rows that need a hand.

use records::Outcome;
use store::StoreError;

use super::Bridge;
use crate::journal::{Entry, Refusal, State};

impl Bridge {
    /// A person has a row tried again that needs a hand.
    ///
    /// # Errors
    /// Of the database; `Ok(Err(_))` when the state does not allow it.
    pub async fn retry(&self, key: &str, note: &str) -> Result<Result<Entry, Refusal>, StoreError> {
        let Some(entry) = self.entry(key).await? else {
            return Ok(Err(Refusal {
                state: State::Queued,
                command: "retry",
            }));
        };
        let rules = self.rules(&entry.method);
        let done = self
            .step(key, &format!("人工重试：{note}"), move |work, now| {
                work.retry(&rules, now)
            })
            .await;
        self.wake();
        done
    }

    /// A person has found out what became of a row that needs a hand. `refused` says that it did not happen.
    ///
    /// # Errors
    /// Of the database; `Ok(Err(_))` when the state does not allow it.
    pub async fn settle_refused(&self, key: &str, note: &str) -> Result<Result<Entry, Refusal>, StoreError> {
        let words = note.to_owned();
        self.step(key, &format!("人工核实未办理：{note}"), move |work, _| {
            work.settle_by_hand(Outcome::refused("settled_by_hand", words.clone()))
        })
        .await
    }
}
