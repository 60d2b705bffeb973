//! Pictures of examinations: fetched in the hospital when a doctor asks, and sent up as blobs. Nothing stays here.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use his::Bridge;
use his::files::{FileError, Files};
use link::blob::{UploadError, Uploader};
use records::Outcome;
use records::his::{ExamImage, FileAddress, Operation, ReportQuestion};
use records::picture::Picture;
use serde_json::Value;
use tokio::time::Instant;

/// Largest picture.
const MOST: usize = 32 << 20;

/// Fetches pictures and sends them up.
pub(crate) struct Pictures {
    bridge: Bridge,
    files: Files,
    uploader: Uploader,
    folder: PathBuf,
}

impl Pictures {
    /// Keeps pictures in `folder` while they are on their way. What an earlier run left there is removed.
    pub(crate) fn open(bridge: Bridge, files: Files, uploader: Uploader, folder: PathBuf) -> anyhow::Result<Self> {
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).context("emptying the folder of pictures");
            }
            _ => std::fs::create_dir_all(&folder).context("making the folder of pictures")?,
        }
        Ok(Self {
            bridge,
            files,
            uploader,
            folder,
        })
    }

    /// Answers `picture.exam`. A picture that is not up in time is `Later`; asked again, it goes on where it stood.
    pub(crate) async fn exam(&self, question: Value, within: Duration) -> Outcome<Value> {
        let until = Instant::now() + within;
        let left = || until.saturating_duration_since(Instant::now());
        let found = self
            .bridge
            .call(ExamImage::METHOD, None, within, question.clone())
            .await;
        let address = match found {
            Outcome::Done(value) => serde_json::from_value::<FileAddress>(value)
                .map(|f| f.address)
                .unwrap_or_default(),
            other => return other,
        };
        if address.is_empty() {
            return none();
        }
        let bytes = match self.files.fetch(&address, MOST, left()).await {
            Ok(bytes) => bytes,
            Err(error) => {
                let report = serde_json::from_value::<ReportQuestion>(question).map(|q| q.report_number);
                tracing::warn!(%error, his.report = report.unwrap_or_default(), "picture not fetched");
                return refused(&error);
            }
        };
        let Some(media_type) = media_type(&bytes) else {
            return Outcome::refused("unknown_picture", "该影像不是可以查看的图片格式");
        };
        match self.send(bytes, left()).await {
            Ok(Some(digest)) => {
                let picture = Picture {
                    digest,
                    media_type: media_type.to_owned(),
                };
                serde_json::to_value(picture).map_or(Outcome::Unknown, Outcome::Done)
            }
            Ok(None) => Outcome::Later { after_ms: 2_000 },
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "picture not sent up");
                Outcome::Later { after_ms: 5_000 }
            }
        }
    }

    /// The digest once the cloud has it; `None` when the time was too short.
    async fn send(&self, bytes: Vec<u8>, within: Duration) -> anyhow::Result<Option<String>> {
        let folder = self.folder.clone();
        let file = tokio::task::spawn_blocking(move || {
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            std::io::Write::write_all(&mut file, &bytes).map(|()| file)
        });
        let file = file.await?.context("writing the picture down")?;
        match tokio::time::timeout(within, self.uploader.upload(file.path())).await {
            Ok(Ok(digest)) => Ok(Some(digest.as_str().to_owned())),
            Ok(Err(UploadError::Stalled(..))) | Err(_) => Ok(None),
            Ok(Err(error)) => Err(error.into()),
        }
    }
}

fn none() -> Outcome<Value> {
    Outcome::refused("no_picture", "医院没有该检查的影像文件")
}

fn refused(error: &FileError) -> Outcome<Value> {
    match error {
        FileError::Missing => none(),
        FileError::TooLarge(_) => Outcome::refused("picture_too_large", "影像文件超过32MB，请到院内系统查看"),
        FileError::Foreign(_) => Outcome::refused("file_server_unknown", "影像所在的服务器未登记，请联系管理员"),
        FileError::Unreachable(_) => Outcome::Later { after_ms: 3_000 },
    }
}

fn media_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        _ => None,
    }
}
