//! The gate of an interface that a network can reach: so many connections in all ([`Crowd`]), so many of one address
//! ([`Places`]), and each says what it wants in time or is ended ([`talk`]). What an interface does with a connection
//! before that, TLS for one, is its own.

mod crowd;
mod places;
mod talk;

pub use crowd::{Crowd, accept};
pub use places::{Bounds, CONNECTIONS, PER_ADDRESS, Place, Places, TurnedAway};
pub use talk::{Times, talk};
