//! Dictionaries and catalogues (annex 59, 68–71).

use serde::{Deserialize, Serialize};

use crate::{Fen, FenPerKg};

/// A coded term.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Term {
    /// Code in the HIS.
    pub code: String,
    /// Name.
    pub name: String,
}

/// A frequency of taking (频次).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frequency {
    /// Code, e.g. `BID`.
    pub code: String,
    /// Name, e.g. 每日两次.
    pub name: String,
    /// Times in `per_days` days.
    pub times: u32,
    /// Days the times are counted over (1 for daily, 7 for weekly).
    pub per_days: u32,
}

/// A diagnosis that can be chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiagnosisTerm {
    /// ICD-10 code.
    pub code: String,
    /// Name.
    pub name: String,
    /// Initials of the pinyin, upper case.
    pub pinyin: String,
}

/// A western drug of the hospital's catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drug {
    /// Code in the HIS.
    pub code: String,
    /// Common name (通用名).
    pub name: String,
    /// Initials of the pinyin, upper case.
    pub pinyin: String,
    /// Specification as printed, e.g. `5mg*28片`.
    pub specification: String,
    /// Amount of active substance in one minimal unit, in `dose_unit`, as decimal text, e.g. `5`.
    pub dose_per_min_unit: String,
    /// Unit of a dose, e.g. `mg`.
    pub dose_unit: String,
    /// Minimal unit, e.g. 片.
    pub min_unit: String,
    /// Unit in which it is dispensed, e.g. 盒.
    pub pack_unit: String,
    /// Minimal units in one pack.
    pub pack_size: u32,
    /// Price of one pack.
    pub price_fen: Fen,
    /// Manufacturer.
    pub manufacturer: String,
    /// Usual route.
    #[serde(default)]
    pub default_route_code: Option<String>,
    /// Usual frequency.
    #[serde(default)]
    pub default_frequency_code: Option<String>,
    /// Largest single dose in `dose_unit`, as decimal text, when the catalogue knows it.
    #[serde(default)]
    pub max_single_dose: Option<String>,
    /// Control class.
    pub control: DrugControl,
    /// The hospital bars it online.
    pub barred_online: bool,
    /// Code in the national insurance catalogue.
    #[serde(default)]
    pub insurance_code: Option<String>,
}

/// Control class of a drug (麻醉、精神、毒性 …).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrugControl {
    /// None.
    None,
    /// 麻醉药品.
    Narcotic,
    /// 第一类精神药品.
    PsychotropicOne,
    /// 第二类精神药品.
    PsychotropicTwo,
    /// 医疗用毒性药品.
    Toxic,
    /// 抗菌药物 (allowed online, shown to the pharmacist).
    Antibiotic,
}

/// A herb of the hospital's catalogue (中药饮片).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Herb {
    /// Code in the HIS.
    pub code: String,
    /// Name.
    pub name: String,
    /// Initials of the pinyin, upper case.
    pub pinyin: String,
    /// Price, exact.
    pub price_fen_per_kg: FenPerKg,
    /// Largest usual dose in grams per dose, when known.
    #[serde(default)]
    pub max_dose_g: Option<u32>,
    /// Toxic (毒性饮片).
    pub toxic: bool,
}
