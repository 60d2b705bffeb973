//! What to do next in a resumable upload; the transfer itself is in `link`.

/// Size of one part: at most this much is sent again after a cut.
pub const PART_BYTES: u64 = 8 * 1024 * 1024;

/// What the receiver said about an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    /// The whole blob is stored (perhaps from an earlier upload of the same content).
    Complete,
    /// So many bytes are stored durably.
    Offset(u64),
    /// The offset we sent is not the receiver's.
    Conflict,
    /// The receiver does not know the upload (it was restored, or the upload expired).
    Missing,
    /// A part was damaged on the way; nothing of it was kept.
    Damaged,
}

/// The next request of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Create the upload by digest and length.
    Create,
    /// Ask for the offset.
    Ask,
    /// Send `length` bytes from `offset`.
    Send {
        /// First byte.
        offset: u64,
        /// Number of bytes.
        length: u64,
    },
    /// Nothing is left to do.
    Done,
}

/// Decides the next request of at most `part` bytes from what the receiver said last.
pub const fn next(total: u64, part: u64, said: Reported) -> Next {
    match said {
        Reported::Complete => Next::Done,
        Reported::Missing => Next::Create,
        Reported::Conflict | Reported::Damaged => Next::Ask,
        Reported::Offset(at) if at > total => Next::Create,
        Reported::Offset(offset) => {
            let left = total - offset;
            let length = if left < part { left } else { part };
            Next::Send { offset, length }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_goes_on_where_the_receiver_stands() {
        assert_eq!(
            next(20 << 20, PART_BYTES, Reported::Offset(8 << 20)),
            Next::Send {
                offset: 8 << 20,
                length: 8 << 20
            }
        );
        assert_eq!(
            next(20 << 20, PART_BYTES, Reported::Offset(16 << 20)),
            Next::Send {
                offset: 16 << 20,
                length: 4 << 20
            }
        );
        assert_eq!(next(20, PART_BYTES, Reported::Conflict), Next::Ask);
        assert_eq!(next(20, PART_BYTES, Reported::Missing), Next::Create);
        assert_eq!(next(20, PART_BYTES, Reported::Offset(21)), Next::Create);
        assert_eq!(next(20, PART_BYTES, Reported::Complete), Next::Done);
    }
}
