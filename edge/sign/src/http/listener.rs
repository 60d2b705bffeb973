//! Connections: TLS, HTTP/1.1, limits on how long anything may take and on how many there are.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::state::Fingerprint;

/// Connections at a time; more wait in the system's queue.
const CONNECTIONS: usize = 2_048;
/// A handshake is done by then.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// A request's headers are there by then; an idle connection is closed.
const HEADERS: Duration = Duration::from_secs(60);
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

/// Serves until told to stop. New connections take the newest TLS settings.
pub async fn serve(
    listener: TcpListener,
    tls: watch::Receiver<Arc<ServerConfig>>,
    router: Router,
    stop: CancellationToken,
) {
    let (open, places) = (Arc::new(GracefulShutdown::new()), Arc::new(Semaphore::new(CONNECTIONS)));
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accepted => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: some will be given back.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let acceptor = TlsAcceptor::from(Arc::clone(&tls.borrow()));
        let (router, open) = (router.clone(), Arc::clone(&open));
        tokio::spawn(async move {
            converse(stream, address, acceptor, router, &open).await;
            drop(place);
        });
    }
    drop(listener);
    if let Ok(open) = Arc::try_unwrap(open) {
        let _ = timeout(FAREWELL, open.shutdown()).await;
    }
}

async fn converse(
    stream: TcpStream,
    address: SocketAddr,
    acceptor: TlsAcceptor,
    router: Router,
    open: &GracefulShutdown,
) {
    // Small answers leave at once.
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = timeout(HANDSHAKE, acceptor.accept(stream)).await else {
        tracing::debug!(http.from = %address, "a handshake failed");
        return;
    };
    let certificate = stream.get_ref().1.peer_certificates().and_then(|all| all.first());
    let peer = Peer {
        address,
        certificate: certificate.map(|der| gm::key::sha256(der)),
    };
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        router.clone().oneshot(request.map(Body::new))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = open.watch(connection).await {
        tracing::debug!(%error, http.from = %address, "a connection ended early");
    }
}
