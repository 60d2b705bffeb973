//! The dock as callers see it: what is known, what happens, and what it is told.

use std::collections::HashMap;

use dock_link::{Answer, Bay, Buzz, Command, Light, Serial, Setting};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::driver::Driver;
use crate::error::DockError;
use crate::state::{DockEvent, DockState};

/// Events kept for a slow listener.
const EVENTS: usize = 256;
/// Commands waiting; more wait at the caller.
const COMMANDS: usize = 32;

/// A command and whoever waits for its answer.
pub(crate) struct Asked {
    pub(crate) command: Command,
    pub(crate) reply: oneshot::Sender<Result<Answer, DockError>>,
}

/// A dock: state, events, commands. Cheap to clone.
#[derive(Clone)]
pub struct Dock {
    state: watch::Receiver<DockState>,
    events: broadcast::Sender<DockEvent>,
    commands: mpsc::Sender<Asked>,
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
