//! The whole product on one machine with its bench peers: started, stopped, killed and asked from tests.

pub mod addresses;
pub mod phone;
pub mod processes;

pub use addresses::{Addresses, Demo};
pub use phone::{pay_at_cashier, signature_png, sms_code, totp_code};
