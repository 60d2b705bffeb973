//! Connections: TLS, HTTP/1.1, limits on how long anything may take and on how many there are.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use gate::{CONNECTIONS, Crowd, Places, Times};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::memory;
use crate::state::Fingerprint;

/// A handshake is done by then.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// An idle connection is closed after a minute; a body may be 24 MiB at four megabits a second.
const TIMES: Times = Times {
    headers: Duration::from_secs(60),
    body: Duration::from_secs(60),
};
/// So many connections at a time are a rush: what it left in the heap is given back when it is over.
const RUSH: usize = 64;
/// Whether one is over is looked at so often.
const LOOK: Duration = Duration::from_secs(5);
/// Requests under way are waited for at the end.
const FAREWELL: Duration = Duration::from_secs(10);

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// SHA-256 of the certificate whose key it proved to have.
    pub certificate: Option<Fingerprint>,
}

/// How requests come.
#[derive(Debug, Clone)]
pub enum Way {
    /// By TLS; new connections take the newest settings.
    Tls(watch::Receiver<Arc<ServerConfig>>),
    /// By plain HTTP: for what proves itself and is nobody's secret.
    Plain,
}

/// Serves until told to stop. `by_address` says which connections there may be.
pub async fn serve(listener: TcpListener, way: Way, router: Router, by_address: Arc<Places>, stop: CancellationToken) {
    let (open, crowd) = (GracefulShutdown::new(), Crowd::of(CONNECTIONS));
    tokio::spawn(ebb(Arc::clone(&crowd), stop.clone()));
    let meet = |stream, address| {
        let acceptor = match &way {
            Way::Tls(tls) => Some(TlsAcceptor::from(Arc::clone(&tls.borrow()))),
            Way::Plain => None,
        };
        converse(
            stream,
            address,
            acceptor,
            router.clone(),
            (open.watcher(), stop.clone()),
        )
    };
    gate::accept(listener, &crowd, |from| by_address.take(from), &stop, meet).await;
    let _ = timeout(FAREWELL, open.shutdown()).await;
}

/// Gives memory back after a rush of connections: when three quarters of them have gone.
async fn ebb(crowd: Arc<Crowd>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let (open, highest) = (crowd.open(), crowd.highest());
        if highest < RUSH || open > highest / 4 {
            continue;
        }
        crowd.settle();
        if let Ok(Err(error)) = tokio::task::spawn_blocking(memory::give_back).await {
            tracing::warn!(%error, "memory could not be given back");
        }
    }
}

async fn converse(
    stream: TcpStream,
    address: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    router: Router,
    (open, stop): (Watcher, CancellationToken),
) {
    let Some(acceptor) = acceptor else {
        let peer = Peer {
            address,
            certificate: None,
        };
        return talk(stream, peer, router, open).await;
    };
    let shaken = tokio::select! {
        // At the end nobody waits for who has not even shown who they are.
        () = stop.cancelled() => return,
        shaken = timeout(HANDSHAKE, acceptor.accept(stream)) => shaken,
    };
    let Ok(Ok(stream)) = shaken else {
        tracing::debug!(http.from = %address, "a handshake failed");
        return;
    };
    let certificate = stream.get_ref().1.peer_certificates().and_then(|all| all.first());
    let peer = Peer {
        address,
        certificate: certificate.map(|der| gm::key::sha256(der)),
    };
    talk(stream, peer, router, open).await;
}

async fn talk<S>(stream: S, peer: Peer, router: Router, open: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let address = peer.address;
    if let Err(error) = open.watch(gate::talk(stream, peer, router, TIMES)).await {
        tracing::debug!(%error, http.from = %address, "a connection ended early");
    }
}
