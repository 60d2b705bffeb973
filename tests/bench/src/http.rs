//! A load generator of one's own: HTTP/1.1 with keep-alive over bare TCP, closed loop, one request at a time on each
//! connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::timing::Samples;

/// A request that takes longer is an error.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// The bytes of a request.
pub(crate) fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!(
        "{method} {target} HTTP/1.1\r\nHost: bench\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// A request with a JSON body, or without a body.
pub(crate) fn api(method: &str, path: &str, token: Option<&str>, body: Option<&Value>) -> Vec<u8> {
    let bearer = token.map(|t| format!("Bearer {t}"));
    let mut headers = vec![("Content-Type", "application/json")];
    if let Some(bearer) = &bearer {
        headers.push(("Authorization", bearer));
    }
    let body = body.map(Value::to_string).unwrap_or_default();
    request(method, &format!("/api/v1/{path}"), &headers, body.as_bytes())
}

/// A connection that is kept.
pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    pub(crate) async fn open(at: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(at)
            .await
            .with_context(|| format!("connecting to {at}"))?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::with_capacity(64 << 10, stream)))
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Result<Reply> {
        tokio::time::timeout(PATIENCE, self.exchange(request))
            .await
            .context("no answer in time")?
    }

    async fn exchange(&mut self, request: &[u8]) -> Result<Reply> {
        self.0.get_mut().write_all(request).await?;
        let first = self.line().await?;
        let status = first.split(' ').nth(1).and_then(|s| s.parse().ok());
        let status = status.with_context(|| format!("not a status line: {first}"))?;
        let (mut length, mut chunked) = (0usize, false);
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').context("header without colon")?;
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse()?,
                "transfer-encoding" => chunked = value.trim().eq_ignore_ascii_case("chunked"),
                _ => {}
            }
        }
        let body = if chunked {
            self.chunks().await?
        } else {
            self.bytes(length).await?
        };
        Ok(Reply { status, body })
    }

    async fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).await?;
        ensure!(read > 0, "the connection was closed");
        line.truncate(line.trim_end().len());
        Ok(line)
    }

    async fn bytes(&mut self, length: usize) -> Result<Vec<u8>> {
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await?;
        Ok(body)
    }

    async fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let size = self.line().await?;
            let size = usize::from_str_radix(size.split(';').next().unwrap_or_default(), 16)?;
            body.extend(self.bytes(size).await?);
            self.line().await?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
}

/// What a loop has counted.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    /// Times of what succeeded.
    pub(crate) times: Samples,
    /// What did not succeed.
    pub(crate) errors: u64,
    /// Errors after which it may have happened all the same.
    pub(crate) uncertain: u64,
    /// The first failure in words.
    pub(crate) failure: Option<String>,
    /// How long all of it took.
    pub(crate) took: Duration,
}

impl Counted {
    pub(crate) fn fail(&mut self, words: String) {
        self.errors += 1;
        self.failure.get_or_insert(words);
    }

    pub(crate) fn join(&mut self, other: Self) {
        self.times.join(other.times);
        self.errors += other.errors;
        self.uncertain += other.uncertain;
        self.took = self.took.max(other.took);
        if let (None, Some(words)) = (&self.failure, other.failure) {
            self.failure = Some(words);
        }
    }

    pub(crate) fn rate(&self) -> f64 {
        crate::timing::rate(self.times.len(), self.took)
    }

    /// Nothing that succeeded is a harness that measures nothing.
    pub(crate) fn sound(self, what: &str) -> Result<Self> {
        if self.times.len() == 0 {
            bail!("{what}: nothing succeeded; first failure: {:?}", self.failure);
        }
        if let Some(words) = &self.failure {
            crate::say(&format!("{what}: {} errors, the first: {words}", self.errors));
        }
        Ok(self)
    }
}

/// Makes the next request of a connection.
pub(crate) type Maker = Arc<dyn Fn(usize) -> Vec<u8> + Send + Sync>;

/// Connections take these requests in turn, each its own again and again.
pub(crate) fn each(requests: Vec<Vec<u8>>) -> Maker {
    Arc::new(move |connection| {
        let own = requests.get(connection % requests.len().max(1));
        own.cloned().unwrap_or_default()
    })
}

/// A closed loop.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) at: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) warm: Duration,
    pub(crate) time: Duration,
    /// Whether an answer is what was wanted.
    pub(crate) good: fn(&Reply) -> bool,
}

impl Load {
    /// Every connection asks one request after the other for `warm`, then for `time`. All requests that begin in that
    /// time count, and the time runs until the last of them is answered.
    pub(crate) async fn run(&self, make: &Maker) -> Result<Counted> {
        let ready = Arc::new(Barrier::new(self.connections + 1));
        let mut tasks = JoinSet::new();
        for number in 0..self.connections {
            let (load, make, ready) = (self.clone(), make.clone(), ready.clone());
            tasks.spawn(async move {
                let opened = Connection::open(load.at).await;
                ready.wait().await;
                load.one(opened?, number, &make).await
            });
        }
        ready.wait().await;
        let mut all = Counted::default();
        while let Some(counted) = tasks.join_next().await {
            all.join(counted??);
        }
        Ok(all)
    }

    async fn one(&self, mut connection: Connection, number: usize, make: &Maker) -> Result<Counted> {
        let counting = Instant::now() + self.warm;
        let end = counting + self.time;
        let mut counted = Counted::default();
        loop {
            let request = make(number);
            let begun = Instant::now();
            if begun >= end {
                return Ok(counted);
            }
            let asked = connection.ask(&request).await;
            let (took, counts) = (begun.elapsed(), begun >= counting);
            match asked {
                Ok(reply) if (self.good)(&reply) => {
                    if counts {
                        counted.times.push(took);
                        counted.took = counting.elapsed();
                    }
                }
                Ok(reply) => counted.fail(format!("{} {}", reply.status, String::from_utf8_lossy(&reply.body))),
                Err(error) => {
                    counted.fail(format!("{error:#}"));
                    connection = Connection::open(self.at).await?;
                }
            }
        }
    }
}
