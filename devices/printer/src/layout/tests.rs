use std::path::Path;

use proptest::prelude::*;

use super::*;

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

/// Rows of dots that carry ink between two heights, as runs: one per line of text.
fn lines(raster: &Raster) -> usize {
    let inked: Vec<bool> = (0..raster.height())
        .map(|y| raster.ink(0, y, raster.width(), 1) > 0)
        .collect();
    inked.windows(2).filter(|w| !w[0] && w[1]).count()
}

#[test]
fn a_slip_is_legible_on_both_papers() {
    for width in [576, 864] {
        let raster = render(&slip(), &font(), width);
        assert_eq!(raster.width(), width);
        assert_eq!(decode_qr(&raster), ["YQ-8F3K-2210"]);
        assert!(raster.height() > 400 && raster.height() < 1200, "{}", raster.height());
        // Nothing is burnt into the margins.
        assert_eq!(raster.ink(0, 0, 14, raster.height()), 0);
        assert_eq!(raster.ink(width - 14, 0, 14, raster.height()), 0);
    }
}

#[test]
fn a_rare_name_has_its_own_glyph() {
    let font = font();
    for c in "𬭩䶮𠮷龘".chars() {
        assert!(font.has(c), "{c}");
    }
}

#[test]
fn text_that_does_not_fit_wraps_and_nothing_disappears() {
    let font = font();
    let short = Slip {
        items: vec![Item {
            name: "甲".into(),
            quantity: "1盒".into(),
            ..Item::default()
        }],
        ..Slip::default()
    };
    let long = Slip {
        items: vec![Item {
            name: "甲".repeat(100),
            quantity: "1盒".into(),
            ..Item::default()
        }],
        ..Slip::default()
    };
    let (short, long) = (render(&short, &font, 576), render(&long, &font, 576));
    assert!(lines(&long) > lines(&short) + 4);
    // A hundred characters carry a hundred times the ink of one, whatever the line breaks.
    let one = render(
        &Slip {
            footer: vec!["甲".into()],
            ..Slip::default()
        },
        &font,
        576,
    );
    let hundred = render(
        &Slip {
            footer: vec!["甲".repeat(100)],
            ..Slip::default()
        },
        &font,
        576,
    );
    let rules = render(
        &Slip {
            footer: vec![" ".into()],
            ..Slip::default()
        },
        &font,
        576,
    )
    .ink(0, 0, 576, 9999);
    let (a, b) = (one.ink(0, 0, 576, 9999) - rules, hundred.ink(0, 0, 576, 9999) - rules);
    assert!(b > a * 97 && b < a * 103, "{a} {b}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// Every character of any text is on some line, in order; only blanks at breaks may go.
    #[test]
    fn wrapping_keeps_every_character(text in "[a-zA-Z0-9 \u{4e00}-\u{4e40}，。]{0,80}", width in 60f32..500.0) {
        let font = font();
        let pen = Pen { font: &font, raster: Raster::new(8, 8), y: 0.0, width: 576.0 };
        let wrapped = pen.wrap(&text, 27.0, width);
        let squeeze = |t: &str| t.chars().filter(|c| *c != ' ').collect::<String>();
        prop_assert_eq!(squeeze(&wrapped.concat()), squeeze(&text));
        for line in wrapped {
            prop_assert!(pen.measure(line.trim_end(), 27.0) <= width + 0.5);
        }
    }
}

/// Writes the slip as a picture for the eye when asked to.
#[test]
fn a_slip_can_be_looked_at() {
    let Ok(path) = std::env::var("YIQIAO_SLIP_PNG") else {
        return;
    };
    let raster = render(&slip(), &font(), 576);
    let mut encoder = png::Encoder::new(std::fs::File::create(path).unwrap(), raster.width(), raster.height());
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let bytes: Vec<u8> = raster.rows().flatten().map(|b| !b).collect();
    encoder.write_header().unwrap().write_image_data(&bytes).unwrap();
}
