//! What every bench peer shares: a clock that control may move, fault rules that prove they fired, JSON logs and the
//! control port. Nothing here is known to the product.

mod clock;
mod control;
mod faults;
mod post;
pub mod probe;
mod rng;

pub use clock::Clock;
pub use control::{ControlError, announce_ready, fault_routes, logs, serve_control};
pub use faults::{Faults, Fired};
pub use post::post;
pub use rng::Rng;
