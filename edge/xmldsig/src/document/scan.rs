//! Characters: references replaced, line ends made one, what XML does not allow refused.

use std::borrow::Cow;

use super::names;
use crate::Refused;

/// The text and a place in it.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
}

/// What is being read, and so what ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Run {
    /// Up to the next `<`.
    Text,
    /// Up to `]]>`.
    CData,
    /// Up to `-->`.
    Comment,
    /// Up to `?>`.
    Instruction,
    /// Up to this quote; white space becomes a blank.
    Attribute(u8),
}

impl<'a> Scanner<'a> {
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn starts_with(&self, what: &str) -> bool {
        self.text
            .as_bytes()
            .get(self.at..)
            .is_some_and(|rest| rest.starts_with(what.as_bytes()))
    }

    /// Takes it if it stands here.
    pub(super) fn take(&mut self, what: &str) -> bool {
        let here = self.starts_with(what);
        if here {
            self.at += what.len();
        }
        here
    }

    /// Takes it or refuses the document.
    pub(super) fn expect(&mut self, what: &str, at: &'static str) -> Result<(), Refused> {
        if self.take(what) {
            Ok(())
        } else {
            Err(self.malformed(at))
        }
    }

    /// Skips white space; whether there was any.
    pub(super) fn space(&mut self) -> bool {
        let from = self.at;
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        self.at > from
    }

    /// A name without colon.
    pub(super) fn ncname(&mut self, at: &'static str) -> Result<&'a str, Refused> {
        let rest = self.rest();
        let length = names::ncname(rest);
        if length == 0 {
            return Err(self.malformed(at));
        }
        self.at += length;
        Ok(rest.get(..length).unwrap_or_default())
    }

    pub(super) fn malformed(&self, at: &'static str) -> Refused {
        Refused::Malformed { at, line: self.line() }
    }

    /// The line of this place, from 1.
    pub(super) fn line(&self) -> usize {
        let before = self.text.as_bytes().get(..self.at).unwrap_or_default();
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }

    /// Characters up to the end of this run; the end itself is taken, except the `<` after text.
    pub(super) fn characters(&mut self, run: Run) -> Result<Cow<'a, str>, Refused> {
        let mut piece = self.at;
        let mut owned: Option<String> = None;
        loop {
            let Some(byte) = self.peek() else {
                return Err(self.malformed("end of the document inside an element"));
            };
            let ends = match (byte, run) {
                (b'<', Run::Text) => Some(0),
                (b'<', Run::Attribute(_)) => return Err(self.malformed("attribute value")),
                (b']', Run::Text) if self.starts_with("]]>") => return Err(self.malformed("text")),
                (b']', Run::CData) if self.starts_with("]]>") => Some(3),
                (b'-', Run::Comment) if self.starts_with("--") => {
                    if !self.starts_with("-->") {
                        return Err(self.malformed("comment"));
                    }
                    Some(3)
                }
                (b'?', Run::Instruction) if self.starts_with("?>") => Some(2),
                (quote, Run::Attribute(end)) if quote == end => Some(1),
                _ => None,
            };
            if let Some(taken) = ends {
                let last = self.text.get(piece..self.at).unwrap_or_default();
                self.at += taken;
                return Ok(match owned {
                    Some(mut text) => {
                        text.push_str(last);
                        Cow::Owned(text)
                    }
                    None => Cow::Borrowed(last),
                });
            }
            let here = self.at;
            let replaced = match byte {
                b'&' if matches!(run, Run::Text | Run::Attribute(_)) => Some(self.reference()?),
                b'\r' => {
                    self.at += if self.starts_with("\r\n") { 2 } else { 1 };
                    Some(if matches!(run, Run::Attribute(_)) { ' ' } else { '\n' })
                }
                b'\n' | b'\t' if matches!(run, Run::Attribute(_)) => {
                    self.at += 1;
                    Some(' ')
                }
                0..=8 | 0xb | 0xc | 0xe..=0x1f => return Err(self.malformed("character")),
                // U+FFFE and U+FFFF
                0xef if matches!(self.text.as_bytes().get(here + 1..here + 3), Some([0xbf, 0xbe | 0xbf])) => {
                    return Err(self.malformed("character"));
                }
                _ => {
                    self.at += 1;
                    None
                }
            };
            if let Some(replaced) = replaced {
                let text = owned.get_or_insert_default();
                text.push_str(self.text.get(piece..here).unwrap_or_default());
                text.push(replaced);
                piece = self.at;
            }
        }
    }

    /// A character reference or one of the five entities XML knows without a DTD.
    fn reference(&mut self) -> Result<char, Refused> {
        let rest = self.rest();
        // The longest that means anything is &#x0010FFFF; with a few zeros.
        let end = rest
            .bytes()
            .take(16)
            .position(|byte| byte == b';')
            .ok_or_else(|| self.malformed("reference"))?;
        let name = rest.get(1..end).unwrap_or_default();
        let c = match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let code = if let Some(digits) = name.strip_prefix("#x") {
                    digits
                        .bytes()
                        .all(|digit| digit.is_ascii_hexdigit())
                        .then(|| u32::from_str_radix(digits, 16).ok())
                } else if let Some(digits) = name.strip_prefix('#') {
                    digits
                        .bytes()
                        .all(|digit| digit.is_ascii_digit())
                        .then(|| digits.parse().ok())
                } else {
                    None
                };
                code.flatten()
                    .filter(|code| names::is_char(*code))
                    .and_then(char::from_u32)
                    .ok_or_else(|| self.malformed("reference"))?
            }
        };
        self.at += end + 1;
        Ok(c)
    }
}
