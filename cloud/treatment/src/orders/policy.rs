//! What may stand on an order: pure rules over the catalogue of the day.

use std::collections::{HashMap, HashSet};

use records::his::{Diagnosis, ExamItem, ExecutingDepartment, LabTest, Specimen};
use records::{Actor, Fen};

use super::{Kind, Line};

/// Lines of one order.
pub const MOST_LINES: usize = 20;
/// Letters of a remark.
pub const LONGEST_NOTE: usize = 100;
/// Letters of the purpose.
pub const LONGEST_PURPOSE: usize = 500;

/// A line as the doctor wishes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Code of the examination or test.
    pub code: String,
    /// Executing department, confirmed by the doctor.
    pub department_code: String,
    /// Specimen of a test.
    pub specimen_code: Option<String>,
    /// Remark.
    pub note: String,
}

/// The part of the dictionaries that one order needs.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// Examinations by code.
    pub exams: HashMap<String, ExamItem>,
    /// Tests by code.
    pub labs: HashMap<String, LabTest>,
    /// Specimens by code.
    pub specimens: HashMap<String, Specimen>,
}

/// Under which the order is written.
#[derive(Clone, Debug)]
pub struct Circumstances {
    /// Who writes.
    pub author: Actor,
    /// Diagnoses of the record.
    pub diagnoses: Vec<Diagnosis>,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not in the catalogue.
    #[error("目录中没有该项目或已停用")]
    Unknown,
    /// Stands twice.
    #[error("同一项目重复开立")]
    Twice,
    /// Not done in that department.
    #[error("请确认执行科室（{0}）")]
    Department(String),
    /// No specimen, or one nobody knows.
    #[error("请选择标本")]
    Specimen,
    /// Remark too long.
    #[error("备注不超过{LONGEST_NOTE}字")]
    Note,
}

/// What speaks against an order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Objection {
    /// Not written by a person.
    #[error("检查检验只能由医师本人开立，系统不得代开")]
    NotByAPerson,
    /// No diagnosis in the record.
    #[error("请先在病历中写明诊断")]
    NoDiagnosis,
    /// Nothing on it.
    #[error("请选择项目")]
    NoLines,
    /// Too much on it.
    #[error("每张申请单不超过{MOST_LINES}项")]
    TooManyLines,
    /// Purpose too long.
    #[error("检查目的不超过{LONGEST_PURPOSE}字")]
    Purpose,
    /// About a line.
    #[error("第{}项 {name}：{fault}", line + 1)]
    Line {
        /// Which, from 0.
        line: usize,
        /// Name, or its code.
        name: String,
        /// What.
        fault: Fault,
    },
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Lines.
    pub lines: Vec<Line>,
    /// Their sum.
    pub total_fen: Fen,
}

/// Writes an order against the catalogue.
///
/// # Errors
/// Everything that speaks against it.
pub fn write(
    kind: Kind,
    wishes: &[Wish],
    purpose: &str,
    catalogue: &Catalogue,
    c: &Circumstances,
) -> Result<Written, Vec<Objection>> {
    let mut objections = Vec::new();
    if !matches!(c.author, Actor::Staff(_)) {
        objections.push(Objection::NotByAPerson);
    }
    if c.diagnoses.is_empty() {
        objections.push(Objection::NoDiagnosis);
    }
    if wishes.is_empty() {
        objections.push(Objection::NoLines);
    }
    if wishes.len() > MOST_LINES {
        objections.push(Objection::TooManyLines);
    }
    if purpose.chars().count() > LONGEST_PURPOSE {
        objections.push(Objection::Purpose);
    }
    let mut seen = HashSet::new();
    let mut lines = Vec::with_capacity(wishes.len());
    for (line, wish) in wishes.iter().enumerate() {
        let made = if seen.insert(wish.code.as_str()) {
            written(kind, wish, catalogue)
        } else {
            Err(Fault::Twice)
        };
        match made {
            Ok(made) => lines.push(made),
            Err(fault) => objections.push(Objection::Line {
                line,
                name: name_of(kind, &wish.code, catalogue),
                fault,
            }),
        }
    }
    if !objections.is_empty() {
        return Err(objections);
    }
    let total_fen = Fen(lines.iter().map(|l| l.price_fen.0).sum());
    Ok(Written { lines, total_fen })
}

fn name_of(kind: Kind, code: &str, catalogue: &Catalogue) -> String {
    let name = match kind {
        Kind::Exam => catalogue.exams.get(code).map(|e| &e.name),
        Kind::Lab => catalogue.labs.get(code).map(|l| &l.name),
    };
    name.map_or_else(|| code.to_owned(), Clone::clone)
}

fn written(kind: Kind, wish: &Wish, catalogue: &Catalogue) -> Result<Line, Fault> {
    if wish.note.chars().count() > LONGEST_NOTE {
        return Err(Fault::Note);
    }
    match kind {
        Kind::Exam => {
            let item = catalogue.exams.get(&wish.code).ok_or(Fault::Unknown)?;
            let department = department(&item.departments, &wish.department_code)?;
            let parts = [item.part.trim(), item.method.trim()];
            Ok(Line {
                detail: parts
                    .into_iter()
                    .filter(|p| !p.is_empty())
                    .collect::<Vec<_>>()
                    .join(" · "),
                specimen_code: None,
                specimen: String::new(),
                ..line(wish, &item.name, department, &item.preparation, item.price_fen)
            })
        }
        Kind::Lab => {
            let item = catalogue.labs.get(&wish.code).ok_or(Fault::Unknown)?;
            let department = department(&item.departments, &wish.department_code)?;
            let specimen = wish.specimen_code.as_ref().and_then(|s| catalogue.specimens.get(s));
            let specimen = specimen.ok_or(Fault::Specimen)?;
            Ok(Line {
                detail: String::new(),
                specimen_code: Some(specimen.code.clone()),
                specimen: specimen.name.clone(),
                ..line(wish, &item.name, department, &item.preparation, item.price_fen)
            })
        }
    }
}

fn department<'a>(those: &'a [ExecutingDepartment], wanted: &str) -> Result<&'a ExecutingDepartment, Fault> {
    let found = those.iter().find(|d| d.code == wanted);
    found.ok_or_else(|| Fault::Department(those.iter().map(|d| d.name.as_str()).collect::<Vec<_>>().join("、")))
}

fn line(wish: &Wish, name: &str, department: &ExecutingDepartment, preparation: &str, price: Fen) -> Line {
    Line {
        code: wish.code.clone(),
        name: name.to_owned(),
        detail: String::new(),
        specimen_code: None,
        specimen: String::new(),
        department_code: department.code.clone(),
        department_name: department.name.clone(),
        location: department.location.clone(),
        preparation: preparation.to_owned(),
        price_fen: price,
        note: wish.note.trim().to_owned(),
    }
}
