//! Layout of the medical record of an online visit (WS/T 500.2, C0002 门急诊病历): who and when at the top of the first page,
//! the record in the order of the standard, the doctor's signature with its evidence after the last word. Every page names
//! patient, visit and its place among the pages, so that a leaf that got loose is found again.

use treatment::medical_record::RecordDocument;

use crate::paper::{A4, Ink, Mark, Measure, Pen, Weight};
use crate::sheet::{Signatory, qr, signatory};

/// What is printed.
#[derive(Clone, Debug)]
pub struct Chart {
    /// The document the doctor signed.
    pub document: RecordDocument,
    /// SM3 of its bytes, hexadecimal.
    pub document_sm3: String,
    /// The patient's identity or card number as it may be shown, already masked.
    pub patient_number: String,
    /// The doctor.
    pub doctor: Signatory,
    /// Address of the public verification page.
    pub verify_url: String,
    /// The code by itself, for typing.
    pub verify_code: String,
}

const LEFT: f32 = A4.margin;
const RIGHT: f32 = A4.right();
/// Text ends here; below stand the patient's name and the number of the page.
const FOOT: f32 = A4.height - A4.margin - 12.0;
/// Letters of the record, and from line to line.
const SIZE: f32 = 10.5;
const LEAD: f32 = 17.0;
/// Where the words of a section begin; its name stands in front.
const INDENT: f32 = 74.0;
/// Height of the signature's block.
const BLOCK: f32 = 126.0;
const QR_SIDE: f32 = 74.0;

/// Lays the record out on as many pages as it needs.
pub fn lay_out(chart: &Chart, measure: &dyn Measure) -> Vec<Vec<Mark>> {
    let mut pen = Pen::new(measure, A4);
    head(&mut pen, chart);
    body(&mut pen, &chart.document);
    signed(&mut pen, chart);
    let d = &chart.document;
    let whose = format!("{}  就诊号 {}  第 {} 版", d.patient.name, d.visit, d.version);
    let last = A4.height - A4.margin + 4.0;
    pen.on_each(|pen, page, many| {
        pen.rule(last - 12.0, 0.4);
        pen.text_at(LEFT, last, 8.0, Weight::Regular, Ink::Grey, &whose);
        let place = format!("第 {page} 页 / 共 {many} 页");
        pen.right(RIGHT, last, 8.0, Weight::Regular, Ink::Grey, &place);
    });
    pen.finish()
}

fn head(pen: &mut Pen<'_>, chart: &Chart) {
    let d = &chart.document;
    let named = pen.centre(LEFT + 16.0, 18.0, Weight::Bold, &d.hospital, A4.inner());
    let titled = pen.centre(named + 24.0, 14.0, Weight::Bold, "互联网医院门诊病历", A4.inner());
    pen.rule(titled + 12.0, 1.0);
    pen.y = titled + 30.0;
    let sex = match d.patient.sex.as_str() {
        "M" => "男",
        "F" => "女",
        _ => "未知",
    };
    let saved = d.saved_at.local_text();
    let doctor = format!("{} {}", d.doctor.name, d.doctor.title);
    fields(
        pen,
        &[("姓名", &d.patient.name), ("性别", sex), ("年龄", &d.patient.age)],
    );
    fields(
        pen,
        &[
            ("证件号", &chart.patient_number),
            ("院内患者号", &d.patient.his_patient_id),
        ],
    );
    fields(pen, &[("科别", &d.department), ("接诊医师", doctor.trim())]);
    fields(pen, &[("就诊号", &d.visit), ("记录时间", &saved)]);
    pen.rule(pen.y - 10.0, 0.5);
    pen.y += 10.0;
}

