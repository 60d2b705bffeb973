//! The built-in rules: a few dozen well-known pairs from drug labels and the 国家处方集, by ingredient. They are a safety
//! net for a hospital without a rational-use system, not a replacement of one.

use records::his::DrugControl;

use super::{Case, CaseLine, Hint, ProblemClass, RulePort, Severity};
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

/// A group of ingredients, recognised in a common name.
struct Group(&'static str, &'static [&'static str]);

impl Group {
    fn holds(&self, name: &str) -> bool {
        self.1.iter().any(|part| name.contains(part))
    }
}

const PENICILLIN: Group = Group("青霉素类", &["青霉素", "西林"]);
const CEPHALOSPORIN: Group = Group("头孢菌素类", &["头孢"]);
const SULFONAMIDE: Group = Group("磺胺类", &["磺胺"]);
const QUINOLONE: Group = Group("喹诺酮类", &["沙星"]);
const TETRACYCLINE: Group = Group("四环素类", &["四环素", "多西环素", "米诺环素"]);
const MACROLIDE: Group = Group("大环内酯类", &["克拉霉素", "红霉素", "罗红霉素"]);
const AMINOGLYCOSIDE: Group = Group("氨基糖苷类", &["庆大霉素", "阿米卡星", "链霉素"]);
const NSAID: Group = Group(
    "非甾体抗炎药",
    &[
        "阿司匹林",
        "布洛芬",
        "双氯芬酸",
        "洛索洛芬",
        "塞来昔布",
        "吲哚美辛",
        "萘普生",
        "美洛昔康",
        "尼美舒利",
    ],
);
const STATIN: Group = Group("他汀类", &["他汀"]);
const FIBRATE: Group = Group("贝特类", &["非诺贝特", "吉非罗齐", "苯扎贝特"]);
const ACE_ARB: Group = Group("ACEI/ARB类", &["普利", "沙坦"]);
const BETA_BLOCKER: Group = Group(
    "β受体阻滞剂",
    &["美托洛尔", "比索洛尔", "普萘洛尔", "阿替洛尔", "卡维地洛"],
);
const STEROID: Group = Group("糖皮质激素", &["泼尼松", "地塞米松", "甲泼尼龙", "倍他米松"]);
const NITRATE: Group = Group("硝酸酯类", &["硝酸甘油", "单硝酸异山梨酯", "硝酸异山梨酯"]);
const WARFARIN: Group = Group("华法林", &["华法林"]);
const PARACETAMOL: Group = Group("对乙酰氨基酚", &["对乙酰氨基酚", "氨酚", "酚麻美敏", "氨咖黄敏"]);
const METHOTREXATE: Group = Group("甲氨蝶呤", &["甲氨蝶呤"]);
const METFORMIN: Group = Group("二甲双胍", &["二甲双胍"]);
const POTASSIUM: Group = Group("保钾药/钾剂", &["螺内酯", "氯化钾", "氨苯蝶啶"]);

const GROUPS: [&Group; 19] = [
    &PENICILLIN,
    &CEPHALOSPORIN,
    &SULFONAMIDE,
    &QUINOLONE,
    &TETRACYCLINE,
    &MACROLIDE,
    &AMINOGLYCOSIDE,
    &NSAID,
    &STATIN,
    &FIBRATE,
    &ACE_ARB,
    &BETA_BLOCKER,
    &STEROID,
    &NITRATE,
    &WARFARIN,
    &PARACETAMOL,
    &METHOTREXATE,
    &METFORMIN,
    &POTASSIUM,
];

struct Pair(ProblemClass, Severity, Group, Group, &'static str);

use ProblemClass::{AdverseReaction, InjectionCompatibility, Interaction};
use Severity::{Caution, Note, Serious};

const PAIRS: [Pair; 15] = [
    Pair(Interaction, Serious, WARFARIN, NSAID, "出血风险显著增加"),
    Pair(Interaction, Caution, WARFARIN, QUINOLONE, "INR升高，出血风险增加"),
    Pair(
        Interaction,
        Serious,
        NITRATE,
        Group("PDE5抑制剂", &["西地那非", "他达拉非", "伐地那非"]),
        "严重低血压",
    ),
    Pair(
        Interaction,
        Serious,
        Group("辛伐他汀/洛伐他汀", &["辛伐他汀", "洛伐他汀"]),
        MACROLIDE,
        "抑制CYP3A4，横纹肌溶解风险",
    ),
    Pair(
        Interaction,
        Serious,
        Group("地高辛", &["地高辛"]),
        Group("胺碘酮", &["胺碘酮"]),
        "地高辛血药浓度升高",
    ),
    Pair(
        Interaction,
        Caution,
        Group("氯吡格雷", &["氯吡格雷"]),
        Group("奥美拉唑", &["奥美拉唑"]),
        "抑制CYP2C19，抗血小板作用减弱",
    ),
    Pair(Interaction, Caution, ACE_ARB, POTASSIUM, "高钾血症风险"),
    Pair(Interaction, Serious, METHOTREXATE, NSAID, "甲氨蝶呤排泄减少，毒性增加"),
    Pair(Interaction, Serious, METHOTREXATE, SULFONAMIDE, "骨髓抑制加重"),
    Pair(
        Interaction,
        Caution,
        QUINOLONE,
        Group("茶碱", &["茶碱"]),
        "茶碱血药浓度升高",
    ),
    Pair(
        AdverseReaction,
        Serious,
        STATIN,
        FIBRATE,
        "肌病与横纹肌溶解的不良反应风险增加",
    ),
    Pair(
        AdverseReaction,
        Caution,
        QUINOLONE,
        STEROID,
        "肌腱炎与肌腱断裂的不良反应风险增加",
    ),
    Pair(AdverseReaction, Caution, NSAID, STEROID, "消化道出血的不良反应风险增加"),
    Pair(
        InjectionCompatibility,
        Serious,
        Group("头孢曲松", &["头孢曲松"]),
        Group("含钙注射液", &["葡萄糖酸钙", "氯化钙", "乳酸钠林格"]),
        "体外配伍产生头孢曲松钙沉淀，不得同瓶或同路输注",
    ),
    Pair(
        InjectionCompatibility,
        Serious,
        Group("碳酸氢钠注射液", &["碳酸氢钠"]),
        Group("维生素C注射液", &["维生素C", "肾上腺素"]),
        "酸碱配伍失效",
    ),
];

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

/// Groups in which two at once are one too many.
const ONE_IS_ENOUGH: [&Group; 6] = [&NSAID, &STATIN, &ACE_ARB, &BETA_BLOCKER, &PARACETAMOL, &QUINOLONE];

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

/// Diagnosis (ICD-10 chapters) against group.
const AGAINST: [(&[&str], &str, Group); 7] = [
    (&["J45", "J46", "J44"], "支气管哮喘/慢阻肺", BETA_BLOCKER),
    (&["K25", "K26", "K27", "K28"], "消化性溃疡", NSAID),
    (&["N17", "N18", "N19"], "肾功能不全", METFORMIN),
    (&["I44", "I49.5"], "传导阻滞/病窦", BETA_BLOCKER),
    (&["E87.5"], "高钾血症", POTASSIUM),
    (&["K70", "K71", "K72", "K74"], "严重肝病", STATIN),
    (&["H40"], "青光眼", Group("抗胆碱药", &["阿托品", "山莨菪碱", "颠茄"])),
];

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

/// Below this age in years not, or only with care.
const NOT_FOR_CHILDREN: [(i64, Group, Severity); 6] = [
    (18, QUINOLONE, Serious),
    (8, TETRACYCLINE, Serious),
    (16, Group("阿司匹林", &["阿司匹林"]), Serious),
    (12, Group("尼美舒利", &["尼美舒利"]), Serious),
    (6, AMINOGLYCOSIDE, Serious),
    (12, Group("可待因类", &["可待因"]), Serious),
];

const NOT_IN_PREGNANCY: [Group; 8] = [
    ACE_ARB,
    STATIN,
    WARFARIN,
    METHOTREXATE,
    TETRACYCLINE,
    QUINOLONE,
    AMINOGLYCOSIDE,
    Group("利巴韦林", &["利巴韦林"]),
];

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
