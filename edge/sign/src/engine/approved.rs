//! States of the machine that its maker approves ([`attest::approval`]): after an update the key of keys is opened once by
//! the maker's word and sealed to the new state, so that nobody's keys are locked away by it.

use std::path::PathBuf;

use attest::{Approval, Authority, Sealed, TpmError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gm::PublicKey;
use gm::der::Reader;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::Engine;
use crate::Refusal;
use crate::config::ApprovalConfig;

/// Approvals that are read.
const MOST: usize = 64;
/// Bytes of one.
const LARGEST: u64 = 4 * 1024;

/// Whose word counts, and where it lies.
#[derive(Debug)]
pub struct Approvals {
    authority: Authority,
    folder: PathBuf,
}

/// An approval as it lies in a file of the update.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// PCRs of the sha256 bank.
    pcrs: Vec<u8>,
    /// Hexadecimal.
    policy: String,
    /// `Ecdsa-Sig-Value`, Base64.
    signature: String,
}

impl Kept {
    fn read(&self) -> Option<Approval> {
        let mut policy = [0; 32];
        hex::decode_to_slice(&self.policy, &mut policy).ok()?;
        let signature = STANDARD.decode(self.signature.trim()).ok()?;
        let mut outer = Reader::new(&signature, "approval");
        let mut pair = outer.sequence("approval").ok()?;
        let (r, s) = (half(pair.unsigned().ok()?)?, half(pair.unsigned().ok()?)?);
        pair.finish().and_then(|()| outer.finish()).ok()?;
        Some(Approval {
            pcrs: self.pcrs.clone(),
            policy,
            r,
            s,
        })
    }
}

fn half(number: &[u8]) -> Option<[u8; 32]> {
    let mut half = [0; 32];
    half.get_mut(32_usize.checked_sub(number.len())?..)?
        .copy_from_slice(number);
    Some(half)
}

impl Approvals {
    /// With the maker's key of the settings.
    pub fn start(config: &ApprovalConfig) -> Result<Self, Refusal> {
        let wrong = || {
            let text = "[approval] 的 authority 应为 P-256 公钥文件（PEM）。";
            Refusal::no("approval_authority", text)
        };
        let text = std::fs::read_to_string(&config.authority).map_err(|_| wrong())?;
        let block = gm::pem::read(&text)?.into_iter().next().ok_or_else(wrong)?;
        let key = PublicKey::read_spki(&mut Reader::new(&block.der, "public key"))?;
        let point = key
            .point()
            .filter(|_| key.kind() == gm::key::Kind::P256)
            .ok_or_else(wrong)?;
        let (rest, y) = point.split_last_chunk::<32>().ok_or_else(wrong)?;
        let (_, x) = rest.split_last_chunk::<32>().ok_or_else(wrong)?;
        Ok(Self {
            authority: Authority::new(x, y),
            folder: config.states.clone(),
        })
    }

    /// Those that lie there, the last names first: an update's name ends with its version.
    fn all(&self) -> Vec<Approval> {
        let Ok(folder) = std::fs::read_dir(&self.folder) else {
            return Vec::new();
        };
        let mut files: Vec<PathBuf> = folder.flatten().map(|file| file.path()).collect();
        files.retain(|file| file.extension().is_some_and(|end| end == "json"));
        files.sort();
        let read = |file: &PathBuf| {
            let small = std::fs::metadata(file).is_ok_and(|about| about.len() <= LARGEST);
            let text = std::fs::read(file).ok().filter(|_| small)?;
            serde_json::from_slice::<Kept>(&text).ok()?.read()
        };
        let all = files.iter().rev().take(MOST).filter_map(|file| {
            let approval = read(file);
            if approval.is_none() {
                tracing::warn!(sign.file = %file.display(), "an approval of a state cannot be read");
            }
            approval
        });
        all.collect()
    }
}

impl Engine {
    /// With the states that the maker approves.
    #[must_use]
    pub fn approving(mut self, approvals: Option<Approvals>) -> Self {
        self.approvals = approvals;
        self
    }

    /// Whose approvals the key of keys is sealed under.
    pub(super) fn approver(&self) -> Option<&Authority> {
        self.approvals.as_ref().map(|approvals| &approvals.authority)
    }

    /// The key of keys out of its seal; in a state that is approved it is sealed anew. `text`: the seal as it is kept.
    pub(super) fn unseal(&self, text: &str, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let changed = match sealed.open(&self.tpm) {
            Ok(kek) => {
                if self.approver().is_some() && sealed.authority() != self.approver() {
                    self.reseal(text, &kek, "another authority of approvals");
                }
                return Ok(kek);
            }
            Err(error @ TpmError::StateChanged) => error,
            Err(error) => return Err(error.into()),
        };
        let approvals = self.approvals.as_ref().map(Approvals::all).unwrap_or_default();
        for approval in approvals {
            match sealed.open_approved(&self.tpm, &approval) {
                Ok(kek) => {
                    self.reseal(text, &kek, &format!("approved state {}", hex::encode(approval.policy)));
                    return Ok(kek);
                }
                Err(TpmError::StateChanged) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(changed.into())
    }

    /// Seals the key of keys to the present state. What fails is tried again at the next act: until then the old seal
    /// gives the key as it did now.
    fn reseal(&self, before: &str, kek: &[u8], why: &str) {
        let resealed = || -> Result<(), Refusal> {
            let sealed = Sealed::under(&self.tpm, kek, &self.rules.pcrs, self.approver())?;
            let text = serde_json::to_string(&sealed).map_err(|_| Refusal::Damaged("sealed key"))?;
            let now = self.clock.now();
            self.vault.write(|unit| {
                if unit.replace_kek(before, &text)? {
                    unit.log(now, "kek.resealed", "", why)?;
                }
                Ok(())
            })
        };
        if let Err(refusal) = resealed() {
            tracing::warn!(sign.refusal = %refusal, "the key of keys was not sealed anew");
        }
    }
}
