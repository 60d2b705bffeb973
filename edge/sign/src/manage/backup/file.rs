//! The file.
//!
//! ```text
//! "YQBACKUP" | u16 format | u32 length of header | header (JSON) | body: nonce, AES-256-GCM | SM3 of all before
//! ```
//! Numbers are big-endian. Everything before the body is its associated data, so that no part can be exchanged. The sum at
//! the end tells damage from a wrong key; it protects nothing.

use records::Timestamp;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::content::{Content, damaged};
use super::custodians::recovery_owner;
use super::device_id;
use super::share::{Share, combine};
use crate::Refusal;
use crate::engine::open_key;
use crate::vault::Unit;
use crate::wrap::{self, Wrapping};

/// The format that is written; older ones are read.
pub(super) const FORMAT: u16 = 1;
const MAGIC: &[u8; 8] = b"YQBACKUP";
const SUM: usize = 32;
const MAX_HEADER: usize = 16 * 1024;
/// The owner's name under which the file's key is wrapped for the device that made it.
const OWNER: &str = "backup file";

/// Who made it, and who can open it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Header {
    /// The device.
    pub(super) device: String,
    pub(super) made_at: Timestamp,
    /// The version of `signd`.
    pub(super) version: String,
    /// The file's key under the device's key of keys, hexadecimal.
    device_key: String,
    /// For the custodians; absent when nobody was appointed.
    custodians: Option<Custodians>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Custodians {
    /// The group's id, hexadecimal.
    group: String,
    /// How many are needed.
    needed: u8,
    /// The file's key under their recovery key, hexadecimal.
    key: String,
}

/// A file that has been opened.
pub(super) struct Opened {
    pub(super) header: Header,
    /// It was made on this device.
    pub(super) own: bool,
    /// The configuration, secrets wrapped under [`Self::key`].
    pub(super) content: Content,
    pub(super) key: Zeroizing<Vec<u8>>,
}

/// Makes a file of what is there.
pub(super) fn make(unit: &Unit<'_>, kek: &[u8], now: Timestamp) -> Result<(Vec<u8>, Header), Refusal> {
    let key = Zeroizing::new(wrap::random::<32>()?);
    let wrapped = |under: &[u8], owner: &str| -> Result<String, Refusal> {
        Ok(hex::encode(
            Wrapping::derive(under, None, owner)?.wrap(key.as_slice(), owner)?,
        ))
    };
    let custodians = match unit.custody_group()? {
        None => None,
        Some(group) => {
            let owner = recovery_owner(&group.id);
            let recovery = open_key(kek, &group.wrapped, &owner, "recovery key")?;
            Some(Custodians {
                group: hex::encode(&group.id),
                needed: group.needed,
                key: wrapped(&recovery, OWNER)?,
            })
        }
    };
    let header = Header {
        device: device_id(kek),
        made_at: now,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        device_key: wrapped(kek, OWNER)?,
        custodians,
    };
    let content = Content::read(unit)?.secrets(|owner, kept| {
        let secret = open_key(kek, kept, owner, "key")?;
        Ok(Zeroizing::new(
            Wrapping::derive(key.as_slice(), None, owner)?.wrap(&secret, owner)?,
        ))
    })?;
    let head = serde_json::to_vec(&header).map_err(|_| Refusal::Damaged("backup"))?;
    let mut body = Zeroizing::new(serde_json::to_vec(&content).map_err(|_| Refusal::Damaged("backup"))?);
    let mut file = MAGIC.to_vec();
    file.extend_from_slice(&FORMAT.to_be_bytes());
    file.extend_from_slice(&u32::try_from(head.len()).unwrap_or(u32::MAX).to_be_bytes());
    file.extend_from_slice(&head);
    let nonce = wrap::random::<NONCE_LEN>()?;
    cipher(key.as_slice())?
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(&file), &mut *body)
        .map_err(|_| Refusal::Damaged("backup"))?;
    file.extend_from_slice(&nonce);
    file.extend_from_slice(&body);
    let sum = gm::sm3(&file);
    file.extend_from_slice(&sum);
    Ok((file, header))
}

