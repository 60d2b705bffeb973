//! A source makes packages for its followers, and brings them there: at every change, again while one is away.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use records::Timestamp;
use reqwest::redirect;
use serde::Deserialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::package::{content_key, pack};
use super::taking::{LINE, Receipt, receipt_text};
use super::{PeerRole, PeerState, Replica, content};
use crate::Refusal;
use crate::engine::open_key;
use crate::vault::PeerRow;
use crate::wrap::Wrapping;

/// Where a follower takes packages.
const PATH: &str = "/manage/v1/replica/packages";
/// Changes are looked for so often besides being told of: some are made by signers, not on the page.
const EVERY: Duration = Duration::from_secs(5);
/// A follower that is away, or refused, is asked again after this time, at first; doubled up to [`AGAIN_MOST`].
const AGAIN: Duration = Duration::from_secs(2);
const AGAIN_MOST: Duration = Duration::from_secs(60);
/// A follower takes a package within this time.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a follower says no with.
#[derive(Deserialize)]
struct Refused {
    text: String,
}

/// A package, and what it carries.
pub(crate) struct Made {
    pub(crate) file: Vec<u8>,
    pub(crate) file_name: String,
    number: i64,
    digest: Vec<u8>,
}

impl Replica {
    /// Makes a package for an approved follower, with a number that none had.
    pub(crate) fn make(&self, by: &str, id: &str) -> Result<Made, Refusal> {
        let engine = self.engine();
        let own = self.own()?;
        let kek = engine.kek()?;
        let key = content_key()?;
        let now = engine.clock.now();
        let (row, content, digest, stay) = engine.vault.write(|unit| {
            let row = unit.peer(id)?;
            let row =
                row.filter(|row| row.state == PeerState::Approved.name() && row.role == PeerRole::Follower.name());
            let mut row = row.ok_or_else(|| Refusal::no("peer_unknown", "没有这台已批准的跟随设备。"))?;
            // By the time as well: a source that came back from an old copy of itself is not taken for a replay.
            row.number = (row.number + 1).max(now.as_micros() / 1_000);
            unit.put_peer(&row, now)?;
            let (content, stay) = content::read(unit)?;
            let digest = content::digest(&content)?;
            let detail = format!(
                "to {} {} number {} content {}",
                row.id,
                row.name,
                row.number,
                hex::encode(&digest)
            );
            unit.log(now, "replica.made", by, &detail)?;
            Ok((row, content, digest, stay))
        })?;
        let content = content.secrets(|owner, kept| {
            let secret = open_key(&kek, kept, owner, "key")?;
            Ok(Wrapping::derive(key.as_slice(), None, owner)?
                .wrap(&secret, owner)?
                .into())
        })?;
        if !stay.is_empty() {
            tracing::info!(replica.stay = ?stay, "keys in devices are not replicated");
        }
        let body = Zeroizing::new(serde_json::to_vec(&content).map_err(|_| Refusal::Damaged("configuration"))?);
        let file = pack(&own, &self.judged(&row)?, row.number, now, &key, body)?;
        Ok(Made {
            file,
            file_name: format!("signd-{}-{}.yqreplica", row.id, row.number),
            number: row.number,
            digest,
        })
    }

