//! Keys inside devices: PKCS#11 modules and SDF devices (GM/T 0018, GB/T 36322).
//!
//! `examples/probe.rs` shows how a device is opened and used; as a program it tells a person what a device offers.
//!
//! What holds, whatever stands behind [`Device`]:
//!
//! - **No waiting without end.** Every call runs on a thread of the device's own, with a deadline ([`Guarded`]). A device that
//!   does not answer is not called again until [`Guarded::reset`].
//! - **No signature goes out unseen.** What a device signed is verified here with its public key before it is returned; a wrong
//!   one is [`Fault::BadReply`].
//! - **No PIN is tried twice.** A refused PIN stays refused until a person gives another one: devices lock after a few.
//! - **Replies are outside data.** Buffers have guard space behind them that is looked at after every call, counts are held
//!   against the buffer, points against the curve.
//! - **SM2 means SM2.** An ECDSA signature on the SM2 curve (SoftHSM makes them) is not offered as SM2. SM1 is offered only
//!   where the device itself reports it; its algorithm is secret, so nobody here can check what it answers.

mod der;
mod device;
mod fault;
mod guard;
mod judge;
mod pin;
pub mod pkcs11;
mod pool;
mod reference;
pub mod sdf;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use device::{
    Cipher, CipherKey, Device, DeviceInfo, Direction, Hash, KeyAlgorithm, KeyInfo, Mode, PublicKey, Scheme, Unwrap,
};
pub use fault::Fault;
pub use guard::{Deadlines, Guarded};
pub use pin::Pin;
pub use reference::{KeyRef, SdfKey, Usage};

/// A device as configured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum Config {
    /// A PKCS#11 module.
    Pkcs11(pkcs11::Config),
    /// A GM/T 0018 library.
    Sdf(sdf::Config),
}

/// Opens a device behind deadlines.
pub fn open(config: Config) -> Result<Guarded, Fault> {
    open_within(config, Deadlines::default())
}

/// Opens a device behind deadlines of the caller's choice.
pub fn open_within(config: Config, deadlines: Deadlines) -> Result<Guarded, Fault> {
    let guarded = shut(config, deadlines);
    guarded.reset()?;
    Ok(guarded)
}

/// A device that is not opened yet: [`Guarded::reset`] opens it, and may be tried again. What was learnt of its PIN and how
/// many threads hang in its library is kept over all tries.
#[must_use]
pub fn shut(config: Config, deadlines: Deadlines) -> Guarded {
    let workers = match &config {
        Config::Pkcs11(config) => config.sessions,
        Config::Sdf(config) => config.sessions,
    };
    // One memory of the PIN over all openings: a refused one must not be tried again because the device was reset.
    let pin = Arc::new(match &config {
        Config::Pkcs11(config) => Pin::new(config.pin_file.clone()),
        Config::Sdf(config) => Pin::new(config.password_file.clone()),
    });
    let shared = Arc::clone(&pin);
    let make = move || -> Result<Box<dyn Device>, Fault> {
        Ok(match &config {
            Config::Pkcs11(config) => Box::new(pkcs11::Token::open(config.clone(), Arc::clone(&shared))?),
            Config::Sdf(config) => Box::new(sdf::Sdf::open(config.clone(), Arc::clone(&shared))?),
        })
    };
    Guarded::new(Box::new(make), pin, workers, deadlines)
}

/// How long a session waits for another to come back.
const POOL_PATIENCE: Duration = Duration::from_secs(3);
