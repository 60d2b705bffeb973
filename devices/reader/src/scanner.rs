//! What a serial scanner sends: one code, usually ended by CR, LF or both; some send no end at all.

/// The longest code that is taken, in bytes.
pub const MAX_CODE: usize = 512;

/// Takes codes out of what comes over the line.
#[derive(Default)]
pub struct Codes {
    kept: Vec<u8>,
    spoiled: bool,
    refused: u64,
}

impl Codes {
    /// Codes that were not taken: too long, or no text.
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    /// Whether a code has begun and not ended.
    pub fn begun(&self) -> bool {
        self.spoiled || !self.kept.is_empty()
    }

    /// Takes bytes; the codes that ended.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut codes = Vec::new();
        for &byte in bytes {
            match byte {
                b'\r' | b'\n' => codes.extend(self.end()),
                _ if self.kept.len() >= MAX_CODE => self.spoiled = true,
                _ => self.kept.push(byte),
            }
        }
        codes
    }

    /// The line has been quiet: what came is the whole code.
    pub fn end(&mut self) -> Option<String> {
        let kept = std::mem::take(&mut self.kept);
        let spoiled = std::mem::take(&mut self.spoiled);
        if kept.is_empty() && !spoiled {
            return None;
        }
        let text = String::from_utf8(kept).ok().map(|t| t.trim().to_owned());
        match text {
            Some(text) if !spoiled && !text.is_empty() && !text.chars().any(char::is_control) => Some(text),
            _ => {
                self.refused += 1;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_end_where_the_scanner_says_so_and_noise_is_none() {
        let mut codes = Codes::default();
        assert_eq!(codes.take(b"80000"), Vec::<String>::new());
        assert_eq!(codes.take(b"00001\r\n431100\n\r\r"), ["8000000001", "431100"]);
        assert_eq!(codes.take(b"no end"), Vec::<String>::new());
        assert!(codes.begun());
        assert_eq!(codes.end().as_deref(), Some("no end"));
        assert_eq!(codes.take(b"\x00\xff\xfe\r"), Vec::<String>::new());
        assert_eq!(codes.take(&[b'9'; 3 * MAX_CODE]), Vec::<String>::new());
        assert_eq!(codes.take(b"\rgood\r"), ["good"]);
        assert_eq!(codes.refused(), 2);
    }
}
