//! Histories: visits, prescriptions, lab and examination reports that fit the patient's illness.

use rig::Rng;
use rusqlite::{OptionalExtension, Transaction, params};
use time::{Date, Duration};

use super::Person;

/// What a visit for an illness leaves behind.
pub(super) struct Condition {
    key: &'static str,
    /// Department code.
    pub(super) dept: &'static str,
    /// Main diagnosis.
    pub(super) diagnosis: &'static str,
    complaint: &'static str,
    /// (common name, dose in dose units, frequency, days, packs)
    drugs: &'static [(&'static str, &'static str, &'static str, i64, i64)],
    labs: &'static [&'static str],
    exam: Option<&'static str>,
}

pub(super) fn condition(key: &str) -> Option<&'static Condition> {
    CONDITIONS.iter().find(|condition| condition.key == key)
}

macro_rules! conditions {
    ($($key:ident $dept:ident $diagnosis:literal $complaint:literal [$(($drug:literal $dose:literal $freq:ident $days:literal $packs:literal))*] [$($lab:literal)*] $exam:expr;)*) => {
        const CONDITIONS: &[Condition] = &[$(Condition {
            key: stringify!($key), dept: stringify!($dept), diagnosis: $diagnosis, complaint: $complaint,
            drugs: &[$(($drug, $dose, stringify!($freq), $days, $packs)),*], labs: &[$($lab),*], exam: $exam,
        }),*];
    };
}

conditions! {
    hypertension K01 "I10.x02" "发现血压升高数年，复查取药" [("缬沙坦胶囊" "80" QD 28 4) ("苯磺酸氨氯地平片" "5" QD 28 4)] ["肾功能" "血脂" "电解质"] Some("心电图");
    coronary K01 "I25.100" "活动后胸闷间断发作，药物治疗后随访" [("阿司匹林肠溶片" "100" QD 30 1) ("阿托伐他汀钙片" "20" QN 28 4) ("琥珀酸美托洛尔缓释片" "47.5" QD 28 4)] ["血脂" "肝功能" "心肌酶"] Some("心脏彩超");
    heart_failure K01 "I50.900" "活动后气促，下肢水肿减轻，复诊调药" [("沙库巴曲缬沙坦钠片" "100" BID 28 4) ("螺内酯片" "20" QD 30 1)] ["电解质" "肾功能" "心肌酶"] Some("心脏彩超");
    af K01 "I48.x02" "心悸，心房颤动抗凝治疗随访" [("利伐沙班片" "20" QD 28 4) ("富马酸比索洛尔片" "5" QD 30 3)] ["凝血功能" "肾功能"] Some("心电图");
    diabetes K02 "E11.900" "血糖升高，口服降糖药治疗，复查血糖" [("盐酸二甲双胍片" "500" BID 30 3) ("达格列净片" "10" QD 28 2)] ["血糖" "肾功能" "血脂"] None;
    lipids K01 "E78.200" "体检发现血脂升高" [("瑞舒伐他汀钙片" "10" QN 28 4)] ["血脂" "肝功能"] None;
    thyroid K02 "E03.900" "甲状腺功能减退替代治疗随访" [("左甲状腺素钠片" "50" QD 30 1)] ["甲状腺功能"] Some("甲状腺彩超");
    gout K07 "M10.900" "关节肿痛反复发作，降尿酸治疗" [("非布司他片" "40" QD 28 2) ("碳酸氢钠片" "1" TID 16 1)] ["肾功能" "血常规"] None;
    ra K07 "M06.900" "双手晨僵伴关节痛，慢作用药随访" [("甲氨蝶呤片" "10" QW 28 1) ("硫酸羟氯喹片" "0.2" BID 15 3)] ["血常规" "肝功能"] None;
    copd K03 "J44.900" "慢性咳嗽咳痰，活动后气短" [("布地奈德福莫特罗粉吸入剂" "1" BID 30 1) ("盐酸氨溴索片" "30" TID 7 1)] ["血常规"] Some("胸部CT");
    gastritis K04 "K29.500" "上腹隐痛、反酸，治疗后复诊" [("艾司奥美拉唑镁肠溶片" "20" QD 28 4) ("铝碳酸镁咀嚼片" "1" TID 7 2)] ["血常规"] Some("电子胃镜");
    stroke K05 "I69.300" "脑梗死后遗症，二级预防随访" [("阿司匹林肠溶片" "100" QD 30 1) ("瑞舒伐他汀钙片" "10" QN 28 4)] ["血脂" "凝血功能"] Some("头颅CT");
    ckd K06 "N18.300" "慢性肾脏病随访" [("氯沙坦钾片" "50" QD 28 4) ("复方α-酮酸片" "2.52" TID 25 3)] ["肾功能" "电解质" "尿常规"] Some("泌尿系彩超");
    eczema K08 "L30.900" "四肢皮疹瘙痒反复" [("糠酸莫米松乳膏" "1" QD 14 2) ("氯雷他定片" "10" QD 12 2)] [] None;
    insomnia K14 "F51.000" "入睡困难、早醒，睡眠随访" [("乌灵胶囊" "0.99" TID 12 3)] [] None;
    rhinitis K15 "J30.400" "鼻痒、喷嚏、流清涕" [("糠酸莫米松鼻喷雾剂" "2" QD 30 1) ("孟鲁司特钠片" "10" QN 10 2)] ["血常规"] None;
    lumbar K11 "M51.200" "腰痛伴左下肢放射痛，理疗后复诊" [("塞来昔布胶囊" "200" QD 12 2) ("甲钴胺片" "0.5" TID 20 3)] [] Some("腰椎MRI");
    bph K12 "N40.x00" "尿频、夜尿增多" [("盐酸坦索罗辛缓释胶囊" "0.2" QN 30 3) ("非那雄胺片" "5" QD 30 3)] ["尿常规"] Some("泌尿系彩超");
    menstrual K10 "N92.600" "月经不规则，周期治疗随访" [("地屈孕酮片" "10" BID 10 1)] ["血常规"] Some("盆腔彩超");
    asthma_child K09 "J45.901" "反复夜间咳嗽，运动后加重" [("孟鲁司特钠咀嚼片" "4" QN 28 6) ("吸入用布地奈德混悬液" "1" BID 5 2)] ["血常规"] None;
}

