//! The XML declaration.

use super::scan::Scanner;
use crate::Refused;

const AT: &str = "XML declaration";

impl<'a> Scanner<'a> {
    /// `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>`
    pub(super) fn declaration(&mut self) -> Result<(), Refused> {
        self.expect("<?xml", AT)?;
        let space = self.space();
        if !space || self.pseudo("version")? != Some("1.0") {
            return Err(Refused::XmlVersion);
        }
        let mut space = self.space();
        if space && let Some(encoding) = self.pseudo("encoding")? {
            if !encoding.eq_ignore_ascii_case("utf-8") {
                return Err(Refused::Encoding(encoding.to_owned()));
            }
            space = self.space();
        }
        if space && let Some(standalone) = self.pseudo("standalone")? {
            if !matches!(standalone, "yes" | "no") {
                return Err(self.malformed(AT));
            }
            self.space();
        }
        self.expect("?>", AT)
    }

    /// One part of the declaration, if it is the next.
    fn pseudo(&mut self, name: &str) -> Result<Option<&'a str>, Refused> {
        if !self.take(name) {
            return Ok(None);
        }
        self.space();
        self.expect("=", AT)?;
        self.space();
        let Some(quote @ (b'"' | b'\'')) = self.peek() else {
            return Err(self.malformed(AT));
        };
        self.at += 1;
        let rest = self.rest();
        let end = rest
            .bytes()
            .take(64)
            .position(|byte| byte == quote)
            .ok_or_else(|| self.malformed(AT))?;
        self.at += end + 1;
        Ok(rest.get(..end))
    }
}
