//! Time stamps (时间戳, RFC 3161, RFC 5816, GM/T 0033): asked for, issued by our own unit, read, verified, and attached to
//! signed messages.
//!
//! ```text
//! let asked = gm::stamp::Request::over(Hash::Sm3, &bytes).with_nonce(&nonce);
//! let token = asked.accept(&reply)?;                                   // the unit's reply fits the request
//! let stamped = gm::stamp::Token::read(&token)?.verify(&imprint, &trust, now)?;
//!
//! let reply = unit.answer(&request, &serial, now);                     // our own unit
//! let message = gm::stamp::attach(&message, &token)?;                   // a signature with its time: B-T
//! ```
//! A token is a CMS message whose content is `TSTInfo`; the unit's certificate has id-kp-timeStamping as its only usage,
//! critical. A time is whole seconds, or with a fraction that is kept.

mod attach;
mod info;
mod request;
mod token;
mod unit;

pub use attach::{Unsigned, attach, attach_evidence, bare};
pub use info::{Imprint, Info};
pub use request::{Failure, Request, token_of};
pub use token::{Stamped, Token};
pub use unit::Unit;

/// Larger requests, replies and tokens are not read.
pub const MAX_TOKEN: usize = 64 * 1024;

/// Object identifiers of time stamps and of what is attached to signatures.
pub(crate) mod id {
    // 1.2.840.113549.1.9.16 = 2a 86 48 86 f7 0d 01 09 10
    pub(crate) const TST_INFO: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x04];
    pub(crate) const SIGNING_CERTIFICATE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x0c];
    pub(crate) const STAMP_TOKEN: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x0e];
    pub(crate) const REVOCATION_VALUES: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x18];
}
