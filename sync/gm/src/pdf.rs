//! Signatures in PDF files (ISO 32000-1 12.8, PAdES: ETSI EN 319 142-1): found, and each verified. Making the place for a
//! signature is the business of who lays out the file; what goes into it is a detached CMS message, with its time stamp
//! attached ([`crate::stamp::attach`]).
//!
//! No PDF object is interpreted: a file from outside is a row of bytes in which `/ByteRange` stands, and everything about
//! it must be in the one shape that leaves no room for unsigned bytes:
//!
//! ```text
//! 0 ─────────── before ─ /Contents<hole of hex digits> ─ after ─ %%EOF │ later updates, signed by later signatures only
//! └── range 1 ────────────────────┘                    └─ range 2 ─────┘
//! ```
//! The range starts at 0, the gap is exactly one hexadecimal string behind `/Contents` in the same object, the end is the
//! end of the file or of an earlier revision, and ranges of several signatures contain one another.

use time::OffsetDateTime;

use crate::cms::{self, Content};
use crate::der::Reader;
use crate::stamp::{Imprint, Stamped, Token, Unsigned};
use crate::{Refused, Trust};

/// More signatures in one file are not read.
const MAX_SIGNATURES: usize = 64;
/// Longest array of figures.
const MAX_ARRAY: usize = 128;
/// A signature's object without its hole is not longer than this.
const MAX_OBJECT: usize = 16 * 1024;

/// What a signature is, by its `/SubFilter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubFilter {
    /// `adbe.pkcs7.detached`: PKCS#7 as PDF 1.7 has it.
    Pkcs7,
    /// `ETSI.CAdES.detached`: PAdES.
    Cades,
    /// `ETSI.RFC3161`: a time stamp over the whole revision.
    Stamp,
}

/// A signature as it was found, not yet verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its kind.
    pub sub_filter: SubFilter,
    /// Start of the gap: the bytes before it are covered.
    pub gap_start: usize,
    /// End of the gap: the bytes from here to [`Found::end`] are covered.
    pub gap_end: usize,
    /// End of the revision that it covers.
    pub end: usize,
    /// When the signer says it was signed (`/M`): PAdES has it there and not in the message.
    pub stated_at: Option<OffsetDateTime>,
    /// The message in the gap.
    pub message: Vec<u8>,
}

/// What is worth knowing about a signature beyond its being valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// This many bytes were added to the file after the revision that it covers.
    UpdatedAfter(usize),
    /// What was added is covered by a later signature.
    CoveredByLater,
    /// No time stamp: the time is the signer's word.
    NotStamped,
    /// A time stamp that does not hold; the signature stands without it.
    StampRefused(Refused),
}

/// A signature of a file with its verdict.
#[derive(Debug, Clone)]
pub struct Checked {
    /// Where it is, when its place could be read.
    pub found: Option<Found>,
    /// Who signed, or why it is refused.
    pub verdict: Result<Verdict, Refused>,
    /// What else was seen.
    pub findings: Vec<Finding>,
}

/// What holds.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// A signature, with its time stamp where there is one.
    Signed {
        /// Who and when.
        signature: Box<cms::Verified>,
        /// When, by the message, else by the time stamp, else by `/M`: nobody says it when there is none of them, and the
        /// certificate was then judged at the present.
        at: Option<OffsetDateTime>,
        /// Its time, proven.
        stamp: Option<Box<Stamped>>,
    },
    /// A time stamp over the revision.
    Stamped(Box<Stamped>),
}

/// Finds the signatures of a file, oldest revision first; those in a shape that is not accepted as their refusals.
///
/// # Errors
/// When there are more than are read.
pub fn find(file: &[u8]) -> Result<Vec<Result<Found, Refused>>, Refused> {
    const MARK: &[u8] = b"/ByteRange";
    let mut all = Vec::new();
    let mut from = 0;
    while let Some(at) = position(file, from, MARK) {
        from = at + MARK.len();
        // A longer name is another name.
        if file.get(from).is_some_and(|next| is_space(*next) || *next == b'[') {
            if all.len() == MAX_SIGNATURES {
                return Err(Refused::TooLarge { at: "PDF signatures" });
            }
            all.push(read(file, at, from));
        }
    }
    all.sort_by_key(|one| one.as_ref().map_or(usize::MAX, |found| found.end));
    // A later signature lies wholly behind the revision that the earlier one covers. Two that do not are a forgery.
    let mut covered = 0;
    for one in &mut all {
        if let Ok(found) = one {
            if found.gap_start < covered {
                *one = Err(bad("PDF signatures overlap"));
            } else {
                covered = found.end;
            }
        }
    }
    Ok(all)
}

