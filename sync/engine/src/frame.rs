//! The envelope on the wire.
//!
//! `version u8 · flags u8 · crc32c u32le of the rest · CBOR map {0: session, 1: kind, 2: body}`, the CBOR compressed
//! by zstd when flag bit 0 is set. Bodies are CBOR maps with integer keys. Keys are never renumbered; a released
//! body only grows by optional fields. An unknown kind decodes to [`Body::Unknown`] and is passed over.

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

/// The newest envelope version this build speaks.
pub const VERSION: u8 = 1;
/// Largest entry body a sender may append.
pub const MAX_ENTRY_BYTES: usize = 256 * 1024;
/// Largest frame before compression; larger ones are refused before any of it is decoded.
pub const MAX_FRAME_BYTES: usize = 4 * 1024 * 1024;

const HEADER: usize = 6;
const FLAG_ZSTD: u8 = 1;
const COMPRESS_FROM: usize = 512;

/// Why bytes are not a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Shorter than a header.
    #[error("frame of {0} bytes is shorter than its header")]
    Short(usize),
    /// Another protocol version.
    #[error("frame has version {0}, this build speaks {VERSION}")]
    Version(u8),
    /// Damaged on the way.
    #[error("frame checksum does not match")]
    Checksum,
    /// Larger than allowed.
    #[error("frame is larger than {MAX_FRAME_BYTES} bytes")]
    TooLarge,
    /// Not the expected shape.
    #[error("frame cannot be read: {0}")]
    Malformed(String),
}

/// One log entry on the wire; its number follows from its place in the batch.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Entry {
    /// Kind, e.g. `his.command`.
    #[n(0)]
    pub kind: String,
    /// What it concerns; entries of one entity are never reordered.
    #[n(1)]
    pub entity: String,
    /// When it was appended, microseconds UTC of the sender's clock.
    #[n(2)]
    pub at_us: i64,
    /// JSON text.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub body: Vec<u8>,
}

