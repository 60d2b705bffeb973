//! The HTTPS interface for applications.
//!
//! | path | what |
//! |---|---|
//! | `/v1/…` | JSON, described by `/v1/openapi.json` |
//! | `/health`, `/ready` | for the balancer: the process answers; requests should be sent here |
//!
//! An application signs in by client certificate (mutual TLS) or by signing each request with its key: see
//! [`authenticate`].

pub mod authenticate;
mod json;
mod listener;
pub mod tls;

pub use json::{document, router};
pub use listener::{Peer, serve};
