use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::message;
use crate::Refusal;
use crate::engine::Engine;
use crate::settings::{Settings, Syslog, authorities};
use crate::vault::Query;

/// An entry counts as sent when the connection has lived this long after it.
const SETTLED: Duration = Duration::from_secs(5);
/// How often the log is looked at for new entries.
const LOOK: Duration = Duration::from_millis(250);
/// Between two tries to connect.
const AGAIN: Duration = Duration::from_secs(2);
/// A receiver that takes nothing for so long is left.
const PATIENCE: Duration = Duration::from_secs(20);
/// Entries read at once.
const PAGE: u32 = 500;
/// The setting that holds the number of the last entry that was sent.
const SENT: &str = "syslog_sent";

/// How sending goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = LogSending)]
pub struct Progress {
    /// Number of the last entry that counts as sent.
    pub sent: i64,
    /// The receiver is connected.
    pub connected: bool,
    /// Why not, in plain words.
    pub trouble: Option<String>,
}

/// Sends until told to stop; a changed receiver is taken at once.
pub async fn run(
    engine: Arc<Engine>,
    host: String,
    mut settings: watch::Receiver<Arc<Settings>>,
    progress: Arc<Mutex<Progress>>,
    stop: CancellationToken,
) {
    loop {
        let now = settings.borrow_and_update().syslog.clone();
        let sending = async {
            if now.enabled {
                send(&engine, &host, &now, &progress).await
            } else {
                tell(&progress, |p| (p.connected, p.trouble) = (false, None));
                std::future::pending().await
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            changed = changed(&mut settings, &now) => if !changed { return },
            trouble = sending => {
                tracing::warn!(sign.trouble = %trouble, "the log cannot be sent");
                tell(&progress, |p| (p.connected, p.trouble) = (false, Some(trouble.clone())));
                tokio::select! { () = stop.cancelled() => return, () = sleep(AGAIN) => {} }
            }
        }
    }
}

fn tell(progress: &Mutex<Progress>, change: impl FnOnce(&mut Progress)) {
    change(&mut progress.lock().unwrap_or_else(PoisonError::into_inner));
}

/// Waits until another receiver is set; `false` at the end.
async fn changed(settings: &mut watch::Receiver<Arc<Settings>>, now: &Syslog) -> bool {
    settings.wait_for(|settings| settings.syslog != *now).await.is_ok()
}

/// The roots that may vouch for the receiver.
fn roots(target: &Syslog) -> Result<RootCertStore, Refusal> {
    let mut roots = RootCertStore::empty();
    match &target.ca_pem {
        Some(pem) => {
            for certificate in authorities(pem)? {
                let added = roots.add(CertificateDer::from(certificate.der));
                added.map_err(|_| Refusal::no("syslog", "日志服务器的 CA 证书不能用作根证书。"))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    Ok(roots)
}

/// Connects and sends until something breaks, which it says.
async fn send(engine: &Arc<Engine>, host: &str, target: &Syslog, progress: &Mutex<Progress>) -> String {
    let connected = timeout(PATIENCE, TcpStream::connect((target.host.as_str(), target.port))).await;
    let stream = match connected {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return format!("无法连接日志服务器：{error}"),
        Err(_) => return "连接日志服务器超时".to_owned(),
    };
    if !target.tls {
        return flow(engine, host, target, progress, stream).await;
    }
    let Ok(name) = ServerName::try_from(target.host.clone()) else {
        return "日志服务器的名称不正确".to_owned();
    };
    let roots = match roots(target) {
        Ok(roots) => roots,
        Err(refusal) => return refusal.to_string(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map(|config| config.with_root_certificates(roots).with_no_client_auth());
    let Ok(config) = config else {
        return "TLS 设置不正确".to_owned();
    };
    match timeout(PATIENCE, TlsConnector::from(Arc::new(config)).connect(name, stream)).await {
        Ok(Ok(stream)) => flow(engine, host, target, progress, stream).await,
        Ok(Err(error)) => format!("日志服务器的 TLS 握手失败：{error}"),
        Err(_) => "日志服务器的 TLS 握手超时".to_owned(),
    }
}

async fn flow<S: AsyncRead + AsyncWrite + Unpin>(
    engine: &Arc<Engine>,
    host: &str,
    target: &Syslog,
    progress: &Mutex<Progress>,
    stream: S,
) -> String {
    let (mut from, mut to) = tokio::io::split(stream);
    let mut sent = match sent(engine) {
        Ok(sent) => sent,
        Err(refusal) => return refusal.to_string(),
    };
    tell(progress, |p| {
        *p = Progress {
            sent,
            connected: true,
            trouble: None,
        }
    });
    let mut written = sent;
    // Numbers that were written, and since when.
    let mut unsettled: VecDeque<(Instant, i64)> = VecDeque::new();
    let mut nothing = [0u8; 64];
    loop {
        let entries = match entries(engine, written).await {
            Ok(entries) => entries,
            Err(refusal) => return refusal.to_string(),
        };
        let mut frames = String::new();
        for entry in &entries {
            let text = message::format(entry, target.facility, host);
            frames.push_str(&format!("{} {text}", text.len()));
            written = entry.seq;
        }
        if !frames.is_empty() {
            match timeout(PATIENCE, write(&mut to, frames.as_bytes())).await {
                Ok(Ok(())) => unsettled.push_back((Instant::now(), written)),
                Ok(Err(error)) => return format!("日志发送中断：{error}"),
                Err(_) => return "日志服务器不再接收".to_owned(),
            }
        }
        let mut settled = None;
        while let Some((at, seq)) = unsettled.front().copied()
            && at.elapsed() >= SETTLED
        {
            settled = Some(seq);
            unsettled.pop_front();
        }
        if let Some(seq) = settled {
            sent = seq;
            if let Err(refusal) = keep_sent(engine, sent) {
                return refusal.to_string();
            }
            tell(progress, |p| p.sent = sent);
        }
        if entries.len() < PAGE as usize {
            // A receiver that ends the connection is noticed here, before what was written counts as sent.
            match timeout(LOOK, from.read(&mut nothing)).await {
                Err(_) => {}
                Ok(Ok(0)) => return "日志服务器关闭了连接".to_owned(),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return format!("与日志服务器的连接中断：{error}"),
            }
        }
    }
}

async fn write<W: AsyncWrite + Unpin>(to: &mut W, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes).await?;
    to.flush().await
}

pub(crate) fn sent(engine: &Engine) -> Result<i64, Refusal> {
    let kept = engine.vault.read(|unit| unit.setting(SENT))?;
    Ok(kept.and_then(|text| text.parse().ok()).unwrap_or(0))
}

fn keep_sent(engine: &Engine, seq: i64) -> Result<(), Refusal> {
    let now = engine.clock.now();
    engine.vault.write(|unit| unit.put_setting(SENT, &seq.to_string(), now))
}

async fn entries(engine: &Arc<Engine>, after: i64) -> Result<Vec<crate::vault::Logged>, Refusal> {
    let engine = Arc::clone(engine);
    let query = Query {
        after: Some(after),
        ..Query::default()
    };
    let read = tokio::task::spawn_blocking(move || engine.vault.read(|unit| unit.find_log(&query, PAGE)));
    read.await.unwrap_or(Err(Refusal::Damaged("log")))
}