/// A sender's description of one of its streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct OutState {
    /// Lane number.
    #[n(0)]
    pub lane: u8,
    /// Epoch of the stream.
    #[n(1)]
    pub epoch: u64,
    /// A receiver that does not know the epoch starts after this entry.
    #[n(2)]
    pub base: u64,
    /// Oldest entry still stored (`next` when none is).
    #[n(3)]
    pub first: u64,
    /// Number the next appended entry will get.
    #[n(4)]
    pub next: u64,
    /// The receiver told us that it had committed so far; what it committed beyond, it proves with marks. Absent from
    /// builds that knew no marks.
    #[n(5)]
    pub acked: Option<u64>,
    /// First entry written since the receiver's cursor was last compared; not sent.
    #[cbor(skip)]
    pub suspect_from: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Hello {
    #[n(0)]
    pub(crate) edge: String,
    /// Random per start of the process.
    #[n(1)]
    pub(crate) boot: u64,
    /// Counts the connections of this boot, so that a late HELLO cannot supersede a newer one.
    #[n(2)]
    pub(crate) attempt: u64,
    #[n(3)]
    pub(crate) min: u8,
    #[n(4)]
    pub(crate) max: u8,
    #[n(5)]
    pub(crate) wall_us: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct HelloAck {
    #[n(0)]
    pub(crate) version: u8,
    #[n(1)]
    pub(crate) wall_us: i64,
    #[n(2)]
    pub(crate) echo_us: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Batch {
    #[n(0)]
    pub(crate) lane: u8,
    #[n(1)]
    pub(crate) epoch: u64,
    #[n(2)]
    pub(crate) first: u64,
    #[n(3)]
    pub(crate) entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Gap {
    #[n(0)]
    pub(crate) lane: u8,
    #[n(1)]
    pub(crate) epoch: u64,
    #[n(2)]
    pub(crate) first: u64,
    #[n(3)]
    pub(crate) last: u64,
}

/// An acknowledgement, or a request to send (again) from `from`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Cursor {
    #[n(0)]
    pub(crate) lane: u8,
    #[n(1)]
    pub(crate) epoch: u64,
    #[n(2)]
    pub(crate) applied: u64,
    #[n(3)]
    pub(crate) from: u64,
    /// Bytes the sender may have unacknowledged.
    #[n(4)]
    pub(crate) credit: u64,
    /// How long the entry `applied` waited here for its commit; not part of the time on the line.
    #[n(5)]
    pub(crate) held_us: Option<u64>,
    /// In the answer to an announcement, when it is not `applied` that the sender knew to be committed: the newest marks,
    /// packed (see [`crate::mark::Mark`]).
    #[n(6)]
    pub(crate) marks: Option<ByteVec>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Call {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) rid: Vec<u8>,
    #[n(1)]
    pub(crate) method: String,
    #[n(2)]
    pub(crate) key: Option<String>,
    #[n(3)]
    pub(crate) remaining_ms: u64,
    #[n(4)]
    pub(crate) attempt: u32,
    #[cbor(n(5), with = "minicbor::bytes")]
    pub(crate) body: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Reply {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) rid: Vec<u8>,
    /// 0 answered, 1 busy, 2 expired before it was started, 3 answer too large.
    #[n(1)]
    pub(crate) status: u8,
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(crate) body: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Cancel {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) rid: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Ping {
    #[n(0)]
    pub(crate) token: u64,
    #[n(1)]
    pub(crate) wall_us: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Bye {
    /// `fenced`, `wrong_identity`, `version`, `unknown_session`, `out_of_step`, `stopping`.
    #[n(0)]
    pub(crate) code: String,
}

/// What a frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    private_interfaces,
    reason = "bodies are read by the state machines of this crate only"
)]
#[expect(missing_docs, reason = "named after their frames, described in the crate's header")]
pub enum Body {
    Hello(Hello),
    HelloAck(HelloAck),
    Announce(OutState),
    Batch(Batch),
    Gap(Gap),
    Ack(Cursor),
    Resync(Cursor),
    Call(Call),
    Reply(Reply),
    Cancel(Cancel),
    Ping(Ping),
    Pong(Ping),
    Bye(Bye),
    /// A kind from a newer build.
    Unknown(u16),
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Envelope {
    #[n(0)]
    session: u64,
    #[n(1)]
    kind: u16,
    #[cbor(n(2), with = "minicbor::bytes")]
    body: Vec<u8>,
}

impl Body {
    fn kind_and_bytes(&self) -> (u16, Vec<u8>) {
        fn cbor<T: Encode<()>>(t: &T) -> Vec<u8> {
            // Writing CBOR into a vector cannot fail: `Vec<u8>` as writer is infallible.
            minicbor::to_vec(t).unwrap_or_default()
        }
        match self {
            Self::Hello(b) => (1, cbor(b)),
            Self::HelloAck(b) => (2, cbor(b)),
            Self::Announce(b) => (3, cbor(b)),
            Self::Batch(b) => (4, cbor(b)),
            Self::Gap(b) => (5, cbor(b)),
            Self::Ack(b) => (6, cbor(b)),
            Self::Resync(b) => (7, cbor(b)),
            Self::Call(b) => (8, cbor(b)),
            Self::Reply(b) => (9, cbor(b)),
            Self::Cancel(b) => (10, cbor(b)),
            Self::Ping(b) => (11, cbor(b)),
            Self::Pong(b) => (12, cbor(b)),
            Self::Bye(b) => (13, cbor(b)),
            Self::Unknown(kind) => (*kind, Vec::new()),
        }
    }

    fn from_kind(kind: u16, bytes: &[u8]) -> Result<Self, minicbor::decode::Error> {
        Ok(match kind {
            1 => Self::Hello(minicbor::decode(bytes)?),
            2 => Self::HelloAck(minicbor::decode(bytes)?),
            3 => Self::Announce(minicbor::decode(bytes)?),
            4 => Self::Batch(minicbor::decode(bytes)?),
            5 => Self::Gap(minicbor::decode(bytes)?),
            6 => Self::Ack(minicbor::decode(bytes)?),
            7 => Self::Resync(minicbor::decode(bytes)?),
            8 => Self::Call(minicbor::decode(bytes)?),
            9 => Self::Reply(minicbor::decode(bytes)?),
            10 => Self::Cancel(minicbor::decode(bytes)?),
            11 => Self::Ping(minicbor::decode(bytes)?),
            12 => Self::Pong(minicbor::decode(bytes)?),
            13 => Self::Bye(minicbor::decode(bytes)?),
            other => Self::Unknown(other),
        })
    }
}

/// Writes a frame of a session.
pub fn encode(session: u64, body: &Body) -> Vec<u8> {
    let (kind, body) = body.kind_and_bytes();
    let envelope = minicbor::to_vec(Envelope { session, kind, body }).unwrap_or_default();
    let packed = (envelope.len() >= COMPRESS_FROM)
        .then(|| zstd::bulk::compress(&envelope, 1).ok())
        .flatten()
        .filter(|packed| packed.len() < envelope.len());
    let (flags, payload) = packed.map_or((0, envelope), |packed| (FLAG_ZSTD, packed));
    let mut out = Vec::with_capacity(HEADER + payload.len());
    out.push(VERSION);
    out.push(flags);
    out.extend_from_slice(&crc32c::crc32c(&payload).to_le_bytes());
    out.extend_from_slice(&payload);
    out
}

/// Reads a frame: its session and what it says.
///
/// # Errors
/// When the bytes are damaged, too large or of another version.
pub fn decode(bytes: &[u8]) -> Result<(u64, Body), FrameError> {
    let short = || FrameError::Short(bytes.len());
    let (&[version, flags, c0, c1, c2, c3], payload) = bytes.split_first_chunk::<HEADER>().ok_or_else(short)?;
    if version != VERSION {
        return Err(FrameError::Version(version));
    }
    if payload.len() > MAX_FRAME_BYTES {
        return Err(FrameError::TooLarge);
    }
    if crc32c::crc32c(payload) != u32::from_le_bytes([c0, c1, c2, c3]) {
        return Err(FrameError::Checksum);
    }
    let unpacked;
    let envelope = if flags & FLAG_ZSTD == 0 {
        payload
    } else {
        unpacked = zstd::bulk::decompress(payload, MAX_FRAME_BYTES).map_err(|_| FrameError::TooLarge)?;
        &unpacked
    };
    let malformed = |e: minicbor::decode::Error| FrameError::Malformed(e.to_string());
    let envelope: Envelope = minicbor::decode(envelope).map_err(malformed)?;
    let body = Body::from_kind(envelope.kind, &envelope.body).map_err(malformed)?;
    Ok((envelope.session, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> Body {
        Body::Batch(Batch {
            lane: 1,
            epoch: 7,
            first: 42,
            entries: vec![Entry {
                kind: "his.command".into(),
                entity: "con_1".into(),
                at_us: 5,
                body: br#"{"a":1}"#.to_vec(),
            }],
        })
    }

    /// Released bytes must be readable for ever: this frame was written by version 1.
    #[test]
    fn the_golden_batch_of_version_one_is_still_read_and_written() {
        let golden = "01006211af8da300182a010402582aa40001010702182a0381a4006b6869732e636f6d6d616e640165636f6e5f31020503477b2261223a317d";
        let written = hex(&encode(42, &batch()));
        assert_eq!(written, golden);
        assert_eq!(decode(&unhex(golden)).unwrap(), (42, batch()));
    }

    #[test]
    fn a_flipped_bit_anywhere_is_noticed() {
        let bytes = encode(42, &batch());
        for at in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[at / 8] ^= 1 << (at % 8);
            // Only the unused flag bits carry no meaning.
            if at / 8 != 1 {
                assert!(decode(&bad).is_err(), "bit {at}");
            }
        }
    }

    #[test]
    fn a_batch_of_like_entries_is_compressed_and_a_bomb_is_refused() {
        let entry = Entry {
            kind: "print.job".into(),
            entity: "rx_1".into(),
            at_us: 1,
            body: vec![b'x'; 1000],
        };
        let body = Body::Batch(Batch {
            lane: 1,
            epoch: 1,
            first: 1,
            entries: vec![entry; 64],
        });
        let bytes = encode(1, &body);
        assert!(bytes.len() < 6_000, "{}", bytes.len());
        assert_eq!(decode(&bytes).unwrap().1, body);

        let bomb = zstd::bulk::compress(&vec![0u8; MAX_FRAME_BYTES + 1], 1).unwrap();
        let mut frame = vec![VERSION, FLAG_ZSTD];
        frame.extend_from_slice(&crc32c::crc32c(&bomb).to_le_bytes());
        frame.extend_from_slice(&bomb);
        assert_eq!(decode(&frame), Err(FrameError::TooLarge));
    }

    #[test]
    fn a_kind_of_a_newer_build_is_passed_over_and_a_newer_field_is_ignored() {
        assert_eq!(
            decode(&encode(3, &Body::Unknown(900))).unwrap(),
            (3, Body::Unknown(900))
        );
        // {0: "stopping", 7: 1}: field 7 does not exist in this version.
        let newer = [
            0xa2, 0x00, 0x68, b's', b't', b'o', b'p', b'p', b'i', b'n', b'g', 0x07, 0x01,
        ];
        assert_eq!(
            Body::from_kind(13, &newer).unwrap(),
            Body::Bye(Bye {
                code: "stopping".into()
            })
        );
    }

    proptest::proptest! {
        /// Whatever a hostile peer puts behind a correct header is refused or read, never a panic.
        #[test]
        fn rubbish_behind_a_good_header_is_refused(rubbish in proptest::collection::vec(0u8.., 0..300), zstd: bool) {
            let mut frame = vec![VERSION, u8::from(zstd)];
            frame.extend_from_slice(&crc32c::crc32c(&rubbish).to_le_bytes());
            frame.extend_from_slice(&rubbish);
            let _ = decode(&frame);
            for kind in 0..14 {
                let _ = Body::from_kind(kind, &rubbish);
            }
        }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    fn unhex(text: &str) -> Vec<u8> {
        (0..text.len() / 2)
            .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
            .collect()
    }
}
