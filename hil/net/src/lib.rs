//! Bench peers around the product: the SMS gateway with the demo phone and authenticator, the receipt printer, the fault
//! proxy and the software TPM. No code is shared with the product.

mod error;
pub mod printer;
pub mod proxy;
pub mod sms;
pub mod tpm;

pub use error::NetError;
