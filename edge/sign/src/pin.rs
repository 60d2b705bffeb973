//! PINs.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use records::sign::Pin;
use zeroize::Zeroizing;

use crate::Refusal;

/// Wrong tries before a signer is locked.
pub(crate) const TRIES: u32 = 5;

/// Bytes from which the C library gives memory back to the system at once.
const RETURNED: usize = 33 * 1024 * 1024;

/// Digits only, as many as the hospital's rule wants, at most 12. Never fewer than 4: with five tries a guess then succeeds
/// once in two thousand.
pub(crate) fn check_shape(pin: &Pin, least: usize) -> Result<(), Refusal> {
    let least = least.clamp(*Pin::DIGITS.start(), *Pin::DIGITS.end());
    if pin.has_shape() && pin.0.len() >= least {
        Ok(())
    } else {
        Err(Refusal::no(
            "pin_shape",
            format!("签名密码应为 {least} 至 {} 位数字。", Pin::DIGITS.end()),
        ))
    }
}

/// A PIN that is being chosen: of the right shape, and not the first that anybody tries.
pub(crate) fn check_choice(pin: &Pin, least: usize) -> Result<(), Refusal> {
    check_shape(pin, least)?;
    match pin.choose() {
        Ok(()) => Ok(()),
        Err(_) => Err(Refusal::no(
            "pin_guessable",
            "签名密码过于简单（如 1111、1234），请换一个。",
        )),
    }
}

/// Argon2id with the parameters of OWASP (19 MiB, 2 passes, 1 lane).
pub(crate) fn stretch(pin: &str, salt: &[u8]) -> Result<Zeroizing<[u8; 32]>, Refusal> {
    let failed = |_| Refusal::Damaged("salt");
    let params = Params::new(19 * 1024, 2, 1, Some(32)).map_err(failed)?;
    let blocks = params.block_count();
    // The C library gives what is larger than 32 MiB back at once, and keeps 19 MiB per thread for ever. What is not used
    // of it is never resident.
    let mut memory = Vec::with_capacity(RETURNED / Block::SIZE);
    memory.resize(blocks, Block::default());
    let mut out = Zeroizing::new([0u8; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(pin.as_bytes(), salt, out.as_mut_slice(), &mut memory)
        .map_err(failed)?;
    Ok(out)
}
