//! Devices, sessions, random bytes and access rights.

use super::*;
use crate::{books, layout};

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
