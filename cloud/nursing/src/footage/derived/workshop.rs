//! Where derived objects are made: the worker, its letters and its folder, and whether it can work at all.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use media::Worker;
use records::Timestamp;

use super::STILL;

/// Where derived objects are made.
#[derive(Clone, Debug)]
pub struct Workshop {
    pub(super) worker: Arc<Worker>,
    /// A file with Chinese letters, for the watermark.
    pub(super) letters: PathBuf,
    /// Folder of what is being made; on the file system of the kept files.
    pub(super) folder: PathBuf,
    pub(super) looked: Arc<Mutex<Option<(Timestamp, Tools)>>>,
}

/// Whether something can be made at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tools {
    pub(super) ready: bool,
    /// Versions, or what is missing, for people.
    pub(super) text: String,
}

impl Workshop {
    /// With this worker. What an earlier process left half made in the folder a day ago or longer is removed.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(worker: Worker, letters: PathBuf, folder: PathBuf, now: Timestamp) -> std::io::Result<Self> {
        std::fs::create_dir_all(&folder)?;
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let changed = entry.metadata()?.modified()?;
            let age = changed.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            let a_day_ago = now.as_micros() / 1_000_000 - 86_400;
            if i64::try_from(age.as_secs()).unwrap_or(0) < a_day_ago {
                std::fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(Self {
            worker: Arc::new(worker),
            letters,
            folder,
            looked: Arc::default(),
        })
    }

    /// Whether the worker and what it needs are there; asked at most once in [`STILL`].
    pub(super) async fn tools(&self, now: Timestamp) -> Tools {
        let looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, tools)) = looked.filter(|(at, _)| now.minus(STILL) < *at) {
            return tools;
        }
        let tools = match self.worker.tools().await {
            Ok(found) if found.missing.is_empty() => Tools {
                ready: true,
                text: found.versions,
            },
            Ok(found) => Tools {
                ready: false,
                text: format!("缺少 GStreamer 组件：{}；原始文件仍可下载", found.missing.join("、")),
            },
            Err(failure) => {
                tracing::warn!(%failure, "no media worker");
                let text = "未安装视音频处理程序（media-worker 或 GStreamer）；原始文件仍可播放或下载";
                Tools {
                    ready: false,
                    text: text.to_owned(),
                }
            }
        };
        *self.looked.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, tools.clone()));
        tools
    }
}
