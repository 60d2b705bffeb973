//! Pages as lists of marks, so that a layout is a pure function and the PDF writer is a few lines.

/// A5 upright, in points: the usual size of a prescription form.
pub const WIDTH: f32 = 419.5;
/// Height of the page.
pub const HEIGHT: f32 = 595.3;
/// Margin on every side.
pub const MARGIN: f32 = 30.0;

/// Weight of letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Text.
    Regular,
    /// Headings.
    Bold,
}

/// Ink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// Text and rules.
    Black,
    /// Small print.
    Grey,
    /// What a stamp would print.
    Red,
}

/// Something on the page.
#[derive(Clone, Debug, PartialEq)]
pub enum Mark {
    /// A run of letters with its baseline at `y`.
    Text {
        /// Left.
        x: f32,
        /// Baseline.
        y: f32,
        /// Size in points.
        size: f32,
        /// Weight.
        weight: Weight,
        /// Ink.
        ink: Ink,
        /// Letters.
        text: String,
    },
    /// A filled rectangle; rules are thin ones.
    Bar {
        /// Left.
        x: f32,
        /// Top.
        y: f32,
        /// Width.
        width: f32,
        /// Height.
        height: f32,
    },
    /// A PNG.
    Picture {
        /// Left.
        x: f32,
        /// Top.
        y: f32,
        /// The box it fits into.
        width: f32,
        /// The box it fits into.
        height: f32,
        /// The file.
        png: Vec<u8>,
    },
}

/// Width of letters, for breaking and aligning.
pub trait Measure {
    /// Width of `text` at one point size.
    fn width(&self, text: &str, weight: Weight) -> f32;
}

/// Writes down pages; keeps the place.
pub struct Pen<'m> {
    measure: &'m dyn Measure,
    pages: Vec<Vec<Mark>>,
    /// Baseline of the next line.
    pub y: f32,
}

impl std::fmt::Debug for Pen<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pen")
            .field("pages", &self.pages.len())
            .field("y", &self.y)
            .finish()
    }
}

impl<'m> Pen<'m> {
    /// On a new sheet.
    pub fn new(measure: &'m dyn Measure) -> Self {
        Self {
            measure,
            pages: vec![Vec::new()],
            y: MARGIN,
        }
    }

    /// The pages written.
    pub fn finish(self) -> Vec<Vec<Mark>> {
        self.pages
    }

    /// Whether `height` more fits above `bottom`.
    pub fn fits(&self, height: f32, bottom: f32) -> bool {
        self.y + height <= bottom
    }

    /// Goes on with a new page.
    pub fn turn(&mut self) {
        self.pages.push(Vec::new());
        self.y = MARGIN;
    }

    fn put(&mut self, mark: Mark) {
        if let Some(page) = self.pages.last_mut() {
            page.push(mark);
        }
    }

    /// Width of a text.
    pub fn width(&self, text: &str, size: f32, weight: Weight) -> f32 {
        self.measure.width(text, weight) * size
    }

    /// Letters at a place; the place of the pen stays.
    pub fn text_at(&mut self, x: f32, y: f32, size: f32, weight: Weight, ink: Ink, text: &str) {
        if !text.is_empty() {
            let text = text.to_owned();
            self.put(Mark::Text {
                x,
                y,
                size,
                weight,
                ink,
                text,
            });
        }
    }

    /// Letters in the middle of the page.
    pub fn centre(&mut self, y: f32, size: f32, weight: Weight, text: &str) {
        let x = (WIDTH - self.width(text, size, weight)) / 2.0;
        self.text_at(x.max(MARGIN), y, size, weight, Ink::Black, text);
    }

    /// Letters that end at `right`.
    pub fn right(&mut self, right: f32, y: f32, size: f32, weight: Weight, ink: Ink, text: &str) {
        let x = right - self.width(text, size, weight);
        self.text_at(x, y, size, weight, ink, text);
    }

    /// A horizontal rule.
    pub fn rule(&mut self, y: f32, thickness: f32) {
        self.bar(MARGIN, y, WIDTH - 2.0 * MARGIN, thickness);
    }

    /// A filled rectangle.
    pub fn bar(&mut self, x: f32, y: f32, width: f32, height: f32) {
        self.put(Mark::Bar { x, y, width, height });
    }

    /// A picture in a box.
    pub fn picture(&mut self, x: f32, y: f32, width: f32, height: f32, png: &[u8]) {
        let png = png.to_owned();
        self.put(Mark::Picture {
            x,
            y,
            width,
            height,
            png,
        });
    }

    /// Breaks a text into lines of at most `width`. Chinese breaks anywhere.
    pub fn broken(&self, text: &str, size: f32, weight: Weight, width: f32) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = String::new();
        for letter in text.chars().filter(|c| !c.is_control()) {
            line.push(letter);
            if self.width(&line, size, weight) > width && line.chars().count() > 1 {
                line.pop();
                lines.push(std::mem::take(&mut line));
                line.push(letter);
            }
        }
        if !line.is_empty() {
            lines.push(line);
        }
        lines
    }
}
