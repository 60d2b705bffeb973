//! What the terminal prints: each document has a key of what it shows, so that it is printed once, and again only when a
//! person asks for another copy.

use hub::{Hub, Step};
use records::Timestamp;
use records::his::{Bill, BillPayment, BillReceipt, LabItem, QueuePlace};
use records::line::{PrintJob, Slip, SlipItem};
use records::paper::PaperKind;
use store::StoreError;

use crate::config::Config;
use crate::hospital::{Content, Person, Visit};
use crate::words::{masked, yuan};

/// Copies a person may take without asking anybody.
pub(crate) const MOST_COPIES: u32 = 3;

/// How a document's paper stands, as the person is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Paper {
    /// Not asked for.
    #[default]
    None,
    /// On its way.
    Printing,
    /// Came out; how many copies so far.
    Printed(u32),
    /// The printer takes no jobs, for this reason.
    Down(String),
    /// Nobody knows whether it came out: the desk looks.
    Unsure,
    /// Given up before it was printed.
    GivenUp,
}

/// A document that can be printed.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Key of its print job.
    pub(crate) key: String,
    pub(crate) title: String,
    pub(crate) lines: Vec<String>,
    pub(crate) kind: PaperKind,
    pub(crate) slip: Slip,
    pub(crate) paper: Paper,
}

fn field(label: &str, value: impl Into<String>) -> (String, String) {
    (label.to_owned(), value.into())
}

fn fields(all: Vec<(String, String)>) -> Vec<(String, String)> {
    all.into_iter().filter(|(_, value)| !value.trim().is_empty()).collect()
}

/// 号票. The name is masked: it is called out and left on chairs.
pub(crate) fn ticket(hospital: &str, person: &Person, visit: &Visit, place: &QueuePlace, now: Timestamp) -> Document {
    let waiting = place.waiting.map(|n| format!("{n} 人")).unwrap_or_default();
    let all = vec![
        field("姓名", masked(&person.name)),
        field("排队号", &place.queue_number),
        field("科室", &visit.department),
        field("诊室", &place.room),
        field("医生", &visit.doctor),
        field("前面等候", waiting),
        field("取号时间", place.taken_at.unwrap_or(now).local_text()),
    ];
    Document {
        key: format!("kiosk.ticket.{}", visit.order),
        title: "号票".to_owned(),
        lines: Vec::new(),
        kind: PaperKind::QueueTicket,
        slip: Slip {
            header: hospital.to_owned(),
            title: PaperKind::QueueTicket.name().to_owned(),
            fields: fields(all),
            items: Vec::new(),
            total_fen: None,
            qr: Some(visit.order.clone()),
            footer: vec!["请在候诊区等候叫号，过号请到分诊台。当日有效。".to_owned()],
        },
        paper: Paper::None,
    }
}