/// Verifies every signature of a file: people's and seals under `trust`, time stamps under `stampers`. Empty when there is
/// no signature.
///
/// # Errors
/// When there are more than are read.
pub fn verify(file: &[u8], trust: &Trust, stampers: &Trust, now: OffsetDateTime) -> Result<Vec<Checked>, Refused> {
    let all = find(file)?;
    let last = all.iter().flatten().map(|found| found.end).max();
    let checked = all.into_iter().map(|one| {
        let found = match one {
            Ok(found) => found,
            Err(reason) => {
                return Checked {
                    found: None,
                    verdict: Err(reason),
                    findings: Vec::new(),
                };
            }
        };
        let mut findings = Vec::new();
        if found.end < file.len() {
            findings.push(Finding::UpdatedAfter(file.len() - found.end));
            if last.is_some_and(|last| last == file.len()) {
                findings.push(Finding::CoveredByLater);
            }
        }
        let covered = [
            file.get(..found.gap_start).unwrap_or_default(),
            file.get(found.gap_end..found.end).unwrap_or_default(),
        ]
        .concat();
        let verdict = match found.sub_filter {
            SubFilter::Stamp => stamped(&found.message, &covered, stampers, now),
            SubFilter::Pkcs7 | SubFilter::Cades => signed(&found, &covered, (trust, stampers), now, &mut findings),
        };
        Checked {
            found: Some(found),
            verdict,
            findings,
        }
    });
    Ok(checked.collect())
}

fn signed(
    found: &Found,
    covered: &[u8],
    (trust, stampers): (&Trust, &Trust),
    now: OffsetDateTime,
    findings: &mut Vec<Finding>,
) -> Result<Verdict, Refused> {
    let message = &found.message;
    let beside = Unsigned::read(message)?;
    let mut stamp: Option<Box<Stamped>> = None;
    for token in &beside.stamps {
        let seen = Token::read(token).and_then(|token| {
            let imprint = Imprint::of(token.info.imprint.hash, &beside.signature);
            token.verify(&imprint, stampers, now)
        });
        match seen {
            Ok(seen) => {
                stamp.get_or_insert(Box::new(seen));
            }
            Err(reason) => findings.push(Finding::StampRefused(reason)),
        }
    }
    if stamp.is_none() {
        findings.push(Finding::NotStamped);
    }
    // What is proven goes before what is said.
    let stated = stamp.as_ref().map(|stamp| stamp.info.at).or(found.stated_at);
    let (signature, at) = cms::verify_stated(message, Content::Bytes(covered), stated, trust, now)?;
    Ok(Verdict::Signed {
        signature: Box::new(signature),
        at,
        stamp,
    })
}

fn stamped(message: &[u8], covered: &[u8], stampers: &Trust, now: OffsetDateTime) -> Result<Verdict, Refused> {
    let token = Token::read(message)?;
    let imprint = Imprint::of(token.info.imprint.hash, covered);
    Ok(Verdict::Stamped(Box::new(token.verify(&imprint, stampers, now)?)))
}

fn bad(at: &'static str) -> Refused {
    Refused::Malformed { at }
}

