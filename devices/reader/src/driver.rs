//! The tasks at the two lines.

use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_serial::{ClearBuffer, SerialPort as _, SerialPortBuilderExt as _, SerialStream};

use crate::card::{self, IdCard};
use crate::frame::{self, Frames, Reply};
use crate::scanner::Codes;

/// How a reader is, as far as the line tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum State {
    /// None is configured.
    #[default]
    None,
    /// Its line cannot be opened: not plugged in, or no right to it.
    Missing,
    /// It does not answer, or answers what nobody understands.
    Silent,
    /// It works.
    Ready,
}

impl State {
    /// The word for reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Missing => "missing",
            Self::Silent => "silent",
            Self::Ready => "ready",
        }
    }
}

/// What was held against a reader.
#[derive(Debug)]
pub enum Reading {
    /// An identity card.
    Card(IdCard),
    /// A card that could not be read: moved too soon, or broken.
    BadCard,
    /// A QR or bar code.
    Code(Code),
}

/// The text of a code. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Code(pub String);

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Code(…)")
    }
}

/// A serial line.
#[derive(Clone, Debug)]
pub struct Port {
    /// Device, e.g. `/dev/serial/by-id/…`.
    pub path: PathBuf,
    /// Baud; of no meaning to USB readers.
    pub baud: u32,
}

/// Pause before a lost line is opened again.
const AGAIN: Duration = Duration::from_millis(500);
/// Between two looks for a card.
const LOOK: Duration = Duration::from_millis(300);
/// An answer to find or select; reading a card takes the module about a second.
const ANSWER: Duration = Duration::from_millis(1_500);
const READ: Duration = Duration::from_secs(3);
/// A scanner without an end mark has ended when it has been quiet for so long.
const QUIET: Duration = Duration::from_millis(80);
/// Wrong answers in a row after which the module is called silent.
const PATIENCE: u32 = 2;

fn tell(state: &watch::Sender<State>, now: State, what: &'static str) {
    let changed = state.send_if_modified(|s| std::mem::replace(s, now) != now);
    if changed {
        tracing::info!(reader = what, reader.state = now.as_str(), "reader");
    }
}

fn open(port: &Port) -> Option<SerialStream> {
    tokio_serial::new(port.path.to_string_lossy(), port.baud)
        .open_native_async()
        .ok()
}

/// Reads identity cards until dropped.
pub async fn run_card_reader(port: &Port, state: &watch::Sender<State>, to: &mpsc::Sender<Reading>) {
    loop {
        match open(port) {
            Some(line) => {
                let mut module = Module {
                    line,
                    frames: Frames::default(),
                    wrong: 0,
                };
                // Ends when the line is gone.
                let _ = module.watch(state, to).await;
                tell(state, State::Missing, "card");
            }
            None => tell(state, State::Missing, "card"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// The line is gone.
struct Gone;

struct Module {
    line: SerialStream,
    frames: Frames,
    wrong: u32,
}

impl Module {
    async fn watch(&mut self, state: &watch::Sender<State>, to: &mpsc::Sender<Reading>) -> Result<(), Gone> {
        // A card that was read is found again only after it was taken away; one that could not be read is told once.
        let mut told_bad = false;
        loop {
            match self.ask(0x20, 0x01, ANSWER).await? {
                None => {
                    self.wrong += 1;
                    if self.wrong >= PATIENCE {
                        tell(state, State::Silent, "card");
                    }
                }
                Some(found) => {
                    self.wrong = 0;
                    tell(state, State::Ready, "card");
                    if found.status == 0x9F {
                        match self.read().await? {
                            Some(card) => {
                                told_bad = false;
                                // Nobody listens: the kiosk is being closed.
                                let _ = to.send(Reading::Card(card)).await;
                            }
                            None if !std::mem::replace(&mut told_bad, true) => {
                                let _ = to.send(Reading::BadCard).await;
                            }
                            None => {}
                        }
                    } else {
                        told_bad = false;
                    }
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn read(&mut self) -> Result<Option<IdCard>, Gone> {
        let chosen = self.ask(0x20, 0x02, ANSWER).await?;
        if chosen.is_none_or(|r| r.status != 0x90) {
            return Ok(None);
        }
        let Some(reply) = self.ask(0x30, 0x01, READ).await? else {
            return Ok(None);
        };
        if reply.status != 0x90 {
            return Ok(None);
        }
        match card::read(&reply) {
            Ok(card) => Ok(Some(card)),
            Err(why) => {
                tracing::warn!(?why, "a card's content cannot be used");
                Ok(None)
            }
        }
    }

    /// One command and its answer; none when it did not come in time or was broken.
    async fn ask(&mut self, command: u8, parameter: u8, within: Duration) -> Result<Option<Reply>, Gone> {
        self.frames.clear();
        // An answer that came when nobody waited for it any more would be taken for the one to this question, this one's for
        // the one to the next, and so on: no card would ever be read again.
        let _ = self.line.clear(ClearBuffer::Input);
        let until = Instant::now() + within;
        let broken = self.frames.broken();
        let written = tokio::time::timeout_at(until, self.line.write_all(&frame::command(command, parameter))).await;
        match written {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(Gone),
            Err(_) => return Ok(None),
        }
        let mut bytes = [0u8; 512];
        loop {
            match tokio::time::timeout_at(until, self.line.read(&mut bytes)).await {
                Err(_) => return Ok(None),
                Ok(Err(_) | Ok(0)) => return Err(Gone),
                Ok(Ok(count)) => {
                    let replies = self.frames.take(bytes.get(..count).unwrap_or_default());
                    if let Some(reply) = replies.into_iter().next_back() {
                        return Ok(Some(reply));
                    }
                    if self.frames.broken() > broken {
                        return Ok(None);
                    }
                }
            }
        }
    }
}

/// Reads codes until dropped. A scanner says nothing by itself: while its line is open it is taken to work.
pub async fn run_scanner(port: &Port, state: &watch::Sender<State>, to: &mpsc::Sender<Reading>) {
    loop {
        if let Some(mut line) = open(port) {
            tell(state, State::Ready, "scanner");
            let mut codes = Codes::default();
            let mut bytes = [0u8; 512];
            loop {
                let read = if codes.begun() {
                    match tokio::time::timeout(QUIET, line.read(&mut bytes)).await {
                        Ok(read) => read,
                        Err(_) => {
                            if let Some(code) = codes.end() {
                                let _ = to.send(Reading::Code(Code(code))).await;
                            }
                            continue;
                        }
                    }
                } else {
                    line.read(&mut bytes).await
                };
                let Ok(count @ 1..) = read else { break };
                for code in codes.take(bytes.get(..count).unwrap_or_default()) {
                    let _ = to.send(Reading::Code(Code(code))).await;
                }
            }
        }
        tell(state, State::Missing, "scanner");
        tokio::time::sleep(AGAIN).await;
    }
}

#[cfg(test)]
mod tests;
