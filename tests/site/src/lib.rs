//! The whole product on one machine: cloud, one appliance with its own software TPM, the signature server, and the
//! bench peers around them, as processes over sockets. `cargo xtask up`, the fault runs, the browser journeys and the
//! benchmarks all start this same site.
#![expect(
    clippy::indexing_slicing,
    reason = "indexing a JSON value answers null, it never panics"
)]

mod addresses;
mod bench;
mod control;
mod day;
mod demo;
mod leftovers;
mod phone;
pub mod ports;
pub mod processes;
mod product;
mod run;

pub use addresses::{Addresses, Demo, DemoPatient};
pub use control::{LineState, add_rule, clear_rules, line_faults, rule_fired, set_line};
pub use day::room_in_the_day;
pub use leftovers::Claim;
pub use phone::{forget_messages, pay_at_cashier, signature_png, sms_code, totp_code};
pub use run::{Options, Site, prepare, program};
