//! The kinds, as data: labels with samples, what must be shown, the template that comes with the software.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Fen;
use crate::line::{Slip, SlipItem};

/// A kind of printed document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaperKind {
    /// 收费凭条: what was paid.
    Receipt,
    /// 取药凭条, and the picking list of a parcel.
    #[default]
    PickupSlip,
    /// 排队号票.
    QueueTicket,
    /// 药品标签 on a label of fixed height.
    Label,
    /// 腕带.
    Wristband,
    /// 电子票据告知单: where the electronic invoice is.
    EInvoice,
    /// 检验检查报告单, for the patient.
    Report,
    /// 处方单: a prescription on paper, for the patient.
    Prescription,
}

impl PaperKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Receipt,
        Self::PickupSlip,
        Self::QueueTicket,
        Self::Label,
        Self::Wristband,
        Self::EInvoice,
        Self::Report,
        Self::Prescription,
    ];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Receipt => "receipt",
            Self::PickupSlip => "pickup_slip",
            Self::QueueTicket => "queue_ticket",
            Self::Label => "label",
            Self::Wristband => "wristband",
            Self::EInvoice => "e_invoice",
            Self::Report => "report",
            Self::Prescription => "prescription",
        }
    }

    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Receipt => "收费凭条",
            Self::PickupSlip => "取药凭条",
            Self::QueueTicket => "排队号票",
            Self::Label => "药品标签",
            Self::Wristband => "腕带",
            Self::EInvoice => "电子票据告知单",
            Self::Report => "检验检查报告单",
            Self::Prescription => "处方单",
        }
    }

    /// Labels of its fields, each with a sample.
    pub const fn labels(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Receipt => &[
                ("姓名", "欧阳娜"),
                ("就诊号", "1007352210"),
                ("科室", "心血管内科"),
                ("医生", "陈志远"),
                ("收费项目", "复诊挂号费"),
                ("支付方式", "微信支付"),
                ("交易号", "4200002210202611210001"),
                ("收费时间", "2026-11-21 09:30"),
                ("收据号", "S00000123"),
                ("取药窗口", "门诊药房 3 号窗口"),
            ],
            Self::PickupSlip => &[
                ("患者", "欧阳娜"),
                ("处方号", "rx_01JD2ZQ8F3K"),
                ("科室", "心血管内科"),
                ("医生", "陈志远"),
                ("审方药师", "周敏"),
                ("取药窗口", "门诊药房 3 号窗口"),
                ("取药码", "8F3K2210"),
            ],
            Self::QueueTicket => &[
                ("姓名", "欧阳*"),
                ("排队号", "A037"),
                ("科室", "心血管内科"),
                ("诊室", "三楼 306 诊室"),
                ("医生", "陈志远"),
                ("前面等候", "5 人"),
                ("取号时间", "2026-11-21 09:30"),
            ],
            Self::Label => &[
                ("患者", "欧阳娜"),
                ("药品", "苯磺酸氨氯地平片 5mg×28片"),
                ("用法", "口服 每日一次 每次 5mg"),
                ("数量", "2 盒"),
                ("注意", "服药期间请监测血压"),
                ("日期", "2026-11-21"),
            ],
            Self::Wristband => &[
                ("姓名", "欧阳娜"),
                ("性别", "女"),
                ("年龄", "58 岁"),
                ("就诊号", "1007352210"),
                ("科室", "心血管内科"),
                ("床号", "12 床"),
                ("过敏", "青霉素"),
            ],
            Self::EInvoice => &[
                ("交款人", "欧阳娜"),
                ("票据代码", "33060126"),
                ("票据号码", "0012345678"),
                ("校验码", "a1b2c3"),
                ("开票日期", "2026-11-21"),
                ("查验网址", "https://pjcy.mof.gov.cn"),
            ],
            Self::Report => &[
                ("姓名", "欧阳娜"),
                ("报告", "血脂四项"),
                ("部位", "静脉血"),
                ("科室", "检验科"),
                ("报告时间", "2026-11-21 09:30"),
                ("报告号", "JY202611210001"),
                ("所见", "心影大小、形态正常，双肺纹理清晰。"),
                ("意见", "血脂偏高，请结合临床。"),
            ],
            Self::Prescription => &[
                ("姓名", "欧阳娜"),
                ("处方号", "CF202611210001"),
                ("科室", "心血管内科"),
                ("医生", "陈志远"),
                ("日期", "2026-11-21"),
            ],
        }
    }

    /// What no template may leave out: without it the document is of no use, or belongs to nobody.
    pub const fn required(self) -> &'static [&'static str] {
        match self {
            Self::Receipt => &["姓名", "合计"],
            Self::PickupSlip => &["患者"],
            Self::QueueTicket => &["排队号"],
            Self::Label => &["患者", "药品", "用法"],
            Self::Wristband => &["姓名", "就诊号"],
            Self::EInvoice => &["票据代码", "票据号码"],
            Self::Report => &["姓名", "报告"],
            Self::Prescription => &["姓名", "处方号"],
        }
    }

    /// The template that comes with the software, as JSON.
    pub const fn template(self) -> &'static str {
        match self {
            Self::Receipt => include_str!("templates/receipt.json"),
            Self::PickupSlip => include_str!("templates/pickup_slip.json"),
            Self::QueueTicket => include_str!("templates/queue_ticket.json"),
            Self::Label => include_str!("templates/label.json"),
            Self::Wristband => include_str!("templates/wristband.json"),
            Self::EInvoice => include_str!("templates/e_invoice.json"),
            Self::Report => include_str!("templates/report.json"),
            Self::Prescription => include_str!("templates/prescription.json"),
        }
    }
}

