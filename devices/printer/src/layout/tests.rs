use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::sheet::Media;

fn font() -> Font {
    Font::load(Path::new("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"), 2).unwrap()
}

fn slip() -> Slip {
    Slip {
        mark: None,
        header: "滨河市第一人民医院".into(),
        title: "取药凭条".into(),
        fields: vec![
            ("姓名".into(), "欧阳𬭩娜".into()),
            ("取药窗口".into(), "门诊药房 3 号窗口".into()),
        ],
        items: vec![Item {
            name: "苯磺酸氨氯地平片 5mg*28片".into(),
            quantity: "2盒".into(),
            amount: "61.60".into(),
            note: "口服 每日一次 每次5mg".into(),
        }],
        total: Some("61.60".into()),
        qr: Some("YQ-8F3K-2210".into()),
        footer: vec!["请于三日内凭码取药。".into()],
    }
}

fn text(text: &str, size_pt: u8, fit: Fit) -> Element {
    Element::Text {
        text: text.into(),
        size_pt,
        weight: Weight::Normal,
        align: Align::Left,
        fit,
    }
}

fn elements() -> Vec<Element> {
    vec![
        text("滨河市第一人民医院", 14, Fit::Shrink),
        Element::Rule { dashed: false },
        Element::Fields {
            only: vec![],
            size_pt: 10,
        },
        Element::Items {
            size_pt: 10,
            notes: true,
        },
        Element::Qr {
            content: "YQ-8F3K-2210".into(),
            side_mm: 25,
            caption: true,
        },
        Element::Footer { size_pt: 8 },
    ]
}

fn one(elements: &[Element], sheet: &Sheet) -> Raster {
    let mut pages = render(elements, &slip(), &font(), sheet);
    assert_eq!(pages.len(), 1);
    pages.remove(0)
}

fn decode_qr(raster: &Raster) -> Vec<String> {
    let (w, h) = (raster.width() as usize, raster.height() as usize);
    let mut image =
        rqrr::PreparedImage::prepare_from_greyscale(w, h, |x, y| if raster.get(x as u32, y as u32) { 0 } else { 255 });
    image
        .detect_grids()
        .into_iter()
        .filter_map(|g| g.decode().ok())
        .map(|d| d.1)
        .collect()
}

fn ink(raster: &Raster) -> u32 {
    raster.ink(0, 0, raster.width(), raster.height())
}

#[test]
fn a_slip_is_legible_on_every_paper_at_both_resolutions() {
    for media in [Media::Mm58, Media::Mm80, Media::Mm104, Media::Mm108] {
        for dpi in [203, 300] {
            let sheet = Sheet::roll(media, dpi);
            let raster = one(&elements(), &sheet);
            assert_eq!(raster.width(), sheet.width);
            assert_eq!(decode_qr(&raster), ["YQ-8F3K-2210"], "{media:?} {dpi}");
            // Nothing is burnt into the margins.
            let edge = sheet.mm(2) - 2;
            assert_eq!(raster.ink(0, 0, edge, raster.height()), 0);
            assert_eq!(raster.ink(sheet.width - edge, 0, edge, raster.height()), 0);
        }
    }
}

#[test]
fn a_rare_name_has_its_own_glyph() {
    let font = font();
    for c in "𬭩䶮𠮷龘".chars() {
        assert!(font.has(c), "{c}");
    }
}

/// A hundred characters carry a hundred times the ink of one (within what the grid of dots makes of each), whatever the
/// line breaks and pages.
#[test]
fn text_that_does_not_fit_wraps_or_goes_on_the_next_label_and_nothing_disappears() {
    let label = Sheet::label(Media::Mm58, 203, 12, 2);
    for sheet in [Sheet::roll(Media::Mm80, 203), Sheet::roll(Media::Mm58, 203), label] {
        let inked = |words: &str, pt: u8| {
            render(&[text(words, pt, Fit::Wrap)], &slip(), &font(), &sheet)
                .iter()
                .map(ink)
                .sum::<u32>()
        };
        // On a label the type is first set smaller, down to its least.
        let (small, pt) = if sheet.height.is_some() { (6, 6) } else { (10, 10) };
        let (a, b) = (inked("甲", small), inked(&"甲".repeat(100), pt));
        assert!(b > a * 90 && b < a * 110, "{a} {b}");
    }
    let pages = render(&[text(&"甲".repeat(100), 10, Fit::Wrap)], &slip(), &font(), &label);
    assert!(
        pages.len() > 1 && pages.iter().all(|p| p.height() == label.height.unwrap()),
        "{}",
        pages.len()
    );
}

#[test]
fn a_wide_title_is_set_smaller_before_it_wraps_and_a_label_holds_more_by_smaller_type() {
    let sheet = Sheet::roll(Media::Mm58, 203);
    let height = |words: &str, fit| one(&[text(words, 14, fit)], &sheet).height();
    let long = "滨河市第一人民医院互联网医院";
    assert!(height(long, Fit::Shrink) < height(long, Fit::Wrap));
    assert!(
        height(&long.repeat(3), Fit::Shrink) > height("医院", Fit::Wrap),
        "too long for any size: it wraps"
    );
    let label = Sheet::label(Media::Mm58, 203, 30, 2);
    let lines: Vec<Element> = (0..6).map(|n| text(&format!("第{n}行"), 10, Fit::Wrap)).collect();
    let roll = one(&lines, &Sheet { height: None, ..label });
    assert!(roll.height() > label.height.unwrap());
    assert_eq!(one(&lines, &label).height(), label.height.unwrap());
}