/// (panel, specimen, [(code, name, unit, low, high in hundredths, decimals)])
type Panel = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str, &'static str, i64, i64, usize)],
);

const PANELS: &[Panel] = &[
    (
        "血常规",
        "静脉血",
        &[
            ("WBC", "白细胞计数", "10^9/L", 350, 950, 2),
            ("RBC", "红细胞计数", "10^12/L", 380, 580, 2),
            ("HGB", "血红蛋白", "g/L", 11_500, 17_500, 0),
            ("PLT", "血小板计数", "10^9/L", 12_500, 35_000, 0),
            ("NEUT%", "中性粒细胞百分比", "%", 4_000, 7_500, 1),
            ("CRP", "C反应蛋白", "mg/L", 0, 1_000, 1),
        ],
    ),
    (
        "肝功能",
        "静脉血",
        &[
            ("ALT", "丙氨酸氨基转移酶", "U/L", 900, 5_000, 0),
            ("AST", "天门冬氨酸氨基转移酶", "U/L", 1_500, 4_000, 0),
            ("TBIL", "总胆红素", "μmol/L", 300, 2_100, 1),
            ("ALB", "白蛋白", "g/L", 4_000, 5_500, 1),
            ("GGT", "γ-谷氨酰转移酶", "U/L", 1_000, 6_000, 0),
        ],
    ),
    (
        "肾功能",
        "静脉血",
        &[
            ("CREA", "肌酐", "μmol/L", 5_700, 11_100, 0),
            ("UREA", "尿素", "mmol/L", 310, 800, 2),
            ("UA", "尿酸", "μmol/L", 20_800, 42_800, 0),
            ("eGFR", "估算肾小球滤过率", "ml/min", 9_000, 14_000, 0),
        ],
    ),
    (
        "血脂",
        "静脉血",
        &[
            ("TC", "总胆固醇", "mmol/L", 310, 570, 2),
            ("TG", "甘油三酯", "mmol/L", 45, 170, 2),
            ("HDL-C", "高密度脂蛋白胆固醇", "mmol/L", 104, 190, 2),
            ("LDL-C", "低密度脂蛋白胆固醇", "mmol/L", 180, 340, 2),
        ],
    ),
    (
        "电解质",
        "静脉血",
        &[
            ("K", "钾", "mmol/L", 350, 530, 2),
            ("Na", "钠", "mmol/L", 13_700, 14_700, 1),
            ("Cl", "氯", "mmol/L", 9_900, 11_000, 1),
            ("Ca", "钙", "mmol/L", 211, 252, 2),
        ],
    ),
    (
        "血糖",
        "静脉血",
        &[
            ("GLU", "空腹葡萄糖", "mmol/L", 390, 610, 2),
            ("HbA1c", "糖化血红蛋白", "%", 400, 600, 1),
            ("2hPG", "餐后2小时血糖", "mmol/L", 390, 780, 2),
        ],
    ),
    (
        "心肌酶",
        "静脉血",
        &[
            ("CK-MB", "肌酸激酶同工酶", "ng/ml", 0, 500, 2),
            ("cTnI", "肌钙蛋白I", "ng/ml", 0, 4, 2),
            ("NT-proBNP", "N末端脑钠肽前体", "pg/ml", 0, 30_000, 0),
        ],
    ),
    (
        "凝血功能",
        "静脉血",
        &[
            ("PT", "凝血酶原时间", "s", 1_100, 1_450, 1),
            ("INR", "国际标准化比值", "", 80, 120, 2),
            ("APTT", "活化部分凝血活酶时间", "s", 2_800, 4_300, 1),
            ("D-D", "D-二聚体", "mg/L", 0, 55, 2),
        ],
    ),
    (
        "甲状腺功能",
        "静脉血",
        &[
            ("TSH", "促甲状腺激素", "mIU/L", 55, 478, 2),
            ("FT3", "游离三碘甲状腺原氨酸", "pmol/L", 350, 650, 2),
            ("FT4", "游离甲状腺素", "pmol/L", 1_150, 2_270, 2),
        ],
    ),
    (
        "尿常规",
        "尿液",
        &[
            ("pH", "酸碱度", "", 500, 800, 1),
            ("SG", "比重", "", 100, 103, 2),
            ("WBC-U", "尿白细胞", "/μl", 0, 2_500, 0),
            ("ACR", "尿白蛋白/肌酐", "mg/g", 0, 3_000, 1),
        ],
    ),
];

