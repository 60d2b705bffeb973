//! The load: a closed loop of HTTPS clients on one thread of its own, so that it takes as little as it can from what is
//! measured. Every answer is read whole and must be a 200; of each client the first and then every thousandth message is
//! kept and verified afterwards.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gm::Trust;
use gm::cms::{self, Content};
use records::{Clock, SystemClock};
use rustix::time::{ClockId, clock_gettime};
use rustls::pki_types::ServerName;
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Barrier;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::timing::Samples;

/// Bytes of the prescription.
const BYTES: usize = 2048;
/// Letters of its number, which differs in each: three become four in Base64.
const NUMBER: usize = 24;
/// Every so manieth message of a client is verified.
const SAMPLE: u64 = 1_000;

/// A prescription in its request.
#[derive(Debug)]
pub(super) struct Document {
    client: usize,
    number: u64,
    text: Vec<u8>,
    request: Vec<u8>,
    /// Where in the request its number stands.
    at: usize,
}

impl Document {
    pub(super) fn new(client: usize) -> Self {
        let mut text = vec![b'0'; NUMBER];
        text.extend_from_slice(r#" {"drug":"阿莫西林胶囊","dose":"0.5 g","frequency":"tid","days":7} "#.as_bytes());
        text.resize(BYTES, b'.');
        let body = format!(r#"{{"data":"{}"}}"#, STANDARD.encode(&text));
        let head = format!(
            "POST /v1/message/sign HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let at = head.len() + r#"{"data":""#.len();
        Self {
            client,
            number: 0,
            text,
            request: [head, body].concat().into_bytes(),
            at,
        }
    }

    /// Another prescription.
    fn next(&mut self) -> Result<()> {
        self.number += 1;
        let number = format!("{:08}{:016}", self.client, self.number);
        let text = self.text.get_mut(..NUMBER).context("the number")?;
        text.copy_from_slice(number.as_bytes());
        let place = self.request.get_mut(self.at..self.at + NUMBER / 3 * 4);
        STANDARD.encode_slice(number, place.context("the number")?)?;
        Ok(())
    }
}

/// A message that was answered, with what it is over.
#[derive(Debug)]
struct Kept {
    text: Vec<u8>,
    body: Vec<u8>,
}

#[derive(Deserialize)]
struct Answer {
    message: String,
}

/// What a load came to.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) times: Samples,
    pub(super) errors: u64,
    /// The first failure in words.
    pub(super) failure: Option<String>,
    pub(super) took: Duration,
    /// Processor time of the clients.
    pub(super) busy: Duration,
    kept: Vec<Kept>,
}

impl Done {
    fn join(&mut self, other: Self) {
        self.times.join(other.times);
        self.errors += other.errors;
        self.failure = self.failure.take().or(other.failure);
        self.kept.extend(other.kept);
    }

    /// Verifies the messages that were kept, and says how many.
    pub(super) fn check(&self, trust: &Trust) -> Result<usize> {
        let now = SystemClock.now().offset();
        for kept in &self.kept {
            let answer: Answer = serde_json::from_slice(&kept.body)?;
            let message = STANDARD.decode(answer.message)?;
            cms::verify(&message, Content::Bytes(&kept.text), trust, now).context("a message that does not hold")?;
        }
        ensure!(!self.kept.is_empty(), "no message was kept");
        Ok(self.kept.len())
    }
}

/// A closed loop: each client asks, waits for the answer and asks again.
pub(super) struct Load {
    pub(super) clients: usize,
    pub(super) time: Duration,
    pub(super) port: u16,
    pub(super) tls: TlsConnector,
}

impl Load {
    /// Blocks until the time is over and every answer is there.
    pub(super) fn run(self) -> Result<Done> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let ready = Arc::new(Barrier::new(self.clients + 1));
            let mut tasks = tokio::task::JoinSet::new();
            for client in 0..self.clients {
                let connection = Connection::open(&self.tls, self.port).await?;
                tasks.spawn(one(connection, client, self.time, Arc::clone(&ready)));
            }
            ready.wait().await;
            let (begun, before) = (Instant::now(), processor_time());
            let mut all = Done::default();
            while let Some(done) = tasks.join_next().await {
                all.join(done?);
            }
            all.took = begun.elapsed();
            all.busy = processor_time().saturating_sub(before);
            Ok(all)
        })
    }
}

/// Processor time of this thread.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

async fn one(mut connection: Connection, client: usize, time: Duration, ready: Arc<Barrier>) -> Done {
    let (mut done, mut document) = (Done::default(), Document::new(client));
    ready.wait().await;
    let until = Instant::now() + time;
    while Instant::now() < until {
        let begun = Instant::now();
        match connection.sign(&mut document).await {
            Ok(body) => {
                done.times.push(begun.elapsed());
                if done.times.len() % SAMPLE == 1 {
                    done.kept.push(Kept {
                        text: document.text.clone(),
                        body: body.to_vec(),
                    });
                }
            }
            Err(error) => {
                done.errors += 1;
                done.failure = Some(format!("{error:#}"));
                break;
            }
        }
    }
    done
}

/// A connection that is kept.
pub(super) struct Connection {
    stream: TlsStream<TcpStream>,
    buffer: Vec<u8>,
}

impl Connection {
    pub(super) async fn open(tls: &TlsConnector, port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let stream = tls.connect(ServerName::try_from("localhost")?, stream).await?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(8 * 1024),
        })
    }

    /// Has the next prescription signed; gives the answer's body.
    pub(super) async fn sign(&mut self, document: &mut Document) -> Result<&[u8]> {
        document.next()?;
        self.stream.write_all(&document.request).await?;
        self.stream.flush().await?;
        self.buffer.clear();
        let body = loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the connection ended");
            }
            if let Some(body) = body(&self.buffer)? {
                break body;
            }
        };
        self.buffer.get(body).context("the answer's body")
    }
}

/// Where the body of a good answer lies, when all of it is there.
fn body(answer: &[u8]) -> Result<Option<std::ops::Range<usize>>> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(answer.get(..end).unwrap_or_default())?;
    ensure!(head.starts_with("HTTP/1.1 200 "), "{}", String::from_utf8_lossy(answer));
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.context("content-length")?.parse()?;
    let all = end + 4..end + 4 + length;
    ensure!(answer.len() <= all.end, "more than the answer");
    Ok((answer.len() == all.end).then_some(all))
}
