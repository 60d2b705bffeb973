//! SM4 and AES in the usual modes; 3DES for old data only.

use aes::cipher::{Block, BlockCipher, BlockDecrypt, BlockEncrypt, KeyInit};
use aes::{Aes128, Aes192, Aes256};
use des::TdesEde3;
use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use serde::Deserialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::fault::{Code, Fault};

/// Block ciphers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
pub enum Cipher {
    /// SM1: exists in certified devices only.
    #[serde(rename = "sm1")]
    Sm1,
    /// SM4 (GB/T 32907), key of 16 bytes.
    #[serde(rename = "sm4")]
    Sm4,
    /// AES, key of 16, 24 or 32 bytes.
    #[serde(rename = "aes")]
    Aes,
    /// 3DES, key of 24 bytes: decryption of old data, where the server's settings allow it.
    #[serde(rename = "3des")]
    TripleDes,
}

/// Modes. ECB hides no pattern; ECB, CBC and CTR do not tell when they were changed. New data: GCM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Each block alone.
    Ecb,
    /// Chained; `iv` of a block.
    Cbc,
    /// Counter; `iv` is the first counter block.
    Ctr,
    /// Counter with tag; `iv` of 12 bytes.
    Gcm,
}

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Into cipher text.
    Encrypt,
    /// Back.
    Decrypt,
}

/// What is to be done. Not printed: it holds a key.
pub struct Symmetric {
    /// The cipher.
    pub cipher: Cipher,
    /// The mode.
    pub mode: Mode,
    /// Which way.
    pub direction: Direction,
    /// The key.
    pub key: Zeroizing<Vec<u8>>,
    /// Initialisation vector; drawn when absent at encryption.
    pub iv: Option<Vec<u8>>,
    /// Additional data (GCM).
    pub aad: Vec<u8>,
    /// The tag (GCM, decryption).
    pub tag: Option<Vec<u8>>,
    /// PKCS#7 padding (ECB, CBC).
    pub padding: bool,
    /// The text.
    pub data: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Symmetric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Symmetric")
            .field("cipher", &self.cipher)
            .finish_non_exhaustive()
    }
}

/// What came of it.
pub struct Sealed {
    /// The text.
    pub data: Zeroizing<Vec<u8>>,
    /// The initialisation vector that was used.
    pub iv: Option<Vec<u8>>,
    /// The tag (GCM, encryption).
    pub tag: Option<Vec<u8>>,
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealed").finish_non_exhaustive()
    }
}

/// One block at a time.
trait Blocks {
    fn size(&self) -> usize;
    fn encrypt(&self, block: &mut [u8]);
    fn decrypt(&self, block: &mut [u8]);
}

impl<C: BlockCipher + BlockEncrypt + BlockDecrypt> Blocks for C {
    fn size(&self) -> usize {
        C::block_size()
    }

    fn encrypt(&self, block: &mut [u8]) {
        self.encrypt_block(Block::<C>::from_mut_slice(block));
    }

    fn decrypt(&self, block: &mut [u8]) {
        self.decrypt_block(Block::<C>::from_mut_slice(block));
    }
}

/// SM4's own code takes many blocks at once; this is for what the modes here share.
struct Sm4(block::Key);

impl Blocks for Sm4 {
    fn size(&self) -> usize {
        block::BLOCK
    }

    fn encrypt(&self, bytes: &mut [u8]) {
        if let Ok(one) = <&mut block::Block>::try_from(bytes) {
            self.0.encrypt_blocks(std::slice::from_mut(one));
        }
    }

    fn decrypt(&self, bytes: &mut [u8]) {
        if let Ok(one) = <&mut block::Block>::try_from(bytes) {
            self.0.decrypt_blocks(std::slice::from_mut(one));
        }
    }
}