/// (name, type, part, method, what is seen, opinion)
const EXAMS: &[(&str, i64, &str, &str, &str, &str)] = &[
    (
        "心电图",
        3,
        "心脏",
        "常规十二导联心电图",
        "窦性心律，心率72次/分，V4-V6导联ST段轻度压低。",
        "窦性心律；左室高电压；ST-T改变",
    ),
    (
        "心脏彩超",
        2,
        "心脏",
        "经胸超声心动图",
        "左房前后径38mm，左室舒张末径52mm，室间隔厚11mm，EF 56%。",
        "左房稍大；左室舒张功能减低",
    ),
    (
        "甲状腺彩超",
        2,
        "甲状腺",
        "高频超声",
        "甲状腺实质回声欠均匀，右叶见4×3mm低回声结节，边界清。",
        "甲状腺弥漫性改变；右叶结节，TI-RADS 3类",
    ),
    (
        "胸部CT",
        1,
        "胸部",
        "平扫",
        "双肺纹理增多，双上肺见小叶中心型肺气肿，未见实变。",
        "慢性支气管炎、肺气肿征象",
    ),
    (
        "电子胃镜",
        4,
        "胃",
        "电子胃镜检查",
        "胃窦黏膜红白相间，以红为主，散在糜烂，快速尿素酶试验阴性。",
        "慢性非萎缩性胃炎伴糜烂",
    ),
    (
        "头颅CT",
        1,
        "头颅",
        "平扫",
        "左侧基底节区见斑片状低密度影，边界清，脑室系统稍增宽。",
        "左侧基底节区陈旧性腔隙性脑梗死",
    ),
    (
        "泌尿系彩超",
        2,
        "双肾、膀胱、前列腺",
        "经腹超声",
        "双肾皮质回声稍增强，前列腺大小约48×38×35mm。",
        "双肾实质回声稍增强；前列腺增生",
    ),
    (
        "腰椎MRI",
        1,
        "腰椎",
        "平扫",
        "L4/5椎间盘向左后突出，硬膜囊受压，黄韧带增厚。",
        "L4/5椎间盘突出",
    ),
    (
        "盆腔彩超",
        2,
        "子宫及附件",
        "经腹超声",
        "子宫大小形态正常，内膜厚8mm，双侧卵巢见多个小卵泡。",
        "子宫未见明显异常；双侧卵巢多囊样改变",
    ),
];

