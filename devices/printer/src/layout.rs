//! A slip as rows of text, wrapped to the paper. Text that does not fit wraps; nothing is cut off.

use qrcode::{Color, EcLevel, QrCode};

use crate::font::{Font, dots};
use crate::raster::Raster;

/// A slip of paper.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slip {
    /// A mark above everything, e.g. that this is a reprint.
    pub mark: Option<String>,
    /// Large and centred.
    pub header: String,
    /// Under the header.
    pub title: String,
    /// Label and value.
    pub fields: Vec<(String, String)>,
    /// Lines with quantity and amount.
    pub items: Vec<Item>,
    /// Sum, as printed.
    pub total: Option<String>,
    /// Content of a QR code.
    pub qr: Option<String>,
    /// Small print.
    pub footer: Vec<String>,
}

/// A line of a slip.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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

const MARGIN: f32 = 16.0;
const HEADER: f32 = 40.0;
const TITLE: f32 = 34.0;
const BODY: f32 = 27.0;
const SMALL: f32 = 23.0;

#[derive(Clone, Copy)]
enum Align {
    Left,
    Centre,
    Right,
}

struct Pen<'f> {
    font: &'f Font,
    raster: Raster,
    y: f32,
    width: f32,
}

/// Lays out a slip on paper `width` dots wide (576 for 80 mm, 864 for 108 mm at 203 dpi).
pub fn render(slip: &Slip, font: &Font, width: u32) -> Raster {
    #[expect(clippy::cast_precision_loss, reason = "a paper width in dots")]
    let usable = width as f32;
    let mut pen = Pen {
        font,
        raster: Raster::new(width, 8),
        y: 12.0,
        width: usable,
    };
    if let Some(mark) = &slip.mark {
        pen.block(mark, TITLE, MARGIN, usable - MARGIN, Align::Centre);
    }
    pen.block(&slip.header, HEADER, MARGIN, usable - MARGIN, Align::Centre);
    pen.block(&slip.title, TITLE, MARGIN, usable - MARGIN, Align::Centre);
    pen.rule();
    for (label, value) in &slip.fields {
        pen.field(label, value);
    }
    if !slip.items.is_empty() {
        pen.rule();
    }
    for item in &slip.items {
        pen.item(item);
    }
    if let Some(total) = &slip.total {
        pen.rule();
        pen.pair("合计", total, TITLE);
    }
    if let Some(qr) = &slip.qr {
        pen.qr(qr);
    }
    if !slip.footer.is_empty() {
        pen.rule();
    }
    for line in &slip.footer {
        pen.block(line, SMALL, MARGIN, usable - MARGIN, Align::Left);
    }
    pen.y += 16.0;
    pen.room();
    pen.raster
}

