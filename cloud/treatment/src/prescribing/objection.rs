//! What speaks against a prescription, and against a line of one, in words for the doctor.

use super::policy::{MOST_DAYS, MOST_WESTERN_LINES, USUAL_DAYS};

/// Why a prescription, or one line of it, may not be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Objection {
    /// Written by something that is not a person.
    #[error("处方只能由医师本人开具，系统不得代开")]
    NotByAPerson,
    /// No earlier visit.
    #[error("首诊患者不能在线开方，请患者到医院就诊")]
    FirstVisit,
    /// A child without guardian.
    #[error("患儿未满6周岁，须登记监护人后才能开方")]
    ChildWithoutGuardian,
    /// The record has no diagnosis.
    #[error("请先在病历中填写诊断，再开处方")]
    NoDiagnosis,
    /// Nothing on it.
    #[error("处方没有药品")]
    Empty,
    /// Too many lines.
    #[error("一张西药处方最多 {MOST_WESTERN_LINES} 种药品")]
    TooManyLines,
    /// Herbal prescription without number of doses.
    #[error("请填写中药剂数（1–30剂）")]
    NoDoses,
    /// The hospital does not decoct.
    #[error("本院未开通代煎，请改为自煎")]
    NoDecoction,
    /// The sum does not fit.
    #[error("处方金额过大")]
    TotalTooLarge,
    /// About one line.
    #[error("第{}项 {name}：{fault}", line + 1)]
    Line {
        /// Position, from 0.
        line: usize,
        /// Its name, or code when unknown.
        name: String,
        /// What is wrong.
        fault: Fault,
    },
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not in the catalogue.
    #[error("目录中没有这种药品")]
    Unknown,
    /// Narcotic.
    #[error("麻醉药品不能在线开具")]
    Narcotic,
    /// Psychotropic, class one.
    #[error("第一类精神药品不能在线开具")]
    PsychotropicOne,
    /// Psychotropic, class two.
    #[error("第二类精神药品不能在线开具")]
    PsychotropicTwo,
    /// Toxic.
    #[error("医疗用毒性药品不能在线开具")]
    Toxic,
    /// Barred by the hospital.
    #[error("本院规定该药品不能在线开具")]
    Barred,
    /// Twice on the same prescription.
    #[error("同一药品重复开具")]
    Twice,
    /// Dose.
    #[error("单次剂量无效")]
    Dose,
    /// Unit of the dose.
    #[error("剂量单位应为{0}")]
    DoseUnit(String),
    /// Route.
    #[error("用药途径不在目录中")]
    Route,
    /// Frequency.
    #[error("用药频次不在目录中")]
    Frequency,
    /// Days.
    #[error("用药天数应为1–{MOST_DAYS}天")]
    Days,
    /// More than seven days without chronic disease or reason.
    #[error("超过{USUAL_DAYS}日用量，请在备注中写明理由")]
    DaysWithoutReason,
    /// Unit of the quantity.
    #[error("发药单位应为{0}")]
    QuantityUnit(String),
    /// Too little for the course.
    #[error("数量不足：{days}天需要{needed}{unit}，只开了{given}{unit}")]
    TooLittle {
        /// Days.
        days: u32,
        /// Packs needed.
        needed: u64,
        /// Packs written.
        given: u32,
        /// Unit.
        unit: String,
    },
    /// More than the course needs.
    #[error("数量超出：{days}天只需{needed}{unit}，开了{given}{unit}")]
    TooMuch {
        /// Days.
        days: u32,
        /// Packs needed.
        needed: u64,
        /// Packs written.
        given: u32,
        /// Unit.
        unit: String,
    },
    /// The catalogue's figures make no sense.
    #[error("目录中的规格数据有误，无法计算数量，请联系药剂科")]
    Catalogue,
    /// Grams of a herb.
    #[error("每剂克数无效")]
    Grams,
}
