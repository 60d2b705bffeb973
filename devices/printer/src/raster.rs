//! A 1-bit picture, as a thermal head burns it.

/// A picture whose width is a multiple of eight; a set bit is black.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raster {
    width: u32,
    stride: usize,
    bits: Vec<u8>,
}

impl Raster {
    /// A white picture; the width is rounded up to a multiple of eight.
    pub fn new(width: u32, height: u32) -> Self {
        let stride = usize::try_from(width.div_ceil(8)).unwrap_or(0);
        let rows = usize::try_from(height).unwrap_or(0);
        Self {
            width: width.div_ceil(8) * 8,
            stride,
            bits: vec![0; stride * rows],
        }
    }

    /// Dots in a row.
    pub const fn width(&self) -> u32 {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> u32 {
        u32::try_from(self.bits.len().checked_div(self.stride).unwrap_or(0)).unwrap_or(0)
    }

    /// Whether nothing is on it.
    pub fn is_blank(&self) -> bool {
        self.bits.iter().all(|byte| *byte == 0)
    }

    /// Bytes in a row.
    pub const fn stride(&self) -> usize {
        self.stride
    }

    /// All rows, top down.
    pub fn rows(&self) -> impl Iterator<Item = &[u8]> {
        self.bits.chunks(self.stride.max(1))
    }

    /// Bytes of at most `rows` rows each.
    pub fn bands(&self, rows: usize) -> impl Iterator<Item = &[u8]> {
        self.bits.chunks((self.stride * rows).max(1))
    }

    /// Lengthens the picture downwards.
    pub fn grow(&mut self, height: u32) {
        let rows = usize::try_from(height).unwrap_or(0);
        if self.bits.len() < self.stride * rows {
            self.bits.resize(self.stride * rows, 0);
        }
    }

    /// Blackens a dot; outside the picture nothing happens.
    pub fn set(&mut self, x: i32, y: i32) {
        let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else {
            return;
        };
        if x >= self.stride * 8 {
            return;
        }
        if let Some(byte) = self.bits.get_mut(y * self.stride + x / 8) {
            *byte |= 0x80 >> (x % 8);
        }
    }

    /// Whether a dot is black.
    pub fn get(&self, x: u32, y: u32) -> bool {
        let (x, y) = (
            usize::try_from(x).unwrap_or(usize::MAX),
            usize::try_from(y).unwrap_or(usize::MAX),
        );
        x < self.stride * 8
            && y.checked_mul(self.stride)
                .and_then(|at| self.bits.get(at.checked_add(x / 8)?))
                .is_some_and(|byte| byte & (0x80 >> (x % 8)) != 0)
    }

    /// Blackens a rectangle.
    pub fn fill(&mut self, x: i32, y: i32, width: i32, height: i32) {
        for row in y..y.saturating_add(height) {
            for column in x..x.saturating_add(width) {
                self.set(column, row);
            }
        }
    }

    /// As a PNG file, black on white.
    ///
    /// # Errors
    /// When the picture is empty or too large for the format.
    pub fn png(&self, dpi: u32) -> Result<Vec<u8>, png::EncodingError> {
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, self.width, self.height());
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::One);
        let per_metre = dpi.saturating_mul(10_000) / 254;
        encoder.set_pixel_dims(Some(png::PixelDimensions {
            xppu: per_metre,
            yppu: per_metre,
            unit: png::Unit::Meter,
        }));
        let white: Vec<u8> = self.bits.iter().map(|b| !b).collect();
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&white)?;
        writer.finish()?;
        Ok(out)
    }

    /// Black dots in a rectangle.
    pub fn ink(&self, x: u32, y: u32, width: u32, height: u32) -> u32 {
        let rows = y..y.saturating_add(height).min(self.height());
        let column = |row: u32| {
            (x..x.saturating_add(width).min(self.width))
                .filter(|c| self.get(*c, row))
                .count()
        };
        rows.map(|row| u32::try_from(column(row)).unwrap_or(0)).sum()
    }
}
