//! Where a message ends on a stream (RFC 8656 section 12.5): a STUN message says its length; channel data is padded to
//! four bytes.

use bytes::{Buf, Bytes, BytesMut};

/// Largest message and datagram we carry; those of a call fit into one packet of a network.
pub(crate) const LARGEST: usize = 4_096;

/// What comes is neither, or larger than anything we carry; the stream cannot be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Garbage;

/// Length of a STUN header.
const HEADER: usize = 20;

/// Takes the next whole message off the buffer, without padding.
pub(crate) fn take(buffer: &mut BytesMut) -> Result<Option<Bytes>, Garbage> {
    let Some(&[kind, _, high, low]) = buffer.first_chunk::<4>() else {
        return Ok(None);
    };
    let said = usize::from(u16::from_be_bytes([high, low]));
    let (length, padded) = match kind {
        0x00..=0x3F if said.is_multiple_of(4) => (HEADER + said, HEADER + said),
        0x40..=0x4F => (4 + said, 4 + said.next_multiple_of(4)),
        _ => return Err(Garbage),
    };
    if padded > LARGEST {
        return Err(Garbage);
    }
    if buffer.len() < padded {
        return Ok(None);
    }
    let mut message = buffer.split_to(padded);
    message.truncate(length);
    Ok(Some(message.freeze()))
}

/// Channel data as it goes to the client.
pub(crate) fn channel(number: u16, data: &[u8], on_stream: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 + data.len() + 3);
    out.extend(number.to_be_bytes());
    out.extend(u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend(data);
    if on_stream {
        out.resize(out.len().next_multiple_of(4), 0);
    }
    out
}

/// Channel number and data; `None` when it is a STUN message or says more than it has.
pub(crate) fn channel_data(message: &[u8]) -> Option<(u16, &[u8])> {
    let (mut head, rest) = message.split_at_checked(4)?;
    let (number, length) = (head.get_u16(), usize::from(head.get_u16()));
    let known = (0x4000..=0x4FFF).contains(&number);
    known.then(|| rest.get(..length)).flatten().map(|data| (number, data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_whole_however_the_stream_is_cut() {
        let stun = [&[0x00, 0x01, 0x00, 0x04][..], &[7; 16], &[9; 4]].concat();
        let data = channel(0x4001, b"hello", true);
        assert_eq!(data.len(), 12);
        let stream = [stun.clone(), data, stun.clone()].concat();
        for step in 1..stream.len() {
            let (mut buffer, mut whole) = (BytesMut::new(), Vec::new());
            for piece in stream.chunks(step) {
                buffer.extend_from_slice(piece);
                while let Some(message) = take(&mut buffer).unwrap() {
                    whole.push(message);
                }
            }
            assert_eq!(whole.len(), 3, "cut into {step}");
            assert_eq!(whole[0], stun);
            assert_eq!(channel_data(&whole[1]), Some((0x4001, &b"hello"[..])));
        }
        for garbage in [&b"GET / HTTP/1.1"[..], &[0x16, 0x03, 0x01, 0x02]] {
            assert_eq!(take(&mut BytesMut::from(garbage)), Err(Garbage));
        }
        assert_eq!(channel_data(&[0x40, 0, 0, 9, 1]), None, "says more than it has");
    }
}