impl Symmetric {
    pub(super) fn run(mut self, triple_des: bool) -> Result<Sealed, Fault> {
        match (self.cipher, self.direction) {
            (Cipher::Sm1, _) => return Err(Fault::new(Code::AlgorithmAbsent, "SM1 只存在于密码设备中")),
            (Cipher::TripleDes, Direction::Encrypt) => {
                return Err(Fault::new(Code::NotPermitted, "3DES 只用于解密旧数据"));
            }
            (Cipher::TripleDes, Direction::Decrypt) if !triple_des => {
                return Err(Fault::new(Code::SwitchedOff, "3DES 解密没有开启"));
            }
            _ => {}
        }
        if self.mode == Mode::Gcm {
            return self.gcm();
        }
        let blocks = self.blocks()?;
        let size = blocks.size();
        let iv = match self.mode {
            Mode::Ecb => None,
            Mode::Cbc | Mode::Ctr | Mode::Gcm => Some(self.iv(size)?),
        };
        let mut data = std::mem::take(&mut *self.data);
        match (self.mode, self.direction) {
            (Mode::Ctr, _) => ctr(blocks.as_ref(), iv.as_deref().unwrap_or_default(), &mut data),
            (_, Direction::Encrypt) => {
                if self.padding {
                    let more = size - data.len() % size;
                    data.resize(data.len() + more, more as u8);
                }
                whole(&data, size)?;
                encrypt(blocks.as_ref(), iv.as_deref(), &mut data);
            }
            (_, Direction::Decrypt) => {
                whole(&data, size)?;
                decrypt(blocks.as_ref(), iv.as_deref(), &mut data);
                if self.padding {
                    unpad(&mut data, size)?;
                }
            }
        }
        Ok(Sealed {
            data: Zeroizing::new(data),
            iv,
            tag: None,
        })
    }

    fn blocks(&self) -> Result<Box<dyn Blocks>, Fault> {
        let key = self.key.as_slice();
        let wrong = || Fault::new(Code::DataFormat, "密钥长度与算法不符");
        Ok(match (self.cipher, key.len()) {
            (Cipher::Sm4, 16) => Box::new(Sm4(block::Key::new(key.try_into().map_err(|_| wrong())?))),
            (Cipher::Aes, 16) => Box::new(Aes128::new_from_slice(key).map_err(|_| wrong())?),
            (Cipher::Aes, 24) => Box::new(Aes192::new_from_slice(key).map_err(|_| wrong())?),
            (Cipher::Aes, 32) => Box::new(Aes256::new_from_slice(key).map_err(|_| wrong())?),
            (Cipher::TripleDes, 24) => Box::new(TdesEde3::new_from_slice(key).map_err(|_| wrong())?),
            _ => return Err(wrong()),
        })
    }

    /// The vector given; a random one where none is given and a new one may be drawn.
    pub(super) fn iv(&mut self, size: usize) -> Result<Vec<u8>, Fault> {
        match (self.iv.take(), self.direction) {
            (Some(iv), _) if iv.len() == size => Ok(iv),
            (Some(_), _) => Err(Fault::new(Code::DataFormat, format!("初始向量应为 {size} 字节"))),
            (None, Direction::Decrypt) => Err(Fault::new(Code::DataFormat, "缺少初始向量")),
            (None, Direction::Encrypt) => {
                let mut iv = vec![0; size];
                getrandom::fill(&mut iv).map_err(|_| Code::Internal)?;
                Ok(iv)
            }
        }
    }

