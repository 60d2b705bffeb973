//! The small part of DER (X.690) that certificates and signed messages need. Reading is strict: definite minimal lengths,
//! one-byte tags, no trailing bytes. Nesting is bounded by the callers, which read a fixed grammar.

use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

use crate::Refused;

/// Tags used here.
pub mod tag {
    #![expect(missing_docs, reason = "the names are those of X.690")]
    pub const BOOLEAN: u8 = 0x01;
    pub const INTEGER: u8 = 0x02;
    pub const BIT_STRING: u8 = 0x03;
    pub const OCTET_STRING: u8 = 0x04;
    pub const NULL: u8 = 0x05;
    pub const OID: u8 = 0x06;
    pub const UTF8: u8 = 0x0c;
    pub const PRINTABLE: u8 = 0x13;
    pub const IA5: u8 = 0x16;
    pub const UTC_TIME: u8 = 0x17;
    pub const GENERALIZED_TIME: u8 = 0x18;
    pub const SEQUENCE: u8 = 0x30;
    pub const SET: u8 = 0x31;
    /// Context-specific, constructed.
    #[must_use]
    pub const fn context(n: u8) -> u8 {
        0xa0 | n
    }
    /// Context-specific, primitive.
    #[must_use]
    pub const fn context_primitive(n: u8) -> u8 {
        0x80 | n
    }
}

/// One element.
#[derive(Debug, Clone, Copy)]
pub struct Element<'a> {
    /// Its tag byte.
    pub tag: u8,
    /// Its content.
    pub value: &'a [u8],
    /// Tag, length and content.
    pub raw: &'a [u8],
}

/// Reads elements one after another. `at` names the part for a refusal.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    at: &'static str,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`, which are called `at` in refusals.
    #[must_use]
    pub fn new(bytes: &'a [u8], at: &'static str) -> Self {
        Self { rest: bytes, at }
    }

    fn bad(&self) -> Refused {
        Refused::Malformed { at: self.at }
    }

    /// Nothing left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Tag of the next element.
    #[must_use]
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next element, whatever it is.
    pub fn any(&mut self) -> Result<Element<'a>, Refused> {
        let whole = self.rest;
        let (&tag, rest) = whole.split_first().ok_or_else(|| self.bad())?;
        if tag & 0x1f == 0x1f {
            return Err(self.bad());
        }
        let (&first, rest) = rest.split_first().ok_or_else(|| self.bad())?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let count = usize::from(first & 0x7f);
                let (bytes, rest) = rest.split_at_checked(count).ok_or_else(|| self.bad())?;
                if bytes.first() == Some(&0) {
                    return Err(self.bad());
                }
                let length = bytes.iter().fold(0usize, |sum, &b| (sum << 8) | usize::from(b));
                if length < 0x80 {
                    return Err(self.bad());
                }
                (length, rest)
            }
            _ => return Err(self.bad()),
        };
        let (value, rest) = rest.split_at_checked(length).ok_or_else(|| self.bad())?;
        let raw = whole.get(..whole.len() - rest.len()).ok_or_else(|| self.bad())?;
        self.rest = rest;
        Ok(Element { tag, value, raw })
    }

    /// The next element, which must have this tag.
    pub fn expect(&mut self, tag: u8) -> Result<Element<'a>, Refused> {
        let element = self.any()?;
        if element.tag == tag {
            Ok(element)
        } else {
            Err(self.bad())
        }
    }

    /// The next element if it has this tag.
    pub fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>, Refused> {
        if self.peek() == Some(tag) {
            self.any().map(Some)
        } else {
            Ok(None)
        }
    }

    /// The inside of the next element, which must have this tag.
    pub fn inside(&mut self, tag: u8, at: &'static str) -> Result<Reader<'a>, Refused> {
        Ok(Reader::new(self.expect(tag)?.value, at))
    }

    /// The inside of a SEQUENCE.
    pub fn sequence(&mut self, at: &'static str) -> Result<Reader<'a>, Refused> {
        self.inside(tag::SEQUENCE, at)
    }

    /// Refuses trailing bytes.
    pub fn finish(&self) -> Result<(), Refused> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.bad()) }
    }

    /// Content of an OBJECT IDENTIFIER.
    pub fn oid(&mut self) -> Result<&'a [u8], Refused> {
        let value = self.expect(tag::OID)?.value;
        if value.is_empty() {
            return Err(self.bad());
        }
        Ok(value)
    }

    /// A non-negative INTEGER, without its leading zero byte.
    pub fn unsigned(&mut self) -> Result<&'a [u8], Refused> {
        let value = self.expect(tag::INTEGER)?.value;
        match value {
            [] => Err(self.bad()),
            [0] => Ok(value),
            [0, next, ..] if *next < 0x80 => Err(self.bad()),
            [0, rest @ ..] => Ok(rest),
            [first, ..] if *first >= 0x80 => Err(self.bad()),
            _ => Ok(value),
        }
    }

    /// A non-negative INTEGER that fits a byte.
    pub fn small(&mut self) -> Result<u8, Refused> {
        match self.unsigned()? {
            [one] => Ok(*one),
            _ => Err(self.bad()),
        }
    }

    /// A BIT STRING of whole bytes.
    pub fn bits(&mut self) -> Result<&'a [u8], Refused> {
        match self.expect(tag::BIT_STRING)?.value {
            [0, rest @ ..] => Ok(rest),
            _ => Err(self.bad()),
        }
    }

    /// `UTCTime` or `GeneralizedTime`, with seconds and `Z`.
    pub fn time(&mut self) -> Result<OffsetDateTime, Refused> {
        let element = self.any()?;
        let digits = element.value.strip_suffix(b"Z").ok_or_else(|| self.bad())?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(self.bad());
        }
        let (year, rest) = match (element.tag, digits.len()) {
            (tag::UTC_TIME, 12) => {
                let two = number(digits.get(..2)).ok_or_else(|| self.bad())?;
                (if two < 50 { 2000 + two } else { 1900 + two }, digits.get(2..))
            }
            (tag::GENERALIZED_TIME, 14) => (number(digits.get(..4)).ok_or_else(|| self.bad())?, digits.get(4..)),
            _ => return Err(self.bad()),
        };
        let part = |from: usize| rest.and_then(|r| number(r.get(from..from + 2)));
        let read = || -> Option<OffsetDateTime> {
            let month = Month::try_from(u8::try_from(part(0)?).ok()?).ok()?;
            let date = Date::from_calendar_date(year, month, u8::try_from(part(2)?).ok()?).ok()?;
            let time = Time::from_hms(
                u8::try_from(part(4)?).ok()?,
                u8::try_from(part(6)?).ok()?,
                u8::try_from(part(8)?).ok()?,
            )
            .ok()?;
            Some(PrimitiveDateTime::new(date, time).assume_utc())
        };
        read().ok_or_else(|| self.bad())
    }
}

