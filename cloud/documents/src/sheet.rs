//! Layout of the prescription form: 前记 (who and when), 正文 (Rp), 后记 (sum and signatures), as 处方管理办法 annex 1 orders
//! it.

use qrcode::QrCode;
use records::document::{DocumentItem, PrescriptionDocument};

use crate::paper::{HEIGHT, Ink, MARGIN, Mark, Measure, Pen, WIDTH, Weight};

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

const RIGHT: f32 = WIDTH - MARGIN;
const FOOT: f32 = HEIGHT - MARGIN - 122.0;
const QR_SIDE: f32 = 62.0;

/// Lays the form out; more than one page only when the lines do not fit.
pub fn lay_out(sheet: &Sheet, measure: &dyn Measure) -> Vec<Vec<Mark>> {
    let mut pen = Pen::new(measure);
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
    pen.centre(MARGIN + 14.0, 15.0, Weight::Bold, &d.hospital);
    pen.centre(MARGIN + 32.0, 12.0, Weight::Bold, &format!("互联网医院{title}"));
    pen.right(RIGHT, MARGIN + 12.0, 9.0, Weight::Bold, Ink::Black, "普通");
    let y = MARGIN + 48.0;
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
    let mut x = MARGIN;
    let (y, each) = (pen.y, (RIGHT - MARGIN) / present.len().max(1) as f32);
    for (label, value) in present {
        let text = format!("{label}：{value}");
        let line = pen.broken(&text, 9.0, Weight::Regular, each - 4.0).into_iter().next();
        pen.text_at(x, y, 9.0, Weight::Regular, Ink::Black, &line.unwrap_or_default());
        x += each;
    }
    pen.y += 14.0;
}

fn paragraph(pen: &mut Pen<'_>, text: &str, size: f32, x: f32, width: f32) {
    for line in pen.broken(text, size, Weight::Regular, width) {
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
    let height = 14.0 + 13.5 * (lines(&usage) + note.as_deref().map_or(0, lines)) as f32 + 5.0;
    next_page_unless(pen, height);
    let y = pen.y;
    let wide = pen.width(&name, 10.0, Weight::Bold);
    pen.text_at(MARGIN, y, 10.0, Weight::Bold, Ink::Black, &name);
    pen.text_at(
        MARGIN + wide + 8.0,
        y,
        9.0,
        Weight::Regular,
        Ink::Black,
        &item.specification,
    );
    pen.right(RIGHT, y, 10.0, Weight::Regular, Ink::Black, &quantity);
    pen.y += 14.0;
    paragraph(pen, &usage, 9.0, MARGIN + 16.0, inner);
    if let Some(note) = note {
        paragraph(pen, &note, 9.0, MARGIN + 16.0, inner);
    }
    pen.y += 5.0;
}

fn herbs(pen: &mut Pen<'_>, sheet: &Sheet) {
    const COLUMNS: usize = 3;
    let each = (RIGHT - MARGIN) / COLUMNS as f32;
    for row in sheet.document.items.chunks(COLUMNS) {
        next_page_unless(pen, 16.0);
        let y = pen.y;
        for (column, item) in row.iter().enumerate() {
            let note = if item.note.is_empty() {
                String::new()
            } else {
                format!("（{}）", item.note)
            };
            let text = format!("{} {}{}{note}", item.name, item.dose, item.dose_unit);
            pen.text_at(
                MARGIN + each * column as f32,
                y,
                9.5,
                Weight::Regular,
                Ink::Black,
                &text,
            );
        }
        pen.y += 16.0;
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
    qr(pen, RIGHT - QR_SIDE, y + 22.0, &sheet.verify_url);
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

fn signatory(pen: &mut Pen<'_>, x: f32, y: f32, role: &str, who: &Signatory) {
    pen.text_at(x, y + 16.0, 9.0, Weight::Regular, Ink::Black, &format!("{role}："));
    let label = pen.width(&format!("{role}："), 9.0, Weight::Regular);
    match &who.handwriting {
        Some(png) => pen.picture(x + label, y, 132.0 - label, 28.0, png),
        None => pen.text_at(x + label, y + 16.0, 11.0, Weight::Bold, Ink::Black, &who.name),
    }
    let small = |pen: &mut Pen<'_>, dy: f32, text: &str| {
        pen.text_at(x, y + dy, 6.5, Weight::Regular, Ink::Grey, text);
    };
    small(pen, 37.0, &format!("{} {}", who.name, who.signed_at));
    let serial = pen.broken(&format!("证书 {}", who.certificate_serial), 6.5, Weight::Regular, 134.0);
    for (n, line) in serial.iter().take(2).enumerate() {
        small(pen, 46.0 + 8.0 * n as f32, line);
    }
}

fn qr(pen: &mut Pen<'_>, x: f32, y: f32, content: &str) {
    // Too long for a QR code: the code can still be typed.
    let Ok(code) = QrCode::new(content.as_bytes()) else {
        return;
    };
    let modules = code.width();
    let side = QR_SIDE / modules as f32;
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
