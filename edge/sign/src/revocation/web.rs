//! HTTP for lists and answers: bounded in size and time, whatever the other end does.

use std::time::Duration;

use gm::Refused;
use reqwest::{Client, Response, Url, redirect};

/// Time for a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Why no list or answer came of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("地址不正确")]
    Address,
    #[error("无法连接")]
    Unreachable,
    #[error("在规定时间内没有应答完")]
    Slow,
    #[error("应答 HTTP {0}")]
    Status(u16),
    #[error("应答中断")]
    Broken,
    #[error("内容超过允许的长度")]
    TooLarge,
    #[error("内容无效：{0}")]
    Unfit(String),
    #[error("比现有列表旧或差，未采用：{0}")]
    Worse(&'static str),
    #[error("增量列表缺少对应的完整列表")]
    NoBase,
    #[error("无法保存到磁盘：{0}")]
    Disk(String),
    #[error("内部错误")]
    Internal,
}

impl Trouble {
    pub(super) fn list(reason: Refused) -> Self {
        Self::Unfit(reason.to_string())
    }

    pub(super) fn disk(error: std::io::Error) -> Self {
        Self::Disk(error.to_string())
    }
}

/// The client.
#[derive(Debug, Clone)]
pub(super) struct Web(Client);

impl Web {
    pub(super) fn new() -> Result<Self, reqwest::Error> {
        // A process has one provider; when there is one already it is this one, too.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .connect_timeout(CONNECT)
            .redirect(redirect::Policy::limited(3))
            .no_proxy()
            // Lists and answers are signed by who issues them. A hospital's inner authority often has a TLS certificate
            // that nobody knows; to refuse its lists for that would be less safe than to have them.
            .tls_danger_accept_invalid_certs(true)
            .build()?;
        Ok(Self(client))
    }

    pub(super) async fn get(&self, address: &str, most: usize, limit: Duration) -> Result<Vec<u8>, Trouble> {
        let request = self.0.get(url(address)?);
        let took = tokio::time::timeout(limit, async { body(request.send().await.map_err(failed)?, most).await });
        took.await.unwrap_or(Err(Trouble::Slow))
    }

    pub(super) async fn post(
        &self,
        address: &str,
        kind: &str,
        question: Vec<u8>,
        most: usize,
        limit: Duration,
    ) -> Result<Vec<u8>, Trouble> {
        let request = self.0.post(url(address)?).header("content-type", kind).body(question);
        let took = tokio::time::timeout(limit, async { body(request.send().await.map_err(failed)?, most).await });
        took.await.unwrap_or(Err(Trouble::Slow))
    }
}

/// Whether an address can be fetched from.
pub(crate) fn is_web(address: &str) -> bool {
    url(address).is_ok()
}

fn url(address: &str) -> Result<Url, Trouble> {
    let url = Url::parse(address).map_err(|_| Trouble::Address)?;
    let web = matches!(url.scheme(), "http" | "https") && url.has_host() && address.len() <= 1024;
    if web { Ok(url) } else { Err(Trouble::Address) }
}

fn failed(error: reqwest::Error) -> Trouble {
    if error.is_timeout() {
        Trouble::Slow
    } else if error.is_connect() {
        Trouble::Unreachable
    } else {
        Trouble::Broken
    }
}

async fn body(mut response: Response, most: usize) -> Result<Vec<u8>, Trouble> {
    if !response.status().is_success() {
        return Err(Trouble::Status(response.status().as_u16()));
    }
    let said = response.content_length().unwrap_or_default();
    if said > most as u64 {
        return Err(Trouble::TooLarge);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(said).unwrap_or_default());
    while let Some(piece) = response.chunk().await.map_err(failed)? {
        if bytes.len() + piece.len() > most {
            return Err(Trouble::TooLarge);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}
