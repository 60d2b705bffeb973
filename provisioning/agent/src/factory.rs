//! What the factory takes from a new appliance.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use attest::Tpm;
use attest::identity::{endorsement_certificate, endorsement_key};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use evidence::{ClaimCode, FactoryRecord, sha256_hex};
use records::Ids;
use serde::{Deserialize, Serialize};

use crate::AgentError;

const FILE: &str = "factory.json";

/// The factory's two products: a record for the fleet, and the code for the label.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Label {
    /// For the fleet service.
    pub record: FactoryRecord,
    /// For the label, in groups of five. Whoever has it can claim the appliance.
    pub claim_code: String,
}

/// Reads the TPM's identity and makes the claim code. Kept in `dir`, so that a second run prints the same label; the factory
/// deletes `factory.json` before the appliance is packed. Blocks on the TPM.
pub fn factory_record(tpm: &Tpm, dir: &Path, serial: &str, board: &str, ids: &Ids) -> Result<Label, AgentError> {
    std::fs::create_dir_all(dir)?;
    let ek_sha256 = sha256_hex(&endorsement_key(tpm)?);
    if let Ok(text) = std::fs::read(dir.join(FILE))
        && let Ok(label) = serde_json::from_slice::<Label>(&text)
        && label.record.serial == serial
        && label.record.ek_sha256 == ek_sha256
    {
        return Ok(label);
    }
    let code = ClaimCode::new(&ids.random());
    let label = Label {
        record: FactoryRecord {
            serial: serial.to_owned(),
            board: board.to_owned(),
            ek_sha256,
            ek_certificate: endorsement_certificate(tpm).map(|der| STANDARD.encode(der)),
            claim_sha256: code.sha256(),
        },
        claim_code: code.label(),
    };
    let text = serde_json::to_vec_pretty(&label).map_err(std::io::Error::other)?;
    let new = dir.join("factory.json.new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(&text)?;
    file.sync_all()?;
    std::fs::rename(&new, dir.join(FILE))?;
    File::open(dir)?.sync_all()?;
    Ok(label)
}
