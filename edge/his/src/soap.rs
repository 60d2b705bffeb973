//! The hospital's SOAP wire: a string of XML inside a method's argument and another inside its result.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Map, Value};

use crate::charset::{self, Charset};
use crate::profile::SoapWire;
use crate::xml::{self, Element};

/// Why an exchange brought no readable answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct WireFault {
    /// The request may have reached the hospital.
    pub sent: bool,
    /// Words for the operator, without patient data.
    pub words: String,
}

impl WireFault {
    pub(crate) fn sent(words: impl Into<String>) -> Self {
        Self {
            sent: true,
            words: words.into(),
        }
    }
    pub(crate) fn unsent(words: impl Into<String>) -> Self {
        Self {
            sent: false,
            words: words.into(),
        }
    }
}

/// A readable answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoapReply {
    /// Result code.
    pub code: String,
    /// Words.
    pub words: String,
    /// Items.
    pub items: Vec<Element>,
}

/// Calls a method.
///
/// # Errors
/// [`WireFault`] when no readable answer came.
pub async fn call(
    http: &reqwest::Client,
    wire: &SoapWire,
    method: &str,
    fields: &Map<String, Value>,
    within: Duration,
) -> Result<SoapReply, WireFault> {
    let body = request(wire, method, fields);
    let sending = http
        .post(&wire.url)
        .header(
            "content-type",
            format!("{}; charset={}", wire.content_type, wire.charset.name()),
        )
        .header("soapaction", format!("\"{}\"", wire.action.replace("{method}", method)))
        .body(wire.charset.encode(&body).into_owned())
        .timeout(within)
        .send();
    let answer = sending.await.map_err(|e| {
        if e.is_connect() || e.is_builder() {
            WireFault::unsent("cannot connect")
        } else if e.is_timeout() {
            WireFault::sent("no answer in time")
        } else {
            WireFault::sent("connection broke")
        }
    })?;
    let status = answer.status();
    let declared = answer
        .headers()
        .get("content-type")
        .and_then(|h| h.to_str().ok())
        .and_then(|h| {
            h.split(';').find_map(|p| {
                p.trim()
                    .to_ascii_lowercase()
                    .strip_prefix("charset=")
                    .map(str::to_owned)
            })
        })
        .and_then(|name| Charset::by_name(&name));
    let mut bytes = Vec::new();
    let mut stream = answer.bytes_stream();
    while let Some(part) = stream.next().await {
        let part = part.map_err(|e| {
            WireFault::sent(if e.is_timeout() {
                "answer stalled"
            } else {
                "answer was cut off"
            })
        })?;
        if bytes.len() + part.len() > xml::MAX_BYTES {
            return Err(WireFault::sent("answer is too large"));
        }
        bytes.extend_from_slice(&part);
    }
    read(wire, method, status.as_u16(), declared, &bytes)
}

/// The envelope for a method.
pub fn request(wire: &SoapWire, method: &str, fields: &Map<String, Value>) -> String {
    let mut inner = String::new();
    write(&mut inner, fields);
    let payload = wire.payload.replace("{fields}", &inner);
    wire.envelope
        .replace("{charset}", wire.charset.name())
        .replace("{method}", method)
        .replace("{payload}", &xml::escape(&payload))
}

fn write(out: &mut String, fields: &Map<String, Value>) {
    for (name, value) in fields {
        out.push('<');
        out.push_str(name);
        out.push('>');
        match value {
            Value::Array(items) => {
                for item in items {
                    out.push_str("<item>");
                    if let Value::Object(fields) = item {
                        write(out, fields);
                    }
                    out.push_str("</item>");
                }
            }
            Value::String(text) => out.push_str(&xml::escape(text)),
            Value::Null | Value::Object(_) => {}
            other => out.push_str(&other.to_string()),
        }
        out.push_str("</");
        out.push_str(name);
        out.push('>');
    }
}

