//! One operation against the hospital, once: mapped, guarded, sent, judged. What to do about the answer is the
//! journal's business.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use records::{Clock, Ids};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::body;
use crate::convert::Direction;
use crate::guard::Guard;
use crate::hl7::{Ack, AckCode, Message};
use crate::mapping::Context;
use crate::mllp::MllpClient;
use crate::operations;
use crate::profile::{
    Detail, Hl7Binding, OperationProfile, Profile, Results, Settle, Shape, SoapBinding, SoapWire, Wire,
};
use crate::soap::{self, SoapReply, WireFault};
use crate::source::Source;

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

enum Judged {
    Done,
    Empty,
    Not(Answer),
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

    async fn soap_once(
        &self,
        endpoint: &Endpoint,
        wire: &SoapWire,
        method: &str,
        fields: &Map<String, Value>,
        within: Duration,
    ) -> Result<SoapReply, Answer> {
        let started = self.clock.now();
        let entered = tokio::time::timeout(within, endpoint.guard.enter()).await;
        let leave = match entered {
            Ok(Ok(leave)) => leave,
            Ok(Err(away)) => {
                return Err(Answer::NotDone {
                    after_ms: away.after_ms(),
                    why: away.to_string(),
                });
            }
            Err(_) => {
                return Err(Answer::NotDone {
                    after_ms: 1_000,
                    why: "no place in time".to_owned(),
                });
            }
        };
        let reply = soap::call(&self.http, wire, method, fields, within).await;
        leave.finish(reply.is_ok());
        let took = self.clock.now().since(started);
        tracing::debug!(
            his.method = method,
            his.ok = reply.is_ok(),
            his.ms = took.as_millis(),
            "exchange"
        );
        reply.map_err(|fault| fault_answer(&fault))
    }

    async fn by_soap(
        &self,
        endpoint: &Endpoint,
        wire: &SoapWire,
        binding: &SoapBinding,
        request: &Value,
        within: Duration,
    ) -> Answer {
        match self.soap_answer(endpoint, wire, binding, request, within).await {
            Ok(value) => Answer::Done(value),
            Err(answer) => answer,
        }
    }

