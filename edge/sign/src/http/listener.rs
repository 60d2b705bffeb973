//! Connections: TLS, HTTP/1.1, limits on how long anything may take and on how many there are.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::Request;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::places::{CONNECTIONS, Places};
use crate::memory;
use crate::state::Fingerprint;

/// A handshake is done by then.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// A request's headers are there by then; an idle connection is closed.
const HEADERS: Duration = Duration::from_secs(60);
/// A request's body is whole by then: 24 MiB at four megabits a second, and whoever sends nothing holds no place.
const BODY: Duration = Duration::from_secs(60);
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

/// A body that is whole in time, or ends in an error.
struct Timely {
    body: Incoming,
    /// From the first wait on: what came with its head needs no clock.
    until: Option<Pin<Box<Sleep>>>,
}

impl Timely {
    fn new(body: Incoming) -> Self {
        Self { body, until: None }
    }
}

impl HttpBody for Timely {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let until = self.until.get_or_insert_with(|| Box::pin(sleep(BODY)));
        match until.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Some(Err("the body was not whole in time".into()))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Serves until told to stop. `by_address` says which connections there may be.
pub async fn serve(listener: TcpListener, way: Way, router: Router, by_address: Arc<Places>, stop: CancellationToken) {
    let (open, places) = (Arc::new(GracefulShutdown::new()), Arc::new(Semaphore::new(CONNECTIONS)));
    let most = Arc::new(AtomicUsize::new(0));
    tokio::spawn(ebb(Arc::clone(&places), Arc::clone(&most), stop.clone()));
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
        let Some(own) = by_address.take(address.ip()) else {
            // Closed at once; its place is for somebody else.
            continue;
        };
        let acceptor = match &way {
            Way::Tls(tls) => Some(TlsAcceptor::from(Arc::clone(&tls.borrow()))),
            Way::Plain => None,
        };
        most.fetch_max(CONNECTIONS - places.available_permits(), Ordering::Relaxed);
        let (router, open) = (router.clone(), Arc::clone(&open));
        tokio::spawn(async move {
            converse(stream, address, acceptor, router, &open).await;
            drop((own, place));
        });
    }
    drop(listener);
    if let Ok(open) = Arc::try_unwrap(open) {
        let _ = timeout(FAREWELL, open.shutdown()).await;
    }
}

/// Gives memory back after a rush of connections: when three quarters of them have gone.
async fn ebb(places: Arc<Semaphore>, most: Arc<AtomicUsize>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let (open, highest) = (CONNECTIONS - places.available_permits(), most.load(Ordering::Relaxed));
        if highest < RUSH || open > highest / 4 {
            continue;
        }
        most.store(open, Ordering::Relaxed);
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
    open: &GracefulShutdown,
) {
    // Small answers leave at once.
    let _ = stream.set_nodelay(true);
    let Some(acceptor) = acceptor else {
        let peer = Peer {
            address,
            certificate: None,
        };
        return talk(stream, peer, router, open).await;
    };
    let Ok(Ok(stream)) = timeout(HANDSHAKE, acceptor.accept(stream)).await else {
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

async fn talk<S>(stream: S, peer: Peer, router: Router, open: &GracefulShutdown)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let address = peer.address;
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        router.clone().oneshot(request.map(|body| Body::new(Timely::new(body))))
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