/// A document that was not meant for a slip (a file in place of a sentence) does not take the roll, nor the appliance's
/// memory; what it says at its end is that it was ended.
#[test]
fn a_document_without_end_is_ended_and_says_so() {
    let endless = Slip {
        fields: vec![("所见".into(), "QUJD".repeat(100_000))],
        items: vec![slip().items[0].clone(); 20_000],
        ..Slip::default()
    };
    let elements = elements();
    let roll = Sheet::roll(Media::Mm58, 203);
    let page = &render(&elements, &endless, &font(), &roll)[0];
    assert!(page.height() > roll.mm(5_000) && page.height() < roll.mm(5_100));
    assert!(page.ink(0, page.height() - roll.mm(10), page.width(), roll.mm(10)) > 0);
    let label = Sheet::label(Media::Mm58, 203, 30, 2);
    assert!(render(&elements, &endless, &font(), &label).len() <= 41);
}

#[test]
fn bold_is_stronger_and_a_mark_is_on_every_document() {
    let sheet = Sheet::roll(Media::Mm80, 203);
    let line = |weight| Element::Text {
        text: "补打".into(),
        size_pt: 12,
        weight,
        align: Align::Centre,
        fit: Fit::Wrap,
    };
    let (thin, thick) = (
        ink(&one(&[line(Weight::Normal)], &sheet)),
        ink(&one(&[line(Weight::Bold)], &sheet)),
    );
    assert!(thick > thin * 11 / 10, "{thin} {thick}");
    let marked = Slip {
        mark: Some("补打".into()),
        ..slip()
    };
    let page = &render(&[Element::Rule { dashed: true }], &marked, &font(), &sheet)[0];
    assert!(ink(page) > thick);
}

#[test]
fn a_picture_is_scaled_and_keeps_its_darkness() {
    let mut png = Vec::new();
    {
        let mut encoder = png::Encoder::new(&mut png, 40, 20);
        encoder.set_color(png::ColorType::Grayscale);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&[128; 800]).unwrap();
        writer.finish().unwrap();
    }
    let png = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, png);
    let image = |png: String| Element::Image {
        png,
        width_mm: 20,
        align: Align::Centre,
    };
    let sheet = Sheet::roll(Media::Mm80, 203);
    let half = ink(&one(&[image(png)], &sheet));
    let dots = sheet.mm(20) * sheet.mm(10);
    assert!(half > dots * 45 / 100 && half < dots * 55 / 100, "{half} of {dots}");
    assert_eq!(ink(&one(&[image("no picture".into())], &sheet)), 0);
}

fn any_element() -> impl Strategy<Value = Element> {
    let words = prop_oneof![
        Just("甲".to_owned()),
        "[A-Za-z0-9 ]{0,40}",
        "[\u{4e00}-\u{4e40}\u{1b}\u{1d}\n]{0,30}",
    ];
    let png = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, {
        let mut file = Raster::new(40, 300);
        file.fill(0, 0, 40, 300);
        file.png(203).unwrap()
    });
    (words, "[A-Z0-9]{0,30}", 6u8..=72, 5u8..=100, 0u8..8).prop_map(
        move |(words, code, size_pt, mm, which)| match which {
            0 => text(&words, size_pt, Fit::Wrap),
            1 => text(&words, size_pt, Fit::Shrink),
            2 => Element::Pair {
                left: words,
                right: code,
                size_pt,
                weight: Weight::Bold,
            },
            3 => Element::Qr {
                content: code,
                side_mm: mm,
                caption: true,
            },
            4 => Element::Barcode {
                content: code,
                height_mm: mm.min(50),
                caption: true,
            },
            5 => Element::Space { height_mm: mm },
            6 => Element::Items { size_pt, notes: true },
            _ => Element::Image {
                png: png.clone(),
                width_mm: mm,
                align: Align::Right,
            },
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    /// Whatever a template asks for, a label is as tall as a label, so that a printer cuts nothing off, and none is empty.
    #[test]
    fn nothing_is_taller_than_its_label(elements in prop::collection::vec(any_element(), 1..6), mm in 8u32..60) {
        let label = Sheet::label(Media::Mm58, 203, mm, 2);
        let pages = render(&elements, &slip(), &font(), &label);
        let height = label.height.unwrap();
        for page in &pages {
            prop_assert_eq!(page.height(), height);
            prop_assert!(pages.len() == 1 || ink(page) > 0, "an empty label among {}", pages.len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// Every character of any text is on some line, in order; only blanks at breaks may go.
    #[test]
    fn wrapping_keeps_every_character(text in "[a-zA-Z0-9 \u{4e00}-\u{4e40}，。]{0,80}", width in 60f32..500.0) {
        let font = font();
        let pen = pen::Pen::new(&font, &Sheet::roll(Media::Mm80, 203), 1.0, None);
        let wrapped = pen.wrap(&text, 27.0, width);
        let squeeze = |t: &str| t.chars().filter(|c| *c != ' ').collect::<String>();
        prop_assert_eq!(squeeze(&wrapped.concat()), squeeze(&text));
        for line in wrapped {
            prop_assert!(line.trim_end().chars().map(|c| font.advance(c, 27.0)).sum::<f32>() <= width + 0.5);
        }
    }
}
