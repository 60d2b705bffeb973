//! SM1, which certified devices alone have (GM/T 0006): the device computes, this server pads and bounds.

use custody::{CipherKey, Device, Mode as DeviceMode};
use zeroize::Zeroizing;

use super::symmetric::{unpad, whole};
use super::{Direction, Mode, Sealed, Symmetric};
use crate::fault::{Code, Fault};
use crate::keys::device::{self, Held};

/// Bytes of a block, of a key and of an initialisation vector.
const BLOCK: usize = 16;
/// Bytes of one call: slow devices answer each well within their deadline.
const PIECE: usize = 16 * 1024;

/// Runs SM1 in a device, ECB or CBC.
pub(super) fn sm1(held: &Held, mut asked: Symmetric) -> Result<Sealed, Fault> {
    if asked.key.len() != BLOCK {
        return Err(Fault::new(Code::DataFormat, "密钥长度与算法不符"));
    }
    let iv = match asked.mode {
        Mode::Ecb => None,
        Mode::Cbc => Some(asked.iv(BLOCK)?),
        Mode::Ctr | Mode::Gcm => {
            return Err(Fault::new(Code::AlgorithmAbsent, "密码设备的 SM1 只有 ECB 与 CBC 模式"));
        }
    };
    let mut data = std::mem::take(&mut *asked.data);
    if asked.padding && asked.direction == Direction::Encrypt {
        let more = BLOCK - data.len() % BLOCK;
        data.resize(data.len() + more, more as u8);
    }
    let data = Zeroizing::new(data);
    whole(&data, BLOCK)?;
    let key = CipherKey::Given(asked.key);
    let direction = match asked.direction {
        Direction::Encrypt => custody::Direction::Encrypt,
        Direction::Decrypt => custody::Direction::Decrypt,
    };
    let mut done = Zeroizing::new(Vec::with_capacity(data.len()));
    let mut last = iv.clone();
    for piece in data.chunks(PIECE) {
        let mode = match &last {
            None => DeviceMode::Ecb,
            Some(iv) => DeviceMode::Cbc(iv.as_slice().try_into().map_err(|_| Code::Internal)?),
        };
        let made = held.call(|device| device.cipher(&key, custody::Cipher::Sm1, mode, direction, piece));
        let made = made.map_err(|fault| device::fault(fault.code(), format!("{}：{}", held.name, fault.person())))?;
        if made.len() != piece.len() {
            return Err(Fault::new(Code::DeviceRefused, "密码设备的应答长度不正确"));
        }
        if last.is_some() {
            let sealed: &[u8] = match asked.direction {
                Direction::Encrypt => &made,
                Direction::Decrypt => piece,
            };
            last = sealed.last_chunk::<BLOCK>().map(|block| block.to_vec());
        }
        done.extend_from_slice(&made);
    }
    if asked.padding && asked.direction == Direction::Decrypt {
        unpad(&mut done, BLOCK)?;
    }
    Ok(Sealed {
        data: done,
        iv,
        tag: None,
    })
}
