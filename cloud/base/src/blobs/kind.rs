//! What a file is, by its bytes, and whether it is whole.

/// A kind of file we take, known by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// MIME type.
    pub mime: &'static str,
    /// Largest size in bytes.
    pub limit: usize,
}

/// What these bytes are; `None` when we do not take such files.
pub fn sniff(bytes: &[u8]) -> Option<Kind> {
    const IMAGE: usize = 10 << 20;
    const VOICE: usize = 12 << 20;
    const FILM: usize = 2 << 30;
    let at = |offset: usize, magic: &[u8]| bytes.get(offset..offset + magic.len()) == Some(magic);
    let (mime, limit) = match () {
        () if at(0, &[0xff, 0xd8, 0xff]) => ("image/jpeg", IMAGE),
        () if at(0, b"\x89PNG\r\n\x1a\n") => ("image/png", IMAGE),
        () if at(0, b"RIFF") && at(8, b"WEBP") => ("image/webp", IMAGE),
        () if at(0, b"RIFF") && at(8, b"WAVE") => ("audio/wav", VOICE),
        () if at(0, b"OggS") => ("audio/ogg", VOICE),
        () if at(0, &[0x1a, 0x45, 0xdf, 0xa3]) => ("video/webm", FILM),
        () if at(4, b"ftyp") => ("video/mp4", FILM),
        () if at(0, b"%PDF-") => ("application/pdf", IMAGE * 2),
        () => return None,
    };
    Some(Kind { mime, limit })
}

/// Whether a picture has its end: a broken upload is told at once, not when the doctor opens it.
pub(super) fn whole(kind: Kind, bytes: &[u8]) -> bool {
    match kind.mime {
        "image/png" => png_parts(bytes),
        // Cameras append things after the end mark.
        "image/jpeg" => bytes.windows(2).skip(2).any(|pair| pair == [0xff, 0xd9]),
        "image/webp" | "audio/wav" => {
            let said = bytes.get(4..8).and_then(|size| <[u8; 4]>::try_from(size).ok());
            said.is_some_and(|size| u64::from(u32::from_le_bytes(size)) + 8 <= bytes.len() as u64)
        }
        _ => true,
    }
}

/// Whether the parts of a PNG follow each other from the header to the end mark.
fn png_parts(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(8..).unwrap_or_default();
    let mut first = true;
    while let (Some(length), Some(kind)) = (rest.first_chunk::<4>(), rest.get(4..8)) {
        if first && kind != b"IHDR" {
            return false;
        }
        first = false;
        let Some(next) = rest.get(u32::from_be_bytes(*length) as usize + 12..) else {
            return false;
        };
        if kind == b"IEND" {
            return true;
        }
        rest = next;
    }
    false
}
