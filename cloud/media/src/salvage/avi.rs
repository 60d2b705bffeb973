//! RIFF AVI: chunks of pictures and sound, with or without an index, found again after whatever lies between them.

use std::io::{self, Read, Seek, SeekFrom};

use super::{le32, read_at};

/// Largest head (everything before the data) read.
const MOST_HEAD: u64 = 4 << 20;
/// Largest chunk believed: a key frame of 4K footage has a few megabytes.
const MOST_CHUNK: u64 = 32 << 20;

/// Reads an AVI as a stream: its head, then whole chunks.
pub struct Chunks<F> {
    file: F,
    at: u64,
    end: u64,
    head: Option<u64>,
    /// Bytes that belonged to no chunk.
    pub skipped: u64,
}

impl<F: Read + Seek> Chunks<F> {
    /// Up to `end`. `None` when there is no head that leads to data.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn new(mut file: F, end: u64) -> io::Result<Option<Self>> {
        let mut head = vec![0u8; usize::try_from(MOST_HEAD.min(end)).unwrap_or(0)];
        let got = read_at(&mut file, 0, &mut head)?;
        let head = head.get(..got).unwrap_or_default();
        let riff = head.get(..4) == Some(b"RIFF") && head.get(8..12) == Some(b"AVI ");
        let data = head.windows(4).position(|w| w == b"movi");
        Ok(data.filter(|_| riff).map(|at| Self {
            file,
            at: at as u64 + 4,
            end,
            head: Some(at as u64 + 4),
            skipped: 0,
        }))
    }

    /// The next bytes; empty at the end.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn next_bytes(&mut self) -> io::Result<Vec<u8>> {
        if let Some(head) = self.head.take() {
            let mut bytes = vec![0u8; usize::try_from(head).unwrap_or(0)];
            read_at(&mut self.file, 0, &mut bytes)?;
            return Ok(bytes);
        }
        while self.at + 8 <= self.end {
            let mut header = [0u8; 12];
            let got = read_at(&mut self.file, self.at, &mut header)?;
            let header = header.get(..got).unwrap_or_default();
            match piece(header) {
                Some(Piece::Enter) => self.at += 12,
                Some(Piece::Chunk(length)) if self.at + 8 + length <= self.end => {
                    let mut bytes = vec![0u8; usize::try_from(8 + length + length % 2).unwrap_or(0)];
                    // The byte that makes it even may be cut off.
                    read_at(&mut self.file, self.at, &mut bytes)?;
                    self.at += bytes.len() as u64;
                    return Ok(bytes);
                }
                Some(Piece::Skip(length)) if self.at + 8 + length <= self.end => self.at += 8 + length + length % 2,
                _ => self.resync()?,
            }
        }
        self.skipped += self.end.saturating_sub(self.at);
        self.at = self.end;
        Ok(Vec::new())
    }

    /// Goes to the next place where a chunk may begin.
    fn resync(&mut self) -> io::Result<()> {
        let begin = self.at;
        let mut window = vec![0u8; 64 << 10];
        let mut at = self.at + 1;
        while at + 8 <= self.end {
            let got = read_at(&mut self.file, at, &mut window)?;
            let read = window.get(..got).unwrap_or_default();
            let found = read.windows(8).position(|w| {
                let next = match piece(w) {
                    Some(Piece::Chunk(length)) => length,
                    _ => return false,
                };
                next > 0
            });
            if let Some(found) = found {
                let place = at + found as u64;
                if self.leads_on(place)? {
                    at = place;
                    break;
                }
                at = place + 1;
            } else if got < 8 {
                at = self.end;
            } else {
                at += got as u64 - 7;
            }
        }
        self.at = at.min(self.end);
        self.skipped += self.at - begin;
        Ok(())
    }

    /// Whether the chunk here ends where another begins, or where the content ends.
    fn leads_on(&mut self, at: u64) -> io::Result<bool> {
        let mut header = [0u8; 12];
        read_at(&mut self.file, at, &mut header)?;
        let Some(Piece::Chunk(length)) = piece(&header) else {
            return Ok(false);
        };
        let next = at + 8 + length + length % 2;
        if next >= self.end {
            return Ok(next <= self.end + 1);
        }
        self.file.seek(SeekFrom::Start(next))?;
        let got = read_at(&mut self.file, next, &mut header)?;
        Ok(piece(header.get(..got).unwrap_or_default()).is_some())
    }
}

enum Piece {
    /// Its chunks are read one by one.
    Enter,
    /// Pictures or sound.
    Chunk(u64),
    /// An index, or filling.
    Skip(u64),
}

fn piece(header: &[u8]) -> Option<Piece> {
    let id: [u8; 4] = header.get(..4)?.try_into().ok()?;
    let length = u64::from(le32(header, 4)?);
    let kind = header.get(8..12);
    match &id {
        b"RIFF" if kind == Some(b"AVIX") => Some(Piece::Enter),
        b"LIST" if kind == Some(b"movi") || kind == Some(b"rec ") => Some(Piece::Enter),
        b"idx1" | b"JUNK" | b"LIST" => Some(Piece::Skip(length)),
        [b'i', b'x', a, b] if a.is_ascii_digit() && b.is_ascii_digit() => Some(Piece::Skip(length)),
        [a, b, b'd' | b'w' | b'p', b'c' | b'b'] if a.is_ascii_digit() && b.is_ascii_digit() => {
            (length <= MOST_CHUNK).then_some(Piece::Chunk(length))
        }
        _ => None,
    }
}
