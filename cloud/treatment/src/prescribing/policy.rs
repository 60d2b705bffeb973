//! What may be prescribed online, to whom, and how much. Each refusal names its rule and its line.
//!
//! 处方管理办法 (卫生部令第53号) art. 6 (five drugs), 18–19 (validity, days); 互联网诊疗管理办法(试行) art. 16–17 (no first
//! visits), art. 20 with 细则 art. 20–22 (no narcotic or psychotropic drugs, children under six only with guardian);
//! 长期处方管理规范 (国卫办医发〔2021〕17号) art. 11 (up to twelve weeks for chronic disease).

use std::collections::HashMap;

use records::his::{Diagnosis, Drug, DrugControl, Frequency, Herb, Term};
use records::{Actor, Fen, LocalDate};

use super::arithmetic::{Decimal, herbal_amount, packs_needed, western_amount};
use super::objection::{Fault, Objection};
use super::{Herbal, HerbalWish, Kind, Line, UnitPrice};

/// 处方管理办法 art. 6: at most five drugs on one prescription.
pub const MOST_WESTERN_LINES: usize = 5;
/// 处方管理办法 art. 19: a longer supply needs its reason.
pub const USUAL_DAYS: u32 = 7;
/// 长期处方管理规范 art. 11: twelve weeks.
pub const MOST_DAYS: u32 = 84;
/// 细则 art. 22: below this age only with a guardian.
pub const CHILD_YEARS: i64 = 6;
/// 处方管理办法 art. 18: the day of writing, at most three days.
pub const VALID_DAYS: i64 = 3;

/// The hospital's catalogue of one day, as the HIS lists it.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// Western drugs by code.
    pub drugs: HashMap<String, Drug>,
    /// Herbs by code.
    pub herbs: HashMap<String, Herb>,
    /// Routes by code.
    pub routes: HashMap<String, Term>,
    /// Frequencies by code.
    pub frequencies: HashMap<String, Frequency>,
    /// What the hospital takes for decocting one dose; `None` when it does not decoct.
    pub decoction_fee: Option<Fen>,
}

/// For whom, by whom and on what ground.
#[derive(Clone, Debug)]
pub struct Circumstances {
    /// Who writes.
    pub author: Actor,
    /// The HIS showed an earlier visit: not a first visit.
    pub follow_up: bool,
    /// Day of birth.
    pub birth_date: LocalDate,
    /// A guardian is on record.
    pub has_guardian: bool,
    /// Diagnoses of the record.
    pub diagnoses: Vec<Diagnosis>,
    /// Today.
    pub today: LocalDate,
}

/// One line as the doctor wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Drug or herb code.
    pub drug_code: String,
    /// Single dose, decimal text.
    pub dose: String,
    /// Its unit.
    pub dose_unit: String,
    /// Route.
    pub route_code: String,
    /// Frequency.
    pub frequency_code: String,
    /// Days.
    pub days: u32,
    /// Packs.
    pub quantity: u32,
    /// Unit of the packs.
    pub quantity_unit: String,
    /// Herbs: grams per dose.
    pub dose_g: u32,
    /// Remark.
    pub note: String,
}

/// What was written, priced from the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Lines.
    pub lines: Vec<Line>,
    /// Herbal part.
    pub herbal: Option<Herbal>,
    /// Sum of the lines and of the fee of decoction.
    pub total_fen: Fen,
}

/// May a prescription be written at all here?
///
/// # Errors
/// Every objection, so that the doctor sees all at once.
pub fn may_prescribe(c: &Circumstances) -> Result<(), Vec<Objection>> {
    let mut objections = Vec::new();
    if !matches!(c.author, Actor::Staff(_)) {
        objections.push(Objection::NotByAPerson);
    }
    if !c.follow_up {
        objections.push(Objection::FirstVisit);
    }
    if years(c.birth_date, c.today) < CHILD_YEARS && !c.has_guardian {
        objections.push(Objection::ChildWithoutGuardian);
    }
    if c.diagnoses.is_empty() {
        objections.push(Objection::NoDiagnosis);
    }
    if objections.is_empty() { Ok(()) } else { Err(objections) }
}

/// Whole years of age.
pub fn years(birth: LocalDate, today: LocalDate) -> i64 {
    let (b, t) = (birth.date(), today.date());
    let full = i64::from(t.year()) - i64::from(b.year());
    let before_birthday = (u8::from(t.month()), t.day()) < (u8::from(b.month()), b.day());
    full - i64::from(before_birthday)
}

