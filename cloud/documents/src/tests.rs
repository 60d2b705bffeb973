//! A prescription as it leaves the press, read by somebody else's tools.

use std::process::Command;

use gm::certificate::{Draft, Identity, Purpose};
use gm::key::P256Key;
use gm::{Certificate, Trust, cms};
use records::document::{DocumentHerbal, DocumentItem, DocumentPatient, DocumentPerson, PrescriptionDocument};
use records::his::Diagnosis;
use records::{Fen, LocalDate, Timestamp};
use time::OffsetDateTime;

use treatment::medical_record::{Record, RecordDiagnosis, RecordDocument};

use crate::chart::Chart;
use crate::paper::{A4, Mark, Measure, Weight};
use crate::press::{FontFiles, Press};
use crate::seal::prepare;
use crate::sheet::{Sheet, Signatory, lay_out};

struct Square;

impl Measure for Square {
    fn width(&self, text: &str, _: Weight) -> f32 {
        text.chars().map(|c| if c.is_ascii() { 0.5 } else { 1.0 }).sum()
    }

    fn prints(&self, _: char, _: Weight) -> bool {
        true
    }
}

fn item(name: &str) -> DocumentItem {
    DocumentItem {
        code: "D1".into(),
        name: name.into(),
        specification: "5mg*28片".into(),
        dose: "5".into(),
        dose_unit: "mg".into(),
        route: "口服".into(),
        frequency: "每日一次".into(),
        days: 28,
        quantity: 1,
        quantity_unit: "盒".into(),
        amount_fen: Fen(3250),
        note: String::new(),
    }
}

fn signatory(name: &str, handwriting: Option<Vec<u8>>) -> Signatory {
    Signatory {
        name: name.into(),
        handwriting,
        certificate_serial: "4a0fb1c2d3e4f5061728394a5b6c7d8e".into(),
        signed_at: "2026-11-21 09:12:30".into(),
    }
}

fn handwriting() -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 60, 20);
    encoder.set_color(png::ColorType::Grayscale);
    let pixels: Vec<u8> = (0..1200u32).map(|i| if i % 61 < 3 { 0 } else { 255 }).collect();
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    file
}

fn sheet() -> Sheet {
    Sheet {
        document: PrescriptionDocument {
            format: "yiqiao.prescription/1".into(),
            number: "rx_01k9zzzzzzzzzzzzzzzzzzzzzz".into(),
            revision: 1,
            hospital: "永州市中心医院".into(),
            department: "心血管内科".into(),
            visit: "con_01k9zzzzzzzzzzzzzzzzzzzzzz".into(),
            patient: DocumentPatient {
                his_patient_id: "P1".into(),
                name: "陈桂兰".into(),
                sex: "F".into(),
                age: "63岁".into(),
                weight: String::new(),
            },
            doctor: DocumentPerson {
                id: "stf_1".into(),
                code: "D01".into(),
                name: "王建国".into(),
                title: "主任医师".into(),
            },
            diagnoses: vec![Diagnosis {
                code: "I10.x00".into(),
                name: "高血压病".into(),
                main: true,
            }],
            kind: "western".into(),
            items: vec![item("苯磺酸氨氯地平片"), item("阿托伐他汀钙片")],
            herbal: None,
            total_fen: Fen(6500),
            written_at: Timestamp::parse("2026-11-21T01:10:00Z").unwrap(),
            valid_until: LocalDate::parse("2026-11-23").unwrap(),
        },
        patient_number: "4311**********1228".into(),
        doctor: signatory("王建国", Some(handwriting())),
        pharmacist: signatory("李秀英", None),
        verify_url: "https://hospital.example/verify/7k2m9q4x1c8v5b3n".into(),
        verify_code: "7k2m9q4x1c8v5b3n".into(),
    }
}

fn press() -> Press {
    Press::load(&FontFiles::default()).expect("Debian package fonts-noto-cjk")
}

