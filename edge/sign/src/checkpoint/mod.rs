//! Checkpoints 检查点 of the log: every hour, and when the server ends, the log's newest entry is signed together with a
//! number of the TPM that only grows. The chain alone shows entries that were changed or taken out; its end could be cut
//! off, or the whole state file put back in time. The TPM has then counted further than the file says.
//!
//! What was added after the newest checkpoint could still be cut off; who wants to see that too has the log sent to a
//! receiver ([`crate::syslog`]).
//!
//! The signing key and the number's place in the TPM both derive from the key of keys: nobody who can write the state file
//! can begin anew without losing every key of the server. A checkpoint is written before the TPM counts it, so that a
//! power cut between the two is no alarm.

mod retention;

use std::sync::PoisonError;

use attest::{Counter, TpmError};
use gm::Sm2Key;
use gm::key::Signer;
use records::Timestamp;

use crate::Refusal;
use crate::engine::Engine;
use crate::vault::{CheckpointRow, Unit};
use crate::wrap;

/// What a checkpoint signs begins so.
const WORDS: &[u8] = b"signd log checkpoint 1";
/// What the checkpoints say of the log.
#[derive(Debug)]
pub(crate) enum Found {
    /// It is as it was signed, as far as it was signed.
    Whole,
    /// The TPM does not say.
    Unknown(TpmError),
    /// It is not, in plain words.
    Broken(String),
}

/// The key that signs checkpoints and the number that they carry.
struct LogKey {
    key: Sm2Key,
    counter: Counter,
}

impl LogKey {
    fn derive(kek: &[u8]) -> Result<Self, Refusal> {
        // One in 2^32 secrets is none of SM2's: the next is taken then.
        let mut tries = (0..4u8)
            .map(|n| Sm2Key::from_secret(wrap::derived(kek, &format!("log checkpoint {n}"))?).map_err(Refusal::from));
        let key = tries.find_map(Result::ok).ok_or(Refusal::Damaged("key of keys"))?;
        let number = gm::sm3(key.public_key().bytes());
        let counter = Counter::numbered(u16::from_be_bytes([number[0], number[1]]));
        Ok(Self { key, counter })
    }

    fn sign(&self, number: u64, seq: i64, hash: &[u8], at: Timestamp, settled: bool) -> Result<CheckpointRow, Refusal> {
        let signature = self.key.sign(&signed(number, seq, hash, at))?;
        Ok(CheckpointRow {
            number,
            seq,
            hash: hash.to_vec(),
            at,
            signature,
            settled,
        })
    }

    fn made(&self, row: &CheckpointRow) -> bool {
        let bytes = signed(row.number, row.seq, &row.hash, row.at);
        let key = self.key.public_key();
        key.verify(self.key.algorithm(), &bytes, &row.signature).is_ok()
    }
}

fn signed(number: u64, seq: i64, hash: &[u8], at: Timestamp) -> Vec<u8> {
    let numbers = [number.to_be_bytes(), seq.to_be_bytes(), at.as_micros().to_be_bytes()];
    [WORDS, numbers.as_flattened(), hash].concat()
}

fn cut(text: String) -> Refusal {
    Refusal::No { code: "log_cut", text }
}

impl Engine {
    /// Makes a checkpoint; `None` when there is nothing new, or no key of keys yet.
    ///
    /// # Errors
    /// When the TPM does not count, or what is kept is not what was signed: `log_cut`, `log_broken`.
    pub fn checkpoint(&self) -> Result<Option<u64>, Refusal> {
        let _turn = self.checkpointing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(log_key) = self.log_key()? else {
            return Ok(None);
        };
        let newest = self.settle(&log_key)?;
        let check = self.check_log()?;
        if let Some(at) = check.broken_at {
            return Err(Refusal::no("log_broken", format!("签名日志第 {at} 条被改动或缺失。")));
        }
        if newest.as_ref().is_some_and(|newest| newest.seq >= check.seq) {
            return Ok(None);
        }
        self.count(
            &log_key,
            newest.map_or(0, |newest| newest.number + 1),
            check.seq,
            &check.hash,
        )
        .map(Some)
    }

    /// Makes a checkpoint of the log as it is, whatever was signed before.
    pub(crate) fn checkpoint_anew(&self) -> Result<(), Refusal> {
        let _turn = self.checkpointing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(log_key) = self.log_key()? else {
            return Ok(());
        };
        let counted = log_key.counter.read(&self.tpm)?;
        self.vault.write(|unit| unit.forget_unsettled_checkpoints())?;
        let (seq, hash) = self.vault.read(|unit| unit.last())?;
        self.count(&log_key, counted.map_or(0, |counted| counted + 1), seq, &hash)
            .map(drop)
    }

