//! The tables behind the built-in rules: groups of ingredients, and what is known of them.

use super::ProblemClass::{self, AdverseReaction, InjectionCompatibility, Interaction};
use super::Severity::{self, Caution, Serious};

/// A group of ingredients, recognised in a common name.
pub(super) struct Group(pub(super) &'static str, pub(super) &'static [&'static str]);

impl Group {
    /// Whether a drug of this name belongs to it.
    pub(super) fn holds(&self, name: &str) -> bool {
        self.1.iter().any(|part| name.contains(part))
    }
}

pub(super) const PENICILLIN: Group = Group("青霉素类", &["青霉素", "西林"]);
pub(super) const CEPHALOSPORIN: Group = Group("头孢菌素类", &["头孢"]);
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

pub(super) const GROUPS: [&Group; 19] = [
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

/// Two groups that do not go together: of which class, how serious, and why.
pub(super) struct Pair(
    pub(super) ProblemClass,
    pub(super) Severity,
    pub(super) Group,
    pub(super) Group,
    pub(super) &'static str,
);

pub(super) const PAIRS: [Pair; 15] = [
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

/// Groups in which two at once are one too many.
pub(super) const ONE_IS_ENOUGH: [&Group; 6] = [&NSAID, &STATIN, &ACE_ARB, &BETA_BLOCKER, &PARACETAMOL, &QUINOLONE];

/// Diagnosis (ICD-10 chapters) against group.
pub(super) const AGAINST: [(&[&str], &str, Group); 7] = [
    (&["J45", "J46", "J44"], "支气管哮喘/慢阻肺", BETA_BLOCKER),
    (&["K25", "K26", "K27", "K28"], "消化性溃疡", NSAID),
    (&["N17", "N18", "N19"], "肾功能不全", METFORMIN),
    (&["I44", "I49.5"], "传导阻滞/病窦", BETA_BLOCKER),
    (&["E87.5"], "高钾血症", POTASSIUM),
    (&["K70", "K71", "K72", "K74"], "严重肝病", STATIN),
    (&["H40"], "青光眼", Group("抗胆碱药", &["阿托品", "山莨菪碱", "颠茄"])),
];

/// Below this age in years not, or only with care.
pub(super) const NOT_FOR_CHILDREN: [(i64, Group, Severity); 6] = [
    (18, QUINOLONE, Serious),
    (8, TETRACYCLINE, Serious),
    (16, Group("阿司匹林", &["阿司匹林"]), Serious),
    (12, Group("尼美舒利", &["尼美舒利"]), Serious),
    (6, AMINOGLYCOSIDE, Serious),
    (12, Group("可待因类", &["可待因"]), Serious),
];

pub(super) const NOT_IN_PREGNANCY: [Group; 8] = [
    ACE_ARB,
    STATIN,
    WARFARIN,
    METHOTREXATE,
    TETRACYCLINE,
    QUINOLONE,
    AMINOGLYCOSIDE,
    Group("利巴韦林", &["利巴韦林"]),
];
