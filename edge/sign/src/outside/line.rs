//! The line to an outside server: HTTPS with few connections, every request bounded in time, size and number, on a thread
//! of its own. Who asks waits for the answer or for the end of the time, never longer.

use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::{Client, redirect};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use smtls::Offer;
use tokio::sync::mpsc;

use super::message::said;
use super::{Fault, OutsideConfig};
use crate::Refusal;

/// Bytes of an answer; a certificate has some 1,000.
const MOST: usize = 64 * 1024;
/// Who asks waits so long for a place.
const PLACE: Duration = Duration::from_secs(1);
/// Idle connections are closed after this time: most servers close theirs after a minute.
const IDLE: Duration = Duration::from_secs(30);
/// So much longer than the request itself its answer may take through this process.
const SLACK: Duration = Duration::from_millis(500);

/// Bytes of a thread's stack: all of it is locked memory.
pub(super) const STACK: usize = 1024 * 1024;

type Answer = Result<Vec<u8>, Fault>;

struct Job {
    body: Vec<u8>,
    answer: SyncSender<Answer>,
}

/// The line.
pub(super) struct Line {
    jobs: mpsc::UnboundedSender<Job>,
    places: Places,
    patience: Duration,
}

/// Requests under way, at most so many.
struct Places {
    left: Mutex<usize>,
    freed: Condvar,
}

/// The right to ask once.
pub(super) struct Place<'l>(&'l Line);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let places = &self.0.places;
        *places.left.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        places.freed.notify_one();
    }
}

impl Line {
    pub(super) fn start(config: &OutsideConfig) -> Result<Self, Refusal> {
        let patience = Duration::from_millis(config.answer_ms);
        let bad = |why: String| {
            let text = format!("外部签名服务器 {} 的 HTTPS 配置不可用：{why}", config.name);
            Refusal::no("outside_tls", text)
        };
        let client = Client::builder()
            .tls_backend_preconfigured(tls(config).map_err(bad)?)
            .connect_timeout(patience)
            .timeout(patience)
            .pool_max_idle_per_host(config.connections)
            .pool_idle_timeout(IDLE)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .http1_only()
            .build()
            .map_err(|error| bad(error.to_string()))?;
        let (jobs, waiting) = mpsc::unbounded_channel();
        let url = config.url.clone();
        std::thread::Builder::new()
            .name("outside-line".to_owned())
            .stack_size(STACK)
            .spawn(move || serve(client, url, waiting))
            .map_err(|error| bad(error.to_string()))?;
        Ok(Self {
            jobs,
            places: Places {
                left: Mutex::new(config.connections),
                freed: Condvar::new(),
            },
            patience,
        })
    }

    /// A place, when one is free soon.
    pub(super) fn place(&self) -> Result<Place<'_>, Fault> {
        let until = Instant::now() + PLACE;
        let mut left = self.places.left.lock().unwrap_or_else(PoisonError::into_inner);
        while *left == 0 {
            let Some(pause) = until.checked_duration_since(Instant::now()) else {
                return Err(Fault::Busy);
            };
            let waited = self.places.freed.wait_timeout(left, pause);
            left = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *left -= 1;
        Ok(Place(self))
    }
}

impl Place<'_> {
    /// Asks, and waits for the answer; a bounded time.
    pub(super) fn ask(&self, body: Vec<u8>) -> Answer {
        let (answer, answered) = sync_channel(1);
        let gone = || Fault::Unreachable("内部线程已结束".to_owned());
        self.0.jobs.send(Job { body, answer }).map_err(|_| gone())?;
        match answered.recv_timeout(self.0.patience + SLACK) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Err(Fault::Silent),
        }
    }
}

/// TLS as the settings want it. A server's certificate that does not lead to the roots is refused, whatever it signs.
fn tls(config: &OutsideConfig) -> Result<ClientConfig, String> {
    let offer: Offer = config.tls.parse().map_err(|_| format!("tls = {:?}", config.tls))?;
    let pem = |file: &std::path::Path| {
        CertificateDer::pem_file_iter(file)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| format!("{}：{error}", file.display()))
    };
    let mut roots = RootCertStore::empty();
    for certificate in pem(&config.tls_roots)? {
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() {
        return Err(format!("{} 中没有证书", config.tls_roots.display()));
    }
    let builder = ClientConfig::builder_with_provider(offer.provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    let (Some(chain), Some(key)) = (&config.client_certificate, &config.client_key) else {
        return Ok(builder.with_no_client_auth());
    };
    let text = std::fs::read(key).map_err(|error| format!("{}：{error}", key.display()))?;
    let secret = smtls::key_from_pem(&text).map_err(|reason| format!("{}：{}", key.display(), reason.person()))?;
    builder
        .with_client_auth_cert(pem(chain)?, secret)
        .map_err(|error| error.to_string())
}

/// The thread: sends what comes in until nobody is left to ask.
fn serve(client: Client, url: String, mut waiting: mpsc::UnboundedReceiver<Job>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_stack_size(STACK)
        .max_blocking_threads(2)
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!(%error, "an outside server cannot be asked"),
    };
    let url: Arc<str> = url.into();
    runtime.block_on(async move {
        while let Some(job) = waiting.recv().await {
            let (client, url) = (client.clone(), Arc::clone(&url));
            tokio::spawn(async move {
                // Who asked may have given up.
                let _ = job.answer.send(send(&client, &url, job.body).await);
            });
        }
    });
}

async fn send(client: &Client, url: &str, body: Vec<u8>) -> Answer {
    let request = client
        .post(url)
        .header("content-type", "application/octet-stream")
        .header("svs-request-version", "v1")
        .body(body);
    let mut response = request.send().await.map_err(failed)?;
    let status = response.status();
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(failed)? {
        if bytes.len() + piece.len() > MOST {
            return Err(Fault::Garbage("应答过长"));
        }
        bytes.extend_from_slice(&piece);
    }
    // Whoever answers in the standard's form means that, whatever the status; the first byte of DER is a SEQUENCE's.
    if status.is_success() || bytes.first() == Some(&gm::der::tag::SEQUENCE) {
        return Ok(bytes);
    }
    Err(Fault::Refused {
        number: status.as_u16().into(),
        words: said(std::str::from_utf8(&bytes).unwrap_or_default()),
    })
}

fn failed(error: reqwest::Error) -> Fault {
    if error.is_connect() {
        // The innermost reason says it best: refused, unknown issuer, certificate expired.
        let mut why: &dyn std::error::Error = &error;
        while let Some(deeper) = why.source() {
            why = deeper;
        }
        Fault::Unreachable(said(&why.to_string()))
    } else if error.is_timeout() {
        Fault::Silent
    } else {
        Fault::Broken(said(&error.to_string()))
    }
}