struct Visit<'a> {
    condition: &'a Condition,
    date: Date,
    doctor: String,
    patient: &'a str,
    /// Unique ending of the numbers made for this visit.
    tail: String,
}

/// Writes the history of one person.
pub(super) fn write(tx: &Transaction<'_>, rng: &mut Rng, person: &Person, today: Date) -> rusqlite::Result<()> {
    let Some(main) = condition(person.condition) else {
        return Ok(());
    };
    let mut back = person.days_ago;
    for n in 0..rng.between(2, 4) {
        visit(tx, rng, person, main, today - Duration::days(back), n)?;
        back += rng.between(30, 75);
    }
    if let Some(further) = condition(person.further) {
        let back = person.days_ago + rng.between(3, 40);
        visit(tx, rng, person, further, today - Duration::days(back), 9)?;
    }
    Ok(())
}

fn visit(
    tx: &Transaction<'_>,
    rng: &mut Rng,
    person: &Person,
    condition: &Condition,
    date: Date,
    n: i64,
) -> rusqlite::Result<()> {
    let mut doctors = tx.prepare_cached("SELECT code FROM doctor WHERE dept = ?1 ORDER BY code")?;
    let codes: Vec<String> = doctors
        .query_map([condition.dept], |r| r.get(0))?
        .collect::<Result<_, _>>()?;
    let made = Visit {
        condition,
        date,
        doctor: rng.pick(&codes).cloned().unwrap_or_default(),
        patient: &person.id,
        tail: format!("{}{n}", person.id.trim_start_matches('P')),
    };
    let (id, at) = (format!("V{}", made.tail), made.at(9, rng.between(0, 59)));
    tx.execute(
        "INSERT INTO visit VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6)",
        params![id, made.patient, at, condition.dept, made.doctor, condition.complaint],
    )?;
    let mut codes = vec![condition.diagnosis];
    if condition.dept == "K01" && condition.key != "lipids" && rng.chance(0.4) {
        codes.push("E78.500");
    }
    for (n, code) in (0_i64..).zip(&codes) {
        tx.execute(
            "INSERT INTO visit_diagnosis SELECT ?1, ?2, code, name, ?3 FROM icd WHERE code = ?4",
            params![id, n, n == 0, code],
        )?;
    }
    recipe(tx, &made, &id, &at)?;
    for (n, panel) in condition.labs.iter().enumerate() {
        lab(tx, rng, &made, panel, n)?;
    }
    exam(tx, rng, &made)
}

impl Visit<'_> {
    fn at(&self, hour: i64, minute: i64) -> String {
        format!("{} {hour:02}:{minute:02}:00", self.date)
    }
}

fn recipe(tx: &Transaction<'_>, made: &Visit<'_>, visit: &str, at: &str) -> rusqlite::Result<()> {
    if made.condition.drugs.is_empty() {
        return Ok(());
    }
    let id = format!("CH{}", made.tail);
    tx.execute(
        "INSERT INTO recipe (id, rx_no, visit, patient, type, doctor, dept, at, status, fee_id, total, fu_count,
            herb_usage, decoction, ca_sign) VALUES (?1, '', ?2, ?3, 1, ?4, ?5, ?6, 6, '', 0, 1, '', 0, '')",
        params![id, visit, made.patient, made.doctor, made.condition.dept, at],
    )?;
    tx.execute(
        "INSERT INTO recipe_diagnosis SELECT ?1, 0, code, name, 1 FROM icd WHERE code = ?2",
        params![id, made.condition.diagnosis],
    )?;
    for (n, (name, dose, freq, days, packs)) in (0_i64..).zip(made.condition.drugs) {
        tx.execute(
            "INSERT INTO recipe_item
             SELECT ?1, ?2, code, common, spec, ?4, dose_unit, route, ?5, ?6, ?7, unit, price, price * ?7, '', 0
               FROM drug WHERE common = ?3 ORDER BY code LIMIT 1",
            params![id, n, name, dose, freq, days, packs],
        )?;
    }
    tx.execute(
        "UPDATE recipe SET total = (SELECT sum(amount) FROM recipe_item WHERE recipe = ?1) WHERE id = ?1",
        [&id],
    )?;
    Ok(())
}

