//! `signd`'s socket: one user's processes only, few requests at a time.

use std::future::Future;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use records::Outcome;
use serde_json::Value;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::Engine;
use crate::engine::Step;
use crate::wire::{self, Request};

/// Connections at a time.
const CONNECTIONS: usize = 64;
/// Acts at a time: each takes 19 MiB for the PIN.
const ACTS: usize = 2;
/// A connection that says nothing is closed.
const SILENCE: Duration = Duration::from_secs(30);
/// Started acts are waited for at the end.
const FAREWELL: Duration = Duration::from_secs(10);

/// Takes the socket's path: an old socket that nobody serves is removed, a served one is an error.
pub fn listen(path: &Path, others_allowed: bool) -> io::Result<UnixListener> {
    if path.exists() {
        if StdUnixStream::connect(path).is_ok() {
            return Err(io::Error::from(io::ErrorKind::AddrInUse));
        }
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    // Who may connect is checked by user id on every connection; the mode is the second fence.
    let mode = if others_allowed { 0o666 } else { 0o600 };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    Ok(listener)
}

/// Serves until `end`; then finishes what was started.
pub async fn serve(engine: Arc<Engine>, listener: UnixListener, allowed: Vec<u32>, end: impl Future<Output = ()>) {
    let acts = Arc::new(Semaphore::new(ACTS));
    let mut connections = JoinSet::new();
    tokio::pin!(end);
    loop {
        tokio::select! {
            () = &mut end => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS => {
                let Ok((stream, _)) = accepted else {
                    tokio::time::sleep(Duration::from_millis(50)).await; // out of descriptors
                    continue;
                };
                if may_call(&stream, &allowed) {
                    connections.spawn(converse(stream, engine.clone(), acts.clone()));
                } else {
                    tracing::warn!("connection of a foreign user refused");
                }
            }
        }
    }
    drop(listener);
    let last = async { while connections.join_next().await.is_some() {} };
    acts.close(); // waiting requests are told to come later
    let _ = timeout(FAREWELL, last).await;
}

fn may_call(stream: &UnixStream, allowed: &[u32]) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream
        .peer_cred()
        .is_ok_and(|peer| peer.uid() == own || allowed.contains(&peer.uid()))
}

async fn converse(mut stream: UnixStream, engine: Arc<Engine>, acts: Arc<Semaphore>) {
    while let Ok(Ok(Some(frame))) = timeout(SILENCE, wire::read(&mut stream)).await {
        let outcome = match serde_json::from_slice::<Request>(&frame) {
            Ok(request) => act(request, &engine, &acts).await,
            Err(_) => Outcome::refused("bad_request", "请求格式不正确。"),
        };
        drop(frame);
        let Ok(answer) = serde_json::to_vec(&outcome) else {
            return;
        };
        if !matches!(timeout(SILENCE, wire::write(&mut stream, &answer)).await, Ok(Ok(()))) {
            return;
        }
        if acts.is_closed() {
            return;
        }
    }
}

async fn act(request: Request, engine: &Arc<Engine>, acts: &Semaphore) -> Outcome<Value> {
    let Ok(turn) = acts.acquire().await else {
        return Outcome::Later { after_ms: 2000 };
    };
    let beginning = Arc::clone(engine);
    match tokio::task::spawn_blocking(move || beginning.begin(request)).await {
        Ok(Step::Done(outcome)) => outcome,
        Ok(Step::Outside(waiting)) => {
            // Who signs with a key here does not wait for a server elsewhere.
            drop(turn);
            let finishing = Arc::clone(engine);
            let finished = tokio::task::spawn_blocking(move || finishing.finish(*waiting)).await;
            finished.unwrap_or(Outcome::Unknown)
        }
        Err(_) => Outcome::Unknown, // it panicked: whether it was journaled is found by asking again
    }
}
