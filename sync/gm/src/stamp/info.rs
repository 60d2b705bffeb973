//! `TSTInfo`: what a unit says.

use time::{Duration, OffsetDateTime, UtcOffset};

use crate::Refused;
use crate::der::{self, Reader, tag};
use crate::extension;
use crate::hash::Hash;

/// Longest serial number and nonce, in bytes.
pub(super) const MAX_NUMBER: usize = 64;

/// The digest of what is stamped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imprint {
    /// Its algorithm.
    pub hash: Hash,
    /// Its bytes.
    pub digest: Vec<u8>,
}

impl Imprint {
    /// Of some bytes.
    #[must_use]
    pub fn of(hash: Hash, bytes: &[u8]) -> Self {
        Self {
            hash,
            digest: hash.digest(bytes),
        }
    }

    pub(super) fn to_der(&self) -> Vec<u8> {
        let algorithm = der::sequence(&[&der::oid(self.hash.oid()), der::NULL]);
        der::sequence(&[&algorithm, &der::octets(&self.digest)])
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Refused> {
        let mut inner = reader.sequence("message imprint")?;
        let hash = Hash::read(&mut inner)?;
        let digest = inner.expect(tag::OCTET_STRING)?.value.to_vec();
        inner.finish()?;
        if digest.len() != hash.len() {
            return Err(Refused::InvalidDigest);
        }
        Ok(Self { hash, digest })
    }
}

/// What a time stamp says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// The policy it was issued under, as object identifier content.
    pub policy: Vec<u8>,
    /// What it is over.
    pub imprint: Imprint,
    /// Its serial number, unique within the unit.
    pub serial: Vec<u8>,
    /// The time.
    pub at: OffsetDateTime,
    /// The true time differs by no more than this.
    pub accuracy: Option<Duration>,
    /// Two stamps of the unit can be ordered by their times whatever the accuracy.
    pub ordering: bool,
    /// The nonce of the request.
    pub nonce: Option<Vec<u8>>,
}

impl Info {
    pub(super) fn to_der(&self) -> Vec<u8> {
        let accuracy = self.accuracy.map_or_else(Vec::new, accuracy);
        let ordering = if self.ordering {
            der::element(tag::BOOLEAN, &[0xff])
        } else {
            Vec::new()
        };
        let nonce = self.nonce.as_ref().map_or_else(Vec::new, |n| der::unsigned(n));
        der::sequence(&[
            &der::unsigned(&[1]),
            &der::oid(&self.policy),
            &self.imprint.to_der(),
            &der::unsigned(&self.serial),
            &written(self.at),
            &accuracy,
            &ordering,
            &nonce,
        ])
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let mut outer = Reader::new(bytes, "time stamp");
        let mut inner = outer.sequence("time stamp")?;
        outer.finish()?;
        if inner.small()? != 1 {
            return Err(Refused::Malformed {
                at: "time stamp version",
            });
        }
        let policy = inner.oid()?.to_vec();
        let imprint = Imprint::read(&mut inner)?;
        let serial = number(&mut inner)?;
        let at = read_time(&mut inner)?;
        let accuracy = match inner.optional(tag::SEQUENCE)? {
            Some(parts) => Some(read_accuracy(parts.value)?),
            None => None,
        };
        let ordering = extension::flag(&mut inner, tag::BOOLEAN)?;
        let nonce = match inner.peek() {
            Some(tag::INTEGER) => Some(number(&mut inner)?),
            _ => None,
        };
        inner.optional(tag::context(0))?; // the unit's name: its certificate says it
        if let Some(list) = inner.optional(tag::context(1))? {
            let mut list = Reader::new(list.value, "time stamp extensions");
            while !list.is_empty() {
                let one = extension::read_one(&mut list)?;
                if one.critical {
                    return Err(Refused::UnknownCritical(crate::oid::dotted(one.id)));
                }
            }
        }
        inner.finish()?;
        Ok(Self {
            policy,
            imprint,
            serial,
            at,
            accuracy,
            ordering,
            nonce,
        })
    }
}

/// A non-negative number of bounded length.
pub(super) fn number(reader: &mut Reader<'_>) -> Result<Vec<u8>, Refused> {
    let bytes = reader.unsigned()?;
    if bytes.len() > MAX_NUMBER {
        return Err(Refused::Malformed { at: "number" });
    }
    Ok(bytes.to_vec())
}

