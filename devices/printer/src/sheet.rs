//! Paper and print heads.

use serde::{Deserialize, Serialize};

/// Usual papers, named by the width of the paper or, from 104 mm, of the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// 58 mm roll.
    Mm58,
    /// 80 mm roll.
    Mm80,
    /// Four-inch heads of 832 (203 dpi) and 1248 dots (300 dpi).
    Mm104,
    /// Four-inch heads of 864 (203 dpi) and 1280 dots (300 dpi): the tender's 106 and 108 mm.
    Mm108,
}

/// What is printed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sheet {
    /// Dots across the head.
    pub width: u32,
    /// Dots per inch, 203 or 300.
    pub dpi: u32,
    /// Rows of a label; none on a roll.
    pub height: Option<u32>,
    /// Between two labels, in millimetres.
    pub gap_mm: u32,
    /// Whether there is a cutter.
    pub cutter: bool,
}

impl Sheet {
    /// A roll.
    pub const fn roll(media: Media, dpi: u32) -> Self {
        let fine = dpi >= 300;
        let width = match media {
            Media::Mm58 => {
                if fine {
                    568
                } else {
                    384
                }
            }
            Media::Mm80 => {
                if fine {
                    848
                } else {
                    576
                }
            }
            Media::Mm104 => {
                if fine {
                    1248
                } else {
                    832
                }
            }
            Media::Mm108 => {
                if fine {
                    1280
                } else {
                    864
                }
            }
        };
        Self {
            width,
            dpi,
            height: None,
            gap_mm: 0,
            cutter: true,
        }
    }

    /// Labels of a height in millimetres, `gap_mm` apart.
    pub fn label(media: Media, dpi: u32, height_mm: u32, gap_mm: u32) -> Self {
        let roll = Self::roll(media, dpi);
        Self {
            height: Some(roll.mm(height_mm)),
            gap_mm,
            cutter: false,
            ..roll
        }
    }

    /// Dots of a length in millimetres.
    pub const fn mm(&self, mm: u32) -> u32 {
        (mm * self.dpi * 10 + 127) / 254
    }

    /// Millimetres that hold so many dots, rounded up from half a dot on, so that it is the inverse of [`Sheet::mm`].
    pub const fn to_mm(&self, dots: u32) -> u32 {
        if self.dpi == 0 {
            return 0;
        }
        (dots * 254).saturating_sub(127).div_ceil(self.dpi * 10)
    }

    /// Dots of a type size in points (1/72 inch).
    #[expect(clippy::cast_precision_loss, reason = "type sizes in dots")]
    pub(crate) fn pt(&self, pt: u8) -> f32 {
        f32::from(pt) * self.dpi as f32 / 72.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_go_there_and_back_and_heads_are_as_wide_as_the_tender_asks() {
        for dpi in [203, 300] {
            let sheet = Sheet::roll(Media::Mm108, dpi);
            assert!((1..400).all(|mm| sheet.to_mm(sheet.mm(mm)) == mm));
            assert!(sheet.width >= sheet.mm(108));
        }
    }
}
