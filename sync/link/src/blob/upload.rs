//! The sending side.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::blob::{Next, PART_BYTES, Reported, next};
use records::Ids;
use reqwest::{Method, Response, StatusCode};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt, AsyncSeekExt, SeekFrom};
use tokio::time::Instant;

use super::{CHECKSUM, COMPLETE, DIGEST, Digest, LENGTH, OFFSET};
use crate::LinkError;
use crate::dial::backoff;

/// Why an upload ended without the receiver having the whole.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The file cannot be read, or changed while it was sent.
    #[error("the file cannot be read: {0}")]
    Source(#[from] std::io::Error),
    /// The receiver refused for a reason that does not pass.
    #[error("the receiver refused the upload: {status} {text}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its words.
        text: String,
    },
    /// No part got through for too long; the next try goes on where this one ended.
    #[error("no progress for {0:?}: {1}")]
    Stalled(Duration, String),
}

/// Sends files to the cloud.
#[derive(Clone)]
pub struct Uploader {
    http: reqwest::Client,
    base: String,
    ids: Arc<Ids>,
    /// Bytes per part.
    pub part_bytes: u64,
    /// Give up after so long without progress.
    pub patience: Duration,
}

impl Uploader {
    /// Sends to `base` (`https://host:port`), proving itself as `tls` does.
    pub fn new(base: &str, tls: rustls::ClientConfig, ids: Arc<Ids>) -> Result<Self, LinkError> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(120))
            .tcp_nodelay(true)
            .no_proxy()
            .build()
            .map_err(|e| LinkError::Tls(e.to_string()))?;
        let base = base.trim_end_matches('/').to_owned();
        Ok(Self {
            http,
            base,
            ids,
            part_bytes: PART_BYTES,
            patience: Duration::from_secs(600),
        })
    }

    /// Sends a file and answers its digest when the receiver has the whole of it durably. May be repeated at any time,
    /// also after a crash: it goes on where the receiver stands, and sends nothing when it is there already.
    pub async fn upload(&self, source: &Path) -> Result<Digest, UploadError> {
        let (digest, length) = digest_of(source).await?;
        let mut said = self.create(&digest, length).await;
        let (mut failures, mut best, mut moved_at) = (0, 0, Instant::now());
        loop {
            let reported = match said {
                Ok(reported) => {
                    failures = 0;
                    reported
                }
                Err(Trouble::Final(e)) => return Err(e),
                Err(Trouble::Passing(reason)) => {
                    if moved_at.elapsed() > self.patience {
                        return Err(UploadError::Stalled(self.patience, reason));
                    }
                    tokio::time::sleep(backoff(&self.ids, failures)).await;
                    failures += 1;
                    Reported::Conflict
                }
            };
            if let Reported::Offset(at) = reported
                && at > best
            {
                (best, moved_at) = (at, Instant::now());
            }
            said = match next(length, self.part_bytes, reported) {
                Next::Done => return Ok(digest),
                Next::Create => self.create(&digest, length).await,
                Next::Ask => self.ask(&digest).await,
                Next::Send { offset, length } => {
                    let part = part_of(source, offset, length).await?;
                    self.send(&digest, offset, part).await
                }
            };
        }
    }

    async fn create(&self, digest: &Digest, length: u64) -> Result<Reported, Trouble> {
        let request = self.http.post(format!("{}/blobs", self.base));
        let request = request.header(DIGEST, digest.as_str()).header(LENGTH, length);
        understand(request.send().await).await
    }

    async fn ask(&self, digest: &Digest) -> Result<Reported, Trouble> {
        understand(self.http.request(Method::HEAD, self.at(digest)).send().await).await
    }

    async fn send(&self, digest: &Digest, offset: u64, part: Vec<u8>) -> Result<Reported, Trouble> {
        let checksum = Digest::of(&part);
        let request = self
            .http
            .patch(self.at(digest))
            .header(OFFSET, offset)
            .header(CHECKSUM, checksum.as_str());
        understand(request.body(part).send().await).await
    }

    fn at(&self, digest: &Digest) -> String {
        format!("{}/blobs/{digest}", self.base)
    }
}

enum Trouble {
    Passing(String),
    Final(UploadError),
}

async fn understand(answer: Result<Response, reqwest::Error>) -> Result<Reported, Trouble> {
    let answer = answer.map_err(|e| Trouble::Passing(e.to_string()))?;
    let status = answer.status();
    let header = |name| answer.headers().get(name).and_then(|v| v.to_str().ok());
    match status {
        s if s.is_success() && header(COMPLETE).is_some() => Ok(Reported::Complete),
        s if s.is_success() => {
            let offset = header(OFFSET).and_then(|v| v.parse().ok());
            offset
                .map(Reported::Offset)
                .ok_or_else(|| Trouble::Passing("an answer without offset".to_owned()))
        }
        StatusCode::NOT_FOUND => Ok(Reported::Missing),
        StatusCode::CONFLICT => Ok(Reported::Conflict),
        StatusCode::UNPROCESSABLE_ENTITY => Err(Trouble::Passing("damaged on the way".to_owned())),
        s if s.is_server_error() || s == StatusCode::TOO_MANY_REQUESTS || s == StatusCode::REQUEST_TIMEOUT => {
            Err(Trouble::Passing(s.to_string()))
        }
        s => {
            let text = answer.text().await.unwrap_or_default();
            Err(Trouble::Final(UploadError::Refused {
                status: s.as_u16(),
                text,
            }))
        }
    }
}

async fn digest_of(source: &Path) -> Result<(Digest, u64), std::io::Error> {
    let mut file = tokio::fs::File::open(source).await?;
    let (mut hash, mut length, mut buffer) = (Sha256::new(), 0, vec![0u8; 1 << 20]);
    loop {
        let n = file.read(&mut buffer).await?;
        let Some(read) = buffer.get(..n).filter(|read| !read.is_empty()) else {
            break;
        };
        hash.update(read);
        length += n as u64;
    }
    Ok((Digest::finish(hash), length))
}

async fn part_of(source: &Path, offset: u64, length: u64) -> Result<Vec<u8>, std::io::Error> {
    let mut file = tokio::fs::File::open(source).await?;
    file.seek(SeekFrom::Start(offset)).await?;
    let mut part = vec![0u8; usize::try_from(length).unwrap_or(0)];
    file.read_exact(&mut part).await?;
    Ok(part)
}
