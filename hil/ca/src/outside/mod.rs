//! An outside signature server (省平台、第三方 CA 的签名服务器): keys and certificates of an authority of its own, signed with
//! over the ASN.1 messages of GB/T 38629-2020 annex A by HTTPS with mutual TLS, wrong on command. Read from the standard
//! alone; SM2 is Debian's openssl.
//!
//! Its folder holds besides the authority's files `tls-ca.pem` (its HTTPS certificate's root), `client.pem` and `client.key`
//! (whom it lets in).

mod line;
mod message;
mod papers;
mod room;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;

use crate::authority::{Authority, CaError, Kind};

/// Where an outside signature server runs.
#[derive(Debug, Clone)]
pub struct OutsideSettings {
    /// Its folder: authority, keys, TLS; made at the first start.
    pub folder: PathBuf,
    /// Port of the messages, HTTPS.
    pub serve: SocketAddr,
    /// Control port; the authority's certificate and lists are there, too, as certificates name them.
    pub control: SocketAddr,
}

/// The addresses it listens on.
#[derive(Debug, Clone, Copy)]
pub struct OutsideAddresses {
    /// Messages: `https://…/svs`, any path is served.
    pub serve: SocketAddr,
    /// Control.
    pub control: SocketAddr,
}

/// Opens the server, calls `serving` with its addresses, and serves until a port fails.
pub async fn run_outside(settings: OutsideSettings, serving: impl FnOnce(OutsideAddresses)) -> Result<(), CaError> {
    let socket = TcpListener::bind(settings.serve).await?;
    let control = TcpListener::bind(settings.control).await?;
    let addresses = OutsideAddresses {
        serve: socket.local_addr()?,
        control: control.local_addr()?,
    };
    // Nobody fetches lists over mutual TLS.
    let base = format!("http://{}", addresses.control);
    let authority = Authority::open(settings.folder.clone(), Kind::Sm2, &base).await?;
    let tls = papers::open(&settings.folder)?;
    let room = Arc::new(room::Room::open(authority, &settings.folder)?);
    let listener = line::Listener::start(socket, tls, Arc::clone(&room))?;
    let (public, private) = (line::routes(Arc::clone(&room)), room::routes(room));
    serving(addresses);
    tokio::try_join!(
        async { axum::serve(listener, public).await.map_err(io::Error::other) },
        rig::serve_control(control, private),
    )?;
    Ok(())
}