/// What the hospital knows, as a document.
pub(crate) fn document(hospital: &str, person: &Person, content: Content) -> Document {
    match content {
        Content::Lab(report) => {
            let at = report.reported_at.local_text();
            let all = vec![
                field("姓名", &person.name),
                field("报告", &report.name),
                field("科室", &report.department_name),
                field("报告时间", &at),
                field("报告号", &report.report_number),
            ];
            Document {
                // The laboratory and the department of examinations count for themselves.
                key: format!("kiosk.report.lab.{}", report.report_number),
                title: report.name.clone(),
                lines: vec![format!("检验　{at}　{}", report.department_name)],
                kind: PaperKind::Report,
                slip: Slip {
                    header: hospital.to_owned(),
                    title: "检验报告单".to_owned(),
                    fields: fields(all),
                    items: report.items.into_iter().map(result).collect(),
                    total_fen: None,
                    qr: Some(report.report_number),
                    footer: vec!["自助打印，仅供本人查阅；结果请由医生结合临床解读。".to_owned()],
                },
                paper: Paper::None,
            }
        }
        Content::Exam(report) => {
            let at = report.reported_at.local_text();
            let all = vec![
                field("姓名", &person.name),
                field("报告", &report.name),
                field("部位", &report.part),
                field("科室", &report.department_name),
                field("报告时间", &at),
                field("报告号", &report.report_number),
                field("所见", &report.findings),
                field("意见", &report.opinion),
            ];
            Document {
                key: format!("kiosk.report.exam.{}", report.report_number),
                title: report.name.clone(),
                lines: vec![format!("检查　{at}　{}", report.department_name)],
                kind: PaperKind::Report,
                slip: Slip {
                    header: hospital.to_owned(),
                    title: "检查报告单".to_owned(),
                    fields: fields(all),
                    items: Vec::new(),
                    total_fen: None,
                    qr: Some(report.report_number),
                    footer: vec!["自助打印，仅供本人查阅；结果请由医生结合临床解读。".to_owned()],
                },
                paper: Paper::None,
            }
        }
        Content::Prescription(rx) => {
            let names: Vec<&str> = rx.items.iter().map(|i| i.name.as_str()).collect();
            let all = vec![
                field("姓名", &person.name),
                field("处方号", &rx.number),
                field("科室", &rx.department_name),
                field("医生", &rx.doctor_name),
                field("日期", rx.date.to_string()),
            ];
            Document {
                key: format!("kiosk.prescription.{}", rx.number),
                title: names.join("、"),
                lines: vec![format!("{}　{}　{}", rx.date, rx.department_name, rx.doctor_name)],
                kind: PaperKind::Prescription,
                slip: Slip {
                    header: hospital.to_owned(),
                    title: PaperKind::Prescription.name().to_owned(),
                    fields: fields(all),
                    items: rx
                        .items
                        .into_iter()
                        .map(|i| SlipItem {
                            name: format!("{} {}", i.name, i.specification).trim().to_owned(),
                            quantity: i.quantity,
                            amount_fen: None,
                            note: i.usage,
                        })
                        .collect(),
                    total_fen: None,
                    qr: Some(rx.number),
                    footer: vec!["自助打印，仅供本人查阅，不作购药凭证。".to_owned()],
                },
                paper: Paper::None,
            }
        }
    }
}

/// 收费凭条 of a payment the hospital has taken. The bill's lines are known only while it stands to be paid.
pub(crate) fn receipt(
    hospital: &str,
    person: &Person,
    paid: &BillPayment,
    receipt: Option<&BillReceipt>,
    bill: Option<&Bill>,
) -> Document {
    let at = paid.paid_at.local_text();
    let number = receipt.map(|r| r.receipt_number.clone()).unwrap_or_default();
    let collect_at = receipt.map(|r| r.collect_at.clone()).unwrap_or_default();
    let all = vec![
        field("姓名", &person.name),
        field("就诊号", &person.his_patient_id),
        field("收费项目", "处方药费"),
        field("支付方式", "手机支付"),
        field("交易号", &paid.channel_number),
        field("收费时间", &at),
        field("收据号", &number),
        field("取药窗口", &collect_at),
    ];
    let line = |i: &records::his::BillItem| SlipItem {
        name: format!("{} {}", i.name, i.specification).trim().to_owned(),
        quantity: i.quantity.clone(),
        amount_fen: Some(i.amount_fen),
        note: String::new(),
    };
    Document {
        key: format!("kiosk.receipt.{}", paid.order_number),
        title: format!("已支付 {}", yuan(paid.amount_fen)),
        lines: fields(vec![field("", &at), field("", &collect_at)])
            .into_iter()
            .map(|(_, value)| value)
            .collect(),
        kind: PaperKind::Receipt,
        slip: Slip {
            header: hospital.to_owned(),
            title: PaperKind::Receipt.name().to_owned(),
            fields: fields(all),
            items: bill.map(|b| b.items.iter().map(line).collect()).unwrap_or_default(),
            total_fen: Some(paid.amount_fen),
            qr: Some(if number.is_empty() {
                paid.order_number.clone()
            } else {
                number
            }),
            footer: vec!["自助打印的收费凭条，不作报销凭证；电子票据请在手机患者端查看。".to_owned()],
        },
        paper: Paper::None,
    }
}

