//! HTTP/1.1 over a connection, with limits on how long anything may take, which `axum::serve` has not.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::Request;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Sleep, sleep};
use tower::ServiceExt;

/// How long a peer may take.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// A request's headers are there by then, the first one's and each next one's; else the connection is closed.
    pub headers: Duration,
    /// A request's body is whole by then: whoever sends nothing holds no place.
    pub body: Duration,
}

/// A body that is whole in time, or ends in an error.
struct Timely {
    body: Incoming,
    most: Duration,
    /// From the first wait on: what came with its head needs no clock.
    until: Option<Pin<Box<Sleep>>>,
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
        let most = self.most;
        let until = self.until.get_or_insert_with(|| Box::pin(sleep(most)));
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

/// Answers a connection's requests until it ends. Each request carries `peer`: who is at the other end.
pub fn talk<S, P>(
    stream: S,
    peer: P,
    router: Router,
    times: Times,
) -> impl GracefulConnection<Error = hyper::Error> + Send
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    P: Clone + Send + Sync + 'static,
{
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        let timely = |body| Timely {
            body,
            most: times.body,
            until: None,
        };
        router.clone().oneshot(request.map(|body| Body::new(timely(body))))
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(times.headers)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), service)
}
