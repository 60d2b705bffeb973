//! The pen: where it stands, and how text, pairs and rows are set.

use crate::font::{Font, dots};
use crate::layout::{Align, Element, Fit, SMALLEST_PT, Slip, Weight, picture, symbol};
use crate::raster::Raster;
use crate::sheet::Sheet;

/// Line height in ems.
const LEADING: f32 = 1.35;
/// Longer than this no slip is: a document that wants more was not meant for a slip, and would take the whole roll.
const LONGEST_MM: u32 = 5_000;
/// Nor does one take more labels.
const MOST_LABELS: usize = 40;
/// Said where a document was ended.
const ENDED: &str = "（内容过长，以下未打印，请到窗口领取完整单据）";

/// Draws from top to bottom, on as many pages as the limit makes.
pub(super) struct Pen<'f> {
    font: &'f Font,
    pub(super) sheet: Sheet,
    scale: f32,
    limit: Option<f32>,
    /// Where a page without a limit ends all the same.
    longest: f32,
    /// It is longer than that, or takes more labels than any slip: nothing more is drawn.
    ended: bool,
    pub(super) raster: Raster,
    done: Vec<Raster>,
    pub(super) y: f32,
    pub(super) width: f32,
    pub(super) margin: f32,
}

impl<'f> Pen<'f> {
    #[expect(clippy::cast_precision_loss, reason = "dots on paper")]
    pub(super) fn new(font: &'f Font, sheet: &Sheet, scale: f32, limit: Option<u32>) -> Self {
        // What is taller than its label is set anew: there is no need to see the end of it.
        let longest = sheet.height.unwrap_or_else(|| sheet.mm(LONGEST_MM));
        Self {
            font,
            sheet: *sheet,
            scale,
            limit: limit.map(|rows| rows as f32),
            longest: longest as f32,
            ended: false,
            raster: Raster::new(sheet.width, 8),
            done: Vec::new(),
            y: sheet.mm(1) as f32,
            width: sheet.width as f32,
            margin: sheet.mm(2) as f32,
        }
    }

    pub(super) fn finish(mut self) -> Vec<Raster> {
        if self.ended {
            let (size, left, right) = (self.size(10), self.margin, self.width - self.margin);
            for line in self.wrap(ENDED, size, right - left) {
                self.set(&line, size, left, right, Align::Left, Weight::Bold);
            }
        }
        // A label is as tall as it is; a margin must not begin another one.
        if self.limit.is_none() {
            self.room(self.margin);
        }
        self.done.push(self.raster);
        let empty = self.done.iter().all(Raster::is_blank);
        self.done.retain(|page| !page.is_blank() || empty);
        self.done.truncate(if empty { 1 } else { usize::MAX });
        self.done
    }

    /// Makes sure that so many rows fit below the pen; on a label that is full the next one is begun.
    pub(super) fn room(&mut self, rows: f32) {
        if let Some(limit) = self.limit
            && self.y + rows > limit
            && self.y > self.margin
        {
            let next = Raster::new(self.sheet.width, 8);
            self.done.push(std::mem::replace(&mut self.raster, next));
            self.y = self.margin / 2.0;
        }
        self.raster.grow(u32::try_from(dots(self.y + rows).max(8)).unwrap_or(8));
    }

    /// The tallest thing that is on a label whole.
    pub(super) fn tallest(&self) -> f32 {
        self.limit.map_or(f32::MAX, |limit| (limit - self.margin).max(1.0))
    }

    /// Whether the document has become longer than any slip.
    fn has_ended(&mut self) -> bool {
        let long = match self.limit {
            None => self.y > self.longest,
            Some(_) => self.done.len() >= MOST_LABELS,
        };
        self.ended |= long;
        self.ended
    }

    pub(super) fn element(&mut self, element: &Element, slip: &Slip) {
        if self.has_ended() {
            return;
        }
        match element {
            Element::Text {
                text,
                size_pt,
                weight,
                align,
                fit,
            } => self.text(text, *size_pt, *weight, *align, *fit),
            Element::Pair {
                left,
                right,
                size_pt,
                weight,
            } => self.pair(left, right, self.size(*size_pt), *weight),
            Element::Fields { only, size_pt } => {
                for (label, value) in &slip.fields {
                    if only.is_empty() || only.contains(label) {
                        self.field(label, value, self.size(*size_pt));
                    }
                }
            }
            Element::Items { size_pt, notes } => self.items(slip, *size_pt, *notes),
            Element::Footer { size_pt } => {
                for line in &slip.footer {
                    self.text(line, *size_pt, Weight::Normal, Align::Left, Fit::Wrap);
                }
            }
            Element::Qr {
                content,
                side_mm,
                caption,
            } => symbol::qr(self, content, *side_mm, *caption),
            Element::Barcode {
                content,
                height_mm,
                caption,
            } => symbol::barcode(self, content, *height_mm, *caption),
            Element::Rule { dashed } => self.rule(*dashed),
            Element::Space { height_mm } => {
                #[expect(clippy::cast_precision_loss, reason = "dots on paper")]
                let tall = self.sheet.mm(u32::from(*height_mm)) as f32 * self.scale;
                match self.limit {
                    // Nothing is not worth a label of its own.
                    Some(limit) => self.y = (self.y + tall).min(limit),
                    None => {
                        self.room(tall);
                        self.y += tall;
                    }
                }
            }
            Element::Image { png, width_mm, align } => picture::draw(self, png, *width_mm, *align),
        }
    }

