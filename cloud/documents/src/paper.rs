//! Pages as lists of marks, so that a layout is a pure function and the PDF writer is a few lines.

/// A sheet of paper, in points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Leaf {
    /// Width.
    pub width: f32,
    /// Height.
    pub height: f32,
    /// Margin on every side.
    pub margin: f32,
}

/// A5 upright: the usual size of a prescription form.
pub const A5: Leaf = Leaf {
    width: 419.5,
    height: 595.3,
    margin: 30.0,
};

/// A4 upright: the size of medical records.
pub const A4: Leaf = Leaf {
    width: 595.3,
    height: 841.9,
    margin: 54.0,
};

impl Leaf {
    /// Where letters end.
    pub const fn right(self) -> f32 {
        self.width - self.margin
    }

    /// Width between the margins.
    pub const fn inner(self) -> f32 {
        self.width - 2.0 * self.margin
    }
}

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
    /// Whether there is a picture for this letter.
    fn prints(&self, letter: char, weight: Weight) -> bool;
}

/// Stands for a letter that the font does not have: what was signed is never left out without a trace.
pub const BOX: char = '□';

/// Letters may shrink to this before a line is broken, in points.
const SMALLEST: f32 = 7.5;

/// Writes down pages; keeps the place.
pub struct Pen<'m> {
    measure: &'m dyn Measure,
    leaf: Leaf,
    pages: Vec<Vec<Mark>>,
    /// The page that is written on.
    at: usize,
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
    pub fn new(measure: &'m dyn Measure, leaf: Leaf) -> Self {
        Self {
            measure,
            leaf,
            pages: vec![Vec::new()],
            at: 0,
            y: leaf.margin,
        }
    }

    /// The paper.
    pub const fn leaf(&self) -> Leaf {
        self.leaf
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
        self.at = self.pages.len() - 1;
        self.y = self.leaf.margin;
    }

    /// What stands on every page, once it is known how many there are: page from 1, and their number.
    pub fn on_each(&mut self, mut write: impl FnMut(&mut Self, usize, usize)) {
        let many = self.pages.len();
        for page in 0..many {
            self.at = page;
            write(self, page + 1, many);
        }
    }

    fn put(&mut self, mark: Mark) {
        if let Some(page) = self.pages.get_mut(self.at) {
            page.push(mark);
        }
    }

    /// Width of a text.
    pub fn width(&self, text: &str, size: f32, weight: Weight) -> f32 {
        self.measure.width(text, weight) * size
    }

    /// The text as it can be printed: one line, [`BOX`] for letters without a picture. What has no picture by its nature
    /// (joiners, variation selectors, direction marks) goes.
    fn printable(&self, text: &str, weight: Weight) -> String {
        let letters = text.chars().filter(|c| !is_unseen(*c));
        letters
            .map(|c| match c {
                c if c.is_whitespace() || c.is_control() => ' ',
                c if self.measure.prints(c, weight) => c,
                _ => BOX,
            })
            .collect()
    }

    /// Letters at a place; the place of the pen stays.
    pub fn text_at(&mut self, x: f32, y: f32, size: f32, weight: Weight, ink: Ink, text: &str) {
        let text = self.printable(text, weight);
        if !text.is_empty() {
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

    /// Letters in the middle of the page, as high up as `y`; further lines below. Answers the last baseline.
    pub fn centre(&mut self, y: f32, size: f32, weight: Weight, text: &str, width: f32) -> f32 {
        let (size, lines) = self.fitted(text, size, weight, width);
        let mut last = y;
        for (n, line) in lines.iter().enumerate() {
            last = (size + 3.0).mul_add(n as f32, y);
            let x = (self.leaf.width - self.width(line, size, weight)) / 2.0;
            self.text_at(x, last, size, weight, Ink::Black, line);
        }
        last
    }

    /// Letters that end at `right`.
    pub fn right(&mut self, right: f32, y: f32, size: f32, weight: Weight, ink: Ink, text: &str) {
        let text = self.printable(text, weight);
        let x = right - self.width(&text, size, weight);
        self.text_at(x, y, size, weight, ink, &text);
    }

    /// How a text goes whole into `width`: at its size, else smaller (not below [`SMALLEST`]), else in several lines.
    pub fn fitted(&self, text: &str, size: f32, weight: Weight, width: f32) -> (f32, Vec<String>) {
        let wide = self.width(&self.printable(text, weight), size, weight);
        let fitting = if wide > width {
            size * width / wide * 0.995
        } else {
            size
        };
        let size = fitting.max(SMALLEST.min(size));
        (size, self.broken(text, size, weight, width))
    }

    /// A horizontal rule.
    pub fn rule(&mut self, y: f32, thickness: f32) {
        self.bar(self.leaf.margin, y, self.leaf.inner(), thickness);
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
        for letter in self.printable(text, weight).chars() {
            line.push(letter);
            if self.width(&line, size, weight) > width && line.chars().count() > 1 {
                line.pop();
                // A line does not begin with what ends a sentence: its last letter comes along.
                let along = (never_first(letter) && line.chars().count() > 1)
                    .then(|| line.pop())
                    .flatten();
                lines.push(std::mem::take(&mut line));
                line.extend(along);
                line.push(letter);
            }
        }
        if !line.is_empty() {
            lines.push(line);
        }
        lines
    }
}

/// What stands behind a word and not in front of a line (GB/T 15834 5.1.9).
const fn never_first(letter: char) -> bool {
    matches!(
        letter,
        '，' | '。' | '、' | '；' | '：' | '！' | '？' | '）' | '》' | '”' | '’' | '】' | '%' | '℃'
    )
}

/// Joiners, direction marks, variation selectors, tags: they change their neighbours and have no picture of their own.
const fn is_unseen(letter: char) -> bool {
    matches!(letter,
        '\u{00ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
}