/// Writes lines against the catalogue.
///
/// # Errors
/// Every objection of prescription and lines.
pub fn write(
    kind: Kind,
    wishes: &[Wish],
    herbal: Option<&HerbalWish>,
    catalogue: &Catalogue,
    c: &Circumstances,
) -> Result<Written, Vec<Objection>> {
    may_prescribe(c)?;
    let mut objections = Vec::new();
    if wishes.is_empty() {
        objections.push(Objection::Empty);
    }
    if kind == Kind::Western && wishes.len() > MOST_WESTERN_LINES {
        objections.push(Objection::TooManyLines);
    }
    let doses = herbal.map_or(0, |h| h.doses);
    if kind == Kind::Herbal && !(1..=30).contains(&doses) {
        objections.push(Objection::NoDoses);
    }
    let brewed = herbal.is_some_and(|h| kind == Kind::Herbal && h.decoction);
    if brewed && catalogue.decoction_fee.is_none() {
        objections.push(Objection::NoDecoction);
    }
    let chronic = c.diagnoses.iter().any(|d| is_chronic(&d.code));
    let mut lines = Vec::new();
    for (position, wish) in wishes.iter().enumerate() {
        let twice = wishes.iter().take(position).any(|w| w.drug_code == wish.drug_code);
        let written = match kind {
            _ if twice => Err((name_of(catalogue, &wish.drug_code), vec![Fault::Twice])),
            Kind::Western => western(wish, catalogue, chronic),
            Kind::Herbal => herb(wish, catalogue, doses),
        };
        match written {
            Ok(line) => lines.push(line),
            Err((name, faults)) => objections.extend(faults.into_iter().map(|fault| Objection::Line {
                line: position,
                name: name.clone(),
                fault,
            })),
        }
    }
    // The fee is taken per dose, as the HIS bills it.
    let fee = catalogue.decoction_fee.filter(|_| brewed);
    let fee = fee.map(|f| f.checked_times(i64::from(doses)));
    let total = lines
        .iter()
        .map(|l| Some(l.amount_fen))
        .chain(fee)
        .try_fold(Fen(0), |sum, amount| sum.checked_add(amount?));
    match total {
        Some(total_fen) if objections.is_empty() => Ok(Written {
            lines,
            herbal: herbal.filter(|_| kind == Kind::Herbal).map(|h| Herbal {
                doses: h.doses,
                decoction: h.decoction,
                usage: h.usage.clone(),
                decoction_fee_fen: fee.flatten(),
            }),
            total_fen,
        }),
        Some(_) => Err(objections),
        None => {
            objections.push(Objection::TotalTooLarge);
            Err(objections)
        }
    }
}

fn name_of(catalogue: &Catalogue, code: &str) -> String {
    let drug = catalogue.drugs.get(code).map(|d| d.name.clone());
    drug.or_else(|| catalogue.herbs.get(code).map(|h| h.name.clone()))
        .unwrap_or_else(|| code.chars().take(40).collect())
}

type Faults = (String, Vec<Fault>);

fn western(wish: &Wish, catalogue: &Catalogue, chronic: bool) -> Result<Line, Faults> {
    let Some(drug) = catalogue.drugs.get(&wish.drug_code) else {
        return Err((name_of(catalogue, &wish.drug_code), vec![Fault::Unknown]));
    };
    // A barred drug is refused for what it is; its figures do not matter any more.
    if let Some(fault) = barred(drug) {
        return Err((drug.name.clone(), vec![fault]));
    }
    let mut faults = Vec::new();
    let dose = wish.dose.parse::<Decimal>().ok().filter(|d| d.is_positive());
    if dose.is_none() {
        faults.push(Fault::Dose);
    }
    if wish.dose_unit != drug.dose_unit {
        faults.push(Fault::DoseUnit(drug.dose_unit.clone()));
    }
    let route = catalogue.routes.get(&wish.route_code);
    if route.is_none() {
        faults.push(Fault::Route);
    }
    let frequency = catalogue.frequencies.get(&wish.frequency_code);
    if frequency.is_none() {
        faults.push(Fault::Frequency);
    }
    if !(1..=MOST_DAYS).contains(&wish.days) {
        faults.push(Fault::Days);
    } else if wish.days > USUAL_DAYS && !chronic && wish.note.trim().is_empty() {
        faults.push(Fault::DaysWithoutReason);
    }
    if wish.quantity_unit != drug.pack_unit {
        faults.push(Fault::QuantityUnit(drug.pack_unit.clone()));
    }
    let (Some(dose), Some(route), Some(frequency), true) = (dose, route, frequency, faults.is_empty()) else {
        return Err((drug.name.clone(), faults));
    };
    if let Some(fault) = quantity(wish, drug, dose, frequency) {
        return Err((drug.name.clone(), vec![fault]));
    }
    let Some(amount_fen) = western_amount(drug, wish.quantity) else {
        return Err((drug.name.clone(), vec![Fault::Catalogue]));
    };
    Ok(Line {
        drug_code: drug.code.clone(),
        name: drug.name.clone(),
        specification: drug.specification.clone(),
        dose: dose.to_string(),
        dose_unit: drug.dose_unit.clone(),
        route_code: route.code.clone(),
        route_name: route.name.clone(),
        frequency_code: frequency.code.clone(),
        frequency_name: frequency.name.clone(),
        days: wish.days,
        quantity: wish.quantity,
        quantity_unit: drug.pack_unit.clone(),
        price: UnitPrice::Pack {
            price_fen: drug.price_fen,
        },
        amount_fen,
        note: wish.note.trim().to_owned(),
    })
}

