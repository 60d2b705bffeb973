//! SM4 and the stand-in for SM1, in ECB and CBC (GM/T 0006 names).

use sm4::Sm4;
use sm4::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};

const SM1_ECB: u32 = 0x101;
const SM1_CBC: u32 = 0x102;
const SM4_ECB: u32 = 0x401;
const SM4_CBC: u32 = 0x402;

/// Works in whole blocks; the IV moves on as the standard says. `None` for algorithms and lengths that are not there.
pub(crate) fn cipher(
    algorithm: u32,
    sm1: bool,
    key: [u8; 16],
    iv: &mut [u8; 16],
    input: &[u8],
    encrypt: bool,
) -> Option<Vec<u8>> {
    let (turn, chained) = match algorithm {
        SM4_ECB => (0, false),
        SM4_CBC => (0, true),
        SM1_ECB if sm1 => (0x5A, false),
        SM1_CBC if sm1 => (0x5A, true),
        _ => return None,
    };
    if input.is_empty() || !input.len().is_multiple_of(16) {
        return None;
    }
    let cipher = Sm4::new(&Array(key.map(|byte| byte ^ turn)));
    let mut output = Vec::with_capacity(input.len());
    for block in input.as_chunks::<16>().0 {
        let mut work = Array(*block);
        if encrypt {
            if chained {
                work.iter_mut().zip(iv.iter()).for_each(|(to, from)| *to ^= from);
            }
            cipher.encrypt_block(&mut work);
            *iv = work.0;
        } else {
            cipher.decrypt_block(&mut work);
            if chained {
                work.iter_mut().zip(iv.iter()).for_each(|(to, from)| *to ^= from);
            }
            *iv = *block;
        }
        output.extend(work);
    }
    Some(output)
}
