//! Brings a new firmware onto the board: carried over, tried, confirmed; the board goes back by itself when it does not
//! come up.

use std::time::Duration;

use dock_link::{Answer, CHUNK, Command, Data, Refusal, Trial, Update, UpdateStatus};

use crate::dock::{Dock, not};
use crate::error::DockError;
use crate::package::Package;

/// A board restarts and greets within this time, a lost line included.
const RESTARTED: Duration = Duration::from_secs(60);
/// How often the carrying begins anew when the board restarts in the middle.
const TRIES: u32 = 5;

/// How far an update is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateStep {
    /// Bytes carried over, of so many.
    Carried(u32, u32),
    /// The image is whole; the board starts it on trial.
    Trying,
    /// It runs and was confirmed.
    Confirmed,
}

/// Why an update did not come about; the board runs what it ran before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpdateError {
    /// The dock could not be told.
    #[error(transparent)]
    Dock(#[from] DockError),
    /// The board came up with its former image: the new one did not start.
    #[error("新固件未能启动，采集坞已自动恢复原固件")]
    GivenUp,
    /// The board did not come back in time.
    #[error("采集坞重启后没有应答，请断电后重新上电；它会自动恢复原固件")]
    NotBack,
}

impl Dock {
    /// Where the board stands with its images.
    ///
    /// # Errors
    /// See [`DockError`].
    pub async fn firmware(&self) -> Result<UpdateStatus, DockError> {
        match self.ask(Command::Update(Update::Status)).await? {
            Answer::Update(status) => Ok(status),
            other => Err(not(other)),
        }
    }

    /// Updates the board's firmware. May be repeated at any time; a lost line or a restart of the board only costs time.
    ///
    /// # Errors
    /// See [`UpdateError`].
    pub async fn update(
        &self,
        package: &Package,
        mut progress: impl FnMut(UpdateStep) + Send,
    ) -> Result<(), UpdateError> {
        let status = self.firmware().await?;
        if runs(&status, package) {
            // It came up in an earlier, interrupted update: only its confirmation is missing, or nothing.
            if status.trial == Trial::Running {
                self.step(Update::Confirm).await?;
            }
            progress(UpdateStep::Confirmed);
            return Ok(());
        }
        let mut tries = 0;
        while let Err(error) = self.carry(package, &mut progress).await {
            tries += 1;
            let passing = matches!(
                error,
                DockError::Unknown | DockError::Offline(_) | DockError::Refused(Refusal::Order | Refusal::Hash)
            );
            if !passing || tries == TRIES || !self.back().await {
                return Err(error.into());
            }
        }
        self.step(Update::Activate).await?;
        progress(UpdateStep::Trying);
        let before = self.state().borrow().board.map(|b| b.boot);
        match self.restart().await {
            // Whether it heard is seen by its restart.
            Ok(()) | Err(DockError::Unknown) => {}
            Err(error) => return Err(error.into()),
        }
        let mut state = self.state();
        let up = state.wait_for(|s| s.online && s.board.map(|b| b.boot) != before);
        if !matches!(tokio::time::timeout(RESTARTED, up).await, Ok(Ok(_))) {
            return Err(UpdateError::NotBack);
        }
        let status = self.firmware().await?;
        match status.trial {
            Trial::Running => self.step(Update::Confirm).await?,
            // Confirmed by an earlier, interrupted update of the same image.
            Trial::None if runs(&status, package) => {}
            Trial::None | Trial::Waiting | Trial::GivenUp => return Err(UpdateError::GivenUp),
        }
        progress(UpdateStep::Confirmed);
        Ok(())
    }

    async fn back(&self) -> bool {
        let mut state = self.state();
        let online = tokio::time::timeout(RESTARTED, state.wait_for(|s| s.online)).await;
        matches!(online, Ok(Ok(_)))
    }

    async fn carry(&self, package: &Package, progress: &mut (impl FnMut(UpdateStep) + Send)) -> Result<(), DockError> {
        self.step(Update::Begin {
            manifest: package.manifest,
            signature: package.signature,
        })
        .await?;
        let length = package.manifest.length;
        for (at, bytes) in (0u32..).step_by(CHUNK).zip(package.image.chunks(CHUNK)) {
            let data = Data::from_slice(bytes).map_err(|_| DockError::Nonsense)?;
            match self.step(Update::Chunk { offset: at, data }).await {
                // Taken already, when the answer was lost together with the session.
                Err(DockError::Refused(Refusal::Offset(next))) if next > at => {}
                other => other?,
            }
            progress(UpdateStep::Carried(at.saturating_add(bytes.len() as u32), length));
        }
        self.step(Update::Finish).await
    }

    async fn step(&self, step: Update) -> Result<(), DockError> {
        match self.ask(Command::Update(step)).await? {
            Answer::Done => Ok(()),
            other => Err(not(other)),
        }
    }
}

/// Whether the board runs this package's version, as its slot was signed; what the image calls itself says nothing.
fn runs(status: &UpdateStatus, package: &Package) -> bool {
    let running = status.versions.get(status.running.index()).copied().flatten();
    running == Some(package.manifest.version)
}
