//! HTTPS, and how it fails.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::Response;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::room::Room;
use crate::site::answered;

/// A handshake takes this long at most.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Connections whose handshake is done; while the server is away each is dropped before it.
pub(super) struct Listener {
    address: SocketAddr,
    shaken: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
}

impl Listener {
    pub(super) fn start(socket: TcpListener, tls: Arc<ServerConfig>, room: Arc<Room>) -> io::Result<Self> {
        let address = socket.local_addr()?;
        let (tell, shaken) = mpsc::channel(16);
        let acceptor = TlsAcceptor::from(tls);
        tokio::spawn(async move {
            while let Ok((stream, from)) = socket.accept().await {
                if room.is_away() {
                    continue;
                }
                let (acceptor, tell) = (acceptor.clone(), tell.clone());
                tokio::spawn(async move {
                    if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                        let _nobody_serves = tell.send((stream, from)).await;
                    }
                });
            }
        });
        Ok(Self { address, shaken })
    }
}

impl axum::serve::Listener for Listener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.shaken.recv().await {
            Some(shaken) => shaken,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

pub(super) fn routes(room: Arc<Room>) -> Router {
    Router::new().fallback(serve).with_state(room)
}

async fn serve(State(room): State<Arc<Room>>, request: Bytes) -> Response {
    if room.is_away() {
        // Connections from before end as well, in the middle of an answer.
        let end = futures_util::stream::iter([Err::<Bytes, _>(io::Error::other("away"))]);
        return Response::new(Body::from_stream(end));
    }
    let (answer, fired) = room.answer(&request).await;
    answered("application/octet-stream", answer, fired).await
}