/// Reads the signature whose `/ByteRange` begins at `name` and whose figures begin at `from`.
fn read(file: &[u8], name: usize, from: usize) -> Result<Found, Refused> {
    let [start, before, after, tail] = figures(file, from)?;
    let end = after.checked_add(tail).filter(|end| *end <= file.len());
    let end = end.ok_or(bad("PDF byte range beyond the file"))?;
    if start != 0 || before == 0 || tail == 0 || before >= after {
        return Err(bad("PDF byte range"));
    }
    if name >= before && name < after || name >= end {
        return Err(bad("PDF byte range does not cover itself"));
    }
    let revision = file.get(..end).unwrap_or_default();
    if !trimmed(revision).ends_with(b"%%EOF") {
        return Err(bad("PDF byte range ends within a revision"));
    }
    let gap = file.get(before..after).ok_or(bad("PDF byte range"))?;
    let digits = gap.strip_prefix(b"<").and_then(|rest| rest.strip_suffix(b">"));
    let digits = digits.ok_or(bad("PDF gap is not one string"))?;
    let ahead = file.get(..before).unwrap_or_default();
    if !trimmed(ahead).ends_with(b"/Contents") {
        return Err(bad("PDF gap is not the contents"));
    }
    let object = object(file, name, (before, after))?;
    Ok(Found {
        sub_filter: sub_filter(&object)?,
        gap_start: before,
        gap_end: after,
        end,
        stated_at: stated_at(&object),
        message: message(digits)?,
    })
}

/// Four figures in brackets.
fn figures(file: &[u8], from: usize) -> Result<[usize; 4], Refused> {
    let wrong = || bad("PDF byte range");
    let rest = file.get(from..).ok_or_else(wrong)?;
    let rest = rest.get(..rest.len().min(MAX_ARRAY)).unwrap_or(rest);
    let open = rest.iter().position(|b| !is_space(*b)).ok_or_else(wrong)?;
    let inner = rest.get(open..).and_then(|r| r.strip_prefix(b"[")).ok_or_else(wrong)?;
    let close = inner.iter().position(|b| *b == b']').ok_or_else(wrong)?;
    let mut figures = [0usize; 4];
    let mut words = inner
        .get(..close)
        .unwrap_or_default()
        .split(|b| is_space(*b))
        .filter(|word| !word.is_empty());
    for figure in &mut figures {
        let word = words.next().ok_or_else(wrong)?;
        if word.len() > 12 || !word.iter().all(u8::is_ascii_digit) {
            return Err(wrong());
        }
        *figure = std::str::from_utf8(word)
            .ok()
            .and_then(|w| w.parse().ok())
            .ok_or_else(wrong)?;
    }
    if words.next().is_some() {
        return Err(wrong());
    }
    Ok(figures)
}

/// The text of the object around a signature, without its gap. The byte range and the contents must lie in the same one.
fn object(file: &[u8], name: usize, (before, after): (usize, usize)) -> Result<Vec<u8>, Refused> {
    let wrong = || bad("PDF signature object");
    let first = name.min(before);
    let window = file.get(first.saturating_sub(MAX_OBJECT)..first).ok_or_else(wrong)?;
    let open = window.windows(4).rposition(|w| w == b" obj").ok_or_else(wrong)?;
    let head = window.get(open + 4..).unwrap_or_default();
    // From the later of the two on: what ends the object.
    let (low, high) = if name < before { (name, before) } else { (after, name) };
    let middle = file.get(low..high).ok_or_else(wrong)?;
    if middle.len() > MAX_OBJECT || position(middle, 0, b"endobj").is_some() || position(head, 0, b"endobj").is_some() {
        return Err(wrong());
    }
    let last = if name < before { after } else { name };
    let rest = file.get(last..).unwrap_or_default();
    let rest = rest.get(..rest.len().min(MAX_OBJECT)).unwrap_or(rest);
    let close = position(rest, 0, b"endobj").ok_or_else(wrong)?;
    Ok([head, middle, rest.get(..close).unwrap_or_default()].concat())
}

fn sub_filter(object: &[u8]) -> Result<SubFilter, Refused> {
    const MARK: &[u8] = b"/SubFilter";
    let wrong = || bad("PDF signature kind");
    let at = position(object, 0, MARK).ok_or_else(wrong)?;
    let rest = object.get(at + MARK.len()..).unwrap_or_default();
    if position(rest, 0, MARK).is_some() {
        return Err(wrong());
    }
    let start = rest.iter().position(|b| !is_space(*b)).ok_or_else(wrong)?;
    let name = rest.get(start..).and_then(|r| r.strip_prefix(b"/")).ok_or_else(wrong)?;
    let end = name.iter().position(|b| is_space(*b) || b"/<>[]()%".contains(b));
    match name.get(..end.unwrap_or(name.len())).unwrap_or_default() {
        b"adbe.pkcs7.detached" => Ok(SubFilter::Pkcs7),
        b"ETSI.CAdES.detached" => Ok(SubFilter::Cades),
        b"ETSI.RFC3161" => Ok(SubFilter::Stamp),
        _ => Err(wrong()),
    }
}