fn result(item: LabItem) -> SlipItem {
    let mark = match item.flag.as_str() {
        "high" => " ↑",
        "low" => " ↓",
        _ => "",
    };
    SlipItem {
        name: item.name,
        quantity: format!("{} {}{mark}", item.result, item.unit).trim().to_owned(),
        amount_fen: None,
        note: if item.reference.is_empty() {
            String::new()
        } else {
            format!("参考 {}", item.reference)
        },
    }
}

/// How a job stands.
pub(crate) async fn look(hub: &Hub, printer: &str, key: &str) -> Result<Paper, StoreError> {
    use hub::State;
    let Some(job) = hub.job(key).await? else {
        return Ok(Paper::None);
    };
    Ok(match job.state {
        State::Waiting | State::Printing => match hub.out_of_order(printer) {
            Some(words) => Paper::Down(words.to_owned()),
            None => Paper::Printing,
        },
        State::Printed => Paper::Printed(job.copy),
        State::Unknown => Paper::Unsure,
        State::Failed => Paper::GivenUp,
    })
}

/// Prints a document that was not printed yet, or another copy of one that was, when `again` says so. A copy comes out at
/// the terminal where it was asked for, also when the first one was another's.
pub(crate) async fn print(
    hub: &Hub,
    config: &Config,
    printer: &str,
    document: &Document,
    again: bool,
) -> Result<Paper, StoreError> {
    let known = hub.job(&document.key).await?;
    let state = known.as_ref().map(|j| (j.state, j.copy));
    match state {
        Some((hub::State::Printed, copy)) if !again || copy >= MOST_COPIES => return Ok(Paper::Printed(copy)),
        Some((hub::State::Waiting | hub::State::Printing | hub::State::Unknown, _)) => {
            return look(hub, printer, &document.key).await;
        }
        Some(_) | None => {}
    }
    // Nothing is left behind that would come out after the person has gone.
    if let Some(words) = hub.out_of_order(printer) {
        return Ok(Paper::Down(words.to_owned()));
    }
    let job = PrintJob {
        key: document.key.clone(),
        printer: printer.to_owned(),
        subject: "kiosk".to_owned(),
        kind: document.kind,
        slip: document.slip.clone(),
    };
    if known.is_some() {
        // Somebody else may have asked meanwhile: then it is under way all the same.
        let _ = hub.reprint(job, &config.name).await?;
    } else {
        hub.print(job).await?;
    }
    look(hub, printer, &document.key).await
}

/// The person has gone: what is not on its way does not come out.
pub(crate) async fn withdraw(hub: &Hub, config: &Config, key: &str) -> Result<(), StoreError> {
    // Refused when it is printed or on its way, which is as it should be.
    let by = format!("{}，患者已离开", config.name);
    hub.decide_by(key, Step::Cancel, &by).await.map(drop)
}

#[cfg(test)]
mod tests {
    use records::his::{ExamReport, LabReport};

    use super::*;

    /// The laboratory's system and that of the examinations number for themselves: the one's report 1001 on paper is not the
    /// other's.
    #[test]
    fn reports_of_two_systems_with_one_number_are_two_documents() {
        let person = Person {
            his_patient_id: "P000001".to_owned(),
            name: "张建三".to_owned(),
        };
        let (number, name) = ("1001".to_owned(), "报告".to_owned());
        let lab = Content::Lab(LabReport {
            report_number: number.clone(),
            name: name.clone(),
            reported_at: Timestamp::default(),
            department_name: String::new(),
            items: Vec::new(),
        });
        let exam = Content::Exam(ExamReport {
            report_number: number,
            name,
            part: String::new(),
            reported_at: Timestamp::default(),
            department_name: String::new(),
            findings: String::new(),
            opinion: String::new(),
            image: String::new(),
        });
        assert_ne!(document("医院", &person, lab).key, document("医院", &person, exam).key);
    }
}