    async fn soap_answer(
        &self,
        endpoint: &Endpoint,
        wire: &SoapWire,
        binding: &SoapBinding,
        request: &Value,
        within: Duration,
    ) -> Result<Value, Answer> {
        let mut fields = self
            .context(request, Direction::Out)
            .fill(&binding.request, Source::Canonical(request))
            .map_err(|e| Answer::Refused {
                code: "bad_request".to_owned(),
                text: format!("请求无法按本院接口表达：{e}"),
            })?;
        let mut items = Vec::new();
        for page in 1..=200u32 {
            if let Some(pages) = &binding.pages {
                fields.insert(pages.number.clone(), Value::from(page));
                fields.insert(pages.size.clone(), Value::from(pages.of));
            }
            let reply = self.soap_once(endpoint, wire, &binding.method, &fields, within).await?;
            match judge(&self.profile.results, &self.profile.refusals, &reply.code, &reply.words) {
                Judged::Done => {}
                Judged::Empty if items.is_empty() => return empty(binding),
                Judged::Empty => break,
                Judged::Not(answer) => return Err(answer),
            }
            let Some(pages) = &binding.pages else {
                items = reply.items;
                break;
            };
            let total = reply
                .items
                .first()
                .and_then(|i| i.at(&pages.total))
                .and_then(|t| t.text.trim().parse::<usize>().ok());
            let got = reply.items.len();
            items.extend(reply.items);
            if got == 0 || total.is_none_or(|t| items.len() >= t) {
                break;
            }
        }
        let mut out = Vec::new();
        let keep = |item: &crate::xml::Element| {
            let text = |field: &str| item.at(field).map(|v| v.text.trim()).unwrap_or_default();
            let asked = |path: &str| Source::Canonical(request).text(path);
            binding
                .keep
                .iter()
                .all(|(f, values)| values.iter().any(|w| w == text(f)))
                && binding
                    .matching
                    .iter()
                    .all(|(f, path)| asked(path).is_none_or(|wanted| wanted == text(f)))
        };
        for item in items.iter().filter(|i| keep(i)) {
            let mapped = self
                .context(request, Direction::In)
                .fill(&binding.response, Source::Xml(item));
            let mut mapped = mapped.map_err(|e| Answer::Unclear {
                why: format!("answer: {e}"),
            })?;
            if let Some(detail) = &binding.detail {
                self.detail(endpoint, wire, detail, request, item, &mut mapped, within)
                    .await?;
            }
            out.push(Value::Object(mapped));
        }
        shaped(binding.reply, out)
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one exchange, passed once")]
    async fn detail(
        &self,
        endpoint: &Endpoint,
        wire: &SoapWire,
        detail: &Detail,
        request: &Value,
        item: &crate::xml::Element,
        mapped: &mut Map<String, Value>,
        within: Duration,
    ) -> Result<(), Answer> {
        let unclear = |e: crate::mapping::MapError| Answer::Unclear {
            why: format!("detail: {e}"),
        };
        let fields = self
            .context(request, Direction::Out)
            .fill(&detail.request, Source::Xml(item))
            .map_err(unclear)?;
        // A detail belongs to a request that was let in: at the threshold it waits a little instead of spoiling the whole.
        let mut tries = 0;
        let reply = loop {
            match self.soap_once(endpoint, wire, &detail.method, &fields, within).await {
                Err(Answer::NotDone { .. }) if tries < 8 => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(250)).await;
                }
                other => break other?,
            }
        };
        let rows = match judge(&self.profile.results, &self.profile.refusals, &reply.code, &reply.words) {
            Judged::Done => reply.items,
            Judged::Empty => Vec::new(),
            Judged::Not(answer) => return Err(answer),
        };
        let context = self.context(request, Direction::In);
        let rows = rows.iter().map(|r| context.fill(&detail.response, Source::Xml(r)));
        let mut rows = rows.collect::<Result<Vec<_>, _>>().map_err(unclear)?;
        match &detail.into {
            Some(field) => {
                mapped.insert(
                    field.clone(),
                    Value::Array(rows.into_iter().map(Value::Object).collect()),
                );
            }
            None if rows.is_empty() => {
                return Err(Answer::Unclear {
                    why: "detail is missing".to_owned(),
                });
            }
            None => mapped.extend(std::mem::take(rows.first_mut().unwrap_or(&mut Map::new()))),
        }
        Ok(())
    }

    async fn by_hl7(
        &self,
        endpoint: &Endpoint,
        client: &MllpClient,
        binding: &Hl7Binding,
        request: &Value,
        effect: Option<&str>,
        within: Duration,
    ) -> Answer {
        let context = self.context(request, Direction::Out);
        let body = match body::write(&binding.body, &context, Source::Canonical(request)) {
            Ok(body) => body,
            Err(e) => {
                return Answer::Refused {
                    code: "bad_request".to_owned(),
                    text: format!("请求无法按本院接口表达：{e}"),
                };
            }
        };
        // The same effect always carries the same id: a hospital that keeps its word does it once.
        let id = match effect {
            Some(effect) => hex::encode_upper(Sha256::digest(effect.as_bytes()).get(..10).unwrap_or_default()),
            None => hex::encode_upper(self.ids.random::<10>()),
        };
        let text = format!("{}{body}", client.head(&binding.message, &id, context.now));
        let leave = match tokio::time::timeout(within, endpoint.guard.enter()).await {
            Ok(Ok(leave)) => leave,
            Ok(Err(away)) => {
                return Answer::NotDone {
                    after_ms: away.after_ms(),
                    why: away.to_string(),
                };
            }
            Err(_) => {
                return Answer::NotDone {
                    after_ms: 1_000,
                    why: "no place in time".to_owned(),
                };
            }
        };
        let reply = client.exchange(&id, &text, within).await;
        leave.finish(reply.is_ok());
        let (ack, message) = match reply {
            Ok(reply) => reply,
            Err(fault) => return fault_answer(&fault),
        };
        let read = match judge_ack(&self.profile, &ack, &message) {
            Judged::Not(answer) => return answer,
            Judged::Empty => shaped(binding.reply, Vec::new()),
            Judged::Done => self.hl7_answer(binding, &message, request),
        };
        match (read, &binding.then) {
            (Ok(_), Some(then)) => match Box::pin(self.perform(then, request, None, within)).await {
                Answer::Done(Value::Null) => Answer::Unclear {
                    why: format!("done, but {then} does not find it"),
                },
                Answer::NotDone { why, .. } => Answer::Unclear {
                    why: format!("done, but {then}: {why}"),
                },
                other => other,
            },
            (Ok(value), None) => Answer::Done(value),
            (Err(answer), _) => answer,
        }
    }

    fn hl7_answer(&self, binding: &Hl7Binding, message: &Message, request: &Value) -> Result<Value, Answer> {
        if matches!(binding.reply, Shape::Nothing) || binding.then.is_some() {
            return Ok(Value::Object(Map::new()));
        }
        let whole = Source::Hl7(message, None);
        let items = match &binding.items {
            Some(segment) => whole.list(segment),
            None => vec![whole],
        };
        let context = self.context(request, Direction::In);
        let mapped = items
            .into_iter()
            .map(|i| context.fill(&binding.response, i).map(Value::Object));
        let mapped = mapped.collect::<Result<Vec<_>, _>>();
        shaped(
            binding.reply,
            mapped.map_err(|e| Answer::Unclear {
                why: format!("answer: {e}"),
            })?,
        )
    }

    /// Asks what became of a write.
    pub async fn settle(&self, method: &str, request: &Value, within: Duration) -> Settled {
        let unclear = |why: String| Settled::Unclear { why };
        let Some(settle) = self.operation(method).and_then(|o| o.settle.as_ref()) else {
            return unclear("no settling query".to_owned());
        };
        let Some((endpoint, Client::Soap(wire))) = self.endpoints.get(&settle.via).map(|e| (e, &e.client)) else {
            return unclear("no endpoint to ask".to_owned());
        };
        let fields = match self
            .context(request, Direction::Out)
            .fill(&settle.request, Source::Canonical(request))
        {
            Ok(fields) => fields,
            Err(e) => return unclear(e.to_string()),
        };
        let within = within.min(endpoint.timeout);
        let reply = match self.soap_once(endpoint, wire, &settle.method, &fields, within).await {
            Ok(reply) => reply,
            Err(Answer::NotDone { why, .. } | Answer::Unclear { why }) => return unclear(why),
            Err(_) => return unclear("query refused".to_owned()),
        };
        match judge(&self.profile.results, &self.profile.refusals, &reply.code, &reply.words) {
            Judged::Done => self.settled(settle, method, request, &reply),
            Judged::Empty => Settled::Absent,
            Judged::Not(_) => unclear(format!("query answered code {}", reply.code)),
        }
    }

    fn settled(&self, settle: &Settle, method: &str, request: &Value, reply: &SoapReply) -> Settled {
        let canonical = Source::Canonical(request);
        let item = reply.items.iter().find(|item| {
            settle.matching.iter().all(|(field, path)| {
                item.at(field).map(|e| e.text.trim().to_owned()) == canonical.text(path).map(|t| t.into_owned())
            })
        });
        let Some(item) = item else { return Settled::Absent };
        let state = settle
            .state
            .as_ref()
            .map(|path| item.at(path).map(|e| e.text.trim()).unwrap_or_default());
        if let Some(state) = state {
            if let Some(words) = settle.refused.get(state) {
                return Settled::Refused {
                    code: format!("his_state_{state}"),
                    text: words.clone(),
                };
            }
            if settle.absent.iter().any(|s| s == state) {
                return Settled::Absent;
            }
            if !settle.done.iter().any(|s| s == state) {
                return Settled::Unclear {
                    why: format!("state {state} has no meaning in the profile"),
                };
            }
        }
        let response = self
            .context(request, Direction::In)
            .fill(&settle.response, Source::Xml(item))
            .map(Value::Object);
        let response = response.map_err(|e| e.to_string());
        match response.and_then(|r| operations::check_response(method, &r).map(|()| r)) {
            Ok(response) => Settled::Done(response),
            Err(why) => Settled::Unclear { why },
        }
    }
}

