//! Calls of the cloud, answered within their deadline: reads with the kept dictionaries behind them, writes through the journal.

use std::sync::Arc;
use std::time::Duration;

use records::{HisCommand, Outcome};
use serde_json::Value;
use store::StoreError;
use tokio::time::Instant;

use super::Bridge;
use crate::exchange::Answer;
use crate::journal::{self, Accepted, Entry, Origin, State};
use crate::operations;

impl Bridge {
    /// Answers a call of the cloud within the deadline. Writes need a key.
    pub async fn call(&self, method: &str, key: Option<&str>, deadline: Duration, request: Value) -> Outcome<Value> {
        if let Err(why) = operations::check_request(method, &request) {
            tracing::warn!(his.method = method, %why, "call with a request of another shape");
            return Outcome::refused("bad_request", "请求内容不完整或格式不对");
        }
        match (operations::writes(method), key) {
            (false, _) => self.read(method, &request, deadline).await,
            (true, None) => Outcome::refused("key_missing", "此项请求缺少编号"),
            (true, Some(key)) => self.write(method, key, deadline, request).await,
        }
    }

    async fn read(&self, method: &str, request: &Value, deadline: Duration) -> Outcome<Value> {
        let cache_s = self.inner.hospital.operation(method).and_then(|o| o.cache_s);
        let kept = match cache_s {
            Some(_) => self.kept(method, request).await,
            None => None,
        };
        let now = self.inner.clock.now();
        if let (Some(cache_s), Some((body, at))) = (cache_s, &kept)
            && now.since(*at) < Duration::from_secs(cache_s)
        {
            return Outcome::Done(body.clone());
        }
        match self.inner.hospital.perform(method, request, None, deadline).await {
            Answer::Done(value) => {
                if cache_s.is_some() {
                    self.keep(method, request, &value).await;
                }
                Outcome::Done(value)
            }
            Answer::Refused { code, text } => Outcome::Refused { code, text },
            Answer::NotDone { why, .. } | Answer::Unclear { why } if kept.is_some() => {
                tracing::warn!(his.method = method, %why, "hospital cannot be asked; the kept dictionary is used");
                kept.map_or(Outcome::Later { after_ms: 2_000 }, |(body, _)| Outcome::Done(body))
            }
            Answer::NotDone { after_ms, why } => {
                tracing::warn!(his.method = method, %why, "read not answered");
                Outcome::Later { after_ms }
            }
            Answer::Unclear { why } => {
                tracing::warn!(his.method = method, %why, "read not answered");
                Outcome::Later { after_ms: 2_000 }
            }
        }
    }

    async fn write(&self, method: &str, key: &str, deadline: Duration, request: Value) -> Outcome<Value> {
        let until = Instant::now() + deadline;
        let command = Arc::new(HisCommand {
            key: key.to_owned(),
            method: method.to_owned(),
            subject: key.to_owned(),
            request,
        });
        let accepted = self.inner.store.write(self.scope(), move |tx| {
            let command = Arc::clone(&command);
            Box::pin(async move { journal::accept(tx, &command, Origin::Call).await })
        });
        match accepted.await {
            Ok(Accepted::Conflict) => return Outcome::refused("key_conflict", "同一编号已用于另一项内容不同的请求"),
            Ok(Accepted::New | Accepted::Known(_)) => {}
            Err(error) => {
                let error: StoreError = error;
                tracing::error!(%error, "journal cannot be written; the hospital was not touched");
                return Outcome::Later { after_ms: 2_000 };
            }
        }
        self.drive(key);
        loop {
            let changed = self.inner.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            // Asked before the row is read: when nobody works on it, what is read stays true.
            let busy = self.is_busy(key);
            let Ok(Some(Entry { work, .. })) = self.entry(key).await else {
                return Outcome::Unknown;
            };
            if let Some(outcome) = work.outcome {
                return outcome;
            }
            let pause = work.next_at.since(self.inner.clock.now());
            match work.state {
                State::Waiting | State::Queued if !busy => {
                    return Outcome::Later {
                        after_ms: u64::try_from(pause.as_millis()).unwrap_or(1_000).max(200),
                    };
                }
                State::Unknown if !busy && Instant::now() + pause < until => {
                    tokio::time::sleep(pause).await;
                    self.drive(key);
                    continue;
                }
                State::Unknown | State::Sending if !busy => return Outcome::Unknown,
                State::NeedsHand => return Outcome::Unknown,
                _ => {}
            }
            if tokio::time::timeout_at(until, changed).await.is_err() {
                // Never sent means never happened; everything else has to be asked about.
                return if work.sent == 0 {
                    Outcome::Later { after_ms: 1_000 }
                } else {
                    Outcome::Unknown
                };
            }
        }
    }
}
