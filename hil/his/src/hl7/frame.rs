//! MLLP frames.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

const START: u8 = 0x0b;
const END: u8 = 0x1c;
const CR: u8 = 0x0d;
const LIMIT: usize = 4 * 1024 * 1024;

/// Puts a message into its frame.
pub(super) fn frame(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 3);
    out.push(START);
    out.extend_from_slice(message);
    out.extend_from_slice(&[END, CR]);
    out
}

/// Bytes received and not yet framed. Kept apart from reading, so that a read may be abandoned without loss.
#[derive(Debug, Default)]
pub(super) struct Framer {
    held: Vec<u8>,
}

impl Framer {
    /// The next whole message; bytes before a start block are skipped.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let start = self.held.iter().position(|b| *b == START);
        self.held.drain(..start.unwrap_or(self.held.len()));
        let end = self.held.windows(2).position(|two| two == [END, CR]);
        let Some(end) = end else {
            if self.held.len() > LIMIT {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "frame too large"));
            }
            return Ok(None);
        };
        let mut message: Vec<u8> = self.held.drain(..end + 2).collect();
        message.truncate(end);
        message.drain(..1);
        Ok(Some(message))
    }

    /// Reads until a message is whole; `None` when the peer closed.
    pub(super) async fn read(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(message) = self.next()? {
                return Ok(Some(message));
            }
            let mut buffer = [0; 8192];
            let count = stream.read(&mut buffer).await?;
            if count == 0 {
                return Ok(None);
            }
            self.held.extend_from_slice(buffer.get(..count).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Framer, frame};

    #[tokio::test]
    async fn messages_in_one_packet_are_all_read() {
        let mut bytes = b"noise".to_vec();
        for text in ["MSH|a", "MSH|b", "MSH|c\x1cd"] {
            bytes.extend(frame(text.as_bytes()));
        }
        let (mut framer, mut stream) = (Framer::default(), bytes.as_slice());
        let mut found = Vec::new();
        while let Some(message) = framer.read(&mut stream).await.unwrap() {
            found.push(String::from_utf8(message).unwrap());
        }
        assert_eq!(found, ["MSH|a", "MSH|b", "MSH|c\x1cd"]);
    }
}
