//! Keeps the line and serves the callers.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use dock_link::{Answer, Down, MAX_FRAME};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_serial::SerialPortBuilderExt;

use crate::conversation::{Conversation, Heard, Lost, Ticket};
use crate::dock::Asked;
use crate::error::DockError;
use crate::state::{DockEvent, DockState, Happening};

/// Speed of the line.
const BAUD: u32 = 115_200;
/// Between tries to open the line.
const RETRY: Duration = Duration::from_secs(1);
/// How often time is let pass.
const TICK: Duration = Duration::from_millis(100);
/// A line that takes no bytes for so long is broken.
const STUCK: Duration = Duration::from_secs(4);

/// Keeps the line of a [`Dock`].
pub struct Driver {
    pub(crate) state: watch::Sender<DockState>,
    pub(crate) events: broadcast::Sender<DockEvent>,
    pub(crate) commands: mpsc::Receiver<Asked>,
    pub(crate) waiting: HashMap<Ticket, oneshot::Sender<Result<Answer, DockError>>>,
    pub(crate) last_event: u32,
    pub(crate) began: Instant,
}

/// Why the line ended.
#[derive(Debug, thiserror::Error)]
enum LineError {
    #[error("采集坞串口无法打开，请检查数据线：{0}")]
    Open(tokio_serial::Error),
    #[error("采集坞连接中断，请检查数据线：{0}")]
    Broken(std::io::Error),
    #[error("采集坞连接已断开，请检查数据线")]
    Ended,
    #[error("采集坞串口不再接收数据，请重新插拔数据线")]
    Stuck,
    #[error(transparent)]
    Lost(#[from] Lost),
}

impl Driver {
    /// Follows the dock at a serial port. Ends never; to be dropped when the appliance stops.
    pub async fn run(&mut self, port: &Path) {
        loop {
            let lost = match open(port) {
                Ok(line) => self.talk(line).await,
                Err(error) => error,
            };
            self.went_away(&lost, &port.display().to_string());
            // Whoever asks while it is away is told at once.
            let pause = tokio::time::sleep(RETRY);
            tokio::pin!(pause);
            loop {
                tokio::select! {
                    () = &mut pause => break,
                    Some(asked) = self.commands.recv() => {
                        let _ = asked.reply.send(Err(DockError::Offline(lost.to_string())));
                    }
                }
            }
        }
    }

    /// Follows the dock on a line that is open already, until it is lost; answers why, in plain words.
    pub async fn run_on(&mut self, line: impl AsyncRead + AsyncWrite + Unpin) -> String {
        let lost = self.talk(line).await;
        self.went_away(&lost, "line");
        lost.to_string()
    }

    async fn talk(&mut self, line: impl AsyncRead + AsyncWrite + Unpin) -> LineError {
        let (mut from, mut to) = tokio::io::split(line);
        let known = self.state.borrow().clone();
        let mut talk = Conversation::new(random(), known, self.last_event, self.began.elapsed());
        let lost = self.converse(&mut talk, &mut from, &mut to).await;
        self.last_event = talk.last_event();
        for (ticket, reply) in self.waiting.drain() {
            let _ = reply.send(Err(if talk.may_have_happened(ticket) {
                DockError::Unknown
            } else {
                DockError::Offline(lost.to_string())
            }));
        }
        self.state.send_if_modified(|s| {
            let known = talk.state().clone();
            let changed = *s != known;
            *s = known;
            changed
        });
        lost
    }

    async fn converse(
        &mut self,
        talk: &mut Conversation,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> LineError {
        // What a half-sent frame of before left behind ends here.
        if let Err(error) = write(to, &[0, 0]).await {
            return error;
        }
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut buffer = [0u8; 512];
        loop {
            while let Some(message) = talk.next_to_send() {
                if let Err(error) = send(to, &message).await {
                    return error;
                }
            }
            self.publish(talk);
            let step = tokio::select! {
                read = from.read(&mut buffer) => match read {
                    Ok(0) => return LineError::Ended,
                    Ok(count) => talk.take(buffer.get(..count).unwrap_or_default(), self.began.elapsed()),
                    Err(error) => return LineError::Broken(error),
                },
                _ = tick.tick() => talk.tick(self.began.elapsed()),
                Some(asked) = self.commands.recv() => {
                    let ticket = talk.ask(asked.command, self.began.elapsed());
                    self.waiting.insert(ticket, asked.reply);
                    Ok(())
                }
            };
            if let Err(lost) = step {
                self.publish(talk);
                return lost.into();
            }
        }
    }

    /// Hands on what became known; the state before the event that tells of it.
    fn publish(&mut self, talk: &mut Conversation) {
        let mut news = Vec::new();
        while let Some(heard) = talk.next_news() {
            news.push(heard);
        }
        if news.iter().any(|n| !matches!(n, Heard::Answered(..))) {
            self.state.send_if_modified(|s| {
                let known = talk.state();
                let changed = s != known;
                if changed {
                    s.clone_from(known);
                }
                changed
            });
        }
        for heard in news {
            match heard {
                Heard::Answered(ticket, answer) => {
                    if let Some(reply) = self.waiting.remove(&ticket) {
                        let _ = reply.send(Ok(answer));
                    }
                }
                Heard::Event(event) => {
                    tracing::info!(dock.event = ?event.what, dock.boot = event.boot, dock.number = event.number, "dock");
                    let _ = self.events.send(event);
                }
                Heard::Changed => {}
            }
        }
    }

    fn went_away(&self, lost: &LineError, port: &str) {
        let trouble = lost.to_string();
        let mut was_online = false;
        let changed = self.state.send_if_modified(|s| {
            let changed = s.online || s.trouble != trouble;
            was_online = s.online;
            s.online = false;
            s.trouble.clone_from(&trouble);
            changed
        });
        if changed {
            tracing::warn!(dock.port = port, error = %trouble, "dock line lost");
        }
        if was_online {
            let _ = self.events.send(DockEvent {
                boot: 0,
                number: 0,
                at_ms: 0,
                what: Happening::Offline(trouble),
            });
        }
    }
}

fn open(port: &Path) -> Result<tokio_serial::SerialStream, LineError> {
    tokio_serial::new(port.to_string_lossy(), BAUD)
        .open_native_async()
        .map_err(LineError::Open)
}

async fn send(to: &mut (impl AsyncWrite + Unpin), message: &Down) -> Result<(), LineError> {
    let mut frame = [0u8; MAX_FRAME];
    // Every message fits: the golden test of the longest one says so.
    let Ok(length) = dock_link::encode(message, &mut frame) else {
        return Ok(());
    };
    write(to, frame.get(..length).unwrap_or_default()).await
}

async fn write(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<(), LineError> {
    let written = tokio::time::timeout(STUCK, to.write_all(bytes)).await;
    written.map_err(|_| LineError::Stuck)?.map_err(LineError::Broken)
}

/// A session number unlike that of any process before.
fn random() -> u32 {
    let mut bytes = [0u8; 4];
    // Without randomness two sessions could share a number; a fixed one is still told apart by the board's start.
    let _ = getrandom::fill(&mut bytes);
    u32::from_le_bytes(bytes)
}
