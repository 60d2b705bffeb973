//! Glyphs from a font on disk.

use std::path::Path;

use ab_glyph::{Font as _, FontVec, GlyphId, PxScale, ScaleFont as _, point};

use crate::raster::Raster;

/// Share of a dot that must be covered for it to be burnt: clean strokes at 20 to 40 dots.
const COVERAGE: f32 = 0.43;

/// Why a font cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FontError {
    /// The file cannot be read.
    #[error("cannot read font {path}: {source}")]
    Read {
        /// File.
        path: String,
        /// Cause.
        source: std::io::Error,
    },
    /// The file is no font, or has no font of that number.
    #[error("{path} holds no font number {index}")]
    Form {
        /// File.
        path: String,
        /// Number within a collection.
        index: u32,
    },
}

/// A font.
#[derive(Debug)]
pub struct Font {
    font: FontVec,
}

impl Font {
    /// Loads a font; `index` is its number within a `.ttc` collection (Noto Sans CJK: 2 is Simplified Chinese).
    ///
    /// # Errors
    /// See [`FontError`].
    pub fn load(path: &Path, index: u32) -> Result<Self, FontError> {
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|source| FontError::Read {
            path: name.clone(),
            source,
        })?;
        let font = FontVec::try_from_vec_and_index(bytes, index).map_err(|_| FontError::Form { path: name, index })?;
        Ok(Self { font })
    }

    fn scale(&self, size: f32) -> PxScale {
        // ab_glyph scales by ascent to descent; type is measured by the em.
        let units = self.font.units_per_em().unwrap_or(1000.0);
        PxScale::from(size * self.font.height_unscaled() / units)
    }

    /// Whether the font has this character.
    pub fn has(&self, c: char) -> bool {
        self.font.glyph_id(c) != GlyphId(0)
    }

    /// Width of a character at a size in dots per em.
    pub fn advance(&self, c: char, size: f32) -> f32 {
        let scaled = self.font.as_scaled(self.scale(size));
        scaled.h_advance(self.font.glyph_id(c))
    }

    /// Draws a character with its origin at `x` on the baseline `y`.
    pub fn draw(&self, raster: &mut Raster, c: char, size: f32, x: f32, y: f32) {
        let glyph = self
            .font
            .glyph_id(c)
            .with_scale_and_position(self.scale(size), point(x, y));
        let Some(outline) = self.font.outline_glyph(glyph) else {
            return;
        };
        let bounds = outline.px_bounds();
        let (left, top) = (dots(bounds.min.x), dots(bounds.min.y));
        outline.draw(|column, row, coverage| {
            if coverage > COVERAGE {
                let at = |base: i32, step: u32| base.saturating_add(i32::try_from(step).unwrap_or(0));
                raster.set(at(left, column), at(top, row));
            }
        });
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "dots on paper, far below the limits of i32"
)]
pub(crate) fn dots(value: f32) -> i32 {
    value.floor() as i32
}
