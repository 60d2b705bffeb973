//! An operation over SOAP: pages, items, details.

use std::time::Duration;

use serde_json::{Map, Value};

use super::judge::{Judged, empty, fault_answer, judge, shaped};
use super::{Answer, Endpoint, Hospital};
use crate::convert::Direction;
use crate::profile::{Detail, SoapBinding, SoapWire};
use crate::soap::{self, SoapReply};
use crate::source::Source;

impl Hospital {
    pub(super) async fn soap_once(
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

    pub(super) async fn by_soap(
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
            let mut mapped = match mapped {
                Ok(mapped) => mapped,
                Err(why) if binding.leave_out_misfits => {
                    let code = item.children.first().map(|first| first.text.trim());
                    tracing::error!(his.method = binding.method, his.item = code, %why, "left out of the catalogue");
                    continue;
                }
                Err(e) => {
                    return Err(Answer::Unclear {
                        why: format!("answer: {e}"),
                    });
                }
            };
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
}
