//! The socket's frames: a big-endian `u32` length and JSON.
//!
//! Request `{"method":"sign.document","key":"rx_…","body":{…}}`; answer an `Outcome` of the method's response. Methods
//! and bodies are those of `records::sign`.

use std::io;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zeroize::Zeroizing;

/// Larger frames are refused.
pub const MAX_FRAME: usize = 2 * 1024 * 1024;

/// A request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Name of the operation.
    pub method: String,
    /// Idempotency key of a writing operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The operation's request.
    pub body: Value,
}

/// Reads one frame; `None` at the end of the stream. The buffer is wiped when dropped: it may hold a PIN.
pub async fn read<R: AsyncReadExt + Unpin>(from: &mut R) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let length = match from.read_u32().await {
        Ok(length) => length as usize,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    if length > MAX_FRAME {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "frame too large"));
    }
    let mut frame = Zeroizing::new(vec![0; length]);
    from.read_exact(&mut frame).await?;
    Ok(Some(frame))
}

/// Writes one frame.
pub async fn write<W: AsyncWriteExt + Unpin>(to: &mut W, frame: &[u8]) -> io::Result<()> {
    let length = u32::try_from(frame.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    to.write_u32(length).await?;
    to.write_all(frame).await?;
    to.flush().await
}
