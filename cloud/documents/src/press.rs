//! Marks to PDF. Fonts come from the machine (`fonts-noto-cjk`); the file carries only the letters it uses.

use std::path::Path;
use std::sync::Arc;

use krilla::Document;
use krilla::color::rgb;
use krilla::geom::{PathBuilder, Point, Rect, Size, Transform};
use krilla::image::Image;
use krilla::metadata::Metadata;
use krilla::num::NormalizedF32;
use krilla::page::PageSettings;
use krilla::paint::{Fill, FillRule};
use krilla::surface::Surface;
use krilla::text::{Font, TextDirection};
use skrifa::instance::{LocationRef, Size as FontSize};
use skrifa::{FontRef, MetadataProvider};

use crate::chart::{self, Chart};
use crate::paper::{A4, A5, Ink, Leaf, Mark, Measure, Weight};
use crate::sheet::{Sheet, lay_out};

/// Where the letters come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FontFiles {
    /// Regular, e.g. `/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc`.
    pub regular: std::path::PathBuf,
    /// Bold.
    pub bold: std::path::PathBuf,
    /// Face within a collection; 2 is simplified Chinese in Noto's.
    pub face: u32,
}

impl Default for FontFiles {
    fn default() -> Self {
        Self {
            regular: "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc".into(),
            bold: "/usr/share/fonts/opentype/noto/NotoSansCJK-Bold.ttc".into(),
            face: 2,
        }
    }
}

/// A PDF could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PressError {
    /// A font file is missing or unreadable.
    #[error("font {file}: {reason}")]
    Font {
        /// Path.
        file: String,
        /// Why.
        reason: String,
    },
    /// A handwritten signature is no PNG.
    #[error("picture of a signature: {0}")]
    Picture(String),
    /// The writer refused.
    #[error("PDF writer: {0}")]
    Writer(String),
}

struct Face {
    font: Font,
    bytes: Arc<Vec<u8>>,
    index: u32,
}

impl Face {
    fn load(path: &Path, index: u32) -> Result<Self, PressError> {
        let fault = |reason: String| PressError::Font {
            file: path.display().to_string(),
            reason,
        };
        let bytes = Arc::new(std::fs::read(path).map_err(|e| fault(e.to_string()))?);
        let data: Arc<dyn AsRef<[u8]> + Send + Sync> = bytes.clone();
        let font = Font::new(data.into(), index).ok_or_else(|| fault(format!("no face {index}")))?;
        Ok(Self { font, bytes, index })
    }

    fn has(&self, letter: char) -> bool {
        FontRef::from_index(&self.bytes, self.index).is_ok_and(|font| font.charmap().map(letter).is_some())
    }

    fn width(&self, text: &str) -> f32 {
        let Ok(font) = FontRef::from_index(&self.bytes, self.index) else {
            return 0.0;
        };
        let (letters, metrics) = (
            font.charmap(),
            font.glyph_metrics(FontSize::new(1.0), LocationRef::default()),
        );
        text.chars()
            .map(|c| letters.map(c).and_then(|g| metrics.advance_width(g)).unwrap_or(1.0))
            .sum()
    }
}

/// Fonts in memory, ready to print.
pub struct Press {
    regular: Face,
    bold: Face,
}

impl std::fmt::Debug for Press {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Press")
    }
}

impl Measure for Press {
    fn width(&self, text: &str, weight: Weight) -> f32 {
        self.face(weight).width(text)
    }

    fn prints(&self, letter: char, weight: Weight) -> bool {
        self.face(weight).has(letter)
    }
}

impl Press {
    /// Loads the fonts once (about 40 MB); blocking.
    ///
    /// # Errors
    /// When a font is missing.
    pub fn load(files: &FontFiles) -> Result<Self, PressError> {
        Ok(Self {
            regular: Face::load(&files.regular, files.face)?,
            bold: Face::load(&files.bold, files.face)?,
        })
    }

