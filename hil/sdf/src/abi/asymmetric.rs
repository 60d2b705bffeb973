//! Public keys, signing, verifying, decrypting.

use super::*;
use crate::asymmetric::{self, Sm2Key};
use crate::layout;

/// The key, if the session may use its private part.
fn opened(state: &State, session: &Session, index: u32, encrypt: bool) -> Result<Sm2Key, u32> {
    let key = state.keys.get(&(index, encrypt)).ok_or(NO_KEY)?;
    if session.rights.contains(&index) {
        Ok(key.clone())
    } else {
        Err(state.control.deny.unwrap_or(NO_RIGHT))
    }
}

fn export(function: &str, session: Handle, index: u32, encrypt: bool) -> Result<Reply, u32> {
    call(function, session, |state, _| {
        let key = state.keys.get(&(index, encrypt)).ok_or(NO_KEY)?;
        Ok(layout::public_key(&state.control, &key.point()))
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn SDF_ExportSignPublicKey_ECC(session: Handle, index: u32, to: *mut u8) -> u32 {
    let reply = export("SDF_ExportSignPublicKey_ECC", session, index, false);
    unsafe { answer(reply, to, std::ptr::null_mut()) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn SDF_ExportEncPublicKey_ECC(session: Handle, index: u32, to: *mut u8) -> u32 {
    let reply = export("SDF_ExportEncPublicKey_ECC", session, index, true);
    unsafe { answer(reply, to, std::ptr::null_mut()) }
}

fn export_rsa(function: &str, session: Handle, index: u32) -> Result<Reply, u32> {
    call(function, session, |_, _| match index {
        1 => Ok(layout::rsa_public(&asymmetric::rsa_modulus())),
        _ => Err(NO_KEY),
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn SDF_ExportSignPublicKey_RSA(session: Handle, index: u32, to: *mut u8) -> u32 {
    let reply = export_rsa("SDF_ExportSignPublicKey_RSA", session, index);
    unsafe { answer(reply, to, std::ptr::null_mut()) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn SDF_ExportEncPublicKey_RSA(session: Handle, index: u32, to: *mut u8) -> u32 {
    let reply = export_rsa("SDF_ExportEncPublicKey_RSA", session, index);
    unsafe { answer(reply, to, std::ptr::null_mut()) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn SDF_InternalPrivateKeyOperation_RSA(
    session: Handle,
    index: u32,
    input: *const u8,
    length: u32,
    to: *mut u8,
    count: *mut u32,
) -> u32 {
    let input = unsafe { given(input, length as usize) };
    let reply = call("SDF_InternalPrivateKeyOperation_RSA", session, |state, session| {
        if index != 1 {
            return Err(NO_KEY);
        }
        opened(state, session, index, false)?;
        if input.len() != asymmetric::RSA_BYTES {
            return Err(BAD_INPUT);
        }
        asymmetric::rsa_private(input).ok_or(BAD_INPUT)
    });
    unsafe { answer(reply, to, count) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn SDF_GenerateKeyPair_ECC(
    session: Handle,
    algorithm: u32,
    bits: u32,
    public: *mut u8,
    private: *mut u8,
) -> u32 {
    let key = Sm2Key::generate();
    let reply = call("SDF_GenerateKeyPair_ECC", session, |state, _| {
        if algorithm & 0x0002_0000 == 0 || bits != 256 {
            return Err(NO_ALGORITHM);
        }
        let bytes = layout::private_key(&state.control, &key.bytes());
        // SAFETY: see the head of this file.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), private, bytes.len()) };
        Ok(layout::public_key(&state.control, &key.point()))
    });
    unsafe { answer(reply, public, std::ptr::null_mut()) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn SDF_InternalSign_ECC(
    session: Handle,
    index: u32,
    e: *const u8,
    length: u32,
    to: *mut u8,
) -> u32 {
    let e = unsafe { given(e, length as usize) };
    let reply = call("SDF_InternalSign_ECC", session, |state, session| {
        let key = opened(state, session, index, false)?;
        if e.len() != 32 {
            return Err(BAD_INPUT);
        }
        let signature = key.sign(e).ok_or(HARDWARE)?;
        Ok(layout::signature(&state.control, &signature))
    });
    unsafe { answer(reply, to, std::ptr::null_mut()) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn SDF_ExternalVerify_ECC(
    session: Handle,
    algorithm: u32,
    key: *const u8,
    e: *const u8,
    length: u32,
    signature: *const u8,
) -> u32 {
    let e = unsafe { given(e, length as usize) };
    let reply = call("SDF_ExternalVerify_ECC", session, |state, _| {
        if algorithm != SM2_SIGN {
            return Err(NO_ALGORITHM);
        }
        let control = &state.control;
        let key = unsafe { given(key, layout::pair_len(control, 4)) };
        let signature = unsafe { given(signature, layout::pair_len(control, 0)) };
        let key = layout::pair(control, key.get(4..).unwrap_or_default()).ok_or(BAD_INPUT)?;
        let signature = layout::pair(control, signature).ok_or(BAD_INPUT)?;
        let mut point = vec![4];
        point.extend(key);
        if asymmetric::verify(&point, e, &signature) {
            Ok(Vec::new())
        } else {
            Err(BAD_SIGNATURE)
        }
    });
    reply.err().unwrap_or(0)
}

/// Reads an `ECCCipher` and decrypts it.
unsafe fn decrypt(session: Handle, index: u32, cipher: *const u8) -> Result<Reply, u32> {
    call("SDF_InternalDecrypt_ECC", session, |state, session| {
        let key = opened(state, session, index, true)?;
        let control = &state.control;
        let width = if control.lite { 32 } else { 64 };
        // Where the point, the hash, the length and the ciphertext are.
        let (point, hash, length, text) = if control.old_cipher {
            (4, 4 + 2 * width + 136 + width - 32, 0, 4 + 2 * width)
        } else {
            (0, 2 * width, 2 * width + 32, 2 * width + 36)
        };
        let word = unsafe { given(cipher.wrapping_add(length), 4) };
        let length = u32::from_le_bytes(word.try_into().map_err(|_| BAD_INPUT)?) as usize;
        if length > 4096 {
            return Err(BAD_INPUT);
        }
        let mut plain = vec![4];
        unsafe {
            let point = given(cipher.wrapping_add(point), 2 * width);
            plain.extend(layout::pair(control, point).ok_or(BAD_INPUT)?);
            plain.extend(given(cipher.wrapping_add(hash), 32));
            plain.extend(given(cipher.wrapping_add(text), length));
        }
        key.decrypt(&plain).ok_or(BAD_CIPHER)
    })
}

/// With six arguments as in 2012, or five under `decrypt short`: then the fourth is the output and the fifth its count. On the
/// 64-bit machines this is built for, all of them travel in registers, so one function can take either.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn SDF_InternalDecrypt_ECC(
    session: Handle,
    index: u32,
    third: usize,
    fourth: *mut u8,
    fifth: *mut u8,
    sixth: *mut u32,
) -> u32 {
    let short = lock().with(|state| state.control.short_decrypt);
    unsafe {
        if short {
            answer(decrypt(session, index, third as *const u8), fourth, fifth.cast())
        } else {
            answer(decrypt(session, index, fourth), fifth, sixth)
        }
    }
}
