//! Records of the key exchange (RFC 8915, 4): type with a critical bit, length, body.

use super::{COOKIES, Cookie, fits};
use crate::error::SourceError;
use crate::reader::Reader;

const CRITICAL: u16 = 0x8000;
const END: u16 = 0;
const PROTOCOL: u16 = 1;
const ERROR: u16 = 2;
const WARNING: u16 = 3;
const AEAD: u16 = 4;
const COOKIE: u16 = 5;
const SERVER: u16 = 6;
const PORT: u16 = 7;

/// NTPv4 in the registry of protocols.
const NTPV4: u16 = 0;
/// AEAD_AES_SIV_CMAC_256 in the registry of AEAD algorithms.
const AES_SIV_CMAC_256: u16 = 15;

/// An answer does not exceed this.
pub(super) const ANSWER_LEN: usize = 64 * 1024;

/// The context of the exported keys: NTPv4, AEAD_AES_SIV_CMAC_256, direction (RFC 8915, 5.1).
pub(super) const TO_SERVER: [u8; 5] = [0, 0, 0, 15, 0];
/// Likewise, the way back.
pub(super) const FROM_SERVER: [u8; 5] = [0, 0, 0, 15, 1];

/// What is asked for: NTPv4 with AEAD_AES_SIV_CMAC_256.
pub(super) fn question() -> Vec<u8> {
    let mut out = Vec::new();
    for (kind, body) in [
        (CRITICAL | PROTOCOL, &NTPV4.to_be_bytes()[..]),
        (CRITICAL | AEAD, &AES_SIV_CMAC_256.to_be_bytes()),
        (CRITICAL | END, &[]),
    ] {
        out.extend(kind.to_be_bytes());
        out.extend(u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend(body);
    }
    out
}

/// What the server granted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Granted {
    pub(super) cookies: Vec<Cookie>,
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
}

/// Reads an answer; `Ok(None)` while its end has not come yet.
pub(super) fn answer(bytes: &[u8]) -> Result<Option<Granted>, SourceError> {
    let mut left = Reader::new(bytes);
    let mut granted = Granted::default();
    let (mut protocol, mut aead) = (false, false);
    loop {
        let Some((kind, body)) = record(&mut left) else {
            return Ok(None);
        };
        let number = <[u8; 2]>::try_from(body).map(u16::from_be_bytes).ok();
        match kind & !CRITICAL {
            END => break,
            PROTOCOL => protocol = number == Some(NTPV4),
            AEAD => aead = number == Some(AES_SIV_CMAC_256),
            ERROR => return Err(SourceError::KeyExchangeRefused(number.unwrap_or(u16::MAX))),
            WARNING => return Err(SourceError::KeyExchangeAnswer("未知的警告")),
            COOKIE if granted.cookies.len() < COOKIES && fits(body) => granted.cookies.push(body.to_vec()),
            COOKIE => {}
            SERVER => granted.host = Some(host(body).ok_or(SourceError::KeyExchangeAnswer("时间服务器地址无效"))?),
            PORT => granted.port = Some(number.ok_or(SourceError::KeyExchangeAnswer("时间服务器端口无效"))?),
            _ if kind & CRITICAL != 0 => return Err(SourceError::KeyExchangeAnswer("未知的必选项")),
            _ => {}
        }
    }
    if !protocol {
        return Err(SourceError::KeyExchangeAnswer("不支持 NTPv4"));
    }
    if !aead {
        return Err(SourceError::KeyExchangeAnswer("不支持 AES-SIV-CMAC-256"));
    }
    if granted.cookies.is_empty() {
        return Err(SourceError::KeyExchangeAnswer("没有可用的凭据"));
    }
    Ok(Some(granted))
}

fn record<'a>(left: &mut Reader<'a>) -> Option<(u16, &'a [u8])> {
    let kind = left.u16()?;
    let length = usize::from(left.u16()?);
    Some((kind, left.take(length)?))
}

/// A name or address as ASCII without anything strange in it.
fn host(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || ['.', '-', ':'].contains(&c);
    ((1..=253).contains(&text.len()) && text.chars().all(plain)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Granted, answer, question};
    use crate::error::SourceError;

    fn records(list: &[(u16, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (kind, body) in list {
            out.extend(kind.to_be_bytes());
            out.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
            out.extend(*body);
        }
        out
    }

    const GOOD: &[(u16, &[u8])] = &[
        (0x8001, &[0, 0]),
        (4, &[0, 15]),
        (5, &[7; 100]),
        (6, b"time.example"),
        (7, &[0, 123]),
        (0x8000, &[]),
    ];

    #[test]
    fn a_question_is_what_the_standard_shows() {
        assert_eq!(hex::encode(question()), "80010002000080040002000f80000000");
    }

    #[test]
    fn an_answer_is_read_when_complete() {
        let bytes = records(GOOD);
        assert_eq!(
            answer(&bytes).unwrap().unwrap(),
            Granted {
                cookies: vec![vec![7; 100]],
                host: Some("time.example".to_owned()),
                port: Some(123)
            }
        );
        for end in 0..bytes.len() {
            assert_eq!(answer(&bytes[..end]), Ok(None), "{end}");
        }
    }

    #[test]
    fn answers_that_grant_nothing_are_refused() {
        let without = |kind: u16| {
            let kept: Vec<_> = GOOD.iter().copied().filter(|(k, _)| k & 0x7fff != kind).collect();
            answer(&records(&kept)).unwrap_err()
        };
        for kind in [1, 4, 5] {
            assert!(matches!(without(kind), SourceError::KeyExchangeAnswer(_)));
        }
        let with = |kind: u16, body: &[u8]| {
            let mut all = vec![(kind, body)];
            all.extend(GOOD);
            answer(&records(&all))
        };
        assert_eq!(with(0x8002, &[0, 1]), Err(SourceError::KeyExchangeRefused(1)));
        assert!(with(0x8123, &[]).is_err(), "unknown and critical");
        assert!(with(0x0123, &[1]).is_ok(), "unknown and not critical");
        assert!(with(6, b"a b").is_err());
        assert!(with(0x8001, &[0x80, 1]).is_ok(), "the later record counts");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = answer(&bytes);
        }

        #[test]
        fn any_records_are_read(list in prop::collection::vec(
            (prop_oneof![0_u16..9, 0x8000_u16..0x8009], prop::collection::vec(any::<u8>(), 0..120)), 0..30))
        {
            let list: Vec<(u16, &[u8])> = list.iter().map(|(kind, body)| (*kind, body.as_slice())).collect();
            if let Ok(Some(granted)) = answer(&records(&list)) {
                prop_assert!((1..=8).contains(&granted.cookies.len()));
            }
        }
    }
}
