//! The outside as a script: the line to the hospital and the text message provider.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use base::{Hospital, Sms, SmsSender};
use records::{Outcome, TenantId};
use serde_json::Value;

/// A call that was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Method.
    pub method: String,
    /// Idempotency key.
    pub key: Option<String>,
    /// Request.
    pub body: Value,
}

type Answer = Box<dyn Fn(&Value) -> Outcome<Value> + Send + Sync>;

/// A line that answers as told; a method nobody scripted is offline.
#[derive(Default)]
pub struct ScriptedLine {
    answers: Mutex<HashMap<String, Answer>>,
    calls: Mutex<Vec<Call>>,
}

impl ScriptedLine {
    /// From now on, `method` is answered so.
    pub fn answer(&self, method: &str, answer: impl Fn(&Value) -> Outcome<Value> + Send + Sync + 'static) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.insert(method.to_owned(), Box::new(answer));
    }

    /// From now on, `method` is done with this.
    pub fn done(&self, method: &str, response: impl serde::Serialize) {
        let response = serde_json::to_value(response).expect("a response is JSON");
        self.answer(method, move |_| Outcome::Done(response.clone()));
    }

    /// Calls made so far.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Hospital for ScriptedLine {
    async fn call_raw(
        &self,
        _tenant: &TenantId,
        method: &str,
        key: Option<&str>,
        _deadline: Duration,
        body: Value,
    ) -> Outcome<Value> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = answers
            .get(method)
            .map_or(Outcome::Later { after_ms: 1000 }, |answer| answer(&body));
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(Call {
            method: method.to_owned(),
            key: key.map(str::to_owned),
            body,
        });
        outcome
    }

    async fn online(&self, _tenant: &TenantId) -> bool {
        true
    }

    async fn take_file(&self, _: &str) -> Option<Vec<u8>> {
        None
    }
}

/// Where text messages land.
#[derive(Default)]
pub struct SmsBox(Mutex<Vec<Sms>>);

impl SmsBox {
    /// All messages so far.
    pub fn all(&self) -> Vec<Sms> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The last message to a phone.
    pub fn last(&self, phone: &str) -> Option<Sms> {
        self.all().into_iter().rev().find(|sms| sms.phone == phone)
    }
}

#[async_trait]
impl SmsSender for SmsBox {
    async fn send(&self, _tenant: &TenantId, sms: &Sms) -> Outcome<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(sms.clone());
        Outcome::Done(())
    }
}
