//! The bench certificate authority (认证机构): a root with RSA, P-256 or SM2 keys whose lists, status answers, certificates
//! and time stamps are served over HTTP and can be wrong on command. Debian's `openssl` does the cryptography; what it cannot
//! do (SM2 time stamps, dates of answers) is written here and signed by it. No code is shared with the product.

mod authority;
mod books;
mod control;
mod der;
mod outside;
mod site;
mod tsa;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;

pub use authority::{CaError, Kind};
pub use outside::{OutsideAddresses, OutsideSettings, run_outside};

/// Where and how the authority runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its folder: keys, books and lists; made at the first start.
    pub folder: PathBuf,
    /// The kind of its keys, for a new folder.
    pub kind: Kind,
    /// Port of lists, answers, certificates and stamps.
    pub site: SocketAddr,
    /// Control port.
    pub control: SocketAddr,
    /// Base of the addresses in its certificates; the site's address when empty.
    pub public_base: String,
}

/// The addresses a running authority listens on.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// Lists, answers, certificates, stamps.
    pub site: SocketAddr,
    /// Control.
    pub control: SocketAddr,
}

/// Opens the authority, calls `serving` with its addresses, and serves until a port fails.
pub async fn run(settings: Settings, serving: impl FnOnce(Addresses)) -> Result<(), CaError> {
    let site = TcpListener::bind(settings.site).await?;
    let control = TcpListener::bind(settings.control).await?;
    let addresses = Addresses {
        site: site.local_addr()?,
        control: control.local_addr()?,
    };
    let base = if settings.public_base.is_empty() {
        format!("http://{}", addresses.site)
    } else {
        settings.public_base.clone()
    };
    let authority = authority::Authority::open(settings.folder, settings.kind, &base).await?;
    let state = Arc::new(site::Site::new(authority));
    let (public, private) = (site::routes(Arc::clone(&state)), control::routes(state));
    serving(addresses);
    tokio::try_join!(
        async { axum::serve(site, public).await.map_err(io::Error::other) },
        rig::serve_control(control, private),
    )?;
    Ok(())
}