/// Reads an answer.
///
/// # Errors
/// [`WireFault`], always `sent`.
pub fn read(
    wire: &SoapWire,
    method: &str,
    status: u16,
    declared: Option<Charset>,
    bytes: &[u8],
) -> Result<SoapReply, WireFault> {
    if bytes.is_empty() {
        return Err(WireFault::sent(format!("empty answer with HTTP status {status}")));
    }
    let declared = declared.or_else(|| xml::declared_charset(bytes).and_then(Charset::by_name));
    let (text, found) = charset::decode(bytes, declared).map_err(|e| WireFault::sent(e.to_string()))?;
    if declared.is_some_and(|d| (d == Charset::Utf8) != (found == Charset::Utf8)) {
        tracing::warn!(his.method = method, his.declared = ?declared, his.found = found.name(), "answer is written in another charset than it declares");
    }
    let outer = xml::parse(&text);
    let fault = outer.as_ref().ok().and_then(|o| o.find("Fault"));
    if let Some(fault) = fault {
        let words = fault.child("faultstring").map(|f| f.text.trim()).unwrap_or_default();
        return Err(WireFault::sent(format!(
            "SOAP fault: {}",
            words.chars().take(120).collect::<String>()
        )));
    }
    if !(200..300).contains(&status) {
        return Err(WireFault::sent(format!("HTTP status {status}")));
    }
    let outer = outer.map_err(|e| WireFault::sent(format!("envelope: {e}")))?;
    let name = wire.reply_element.replace("{method}", method);
    let holder = outer
        .find(&name)
        .ok_or_else(|| WireFault::sent(format!("answer holds no {name}")))?;
    let parsed;
    // Some servers put the inner document in as elements instead of a string.
    let inner = match holder.children.first() {
        Some(child) => child,
        None => {
            parsed = xml::parse(&holder.text).map_err(|e| WireFault::sent(format!("inner document: {e}")))?;
            &parsed
        }
    };
    let code = inner
        .at(&wire.code)
        .map(|e| e.text.trim().to_owned())
        .unwrap_or_default();
    if code.is_empty() {
        return Err(WireFault::sent("answer holds no result code"));
    }
    let (parent, name) = wire.items.rsplit_once('/').unwrap_or(("", &wire.items));
    Ok(SoapReply {
        code,
        words: inner
            .at(&wire.words)
            .map(|e| e.text.trim().to_owned())
            .unwrap_or_default(),
        items: inner
            .at(parent)
            .map(|p| p.all(name).cloned().collect())
            .unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Profile, Wire};

    fn wire() -> SoapWire {
        let profile = Profile::parse(include_str!("../profiles/bench.toml")).unwrap();
        match &profile.endpoints["his"].wire {
            Wire::Soap(wire) => wire.clone(),
            Wire::Mllp(_) => panic!("SOAP expected"),
        }
    }

    fn answer(inner: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><s:Envelope xmlns:s=\"u\"><s:Body><getDeptsResponse xmlns=\"http://tempuri.org/\"><getDeptsResult>{inner}</getDeptsResult></getDeptsResponse></s:Body></s:Envelope>"
        )
    }

    const INNER: &str = "<response><resultCode>0</resultCode><resultMessage>成功</resultMessage><result><item><deptCode>K01</deptCode><deptName>心血管内科</deptName></item></result></response>";

    #[test]
    fn an_answer_is_read_however_it_is_wrapped() {
        let escaped = answer(&xml::escape(INNER));
        let gbk = Charset::Gbk.encode(&escaped.replace("utf-8", "GBK")).into_owned();
        let table = [
            ("escaped", escaped.clone().into_bytes()),
            ("CDATA", answer(&format!("<![CDATA[{INNER}]]>")).into_bytes()),
            ("as elements", answer(INNER).into_bytes()),
            (
                "with a declaration inside",
                answer(&xml::escape(&format!(
                    "<?xml version=\"1.0\" encoding=\"GBK\"?>{INNER}"
                )))
                .into_bytes(),
            ),
            ("GBK", gbk),
            (
                "declared UTF-8, written GBK",
                Charset::Gbk.encode(&escaped).into_owned(),
            ),
            (
                "declared GBK, written UTF-8",
                escaped.replace("utf-8", "GBK").into_bytes(),
            ),
            (
                "byte order mark",
                [b"\xEF\xBB\xBF".as_slice(), escaped.as_bytes()].concat(),
            ),
        ];
        for (name, bytes) in table {
            let reply = read(&wire(), "getDepts", 200, None, &bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(
                (reply.code.as_str(), reply.words.as_str(), reply.items.len()),
                ("0", "成功", 1),
                "{name}"
            );
            assert_eq!(reply.items[0].at("deptName").unwrap().text, "心血管内科", "{name}");
        }
    }

    #[test]
    fn an_unreadable_answer_is_never_taken_for_a_definite_one() {
        let escaped = answer(&xml::escape(INNER));
        let fault = "<s:Envelope xmlns:s=\"u\"><s:Body><s:Fault><faultcode>s:Server</faultcode><faultstring>boom</faultstring></s:Fault></s:Body></s:Envelope>";
        let table: [(&str, u16, Vec<u8>); 9] = [
            ("empty", 200, Vec::new()),
            ("an HTML page", 200, b"<html><body>maintenance</body></html>".to_vec()),
            ("an error status", 503, escaped.clone().into_bytes()),
            ("a fault", 500, fault.as_bytes().to_vec()),
            ("cut off", 200, escaped.as_bytes()[..escaped.len() - 60].to_vec()),
            ("cut off inside", 200, answer(&xml::escape(&INNER[..80])).into_bytes()),
            (
                "no result code",
                200,
                answer(&xml::escape("<response><result/></response>")).into_bytes(),
            ),
            (
                "another method's",
                200,
                escaped.replace("getDepts", "getDoctors").into_bytes(),
            ),
            (
                "an entity",
                200,
                format!("<!DOCTYPE a [<!ENTITY x \"y\">]>{escaped}").into_bytes(),
            ),
        ];
        for (name, status, bytes) in table {
            let fault = read(&wire(), "getDepts", status, None, &bytes)
                .err()
                .unwrap_or_else(|| panic!("{name}"));
            assert!(fault.sent, "{name}");
        }
    }

    #[test]
    fn a_request_with_hostile_words_stays_one_request() {
        let mut fields = Map::new();
        fields.insert(
            "cancelReason".into(),
            Value::from("]]></requestXml><x/>&lt; \u{0}\u{1f}\"'"),
        );
        let text = request(&wire(), "unlockNetReg", &fields);
        let outer = xml::parse(&text).unwrap();
        let argument = outer.find("requestXml").unwrap();
        assert!(argument.children.is_empty() && outer.find("x").is_none());
        let inner = xml::parse(&argument.text).unwrap();
        assert_eq!(
            inner.find("cancelReason").unwrap().text,
            "]]></requestXml><x/>&lt;   \"'"
        );
    }
}
