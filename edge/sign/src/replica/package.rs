//! The package.
//!
//! ```text
//! "YQREPLIC" | u16 format | u32 length of header | header (JSON) | nonce, AES-256-GCM | signature (ECDSA, DER) | u16 its length
//! ```
//! Numbers are big-endian. What stands before the body is its associated data; the source's TPM signs all before the
//! signature. The header says from whom, for whom, and which number, and carries the content key as a credential that
//! only the TPM it is for can open.

use evidence::make_credential;
use records::Timestamp;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::introduction::Judged;
use super::own::Own;
use crate::Refusal;
use crate::wrap;

/// The format that is written; older ones are read.
const FORMAT: u16 = 1;
const MAGIC: &[u8; 8] = b"YQREPLIC";
const MAX_HEADER: usize = 16 * 1024;

/// From whom, for whom, which.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Header {
    /// Fingerprint of the source, hexadecimal.
    pub(super) source: String,
    /// Fingerprint of the follower, hexadecimal.
    pub(super) target: String,
    /// Greater than that of every package before.
    pub(super) number: i64,
    pub(super) made_at: Timestamp,
    /// The version of `signd`.
    pub(super) version: String,
    /// `TPM2B_ID_OBJECT` content, hexadecimal.
    credential: String,
    /// `TPM2B_ENCRYPTED_SECRET` content, hexadecimal.
    secret: String,
}

/// A package that was read and not yet opened.
pub(super) struct Sealed<'p> {
    pub(super) header: Header,
    head: &'p [u8],
    body: &'p [u8],
    signed: &'p [u8],
    signature: &'p [u8],
}

pub(super) fn damaged() -> Refusal {
    Refusal::no("replica_damaged", "复制包已损坏或不是复制包，未导入。")
}

/// A fresh content key.
pub(super) fn content_key() -> Result<Zeroizing<[u8; 32]>, Refusal> {
    Ok(Zeroizing::new(wrap::random()?))
}

/// Packs a body for a follower.
pub(super) fn pack(
    own: &Own,
    target: &Judged,
    number: i64,
    now: Timestamp,
    key: &[u8; 32],
    mut body: Zeroizing<Vec<u8>>,
) -> Result<Vec<u8>, Refusal> {
    let credential = make_credential(&target.endorsement, target.attestation.name(), key);
    let credential = credential.map_err(|_| Refusal::Damaged("peer's endorsement key"))?;
    let header = Header {
        source: hex::encode(own.keys.fingerprint()),
        target: hex::encode(target.fingerprint),
        number,
        made_at: now,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        credential: hex::encode(&credential.blob),
        secret: hex::encode(&credential.secret),
    };
    let head = serde_json::to_vec(&header).map_err(|_| Refusal::Damaged("package"))?;
    let mut file = MAGIC.to_vec();
    file.extend_from_slice(&FORMAT.to_be_bytes());
    file.extend_from_slice(&u32::try_from(head.len()).unwrap_or(u32::MAX).to_be_bytes());
    file.extend_from_slice(&head);
    let nonce = wrap::random::<NONCE_LEN>()?;
    cipher(key)?
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(&file), &mut *body)
        .map_err(|_| Refusal::Damaged("package"))?;
    file.extend_from_slice(&nonce);
    file.extend_from_slice(&body);
    let signature = own.sign(&file)?;
    let length = u16::try_from(signature.len()).map_err(|_| Refusal::Damaged("signature"))?;
    file.extend_from_slice(&signature);
    file.extend_from_slice(&length.to_be_bytes());
    Ok(file)
}

impl<'p> Sealed<'p> {
    pub(super) fn read(file: &'p [u8]) -> Result<Self, Refusal> {
        let rest = file.strip_prefix(MAGIC).ok_or_else(damaged)?;
        let (format, rest) = rest.split_first_chunk::<2>().ok_or_else(damaged)?;
        if u16::from_be_bytes(*format) != FORMAT {
            let text = "复制包由其他版本的签名服务器制作，请先把两台设备升级到同一版本。";
            return Err(Refusal::no("replica_format", text));
        }
        let (length, _) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
        let length = u32::from_be_bytes(*length) as usize;
        if length > MAX_HEADER {
            return Err(damaged());
        }
        let (before, size) = file.split_last_chunk::<2>().ok_or_else(damaged)?;
        let size = usize::from(u16::from_be_bytes(*size));
        let at = before.len().checked_sub(size).ok_or_else(damaged)?;
        let (signed, signature) = before.split_at_checked(at).ok_or_else(damaged)?;
        let begin = MAGIC.len() + 6;
        let (head, body) = signed.split_at_checked(begin + length).ok_or_else(damaged)?;
        let header = head.get(begin..).ok_or_else(damaged)?;
        Ok(Self {
            header: serde_json::from_slice(header).map_err(|_| damaged())?,
            head,
            body,
            signed,
            signature,
        })
    }

    /// It was made by this source, as it is.
    pub(super) fn is_from(&self, source: &Judged) -> Result<(), Refusal> {
        let verified = source.signing.verify(self.signed, self.signature);
        verified.map_err(|_| {
            let text = "复制包的签名不正确（内容被改动，或不是该主设备制作），未导入。";
            Refusal::no("replica_signature", text)
        })
    }

    /// The content key: only the TPM that the package is for gives it.
    pub(super) fn key(&self, own: &Own) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let credential = hex::decode(&self.header.credential).map_err(|_| damaged())?;
        let secret = hex::decode(&self.header.secret).map_err(|_| damaged())?;
        own.open_secret(&credential, &secret).map_err(|error| match error {
            attest::TpmError::Absent(_) | attest::TpmError::LockedOut => Refusal::Tpm(error),
            _ => Refusal::no(
                "replica_tpm",
                "本设备的可信芯片打不开这个复制包：它是为另一台设备制作的，未导入。",
            ),
        })
    }

    /// The body, opened.
    pub(super) fn open(&self, key: &[u8]) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let (nonce, sealed) = self.body.split_at_checked(NONCE_LEN).ok_or_else(damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged())?;
        let mut opened = Zeroizing::new(sealed.to_vec());
        let plain = cipher(key)?
            .open_in_place(nonce, Aad::from(self.head), &mut opened)
            .map_err(|_| damaged())?
            .len();
        opened.truncate(plain);
        Ok(opened)
    }
}

fn cipher(key: &[u8]) -> Result<LessSafeKey, Refusal> {
    UnboundKey::new(&AES_256_GCM, key)
        .map(LessSafeKey::new)
        .map_err(|_| damaged())
}
