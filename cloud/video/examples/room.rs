//! A room to try by hand: `cargo run -p video --example room -- 127.0.0.1:3999 /tmp/recordings`, then open the page in two
//! windows. No sign-in, no database; not part of the product.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::{Html, Response};
use axum::routing::get;
use video::engine::{Guest, RoomServer, ServerConfig, Signal, VideoEngine};

#[derive(Clone)]
struct Lobby(RoomServer, Arc<AtomicU32>);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let http = arguments.next().unwrap_or_else(|| "127.0.0.1:3999".to_owned());
    let recordings = arguments.next().unwrap_or_else(|| "recordings".to_owned());
    let config = ServerConfig {
        bind: "127.0.0.1:0".parse()?,
        announce: None,
        recordings: recordings.into(),
    };
    let lobby = Lobby(RoomServer::start(config).await?, Arc::default());
    let page = Html(include_str!("room.html"));
    let router = Router::new()
        .route("/", get(move || async move { page }))
        .route("/ws", get(seat))
        .with_state(lobby);
    let listener = tokio::net::TcpListener::bind(&http).await?;
    println!("http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, router).await?)
}

async fn seat(State(lobby): State<Lobby>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(move |socket| carry(lobby, socket))
}

async fn carry(Lobby(server, next): Lobby, mut socket: WebSocket) {
    let n = next.fetch_add(1, Ordering::Relaxed);
    let guest = Guest {
        room: "room".to_owned(),
        who: n.to_string(),
        recording: format!("seat{n}"),
    };
    let Ok(mut seat) = server.join(guest).await else { return };
    loop {
        tokio::select! {
            signal = seat.down.recv() => {
                let Some(text) = signal.and_then(|s| serde_json::to_string(&s).ok()) else { return };
                if socket.send(Message::Text(text.into())).await.is_err() { return }
            }
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => if let Ok(signal) = serde_json::from_str::<Signal>(&text)
                    && seat.up.send(signal).await.is_err() { return },
                Some(Ok(_)) => {}
                _ => return,
            }
        }
    }
}