/// The time of `/M` (ISO 32000-1 7.9.4: `D:YYYYMMDDHHmmSS` with `Z` or the distance to UTC); none where there is none, or
/// more than one, or one that is not whole.
fn stated_at(object: &[u8]) -> Option<OffsetDateTime> {
    let mut found = None;
    let mut from = 0;
    while let Some(at) = position(object, from, b"/M") {
        from = at + 2;
        let rest = object.get(from..)?;
        let start = rest.iter().position(|b| !is_space(*b))?;
        // A longer name is another name.
        if rest.get(start) == Some(&b'(') {
            let words = rest.get(start + 1..)?;
            let end = words.iter().take(32).position(|b| *b == b')')?;
            if found.replace(date(words.get(..end)?)?).is_some() {
                return None;
            }
        }
    }
    found
}

fn date(words: &[u8]) -> Option<OffsetDateTime> {
    let text = std::str::from_utf8(words).ok()?.strip_prefix("D:")?;
    let (figures, zone) = text.split_at_checked(14)?;
    if !figures.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number = |from: usize, to: usize| figures.get(from..to)?.parse::<u8>().ok();
    let month = time::Month::try_from(number(4, 6)?).ok()?;
    let day = time::Date::from_calendar_date(figures.get(..4)?.parse().ok()?, month, number(6, 8)?).ok()?;
    let at = day.with_hms(number(8, 10)?, number(10, 12)?, number(12, 14)?).ok()?;
    let zone = match zone.trim_end_matches('\'') {
        "Z" => time::UtcOffset::UTC,
        // Nobody says where this is the time.
        "" => return None,
        zone => {
            let (sign, distance) = match zone.split_at_checked(1)? {
                ("+", distance) => (1, distance),
                ("-", distance) => (-1, distance),
                _ => return None,
            };
            let mut parts = distance.split('\'').map(str::parse::<i8>);
            let (hours, minutes) = (parts.next()?.ok()?, parts.next().unwrap_or(Ok(0)).ok()?);
            time::UtcOffset::from_hms(sign * hours, sign * minutes, 0).ok()?
        }
    };
    Some(at.assume_offset(zone))
}

/// The message in the gap: one DER element, filled up with zeros and nothing else.
fn message(digits: &[u8]) -> Result<Vec<u8>, Refused> {
    let wrong = || bad("PDF gap");
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|n| u8::try_from(n).ok());
    if !digits.len().is_multiple_of(2) {
        return Err(wrong());
    }
    let bytes = digits.chunks_exact(2).map(|pair| match pair {
        [high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
        _ => None,
    });
    let bytes = bytes.collect::<Option<Vec<u8>>>().ok_or_else(wrong)?;
    let length = Reader::new(&bytes, "PDF gap").any()?.raw.len();
    let (message, filling) = bytes.split_at_checked(length).ok_or_else(wrong)?;
    if filling.iter().any(|byte| *byte != 0) {
        return Err(wrong());
    }
    Ok(message.to_vec())
}

/// White space of ISO 32000-1 7.2.2.
fn is_space(byte: u8) -> bool {
    matches!(byte, 0 | b'\t' | b'\n' | 0x0c | b'\r' | b' ')
}

fn trimmed(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|b| !is_space(*b)).map_or(0, |last| last + 1);
    bytes.get(..end).unwrap_or_default()
}

fn position(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let first = *what.first()?;
    let mut at = 0;
    while let Some(next) = rest.get(at..)?.iter().position(|b| *b == first) {
        at += next;
        if rest.get(at..)?.starts_with(what) {
            return Some(from + at);
        }
        at += 1;
    }
    None
}