    /// Whether the printer can read a picture.
    pub fn can_print(png: &[u8]) -> bool {
        Image::from_png(png.to_vec().into(), true).is_ok()
    }

    const fn face(&self, weight: Weight) -> &Face {
        match weight {
            Weight::Regular => &self.regular,
            Weight::Bold => &self.bold,
        }
    }

    /// The unsealed PDF of a prescription; takes a few milliseconds of a core.
    ///
    /// # Errors
    /// When a picture is unreadable or the writer refuses.
    pub fn print(&self, sheet: &Sheet) -> Result<Vec<u8>, PressError> {
        let d = &sheet.document;
        let title = format!("{} 处方笺 {}", d.hospital, d.number);
        self.pages(A5, lay_out(sheet, self), title, &d.hospital)
    }

    /// The unsealed PDF of a medical record.
    ///
    /// # Errors
    /// When a picture is unreadable or the writer refuses.
    pub fn print_chart(&self, sheet: &Chart) -> Result<Vec<u8>, PressError> {
        let d = &sheet.document;
        let title = format!("{} 门诊病历 {} 第{}版", d.hospital, d.visit, d.version);
        self.pages(A4, chart::lay_out(sheet, self), title, &d.hospital)
    }

    fn pages(&self, leaf: Leaf, pages: Vec<Vec<Mark>>, title: String, author: &str) -> Result<Vec<u8>, PressError> {
        let mut document = Document::new();
        let size = PageSettings::from_wh(leaf.width, leaf.height);
        let size = size.ok_or_else(|| PressError::Writer("page size".to_owned()))?;
        for marks in pages {
            let mut page = document.start_page_with(size.clone());
            let mut surface = page.surface();
            for mark in &marks {
                self.set(&mut surface, mark)?;
            }
            surface.finish();
            page.finish();
        }
        document.set_metadata(
            Metadata::new()
                .title(title)
                .language("zh-CN".to_owned())
                .authors(vec![author.to_owned()]),
        );
        document.finish().map_err(|e| PressError::Writer(format!("{e:?}")))
    }

    fn set(&self, surface: &mut Surface<'_>, mark: &Mark) -> Result<(), PressError> {
        match mark {
            Mark::Text {
                x,
                y,
                size,
                weight,
                ink,
                text,
            } => {
                surface.set_fill(Some(fill(*ink)));
                let font = self.face(*weight).font.clone();
                surface.draw_text(
                    Point::from_xy(*x, *y),
                    font,
                    *size,
                    text,
                    false,
                    TextDirection::LeftToRight,
                );
            }
            Mark::Bar { x, y, width, height } => {
                surface.set_fill(Some(fill(Ink::Black)));
                let mut path = PathBuilder::new();
                if let Some(rect) = Rect::from_xywh(*x, *y, *width, *height) {
                    path.push_rect(rect);
                }
                if let Some(path) = path.finish() {
                    surface.draw_path(&path);
                }
            }
            Mark::Picture {
                x,
                y,
                width,
                height,
                png,
            } => {
                let image = Image::from_png(png.clone().into(), true).map_err(PressError::Picture)?;
                let (w, h) = image.size();
                let scale = (width / w.max(1) as f32).min(height / h.max(1) as f32);
                let size = Size::from_wh(w as f32 * scale, h as f32 * scale)
                    .ok_or_else(|| PressError::Picture("no size".to_owned()))?;
                surface.push_transform(&Transform::from_translate(*x, *y));
                surface.draw_image(image, size);
                surface.pop();
            }
        }
        Ok(())
    }
}

fn fill(ink: Ink) -> Fill {
    let (r, g, b) = match ink {
        Ink::Black => (0, 0, 0),
        Ink::Grey => (90, 90, 90),
        Ink::Red => (190, 20, 20),
    };
    Fill {
        paint: rgb::Color::new(r, g, b).into(),
        opacity: NormalizedF32::ONE,
        rule: FillRule::NonZero,
    }
}
