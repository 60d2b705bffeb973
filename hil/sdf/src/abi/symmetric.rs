//! Imported keys, ciphers and the hash.

use sm3::{Digest, Sm3};

use super::*;
use crate::symmetric;

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
