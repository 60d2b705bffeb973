//! What an answer means.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Answer;
use crate::hl7::{Ack, AckCode, Message};
use crate::profile::{Profile, Results, Shape, SoapBinding};
use crate::soap::WireFault;

/// What a result says.
pub(super) enum Judged {
    /// Done.
    Done,
    /// Done, nothing found.
    Empty,
    /// Anything else.
    Not(Answer),
}

pub(super) fn fault_answer(fault: &WireFault) -> Answer {
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

pub(super) fn empty(binding: &SoapBinding) -> Result<Value, Answer> {
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

pub(super) fn shaped(shape: Shape, items: Vec<Value>) -> Result<Value, Answer> {
    match shape {
        Shape::List => Ok(Value::Array(items)),
        Shape::Nothing => Ok(Value::Object(Map::new())),
        Shape::Optional => Ok(items.into_iter().next().unwrap_or(Value::Null)),
        Shape::One => items.into_iter().next().ok_or_else(|| Answer::Unclear {
            why: "answer holds no item".to_owned(),
        }),
    }
}

pub(super) fn judge(results: &Results, refusals: &BTreeMap<String, Vec<String>>, code: &str, words: &str) -> Judged {
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

pub(super) fn judge_ack(profile: &Profile, ack: &Ack, message: &Message) -> Judged {
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
