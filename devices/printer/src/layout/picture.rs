//! Pictures: PNG in base64, scaled to their width and reduced to black and white by error diffusion.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::font::dots;
use crate::layout::Align;
use crate::layout::pen::Pen;

const MOST_BYTES: usize = 300_000;
const MOST_SIDE: u32 = 3_000;

/// Why a picture cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// Not base64, or no PNG.
    #[error("图片不是有效的 PNG 文件")]
    Form,
    /// Too much of it.
    #[error("图片过大，请使用 300 KB、3000 像素以内的 PNG")]
    Size,
}

/// Brightness by dot, 0 is black.
pub(crate) struct Grey {
    width: usize,
    height: usize,
    levels: Vec<u8>,
}

/// Reads a picture; what is transparent is white.
pub(crate) fn decode(base64: &str) -> Result<Grey, PictureError> {
    if base64.len() > MOST_BYTES * 4 / 3 {
        return Err(PictureError::Size);
    }
    let bytes = STANDARD.decode(base64.trim()).map_err(|_| PictureError::Form)?;
    let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(|_| PictureError::Form)?;
    let (width, height) = (reader.info().width, reader.info().height);
    if width > MOST_SIDE || height > MOST_SIDE || width == 0 || height == 0 {
        return Err(PictureError::Size);
    }
    let mut pixels = vec![0; reader.output_buffer_size().ok_or(PictureError::Size)?];
    let frame = reader.next_frame(&mut pixels).map_err(|_| PictureError::Form)?;
    let samples = frame.color_type.samples();
    let level = |pixel: &[u8]| {
        let (tone, alpha) = match pixel {
            [grey] => (u32::from(*grey), 255),
            [grey, alpha] => (u32::from(*grey), u32::from(*alpha)),
            [r, g, b, rest @ ..] => (
                (u32::from(*r) * 30 + u32::from(*g) * 59 + u32::from(*b) * 11) / 100,
                rest.first().map_or(255, |a| u32::from(*a)),
            ),
            [] => (255, 255),
        };
        u8::try_from((tone * alpha + 255 * (255 - alpha)) / 255).unwrap_or(255)
    };
    let pixels = pixels.get(..frame.buffer_size()).ok_or(PictureError::Form)?;
    Ok(Grey {
        width: usize::try_from(width).map_err(|_| PictureError::Size)?,
        height: usize::try_from(height).map_err(|_| PictureError::Size)?,
        levels: pixels.chunks(samples).map(level).collect(),
    })
}

impl Grey {
    /// Mean brightness of the source under a dot of the target.
    fn mean(&self, x: usize, y: usize, width: usize, height: usize) -> i32 {
        let span = |at: usize, of: usize, source: usize| {
            let from = at * source / of.max(1);
            from..((at + 1) * source).div_ceil(of.max(1)).min(source).max(from + 1)
        };
        let (mut sum, mut count) = (0i32, 0i32);
        for row in span(y, height, self.height) {
            for column in span(x, width, self.width) {
                sum += self
                    .levels
                    .get(row * self.width + column)
                    .map_or(255, |l| i32::from(*l));
                count += 1;
            }
        }
        sum / count.max(1)
    }
}

/// Draws a picture; one that cannot be read leaves nothing, which the template's check has ruled out before.
pub(super) fn draw(pen: &mut Pen<'_>, base64: &str, width_mm: u8, align: Align) {
    let Ok(grey) = decode(base64) else { return };
    let most = dots(pen.width - 2.0 * pen.margin);
    let wide = i32::try_from(pen.sheet.mm(u32::from(width_mm)))
        .unwrap_or(most)
        .clamp(1, most.max(1));
    let mut width = usize::try_from(wide).unwrap_or(1);
    let mut height = (grey.height * width / grey.width.max(1)).max(1);
    // On a label it is there whole, and smaller.
    let tallest = usize::try_from(dots(pen.tallest() - 4.0).max(1)).unwrap_or(1);
    if height > tallest {
        width = (grey.width * tallest / grey.height.max(1)).max(1);
        height = tallest;
    }
    let wide = i32::try_from(width).unwrap_or(most);
    #[expect(clippy::cast_precision_loss, reason = "dots on paper")]
    let tall = height as f32;
    pen.room(tall + 4.0);
    let left = match align {
        Align::Left => dots(pen.margin),
        Align::Centre => (dots(pen.width) - wide) / 2,
        Align::Right => dots(pen.width - pen.margin) - wide,
    };
    let top = dots(pen.y);
    // Floyd and Steinberg: the error of a dot goes to its right and lower neighbours.
    let mut below = vec![0i32; width + 2];
    for y in 0..height {
        let mut here = std::mem::replace(&mut below, vec![0; width + 2]);
        for x in 0..width {
            let tone = grey.mean(x, y, width, height) + here.get(x + 1).copied().unwrap_or(0) / 16;
            let black = tone < 128;
            let error = tone - if black { 0 } else { 255 };
            for (row, at, share) in [(&mut here, x + 2, 7), (&mut below, x, 3)] {
                if let Some(cell) = row.get_mut(at) {
                    *cell += error * share;
                }
            }
            for (at, share) in [(x + 1, 5), (x + 2, 1)] {
                if let Some(cell) = below.get_mut(at) {
                    *cell += error * share;
                }
            }
            if black {
                let at = |base: i32, step: usize| base.saturating_add(i32::try_from(step).unwrap_or(0));
                pen.raster.set(at(left, x), at(top, y));
            }
        }
    }
    pen.y += tall + 4.0;
}
