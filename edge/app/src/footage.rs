//! Recorder docking as this daemon is configured: sources, signature server, blob line, lights of the dock.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use docking::board::Board;
use docking::{Bays, Carried, Carrier, Docking, NoBays, Options, Plan, Sealer, Signer};
use link::blob::{UploadError, Uploader};
use recorder::block::{Blocks, SystemMounter};
use recorder::names::Pattern;
use recorder::storage::Folders;
use recorder::turns::Limits;
use recorder::{Profile, Source};
use records::footage::CustodyEntry;
use records::id::EdgeId;
use records::sign::{Enrol, EnrolRequest, Pin, SignDocument, SignRequest};
use records::{Clock, Ids, Outcome};
use serde::{Deserialize, Serialize};
use sign::Client;
use store::{Scope, Store};

/// Name of the appliance in its certificate.
const SIGNER_NAME: &str = "视音频采集站";

/// Recorder docking.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Where copies are kept; `footage` in the state directory when empty.
    folder: PathBuf,
    /// Recorders read at the same time behind one USB controller.
    readers_per_controller: usize,
    /// Recorders read at the same time in all.
    readers: usize,
    /// Room for footage.
    plan: Plan,
    /// Where recorders appear.
    sources: Vec<SourceConfig>,
    /// How models show themselves.
    profile: Profile,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            folder: PathBuf::new(),
            readers_per_controller: 2,
            readers: 4,
            plan: Plan::default(),
            sources: Vec::new(),
            profile: Profile::default(),
        }
    }
}

/// A place where recorders appear.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "kebab-case")]
enum SourceConfig {
    /// USB mass storage.
    MassStorage {
        /// Where cards are mounted.
        #[serde(default = "mounts")]
        mounts: PathBuf,
    },
    /// A folder in which each subfolder is a recorder: network recorders that upload.
    Folder {
        /// The folder.
        path: PathBuf,
        /// Seconds a file must have rested.
        #[serde(default = "settle")]
        settle_s: u64,
    },
}

fn mounts() -> PathBuf {
    PathBuf::from("/run/yiqiao/recorders")
}
const fn settle() -> u64 {
    30
}

/// What the station needs of the daemon.
pub(crate) struct Needs<'a> {
    pub(crate) store: Store,
    pub(crate) scope: Scope,
    pub(crate) edge: EdgeId,
    pub(crate) state_dir: &'a Path,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<Ids>,
    pub(crate) signd: Client,
    pub(crate) uploader: Uploader,
    pub(crate) board: Option<Board>,
}

/// Opens the station. Without sources it takes what the cloud tells and looks for nothing.
pub(crate) async fn open(config: &Config, needs: Needs<'_>) -> anyhow::Result<Docking> {
    let mut sources: Vec<Box<dyn Source>> = Vec::new();
    for source in &config.sources {
        match source {
            SourceConfig::MassStorage { mounts } => {
                sources.push(Box::new(Blocks::new(mounts, config.profile.clone(), SystemMounter)));
            }
            SourceConfig::Folder { path, settle_s } => {
                std::fs::create_dir_all(path).with_context(|| format!("making {}", path.display()))?;
                let profile = Profile {
                    settle_s: *settle_s,
                    ..config.profile.clone()
                };
                sources.push(Box::new(Folders::new(path, profile)));
            }
        }
    }
    let folder = if config.folder.as_os_str().is_empty() {
        needs.state_dir.join("footage")
    } else {
        config.folder.clone()
    };
    let bays: Arc<dyn Bays> = match needs.board {
        Some(board) => Arc::new(board),
        None => Arc::new(NoBays),
    };
    let options = Options {
        edge: needs.edge,
        folder,
        plan: config.plan.clone(),
        sources,
        pattern: Pattern::parse(&config.profile.name_pattern).context("docking.profile.name_pattern")?,
        limits: Limits {
            per_controller: config.readers_per_controller.max(1),
            in_all: config.readers.max(1),
        },
        ids: needs.ids,
        clock: needs.clock,
        sealer: Arc::new(BySignd(needs.signd)),
        carrier: Arc::new(ByLine(needs.uploader)),
        bays,
    };
    Docking::open(needs.store, needs.scope, options)
        .await
        .context("recorder docking")
}

/// The signature server.
struct BySignd(Client);

#[async_trait]
impl Sealer for BySignd {
    async fn seal(&self, signer: &Signer, key: &str, document: &[u8]) -> Outcome<String> {
        let asked = SignRequest {
            signer_id: signer.id.clone(),
            pin: Pin(signer.pin.clone()),
            document: STANDARD.encode(document),
        };
        let mut answer = self.0.call::<SignDocument>(Some(key), &asked).await;
        if matches!(&answer, Outcome::Refused { code, .. } if code == "not_enrolled") {
            let enrol = EnrolRequest {
                signer_id: signer.id.clone(),
                name: SIGNER_NAME.to_owned(),
                role: CustodyEntry::SIGNER_ROLE.to_owned(),
                organisation: signer.organisation.clone(),
                pin: Pin(signer.pin.clone()),
            };
            match self.0.call::<Enrol>(Some(&signer.id), &enrol).await {
                Outcome::Done(_) => answer = self.0.call::<SignDocument>(Some(key), &asked).await,
                Outcome::Refused { code, text } => return Outcome::Refused { code, text },
                Outcome::Later { after_ms } => return Outcome::Later { after_ms },
                Outcome::Unknown => return Outcome::Unknown,
            }
        }
        match answer {
            Outcome::Done(signature) => Outcome::Done(signature.cms),
            Outcome::Refused { code, text } => Outcome::Refused { code, text },
            Outcome::Later { after_ms } => Outcome::Later { after_ms },
            Outcome::Unknown => Outcome::Unknown,
        }
    }
}

/// The blob line.
struct ByLine(Uploader);

#[async_trait]
impl Carrier for ByLine {
    async fn carry(&self, file: &Path) -> Carried {
        match self.0.upload(file).await {
            Ok(digest) => Carried::Whole(digest.hex().to_owned()),
            Err(UploadError::Source(error)) => Carried::Unreadable(error.to_string()),
            Err(error) => Carried::Later(error.to_string()),
        }
    }
}
