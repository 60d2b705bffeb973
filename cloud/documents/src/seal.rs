//! The hospital's seal: an incremental update that adds a signature field (ISO 32000-1 12.7.4.5) whose detached CMS
//! covers every byte of the file but itself and carries a time stamp (PAdES-B-T, ETSI EN 319 142-1). The file is prepared here, the digest signed elsewhere, the signature put
//! into the hole that was left for it.

use lopdf::{Dictionary, Document, IncrementalDocument, Object, ObjectId, StringFormat, dictionary};
use records::Timestamp;
use sha2::{Digest, Sha256};

/// Room for the signature, in bytes; ours take about four thousand with their time stamps.
const ROOM: usize = 12 * 1024;
/// A figure as wide as any offset will be, patched when the offsets are known.
const WIDE: i64 = 9_999_999_999;

/// The seal could not be set.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// Not a PDF that can be extended.
    #[error("PDF structure: {0}")]
    Structure(#[from] lopdf::Error),
    /// The written file does not show the place we left.
    #[error("the place for the signature was not found")]
    NoPlace,
    /// The signature does not fit the place.
    #[error("the signature has {0} bytes, there is room for {ROOM}")]
    TooLarge(usize),
    /// Writing failed.
    #[error("writing: {0}")]
    Write(#[from] std::io::Error),
}

/// A file that waits for its signature.
#[derive(Clone, Debug)]
pub struct Prepared {
    bytes: Vec<u8>,
    /// Of the hexadecimal digits of the signature.
    start: usize,
    end: usize,
}

/// Adds the signature field and the hole; `reason` is what viewers show of the seal.
///
/// # Errors
/// When the file is no PDF that can be extended.
pub fn prepare(pdf: Vec<u8>, hospital: &str, reason: &str, at: Timestamp) -> Result<Prepared, SealError> {
    let before = pdf.len();
    let document = Document::load_mem(&pdf)?;
    let page = document.get_pages().into_values().last().ok_or(SealError::NoPlace)?;
    let catalog = document.trailer.get(b"Root")?.as_reference()?;
    let mut update = IncrementalDocument::create_from(pdf, document);
    let signature = update.new_document.add_object(signature(hospital, reason, at));
    let field = update.new_document.add_object(widget(signature, page));
    let annotations = update
        .get_prev_documents()
        .get_dictionary(page)?
        .get(b"Annots")
        .cloned();
    let mut annotations = match annotations {
        Ok(Object::Array(present)) => present,
        Ok(Object::Reference(id)) => update.get_prev_documents().get_object(id)?.as_array()?.clone(),
        _ => Vec::new(),
    };
    annotations.push(field.into());
    update.opt_clone_object_to_new_document(page)?;
    update.new_document.get_dictionary_mut(page)?.set("Annots", annotations);
    update.opt_clone_object_to_new_document(catalog)?;
    // SigFlags 3: there are signatures, and the file may only be appended to.
    let form = dictionary! { "Fields" => vec![field.into()], "SigFlags" => 3 };
    update.new_document.get_dictionary_mut(catalog)?.set("AcroForm", form);
    let mut bytes = Vec::new();
    update.save_to(&mut bytes)?;
    patch(bytes, before)
}

fn signature(hospital: &str, reason: &str, at: Timestamp) -> Dictionary {
    let t = at.offset();
    let time = format!(
        "D:{:04}{:02}{:02}{:02}{:02}{:02}Z",
        t.year(),
        u8::from(t.month()),
        t.day(),
        t.hour(),
        t.minute(),
        t.second()
    );
    dictionary! {
        "Type" => "Sig",
        "Filter" => "Adobe.PPKLite",
        // PAdES: the message carries its time stamp and names the signer's certificate.
        "SubFilter" => "ETSI.CAdES.detached",
        "ByteRange" => vec![0.into(), WIDE.into(), WIDE.into(), WIDE.into()],
        "Contents" => Object::String(vec![0; ROOM], StringFormat::Hexadecimal),
        "Name" => text(hospital),
        "Reason" => text(reason),
        "M" => Object::string_literal(time),
    }
}

fn widget(signature: ObjectId, page: ObjectId) -> Dictionary {
    dictionary! {
        "Type" => "Annot",
        "Subtype" => "Widget",
        "FT" => "Sig",
        "T" => Object::string_literal("hospital_seal"),
        "V" => signature,
        "P" => page,
        "Rect" => vec![0.into(), 0.into(), 0.into(), 0.into()],
        // Printed, locked.
        "F" => 132,
    }
}

/// A text string in UTF-16BE with its mark, as PDF wants anything that is not Latin.
fn text(words: &str) -> Object {
    let mut bytes = vec![0xFE, 0xFF];
    bytes.extend(words.encode_utf16().flat_map(u16::to_be_bytes));
    Object::String(bytes, StringFormat::Hexadecimal)
}

fn patch(mut bytes: Vec<u8>, from: usize) -> Result<Prepared, SealError> {
    let range = find(&bytes, from, b"/ByteRange").ok_or(SealError::NoPlace)?;
    let open = find(&bytes, range, b"[").ok_or(SealError::NoPlace)?;
    let close = find(&bytes, open, b"]").ok_or(SealError::NoPlace)?;
    let hole: Vec<u8> = std::iter::once(b'<')
        .chain(std::iter::repeat_n(b'0', 2 * ROOM))
        .chain([b'>'])
        .collect();
    let start = find(&bytes, from, &hole).ok_or(SealError::NoPlace)?;
    let end = start + hole.len();
    let figures = format!("0 {start} {end} {}", bytes.len() - end);
    let room = bytes.get_mut(open + 1..close).ok_or(SealError::NoPlace)?;
    if figures.len() > room.len() {
        return Err(SealError::NoPlace);
    }
    for (to, from) in room.iter_mut().zip(figures.bytes().chain(std::iter::repeat(b' '))) {
        *to = from;
    }
    Ok(Prepared {
        bytes,
        start: start + 1,
        end: end - 1,
    })
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    let rest = bytes.get(from..)?;
    rest.windows(what.len()).position(|w| w == what).map(|at| from + at)
}

impl Prepared {
    /// SHA-256 of every byte but the signature with its brackets: what is signed.
    pub fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(self.bytes.get(..self.start - 1).unwrap_or_default());
        digest.update(self.bytes.get(self.end + 1..).unwrap_or_default());
        digest.finalize().into()
    }

    /// The sealed file.
    ///
    /// # Errors
    /// When the signature is larger than the place left for it.
    pub fn seal(mut self, cms: &[u8]) -> Result<Vec<u8>, SealError> {
        if cms.len() > ROOM {
            return Err(SealError::TooLarge(cms.len()));
        }
        let digits = hex::encode(cms);
        let hole = self.bytes.get_mut(self.start..self.end).ok_or(SealError::NoPlace)?;
        for (to, from) in hole.iter_mut().zip(digits.bytes()) {
            *to = from;
        }
        Ok(self.bytes)
    }
}