/// The rule that keeps a drug off the internet, if any.
pub fn barred(drug: &Drug) -> Option<Fault> {
    match drug.control {
        DrugControl::Narcotic => Some(Fault::Narcotic),
        DrugControl::PsychotropicOne => Some(Fault::PsychotropicOne),
        DrugControl::PsychotropicTwo => Some(Fault::PsychotropicTwo),
        DrugControl::Toxic => Some(Fault::Toxic),
        DrugControl::None | DrugControl::Antibiotic => drug.barred_online.then_some(Fault::Barred),
    }
}

fn quantity(wish: &Wish, drug: &Drug, dose: Decimal, frequency: &Frequency) -> Option<Fault> {
    let (days, given, unit) = (wish.days, wish.quantity, drug.pack_unit.clone());
    let Some(needed) = packs_needed(drug, dose, frequency, days) else {
        return Some(Fault::Catalogue);
    };
    match u64::from(given).cmp(&needed) {
        std::cmp::Ordering::Less => Some(Fault::TooLittle {
            days,
            needed,
            given,
            unit,
        }),
        std::cmp::Ordering::Greater => Some(Fault::TooMuch {
            days,
            needed,
            given,
            unit,
        }),
        std::cmp::Ordering::Equal => None,
    }
}

fn herb(wish: &Wish, catalogue: &Catalogue, doses: u32) -> Result<Line, Faults> {
    let Some(herb) = catalogue.herbs.get(&wish.drug_code) else {
        return Err((name_of(catalogue, &wish.drug_code), vec![Fault::Unknown]));
    };
    if herb.toxic {
        return Err((herb.name.clone(), vec![Fault::Toxic]));
    }
    if !(1..=500).contains(&wish.dose_g) {
        return Err((herb.name.clone(), vec![Fault::Grams]));
    }
    let Some((grams, amount_fen)) = herbal_amount(herb, wish.dose_g, doses) else {
        return Err((herb.name.clone(), vec![Fault::Catalogue]));
    };
    Ok(Line {
        drug_code: herb.code.clone(),
        name: herb.name.clone(),
        specification: String::new(),
        dose: wish.dose_g.to_string(),
        dose_unit: "g".to_owned(),
        route_code: String::new(),
        route_name: String::new(),
        frequency_code: String::new(),
        frequency_name: String::new(),
        days: doses,
        quantity: grams,
        quantity_unit: "g".to_owned(),
        price: UnitPrice::Weight {
            price_fen_per_kg: herb.price_fen_per_kg,
        },
        amount_fen,
        note: wish.note.trim().to_owned(),
    })
}

/// Diseases for which a long supply is usual (长期处方管理规范, chronic diseases of the basic list): hypertension and
/// heart, diabetes, lipids, thyroid, COPD and asthma, stroke, epilepsy and Parkinson, chronic hepatitis and kidney
/// disease, rheumatism, gout, osteoporosis, depression, glaucoma, tuberculosis.
pub fn is_chronic(icd10: &str) -> bool {
    const CHAPTERS: [&str; 41] = [
        "I10", "I11", "I12", "I13", "I15", "I20", "I25", "I48", "I50", "I63", "I64", "I67", "I69", "E03", "E05", "E06",
        "E10", "E11", "E12", "E13", "E14", "E78", "E79", "J42", "J43", "J44", "J45", "G20", "G40", "K74", "B18", "N18",
        "N03", "M05", "M06", "M10", "M81", "F32", "F33", "H40", "A15",
    ];
    CHAPTERS.iter().any(|c| icd10.to_ascii_uppercase().starts_with(c))
}
