//! The socket under a conversation: port 9100, one connection at a time.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::escpos::{self, Outcome, Session, Status};

/// Deadlines.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For connecting.
    pub connect: Duration,
    /// For an answer or for the printer to take the next bytes.
    pub answer: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            answer: Duration::from_secs(10),
        }
    }
}

async fn connect(address: &str, patience: Patience) -> Option<TcpStream> {
    let stream = timeout(patience.connect, TcpStream::connect(address))
        .await
        .ok()?
        .ok()?;
    let _ = stream.set_nodelay(true);
    Some(stream)
}

/// Prints the parts of a job. `begun` is awaited once, after the printer said that it is ready and before the first
/// byte of the job leaves: there the caller makes it durable that the job may be on paper from now on. When `begun`
/// answers `false`, nothing is sent.
pub async fn print<F>(address: &str, parts: Vec<Vec<u8>>, patience: Patience, begun: F) -> Outcome
where
    F: AsyncFnOnce() -> bool,
{
    let Some(mut stream) = connect(address, patience).await else {
        return Outcome::Unreachable;
    };
    let mut session = Session::new(parts);
    let mut begun = Some(begun);
    let mut buffer = [0u8; 256];
    loop {
        while let Some(bytes) = session.next_write() {
            if session.touched()
                && let Some(begun) = begun.take()
                && !begun().await
            {
                return Outcome::Unreachable;
            }
            match timeout(patience.answer, stream.write_all(&bytes)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => session.closed(),
                Err(_) => session.silent(),
            }
        }
        if let Some(outcome) = session.outcome() {
            return outcome.clone();
        }
        match timeout(patience.answer, stream.read(&mut buffer)).await {
            Ok(Ok(n)) if n > 0 => session.receive(buffer.get(..n).unwrap_or_default()),
            Ok(_) => session.closed(),
            Err(_) => session.silent(),
        }
    }
}

/// Asks for the status; `None` when the printer cannot be reached or does not answer.
pub async fn status(address: &str, patience: Patience) -> Option<Status> {
    let mut stream = connect(address, patience).await?;
    let mut answers = Vec::new();
    let mut buffer = [0u8; 64];
    for n in escpos::QUESTIONS {
        timeout(patience.answer, stream.write_all(&escpos::question(n)))
            .await
            .ok()?
            .ok()?;
    }
    loop {
        if let Some(status) = escpos::status(&answers) {
            return Some(status);
        }
        let n = timeout(patience.answer, stream.read(&mut buffer)).await.ok()?.ok()?;
        if n == 0 || answers.len() > 1024 {
            return None;
        }
        answers.extend_from_slice(buffer.get(..n).unwrap_or_default());
    }
}
