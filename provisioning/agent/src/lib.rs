//! The appliance's side of enrolment: proves the machine, keeps its certificate, renews it, and gives TLS a key that never
//! leaves the TPM.
//!
//! Nothing is kept between the messages of an enrolment: only its end, the certificate, is written, whole or not at all.
//! Killed anywhere, the agent begins again, and the fleet gives the same appliance another certificate.
//!
//! ```text
//! let agent = Agent::open(settings, tpm, clock)?;
//! let enrolled = agent.ensure().await?;            // enrols or renews when needed; else answers at once
//! let tls = agent.client_config(&enrolled)?;       // for the line and for HTTPS
//! ```
//! Run [`Agent::ensure`] again every hour: it renews at two thirds of the certificate's life, and an expired certificate is
//! renewed the same way, for the TPM's identity outlives it.

mod factory;
mod keep;
mod tls;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use attest::identity::{self, Identity, IdentityError};
use attest::{Tpm, TpmError};
use evidence::{ActivateRequest, Activated, AttestRequest, Challenge, ecdsa_der};
use records::{Clock, Timestamp};
use rustls::client::ResolvesClientCert;
use serde::Serialize;
use serde::de::DeserializeOwned;
use smtls::Missing;

pub use factory::{Label, factory_record};
pub use keep::Enrolled;
pub use tls::{TpmKey, Trust, pinned};

/// No certificate of ours is older than this version (2026-11-01).
const BUILT: Timestamp = Timestamp::from_seconds(1_793_491_200);
const PATIENCE: Duration = Duration::from_secs(30);

