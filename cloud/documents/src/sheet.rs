//! Layout of the prescription form: 前记 (who and when), 正文 (Rp), 后记 (sum and signatures), as 处方管理办法 annex 1 orders
//! it.

use qrcode::QrCode;
use records::document::{DocumentItem, PrescriptionDocument};

use crate::paper::{A5, Ink, Mark, Measure, Pen, Weight};

/// What is printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sheet {
    /// The document the doctor signed.
    pub document: PrescriptionDocument,
    /// The patient's identity or card number as it may be shown, already masked.
    pub patient_number: String,
    /// The doctor.
    pub doctor: Signatory,
    /// The reviewing pharmacist.
    pub pharmacist: Signatory,
    /// Address of the public verification page.
    pub verify_url: String,
    /// The code by itself, for typing.
    pub verify_code: String,
}

/// Somebody who signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signatory {
    /// Name, printed when there is no picture.
    pub name: String,
    /// Handwritten signature, PNG.
    pub handwriting: Option<Vec<u8>>,
    /// Serial number of the certificate.
    pub certificate_serial: String,
    /// When, in China time.
    pub signed_at: String,
}

const MARGIN: f32 = A5.margin;
const HEIGHT: f32 = A5.height;
const RIGHT: f32 = A5.right();
const FOOT: f32 = HEIGHT - MARGIN - 122.0;
const QR_SIDE: f32 = 62.0;
/// From line to line where a text had to be broken at its smallest.
const LEAD: f32 = 9.0;

/// Lays the form out; more than one page only when the lines do not fit.
pub fn lay_out(sheet: &Sheet, measure: &dyn Measure) -> Vec<Vec<Mark>> {
    let mut pen = Pen::new(measure, A5);
    head(&mut pen, sheet);
    body(&mut pen, sheet);
    foot(&mut pen, sheet);
    pen.finish()
}

fn head(pen: &mut Pen<'_>, sheet: &Sheet) {
    let d = &sheet.document;
    let title = if d.kind == "herbal" {
        "中药饮片处方笺"
    } else {
        "处方笺"
    };
    // The corner says 普通: a long name stays clear of it on both sides.
    let clear = RIGHT - MARGIN - 60.0;
    let named = pen.centre(MARGIN + 14.0, 15.0, Weight::Bold, &d.hospital, clear);
    let titled = format!("互联网医院{title}");
    let titled = pen.centre(named + 18.0, 12.0, Weight::Bold, &titled, clear);
    pen.right(RIGHT, MARGIN + 12.0, 9.0, Weight::Bold, Ink::Black, "普通");
    let y = titled + 16.0;
    pen.text_at(
        MARGIN,
        y,
        7.5,
        Weight::Regular,
        Ink::Grey,
        &format!("处方编号 {}", d.number),
    );
    pen.right(
        RIGHT,
        y,
        7.5,
        Weight::Regular,
        Ink::Grey,
        &format!("第 {} 版", d.revision),
    );
    pen.rule(y + 4.0, 0.8);
    pen.y = y + 18.0;
    let sex = match d.patient.sex.as_str() {
        "M" => "男",
        "F" => "女",
        _ => "未知",
    };
    let weight = if d.patient.weight.is_empty() {
        String::new()
    } else {
        format!("{} kg", d.patient.weight)
    };
    fields(
        pen,
        &[
            ("姓名", &d.patient.name),
            ("性别", sex),
            ("年龄", &d.patient.age),
            ("体重", &weight),
        ],
    );
    fields(pen, &[("科别", &d.department), ("证件号", &sheet.patient_number)]);
    let day = d.written_at.local_date().to_string();
    fields(pen, &[("开具日期", &day), ("就诊号", &d.visit)]);
    let diagnoses: Vec<_> = d
        .diagnoses
        .iter()
        .map(|x| format!("{}（{}）", x.name, x.code))
        .collect();
    paragraph(
        pen,
        &format!("临床诊断：{}", diagnoses.join("；")),
        9.0,
        MARGIN,
        RIGHT - MARGIN,
    );
    pen.rule(pen.y - 6.0, 0.5);
    pen.y += 12.0;
}

fn fields(pen: &mut Pen<'_>, fields: &[(&str, &str)]) {
    let present: Vec<_> = fields.iter().filter(|(_, value)| !value.is_empty()).collect();
    let each = (RIGHT - MARGIN) / present.len().max(1) as f32;
    let cells: Vec<_> = present
        .iter()
        .map(|(label, value)| format!("{label}：{value}"))
        .collect();
    row(pen, &cells, 9.0, each, 14.0);
}

