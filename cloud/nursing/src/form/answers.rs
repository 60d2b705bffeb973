//! What patients fill in: checked against the version it was filled in by, added up, sealed.

use std::collections::BTreeMap;

use base::{ApiError, Ctx};
use records::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::Tx;
use utoipa::ToSchema;

use super::store::{self as sql, Version};
use super::{Body, FormId, Kind, Question};

/// What answers are sealed for.
const PURPOSE: &str = "nursing.answers";

/// A form as it was filled in. An answer is a number, the places of chosen options from 0 (one for a scale), or words.
#[derive(Clone, Deserialize, ToSchema)]
#[schema(as = FormAnswers)]
pub(crate) struct Answers {
    /// Id of the form.
    pub(crate) form: String,
    /// Its version.
    pub(crate) version: u32,
    /// By question.
    #[schema(value_type = BTreeMap<String, Object>)]
    pub(crate) answers: BTreeMap<String, Value>,
}

/// A form with what was filled in.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = FilledForm)]
pub(crate) struct FilledView {
    /// Id of the form.
    pub(crate) form: String,
    /// Its version.
    pub(crate) version: u32,
    /// Its name.
    pub(crate) name: String,
    /// What it asks.
    pub(crate) body: Body,
    /// By question; empty until filled in.
    #[schema(value_type = BTreeMap<String, Object>)]
    pub(crate) answers: BTreeMap<String, Value>,
    /// Scores added up.
    pub(crate) score: Option<i32>,
    /// What that means.
    pub(crate) verdict: String,
    /// When it was filled in; absent: not yet.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) filled_at: Option<Timestamp>,
}

/// Whether this answers the question; what it scores.
fn judged(question: &Question, answer: &Value) -> Result<Option<i32>, &'static str> {
    let place = |value: &Value, of: usize| value.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n < of);
    match &question.answer {
        Kind::Number { least, most, .. } => {
            let number = answer.as_f64().ok_or("请填写数字")?;
            let fits = least.is_none_or(|l| number >= l) && most.is_none_or(|m| number <= m);
            if fits { Ok(None) } else { Err("数值超出范围") }
        }
        Kind::Choice { options, many } => {
            let chosen = answer.as_array().ok_or("请选择")?;
            let known = chosen.iter().all(|c| place(c, options.len()).is_some());
            let one = *many || chosen.len() == 1;
            if !chosen.is_empty() && known && one {
                Ok(None)
            } else {
                Err("请选择")
            }
        }
        Kind::Scale { options } => {
            let chosen = place(answer, options.len()).and_then(|at| options.get(at));
            chosen.map(|o| Some(o.score)).ok_or("请选择")
        }
        Kind::Text => {
            let text = answer.as_str().ok_or("请填写文字")?;
            if text.chars().count() > 1000 {
                return Err("最多1000个字");
            }
            Ok(None)
        }
    }
}

fn is_blank(answer: &Value) -> bool {
    match answer {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(chosen) => chosen.is_empty(),
        _ => false,
    }
}

/// The answers that were given, and their total.
fn added_up(body: &Body, given: &BTreeMap<String, Value>) -> Result<(BTreeMap<String, Value>, Option<i32>), ApiError> {
    let mut kept = BTreeMap::new();
    let mut total: Option<i32> = None;
    for question in &body.questions {
        let field = || format!("answers.{}", question.id);
        let Some(answer) = given.get(&question.id).filter(|a| !is_blank(a)) else {
            if question.required {
                return Err(ApiError::field(field(), "请回答这道题"));
            }
            continue;
        };
        let score = judged(question, answer).map_err(|why| ApiError::field(field(), why))?;
        if let Some(score) = score {
            total = Some(total.unwrap_or(0).saturating_add(score));
        }
        kept.insert(question.id.clone(), answer.clone());
    }
    Ok((kept, total))
}

/// The form of an order: as it was filled in, else the newest for its service; none when the service needs none.
pub(crate) async fn of_order(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    service: &str,
    order: &str,
) -> Result<Option<FilledView>, ApiError> {
    let tenant = tx.tenant().clone();
    let Some(filled) = sql::last_answer(tx, order).await? else {
        let newest = sql::for_service(tx, service).await?;
        return Ok(newest.map(|form| view(form, BTreeMap::new())));
    };
    let Some(form) = sql::version(tx, &filled.form_id, filled.form_version).await? else {
        return Err(ApiError::internal("the form of an answer is gone"));
    };
    let body = ctx.vault.open(&tenant, PURPOSE, &filled.body_sealed)?;
    let answers = serde_json::from_slice(&body).map_err(ApiError::internal)?;
    Ok(Some(FilledView {
        score: filled.score,
        verdict: filled.verdict,
        filled_at: Some(filled.filled_at),
        ..view(form, answers)
    }))
}

fn view(form: Version, answers: BTreeMap<String, Value>) -> FilledView {
    FilledView {
        form: form.id.into_string(),
        version: form.version,
        name: form.name,
        body: serde_json::from_value(form.body).unwrap_or_default(),
        answers,
        score: None,
        verdict: String::new(),
        filled_at: None,
    }
}

