//! The two text forms: JSON and urlencoded.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use records::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Asked;
use super::act::Answer;
use super::fields::{Fields, Operation, Raw};
use crate::fault::{Code, Fault};

/// More fields are not read.
const MAX_FIELDS: usize = 64;

#[derive(Deserialize)]
struct Envelope {
    version: Option<String>,
    #[serde(rename = "reqType")]
    kind: Option<String>,
    request: Map<String, Value>,
    #[serde(rename = "reqTimeStampToken")]
    stamp: Option<Value>,
}

/// Reads the JSON form; the request's type may be in the address alone.
pub(super) fn read_json(named: Option<Operation>, body: &[u8]) -> Result<Asked, Fault> {
    let envelope: Envelope =
        serde_json::from_slice(body).map_err(|error| Fault::new(Code::DataFormat, error.to_string()))?;
    if envelope.version.is_some_and(|version| version != "v1") {
        return Err(Fault::new(Code::RequestRejected, "只支持版本 v1"));
    }
    let operation = operation(named, envelope.kind.as_deref())?;
    let mut fields = Fields::default();
    if envelope.request.len() > MAX_FIELDS {
        return Err(Code::DataFormat.into());
    }
    for (name, value) in envelope.request {
        let text = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            Value::Null => continue,
            Value::Array(_) | Value::Object(_) => {
                return Err(Fault::new(Code::DataFormat, "request 的各项应为字符串"));
            }
        };
        fields.put(&name, Raw::Text(text));
    }
    unstamped(envelope.stamp.is_some())?;
    Ok(Asked {
        operation,
        fields,
        stamp: None,
    })
}

/// Reads the urlencoded form.
pub(super) fn read_form(named: Option<Operation>, body: &[u8]) -> Result<Asked, Fault> {
    let mut fields = Fields::default();
    let mut kind = None;
    for (count, (name, value)) in form_urlencoded::parse(body).enumerate() {
        if count == MAX_FIELDS {
            return Err(Code::DataFormat.into());
        }
        match &*name {
            "reqType" => kind = Some(value.into_owned()),
            "reqTimeStampToken" => unstamped(true)?,
            _ => {
                // `+` of a Base64 that nobody escaped has become a blank.
                let value = value.replace(' ', "+");
                if !fields.put(&name, Raw::Text(value)) {
                    return Err(Fault::new(Code::DataFormat, "同一项出现两次"));
                }
            }
        }
    }
    Ok(Asked {
        operation: operation(named, kind.as_deref())?,
        fields,
        stamp: None,
    })
}

fn operation(named: Option<Operation>, kind: Option<&str>) -> Result<Operation, Fault> {
    match kind {
        Some(kind) => Operation::named(kind).ok_or_else(|| Fault::new(Code::RequestRejected, "未知的请求类型")),
        None => named.ok_or_else(|| Fault::new(Code::RequestRejected, "缺少请求类型")),
    }
}

/// What a time stamp is over is defined for ASN.1 only; one that cannot be verified is not passed over.
fn unstamped(stamped: bool) -> Result<(), Fault> {
    if stamped {
        return Err(Fault::new(Code::StampInvalid, "请求时间戳只在 ASN.1 形式中支持"));
    }
    Ok(())
}

/// `YYYYMMDDHHMMSSZ`.
pub(super) fn moment(at: Timestamp) -> String {
    let at = at.offset();
    format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}Z",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

/// The fields of an answer.
fn fields(answer: &Result<Answer, Fault>) -> Vec<(&'static str, String)> {
    let number = answer.as_ref().err().map_or(0, |fault| fault.code.number());
    let mut fields = vec![("respValue", number.to_string())];
    match answer {
        Ok(Answer::Nothing) | Err(_) => {}
        Ok(Answer::Cert(der)) => fields.push(("cert", STANDARD.encode(der))),
        Ok(Answer::Bytes(name, bytes)) => fields.push((name, STANDARD.encode(bytes))),
        Ok(Answer::State(state)) => fields.push(("state", state.to_string())),
        Ok(Answer::Session(id)) => fields.push(("sessionID", id.clone())),
    }
    if let Err(fault) = answer {
        // Beyond the standard: plain words for who reads the answer.
        fields.push(("respText", fault.to_string()));
    }
    fields
}

pub(super) fn write_json(operation: Option<Operation>, answer: &Result<Answer, Fault>, now: Timestamp) -> String {
    let respond = fields(answer)
        .into_iter()
        .map(|(name, text)| (name.to_owned(), text.into()));
    let respond: Map<String, Value> = respond.collect();
    serde_json::json!({
        "version": "v1",
        "respType": operation.map(Operation::name),
        "respond": respond,
        "respTime": moment(now),
    })
    .to_string()
}

pub(super) fn write_form(answer: &Result<Answer, Fault>) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields(answer));
    form.finish()
}