/// `GeneralizedTime` with seconds, `Z`, and a fraction without trailing zeros where there is one (RFC 3161 2.4.2).
fn written(at: OffsetDateTime) -> Vec<u8> {
    let at = at.to_offset(UtcOffset::UTC);
    let mut text = format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    );
    if at.nanosecond() != 0 {
        let fraction = format!(".{:09}", at.nanosecond());
        text.push_str(fraction.trim_end_matches('0'));
    }
    text.push('Z');
    der::element(tag::GENERALIZED_TIME, text.as_bytes())
}

fn read_time(reader: &mut Reader<'_>) -> Result<OffsetDateTime, Refused> {
    let bad = Refused::Malformed { at: "time stamp time" };
    let element = reader.expect(tag::GENERALIZED_TIME)?;
    let Some(point) = element.value.iter().position(|b| *b == b'.') else {
        return Reader::new(element.raw, "time stamp time").time();
    };
    let (whole, fraction) = element.value.split_at_checked(point).ok_or(bad.clone())?;
    let digits = fraction
        .strip_prefix(b".")
        .and_then(|rest| rest.strip_suffix(b"Z"))
        .filter(|digits| !digits.is_empty() && digits.len() <= 9 && digits.last() != Some(&b'0'))
        .filter(|digits| digits.iter().all(u8::is_ascii_digit))
        .ok_or(bad)?;
    let nanos = digits
        .iter()
        .chain(std::iter::repeat(&b'0'))
        .take(9)
        .fold(0i64, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    let seconds = der::element(tag::GENERALIZED_TIME, &[whole, b"Z"].concat());
    let at = Reader::new(&seconds, "time stamp time").time()?;
    Ok(at + Duration::nanoseconds(nanos))
}

/// `Accuracy { seconds?, [0] millis 1..999?, [1] micros 1..999? }`.
fn accuracy(of: Duration) -> Vec<u8> {
    let micros = of.whole_microseconds().unsigned_abs();
    let part = |tag: u8, value: u128| -> Vec<u8> {
        if value == 0 {
            return Vec::new();
        }
        let mut element = der::unsigned(&value.to_be_bytes());
        if let Some(first) = element.first_mut() {
            *first = tag;
        }
        element
    };
    der::sequence(&[
        &part(tag::INTEGER, micros / 1_000_000),
        &part(tag::context_primitive(0), micros / 1_000 % 1_000),
        &part(tag::context_primitive(1), micros % 1_000),
    ])
}

fn read_accuracy(bytes: &[u8]) -> Result<Duration, Refused> {
    let bad = || Refused::Malformed {
        at: "time stamp accuracy",
    };
    let figure = |value: &[u8], most: i64| -> Result<i64, Refused> {
        let number = match value {
            [] => None,
            [first, ..] if *first >= 0x80 || value.len() > 5 => None,
            _ => Some(value.iter().fold(0i64, |sum, byte| (sum << 8) | i64::from(*byte))),
        };
        number.filter(|n| *n <= most).ok_or_else(bad)
    };
    let mut inner = Reader::new(bytes, "time stamp accuracy");
    let mut total = Duration::ZERO;
    if let Some(seconds) = inner.optional(tag::INTEGER)? {
        total += Duration::seconds(figure(seconds.value, 86_400)?);
    }
    if let Some(millis) = inner.optional(tag::context_primitive(0))? {
        total += Duration::milliseconds(figure(millis.value, 999)?);
    }
    if let Some(micros) = inner.optional(tag::context_primitive(1))? {
        total += Duration::microseconds(figure(micros.value, 999)?);
    }
    inner.finish()?;
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_unit_says_is_read_as_it_is_written() {
        for (nanos, micros) in [(0, 0), (500_000_000, 1_000_000), (1, 1_234_567), (120_000, 999)] {
            let info = Info {
                policy: vec![0x2a, 3, 4],
                imprint: Imprint::of(Hash::Sm3, b"rx"),
                serial: vec![7],
                at: OffsetDateTime::UNIX_EPOCH + Duration::days(20_000) + Duration::nanoseconds(nanos),
                accuracy: Some(Duration::microseconds(micros)),
                ordering: micros == 999,
                nonce: Some(vec![0xff; 8]),
            };
            assert_eq!(Info::read(&info.to_der()), Ok(info));
        }
    }

    #[test]
    fn odd_times_are_refused() {
        for text in [
            "20260101000000",
            "20260101000000.Z",
            "20260101000000.10Z",
            "20260101000000.1",
            "2026010100000Z",
        ] {
            let element = der::element(tag::GENERALIZED_TIME, text.as_bytes());
            assert!(read_time(&mut Reader::new(&element, "test")).is_err(), "{text}");
        }
    }
}