impl fmt::Display for PaperKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for PaperKind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|k| k.as_str() == text)
            .ok_or_else(|| format!("no kind of document {text}"))
    }
}

pub(super) fn sample(kind: PaperKind) -> Slip {
    let item = |name: &str, quantity: &str, amount: i64, note: &str| SlipItem {
        name: name.to_owned(),
        quantity: quantity.to_owned(),
        amount_fen: Some(Fen(amount)),
        note: note.to_owned(),
    };
    let (items, total) = match kind {
        PaperKind::PickupSlip => (
            vec![
                item("苯磺酸氨氯地平片 5mg*28片", "2盒", 6_160, "每次5mg 每日一次 口服 28天"),
                item("阿托伐他汀钙片 20mg*7片", "4盒", 9_880, "每次20mg 每晚一次 口服 28天"),
            ],
            Some(Fen(16_040)),
        ),
        PaperKind::Receipt => (vec![item("复诊挂号费", "1次", 1_000, "")], Some(Fen(1_000))),
        PaperKind::EInvoice => (Vec::new(), Some(Fen(16_040))),
        PaperKind::Report => {
            let result = |name: &str, value: &str, note: &str| SlipItem {
                amount_fen: None,
                ..item(name, value, 0, note)
            };
            let items = vec![
                result("总胆固醇", "6.20 mmol/L ↑", "参考 2.80-5.20"),
                result("甘油三酯", "1.30 mmol/L", "参考 0.56-1.70"),
            ];
            (items, None)
        }
        PaperKind::Prescription => {
            let mut drug = item("苯磺酸氨氯地平片 5mg*28片", "2盒", 0, "每次5mg 每日一次 口服 28天");
            drug.amount_fen = None;
            (vec![drug], None)
        }
        _ => (Vec::new(), None),
    };
    let qr = match kind {
        PaperKind::Receipt => "4200002210202611210001",
        PaperKind::PickupSlip => "8F3K2210",
        PaperKind::QueueTicket => "A037-1007352210",
        PaperKind::Label => "P001207-2210",
        PaperKind::Wristband => "1007352210",
        PaperKind::EInvoice => "https://pjcy.mof.gov.cn/33060126/0012345678",
        PaperKind::Report => "JY202611210001",
        PaperKind::Prescription => "CF202611210001",
    };
    Slip {
        header: "滨河市第一人民医院".to_owned(),
        title: kind.name().to_owned(),
        fields: kind
            .labels()
            .iter()
            .map(|(l, v)| ((*l).to_owned(), (*v).to_owned()))
            .collect(),
        items,
        total_fen: total,
        qr: Some(qr.to_owned()),
        footer: vec!["请妥善保管，当日有效。".to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_word_and_shows_what_it_must() {
        for kind in PaperKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            for label in kind.required() {
                assert!(
                    *label == "合计" || kind.labels().iter().any(|(l, _)| l == label),
                    "{kind} {label}"
                );
            }
            assert_eq!(kind.sample().fields.len(), kind.labels().len());
        }
    }
}