/// Opens a file: with nothing on the device that made it, with the custodians' shares elsewhere.
pub(super) fn open(file: &[u8], kek: &[u8], shares: &[String]) -> Result<Opened, Refusal> {
    let (head, body) = split(file)?;
    let header = head.get(MAGIC.len() + 6..).ok_or_else(damaged)?;
    let header: Header = serde_json::from_slice(header).map_err(|_| damaged())?;
    let own = header.device == device_id(kek);
    let key = if own {
        let wrapped = hex::decode(&header.device_key).map_err(|_| damaged())?;
        Wrapping::derive(kek, None, OWNER)?
            .unwrap(&wrapped, OWNER)?
            .ok_or_else(damaged)?
    } else {
        by_custodians(&header, shares)?
    };
    let (nonce, sealed) = body.split_at_checked(NONCE_LEN).ok_or_else(damaged)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged())?;
    let mut opened = Zeroizing::new(sealed.to_vec());
    let plain = cipher(&key)?
        .open_in_place(nonce, Aad::from(head), &mut opened)
        .map_err(|_| damaged())?;
    let content: Content = serde_json::from_slice(plain).map_err(|_| damaged())?;
    Ok(Opened {
        header,
        own,
        content,
        key,
    })
}

/// What stands before the body, and the body.
fn split(file: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    let rest = file.strip_prefix(MAGIC).ok_or_else(damaged)?;
    let (format, rest) = rest.split_first_chunk::<2>().ok_or_else(damaged)?;
    let format = u16::from_be_bytes(*format);
    if format > FORMAT {
        let text = "备份文件由更新版本的签名服务器制作，请先升级本设备再恢复。";
        return Err(Refusal::no("backup_newer", text));
    }
    let (sound, sum) = file
        .split_at_checked(file.len().saturating_sub(SUM))
        .ok_or_else(damaged)?;
    if format == 0 || gm::sm3(sound) != sum {
        return Err(damaged());
    }
    let (length, _) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
    let length = u32::from_be_bytes(*length) as usize;
    if length > MAX_HEADER {
        return Err(damaged());
    }
    sound.split_at_checked(MAGIC.len() + 6 + length).ok_or_else(damaged)
}

fn by_custodians(header: &Header, shares: &[String]) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let Some(custodians) = &header.custodians else {
        let text = "备份来自另一台设备，且备份时没有设置密钥托管人，只能在原设备上恢复。";
        return Err(Refusal::no("backup_device", text));
    };
    let needed = custodians.needed;
    if shares.is_empty() {
        let text = format!("备份来自另一台设备，需要 {needed} 位密钥托管人提供分量。");
        return Err(Refusal::no("backup_device", text));
    }
    let group = hex::decode(&custodians.group).map_err(|_| damaged())?;
    let mut given: Vec<Share> = Vec::new();
    for text in shares {
        let share = Share::read(text)?;
        if share.group.as_slice() != group {
            let text = format!("第 {} 号分量不属于这份备份的托管人组。", share.number);
            return Err(Refusal::no("share_group", text));
        }
        if !given.iter().any(|known| known.number == share.number) {
            given.push(share);
        }
    }
    if given.len() < usize::from(needed) {
        let text = format!("需要 {needed} 位不同托管人的分量，目前只有 {} 份。", given.len());
        return Err(Refusal::no("shares_few", text));
    }
    let recovery = combine(&given);
    let wrapped = hex::decode(&custodians.key).map_err(|_| damaged())?;
    let key = Wrapping::derive(recovery.as_slice(), None, OWNER)?.unwrap(&wrapped, OWNER)?;
    key.ok_or_else(|| Refusal::no("shares_wrong", "托管人分量不正确，无法打开备份。"))
}

fn cipher(key: &[u8]) -> Result<LessSafeKey, Refusal> {
    UnboundKey::new(&AES_256_GCM, key)
        .map(LessSafeKey::new)
        .map_err(|_| damaged())
}
