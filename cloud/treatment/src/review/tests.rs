//! One patient per problem class, and one for whom nothing is wrong.

use records::his::{Diagnosis, Drug, DrugControl};

use super::policy::BuiltIn;
use super::{Case, CaseLine, Hint, RulePort, Severity};
use crate::prescribing::tests::drug;

fn line(name: &str, route: &str) -> CaseLine {
    CaseLine {
        name: name.into(),
        specification: String::new(),
        dose: "5".into(),
        dose_unit: "mg".into(),
        route: route.into(),
        drug: Some(drug("D", name)),
        max_dose_g: None,
    }
}

fn case(names: &[&str]) -> Case {
    Case {
        lines: names.iter().map(|n| line(n, "口服")).collect(),
        also_taking: vec![],
        sex: "M".into(),
        age_years: 52,
        diagnoses: vec![Diagnosis {
            code: "I10.x00".into(),
            name: "高血压病".into(),
            main: true,
        }],
        allergies: "无".into(),
        statement: "血压控制平稳，来续方".into(),
    }
}

fn hints(case: &Case) -> Vec<(String, String)> {
    BuiltIn
        .hints(case)
        .into_iter()
        .map(|h: Hint| (h.rule, h.text))
        .collect()
}

fn one(case: &Case, rule: &str) -> String {
    let mut found = hints(case);
    assert_eq!(found.len(), 1, "{found:?}");
    let (class, text) = found.remove(0);
    assert_eq!(class, rule);
    text
}

fn diagnosed(code: &str, base: Case) -> Case {
    Case {
        diagnoses: vec![Diagnosis {
            code: code.into(),
            name: String::new(),
            main: true,
        }],
        ..base
    }
}

#[test]
fn an_ordinary_renewal_raises_no_hint() {
    assert_eq!(hints(&case(&["苯磺酸氨氯地平片", "阿托伐他汀钙片"])), []);
}

/// Rows: FT-110
#[test]
fn drugs_that_interact_are_shown_also_across_prescriptions() {
    let text = one(&case(&["华法林钠片", "布洛芬缓释胶囊"]), "interaction");
    assert_eq!(text, "华法林钠片＋布洛芬缓释胶囊：出血风险显著增加");
    let elsewhere = Case {
        also_taking: vec!["华法林钠片".into()],
        ..case(&["布洛芬缓释胶囊"])
    };
    assert!(one(&elsewhere, "interaction").contains("另一张有效处方"));
}

/// Rows: FT-111
#[test]
fn a_told_allergy_is_matched_by_ingredient_class_and_cross_reaction() {
    let with = |allergies: &str, name: &str| Case {
        allergies: allergies.into(),
        ..case(&[name])
    };
    assert!(one(&with("青霉素过敏", "阿莫西林胶囊"), "allergy").contains("青霉素类"));
    assert!(one(&with("阿莫西林皮疹", "阿莫西林胶囊"), "allergy").contains("对阿莫西林过敏"));
    assert!(one(&with("青霉素过敏", "头孢克肟片"), "allergy").contains("交叉过敏"));
    assert_eq!(hints(&with("否认药物过敏史", "阿莫西林胶囊")), []);
    assert_eq!(hints(&with("花粉", "阿莫西林胶囊")), []);
}

/// Rows: FT-112
#[test]
fn injections_that_precipitate_together_are_shown() {
    let mut together = case(&["注射用头孢曲松钠", "葡萄糖酸钙注射液"]);
    for l in &mut together.lines {
        l.route = "静脉滴注".into();
    }
    assert!(one(&together, "injection_compatibility").contains("沉淀"));
    together.lines[1] = line("葡萄糖酸钙片", "口服");
    assert_eq!(hints(&together), []);
}

