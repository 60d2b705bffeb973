//! The bench payment channel: the shape of WeChat Pay APIv3 (H5, public-key mode) with its own keys, its own ledger and
//! its own misbehaviour. It verifies the merchant's signatures with ring and shares no code with the product.

mod api;
mod books;
mod cashier;
mod channel;
mod control;
mod keys;
mod notify;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;

pub use keys::{KeyError, make_keys};

/// Where and how the channel runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The ledger's SQLite file.
    pub db: PathBuf,
    /// Keys of the platform and of each merchant; made at the first start.
    pub keys: PathBuf,
    /// The merchants served.
    pub merchants: Vec<String>,
    /// API and cashier port.
    pub api: SocketAddr,
    /// Control port.
    pub control: SocketAddr,
    /// Base of the cashier's addresses; the API address when empty.
    pub public_base: String,
    /// How long a refund stays PROCESSING.
    pub refund_ms: u64,
    /// Waits between attempts of a notification, in milliseconds.
    pub retry_ms: Vec<u64>,
}

/// Why the channel cannot open.
#[derive(Debug, thiserror::Error)]
pub enum PayError {
    /// A port could not be listened on or failed.
    #[error("port: {0}")]
    Port(#[from] io::Error),
    /// Keys could not be made or read.
    #[error("keys: {0}")]
    Keys(#[from] KeyError),
    /// The ledger could not be opened.
    #[error("ledger: {0}")]
    Books(#[from] rusqlite::Error),
}

/// The addresses a running channel listens on.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// API and cashier.
    pub api: SocketAddr,
    /// Control.
    pub control: SocketAddr,
}

/// Opens the channel, calls `serving` with its addresses, and serves until a port fails.
pub async fn run(settings: Settings, serving: impl FnOnce(Addresses)) -> Result<(), PayError> {
    let api = TcpListener::bind(settings.api).await?;
    let control = TcpListener::bind(settings.control).await?;
    let addresses = Addresses {
        api: api.local_addr()?,
        control: control.local_addr()?,
    };
    let keys = keys::open(&settings.keys, &settings.merchants)?;
    let base = if settings.public_base.is_empty() {
        format!("http://{}", addresses.api)
    } else {
        settings.public_base.clone()
    };
    let channel = Arc::new(channel::Channel::open(&settings, keys, base)?);
    let public = api::routes(Arc::clone(&channel)).merge(cashier::routes(Arc::clone(&channel)));
    let private = control::routes(Arc::clone(&channel));
    serving(addresses);
    tokio::try_join!(
        async { axum::serve(api, public).await },
        rig::serve_control(control, private),
        notify::deliver(channel),
    )?;
    Ok(())
}
