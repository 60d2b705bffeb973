//! The exported functions, with the names, order and types of GM/T 0018.
//!
//! Every caller promises what the standard asks of it: pointers that are null or good for the length beside them (outputs: for
//! the length of their structure). That is the proof behind each `unsafe` here; a lying reply breaks the promise on purpose, and
//! the product's guard space is what it is tested against.
#![expect(
    unsafe_code,
    unreachable_pub,
    reason = "the interface of GM/T 0018: C functions whose contract is the header of this file"
)]

use std::ffi::c_void;

use sm3::{Digest, Sm3};

use crate::asymmetric::{self, Sm2Key};
use crate::control;
use crate::reply::Reply;
use crate::state::{Session, State, lock};
use crate::{books, layout, symmetric};

const NOT_SUPPORTED: u32 = 0x0100_0002;
const COMMUNICATION: u32 = 0x0100_0003;
const HARDWARE: u32 = 0x0100_0004;
const OPEN_DEVICE: u32 = 0x0100_0005;
const OPEN_SESSION: u32 = 0x0100_0006;
const NO_RIGHT: u32 = 0x0100_0007;
const NO_KEY: u32 = 0x0100_0008;
const NO_ALGORITHM: u32 = 0x0100_0009;
const BAD_SIGNATURE: u32 = 0x0100_000E;
const STEP: u32 = 0x0100_0010;
const BAD_CIPHER: u32 = 0x0100_0016;
const BAD_INPUT: u32 = 0x0100_001D;
const BAD_PASSWORD: u32 = 0x0100_0100;
const SM2_SIGN: u32 = 0x0002_0200;

type Handle = *mut c_void;

/// Runs one call in a session; hangs, fails and lies as told.
fn call(
    function: &str,
    session: Handle,
    work: impl FnOnce(&mut State, &mut Session) -> Result<Vec<u8>, u32>,
) -> Result<Reply, u32> {
    control::hang(function);
    lock().with(|state| {
        let id = session as usize;
        let mut at = state.sessions.remove(&id).ok_or(COMMUNICATION)?;
        let outcome = if at.broken {
            Err(HARDWARE)
        } else if let Some(code) = state.control.failure(function) {
            at.broken = matches!(code, COMMUNICATION | HARDWARE);
            Err(code)
        } else {
            work(state, &mut at)
        };
        state.sessions.insert(id, at);
        let reply = Reply::new(outcome?).bent(&state.control, function, state.calls);
        if reply.code == 0 { Ok(reply) } else { Err(reply.code) }
    })
}

/// Bytes the caller gave.
unsafe fn given<'a>(at: *const u8, length: usize) -> &'a [u8] {
    if at.is_null() || length > 1 << 24 {
        return &[];
    }
    // SAFETY: see the head of this file.
    unsafe { std::slice::from_raw_parts(at, length) }
}

/// Writes a reply and its count, and answers the code.
unsafe fn answer(reply: Result<Reply, u32>, to: *mut u8, count: *mut u32) -> u32 {
    match reply {
        Err(code) => code,
        Ok(reply) => {
            // SAFETY: see the head of this file.
            unsafe {
                if !to.is_null() {
                    std::ptr::copy_nonoverlapping(reply.bytes.as_ptr(), to, reply.bytes.len());
                }
                if !count.is_null() {
                    *count = reply.count;
                }
            }
            0
        }
    }
}