impl Pen<'_> {
    fn room(&mut self) {
        self.raster.grow(u32::try_from(dots(self.y) + 8).unwrap_or(8));
    }

    fn measure(&self, text: &str, size: f32) -> f32 {
        text.chars().map(|c| self.font.advance(c, size)).sum()
    }

    /// Breaks at line ends, blanks and between any two characters that are not of one Latin word; a word longer than
    /// the line is broken anywhere.
    fn wrap(&self, text: &str, size: f32, width: f32) -> Vec<String> {
        let mut lines = Vec::new();
        for paragraph in text.split('\n') {
            let (mut line, mut length) = (String::new(), 0.0f32);
            for word in words(paragraph) {
                let wide = self.measure(&word, size);
                if length + wide > width && !line.trim().is_empty() {
                    lines.push(std::mem::take(&mut line));
                    length = 0.0;
                }
                if length == 0.0 && word.trim().is_empty() && !lines.is_empty() {
                    continue;
                }
                if wide <= width {
                    line.push_str(&word);
                    length += wide;
                    continue;
                }
                for c in word.chars() {
                    let wide = self.font.advance(c, size);
                    if length + wide > width && !line.is_empty() {
                        lines.push(std::mem::take(&mut line));
                        length = 0.0;
                    }
                    line.push(c);
                    length += wide;
                }
            }
            lines.push(line);
        }
        lines
    }

    fn line(&mut self, text: &str, size: f32, left: f32, right: f32, align: Align) {
        let length = self.measure(text, size);
        let mut x = match align {
            Align::Left => left,
            Align::Centre => left + ((right - left - length) / 2.0).max(0.0),
            Align::Right => (right - length).max(left),
        };
        let baseline = self.y + size;
        self.raster
            .grow(u32::try_from(dots(baseline + size * 0.5)).unwrap_or(8));
        for c in text.chars() {
            self.font.draw(&mut self.raster, c, size, x, baseline);
            x += self.font.advance(c, size);
        }
    }

    fn block(&mut self, text: &str, size: f32, left: f32, right: f32, align: Align) {
        if text.is_empty() {
            return;
        }
        for line in self.wrap(text, size, right - left) {
            self.line(&line, size, left, right, align);
            self.y += size * 1.35;
        }
    }

    fn rule(&mut self) {
        self.y += 6.0;
        self.room();
        self.raster
            .fill(dots(MARGIN), dots(self.y), dots(self.width - 2.0 * MARGIN), 2);
        self.y += 8.0;
    }

    fn field(&mut self, label: &str, value: &str) {
        let label = format!("{label}：");
        let indent = MARGIN + self.measure(&label, BODY);
        let right = self.width - MARGIN;
        if indent > self.width * 0.5 {
            self.block(&label, BODY, MARGIN, right, Align::Left);
            self.block(value, BODY, MARGIN + BODY, right, Align::Left);
            return;
        }
        self.line(&label, BODY, MARGIN, right, Align::Left);
        if value.is_empty() {
            self.y += BODY * 1.35;
        }
        self.block(value, BODY, indent, right, Align::Left);
    }

    fn pair(&mut self, left_text: &str, right_text: &str, size: f32) {
        let right = self.width - MARGIN;
        let wide = self.measure(right_text, size);
        if wide > (right - MARGIN) * 0.5 {
            self.block(left_text, size, MARGIN, right, Align::Left);
            self.block(right_text, size, MARGIN, right, Align::Right);
            return;
        }
        self.line(right_text, size, MARGIN, right, Align::Right);
        if left_text.is_empty() {
            self.y += size * 1.35;
        }
        self.block(left_text, size, MARGIN, right - wide - size * 0.5, Align::Left);
    }

    fn item(&mut self, item: &Item) {
        let tail = [item.quantity.as_str(), item.amount.as_str()]
            .into_iter()
            .filter(|t| !t.is_empty());
        let tail = tail.collect::<Vec<_>>().join("  ");
        self.pair(&item.name, &tail, BODY);
        self.block(&item.note, SMALL, MARGIN + BODY, self.width - MARGIN, Align::Left);
        self.y += 4.0;
    }

    /// The symbol with its quiet zone, and its content in letters for a scanner that fails.
    fn qr(&mut self, content: &str) {
        let Ok(code) = QrCode::with_error_correction_level(content, EcLevel::M) else {
            self.block(content, BODY, MARGIN, self.width - MARGIN, Align::Centre);
            return;
        };
        let modules = i32::try_from(code.width()).unwrap_or(1).max(1);
        let dot = ((dots(self.width) - 2 * dots(MARGIN)) / (modules + 8)).clamp(2, 7);
        let side = (modules + 8) * dot;
        let (left, top) = ((dots(self.width) - side) / 2 + 4 * dot, dots(self.y) + 4 * dot);
        self.raster.grow(u32::try_from(top + side).unwrap_or(8));
        for (at, color) in code.to_colors().into_iter().enumerate() {
            if color == Color::Dark {
                let at = i32::try_from(at).unwrap_or(0);
                self.raster
                    .fill(left + at % modules * dot, top + at / modules * dot, dot, dot);
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "dots on paper")]
        let tall = side as f32;
        self.y += tall;
        self.block(content, SMALL, MARGIN, self.width - MARGIN, Align::Centre);
    }
}

/// Latin words with the blank after them, every other character alone.
fn words(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut open = false;
    for c in text.chars() {
        let c = if c.is_control() { ' ' } else { c };
        let latin = c.is_ascii() && c != ' ';
        match out.last_mut() {
            Some(word) if open && (latin || c == ' ') => word.push(c),
            _ => out.push(c.to_string()),
        }
        open = latin;
    }
    out
}

#[cfg(test)]
mod tests;