fn fault_answer(fault: &WireFault) -> Answer {
    if fault.sent {
        Answer::Unclear {
            why: fault.words.clone(),
        }
    } else {
        Answer::NotDone {
            after_ms: 2_000,
            why: fault.words.clone(),
        }
    }
}

fn empty(binding: &SoapBinding) -> Result<Value, Answer> {
    if let Some((code, text)) = &binding.empty_refusal {
        return Err(Answer::Refused {
            code: code.clone(),
            text: text.clone(),
        });
    }
    match (&binding.empty, binding.reply) {
        (Some(value), _) => Ok(value.clone()),
        (None, Shape::One) => Err(Answer::Unclear {
            why: "nothing found where one answer was expected".to_owned(),
        }),
        (None, shape) => shaped(shape, Vec::new()),
    }
}

fn shaped(shape: Shape, items: Vec<Value>) -> Result<Value, Answer> {
    match shape {
        Shape::List => Ok(Value::Array(items)),
        Shape::Nothing => Ok(Value::Object(Map::new())),
        Shape::Optional => Ok(items.into_iter().next().unwrap_or(Value::Null)),
        Shape::One => items.into_iter().next().ok_or_else(|| Answer::Unclear {
            why: "answer holds no item".to_owned(),
        }),
    }
}

fn judge(results: &Results, refusals: &BTreeMap<String, Vec<String>>, code: &str, words: &str) -> Judged {
    let among = |list: &[String]| list.iter().any(|c| c == code);
    if among(&results.done) {
        Judged::Done
    } else if among(&results.empty) {
        Judged::Empty
    } else if among(&results.refused) {
        let known = refusals
            .iter()
            .find(|(_, marks)| marks.iter().any(|m| words.contains(m.as_str())));
        let code = known.map_or_else(|| format!("his_{code}"), |(c, _)| c.clone());
        let text = if words.is_empty() {
            "医院系统未予办理".to_owned()
        } else {
            words.to_owned()
        };
        Judged::Not(Answer::Refused { code, text })
    } else if among(&results.later) {
        Judged::Not(Answer::NotDone {
            after_ms: 2_000,
            why: format!("result code {code}"),
        })
    } else {
        Judged::Not(Answer::Unclear {
            why: format!("result code {code}"),
        })
    }
}

