//! The TPM of the appliance: a sealed secret bound to the machine's measured state, a number that only grows, and the
//! identity keys that prove which machine this is. The server's half, free of TPM libraries, is the crate `evidence`.
//!
//! Every act opens the TPM, does its work and closes it again, so that `edge` and `signd` may share a TPM that serves
//! one connection at a time, and a TPM that was away is used as soon as it is back.

pub mod approval;
pub mod counter;
pub mod identity;
pub mod seal;
pub mod tpm;

pub use approval::{Approval, Authority};
pub use counter::Counter;
pub use identity::Identity;
pub use seal::{Measured, Sealed};
pub use tpm::{Tpm, TpmError};