fn run(program: &str, arguments: &[&str], file: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.pdf");
    std::fs::write(&path, file).unwrap();
    let path = path.to_string_lossy().into_owned();
    let arguments: Vec<&str> = arguments
        .iter()
        .map(|a| if *a == "{}" { path.as_str() } else { a })
        .collect();
    let output = Command::new(program)
        .args(&arguments)
        .output()
        .expect("Debian package poppler-utils");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn letters(pages: &[Vec<Mark>]) -> String {
    let mut all = String::new();
    for mark in pages.iter().flatten() {
        if let Mark::Text { text, .. } = mark {
            all.push_str(text);
            all.push('\n');
        }
    }
    all
}

#[test]
fn everything_the_law_wants_on_the_form_is_on_it() {
    let pages = lay_out(&sheet(), &Square);
    assert_eq!(pages.len(), 1);
    let text = letters(&pages);
    for wanted in [
        "永州市中心医院",
        "互联网医院处方笺",
        "处方编号 rx_01k9zzzzzzzzzzzzzzzzzzzzzz",
        "姓名：陈桂兰",
        "性别：女",
        "年龄：63岁",
        "科别：心血管内科",
        "开具日期：2026-11-21",
        "临床诊断：高血压病（I10.x00）",
        "Rp.",
        "1. 苯磺酸氨氯地平片",
        "2. 阿托伐他汀钙片",
        "用法：每次 5mg，每日一次，口服，共 28 天",
        "药品金额：65.00 元",
        "有效期至 2026-11-23 24时",
        "医师：",
        "审核药师：",
        "李秀英",
        "验真码 7k2m9q4x1c8v5b3n",
    ] {
        assert!(text.contains(wanted), "{wanted} is missing in\n{text}");
    }
}

#[test]
fn herbs_stand_in_columns_and_long_prescriptions_turn_the_page_with_nothing_lost() {
    let mut herbal = sheet();
    herbal.document.kind = "herbal".into();
    herbal.document.herbal = Some(DocumentHerbal {
        doses: 7,
        decoction: true,
        decoction_fee_fen: Some(Fen(2_100)),
        usage: "水煎服，每日一剂，分两次温服".into(),
    });
    herbal.document.items = (0..14).map(|n| item(&format!("黄芪{n}"))).collect();
    let pages = lay_out(&herbal, &Square);
    assert_eq!(pages.len(), 1);
    for wanted in ["共 7 剂，医院代煎", "代煎费：21.00 元", "金额：65.00 元（含代煎费）"] {
        assert!(letters(&pages).contains(wanted), "{wanted}");
    }
    let mut long = sheet();
    for (n, item) in long.document.items.iter_mut().enumerate() {
        item.note = format!("{n}").repeat(900);
    }
    let pages = lay_out(&long, &Square);
    assert_eq!(pages.len(), 2);
    assert!(letters(&pages).matches('1').count() > 900);
    assert!(letters(&pages).contains("（续下页）"));
}

/// Rows: BJ-059
#[test]
fn the_press_prints_readable_chinese_and_a_readable_code() {
    let pdf = press().print(&sheet()).unwrap();
    assert!(pdf.len() < 200_000, "only the letters used are carried: {}", pdf.len());
    let text = run("pdftotext", &["-layout", "{}", "-"], &pdf);
    assert!(text.contains("苯磺酸氨氯地平片") && text.contains("陈桂兰"), "{text}");
    let fonts = run("pdffonts", &["{}"], &pdf);
    assert!(fonts.contains("NotoSansCJK") && !fonts.contains(" no  no "), "{fonts}");
}

/// What pdftotext reads, without blanks and line ends: a broken line counts as whole.
fn read(sheet: &Sheet) -> String {
    let text = run("pdftotext", &["{}", "-"], &press().print(sheet).unwrap());
    text.split_whitespace().collect()
}

#[test]
fn what_does_not_fit_shrinks_or_breaks_and_is_read_whole() {
    let long = |text: &str, times: usize| text.repeat(times);
    let mut sheet = sheet();
    let d = &mut sheet.document;
    d.hospital = long("湘江源头少数民族自治州", 4);
    d.department = long("介入血管与创面修复", 4);
    d.visit = "con_01m7yvvkjq91xnk6jnk8d40zpq".into();
    d.patient.name = "阿不都热合曼·买买提艾力·吐尔逊".into();
    d.items[0].name = long("复方盐酸伪麻黄碱缓释", 5);
    d.items[0].specification = long("0.3g:0.05g*12片*2板/盒", 4);
    d.items[1].note = long("餐后服用", 300);
    sheet.doctor.certificate_serial = "f".repeat(39) + "7";
    sheet.pharmacist.name = "古丽娜扎尔·阿卜杜热西提·买买提江".into();
    let text = read(&sheet);
    for wanted in [
        &sheet.document.hospital,
        &sheet.document.department,
        &sheet.document.visit,
        &sheet.document.patient.name,
        &sheet.document.items[0].specification,
        &sheet.doctor.certificate_serial,
        &sheet.pharmacist.name,
    ] {
        assert!(text.contains(wanted.as_str()), "{wanted} is not whole in\n{text}");
    }
    // The quantity stands at the end of the first line of the name.
    let name = text.replacen("×1盒", "", 1);
    assert_eq!(name.matches("复方盐酸伪麻黄碱缓释").count(), 5, "{text}");
    assert_eq!(
        text.replace("（续下页）", "").matches("餐后服用").count(),
        300,
        "{text}"
    );
    let marks = lay_out(&sheet, &press());
    for mark in marks.iter().flatten() {
        if let Mark::Text {
            x, size, weight, text, ..
        } = mark
        {
            let end = x + press().width(text, *weight) * size;
            assert!(*x >= 29.9 && end <= 390.0, "{text} reaches from {x} to {end}");
        }
    }
}

#[test]
fn herbs_with_long_remarks_stay_in_their_columns() {
    let mut sheet = sheet();
    sheet.document.kind = "herbal".into();
    let mut long = item("醋炙延胡索");
    long.note = "先煎三十分钟后与群药同煎再兑入阿胶烊化".into();
    sheet.document.items = vec![long.clone(), item("黄芪"), long];
    let text = read(&sheet);
    assert_eq!(text.matches("黄芪5mg").count(), 1, "{text}");
    for part in ["先煎三十分钟", "阿胶烊化"] {
        assert_eq!(text.matches(part).count(), 2, "{text}");
    }
}

#[test]
fn letters_without_a_picture_leave_a_box_and_lines_of_a_remark_a_blank() {
    let mut sheet = sheet();
    sheet.document.items[0].note = "饭后😀服\n𠮷日👨\u{200d}👩停".into();
    let text = read(&sheet);
    assert!(text.contains("饭后□服"), "{text}");
    assert!(text.contains("𠮷日□□停"), "{text}");
}

struct Hospital {
    key: P256Key,
    chain: Vec<Certificate>,
    now: OffsetDateTime,
}

fn hospital() -> Hospital {
    let now = OffsetDateTime::from_unix_timestamp(1_795_000_000).unwrap();
    let identity = |name: &str| Identity {
        common_name: name.into(),
        organization: "永州市中心医院".into(),
        ..Identity::default()
    };
    let root_key = P256Key::from_pkcs8(&P256Key::generate().unwrap()).unwrap();
    let key = P256Key::from_pkcs8(&P256Key::generate().unwrap()).unwrap();
    let draft = |subject, public_key, purpose| Draft {
        serial: [7; 16],
        subject,
        public_key,
        purpose,
        not_before: now - time::Duration::days(1),
        not_after: now + time::Duration::days(365),
    };
    use gm::key::Signer;
    let (root_name, seal_name) = (identity("根"), identity("电子签章"));
    let root = draft(&root_name, root_key.public_key(), Purpose::Authority { path_length: 0 })
        .issue(None, &root_key)
        .unwrap();
    let seal = draft(&seal_name, key.public_key(), Purpose::Documents);
    let seal = seal.issue(Some(&root), &root_key).unwrap();
    Hospital {
        key,
        chain: vec![seal, root],
        now,
    }
}

fn sealed(hospital: &Hospital) -> Vec<u8> {
    let pdf = press().print(&sheet()).unwrap();
    let prepared = prepare(
        pdf,
        "永州市中心医院",
        "处方笺电子签章",
        Timestamp::from_offset(hospital.now),
    )
    .unwrap();
    let digest = prepared.digest();
    let message = cms::Unsigned::new(&digest, hospital.now, &hospital.chain).unwrap();
    let message = message.sign(&hospital.key).unwrap();
    let trust = Trust::new([hospital.chain[1].der.as_slice()]).unwrap();
    cms::verify(&message, cms::Content::Digest(&digest), &trust, hospital.now).unwrap();
    prepared.seal(&message).unwrap()
}

/// Rows: BJ-060
#[test]
fn a_sealed_prescription_is_valid_for_pdfsig_and_one_flipped_byte_is_not() {
    let hospital = hospital();
    let good = sealed(&hospital);
    let report = run("pdfsig", &["-nocert", "{}"], &good);
    assert!(report.contains("Signature is Valid."), "{report}");
    assert!(report.contains("Total document signed"), "{report}");
    assert!(report.contains("SHA-256"), "{report}");
    assert!(run("pdftotext", &["{}", "-"], &good).contains("陈桂兰"));
    let mut bad = good.clone();
    // A digit of the metadata's or content's bytes: well within the signed range.
    let place = bad.len() / 3;
    bad[place] ^= 1;
    let report = run("pdfsig", &["-nocert", "{}"], &bad);
    assert!(report.contains("Digest Mismatch"), "{report}");
}

#[test]
fn what_is_no_pdf_is_not_sealed_and_an_oversized_signature_is_refused() {
    let at = Timestamp::from_seconds(0);
    assert!(prepare(b"not a pdf".to_vec(), "", "", at).is_err());
    let pdf = press().print(&sheet()).unwrap();
    assert!(prepare(pdf, "医院", "", at).unwrap().seal(&[0; 13 * 1024]).is_err());
}

fn chart() -> Chart {
    let words = |text: &str| text.to_owned();
    Chart {
        document: RecordDocument {
            format: "yiqiao.record/1".into(),
            visit: "con_01k9zzzzzzzzzzzzzzzzzzzzzz".into(),
            version: 2,
            hospital: "永州市中心医院".into(),
            department: "心血管内科".into(),
            patient: sheet().document.patient,
            doctor: sheet().document.doctor,
            record: Record {
                chief_complaint: words("头晕3天，加重1天"),
                present_history: words(
                    "患者3天前无明显诱因出现头晕，呈昏沉感，\n与体位无关，无视物旋转。\n\n自测血压165/95mmHg。",
                ),
                past_history: words("高血压病史10年，规律服药"),
                allergies: String::new(),
                examination: words("线上未查体；上传血压记录"),
                diagnoses: ["I10.x00 高血压病", "E78.500 高脂血症"]
                    .iter()
                    .map(|d| RecordDiagnosis {
                        code: d[..7].into(),
                        name: d[8..].into(),
                        main: d.starts_with('I'),
                    })
                    .collect(),
                advice: words("1. 低盐饮食，每日测血压。\n2. 继续氨氯地平5mg每日一次。\n3. 两周后复诊。"),
            },
            saved_at: Timestamp::parse("2026-11-21T01:10:00Z").unwrap(),
        },
        document_sm3: "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0".into(),
        patient_number: "4311**********1228".into(),
        doctor: signatory("王建国", Some(handwriting())),
        verify_url: "https://hospital.example/verify/7k2m9q4x1c8v5b3n".into(),
        verify_code: "7k2m9q4x1c8v5b3n".into(),
    }
}

#[test]
fn a_record_names_everything_the_standard_wants_and_says_what_was_left_empty() {
    let pages = crate::chart::lay_out(&chart(), &Square);
    assert_eq!(pages.len(), 1);
    let text = letters(&pages);
    for wanted in [
        "永州市中心医院",
        "互联网医院门诊病历",
        "姓名：陈桂兰",
        "年龄：63岁",
        "科别：心血管内科",
        "接诊医师：王建国 主任医师",
        "记录时间：2026-11-21 09:10",
        "主诉：",
        "过敏史：",
        "未记录",
        "自测血压165/95mmHg。",
        "1. 高血压病  I10.x00（主要诊断）",
        "2. 高脂血症  E78.500",
        "2. 继续氨氯地平5mg每日一次。",
        "医师：",
        "第 2 版",
        "第 1 页 / 共 1 页",
        "验真码 7k2m9q4x1c8v5b3n",
    ] {
        assert!(text.contains(wanted), "{wanted} is missing in\n{text}");
    }
}

#[test]
fn a_long_record_goes_over_pages_whole_and_every_page_says_whose_it_is() {
    let mut long = chart();
    long.document.record.present_history = "患者反复头晕伴心悸。".repeat(400);
    long.document.record.advice = "规律服药，定期复诊，监测血压。\n".repeat(60);
    long.document.record.diagnoses = (0..20)
        .map(|n| RecordDiagnosis {
            code: format!("I10.x{n:02}"),
            name: "高血压病".repeat(12),
            main: n == 0,
        })
        .collect();
    let pages = crate::chart::lay_out(&long, &press());
    assert!(pages.len() > 3, "{}", pages.len());
    for (n, page) in pages.iter().enumerate() {
        let text = letters(std::slice::from_ref(page));
        assert!(
            text.contains(&format!("第 {} 页 / 共 {} 页", n + 1, pages.len())),
            "{text}"
        );
        assert!(
            text.contains("陈桂兰  就诊号 con_01k9zzzzzzzzzzzzzzzzzzzzzz  第 2 版"),
            "{text}"
        );
        for mark in page {
            if let Mark::Text {
                x,
                y,
                size,
                weight,
                text,
                ..
            } = mark
            {
                let end = x + press().width(text, *weight) * size;
                assert!(*x >= 53.9 && end <= 541.5, "{text} reaches from {x} to {end}");
                assert!(*y <= A4.height - A4.margin + 5.0, "{text} stands at {y}");
            }
        }
    }
    let pdf = press().print_chart(&long).unwrap();
    let text: String = run("pdftotext", &["{}", "-"], &pdf).split_whitespace().collect();
    // A page's end may stand between the letters of a sentence; the letters themselves are all there.
    assert_eq!(text.matches('悸').count(), 400);
    assert_eq!(text.matches("监测").count(), 60);
}
