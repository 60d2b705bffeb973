//! The one transport between appliance and cloud: runs [`engine`] over MQTT 5 with mutual TLS 1.3, and blobs over
//! HTTPS.
//!
//! MQTT only carries bytes: QoS 0, clean start, no retained messages, no wills; order, repetition, acknowledgement and
//! recovery are the engine's, durability is the store's. An appliance holds two connections, `ctl` and `bulk`, so that
//! a backlog cannot delay a call. Topics: `yq/v1/{edge_id}/{up|dn}/{ctl|bulk}`.
//!
//! # Broker
//! [`broker`] is the default one, inside the cloud's process: a QoS 0 pipe whose topics are bound to the identity in
//! the client's certificate. It exists because none of the embeddable brokers does that on our one TLS provider:
//! mqtt5 0.49 takes the fingerprint a client *claims* in its client id as its identity and never compares it with the
//! certificate (`CertificateAuthProvider`), so that any enrolled appliance could speak for another; rmqtt 0.24 forces
//! aws-lc-rs beside ring; rumqttd 0.20 has no topic authorisation and drags rustls 0.22. Packets are read and written
//! by the client crate's own codec. Beyond one machine any MQTT 5 broker does, by configuration ([`cloud::BrokerChoice`]).
//!
//! # Ends
//! [`edge::EdgeLink`] and [`cloud::CloudLink`]. Both want [`MIGRATIONS`] applied, which they do at their start; start
//! them before anything is appended, because what was written before is taken for history the peer may share.

#![expect(
    clippy::missing_errors_doc,
    reason = "errors are enums whose variants say when they occur"
)]

pub mod blob;
pub mod broker;
pub mod cloud;
pub mod edge;
pub mod https;
pub mod tls;

mod dial;
mod ends;
mod line;
mod marks;
mod streams;
mod switchboard;
mod topic;

pub use ends::{ApplyError, Call, Calls, Inbox, LinkStatus, Outage};
pub use engine::{Alarm, DownReason, Tuning};
pub use streams::MIGRATIONS;
pub use topic::{client_id, down_filter, up_filter};

/// Why a link cannot be set up. What happens later on the line is state ([`LinkStatus`]), not an error.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Certificates or keys do not fit.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// The address of a broker or server is not usable.
    #[error("address {0} is not of the form scheme://host:port")]
    Address(String),
    /// A port cannot be opened.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The store refused.
    #[error("the store refused: {0}")]
    Store(#[from] store::StoreError),
}