    /// Writes the checkpoint, lets the TPM count it, and writes that. The first one's number is known only afterwards.
    fn count(&self, log_key: &LogKey, number: u64, seq: i64, hash: &[u8]) -> Result<u64, Refusal> {
        let row = log_key.sign(number, seq, hash, self.clock.now(), false)?;
        self.vault.write(|unit| unit.put_checkpoint(&row))?;
        let counted = log_key.counter.advance(&self.tpm)?;
        if number != 0 && counted != number {
            return Err(cut(format!("安全芯片的计数为 {counted}，应为 {number}。")));
        }
        self.settle_as(log_key, &row, counted)?;
        Ok(counted)
    }

    fn settle_as(&self, log_key: &LogKey, row: &CheckpointRow, counted: u64) -> Result<CheckpointRow, Refusal> {
        let settled = log_key.sign(counted, row.seq, &row.hash, row.at, true)?;
        self.vault.write(|unit| {
            unit.put_checkpoint(&settled)?;
            unit.forget_unsettled_checkpoints()
        })?;
        Ok(settled)
    }

    /// Compares the newest checkpoint with the TPM's number and with the log, and finishes one that was cut short.
    fn settle(&self, log_key: &LogKey) -> Result<Option<CheckpointRow>, Refusal> {
        let counted = log_key.counter.read(&self.tpm)?;
        let mut rows = self.vault.read(|unit| unit.checkpoints(2))?.into_iter();
        let mut newest = rows.next();
        if let Some(row) = newest.as_ref().filter(|row| !row.settled) {
            newest = match counted {
                Some(counted) if row.number == 0 || row.number == counted => {
                    check_made(log_key, row)?;
                    Some(self.settle_as(log_key, row, counted)?)
                }
                // The TPM has not counted it: it will be made again.
                _ => {
                    self.vault.write(|unit| unit.forget_unsettled_checkpoints())?;
                    rows.next()
                }
            };
        }
        match (newest, counted) {
            (None, None) => Ok(None),
            (Some(row), Some(counted)) if row.number == counted => {
                check_made(log_key, &row)?;
                self.vault.read(|unit| check_kept(unit, &row))?;
                Ok(Some(row))
            }
            (newest, counted) => {
                let here = newest.map_or_else(|| "无".to_owned(), |row| row.number.to_string());
                let there = counted.map_or_else(|| "无".to_owned(), |counted| counted.to_string());
                Err(cut(format!(
                    "签名日志的检查点（{here}）与安全芯片的计数（{there}）不符：日志尾部缺失，或存储被还原到了过去的状态。"
                )))
            }
        }
    }

    /// Checks the newest checkpoint. What is older hangs on it by the chain.
    pub(crate) fn check_checkpoint(&self) -> Found {
        let _turn = self.checkpointing.lock().unwrap_or_else(PoisonError::into_inner);
        let checked = self.log_key().and_then(|log_key| match log_key {
            Some(log_key) => self.settle(&log_key).map(drop),
            None => Ok(()),
        });
        match checked {
            Ok(()) => Found::Whole,
            Err(Refusal::Tpm(error)) => Found::Unknown(error),
            Err(Refusal::No { text, .. }) => Found::Broken(text),
            Err(refusal) => Found::Broken(refusal.to_string()),
        }
    }

    fn log_key(&self) -> Result<Option<LogKey>, Refusal> {
        if self.vault.read(|unit| unit.kek())?.is_none() {
            return Ok(None);
        }
        LogKey::derive(&self.kek()?).map(Some)
    }
}

fn check_made(log_key: &LogKey, row: &CheckpointRow) -> Result<(), Refusal> {
    if log_key.made(row) {
        Ok(())
    } else {
        Err(cut(format!("签名日志的检查点 {} 被改动。", row.number)))
    }
}

/// The log holds what the checkpoint signed.
fn check_kept(unit: &Unit<'_>, row: &CheckpointRow) -> Result<(), Refusal> {
    if unit.entry_hash(row.seq)?.as_ref() == Some(&row.hash) {
        return Ok(());
    }
    Err(cut(format!("签名日志第 {} 条与检查点 {} 不符。", row.seq, row.number)))
}
