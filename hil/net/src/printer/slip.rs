//! What comes out of the printer.

use serde_json::{Value, json};

/// A slip, whole or torn.
#[derive(Debug, Clone)]
pub(super) struct Slip {
    pub(super) id: u64,
    pub(super) started_at: String,
    pub(super) ended_at: String,
    /// cut, closed (the connection ended without a cut), power (lost power)
    pub(super) ended_by: &'static str,
    pub(super) width_bytes: usize,
    pub(super) dots: Vec<u8>,
    pub(super) text: String,
}

impl Slip {
    pub(super) fn rows(&self) -> usize {
        self.dots.len() / self.width_bytes.max(1)
    }

    pub(super) fn about(&self) -> Value {
        let black: u32 = self.dots.iter().map(|b| b.count_ones()).sum();
        json!({"id": self.id, "started_at": self.started_at, "ended_at": self.ended_at, "ended_by": self.ended_by,
            "dots_wide": self.width_bytes * 8, "rows": self.rows(), "black_dots": black, "text": self.text,
            "png": format!("/control/jobs/{}.png", self.id)})
    }

    /// The slip as a picture: black on white, one bit a dot.
    pub(super) fn png(&self) -> Option<Vec<u8>> {
        let rows = self.rows().max(1);
        let mut white = vec![0xff; self.width_bytes * rows];
        for (paper, ink) in white.iter_mut().zip(&self.dots) {
            *paper = !ink;
        }
        let mut out = Vec::new();
        let (width, height) = (u32::try_from(self.width_bytes * 8).ok()?, u32::try_from(rows).ok()?);
        let mut encoder = png::Encoder::new(&mut out, width, height);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::One);
        let mut writer = encoder.write_header().ok()?;
        writer.write_image_data(&white).ok()?;
        writer.finish().ok()?;
        Some(out)
    }
}
