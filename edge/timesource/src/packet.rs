//! The NTP header on the wire (RFC 5905, 7.3).

use crate::reader::Reader;
use crate::stamp::Stamp;

/// Length of the header every NTP packet begins with, in bytes (RFC 5905, 7.3).
pub const HEADER_LEN: usize = 48;

/// Stratum from which a server is not synchronised (RFC 5905, figure 11).
pub const UNSYNCHRONISED_STRATUM: u8 = 16;

const CLIENT: u8 = 3;

/// Mode of an answer.
pub const SERVER: u8 = 4;

/// Warning of a leap second (RFC 5905, figure 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leap {
    /// The day has as many seconds as usual.
    None,
    /// The last minute of the day has 61 seconds.
    Insert,
    /// The last minute of the day has 59 seconds.
    Delete,
    /// The server's own clock is not synchronised.
    Unknown,
}

/// The header of an NTP packet (RFC 5905, 7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Leap indicator.
    pub leap: Leap,
    /// Protocol version, 3 bits.
    pub version: u8,
    /// Association mode, 3 bits; 3 client, 4 server.
    pub mode: u8,
    /// 0 kiss of death, 1 primary, 2–15 secondary, 16 unsynchronised.
    pub stratum: u8,
    /// Poll exponent in log2 seconds.
    pub poll: i8,
    /// Precision in log2 seconds.
    pub precision: i8,
    /// Round trip to the primary source in microseconds.
    pub root_delay_us: u64,
    /// Dispersion to the primary source in microseconds.
    pub root_dispersion_us: u64,
    /// Source of the server, or the kiss code when the stratum is 0.
    pub reference_id: [u8; 4],
    /// When the server's clock was last set.
    pub reference: Stamp,
    /// The client's transmit timestamp, returned.
    pub origin: Stamp,
    /// When the request arrived.
    pub receive: Stamp,
    /// When the answer left.
    pub transmit: Stamp,
}

impl Header {
    /// A client's question. It tells nothing about the asker: all fields are constant but the transmit timestamp, and
    /// that one is random, so that only who saw the question can answer it.
    pub const fn question(transmit: Stamp) -> Self {
        Self {
            leap: Leap::None,
            version: 4,
            mode: CLIENT,
            stratum: 0,
            poll: 0,
            precision: 32,
            root_delay_us: 0,
            root_dispersion_us: 0,
            reference_id: [0; 4],
            reference: Stamp::ZERO,
            origin: Stamp::ZERO,
            receive: Stamp::ZERO,
            transmit,
        }
    }

    /// Reads the header; `None` when the datagram is shorter than one.
    pub fn parse(datagram: &[u8]) -> Option<Self> {
        let mut bytes = Reader::new(datagram);
        let first = bytes.u8()?;
        Some(Self {
            leap: match first >> 6 {
                0 => Leap::None,
                1 => Leap::Insert,
                2 => Leap::Delete,
                _ => Leap::Unknown,
            },
            version: (first >> 3) & 7,
            mode: first & 7,
            stratum: bytes.u8()?,
            poll: bytes.u8()?.cast_signed(),
            precision: bytes.u8()?.cast_signed(),
            root_delay_us: short_us(bytes.u32()?),
            root_dispersion_us: short_us(bytes.u32()?),
            reference_id: bytes.array()?,
            reference: Stamp(bytes.u64()?),
            origin: Stamp(bytes.u64()?),
            receive: Stamp(bytes.u64()?),
            transmit: Stamp(bytes.u64()?),
        })
    }

