//! An operation over HL7.

use std::time::Duration;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::judge::{Judged, fault_answer, judge_ack, shaped};
use super::{Answer, Endpoint, Hospital};
use crate::body;
use crate::convert::Direction;
use crate::hl7::Message;
use crate::mllp::MllpClient;
use crate::profile::{Hl7Binding, Shape};
use crate::source::Source;

impl Hospital {
    pub(super) async fn by_hl7(
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
}