/// Rows: FT-113
#[test]
fn a_single_dose_over_the_catalogues_limit_is_shown() {
    let mut high = case(&["苯磺酸氨氯地平片"]);
    high.lines[0].dose = "10".into();
    assert_eq!(hints(&high), []);
    high.lines[0].dose = "10.5".into();
    assert_eq!(one(&high, "dose"), "苯磺酸氨氯地平片单次剂量10.5mg超过上限10mg");
    let mut herb = case(&["制附子"]);
    herb.lines[0] = CaseLine {
        dose: "20".into(),
        dose_unit: "g".into(),
        drug: None,
        max_dose_g: Some(15),
        ..line("附子", "")
    };
    assert_eq!(one(&herb, "dose"), "附子单次剂量20g超过上限15g");
}

/// Rows: FT-114
#[test]
fn a_diagnosis_that_forbids_the_drug_is_shown() {
    let text = one(&diagnosed("J45.900", case(&["酒石酸美托洛尔片"])), "contraindication");
    assert!(text.contains("哮喘"));
}

/// Rows: FT-115
#[test]
fn a_pair_with_a_known_adverse_reaction_is_shown() {
    assert!(one(&case(&["阿托伐他汀钙片", "非诺贝特胶囊"]), "adverse_reaction").contains("横纹肌溶解"));
}

/// Rows: FT-116
#[test]
fn one_ingredient_in_two_forms_or_two_of_a_class_is_a_duplicate() {
    assert!(one(&case(&["硝苯地平控释片", "硝苯地平缓释片"]), "duplicate").contains("成分相同"));
    assert!(one(&case(&["阿托伐他汀钙片", "瑞舒伐他汀钙片"]), "duplicate").contains("他汀类"));
    let elsewhere = Case {
        also_taking: vec!["苯磺酸氨氯地平片".into()],
        ..case(&["氨氯地平片"])
    };
    assert!(one(&elsewhere, "duplicate").contains("另一张有效处方"));
}

/// Rows: FT-117
#[test]
fn a_route_that_does_not_fit_the_form_is_shown() {
    let by = |name: &str, route: &str| {
        let mut c = case(&[]);
        c.lines.push(line(name, route));
        c
    };
    assert!(one(&by("苯磺酸氨氯地平片", "静脉滴注"), "route").contains("口服剂型不能注射"));
    assert!(one(&by("维生素C注射液", "口服"), "route").contains("注射剂不应口服"));
    assert!(one(&by("红霉素软膏", "口服"), "route").contains("外用制剂"));
}

/// Rows: FT-118
#[test]
fn children_pregnant_women_and_the_old_are_looked_after() {
    let child = Case {
        age_years: 10,
        ..case(&["左氧氟沙星片"])
    };
    assert!(one(&child, "special_population").contains("18岁以下"));
    let pregnant = Case {
        sex: "F".into(),
        age_years: 30,
        statement: "怀孕12周".into(),
        ..case(&["依那普利片"])
    };
    assert!(one(&pregnant, "special_population").contains("妊娠"));
    let not = Case {
        statement: "未怀孕".into(),
        ..pregnant.clone()
    };
    assert_eq!(hints(&not), []);
    let coded = diagnosed("O13.x00", not);
    assert!(one(&coded, "special_population").contains("妊娠"));
    let old = Case {
        age_years: 80,
        ..case(&["地西泮片"])
    };
    assert!(one(&old, "special_population").contains("跌倒"));
}

#[test]
fn an_antibiotic_is_announced_and_serious_hints_come_first() {
    let mut both = case(&["头孢克肟片", "华法林钠片", "布洛芬片"]);
    both.lines[0].drug = Some(Drug {
        control: DrugControl::Antibiotic,
        ..drug("D", "头孢克肟片")
    });
    let found = BuiltIn.hints(&both);
    let shape: Vec<_> = found
        .iter()
        .map(|h| (h.rule.as_str(), h.severity, h.items.clone()))
        .collect();
    assert_eq!(
        shape,
        [
            ("interaction", Severity::Serious, vec![1, 2]),
            ("antibiotic", Severity::Note, vec![0])
        ]
    );
}
