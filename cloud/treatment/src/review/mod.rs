//! Pharmacist's review (审方): the queue, hints from the rules, and the signed opinion.
//!
//! 处方管理办法 art. 35–36: form and suitability of every prescription are reviewed before dispensing. The rules only
//! point; the pharmacist decides and signs.

mod groups;
pub mod policy;
mod routes;

#[cfg(test)]
mod tests;

use records::his::{Diagnosis, Drug};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub(crate) use routes::routes;

/// The nine classes of problems a review looks for (nothing else is a reason for rejection).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProblemClass {
    /// 药物相互作用.
    Interaction,
    /// 药物过敏.
    Allergy,
    /// 注射液体外配伍.
    InjectionCompatibility,
    /// 剂量范围.
    Dose,
    /// 药物禁忌.
    Contraindication,
    /// 不良反应.
    AdverseReaction,
    /// 重复用药.
    Duplicate,
    /// 给药途径.
    Route,
    /// 特殊人群用药.
    SpecialPopulation,
}

impl ProblemClass {
    /// Every class.
    pub const ALL: [Self; 9] = [
        Self::Interaction,
        Self::Allergy,
        Self::InjectionCompatibility,
        Self::Dose,
        Self::Contraindication,
        Self::AdverseReaction,
        Self::Duplicate,
        Self::Route,
        Self::SpecialPopulation,
    ];

    /// The word in rows and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Interaction => "interaction",
            Self::Allergy => "allergy",
            Self::InjectionCompatibility => "injection_compatibility",
            Self::Dose => "dose",
            Self::Contraindication => "contraindication",
            Self::AdverseReaction => "adverse_reaction",
            Self::Duplicate => "duplicate",
            Self::Route => "route",
            Self::SpecialPopulation => "special_population",
        }
    }

    /// From its word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.as_str() == word)
    }

    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Interaction => "药物相互作用",
            Self::Allergy => "药物过敏",
            Self::InjectionCompatibility => "注射液体外配伍",
            Self::Dose => "剂量范围",
            Self::Contraindication => "药物禁忌",
            Self::AdverseReaction => "不良反应",
            Self::Duplicate => "重复用药",
            Self::Route => "给药途径",
            Self::SpecialPopulation => "特殊人群用药",
        }
    }
}

/// How loud a hint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Look twice.
    Caution,
    /// Usually a reason to reject.
    Serious,
}

/// What a rule noticed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Hint {
    /// Class of the problem; an antibiotic is only announced, as `antibiotic`.
    pub rule: String,
    /// How loud.
    pub severity: Severity,
    /// In plain words.
    pub text: String,
    /// Positions of the lines concerned, from 0.
    pub items: Vec<usize>,
}

/// A line as the rules see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseLine {
    /// Name.
    pub name: String,
    /// Specification.
    pub specification: String,
    /// Single dose, decimal text.
    pub dose: String,
    /// Its unit.
    pub dose_unit: String,
    /// Route in words.
    pub route: String,
    /// The catalogue's entry, when it still has one.
    pub drug: Option<Drug>,
    /// Herbs: the usual most in grams.
    pub max_dose_g: Option<u32>,
}

/// What is reviewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Lines.
    pub lines: Vec<CaseLine>,
    /// Names on the patient's other effective prescriptions of the last days.
    pub also_taking: Vec<String>,
    /// `M` or `F`.
    pub sex: String,
    /// Whole years.
    pub age_years: i64,
    /// Diagnoses.
    pub diagnoses: Vec<Diagnosis>,
    /// Allergies as told by patient and record.
    pub allergies: String,
    /// What the patient told otherwise (complaint, history), for pregnancy and nursing.
    pub statement: String,
}

/// A rule engine for rational use of drugs (合理用药). The hospital's own may stand in for the built-in one.
pub trait RulePort: Send + Sync {
    /// What is worth the pharmacist's eye; empty when nothing is.
    fn hints(&self, case: &Case) -> Vec<Hint>;
}
