//! The HTTPS interface for applications.
//!
//! | path | what |
//! |---|---|
//! | `/v1/…` | JSON, described by `/v1/openapi.json` |
//! | `/svs/…` | the messages of GB/T 38629: see [`crate::svs`] |
//! | `/soap` | the web service, while it is switched on, described by `/soap?wsdl`: see [`crate::soap`] |
//! | `/health`, `/ready` | for the balancer: the process answers; requests should be sent here, and this server's name |
//!
//! An application signs in by client certificate (mutual TLS) or by signing each request with its key: see
//! [`authenticate`].

pub mod authenticate;
pub(crate) mod door;
mod json;
mod listener;
mod nonces;
mod seen;
pub mod tls;

pub use crate::revocation::published;
pub use door::{document, router};
pub use gate::{Bounds, Places, TurnedAway};
pub(crate) use json::answer as refusal;
pub use listener::{Peer, Way, serve};
