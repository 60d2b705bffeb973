//! Stop-clinic by HL7: a listener for scheduling messages, original and enhanced mode.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Callbacks, Received};
use crate::charset::Charset;
use crate::hl7::{AckCode, Framer, Message, acknowledge, frame, general};
use crate::profile::MllpCallback;
use crate::source::Source;

const MAX_FRAME: usize = 512 * 1024;
const CONNECTIONS: usize = 32;
const IDLE: Duration = Duration::from_secs(600);

/// What to answer.
struct Verdict {
    code: AckCode,
    error: Option<(&'static str, String)>,
}

impl Verdict {
    fn refused(code: AckCode, number: &'static str, words: impl Into<String>) -> Self {
        Self {
            code,
            error: Some((number, words.into())),
        }
    }
}

impl Callbacks {
    /// Serves the listener until stopped. Does nothing when the profile has no HL7 callback.
    pub async fn serve_mllp(&self, listener: TcpListener, stop: CancellationToken) {
        let Some(callback) = self.bridge.hospital().profile.callbacks.mllp.clone() else {
            return;
        };
        let callback = Arc::new(callback);
        let (places, tasks) = (Arc::new(Semaphore::new(CONNECTIONS)), TaskTracker::new());
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                tracing::warn!(
                    callback.connections = CONNECTIONS,
                    "too many connections of the hospital; one refused"
                );
                continue;
            };
            let (own, callback, stop) = (self.clone(), Arc::clone(&callback), stop.clone());
            tasks.spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = own.connection(stream, &callback) => {}
                }
                drop(place);
            });
        }
        tasks.close();
        tasks.wait().await;
    }

    async fn connection(&self, mut stream: TcpStream, callback: &MllpCallback) {
        let mut framer = Framer::new(MAX_FRAME);
        let mut buffer = vec![0u8; 16 * 1024];
        loop {
            let n = match tokio::time::timeout(IDLE, stream.read(&mut buffer)).await {
                Ok(Ok(n)) if n > 0 => n,
                _ => return,
            };
            framer.push(buffer.get(..n).unwrap_or_default());
            loop {
                match framer.next_frame() {
                    Ok(Some(content)) => {
                        let mut out = Vec::new();
                        for reply in self.replies(&content, callback).await {
                            out.extend_from_slice(&frame(&reply));
                        }
                        if stream.write_all(&out).await.is_err() {
                            return;
                        }
                    }
                    Ok(None) => break,
                    Err(error) => {
                        self.reject("mllp", &error.to_string(), &[]).await;
                        return;
                    }
                }
            }
        }
    }

    async fn replies(&self, content: &[u8], callback: &MllpCallback) -> Vec<Vec<u8>> {
        let now = self.bridge.clock().now();
        let id = || hex::encode_upper(self.bridge.ids().random::<10>());
        let message = match Message::from_bytes(content) {
            Ok(message) => message,
            Err(error) => {
                self.reject("mllp", &error.to_string(), content).await;
                let head =
                    String::from_utf8_lossy(content.get(..content.len().min(400)).unwrap_or_default()).into_owned();
                let of = head
                    .split('|')
                    .nth(9)
                    .unwrap_or_default()
                    .chars()
                    .take(40)
                    .collect::<String>();
                return vec![general(&of, &id(), now, "报文无法识别").into_bytes()];
            }
        };
        let verdict = self.judge(&message, content, callback).await;
        let get = |path: &str| message.get(path).unwrap_or_default().into_owned();
        let (accept, application, charset) = (
            get("MSH-15"),
            get("MSH-16"),
            Charset::by_name(&get("MSH-18")).unwrap_or_default(),
        );
        let write = |code: AckCode, error: Option<(&str, &str)>| {
            charset
                .encode(&acknowledge(&message, code, &id(), now, error))
                .into_owned()
        };
        let error = verdict.error.as_ref().map(|(n, w)| (*n, w.as_str()));
        if accept.is_empty() && application.is_empty() {
            return vec![write(verdict.code, error)];
        }
        let commit = match verdict.code {
            AckCode::AppReject | AckCode::CommitReject => AckCode::CommitReject,
            AckCode::CommitError => AckCode::CommitError,
            _ => AckCode::CommitAccept,
        };
        let taken = commit == AckCode::CommitAccept;
        let wanted = |mode: &str, ok: bool| match mode {
            "NE" => false,
            "ER" => !ok,
            "SU" => ok,
            _ => true,
        };
        let mut out = Vec::new();
        if wanted(&accept, taken) {
            out.push(write(commit, error.filter(|_| !taken)));
        }
        if taken && wanted(&application, verdict.code == AckCode::AppAccept) {
            out.push(write(verdict.code, error));
        }
        out
    }

    async fn judge(&self, message: &Message, content: &[u8], callback: &MllpCallback) -> Verdict {
        let get = |path: &str| message.get(path).unwrap_or_default().into_owned();
        let (kind, trigger, version, id) = (get("MSH-9"), get("MSH-9.2"), get("MSH-12"), get("MSH-10"));
        let event = format!("{kind}^{trigger}");
        let refused = if id.is_empty() {
            Some(Verdict::refused(AckCode::AppReject, "101", "缺少 MSH-10"))
        } else if !callback.versions.contains(&version) {
            Some(Verdict::refused(AckCode::AppReject, "203", "不支持该版本"))
        } else if !callback.triggers.contains(&event) {
            let known = callback
                .triggers
                .iter()
                .any(|t| t.split('^').next() == Some(kind.as_str()));
            Some(Verdict::refused(
                AckCode::AppReject,
                if known { "201" } else { "200" },
                "不支持该消息",
            ))
        } else {
            None
        };
        if let Some(refused) = refused {
            let words = refused.error.as_ref().map(|e| e.1.clone()).unwrap_or_default();
            self.reject("mllp", &format!("{event} {version}: {words}"), content)
                .await;
            return refused;
        }
        let notice = match self.notice(&callback.notice, Source::Hl7(message, None), &callback.order) {
            Ok(notice) => notice,
            Err(why) => {
                self.reject("mllp", &why, content).await;
                return Verdict::refused(AckCode::AppError, "101", format!("停诊通知内容不完整：{why}"));
            }
        };
        let key = format!("mllp:{}|{}|{id}", get("MSH-3"), get("MSH-4"));
        match self.receive(key, "mllp", &notice).await {
            Ok(Received::New | Received::Before) => Verdict {
                code: AckCode::AppAccept,
                error: None,
            },
            Err(error) => {
                tracing::error!(%error, "stop-clinic notice could not be kept");
                let enhanced = !get("MSH-15").is_empty() || !get("MSH-16").is_empty();
                let code = if enhanced {
                    AckCode::CommitError
                } else {
                    AckCode::AppError
                };
                Verdict::refused(code, "207", "暂时无法受理，请重发")
            }
        }
    }
}
