//! 评估量表: forms a patient fills in before a nurse comes. Which one, the service says; every change is a new version, and
//! what was filled in keeps the version it was filled in by.

mod answers;
mod routes;
mod store;

use base::ApiError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub(crate) use answers::{Answers, FilledView, fill, of_order};
pub(crate) use routes::routes;

records::id_type!(
    /// A form (评估量表).
    FormId,
    "frm"
);
::store::id_value!(FormId);

/// What a question is answered by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schema(as = QuestionKind)]
pub(crate) enum Kind {
    /// A number, e.g. a temperature.
    Number {
        /// Unit, e.g. `℃`; may be empty.
        unit: String,
        /// Smallest that makes sense.
        least: Option<f64>,
        /// Largest.
        most: Option<f64>,
    },
    /// One or several of some options.
    Choice {
        /// The options.
        options: Vec<String>,
        /// Whether several may be chosen.
        many: bool,
    },
    /// One of some options, each with a score; scores are added up.
    Scale {
        /// The options.
        options: Vec<Scored>,
    },
    /// Words.
    Text,
}

/// An option of a scale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ScaleOption)]
pub(crate) struct Scored {
    /// What it says.
    pub(crate) text: String,
    /// What it counts.
    pub(crate) score: i32,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = FormQuestion)]
pub(crate) struct Question {
    /// Short name within the form, e.g. `q1`; answers name it.
    pub(crate) id: String,
    /// What is asked.
    pub(crate) text: String,
    /// Whether it must be answered.
    pub(crate) required: bool,
    /// What it is answered by.
    pub(crate) answer: Kind,
}

/// What a total means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ScoreBand)]
pub(crate) struct Band {
    /// From this total on, until the next band.
    pub(crate) from: i32,
    /// In words, e.g. 高危.
    pub(crate) text: String,
}

/// What a form asks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = FormBody)]
pub(crate) struct Body {
    /// What the patient should know before; may be empty.
    #[serde(default)]
    pub(crate) intro: String,
    /// The questions.
    pub(crate) questions: Vec<Question>,
    /// What totals mean, rising.
    #[serde(default)]
    pub(crate) bands: Vec<Band>,
}

fn short(field: String, text: &str, most: usize) -> Result<(), ApiError> {
    let text = text.trim();
    let count = text.chars().count();
    if count == 0 || count > most || text.chars().any(|c| c.is_control() && c != '\n') {
        return Err(ApiError::field(field, format!("请填写1到{most}个字")));
    }
    Ok(())
}

impl Question {
    fn check(&self, at: usize) -> Result<(), ApiError> {
        let field = |of: &str| format!("questions.{at}.{of}");
        let named = (1..=20).contains(&self.id.len()) && self.id.bytes().all(|b| b.is_ascii_alphanumeric());
        if !named {
            return Err(ApiError::field(field("id"), "题目编号应为20位以内的字母或数字"));
        }
        short(field("text"), &self.text, 200)?;
        match &self.answer {
            Kind::Number { unit, least, most } => {
                if unit.chars().count() > 10 {
                    return Err(ApiError::field(field("unit"), "单位最多10个字"));
                }
                if let (Some(least), Some(most)) = (least, most)
                    && least > most
                {
                    return Err(ApiError::field(field("least"), "最小值不能大于最大值"));
                }
                Ok(())
            }
            Kind::Choice { options, .. } => {
                if !(2..=30).contains(&options.len()) {
                    return Err(ApiError::field(field("options"), "应有2到30个选项"));
                }
                options.iter().try_for_each(|o| short(field("options"), o, 60))
            }
            Kind::Scale { options } => {
                if !(2..=30).contains(&options.len()) {
                    return Err(ApiError::field(field("options"), "应有2到30个选项"));
                }
                if options.iter().any(|o| o.score.abs() > 1000) {
                    return Err(ApiError::field(field("options"), "分值应在-1000到1000之间"));
                }
                options.iter().try_for_each(|o| short(field("options"), &o.text, 60))
            }
            Kind::Text => Ok(()),
        }
    }
}

impl Body {
    /// Whether people can be asked this.
    pub(crate) fn check(&self) -> Result<(), ApiError> {
        if self.intro.chars().count() > 500 {
            return Err(ApiError::field("intro", "最多500个字"));
        }
        if !(1..=60).contains(&self.questions.len()) {
            return Err(ApiError::field("questions", "量表应有1到60道题"));
        }
        for (at, question) in self.questions.iter().enumerate() {
            question.check(at)?;
            if self.questions.iter().filter(|q| q.id == question.id).count() > 1 {
                return Err(ApiError::field(format!("questions.{at}.id"), "题目编号重复"));
            }
        }
        let scored = self.questions.iter().any(|q| matches!(q.answer, Kind::Scale { .. }));
        if !self.bands.is_empty() && !scored {
            return Err(ApiError::field("bands", "没有计分题，不能设置总分说明"));
        }
        if self.bands.len() > 20 {
            return Err(ApiError::field("bands", "最多20段"));
        }
        for band in &self.bands {
            short("bands".to_owned(), &band.text, 60)?;
        }
        let rising = self
            .bands
            .iter()
            .zip(self.bands.iter().skip(1))
            .all(|(a, b)| a.from < b.from);
        if !rising {
            return Err(ApiError::field("bands", "各段起始分应从小到大"));
        }
        Ok(())
    }

    /// What a total means.
    pub(crate) fn verdict(&self, total: i32) -> &str {
        let band = self.bands.iter().rev().find(|b| total >= b.from);
        band.map_or("", |b| b.text.as_str())
    }
}