fn judge_ack(profile: &Profile, ack: &Ack, message: &Message) -> Judged {
    match ack.code {
        AckCode::AppAccept | AckCode::CommitAccept => {
            if message.get("QAK-2").is_some_and(|s| s == "NF") {
                Judged::Empty
            } else {
                Judged::Done
            }
        }
        AckCode::CommitError | AckCode::CommitReject => Judged::Not(Answer::NotDone {
            after_ms: 2_000,
            why: format!("{} to the message", ack.code.text()),
        }),
        AckCode::AppError | AckCode::AppReject => {
            if let Some(code) = &ack.app_code {
                return judge(&profile.results, &profile.refusals, code, &ack.words);
            }
            // HL7 table 0357: 100 to 205 say that the message was not carried out.
            let number = ack.error.as_deref().and_then(|e| e.parse::<u32>().ok());
            match number {
                Some(100..=205) => Judged::Not(Answer::Refused {
                    code: format!("hl7_{}", number.unwrap_or(0)),
                    text: if ack.words.is_empty() {
                        "医院系统未受理".to_owned()
                    } else {
                        ack.words.clone()
                    },
                }),
                Some(206) => Judged::Not(Answer::NotDone {
                    after_ms: 2_000,
                    why: "record locked".to_owned(),
                }),
                _ => Judged::Not(Answer::Unclear {
                    why: format!("{} without reason", ack.code.text()),
                }),
            }
        }
    }
}
