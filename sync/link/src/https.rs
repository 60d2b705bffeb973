//! An HTTPS listener that knows whose certificate each connection presented.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::FromRequestParts;
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::serve::{IncomingStream, Listener};
use records::id::EdgeId;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::LinkError;
use crate::tls::{edge_of, why};

const GREETING: Duration = Duration::from_secs(10);
const GREETING_AT_ONCE: usize = 256;

/// Who is at the other end of a connection; `ConnectInfo<Peer>` in a handler.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where it comes from.
    pub address: SocketAddr,
    /// What it presented, verified against the trust of the listener.
    pub certificate: Option<CertificateDer<'static>>,
    /// The appliance that certificate names.
    pub edge: Option<EdgeId>,
    /// The cipher suite.
    pub suite: String,
}

/// The appliance that makes a request; a request without its certificate is answered 401.
#[derive(Clone, Debug)]
pub struct Appliance(pub EdgeId);

impl<S: Send + Sync> FromRequestParts<S> for Appliance {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let peer = parts.extensions.get::<ConnectInfo<Peer>>();
        peer.and_then(|ConnectInfo(peer)| peer.edge.clone())
            .map(Self)
            .ok_or_else(|| {
                let body = json!({ "code": "client_certificate_required", "message": "需要前置机证书" });
                (StatusCode::UNAUTHORIZED, axum::Json(body)).into_response()
            })
    }
}

/// A bound HTTPS port.
pub struct HttpsListener {
    address: SocketAddr,
    ready: mpsc::Receiver<(TlsStream<TcpStream>, Peer)>,
    _task: JoinSet<()>,
}

impl HttpsListener {
    /// Binds. Handshakes run beside each other, so that a slow one holds up nobody.
    pub async fn bind(address: SocketAddr, tls: Arc<ServerConfig>) -> Result<Self, LinkError> {
        let failed = |source| LinkError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (done, ready) = mpsc::channel(64);
        let mut task = JoinSet::new();
        task.spawn(greet_all(listener, TlsAcceptor::from(tls), done));
        Ok(Self {
            address,
            ready,
            _task: task,
        })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until told to stop; requests under way are finished.
    pub async fn serve(self, router: Router, stop: CancellationToken) -> std::io::Result<()> {
        let service = router.into_make_service_with_connect_info::<Peer>();
        axum::serve(self, service)
            .with_graceful_shutdown(async move { stop.cancelled().await })
            .await
    }
}

async fn greet_all(listener: TcpListener, acceptor: TlsAcceptor, done: mpsc::Sender<(TlsStream<TcpStream>, Peer)>) {
    let mut greetings = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = greetings.join_next() => {}
            accepted = listener.accept(), if greetings.len() < GREETING_AT_ONCE => match accepted {
                Ok((stream, address)) => {
                    let (acceptor, done) = (acceptor.clone(), done.clone());
                    greetings.spawn(async move {
                        match greet(acceptor, stream, address).await {
                            // Fails only when the listener was dropped.
                            Ok(ready) => { let _ = done.send(ready).await; }
                            Err(reason) => tracing::info!(https.from = %address, https.reason = reason, "no TLS"),
                        }
                    });
                }
                Err(e) => {
                    tracing::warn!(https.error = %e, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

async fn greet(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    address: SocketAddr,
) -> Result<(TlsStream<TcpStream>, Peer), String> {
    stream.set_nodelay(true).map_err(|e| e.to_string())?;
    let tls = tokio::time::timeout(GREETING, acceptor.accept(stream)).await;
    let tls = tls
        .map_err(|_| "no TLS greeting in time")?
        .map_err(|e| why(&e, acceptor.config().crypto_provider()))?;
    let session = tls.get_ref().1;
    let suite = smtls::suite_name(session);
    let certificate = session
        .peer_certificates()
        .and_then(|chain| chain.first())
        .map(|c| c.clone().into_owned());
    let edge = certificate.as_ref().and_then(edge_of);
    Ok((
        tls,
        Peer {
            address,
            certificate,
            edge,
            suite,
        },
    ))
}

impl Listener for HttpsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = Peer;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(ready) => ready,
            // Cannot be: the greeting task lives as long as this listener. Nothing is accepted any more.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        Ok(Peer {
            address: self.address,
            certificate: None,
            edge: None,
            suite: String::new(),
        })
    }
}

impl Connected<IncomingStream<'_, HttpsListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, HttpsListener>) -> Self {
        stream.remote_addr().clone()
    }
}
