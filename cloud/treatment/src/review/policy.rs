//! The built-in rules: a few dozen well-known pairs from drug labels and the 国家处方集, by ingredient. They are a safety
//! net for a hospital without a rational-use system, not a replacement of one.

use records::his::DrugControl;

use super::ProblemClass::InjectionCompatibility;
use super::Severity::{self, Caution, Note, Serious};
use super::groups::{
    AGAINST, CEPHALOSPORIN, GROUPS, Group, NOT_FOR_CHILDREN, NOT_IN_PREGNANCY, ONE_IS_ENOUGH, PAIRS, PENICILLIN, Pair,
};
use super::{Case, CaseLine, Hint, ProblemClass, RulePort};
use crate::prescribing::arithmetic::Decimal;

/// The rules that come with the product.
#[derive(Clone, Copy, Debug, Default)]
pub struct BuiltIn;

impl RulePort for BuiltIn {
    fn hints(&self, case: &Case) -> Vec<Hint> {
        let mut hints = Vec::new();
        duplicates(case, &mut hints);
        pairs(case, &mut hints);
        for (i, line) in case.lines.iter().enumerate() {
            allergy(case, i, line, &mut hints);
            dose(i, line, &mut hints);
            route(i, line, &mut hints);
            contraindication(case, i, line, &mut hints);
            population(case, i, line, &mut hints);
            antibiotic(i, line, &mut hints);
        }
        hints.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.items.cmp(&b.items)));
        hints
    }
}

fn hint(rule: ProblemClass, severity: Severity, text: String, items: Vec<usize>) -> Hint {
    Hint {
        rule: rule.as_str().to_owned(),
        severity,
        text,
        items,
    }
}

/// Names the same ingredient once: salts, makers and dosage forms are not ingredients.
fn ingredient(name: &str) -> String {
    const FORMS: [&str; 16] = [
        "缓释片",
        "控释片",
        "肠溶片",
        "分散片",
        "咀嚼片",
        "片",
        "缓释胶囊",
        "肠溶胶囊",
        "软胶囊",
        "胶囊",
        "颗粒",
        "口服溶液",
        "混悬液",
        "注射液",
        "软膏",
        "滴眼液",
    ];
    const SALTS: [&str; 13] = [
        "苯磺酸",
        "马来酸",
        "盐酸",
        "硫酸",
        "酒石酸",
        "琥珀酸",
        "富马酸",
        "磷酸",
        "钠",
        "钙",
        "钾",
        "注射用",
        "复方",
    ];
    let mut base = name.split(['(', '（']).next().unwrap_or(name).trim().to_owned();
    for form in FORMS {
        if let Some(rest) = base.strip_suffix(form).filter(|r| r.chars().count() >= 2) {
            base = rest.to_owned();
            break;
        }
    }
    for salt in SALTS {
        let rest = base
            .strip_prefix(salt)
            .or_else(|| base.strip_suffix(salt))
            .map(str::to_owned);
        if let Some(rest) = rest.filter(|r| r.chars().count() >= 2) {
            base = rest;
        }
    }
    base
}

fn duplicates(case: &Case, hints: &mut Vec<Hint>) {
    for (i, a) in case.lines.iter().enumerate() {
        for (j, b) in case.lines.iter().enumerate().skip(i + 1) {
            if let Some(text) = same(&a.name, &b.name) {
                hints.push(hint(ProblemClass::Duplicate, Serious, text, vec![i, j]));
            }
        }
        for other in &case.also_taking {
            if let Some(text) = same(&a.name, other) {
                let text = format!("{text}（另一张有效处方）");
                hints.push(hint(ProblemClass::Duplicate, Caution, text, vec![i]));
            }
        }
    }
}

fn same(a: &str, b: &str) -> Option<String> {
    if ingredient(a) == ingredient(b) {
        return Some(format!("{a}与{b}成分相同，重复用药"));
    }
    let group = ONE_IS_ENOUGH.iter().find(|g| g.holds(a) && g.holds(b))?;
    Some(format!("{a}与{b}同属{}，重复用药", group.0))
}

fn pairs(case: &Case, hints: &mut Vec<Hint>) {
    for Pair(class, severity, left, right, text) in &PAIRS {
        for (i, a) in case.lines.iter().enumerate() {
            for (j, b) in case.lines.iter().enumerate().filter(|(j, _)| *j != i) {
                let outside = *class != InjectionCompatibility || (is_injected(a) && is_injected(b));
                if outside && left.holds(&a.name) && right.holds(&b.name) {
                    let text = format!("{}＋{}：{text}", a.name, b.name);
                    hints.push(hint(*class, *severity, text, vec![i.min(j), i.max(j)]));
                }
            }
            for b in case.also_taking.iter().filter(|_| *class != InjectionCompatibility) {
                if (left.holds(&a.name) && right.holds(b)) || (right.holds(&a.name) && left.holds(b)) {
                    let text = format!("{}＋{b}（另一张有效处方）：{text}", a.name);
                    hints.push(hint(*class, *severity, text, vec![i]));
                }
            }
        }
    }
}

fn is_injected(line: &CaseLine) -> bool {
    ["注射", "静脉", "静滴", "肌注", "皮下", "输注"]
        .iter()
        .any(|w| line.route.contains(w))
}

