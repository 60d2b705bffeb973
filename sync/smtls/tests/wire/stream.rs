//! Stream code above sees nothing of all this: HTTP of `hyper` over `tokio-rustls`.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use smtls::{Missing, Offer, What};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::{client, server, sm, sm_provider};

async fn text(mut body: Incoming) -> String {
    let mut bytes = Vec::new();
    while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        if let Ok(data) = frame.expect("frame").into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    String::from_utf8(bytes).expect("text")
}

async fn answer(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    let path = request.uri().path().to_owned();
    let asked = text(request.into_body()).await;
    Ok(Response::new(format!("{path}: {asked}, {}", asked.len())))
}

#[test]
fn http_is_spoken_over_it() {
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    let spoken = async {
        let (authority, pair) = sm();
        let acceptor = TlsAcceptor::from(server(sm_provider(), &pair, None));
        let listener = TcpListener::bind("[::1]:0").await.expect("port");
        let address = listener.local_addr().expect("address");
        let serving = tokio::spawn(async move {
            let (socket, _) = listener.accept().await.expect("client");
            let stream = acceptor.accept(socket).await.expect("handshake");
            let service = service_fn(answer);
            let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            server
                .serve_connection(TokioIo::new(stream), service)
                .await
                .expect("served");
            // The next one is not let in, and the error of the stream says why.
            let (socket, _) = listener.accept().await.expect("client");
            let refused = acceptor.accept(socket).await.map(|_| ()).expect_err("classic");
            Missing::within(&refused, Offer::Sm).expect("that is why").what
        });
        let connector = TlsConnector::from(client(sm_provider(), &authority, None));
        let name = ServerName::try_from("localhost").expect("name");
        let socket = TcpStream::connect(address).await.expect("connected");
        let stream = connector.connect(name.clone(), socket).await.expect("handshake");
        assert!(smtls::is_sm(stream.get_ref().1));
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .expect("HTTP");
        let driving = tokio::spawn(connection);
        // Much more than a record holds, then little.
        for words in ["方".repeat(100_000), "好".to_owned()] {
            let request = Request::post("/sign")
                .header("host", "localhost")
                .body(words.clone())
                .expect("request");
            sender.ready().await.expect("the answer before was taken in");
            let response = sender.send_request(request).await.expect("answer");
            assert_eq!(
                text(response.into_body()).await,
                format!("/sign: {words}, {}", words.len())
            );
        }
        drop(sender);
        driving.await.expect("driven").expect("closed");

        let classic = TlsConnector::from(client(Offer::Classic.provider(), &authority, None));
        let socket = TcpStream::connect(address).await.expect("connected");
        let refused = classic.connect(name, socket).await.map(|_| ()).expect_err("SM alone");
        assert_eq!(
            Missing::within(&refused, Offer::Classic).map(|missing| missing.what),
            Some(What::Refused)
        );
        let told = serving.await.expect("server");
        assert!(matches!(told, What::Suite | What::Group), "{told:?}");
    };
    let limited = async { tokio::time::timeout(Duration::from_secs(300), spoken).await };
    runtime.block_on(limited).expect("in time");
}
