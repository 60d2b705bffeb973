//! The whole product on one machine: cloud, one appliance with its own software TPM, the signature server, and the
//! bench peers around them, as processes over sockets. `cargo xtask up`, the fault runs, the browser journeys and the
//! benchmarks all start this same site.
#![expect(
    clippy::indexing_slicing,
    reason = "indexing a JSON value answers null, it never panics"
)]

mod addresses;
mod phone;
pub mod processes;

pub use addresses::{Addresses, Demo};
pub use phone::{pay_at_cashier, signature_png, sms_code, totp_code};