fn number(digits: Option<&[u8]>) -> Option<i32> {
    std::str::from_utf8(digits?).ok()?.parse().ok()
}

/// NULL.
pub const NULL: &[u8] = &[tag::NULL, 0];

/// Parameters that are NULL or absent, and nothing after them.
pub(crate) fn null_or_absent(reader: &mut Reader<'_>) -> Result<(), Refused> {
    if let Some(null) = reader.optional(tag::NULL)?
        && !null.value.is_empty()
    {
        return Err(reader.bad());
    }
    reader.finish()
}

/// One element of this tag around `value`.
#[must_use]
pub fn element(tag: u8, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() + 6);
    out.push(tag);
    if value.len() < 0x80 {
        out.push(value.len() as u8);
    } else {
        let bytes = value.len().to_be_bytes();
        let skip = bytes.iter().take_while(|b| **b == 0).count();
        out.push(0x80 | (bytes.len() - skip) as u8);
        out.extend(bytes.iter().skip(skip));
    }
    out.extend_from_slice(value);
    out
}

/// A constructed element around its parts.
#[must_use]
pub fn constructed(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    element(tag, &parts.concat())
}

/// SEQUENCE of these parts.
#[must_use]
pub fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    constructed(tag::SEQUENCE, parts)
}

/// SET OF, sorted as DER wants.
#[must_use]
pub fn set_of(mut parts: Vec<Vec<u8>>) -> Vec<u8> {
    parts.sort();
    element(tag::SET, &parts.concat())
}

/// OBJECT IDENTIFIER from its content bytes.
#[must_use]
pub fn oid(content: &[u8]) -> Vec<u8> {
    element(tag::OID, content)
}

/// Non-negative INTEGER from big-endian bytes.
#[must_use]
pub fn unsigned(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|b| **b == 0).count();
    let rest = bytes.get(zeros..).unwrap_or_default();
    match rest.first() {
        None => element(tag::INTEGER, &[0]),
        Some(first) if *first >= 0x80 => element(tag::INTEGER, &[&[0], rest].concat()),
        Some(_) => element(tag::INTEGER, rest),
    }
}

/// OCTET STRING.
#[must_use]
pub fn octets(bytes: &[u8]) -> Vec<u8> {
    element(tag::OCTET_STRING, bytes)
}

/// BIT STRING of whole bytes.
#[must_use]
pub fn bits(bytes: &[u8]) -> Vec<u8> {
    element(tag::BIT_STRING, &[&[0], bytes].concat())
}

/// `UTCTime` until 2049, `GeneralizedTime` from 2050 (RFC 5280 4.1.2.5).
#[must_use]
pub fn time(at: OffsetDateTime) -> Vec<u8> {
    let at = at.to_offset(UtcOffset::UTC);
    let tail = format!(
        "{:02}{:02}{:02}{:02}{:02}Z",
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    );
    if at.year() < 2050 {
        element(tag::UTC_TIME, format!("{:02}{tail}", at.year() % 100).as_bytes())
    } else {
        element(tag::GENERALIZED_TIME, format!("{:04}{tail}", at.year()).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_must_be_minimal_and_definite() {
        for bad in [
            &[0x30, 0x80, 0, 0][..],
            &[0x30, 0x81, 0x01, 0x05],
            &[0x30, 0x82, 0x00, 0x81],
            &[0x30, 0x05, 0x00],
            &[0x30],
            &[],
            &[0x3f, 0x81, 0x00],
            &[0x30, 0x85, 1, 1, 1, 1, 1],
        ] {
            assert!(Reader::new(bad, "test").any().is_err(), "{bad:02x?}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for length in [0usize, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let bytes = vec![7u8; length];
            let written = octets(&bytes);
            let mut reader = Reader::new(&written, "test");
            assert_eq!(reader.expect(tag::OCTET_STRING).expect("read").value, bytes);
            reader.finish().expect("nothing left");
        }
    }

    #[test]
    fn times_keep_their_second_across_2050() {
        for unix in [0i64, 1_795_305_600, 2_524_607_999, 2_524_608_000, 4_102_444_800] {
            let at = OffsetDateTime::from_unix_timestamp(unix).expect("time");
            let written = time(at);
            assert_eq!(Reader::new(&written, "test").time().expect("read"), at);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes, "test");
            while let Ok(element) = reader.any() {
                assert!(element.raw.len() >= 2);
            }
        }
    }
}