    fn gcm(mut self) -> Result<Sealed, Fault> {
        let iv = self.iv(12)?;
        let nonce: [u8; 12] = iv.as_slice().try_into().map_err(|_| Code::Internal)?;
        let mut data = std::mem::take(&mut *self.data);
        let key = self.key.as_slice();
        let wrong = || Fault::new(Code::DataFormat, "密钥长度与算法不符");
        let failed = || Fault::new(Code::DataFormat, "解密失败");
        let tag = match (self.direction, &self.tag) {
            (Direction::Encrypt, _) => None,
            (Direction::Decrypt, Some(tag)) => Some(<[u8; 16]>::try_from(tag.as_slice()).map_err(|_| failed())?),
            (Direction::Decrypt, None) => return Err(Fault::new(Code::DataFormat, "缺少校验值 tag")),
        };
        let made = match (self.cipher, key.len()) {
            (Cipher::Sm4, 16) => {
                let gcm = block::Gcm::new(key.try_into().map_err(|_| wrong())?);
                match tag {
                    None => Some(gcm.seal_in_place(&nonce, &self.aad, &mut data).to_vec()),
                    Some(tag) => {
                        gcm.open_in_place(&nonce, &self.aad, &mut data, &tag)
                            .map_err(|_| failed())?;
                        None
                    }
                }
            }
            (Cipher::Aes, 16 | 32) => {
                let algorithm = if key.len() == 16 { &AES_128_GCM } else { &AES_256_GCM };
                let key = LessSafeKey::new(UnboundKey::new(algorithm, key).map_err(|_| wrong())?);
                let (nonce, aad) = (Nonce::assume_unique_for_key(nonce), Aad::from(&self.aad));
                match tag {
                    None => {
                        let tag = key.seal_in_place_separate_tag(nonce, aad, &mut data);
                        Some(tag.map_err(|_| Code::Internal)?.as_ref().to_vec())
                    }
                    Some(tag) => {
                        data.extend_from_slice(&tag);
                        let length = key.open_in_place(nonce, aad, &mut data).map_err(|_| failed())?.len();
                        data.truncate(length);
                        None
                    }
                }
            }
            _ => return Err(wrong()),
        };
        Ok(Sealed {
            data: Zeroizing::new(data),
            iv: Some(iv),
            tag: made,
        })
    }
}

pub(super) fn whole(data: &[u8], size: usize) -> Result<(), Fault> {
    if data.len().is_multiple_of(size) {
        Ok(())
    } else {
        Err(Fault::new(Code::DataFormat, format!("数据应为 {size} 字节的整数倍")))
    }
}

fn mix(block: &mut [u8], with: &[u8]) {
    for (to, from) in block.iter_mut().zip(with) {
        *to ^= from;
    }
}

fn encrypt(cipher: &dyn Blocks, iv: Option<&[u8]>, data: &mut [u8]) {
    let mut last = iv.map(<[u8]>::to_vec);
    for block in data.chunks_exact_mut(cipher.size()) {
        if let Some(last) = &last {
            mix(block, last);
        }
        cipher.encrypt(block);
        if let Some(last) = &mut last {
            last.copy_from_slice(block);
        }
    }
}

fn decrypt(cipher: &dyn Blocks, iv: Option<&[u8]>, data: &mut [u8]) {
    let mut last = iv.map(<[u8]>::to_vec);
    for block in data.chunks_exact_mut(cipher.size()) {
        let sealed = block.to_vec();
        cipher.decrypt(block);
        if let Some(last) = &mut last {
            mix(block, last);
            *last = sealed;
        }
    }
}

fn ctr(cipher: &dyn Blocks, first: &[u8], data: &mut [u8]) {
    let mut counter = first.to_vec();
    for block in data.chunks_mut(cipher.size()) {
        let mut stream = counter.clone();
        cipher.encrypt(&mut stream);
        mix(block, &stream);
        for byte in counter.iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                break;
            }
        }
    }
}

/// Takes PKCS#7 padding off; one answer for all that is wrong with it.
pub(super) fn unpad(data: &mut Vec<u8>, size: usize) -> Result<(), Fault> {
    let wrong = || Fault::new(Code::DataFormat, "解密失败");
    let count = data.last().copied().ok_or_else(wrong)?;
    let bytes = usize::from(count);
    let start = data
        .len()
        .checked_sub(bytes)
        .filter(|_| (1..=size).contains(&bytes))
        .ok_or_else(wrong)?;
    let differing = data.iter().skip(start).fold(0, |sum, byte| sum | (byte ^ count));
    if differing != 0 {
        return Err(wrong());
    }
    data.truncate(start);
    Ok(())
}
