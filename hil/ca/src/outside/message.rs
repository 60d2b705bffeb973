//! The messages, read strictly: what a request leaves out or says wrongly is refused by the number of annex A.

use rig::Clock;

use crate::der::{Element, element, elements, only, sequence};

/// Numbers of annex A.
pub(super) mod code {
    pub(crate) const NO_SUCH_CERTIFICATE: u32 = 0x0400_0001;
    pub(crate) const SIGN_METHOD: u32 = 0x0400_0004;
    pub(crate) const KEY_INDEX: u32 = 0x0400_0005;
    pub(crate) const KEY_VALUE: u32 = 0x0400_0006;
    pub(crate) const DATA_FORMAT: u32 = 0x0400_000d;
    pub(crate) const INTERNAL: u32 = 0x0400_000e;
}

/// A request of the two kinds that are served.
#[derive(Debug)]
pub(super) enum Request<'a> {
    ExportCert {
        identification: &'a [u8],
    },
    SignData {
        method: u32,
        index: u32,
        password: &'a [u8],
        data: &'a [u8],
    },
}

/// `SGD_SM3_SM2`.
pub(super) const SM2_WITH_SM3: u32 = 0x0002_0201;
const USER_ID: &[u8] = b"1234567812345678";

fn number(element: &Element<'_>, tag: u8) -> Option<u32> {
    let minimal = !matches!(element.value, [] | [0, 0..=0x7f, ..] | [0x80..=0xff, ..]);
    let digits = element.value.strip_prefix(&[0]).filter(|rest| !rest.is_empty());
    let digits = digits.unwrap_or(element.value);
    (element.tag == tag && minimal && digits.len() <= 4)
        .then(|| digits.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
}

/// A length and the bytes that it is of.
fn sized<'a>(length: &Element<'_>, bytes: &Element<'a>, tags: (u8, u8)) -> Option<&'a [u8]> {
    let fits = bytes.tag == tags.1 && number(length, tags.0)? as usize == bytes.value.len();
    fits.then_some(bytes.value)
}

/// Reads a request; also its type and whether its CHOICE was wrapped.
pub(super) fn read(bytes: &[u8]) -> Option<(Request<'_>, bool)> {
    let whole = only(bytes).filter(|whole| whole.tag == 0x30)?;
    let parts = elements(whole.value)?;
    let numbers = parts.iter().take_while(|part| part.tag == 2).count();
    let (kind, choice) = match (numbers, parts.as_slice()) {
        (1, [kind, choice, ..]) => (number(kind, 2)?, *choice),
        (2, [version, kind, choice, ..]) if number(version, 2)? == 0 => (number(kind, 2)?, *choice),
        _ => return None,
    };
    let wrapped = choice.tag == 4;
    let choice = if wrapped { only(choice.value)? } else { choice };
    let fields = elements(choice.value)?;
    let request = match (kind, choice.tag, fields.as_slice()) {
        (0, 0xa0, [name]) if name.tag == 4 => Request::ExportCert {
            identification: name.value,
        },
        (3, 0xa3, [method, index, password, id_length, id, length, data]) if password.tag == 4 => {
            if sized(id_length, id, (0x80, 0x81))? != USER_ID {
                return None;
            }
            Request::SignData {
                method: number(method, 2)?,
                index: number(index, 2)?,
                password: password.value,
                data: sized(length, data, (2, 4))?,
            }
        }
        _ => return None,
    };
    Some((request, wrapped))
}

/// INTEGER.
fn integer(number: u32) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let mut digits: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
    if digits.first().is_none_or(|first| *first >= 0x80) {
        digits.insert(0, 0);
    }
    element(2, &digits)
}

/// An answer: a certificate or an OCTET STRING already as DER, or a number that says no.
pub(super) fn write(kind: u32, answer: &Result<Vec<u8>, u32>, wrapped: bool, clock: &Clock) -> Vec<u8> {
    let number = answer.as_ref().err().copied().unwrap_or(0);
    let payload = answer.as_deref().unwrap_or_default();
    let choice = element(0xa0 | kind as u8, &[&integer(number), payload].concat());
    let choice = if wrapped { element(4, &choice) } else { choice };
    let at = clock.now();
    let time = format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}Z",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    );
    // `[0] GeneralizedTime` as an explicit tag: the other way in which the text can be read.
    sequence(&[&integer(kind), &choice, &element(0xa0, &element(0x18, time.as_bytes()))])
}