/// Texts side by side, each whole in its column; the row is as high as its highest cell.
fn row(pen: &mut Pen<'_>, cells: &[String], size: f32, each: f32, height: f32) {
    let cells: Vec<_> = cells
        .iter()
        .map(|text| pen.fitted(text, size, Weight::Regular, each - 4.0))
        .collect();
    let most = cells.iter().map(|(_, lines)| lines.len()).max().unwrap_or(1).max(1);
    let more = (most - 1) as f32 * LEAD;
    next_page_unless(pen, height + more);
    let y = pen.y;
    for (column, (size, lines)) in cells.iter().enumerate() {
        for (n, line) in lines.iter().enumerate() {
            let (x, y) = (each.mul_add(column as f32, MARGIN), LEAD.mul_add(n as f32, y));
            pen.text_at(x, y, *size, Weight::Regular, Ink::Black, line);
        }
    }
    pen.y += height + more;
}

fn paragraph(pen: &mut Pen<'_>, text: &str, size: f32, x: f32, width: f32) {
    for line in pen.broken(text, size, Weight::Regular, width) {
        next_page_unless(pen, size);
        let y = pen.y;
        pen.text_at(x, y, size, Weight::Regular, Ink::Black, &line);
        pen.y += size + 4.5;
    }
}

fn body(pen: &mut Pen<'_>, sheet: &Sheet) {
    let y = pen.y;
    pen.text_at(MARGIN, y, 14.0, Weight::Bold, Ink::Black, "Rp.");
    pen.y += 18.0;
    if sheet.document.kind == "herbal" {
        herbs(pen, sheet);
    } else {
        for (n, item) in sheet.document.items.iter().enumerate() {
            drug(pen, n + 1, item);
        }
    }
    let y = pen.y;
    pen.text_at(MARGIN, y, 9.0, Weight::Regular, Ink::Grey, "———（以下空白）———");
}

fn drug(pen: &mut Pen<'_>, number: usize, item: &DocumentItem) {
    let name = format!("{number}. {}", item.name);
    let quantity = format!("× {}{}", item.quantity, item.quantity_unit);
    let usage = format!(
        "用法：每次 {}{}，{}，{}，共 {} 天",
        item.dose, item.dose_unit, item.frequency, item.route, item.days
    );
    let note = (!item.note.is_empty()).then(|| format!("备注：{}", item.note));
    let inner = RIGHT - MARGIN - 16.0;
    let lines = |t: &str| pen.broken(t, 9.0, Weight::Regular, inner).len();
    // Name, specification and quantity share a line when all are whole on it; otherwise the specification goes below.
    let free = RIGHT - MARGIN - pen.width(&quantity, 10.0, Weight::Regular) - 8.0;
    let (wide, spec) = (pen.width(&name, 10.0, Weight::Bold), &item.specification);
    let beside = wide + 8.0 + pen.width(spec, 9.0, Weight::Regular) <= free;
    let names = pen.broken(&name, 10.0, Weight::Bold, free);
    let below = if beside { 0 } else { lines(spec) };
    let text = below + lines(&usage) + note.as_deref().map_or(0, lines);
    let height = 14.0f32.mul_add(names.len() as f32, 13.5 * text as f32) + 5.0;
    // One that fills more than a page begins here; its lines turn the page themselves.
    next_page_unless(pen, height.min(FOOT - MARGIN - 60.0));
    let y = pen.y;
    for line in &names {
        let y = pen.y;
        pen.text_at(MARGIN, y, 10.0, Weight::Bold, Ink::Black, line);
        pen.y += 14.0;
    }
    pen.right(RIGHT, y, 10.0, Weight::Regular, Ink::Black, &quantity);
    if beside {
        pen.text_at(MARGIN + wide + 8.0, y, 9.0, Weight::Regular, Ink::Black, spec);
    } else {
        paragraph(pen, spec, 9.0, MARGIN + 16.0, inner);
    }
    paragraph(pen, &usage, 9.0, MARGIN + 16.0, inner);
    if let Some(note) = note {
        paragraph(pen, &note, 9.0, MARGIN + 16.0, inner);
    }
    pen.y += 5.0;
}

fn herbs(pen: &mut Pen<'_>, sheet: &Sheet) {
    const COLUMNS: usize = 3;
    let each = (RIGHT - MARGIN) / COLUMNS as f32;
    for herbs in sheet.document.items.chunks(COLUMNS) {
        let cells: Vec<_> = herbs.iter().map(herb).collect();
        row(pen, &cells, 9.5, each, 16.0);
    }
    if let Some(h) = &sheet.document.herbal {
        next_page_unless(pen, 48.0);
        let decoction = if h.decoction { "，医院代煎" } else { "" };
        pen.y += 4.0;
        paragraph(
            pen,
            &format!("共 {} 剂{decoction}", h.doses),
            10.0,
            MARGIN,
            RIGHT - MARGIN,
        );
        paragraph(pen, &format!("用法：{}", h.usage), 9.0, MARGIN, RIGHT - MARGIN);
        if let Some(fee) = h.decoction_fee_fen {
            paragraph(pen, &format!("代煎费：{fee} 元"), 9.0, MARGIN, RIGHT - MARGIN);
        }
    }
}