fn allergy(case: &Case, i: usize, line: &CaseLine, hints: &mut Vec<Hint>) {
    let told = &case.allergies;
    let denied = ["无", "否认", "没有", "未发现"].iter().any(|w| told.starts_with(w));
    if told.trim().is_empty() || denied {
        return;
    }
    let base = ingredient(&line.name);
    if told.contains(&base) {
        let text = format!("患者自述对{base}过敏");
        hints.push(hint(ProblemClass::Allergy, Serious, text, vec![i]));
        return;
    }
    if let Some(group) = GROUPS
        .iter()
        .find(|g| g.holds(&line.name) && (g.holds(told) || told.contains(g.0)))
    {
        let text = format!("患者过敏史“{}”，{}属{}", short(told), line.name, group.0);
        hints.push(hint(ProblemClass::Allergy, Serious, text, vec![i]));
    } else if CEPHALOSPORIN.holds(&line.name) && PENICILLIN.holds(told) {
        let text = format!("患者青霉素过敏，{}可能交叉过敏", line.name);
        hints.push(hint(ProblemClass::Allergy, Caution, text, vec![i]));
    }
}

fn short(text: &str) -> String {
    text.chars().take(30).collect()
}

fn dose(i: usize, line: &CaseLine, hints: &mut Vec<Hint>) {
    let Ok(given) = line.dose.parse::<Decimal>() else {
        return;
    };
    let most = line
        .drug
        .as_ref()
        .and_then(|d| d.max_single_dose.as_ref()?.parse::<Decimal>().ok());
    if let Some(most) = most
        .or_else(|| line.max_dose_g.map(Decimal::whole))
        .filter(|most| given > *most)
    {
        let text = format!(
            "{}单次剂量{given}{unit}超过上限{most}{unit}",
            line.name,
            unit = line.dose_unit
        );
        hints.push(hint(ProblemClass::Dose, Serious, text, vec![i]));
    }
}

fn route(i: usize, line: &CaseLine, hints: &mut Vec<Hint>) {
    if line.drug.is_none() {
        return;
    }
    let forms = |words: &[&str]| {
        words
            .iter()
            .any(|w| line.name.ends_with(w) || line.specification.contains(w))
    };
    let oral = line.route.contains("口服");
    let fault = if forms(&["注射液"]) || line.name.starts_with("注射用") {
        oral.then_some("注射剂不应口服")
    } else if forms(&["片", "胶囊", "颗粒", "口服溶液"]) {
        is_injected(line).then_some("口服剂型不能注射")
    } else if forms(&["软膏", "乳膏", "滴眼液", "贴膏", "洗剂"]) {
        (oral || is_injected(line)).then_some("外用制剂不能口服或注射")
    } else {
        None
    };
    if let Some(fault) = fault {
        let text = format!("{}途径为“{}”：{fault}", line.name, line.route);
        hints.push(hint(ProblemClass::Route, Serious, text, vec![i]));
    }
}

fn contraindication(case: &Case, i: usize, line: &CaseLine, hints: &mut Vec<Hint>) {
    for (codes, disease, group) in &AGAINST {
        let has = case
            .diagnoses
            .iter()
            .any(|d| codes.iter().any(|c| d.code.starts_with(c)));
        if has && group.holds(&line.name) {
            let text = format!("诊断含{disease}，{}（{}）禁用或慎用", line.name, group.0);
            hints.push(hint(ProblemClass::Contraindication, Serious, text, vec![i]));
        }
    }
}

fn population(case: &Case, i: usize, line: &CaseLine, hints: &mut Vec<Hint>) {
    for (years, group, severity) in &NOT_FOR_CHILDREN {
        if case.age_years < *years && group.holds(&line.name) {
            let text = format!(
                "患者{}岁，{}（{}）{years}岁以下禁用或慎用",
                case.age_years, line.name, group.0
            );
            hints.push(hint(ProblemClass::SpecialPopulation, *severity, text, vec![i]));
        }
    }
    if is_pregnant(case)
        && let Some(group) = NOT_IN_PREGNANCY.iter().find(|g| g.holds(&line.name))
    {
        let text = format!("患者妊娠，{}（{}）禁用或慎用", line.name, group.0);
        hints.push(hint(ProblemClass::SpecialPopulation, Serious, text, vec![i]));
    }
    let benzodiazepine = Group("苯二氮䓬类", &["地西泮", "阿普唑仑", "艾司唑仑"]);
    if case.age_years >= 65 && benzodiazepine.holds(&line.name) {
        let text = format!("患者{}岁，{}增加跌倒风险", case.age_years, line.name);
        hints.push(hint(ProblemClass::SpecialPopulation, Caution, text, vec![i]));
    }
}

fn is_pregnant(case: &Case) -> bool {
    if case.sex != "F" || !(10..=60).contains(&case.age_years) {
        return false;
    }
    let coded = case.diagnoses.iter().any(|d| {
        let code = d.code.as_str();
        // Z33 pregnant state, Z34–Z35 supervision, chapter O.
        ["Z33", "Z34", "Z35", "O"].iter().any(|c| code.starts_with(c))
    });
    let words = ["怀孕", "妊娠", "孕"];
    let denied = ["未怀孕", "未孕", "没有怀孕", "否认妊娠", "否认怀孕", "非妊娠", "不孕"];
    let told = words.iter().any(|w| case.statement.contains(w)) && !denied.iter().any(|w| case.statement.contains(w));
    coded || told
}

fn antibiotic(i: usize, line: &CaseLine, hints: &mut Vec<Hint>) {
    if line.drug.as_ref().is_some_and(|d| d.control == DrugControl::Antibiotic) {
        hints.push(Hint {
            rule: "antibiotic".to_owned(),
            severity: Note,
            text: format!("{}是抗菌药物，请核对适应证与级别", line.name),
            items: vec![i],
        });
    }
}