    /// Brings changes to followers until `stop`.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        // A process has one provider; when there is one already it is this one, too.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(redirect::Policy::none())
            .no_proxy()
            // The package keeps its own secret and proves its own origin, and so does the receipt: see the module's text.
            .tls_danger_accept_invalid_certs(true)
            .build();
        let http = match http {
            Ok(http) => http,
            Err(error) => return tracing::error!(%error, "packages for followers cannot be sent"),
        };
        let mut pauses: Vec<(String, Duration, Instant)> = Vec::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.wake.notified() => {}
                () = tokio::time::sleep(if pauses.is_empty() { EVERY } else { AGAIN }) => {}
            }
            let behind = Arc::clone(&self);
            let behind = tokio::task::spawn_blocking(move || behind.behind()).await;
            for row in behind.ok().and_then(Result::ok).unwrap_or_default() {
                let pause = pauses
                    .iter()
                    .find(|(id, ..)| *id == row.id)
                    .map(|(_, pause, until)| (*pause, *until));
                if pause.is_some_and(|(_, until)| Instant::now() < until) {
                    continue;
                }
                pauses.retain(|(id, ..)| *id != row.id);
                if let Err(trouble) = self.bring(&http, &row).await {
                    let pause = pause.map_or(AGAIN, |(pause, _)| (pause * 2).min(AGAIN_MOST));
                    pauses.push((row.id.clone(), pause, Instant::now() + pause));
                    self.note(&row.id, trouble).await;
                }
            }
        }
    }

    /// Followers with an address that do not have all there is.
    fn behind(&self) -> Result<Vec<PeerRow>, Refusal> {
        self.engine().vault.read(|unit| {
            let mut rows = unit.peers()?;
            rows.retain(|row| {
                row.role == PeerRole::Follower.name() && row.state == PeerState::Approved.name() && !row.url.is_empty()
            });
            if !rows.is_empty() {
                let now = content::digest(&content::read(unit)?.0)?;
                rows.retain(|row| row.digest != now);
            }
            Ok(rows)
        })
    }

    /// Brings one follower what there is.
    async fn bring(self: &Arc<Self>, http: &reqwest::Client, row: &PeerRow) -> Result<(), String> {
        // For one that is away nothing is made: each package is an entry in the log.
        let there = http.get(format!("{}/manage/v1/session", row.url)).send().await;
        there.map_err(|error| format!("对端没有应答（{}）", reason(&error)))?;
        let (making, id) = (Arc::clone(self), row.id.clone());
        let made = tokio::task::spawn_blocking(move || making.make(LINE, &id)).await;
        let made = match made {
            Ok(Ok(made)) => made,
            Ok(Err(refusal)) => return Err(format!("复制包未能制作：{}", words(&refusal))),
            Err(_) => return Err("复制包未能制作".to_owned()),
        };
        let request = http
            .post(format!("{}{PATH}", row.url))
            .header("x-signd", "1")
            .body(made.file.clone());
        let answer = request
            .send()
            .await
            .map_err(|error| format!("对端没有应答（{}）", reason(&error)))?;
        let status = answer.status();
        let body = answer
            .bytes()
            .await
            .map_err(|error| format!("对端没有应答（{}）", reason(&error)))?;
        if !status.is_success() {
            let refused: Option<Refused> = serde_json::from_slice(&body).ok();
            return Err(refused.map_or_else(
                || format!("对端拒绝（HTTP {status}）"),
                |refused| format!("对端拒绝：{}", refused.text),
            ));
        }
        let receipt: Receipt = serde_json::from_slice(&body).map_err(|_| "对端的回执无法识别".to_owned())?;
        let (settling, id) = (Arc::clone(self), row.id.clone());
        let settled = tokio::task::spawn_blocking(move || settling.settle(&id, &made, &receipt)).await;
        match settled {
            Ok(Ok(())) => Ok(()),
            Ok(Err(refusal)) => Err(words(&refusal)),
            Err(_) => Err("回执未能保存".to_owned()),
        }
    }

    /// Keeps that a follower has a package, if the receipt is its own.
    fn settle(&self, id: &str, made: &Made, receipt: &Receipt) -> Result<(), Refusal> {
        let now = self.engine().clock.now();
        self.engine().vault.write(|unit| {
            let row = unit.peer(id)?;
            let mut row = row.ok_or_else(|| Refusal::no("peer_unknown", "没有这台配对设备。"))?;
            let signature = hex::decode(&receipt.signature).unwrap_or_default();
            let text = receipt_text(&made.file, made.number);
            let signed = self.judged(&row)?.signing.verify(&text, &signature);
            if receipt.number != made.number || signed.is_err() {
                return Err(Refusal::no("replica_receipt", "回执不是该跟随设备签署的，不予承认。"));
            }
            (row.digest, row.settled_at) = (made.digest.clone(), Some(now));
            row.trouble = String::new();
            unit.put_peer(&row, now)?;
            unit.log(
                now,
                "replica.settled",
                "replica",
                &format!("{id} {} number {}", row.name, made.number),
            )
        })
    }

    /// Says on the page why a follower lags behind; in the log once, not at every try.
    async fn note(self: &Arc<Self>, id: &str, trouble: String) {
        let (noting, id) = (Arc::clone(self), id.to_owned());
        let now: Timestamp = self.engine().clock.now();
        let noted = tokio::task::spawn_blocking(move || {
            noting.engine().vault.write(|unit| {
                let Some(mut row) = unit.peer(&id)?.filter(|row| row.trouble != trouble) else {
                    return Ok(());
                };
                row.trouble.clone_from(&trouble);
                unit.put_peer(&row, now)?;
                unit.log(now, "replica.waits", LINE, &format!("{id} {} {trouble}", row.name))
            })
        });
        if let Ok(Err(refusal)) = noted.await {
            tracing::error!(sign.refusal = %refusal, "why a follower lags behind could not be kept");
        }
    }
}

fn words(refusal: &Refusal) -> String {
    match refusal {
        Refusal::No { text, .. } => text.clone(),
        Refusal::Tpm(error) => error.person().to_owned(),
        other => other.to_string(),
    }
}

/// The innermost reason of an error.
fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost: &(dyn std::error::Error + 'static) = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    // What administrators can do something about is said in their words.
    match innermost.downcast_ref::<std::io::Error>().map(std::io::Error::kind) {
        Some(ErrorKind::ConnectionRefused) => "连接被拒绝：设备未开机，或签名服务未运行".to_owned(),
        Some(ErrorKind::TimedOut) => "连接超时：请检查网络和对端地址".to_owned(),
        Some(ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable) => "网络不通：请检查网线和对端地址".to_owned(),
        Some(ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::UnexpectedEof) => {
            "连接中断：对端可能正在重启".to_owned()
        }
        _ => innermost.to_string(),
    }
}
