//! Asking what became of a write.

use std::time::Duration;

use serde_json::Value;

use super::judge::{Judged, judge};
use super::{Answer, Client, Hospital, Settled};
use crate::convert::Direction;
use crate::operations;
use crate::profile::Settle;
use crate::soap::SoapReply;
use crate::source::Source;

impl Hospital {
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