fn lab(tx: &Transaction<'_>, rng: &mut Rng, made: &Visit<'_>, panel: &str, n: usize) -> rusqlite::Result<()> {
    let Some((name, specimen, tests)) = PANELS.iter().find(|(name, ..)| *name == panel) else {
        return Ok(());
    };
    let id = format!("L{}{n}", made.tail);
    let times = (made.at(9, 40), made.at(13, rng.between(10, 50)));
    tx.execute(
        "INSERT INTO lab VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            id,
            made.patient,
            name,
            specimen,
            made.condition.dept,
            made.doctor,
            times.0,
            times.1
        ],
    )?;
    for (n, (code, test, unit, low, high, decimals)) in (0_i64..).zip(*tests) {
        let width = high - low;
        let (value, abnormal) = match rng.below(10) {
            0 | 1 => (high + rng.between(1 + width / 20, 1 + width / 2), 1),
            2 if *low > 0 => (low - rng.between(1, (low / 5).max(1)), 2),
            _ => (rng.between(*low, *high), 0),
        };
        // What is printed decides: rounding may put a value back on the limit.
        let shown = hundredths(value, *decimals);
        let abnormal = if shown == hundredths(*high, *decimals) || shown == hundredths(*low, *decimals) {
            0
        } else {
            abnormal
        };
        let range = if *low == 0 {
            format!("<{}", hundredths(*high, *decimals))
        } else {
            format!("{}-{}", hundredths(*low, *decimals), hundredths(*high, *decimals))
        };
        tx.execute(
            "INSERT INTO lab_item VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![id, n, code, test, shown, unit, range, abnormal],
        )?;
    }
    Ok(())
}

fn hundredths(value: i64, decimals: usize) -> String {
    let (step, width) = match decimals {
        0 => (100, 0),
        1 => (10, 1),
        _ => (1, 2),
    };
    let rounded = (value + step / 2) / step;
    let base = 10_i64.pow(width);
    match width {
        0 => rounded.to_string(),
        _ => format!(
            "{}.{:0w$}",
            rounded / base,
            rounded % base,
            w = usize::try_from(width).unwrap_or(1)
        ),
    }
}

fn exam(tx: &Transaction<'_>, rng: &mut Rng, made: &Visit<'_>) -> rusqlite::Result<()> {
    let found = EXAMS.iter().find(|exam| Some(exam.0) == made.condition.exam);
    let Some((name, kind, part, method, situation, opinion)) = found else {
        return Ok(());
    };
    let earlier: Option<String> = tx
        .query_row(
            "SELECT id FROM exam WHERE patient = ?1 AND name = ?2 AND at > ?3",
            params![made.patient, name, (made.date - Duration::days(120)).to_string()],
            |r| r.get(0),
        )
        .optional()?;
    if earlier.is_some() && rng.chance(0.7) {
        return Ok(());
    }
    tx.execute(
        "INSERT INTO exam VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, '请结合临床，定期复查', 1)",
        params![
            format!("E{}", made.tail),
            made.patient,
            kind,
            name,
            made.condition.dept,
            made.doctor,
            made.at(10, 20),
            made.at(15, rng.between(0, 59)),
            part,
            method,
            situation,
            opinion
        ],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{CONDITIONS, EXAMS, PANELS, hundredths};
    use crate::seed::{DIAGNOSES, DRUGS, PATIENTS, rows};

    #[test]
    fn every_history_is_made_of_things_the_hospital_has() {
        let drugs: Vec<&str> = rows(DRUGS).map(|(_, row)| row[0]).collect();
        let codes: Vec<&str> = rows(DIAGNOSES).map(|(_, row)| row[0]).collect();
        for condition in CONDITIONS {
            assert!(codes.contains(&condition.diagnosis), "{}", condition.key);
            for (drug, ..) in condition.drugs {
                assert!(drugs.contains(drug), "{drug}");
            }
            for lab in condition.labs {
                assert!(PANELS.iter().any(|panel| panel.0 == *lab), "{lab}");
            }
            assert!(condition.exam.is_none_or(|name| EXAMS.iter().any(|e| e.0 == name)));
        }
        for (_, row) in rows(PATIENTS) {
            for key in [row[4], row[7]].into_iter().filter(|key| !key.is_empty()) {
                assert!(super::condition(key).is_some(), "{key}");
            }
        }
    }

    #[test]
    fn values_are_printed_with_their_decimals() {
        assert_eq!(hundredths(350, 2), "3.50");
        assert_eq!(hundredths(1_005, 1), "10.1");
        assert_eq!(hundredths(11_550, 0), "116");
    }
}