    /// The 48 bytes on the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        let leap = match self.leap {
            Leap::None => 0,
            Leap::Insert => 1,
            Leap::Delete => 2,
            Leap::Unknown => 3,
        };
        let mut out = Vec::with_capacity(HEADER_LEN);
        out.push((leap << 6) | ((self.version & 7) << 3) | (self.mode & 7));
        out.push(self.stratum);
        out.push(self.poll.cast_unsigned());
        out.push(self.precision.cast_unsigned());
        out.extend(us_short(self.root_delay_us).to_be_bytes());
        out.extend(us_short(self.root_dispersion_us).to_be_bytes());
        out.extend(self.reference_id);
        for stamp in [self.reference, self.origin, self.receive, self.transmit] {
            out.extend(stamp.0.to_be_bytes());
        }
        out
    }

    /// The kiss code of a packet of stratum 0.
    pub fn kiss(&self) -> Option<Kiss> {
        let kiss = match &self.reference_id {
            b"RATE" => Kiss::Rate,
            b"DENY" => Kiss::Deny,
            b"RSTR" => Kiss::Restrict,
            b"NTSN" => Kiss::NtsNak,
            other => Kiss::Other(*other),
        };
        (self.stratum == 0).then_some(kiss)
    }

    /// Precision of the server's clock in microseconds, at least 1.
    pub fn precision_us(&self) -> u64 {
        match self.precision {
            // 2^-20 s is just under a microsecond.
            i8::MIN..=-20 => 1,
            -19..=-1 => 1_000_000 >> self.precision.unsigned_abs(),
            0..=i8::MAX => 1_000_000 << self.precision.min(5),
        }
    }
}

/// Why a server sends an answer without time (RFC 5905, 7.4; RFC 8915, 5.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kiss {
    /// Asked too often.
    Rate,
    /// Access denied.
    Deny,
    /// Access denied by a local rule.
    Restrict,
    /// The cookie cannot be read: keys must be agreed anew.
    NtsNak,
    /// A code without consequence defined for clients.
    Other([u8; 4]),
}

/// 16.16 seconds to microseconds (RFC 5905, figure 3).
fn short_us(short: u32) -> u64 {
    (u64::from(short) * 1_000_000) >> 16
}

fn us_short(us: u64) -> u32 {
    u32::try_from((us << 16) / 1_000_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{HEADER_LEN, Header, Kiss, Leap};
    use crate::stamp::Stamp;

    #[test]
    fn a_question_is_the_same_but_for_its_random_number() {
        let bytes = Header::question(Stamp(0x0102_0304_0506_0708)).to_bytes();
        assert_eq!(
            hex::encode(&bytes),
            format!("23000020{}0102030405060708", "0".repeat(72))
        );
        assert_eq!(bytes.len(), HEADER_LEN);
    }

    #[test]
    fn an_answer_recorded_from_chrony_is_read() {
        let bytes = hex::decode(concat!(
            "240306e7000001590000037a7f7f0101",
            "ee8e1a2b4d5f8000ee8e1a3000000001",
            "ee8e1a3012345678ee8e1a3012445678"
        ))
        .unwrap();
        let header = Header::parse(&bytes).unwrap();
        assert_eq!(
            (header.leap, header.version, header.mode, header.stratum),
            (Leap::None, 4, 4, 3)
        );
        assert_eq!((header.root_delay_us, header.root_dispersion_us), (5264, 13580));
        assert_eq!(header.precision_us(), 1);
        assert_eq!(header.origin, Stamp(0xee8e_1a30_0000_0001));
        assert_eq!(header.kiss(), None);
    }

    #[test]
    fn kiss_codes_are_named() {
        for (code, kiss) in [
            (b"RATE", Kiss::Rate),
            (b"DENY", Kiss::Deny),
            (b"RSTR", Kiss::Restrict),
            (b"NTSN", Kiss::NtsNak),
            (b"INIT", Kiss::Other(*b"INIT")),
        ] {
            let mut header = Header::question(Stamp::ZERO);
            header.reference_id = *code;
            assert_eq!(header.kiss(), Some(kiss));
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_back(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            let header = Header::parse(&bytes);
            prop_assert_eq!(header.is_some(), bytes.len() >= HEADER_LEN);
            if let Some(header) = header {
                let again = Header::parse(&header.to_bytes()).unwrap();
                // Microseconds are coarser than 2^-16 s by rounding only.
                prop_assert!(again.root_delay_us.abs_diff(header.root_delay_us) <= 16);
                prop_assert_eq!(again.transmit, header.transmit);
                prop_assert_eq!(again.leap, header.leap);
                prop_assert!(header.precision_us() >= 1);
            }
        }
    }
}
