//! Who this appliance is: enrolment and renewal in the background, and a key for the line that is put in place as soon
//! as there is one. What was learned once is kept, so that the hospital is served without the cloud and without the TPM.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use agent::{Agent, AgentError, Settings};
use anyhow::Context;
use attest::Tpm;
use records::id::EdgeId;
use records::{Clock, TenantId, Timestamp};
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Who this appliance is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) edge: EdgeId,
    pub(crate) hospital: TenantId,
}

/// How enrolment stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Once known.
    pub(crate) identity: Option<Identity>,
    /// `ok`, or plain words.
    pub(crate) tpm: String,
    /// Plain words about the certificate.
    pub(crate) words: String,
    /// End of the certificate.
    pub(crate) not_after: Option<Timestamp>,
}

/// The client key of the line: empty until the agent has one, replaced at a renewal without dropping the line.
#[derive(Debug, Default)]
pub(crate) struct Key(RwLock<Option<Arc<dyn ResolvesClientCert>>>);

impl Key {
    fn put(&self, key: Arc<dyn ResolvesClientCert>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(key);
    }
}

impl ResolvesClientCert for Key {
    fn resolve(&self, hints: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let key = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        key?.resolve(hints, schemes)
    }

    fn has_certs(&self) -> bool {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .is_some_and(|key| key.has_certs())
    }
}

/// Keeps the appliance enrolled.
pub(crate) struct Enrolment {
    settings: Settings,
    tpm: Arc<Tpm>,
    clock: Arc<dyn Clock>,
    key: Arc<Key>,
    file: PathBuf,
    standing: watch::Sender<Standing>,
}

impl Enrolment {
    pub(crate) fn new(
        settings: Settings,
        tpm: Arc<Tpm>,
        clock: Arc<dyn Clock>,
        key: Arc<Key>,
        state_dir: &Path,
    ) -> Self {
        let file = state_dir.join("identity.json");
        let identity = std::fs::read(&file)
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok());
        let words = "尚未检查".to_owned();
        let standing = watch::Sender::new(Standing {
            identity,
            tpm: words.clone(),
            words,
            not_after: None,
        });
        Self {
            settings,
            tpm,
            clock,
            key,
            file,
            standing,
        }
    }

    pub(crate) fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Enrols, renews and looks after the TPM until stopped.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) -> anyhow::Result<()> {
        let mut agent = None;
        loop {
            let pause = match self.once(&mut agent).await {
                Ok(()) => Duration::from_secs(60),
                Err(error) => {
                    tracing::warn!(error = format!("{error:#}"), "enrolment");
                    Duration::from_secs(5)
                }
            };
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn once(&self, kept: &mut Option<Arc<Agent>>) -> anyhow::Result<()> {
        let tpm = Arc::clone(&self.tpm);
        let answers = tokio::task::spawn_blocking(move || tpm.answers()).await?;
        let word = answers
            .as_ref()
            .map_or_else(|e| e.person().to_owned(), |()| "ok".to_owned());
        self.standing.send_modify(|s| s.tpm = word);
        answers.context("TPM")?;
        let agent = match kept {
            Some(agent) => Arc::clone(agent),
            None => {
                let (settings, tpm, clock) = (self.settings.clone(), Arc::clone(&self.tpm), Arc::clone(&self.clock));
                let agent = Arc::new(tokio::task::spawn_blocking(move || Agent::open(settings, tpm, clock)).await??);
                Arc::clone(kept.insert(agent))
            }
        };
        let ensured = agent.ensure().await;
        let words = match &ensured {
            Ok(_) => "已入网".to_owned(),
            Err(AgentError::Refused { message, .. }) => format!("入网未获准：{message}"),
            Err(AgentError::Algorithms(missing)) => format!("入网失败：{}", missing.person()),
            Err(AgentError::Unreachable(_)) => "入网服务暂时无法连接".to_owned(),
            Err(AgentError::Tpm(error)) => error.person().to_owned(),
            Err(_) => "入网失败，请联系厂家".to_owned(),
        };
        self.standing.send_modify(|s| s.words = words);
        // An expired certificate still says who we are.
        let Some(enrolled) = ensured.as_ref().ok().cloned().or_else(|| agent.enrolled()) else {
            return Err(ensured
                .err()
                .map_or_else(|| anyhow::anyhow!("not enrolled"), Into::into));
        };
        self.key.put(agent.resolver(&enrolled)?);
        let identity = Identity {
            edge: enrolled.edge_id.clone(),
            hospital: enrolled.hospital.clone(),
        };
        if self.standing.borrow().identity.as_ref() != Some(&identity) {
            self.keep(&identity)?;
        }
        self.standing.send_modify(|s| {
            s.identity = Some(identity);
            s.not_after = Some(enrolled.not_after);
        });
        ensured?;
        Ok(())
    }

    fn keep(&self, identity: &Identity) -> anyhow::Result<()> {
        let new = self.file.with_extension("json.new");
        std::fs::write(&new, serde_json::to_vec(identity)?)?;
        std::fs::File::open(&new)?.sync_all()?;
        std::fs::rename(&new, &self.file)?;
        if let Some(dir) = self.file.parent() {
            std::fs::File::open(dir)?.sync_all()?;
        }
        tracing::info!(edge.id = %identity.edge, "identity kept");
        Ok(())
    }
}