/// Texts side by side, each whole in its column: smaller or in several lines where it does not fit.
fn fields(pen: &mut Pen<'_>, fields: &[(&str, &str)]) {
    let each = A4.inner() / fields.len().max(1) as f32;
    let mut lowest = pen.y;
    for (column, (label, value)) in fields.iter().enumerate() {
        let (size, lines) = pen.fitted(&format!("{label}：{value}"), SIZE, Weight::Regular, each - 6.0);
        for (n, line) in lines.iter().enumerate() {
            let (x, y) = (each.mul_add(column as f32, LEFT), 12.0f32.mul_add(n as f32, pen.y));
            pen.text_at(x, y, size, Weight::Regular, Ink::Black, line);
            lowest = lowest.max(y);
        }
    }
    pen.y = lowest + LEAD;
}

fn body(pen: &mut Pen<'_>, d: &RecordDocument) {
    let r = &d.record;
    section(pen, "主诉", &r.chief_complaint);
    section(pen, "现病史", &r.present_history);
    section(pen, "既往史", &r.past_history);
    section(pen, "过敏史", &r.allergies);
    section(pen, "检查所见", &r.examination);
    let diagnoses: Vec<_> = r
        .diagnoses()
        .iter()
        .enumerate()
        .map(|(n, x)| {
            let main = if x.main { "（主要诊断）" } else { "" };
            format!("{}. {}  {}{main}", n + 1, x.name, x.code)
        })
        .collect();
    section(pen, "诊断", &diagnoses.join("\n"));
    section(pen, "处理意见", &r.advice);
}

/// A section with its name in front; the doctor's line ends stay. What was left empty says so: nobody adds to it later.
fn section(pen: &mut Pen<'_>, name: &str, words: &str) {
    let (words, ink) = match words.trim() {
        "" => ("未记录", Ink::Grey),
        words => (words, Ink::Black),
    };
    next_page_unless(pen, LEAD);
    let y = pen.y;
    pen.text_at(LEFT, y, SIZE, Weight::Bold, Ink::Black, &format!("{name}："));
    for paragraph in words.lines().map(str::trim_end) {
        if paragraph.is_empty() {
            pen.y += LEAD / 2.0;
        }
        for line in pen.broken(paragraph, SIZE, Weight::Regular, RIGHT - LEFT - INDENT) {
            next_page_unless(pen, LEAD);
            let y = pen.y;
            pen.text_at(LEFT + INDENT, y, SIZE, Weight::Regular, ink, &line);
            pen.y += LEAD;
        }
    }
    pen.y += 7.0;
}

fn next_page_unless(pen: &mut Pen<'_>, height: f32) {
    if !pen.fits(height, FOOT) {
        pen.turn();
        pen.y += SIZE;
    }
}

/// The doctor's signature, what proves it, and the way to check it; never torn apart by the end of a page.
fn signed(pen: &mut Pen<'_>, chart: &Chart) {
    if !pen.fits(BLOCK, FOOT) {
        pen.turn();
    }
    let y = pen.y;
    pen.rule(y, 0.8);
    signatory(pen, LEFT, y + 10.0, "医师", &chart.doctor);
    let evidence = [
        "签名方式  医师个人证书，SM2/SM3（GB/T 35275）".to_owned(),
        format!("签署时间  {}", chart.doctor.signed_at),
        format!("病历摘要  SM3 {}", chart.document_sm3),
    ];
    let width = A4.inner() - QR_SIDE - 150.0 - 16.0;
    let mut line_y = y + 18.0;
    for text in evidence {
        for line in pen.broken(&text, 8.0, Weight::Regular, width) {
            pen.text_at(LEFT + 150.0, line_y, 8.0, Weight::Regular, Ink::Grey, &line);
            line_y += 11.0;
        }
    }
    qr(pen, RIGHT - QR_SIDE, y + 10.0, QR_SIDE, &chart.verify_url);
    let code = format!("验真码 {}", chart.verify_code);
    pen.right(
        RIGHT,
        y + 10.0 + QR_SIDE + 10.0,
        7.5,
        Weight::Regular,
        Ink::Black,
        &code,
    );
    pen.text_at(
        LEFT,
        y + 112.0,
        8.5,
        Weight::Regular,
        Ink::Red,
        "本病历由医师电子签名，并经医院电子签章（含时间戳）；纸质件以扫码验真结果为准。",
    );
    pen.y = y + BLOCK;
}
