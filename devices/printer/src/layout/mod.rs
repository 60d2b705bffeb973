//! Elements laid out on a sheet as rows of dots. Text that does not fit shrinks where its element says so, then wraps,
//! and on a label goes on the next one: nothing is cut off and nothing disappears.

mod pen;
mod picture;
mod symbol;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use picture::PictureError;
pub(crate) use picture::decode;

use crate::font::Font;
use crate::raster::Raster;
use crate::sheet::Sheet;
use pen::Pen;

/// Where a line stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Align {
    /// From the left edge.
    #[default]
    Left,
    /// In the middle.
    Centre,
    /// To the right edge.
    Right,
}

/// Strength of strokes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// As the font is.
    #[default]
    Normal,
    /// Thickened.
    Bold,
}

/// What happens to text wider than its place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// Goes on in the next line.
    #[default]
    Wrap,
    /// Is set smaller, down to [`SMALLEST_PT`] or six tenths; what is still too wide wraps.
    Shrink,
}

/// The smallest type that is legible on thermal paper, in points.
pub const SMALLEST_PT: u8 = 6;

/// A piece of a page, from top to bottom. Sizes are in points, lengths in millimetres.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Element {
    /// A line or paragraph; left out when it is empty.
    Text {
        /// Words.
        text: String,
        /// Type size.
        size_pt: u8,
        /// Strokes.
        #[serde(default)]
        weight: Weight,
        /// Where.
        #[serde(default)]
        align: Align,
        /// When too wide.
        #[serde(default)]
        fit: Fit,
    },
    /// Two texts on one line, one at each edge.
    Pair {
        /// At the left.
        left: String,
        /// At the right.
        right: String,
        /// Type size.
        size_pt: u8,
        /// Strokes.
        #[serde(default)]
        weight: Weight,
    },
    /// The document's labels with their values, one a line; `only` names the wanted ones, empty means all.
    Fields {
        /// Labels.
        #[serde(default)]
        only: Vec<String>,
        /// Type size.
        size_pt: u8,
    },
    /// The document's item rows: name, quantity, amount.
    Items {
        /// Type size.
        size_pt: u8,
        /// Whether the note stands under each.
        notes: bool,
    },
    /// The document's small print.
    Footer {
        /// Type size.
        size_pt: u8,
    },
    /// A QR symbol (二维码).
    Qr {
        /// What it says; without it nothing is drawn.
        content: String,
        /// At most so wide.
        side_mm: u8,
        /// Whether the content stands under it in letters.
        caption: bool,
    },
    /// A Code 128 symbol (条形码).
    Barcode {
        /// What it says; without it nothing is drawn.
        content: String,
        /// How tall.
        height_mm: u8,
        /// Whether the content stands under it in letters.
        caption: bool,
    },
    /// A line across.
    Rule {
        /// Whether it is dashed.
        #[serde(default)]
        dashed: bool,
    },
    /// Nothing for a while.
    Space {
        /// How tall.
        height_mm: u8,
    },
    /// A picture, e.g. the hospital's sign (院徽).
    Image {
        /// PNG in base64.
        png: String,
        /// How wide.
        width_mm: u8,
        /// Where.
        #[serde(default)]
        align: Align,
    },
}

/// What a document says, without how it looks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slip {
    /// A mark above everything, e.g. that this is a reprint; no template can leave it out.
    pub mark: Option<String>,
    /// Who issues it.
    pub header: String,
    /// What it is.
    pub title: String,
    /// Label and value.
    pub fields: Vec<(String, String)>,
    /// Rows with quantity and amount.
    pub items: Vec<Item>,
    /// Sum, as printed.
    pub total: Option<String>,
    /// Content of the symbol.
    pub qr: Option<String>,
    /// Small print.
    pub footer: Vec<String>,
}

/// A row of a document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Name.
    pub name: String,
    /// Quantity with unit.
    pub quantity: String,
    /// Amount, as printed.
    pub amount: String,
    /// A line under it.
    pub note: String,
}

/// Lays out filled elements. A roll is one page as long as needed; labels are all of the sheet's height, the type is
/// set smaller by steps until everything is on one, and what then still does not fit stands on the next.
pub fn render(elements: &[Element], slip: &Slip, font: &Font, sheet: &Sheet) -> Vec<Raster> {
    let Some(height) = sheet.height else {
        return draw(elements, slip, font, sheet, 1.0, None);
    };
    for scale in [1.0, 0.9, 0.8, 0.7, 0.6] {
        let whole = draw(elements, slip, font, sheet, scale, None);
        if let [page] = whole.as_slice()
            && page.height() <= height
        {
            return pages_of(whole, height);
        }
    }
    pages_of(draw(elements, slip, font, sheet, 0.6, Some(height)), height)
}

fn pages_of(pages: Vec<Raster>, height: u32) -> Vec<Raster> {
    pages
        .into_iter()
        .map(|mut page| {
            page.grow(height);
            page
        })
        .collect()
}

fn draw(elements: &[Element], slip: &Slip, font: &Font, sheet: &Sheet, scale: f32, limit: Option<u32>) -> Vec<Raster> {
    let mut pen = Pen::new(font, sheet, scale, limit);
    if let Some(mark) = &slip.mark {
        pen.text(mark, 12, Weight::Bold, Align::Centre, Fit::Wrap);
    }
    for element in elements {
        pen.element(element, slip);
    }
    pen.finish()
}
