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

mod asymmetric;
mod device;
mod symmetric;

use std::ffi::c_void;

use crate::control;
use crate::reply::Reply;
use crate::state::{Session, State, lock};

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
