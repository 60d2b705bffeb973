//! One operation against the hospital, once: mapped, guarded, sent, judged. What to do about the answer is the
//! journal's business.

mod hl7;
mod judge;
mod settle;
mod soap;

#[cfg(test)]
mod golden;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use records::{Clock, Ids};
use serde_json::Value;

use crate::convert::Direction;
use crate::guard::Guard;
use crate::mapping::Context;
use crate::mllp::MllpClient;
use crate::operations;
use crate::profile::{OperationProfile, Profile, SoapWire, Wire};

/// What became of one exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Done, with the canonical response.
    Done(Value),
    /// Refused: it did not happen.
    Refused {
        /// Stable word.
        code: String,
        /// Words for the person.
        text: String,
    },
    /// It did not happen; may be asked again.
    NotDone {
        /// Sensible pause.
        after_ms: u64,
        /// Words for the operator.
        why: String,
    },
    /// It may have happened.
    Unclear {
        /// Words for the operator.
        why: String,
    },
}

/// What a settling query found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It happened.
    Done(Value),
    /// It did not.
    Absent,
    /// It cannot happen any more.
    Refused {
        /// Stable word.
        code: String,
        /// Words for the person.
        text: String,
    },
    /// Not found out.
    Unclear {
        /// Words for the operator.
        why: String,
    },
}

enum Client {
    Soap(SoapWire),
    Mllp(MllpClient),
}

/// An endpoint with its protection.
pub(crate) struct Endpoint {
    pub(crate) name: String,
    client: Client,
    pub(crate) guard: Guard,
    timeout: Duration,
}

/// The hospital, as its profile describes it.
pub struct Hospital {
    pub(crate) profile: Profile,
    pub(crate) endpoints: BTreeMap<String, Endpoint>,
    http: reqwest::Client,
    clock: Arc<dyn Clock>,
    ids: Arc<Ids>,
}

impl Hospital {
    /// Takes a profile into use.
    ///
    /// # Errors
    /// When the HTTP client cannot be made.
    pub fn new(profile: Profile, clock: Arc<dyn Clock>, ids: Arc<Ids>) -> Result<Self, reqwest::Error> {
        let connect = profile
            .endpoints
            .values()
            .map(|e| e.limits.connect_ms)
            .max()
            .unwrap_or(2_000);
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_millis(connect))
            .pool_idle_timeout(Duration::from_secs(20))
            .build()?;
        let endpoints = profile.endpoints.iter().map(|(name, e)| {
            let client = match &e.wire {
                Wire::Soap(soap) => Client::Soap(soap.clone()),
                Wire::Mllp(mllp) => Client::Mllp(MllpClient::new(
                    mllp.clone(),
                    Duration::from_millis(e.limits.connect_ms),
                )),
            };
            let endpoint = Endpoint {
                name: e.name.clone(),
                client,
                guard: Guard::new(e.limits.clone(), Arc::clone(&clock)),
                timeout: Duration::from_millis(e.limits.timeout_ms),
            };
            (name.clone(), endpoint)
        });
        Ok(Self {
            endpoints: endpoints.collect(),
            profile,
            http,
            clock,
            ids,
        })
    }

    /// Whether the hospital calls by HL7.
    pub const fn offers_mllp_callbacks(&self) -> bool {
        self.profile.callbacks.mllp.is_some()
    }

    /// The description of an operation.
    pub fn operation(&self, method: &str) -> Option<&OperationProfile> {
        self.profile.operations.get(method)
    }

    /// Performs an operation once. `effect` names a write, so that the same effect sent again carries the same message id.
    pub async fn perform(&self, method: &str, request: &Value, effect: Option<&str>, within: Duration) -> Answer {
        let Some(operation) = self.operation(method) else {
            return Answer::Refused {
                code: "not_offered".to_owned(),
                text: "本院未开通此项接口".to_owned(),
            };
        };
        let Some(endpoint) = self.endpoints.get(&operation.via) else {
            return Answer::Refused {
                code: "not_offered".to_owned(),
                text: "本院未开通此项接口".to_owned(),
            };
        };
        let own = operation.timeout_ms.map_or(endpoint.timeout, Duration::from_millis);
        let within = own.min(within);
        let answer = match (&endpoint.client, &operation.soap, &operation.hl7) {
            (Client::Soap(wire), Some(binding), _) => self.by_soap(endpoint, wire, binding, request, within).await,
            (Client::Mllp(client), _, Some(binding)) => {
                self.by_hl7(endpoint, client, binding, request, effect, within).await
            }
            _ => {
                return Answer::Refused {
                    code: "not_offered".to_owned(),
                    text: "本院未开通此项接口".to_owned(),
                };
            }
        };
        match answer {
            Answer::Done(value) => match operations::check_response(method, &value) {
                Ok(()) => Answer::Done(value),
                Err(why) => Answer::Unclear {
                    why: format!("answer does not fit the operation: {why}"),
                },
            },
            other => other,
        }
    }

    fn context<'a>(&'a self, request: &'a Value, way: Direction) -> Context<'a> {
        Context {
            habits: &self.profile.habits,
            codes: &self.profile.codes,
            request,
            now: self.clock.now(),
            way,
            index: 0,
        }
    }
}