/// What the agent must know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it keeps its key blobs and certificate.
    pub dir: PathBuf,
    /// Serial number on the appliance's label.
    pub serial: String,
    /// The fleet service, e.g. `https://cloud.example:8443`.
    pub url: String,
    /// The cloud's authorities, and the algorithms of the line and of the fleet service.
    pub trust: Trust,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The TPM would not.
    #[error(transparent)]
    Tpm(#[from] TpmError),
    /// Key blobs or certificate could not be kept.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The state directory.
    #[error("agent's state: {0}")]
    File(#[from] std::io::Error),
    /// The fleet service could not be reached.
    #[error("fleet service unreachable: {0}")]
    Unreachable(String),
    /// The fleet service refused.
    #[error("fleet service refused ({code}): {message}")]
    Refused {
        /// Its stable code, e.g. `not_claimed`.
        code: String,
        /// Its plain words.
        message: String,
    },
    /// The fleet service and we have no TLS algorithms in common.
    #[error("fleet service: {0}")]
    Algorithms(#[from] Missing),
    /// TLS or a certificate could not be set up.
    #[error("certificate: {0}")]
    Certificate(String),
}

/// The agent. One per appliance.
pub struct Agent {
    settings: Settings,
    tpm: Arc<Tpm>,
    identity: Arc<Identity>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Agent {
    /// Loads or makes the machine's keys. Blocks on the TPM.
    pub fn open(settings: Settings, tpm: Arc<Tpm>, clock: Arc<dyn Clock>) -> Result<Self, AgentError> {
        std::fs::create_dir_all(&settings.dir)?;
        let identity = Arc::new(Identity::open(tpm.clone(), &settings.dir)?);
        Ok(Self {
            settings,
            tpm,
            identity,
            clock,
        })
    }

    /// The certificate in hand, if it is for this machine's key; however old.
    #[must_use]
    pub fn enrolled(&self) -> Option<Enrolled> {
        Enrolled::read(&self.settings.dir, self.identity.device_key())
    }

    /// The certificate in hand, or a new one when there is none or two thirds of its life are over. While the old one is
    /// still good, a failed renewal is only logged.
    pub async fn ensure(&self) -> Result<Enrolled, AgentError> {
        let now = self.clock.now();
        match self.enrolled() {
            Some(enrolled) if !enrolled.is_due(now) => Ok(enrolled),
            Some(enrolled) if enrolled.is_good(now) => Ok(self.enrol().await.unwrap_or_else(|error| {
                tracing::warn!(enrol.error = %error, "certificate not renewed; will be tried again");
                enrolled
            })),
            _ => self.enrol().await,
        }
    }

    /// Enrols anew: attest, activate, keep.
    pub async fn enrol(&self) -> Result<Enrolled, AgentError> {
        let http = self.http()?;
        let (tpm, identity) = (self.tpm.clone(), self.identity.clone());
        let ek = blocking(move || identity::endorsement_key(&tpm)).await?;
        let asked = AttestRequest {
            serial: self.settings.serial.clone(),
            ek,
            ak: identity.attestation_key().to_vec(),
            device_key: identity.device_key().to_vec(),
        };
        let challenge: Challenge = self.post(&http, "/enrol/v1/attest", &asked).await?;
        let answer = {
            let (identity, challenge) = (identity.clone(), challenge.clone());
            blocking(move || identity.answer(&challenge.credential, &challenge.secret, &challenge.nonce)).await?
        };
        let key = TpmKey::new(identity.clone())?;
        let csr = tokio::task::spawn_blocking(move || key.request())
            .await
            .map_err(|error| AgentError::Certificate(error.to_string()))??;
        let asked = ActivateRequest {
            challenge_id: challenge.challenge_id,
            answer: answer.secret,
            certified: answer.certified,
            signature: ecdsa_der(&answer.signature.r, &answer.signature.s),
            csr,
        };
        let activated: Activated = self.post(&http, "/enrol/v1/activate", &asked).await?;
        let enrolled = Enrolled::keep(&self.settings.dir, activated, identity.device_key())?;
        tracing::info!(edge.id = %enrolled.edge_id, "certificate kept");
        Ok(enrolled)
    }

    /// Mutual TLS 1.3 for the line and for HTTPS: trusts the pinned root, proves itself with the key in the TPM.
    pub fn client_config(&self, enrolled: &Enrolled) -> Result<rustls::ClientConfig, AgentError> {
        let floor = BUILT.max(enrolled.not_before);
        pinned(
            &self.settings.trust,
            self.clock.clone(),
            floor,
            Some(self.resolver(enrolled)?),
        )
    }

    /// Only the key and certificate, for a caller that makes its own configuration.
    pub fn resolver(&self, enrolled: &Enrolled) -> Result<Arc<dyn ResolvesClientCert>, AgentError> {
        Ok(TpmKey::new(self.identity.clone())?.with_chain(enrolled.chain.clone()))
    }

    fn http(&self) -> Result<reqwest::Client, AgentError> {
        let floor = self.enrolled().map_or(BUILT, |e| BUILT.max(e.not_before));
        let tls = pinned(&self.settings.trust, self.clock.clone(), floor, None)?;
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(true)
            .no_proxy()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| AgentError::Certificate(error.to_string()))
    }

    async fn post<A: Serialize, B: DeserializeOwned>(
        &self,
        http: &reqwest::Client,
        path: &str,
        asked: &A,
    ) -> Result<B, AgentError> {
        let url = format!("{}{path}", self.settings.url.trim_end_matches('/'));
        let offer = self.settings.trust.offer();
        let unreachable = |error: reqwest::Error| match Missing::within(&error, offer) {
            Some(missing) => AgentError::Algorithms(missing),
            None => AgentError::Unreachable(chain(&error)),
        };
        let answer = http.post(url).json(asked).send().await.map_err(unreachable)?;
        if answer.status().is_success() {
            return answer.json().await.map_err(unreachable);
        }
        #[derive(serde::Deserialize)]
        struct Refusal {
            code: String,
            message: String,
        }
        let status = answer.status();
        match answer.json::<Refusal>().await {
            Ok(Refusal { code, message }) => Err(AgentError::Refused { code, message }),
            Err(_) => Err(AgentError::Unreachable(format!("status {status}"))),
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    text
}

async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> Result<T, TpmError> + Send + 'static,
) -> Result<T, AgentError> {
    let done = tokio::task::spawn_blocking(act).await;
    Ok(done.map_err(|error| AgentError::Certificate(error.to_string()))??)
}
