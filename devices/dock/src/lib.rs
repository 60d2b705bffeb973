//! The recorder dock (采集坞) as the appliance sees it: a board at a serial line that speaks `dock-link`.
//!
//! [`watch`] keeps the line: greets the board, reads every bay, follows its events, acknowledges them, and begins anew
//! after an unplugged cable, noise or a reset of the board. What is known is published as [`DockState`].

mod conversation;

use std::path::Path;
use std::time::Duration;

use dock_link::{Bay, MAX_FRAME};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio_serial::SerialPortBuilderExt;

pub use conversation::{Conversation, Silent};

/// Speed of the line.
const BAUD: u32 = 115_200;
/// A living board speaks once a second; after this much silence it is taken for dead.
const SILENCE: Duration = Duration::from_secs(4);
/// Between tries to open the line.
const RETRY: Duration = Duration::from_secs(2);

/// What is known of a dock.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DockState {
    /// The board answers.
    pub online: bool,
    /// Plain words when it does not.
    pub trouble: String,
    /// Its bays, as last told; kept while it is away.
    pub bays: Vec<Bay>,
}

/// Why the line ended.
#[derive(Debug, thiserror::Error)]
enum LineError {
    #[error("采集坞串口无法打开：{0}")]
    Open(tokio_serial::Error),
    #[error("采集坞连接中断：{0}")]
    Broken(std::io::Error),
    #[error("采集坞没有应答")]
    Silent,
    #[error("采集坞固件版本 {0} 与本机不一致，请升级固件")]
    Version(u8),
}

impl From<Silent> for LineError {
    fn from(silent: Silent) -> Self {
        match silent {
            Silent::Dead => Self::Silent,
            Silent::Version(version) => Self::Version(version),
        }
    }
}

/// Follows the dock at a serial port until nobody listens any more.
pub async fn watch(path: &Path, state: watch::Sender<DockState>) {
    while !state.is_closed() {
        let ended = follow(path, &state).await;
        if let Err(error) = ended {
            let trouble = error.to_string();
            let changed = state.send_if_modified(|s| {
                let changed = s.online || s.trouble != trouble;
                s.online = false;
                s.trouble = trouble.clone();
                changed
            });
            if changed {
                tracing::warn!(dock.path = %path.display(), error = %trouble, "dock line lost");
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn follow(path: &Path, state: &watch::Sender<DockState>) -> Result<(), LineError> {
    let text = path.to_string_lossy();
    let mut line = tokio_serial::new(text, BAUD)
        .open_native_async()
        .map_err(LineError::Open)?;
    // What a half-sent frame of before left behind ends here.
    line.write_all(&[0, 0]).await.map_err(LineError::Broken)?;
    let mut conversation = Conversation::new();
    let mut buffer = [0u8; 256];
    loop {
        while let Some(message) = conversation.next_to_send() {
            let mut frame = [0u8; MAX_FRAME];
            if let Ok(length) = dock_link::encode(&message, &mut frame) {
                line.write_all(frame.get(..length).unwrap_or_default())
                    .await
                    .map_err(LineError::Broken)?;
            }
        }
        let count = match tokio::time::timeout(SILENCE, line.read(&mut buffer)).await {
            Err(_) => return Err(LineError::Silent),
            Ok(Ok(0)) => return Err(LineError::Silent),
            Ok(read) => read.map_err(LineError::Broken)?,
        };
        if conversation.take(buffer.get(..count).unwrap_or_default())? {
            let bays = conversation.bays().to_vec();
            state.send_if_modified(|s| {
                let now = DockState {
                    online: true,
                    trouble: String::new(),
                    bays,
                };
                let changed = *s != now;
                *s = now;
                changed
            });
        }
        if state.is_closed() {
            return Ok(());
        }
    }
}