    /// Dots of a type size on this page; a character is never wider than the paper, nor a line taller than a label.
    fn size(&self, pt: u8) -> f32 {
        let size = (self.sheet.pt(pt) * self.scale).max(self.sheet.pt(SMALLEST_PT.min(pt)));
        let across = self.width - 2.0 * self.margin;
        size.min(across).min(self.tallest() / LEADING).max(1.0)
    }

    pub(super) fn text(&mut self, text: &str, pt: u8, weight: Weight, align: Align, fit: Fit) {
        let (left, right) = (self.margin, self.width - self.margin);
        let mut size = self.size(pt);
        if fit == Fit::Shrink {
            let wide = text.split('\n').map(|t| self.measure(t, size)).fold(0.0, f32::max);
            let floor = (size * 0.6).max(self.sheet.pt(SMALLEST_PT.min(pt))).min(size);
            if wide > right - left {
                size = (size * (right - left) / wide).max(floor);
            }
        }
        self.block(text, size, left, right, align, weight);
    }

    fn measure(&self, text: &str, size: f32) -> f32 {
        text.chars().map(|c| self.font.advance(c, size)).sum()
    }

    /// Breaks at line ends, blanks and between any two characters that are not of one Latin word; a word longer than
    /// the line is broken anywhere.
    pub(super) fn wrap(&self, text: &str, size: f32, width: f32) -> Vec<String> {
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

    /// One line at the pen's height; the pen stays.
    fn line(&mut self, text: &str, size: f32, left: f32, right: f32, align: Align, weight: Weight) {
        let text = text.trim_end();
        let wide = self.measure(text, size);
        let mut x = match align {
            Align::Left => left,
            Align::Centre => left + (right - left - wide) / 2.0,
            Align::Right => right - wide,
        };
        let baseline = self.y + size * 1.02;
        // The face has one weight: a second stroke one dot beside the first, a third in large type.
        let strokes = match weight {
            Weight::Normal => 1,
            Weight::Bold => 2 + u8::from(size > 40.0),
        };
        for c in text.chars() {
            for stroke in 0..strokes {
                self.font
                    .draw(&mut self.raster, c, size, x + f32::from(stroke), baseline);
            }
            x += self.font.advance(c, size);
        }
    }

    pub(super) fn block(&mut self, text: &str, size: f32, left: f32, right: f32, align: Align, weight: Weight) {
        if text.trim().is_empty() {
            return;
        }
        for line in self.wrap(text, size, right - left) {
            if self.has_ended() {
                return;
            }
            self.set(&line, size, left, right, align, weight);
        }
    }

    /// One line, and the pen moves on.
    fn set(&mut self, line: &str, size: f32, left: f32, right: f32, align: Align, weight: Weight) {
        self.room(size * LEADING);
        self.line(line, size, left, right, align, weight);
        self.y += size * LEADING;
    }

    fn field(&mut self, label: &str, value: &str, size: f32) {
        let label = format!("{label}：");
        let (indent, right) = (self.margin + self.measure(&label, size), self.width - self.margin);
        if indent > self.width * 0.5 || right - indent < size {
            let left = self.margin + size.min(self.width * 0.1);
            self.block(&label, size, self.margin, right, Align::Left, Weight::Normal);
            self.block(value, size, left, right, Align::Left, Weight::Normal);
            return;
        }
        self.room(size * LEADING);
        self.line(&label, size, self.margin, right, Align::Left, Weight::Normal);
        if value.trim().is_empty() {
            self.y += size * LEADING;
        }
        self.block(value, size, indent, right, Align::Left, Weight::Normal);
    }

    fn pair(&mut self, left_text: &str, right_text: &str, size: f32, weight: Weight) {
        let (left, right) = (self.margin, self.width - self.margin);
        if left_text.trim().is_empty() && right_text.trim().is_empty() {
            return;
        }
        let wide = self.measure(right_text, size);
        if wide > (right - left) * 0.5 || right - left - wide < size * 1.5 {
            self.block(left_text, size, left, right, Align::Left, weight);
            self.block(right_text, size, left, right, Align::Right, weight);
            return;
        }
        self.room(size * LEADING);
        self.line(right_text, size, left, right, Align::Right, weight);
        if left_text.trim().is_empty() {
            self.y += size * LEADING;
        }
        self.block(left_text, size, left, right - wide - size * 0.5, Align::Left, weight);
    }

    fn items(&mut self, slip: &Slip, pt: u8, notes: bool) {
        let (size, small) = (self.size(pt), self.size(pt.saturating_sub(2).max(SMALLEST_PT)));
        for item in &slip.items {
            if self.has_ended() {
                return;
            }
            let tail = [item.quantity.as_str(), item.amount.as_str()];
            let tail = tail
                .into_iter()
                .filter(|t| !t.is_empty())
                .collect::<Vec<_>>()
                .join("  ");
            self.pair(&item.name, &tail, size, Weight::Normal);
            if notes {
                let indent = size.min(self.width * 0.1);
                let (left, right) = (self.margin + indent, self.width - self.margin);
                self.block(&item.note, small, left, right, Align::Left, Weight::Normal);
            }
            self.y += size * 0.15;
        }
    }

    fn rule(&mut self, dashed: bool) {
        let thick = i32::try_from((self.sheet.dpi / 100).max(1)).unwrap_or(2);
        let gap = self.margin * 0.4;
        self.room(2.0 * gap + 4.0);
        self.y += gap;
        let (left, right, top) = (dots(self.margin), dots(self.width - self.margin), dots(self.y));
        if dashed {
            let dash = thick * 4;
            let mut x = left;
            while x < right {
                self.raster.fill(x, top, dash.min(right - x), thick);
                x += dash * 2;
            }
        } else {
            self.raster.fill(left, top, right - left, thick);
        }
        self.y += gap + 2.0;
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
