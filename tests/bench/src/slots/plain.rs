//! The ceiling of the listing: the same bytes from the memory of a bare HTTP server, in its own process.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use kit::process::Process;

/// Serves the file's bytes at `/` until it is killed.
pub(crate) async fn serve(file: &Path, port: u16) -> Result<()> {
    let body = axum::body::Bytes::from(std::fs::read(file)?);
    let answer = move || {
        let body = body.clone();
        async move { ([(CONTENT_TYPE, "application/json")], body) }
    };
    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await?;
    println!("ready");
    axum::serve(listener, Router::new().route("/", get(answer))).await?;
    Ok(())
}

/// Starts it as a process; answers its address.
pub(super) fn start(file: &Path) -> Result<(Process, SocketAddr)> {
    let port = kit::ports::free_port();
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["role", "plain-http"]).arg(file).arg(port.to_string());
    let process = Process::spawn(command).ready(Duration::from_secs(30));
    Ok((process, SocketAddr::from(([127, 0, 0, 1], port))))
}