/// Opens something: a new handle in `to`.
unsafe fn open(to: *mut Handle, handle: Result<usize, u32>) -> u32 {
    match handle {
        Err(code) => code,
        Ok(handle) => {
            // SAFETY: see the head of this file.
            unsafe { *to = handle as Handle };
            0
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn SDF_OpenDevice(to: *mut Handle) -> u32 {
    control::hang("SDF_OpenDevice");
    let handle = lock().with(|state| match state.control.failure("SDF_OpenDevice") {
        Some(code) => Err(code),
        None => {
            let handle = state.handle();
            state.devices.insert(handle);
            Ok(handle)
        }
    });
    unsafe { open(to, handle) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn SDF_CloseDevice(device: Handle) -> u32 {
    let known = lock().with(|state| state.devices.remove(&(device as usize)));
    if known { 0 } else { OPEN_DEVICE }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn SDF_OpenSession(device: Handle, to: *mut Handle) -> u32 {
    control::hang("SDF_OpenSession");
    let handle = lock().with(|state| {
        if let Some(code) = state.control.failure("SDF_OpenSession") {
            return Err(code);
        }
        if !state.devices.contains(&(device as usize)) {
            return Err(COMMUNICATION);
        }
        if state.sessions.len() >= state.control.sessions.unwrap_or(64) {
            return Err(OPEN_SESSION);
        }
        let handle = state.handle();
        state.sessions.insert(handle, Session::default());
        Ok(handle)
    });
    unsafe { open(to, handle) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn SDF_CloseSession(session: Handle) -> u32 {
    let known = lock().with(|state| state.sessions.remove(&(session as usize)).is_some());
    if known { 0 } else { COMMUNICATION }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn SDF_GetDeviceInfo(session: Handle, to: *mut u8) -> u32 {
    let reply = call("SDF_GetDeviceInfo", session, |state, _| {
        Ok(layout::device_info(&state.control))
    });
    unsafe { answer(reply, to, std::ptr::null_mut()) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn SDF_GenerateRandom(session: Handle, length: u32, to: *mut u8) -> u32 {
    let reply = call("SDF_GenerateRandom", session, |_, _| {
        let mut bytes = vec![0; length as usize];
        getrandom::fill(&mut bytes).map_err(|_| HARDWARE)?;
        Ok(bytes)
    });
    unsafe { answer(reply, to, std::ptr::null_mut()) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn SDF_GetPrivateKeyAccessRight(
    session: Handle,
    index: u32,
    password: *const u8,
    length: u32,
) -> u32 {
    let password = unsafe { given(password, length as usize) };
    let reply = call("SDF_GetPrivateKeyAccessRight", session, |state, session| {
        if !state.keys.contains_key(&(index, false)) {
            return Err(NO_KEY);
        }
        let right = state.control.password.as_deref().unwrap_or("bench1234");
        let matches = password == right.as_bytes();
        books::append("attempts", if matches { "right" } else { "wrong" });
        if !matches {
            return Err(BAD_PASSWORD);
        }
        session.rights.insert(index);
        Ok(Vec::new())
    });
    reply.err().unwrap_or(0)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn SDF_ReleasePrivateKeyAccessRight(session: Handle, index: u32) -> u32 {
    let reply = call("SDF_ReleasePrivateKeyAccessRight", session, |_, session| {
        session.rights.remove(&index);
        Ok(Vec::new())
    });
    reply.err().unwrap_or(0)
}

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

#[unsafe(no_mangle)]
pub unsafe extern "C" fn SDF_ImportKey(session: Handle, key: *const u8, length: u32, to: *mut Handle) -> u32 {
    let key = unsafe { given(key, length as usize) };
    let mut handle = 0;
    let reply = call("SDF_ImportKey", session, |state, session| {
        handle = state.handle();
        session.keys.insert(handle, key.try_into().map_err(|_| BAD_INPUT)?);
        Ok(Vec::new())
    });
    unsafe { open(to, reply.map(|_| handle)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn SDF_DestroyKey(session: Handle, key: Handle) -> u32 {
    let reply = call("SDF_DestroyKey", session, |_, session| {
        session.keys.remove(&(key as usize)).map(|_| Vec::new()).ok_or(NO_KEY)
    });
    reply.err().unwrap_or(0)
}

unsafe fn work(
    function: &str,
    session: Handle,
    key: Handle,
    algorithm: u32,
    iv: *mut u8,
    input: &[u8],
    encrypt: bool,
) -> Result<Reply, u32> {
    call(function, session, |state, session| {
        let key = session.keys.get(&(key as usize)).ok_or(NO_KEY)?;
        let mut chain = [0; 16];
        chain
            .iter_mut()
            .zip(unsafe { given(iv, 16) })
            .for_each(|(to, from)| *to = *from);
        let output = symmetric::cipher(algorithm, state.control.sm1, *key, &mut chain, input, encrypt);
        let output = output.ok_or(NO_ALGORITHM)?;
        if !iv.is_null() {
            // SAFETY: see the head of this file.
            unsafe { std::ptr::copy_nonoverlapping(chain.as_ptr(), iv, 16) };
        }
        Ok(output)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn SDF_Encrypt(
    session: Handle,
    key: Handle,
    algorithm: u32,
    iv: *mut u8,
    input: *const u8,
    length: u32,
    to: *mut u8,
    count: *mut u32,
) -> u32 {
    unsafe {
        let input = given(input, length as usize);
        answer(work("SDF_Encrypt", session, key, algorithm, iv, input, true), to, count)
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn SDF_Decrypt(
    session: Handle,
    key: Handle,
    algorithm: u32,
    iv: *mut u8,
    input: *const u8,
    length: u32,
    to: *mut u8,
    count: *mut u32,
) -> u32 {
    unsafe {
        let input = given(input, length as usize);
        answer(
            work("SDF_Decrypt", session, key, algorithm, iv, input, false),
            to,
            count,
        )
    }
}

/// SM3, alone only: binding a key and user id is the caller's, as for signing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn SDF_HashInit(
    session: Handle,
    algorithm: u32,
    key: *const u8,
    _id: *const u8,
    _length: u32,
) -> u32 {
    let reply = call("SDF_HashInit", session, |_, session| {
        if algorithm != 1 {
            return Err(NO_ALGORITHM);
        }
        if !key.is_null() {
            return Err(NOT_SUPPORTED);
        }
        session.hash = Some(Sm3::new());
        Ok(Vec::new())
    });
    reply.err().unwrap_or(0)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn SDF_HashUpdate(session: Handle, data: *const u8, length: u32) -> u32 {
    let data = unsafe { given(data, length as usize) };
    let reply = call("SDF_HashUpdate", session, |_, session| {
        session.hash.as_mut().ok_or(STEP)?.update(data);
        Ok(Vec::new())
    });
    reply.err().unwrap_or(0)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn SDF_HashFinal(session: Handle, to: *mut u8, count: *mut u32) -> u32 {
    let reply = call("SDF_HashFinal", session, |_, session| {
        Ok(session.hash.take().ok_or(STEP)?.finalize().to_vec())
    });
    unsafe { answer(reply, to, count) }
}
