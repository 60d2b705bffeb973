//! The port of people's browsers: HTTP/1.1 and HTTP/2 with a limit on how long a request may take to arrive.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// A browser sends its headers at once. Who takes longer, or keeps a silent connection, is let go and may come again.
pub(crate) const HEADERS: Duration = Duration::from_secs(30);
/// Connections at the same time; more wait in the system's queue.
const CONNECTIONS: usize = 16_384;

/// Serves until told to stop. `headers` is how long a request's headers may take; requests under way are finished.
pub(crate) async fn serve(listener: TcpListener, router: Router, headers: Duration, stop: CancellationToken) {
    let mut http = Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(headers);
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(headers))
        .keep_alive_timeout(headers);
    let (open, places) = (GracefulShutdown::new(), Arc::new(Semaphore::new(CONNECTIONS)));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            break;
        };
        let (stream, from) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: some will be given back.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        // Small answers leave at once.
        let _ = stream.set_nodelay(true);
        let router = router.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(from));
            router.clone().oneshot(request.map(Body::new))
        });
        let connection = http.serve_connection_with_upgrades(TokioIo::new(stream), service);
        let connection = open.watch(connection.into_owned());
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error, http.from = %from, "a connection ended early");
            }
            drop(place);
        });
    }
    open.shutdown().await;
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    #[tokio::test]
    async fn a_request_that_never_ends_is_let_go_and_others_are_served() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let who = |ConnectInfo(from): ConnectInfo<SocketAddr>| async move { from.ip().to_string() };
        let router = Router::new().route("/", get(who));
        let port = tokio::spawn(serve(listener, router, Duration::from_secs(3), stop.clone()));

        let mut half = TcpStream::connect(at).await.unwrap();
        half.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n").await.unwrap();
        let mut whole = TcpStream::connect(at).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        whole.write_all(request).await.unwrap();
        let mut answer = String::new();
        whole.read_to_string(&mut answer).await.unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.ends_with("127.0.0.1"),
            "{answer}"
        );
        let ended = tokio::time::timeout(Duration::from_secs(60), half.read_to_string(&mut answer)).await;
        assert!(ended.is_ok(), "the half request is held for ever");

        stop.cancel();
        tokio::time::timeout(Duration::from_secs(60), port)
            .await
            .unwrap()
            .unwrap();
        assert!(TcpStream::connect(at).await.is_err(), "still open");
    }
}