fn herb(item: &DocumentItem) -> String {
    let note = if item.note.is_empty() {
        String::new()
    } else {
        format!("（{}）", item.note)
    };
    format!("{} {}{}{note}", item.name, item.dose, item.dose_unit)
}

fn next_page_unless(pen: &mut Pen<'_>, height: f32) {
    if !pen.fits(height, FOOT) {
        let y = pen.y;
        pen.text_at(MARGIN, y, 8.0, Weight::Regular, Ink::Grey, "（续下页）");
        pen.turn();
        pen.y += 12.0;
    }
}

fn foot(pen: &mut Pen<'_>, sheet: &Sheet) {
    let d = &sheet.document;
    let y = FOOT + 8.0;
    pen.rule(y, 0.8);
    pen.text_at(MARGIN, y + 14.0, 10.0, Weight::Bold, Ink::Black, &sum(d));
    let until = format!("有效期至 {} 24时", d.valid_until);
    pen.right(RIGHT, y + 14.0, 9.0, Weight::Regular, Ink::Black, &until);
    signatory(pen, MARGIN, y + 22.0, "医师", &sheet.doctor);
    signatory(pen, MARGIN + 142.0, y + 22.0, "审核药师", &sheet.pharmacist);
    qr(pen, RIGHT - QR_SIDE, y + 22.0, QR_SIDE, &sheet.verify_url);
    let code = format!("验真码 {}", sheet.verify_code);
    pen.right(RIGHT, y + 22.0 + QR_SIDE + 9.0, 6.5, Weight::Regular, Ink::Black, &code);
    let last = HEIGHT - MARGIN;
    pen.text_at(
        MARGIN,
        last - 9.0,
        7.0,
        Weight::Regular,
        Ink::Red,
        "本处方由医师、药师以电子签名签署，并经医院电子签章；扫码可验真。",
    );
    pen.text_at(
        MARGIN,
        last,
        7.0,
        Weight::Regular,
        Ink::Grey,
        "仅限本人使用。请遵医嘱服药；如有不适，请及时到医院就诊。",
    );
}

/// The sum as signed; what the hospital takes for decocting is no price of drugs and is named apart.
fn sum(d: &PrescriptionDocument) -> String {
    match d.herbal.as_ref().and_then(|h| h.decoction_fee_fen) {
        Some(_) => format!("金额：{} 元（含代煎费）", d.total_fen),
        None => format!("药品金额：{} 元", d.total_fen),
    }
}

pub(crate) fn signatory(pen: &mut Pen<'_>, x: f32, y: f32, role: &str, who: &Signatory) {
    pen.text_at(x, y + 16.0, 9.0, Weight::Regular, Ink::Black, &format!("{role}："));
    let label = pen.width(&format!("{role}："), 9.0, Weight::Regular);
    match &who.handwriting {
        Some(png) => pen.picture(x + label, y, 132.0 - label, 28.0, png),
        None => {
            let (size, lines) = pen.fitted(&who.name, 11.0, Weight::Bold, 132.0 - label);
            for (n, line) in lines.iter().enumerate() {
                let y = LEAD.mul_add(n as f32, y + 16.0);
                pen.text_at(x + label, y, size, Weight::Bold, Ink::Black, line);
            }
        }
    }
    let mut y = y + 37.0;
    for text in [
        format!("{} {}", who.name, who.signed_at),
        format!("证书 {}", who.certificate_serial),
    ] {
        for line in pen.broken(&text, 6.5, Weight::Regular, 134.0) {
            pen.text_at(x, y, 6.5, Weight::Regular, Ink::Grey, &line);
            y += 8.5;
        }
    }
}

pub(crate) fn qr(pen: &mut Pen<'_>, x: f32, y: f32, side: f32, content: &str) {
    // Too long for a QR code: the code can still be typed.
    let Ok(code) = QrCode::new(content.as_bytes()) else {
        return;
    };
    let modules = code.width();
    let side = side / modules as f32;
    for (row, cells) in code.to_colors().chunks(modules).enumerate() {
        let mut column = 0;
        // One bar per run of dark modules: no hair lines between neighbours.
        while column < modules {
            let run = cells
                .iter()
                .skip(column)
                .take_while(|c| **c == qrcode::Color::Dark)
                .count();
            if run > 0 {
                let (bx, by) = (x + side * column as f32, y + side * row as f32);
                pen.bar(bx, by, side * run as f32, side + 0.05);
            }
            column += run.max(1);
        }
    }
}
