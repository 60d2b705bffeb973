//! Keeps the line and serves the callers.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use dock_link::{Answer, Bay, Buzz, Command, Down, Light, MAX_FRAME, Serial, Setting};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_serial::SerialPortBuilderExt;

use crate::conversation::{Conversation, Heard, Lost, Ticket};
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
/// Events kept for a slow listener.
const EVENTS: usize = 256;
/// Commands waiting; more wait at the caller.
const COMMANDS: usize = 32;

struct Asked {
    command: Command,
    reply: oneshot::Sender<Result<Answer, DockError>>,
}

/// A dock: state, events, commands. Cheap to clone.
#[derive(Clone)]
pub struct Dock {
    state: watch::Receiver<DockState>,
    events: broadcast::Sender<DockEvent>,
    commands: mpsc::Sender<Asked>,
}

/// Keeps the line of a [`Dock`].
pub struct Driver {
    state: watch::Sender<DockState>,
    events: broadcast::Sender<DockEvent>,
    commands: mpsc::Receiver<Asked>,
    waiting: HashMap<Ticket, oneshot::Sender<Result<Answer, DockError>>>,
    last_event: u32,
    began: Instant,
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

impl Dock {
    /// A dock and its driver, which must be run.
    pub fn open() -> (Self, Driver) {
        let (state, seen) = watch::channel(DockState::default());
        let (events, _) = broadcast::channel(EVENTS);
        let (commands, asked) = mpsc::channel(COMMANDS);
        let dock = Self {
            state: seen,
            events: events.clone(),
            commands,
        };
        let driver = Driver {
            state,
            events,
            commands: asked,
            waiting: HashMap::new(),
            last_event: 0,
            began: Instant::now(),
        };
        (dock, driver)
    }

    /// What is known, followed.
    pub fn state(&self) -> watch::Receiver<DockState> {
        self.state.clone()
    }

    /// What happens from now on. After `Lagged`, read the state.
    pub fn events(&self) -> broadcast::Receiver<DockEvent> {
        self.events.subscribe()
    }

    /// Sets a light; [`Light::Auto`] gives it back to the board.
    ///
    /// # Errors
    /// See [`DockError`]; so for all commands.
    pub async fn light(&self, bay: u8, light: Light) -> Result<(), DockError> {
        self.done(Command::SetLight { bay, light }).await
    }

    /// Opens a lock until told otherwise.
    ///
    /// # Errors
    /// See [`DockError`].
    pub async fn unlock(&self, bay: u8) -> Result<(), DockError> {
        self.done(Command::SetLock { bay, closed: false }).await
    }

    /// Closes a lock.
    ///
    /// # Errors
    /// See [`DockError`].
    pub async fn lock(&self, bay: u8) -> Result<(), DockError> {
        self.done(Command::SetLock { bay, closed: true }).await
    }

    /// Hands out a recorder: its lock opens and its light says "take me" for so long; then it is locked again.
    ///
    /// # Errors
    /// See [`DockError`].
    pub async fn release(&self, bay: u8, seconds: u16) -> Result<(), DockError> {
        self.done(Command::Release { bay, seconds }).await
    }

    /// Switches the USB power of a bay; on also ends an over-current fault.
    ///
    /// # Errors
    /// See [`DockError`].
    pub async fn power(&self, bay: u8, on: bool) -> Result<(), DockError> {
        self.done(Command::SetPower { bay, on }).await
    }

    /// Tells the board which recorder is in a bay, as it was read over USB; empty: not known.
    ///
    /// # Errors
    /// See [`DockError`].
    pub async fn name(&self, bay: u8, serial: &str) -> Result<(), DockError> {
        let serial = Serial::try_from(serial).map_err(|_| DockError::LongSerial)?;
        self.done(Command::SetSerial { bay, serial }).await
    }

    /// Sounds the buzzer.
    ///
    /// # Errors
    /// See [`DockError`].
    pub async fn buzz(&self, buzz: Buzz) -> Result<(), DockError> {
        self.done(Command::Buzz(buzz)).await
    }

    /// Asks for a bay now.
    ///
    /// # Errors
    /// See [`DockError`].
    pub async fn bay(&self, bay: u8) -> Result<Bay, DockError> {
        match self.ask(Command::Bay { bay }).await? {
            Answer::Bay(bay) => Ok(bay),
            other => Err(not(other)),
        }
    }

    /// Reads a setting of the board.
    ///
    /// # Errors
    /// See [`DockError`].
    pub async fn setting(&self, setting: Setting) -> Result<u16, DockError> {
        match self.ask(Command::Setting(setting)).await? {
            Answer::Setting(value) => Ok(value),
            other => Err(not(other)),
        }
    }

    /// Changes a setting of the board, for good.
    ///
    /// # Errors
    /// See [`DockError`].
    pub async fn set_setting(&self, setting: Setting, value: u16) -> Result<(), DockError> {
        self.done(Command::SetSetting { setting, value }).await
    }

    /// Starts the board anew.
    ///
    /// # Errors
    /// See [`DockError`].
    pub async fn restart(&self) -> Result<(), DockError> {
        self.done(Command::Restart).await
    }

    async fn done(&self, command: Command) -> Result<(), DockError> {
        match self.ask(command).await? {
            Answer::Done => Ok(()),
            other => Err(not(other)),
        }
    }

    pub(crate) async fn ask(&self, command: Command) -> Result<Answer, DockError> {
        let trouble = {
            let state = self.state.borrow();
            (!state.online).then(|| state.trouble.clone())
        };
        if let Some(trouble) = trouble {
            return Err(DockError::Offline(trouble));
        }
        let (reply, answer) = oneshot::channel();
        let gone = || DockError::Offline("采集坞服务已停止".to_owned());
        self.commands.send(Asked { command, reply }).await.map_err(|_| gone())?;
        match answer.await {
            Ok(Ok(Answer::Refused(refusal))) => Err(DockError::Refused(refusal)),
            Ok(answer) => answer,
            Err(_) => Err(DockError::Unknown),
        }
    }
}

pub(crate) fn not(answer: Answer) -> DockError {
    match answer {
        Answer::Refused(refusal) => DockError::Refused(refusal),
        _ => DockError::Nonsense,
    }
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
