//! The certificate in hand.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use evidence::{Activated, sha256_hex};
use records::id::EdgeId;
use records::{TenantId, Timestamp};
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use crate::AgentError;

const FILE: &str = "certificate.json";

/// What an enrolled appliance knows of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolled {
    /// Its id on the line.
    pub edge_id: EdgeId,
    /// The hospital it serves.
    pub hospital: TenantId,
    /// Its certificate and the issuing authority's.
    pub chain: Vec<CertificateDer<'static>>,
    /// Start of the certificate.
    pub not_before: Timestamp,
    /// End of the certificate.
    pub not_after: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    /// Of which key: a replaced TPM makes the file void.
    device_key_sha256: String,
    activated: Activated,
}

impl Enrolled {
    fn of(activated: Activated) -> Option<Self> {
        let chain = activated
            .chain
            .iter()
            .map(|der| STANDARD.decode(der).map(CertificateDer::from));
        Some(Self {
            edge_id: EdgeId::parse(&activated.edge_id)?,
            hospital: TenantId::parse(&activated.hospital)?,
            chain: chain.collect::<Result<_, _>>().ok()?,
            not_before: activated.not_before,
            not_after: activated.not_after,
        })
    }

    pub(crate) fn read(dir: &Path, device_key: &[u8]) -> Option<Self> {
        let kept: Kept = serde_json::from_slice(&std::fs::read(dir.join(FILE)).ok()?).ok()?;
        (kept.device_key_sha256 == sha256_hex(device_key)).then(|| Self::of(kept.activated))?
    }

    /// Written whole or not at all.
    pub(crate) fn keep(dir: &Path, activated: Activated, device_key: &[u8]) -> Result<Self, AgentError> {
        let enrolled = Self::of(activated.clone())
            .ok_or_else(|| AgentError::Certificate("the fleet's answer cannot be read".to_owned()))?;
        let kept = Kept {
            device_key_sha256: sha256_hex(device_key),
            activated,
        };
        let text = serde_json::to_vec(&kept).map_err(std::io::Error::other)?;
        let new = dir.join("certificate.json.new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&new)?;
        file.write_all(&text)?;
        file.sync_all()?;
        std::fs::rename(&new, dir.join(FILE))?;
        File::open(dir)?.sync_all()?;
        Ok(enrolled)
    }

    /// Two thirds of its life are over.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        now >= self.not_before.plus(self.not_after.since(self.not_before) / 3 * 2)
    }

    /// Still accepted by others.
    #[must_use]
    pub fn is_good(&self, now: Timestamp) -> bool {
        now < self.not_after
    }
}
