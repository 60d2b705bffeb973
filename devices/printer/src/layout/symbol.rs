//! QR and Code 128 with their quiet zones. Content that no symbol can hold is set as text.

use qrcode::{Color, EcLevel, QrCode};

use crate::code128;
use crate::font::dots;
use crate::layout::pen::Pen;
use crate::layout::{Align, Fit, Weight};

const CAPTION_PT: u8 = 8;

fn caption(pen: &mut Pen<'_>, content: &str) {
    pen.text(content, CAPTION_PT, Weight::Normal, Align::Centre, Fit::Wrap);
}

/// The symbol, and its content in letters for a scanner that fails.
pub(super) fn qr(pen: &mut Pen<'_>, content: &str, side_mm: u8, with_caption: bool) {
    if content.is_empty() {
        return;
    }
    let Ok(code) = QrCode::with_error_correction_level(content, EcLevel::M) else {
        return caption(pen, content);
    };
    let modules = i32::try_from(code.width()).unwrap_or(1).max(1);
    let wanted = i32::try_from(pen.sheet.mm(u32::from(side_mm))).unwrap_or(1);
    let most = dots((pen.width - 2.0 * pen.margin).min(pen.tallest()));
    // Half a millimetre a module is read by any scanner; a quarter is the least.
    let dot = (wanted.min(most) / (modules + 8)).max(2);
    if (modules + 8) * dot > most {
        return caption(pen, content);
    }
    let side = (modules + 8) * dot;
    #[expect(clippy::cast_precision_loss, reason = "dots on paper")]
    let tall = side as f32;
    pen.room(tall);
    let (left, top) = ((dots(pen.width) - side) / 2 + 4 * dot, dots(pen.y) + 4 * dot);
    for (at, color) in code.to_colors().into_iter().enumerate() {
        if color == Color::Dark {
            let at = i32::try_from(at).unwrap_or(0);
            pen.raster
                .fill(left + at % modules * dot, top + at / modules * dot, dot, dot);
        }
    }
    pen.y += tall;
    if with_caption {
        caption(pen, content);
    }
}

/// Bars over the middle of the sheet, ten modules of white at both sides.
pub(super) fn barcode(pen: &mut Pen<'_>, content: &str, height_mm: u8, with_caption: bool) {
    if content.is_empty() {
        return;
    }
    let Some(modules) = code128::modules(content) else {
        return caption(pen, content);
    };
    let count = i32::try_from(modules.len()).unwrap_or(i32::MAX / 2) + 20;
    let most = dots(pen.width) / count;
    if most < 1 {
        return caption(pen, content);
    }
    // A third of a millimetre a module, less where it does not fit.
    let dot = i32::try_from(pen.sheet.dpi / 76).unwrap_or(2).clamp(1, most);
    #[expect(clippy::cast_precision_loss, reason = "dots on paper")]
    let gap = (4 * dot) as f32;
    let tall = i32::try_from(pen.sheet.mm(u32::from(height_mm)))
        .unwrap_or(80)
        .clamp(1, dots(pen.tallest() - gap).max(1));
    #[expect(clippy::cast_precision_loss, reason = "dots on paper")]
    let tall_f = tall as f32;
    pen.room(tall_f + gap);
    let (left, top) = ((dots(pen.width) - count * dot) / 2 + 10 * dot, dots(pen.y + gap / 2.0));
    for (at, black) in modules.into_iter().enumerate() {
        if black {
            let at = i32::try_from(at).unwrap_or(0);
            pen.raster.fill(left + at * dot, top, dot, tall);
        }
    }
    pen.y += tall_f + gap;
    if with_caption {
        caption(pen, content);
    }
}