/// Keeps what was filled in as one more revision; answers the form's version.
pub(crate) async fn fill(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    service: &str,
    order: &str,
    given: &Answers,
) -> Result<u32, ApiError> {
    let tenant = tx.tenant().clone();
    let id = FormId::parse(&given.form).ok_or_else(ApiError::not_found)?;
    let newest = sql::for_service(tx, service).await?.map(|f| (f.id, f.version));
    let before = sql::last_answer(tx, order).await?.map(|a| (a.form_id, a.form_version));
    let wanted = Some((id.clone(), given.version));
    if wanted != newest && wanted != before {
        return Err(ApiError::conflict("form_changed", "量表已更新，请刷新后重新填写"));
    }
    let form = sql::version(tx, &id, given.version)
        .await?
        .ok_or_else(ApiError::not_found)?;
    let body: Body = serde_json::from_value(form.body).map_err(ApiError::internal)?;
    let (answers, score) = added_up(&body, &given.answers)?;
    let verdict = score.map(|s| body.verdict(s)).unwrap_or_default();
    let text = serde_json::to_vec(&answers).map_err(ApiError::internal)?;
    let sealed = ctx.vault.seal(&tenant, PURPOSE, &text)?;
    sql::answer(tx, order, (&id, given.version), &sealed, score, verdict).await?;
    Ok(given.version)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::form::{Band, Scored};

    fn question(id: &str, required: bool, answer: Kind) -> Question {
        Question {
            id: id.to_owned(),
            text: id.to_owned(),
            required,
            answer,
        }
    }

    fn body() -> Body {
        let scored = |text: &str, score| Scored {
            text: text.to_owned(),
            score,
        };
        Body {
            intro: String::new(),
            questions: vec![
                question(
                    "t",
                    true,
                    Kind::Number {
                        unit: "℃".to_owned(),
                        least: Some(34.0),
                        most: Some(43.0),
                    },
                ),
                question(
                    "c",
                    false,
                    Kind::Choice {
                        options: vec!["甲".to_owned(), "乙".to_owned()],
                        many: true,
                    },
                ),
                question(
                    "s",
                    true,
                    Kind::Scale {
                        options: vec![scored("重", 1), scored("轻", 4)],
                    },
                ),
                question(
                    "u",
                    true,
                    Kind::Scale {
                        options: vec![scored("重", 1), scored("轻", 3)],
                    },
                ),
                question("w", false, Kind::Text),
            ],
            bands: vec![
                Band {
                    from: 0,
                    text: "高危".to_owned(),
                },
                Band {
                    from: 5,
                    text: "低危".to_owned(),
                },
            ],
        }
    }

    #[test]
    fn answers_are_judged_by_their_question_and_scales_are_added_up() {
        let body = body();
        body.check().expect("a sound form");
        let given = |value: Value| serde_json::from_value::<BTreeMap<String, Value>>(value).expect("answers");
        let (kept, total) = added_up(
            &body,
            &given(json!({ "t": 36.5, "c": [0, 1], "s": 1, "u": 0, "w": " ", "x": 1 })),
        )
        .expect("sound");
        assert_eq!((kept.len(), total), (4, Some(5)));
        assert_eq!(
            (body.verdict(5), body.verdict(4), body.verdict(-1)),
            ("低危", "高危", "")
        );
        for wrong in [
            json!({ "s": 1, "u": 0 }),
            json!({ "t": 50, "s": 1, "u": 0 }),
            json!({ "t": "36", "s": 1, "u": 0 }),
            json!({ "t": 36, "s": 2, "u": 0 }),
            json!({ "t": 36, "s": [1], "u": 0 }),
            json!({ "t": 36, "s": 1, "u": 0, "c": [2] }),
            json!({ "t": 36, "s": 1, "u": 0, "w": 5 }),
        ] {
            assert!(added_up(&body, &given(wrong.clone())).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_form_nobody_could_answer_is_refused() {
        let good = body();
        let with = |change: &dyn Fn(&mut Body)| {
            let mut body = good.clone();
            change(&mut body);
            body.check()
        };
        assert!(with(&|b| b.questions.clear()).is_err());
        assert!(with(&|b| b.bands.reverse()).is_err());
        assert!(with(&|b| b.questions.iter_mut().for_each(|q| q.id = "same".to_owned())).is_err());
        assert!(
            with(&|b| b.questions.retain(|q| matches!(q.answer, Kind::Text))).is_err(),
            "bands without a scale"
        );
        assert!(
            with(&|b| b.questions[1].answer = Kind::Choice {
                options: vec!["一".to_owned()],
                many: false
            })
            .is_err()
        );
        assert!(
            with(&|b| b.questions[0].answer = Kind::Number {
                unit: String::new(),
                least: Some(2.0),
                most: Some(1.0)
            })
            .is_err()
        );
        assert!(with(&|b| b.questions[0].text = String::new()).is_err());
    }
}
