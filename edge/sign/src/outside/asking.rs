//! Asking an outside server for a signature: counted and logged before, verified and settled after.

use gm::{Algorithm, PublicKey, Refused};
use records::Timestamp;
use zeroize::Zeroizing;

use super::quota::{self, Level, Year};
use super::{Beyond, BindingState, Fault, Server, message};
use crate::Refusal;
use crate::vault::{BindingRow, OutsideOutcome, Unit};

impl Server {
    /// The signature of a signer's key, verified. Counted and logged before it is asked for, and after it did not come.
    pub(super) fn sign(
        &self,
        binding: &BindingRow,
        public: &PublicKey,
        what: &str,
        message: &[u8],
        ask: impl FnOnce(bool) -> Zeroizing<Vec<u8>>,
    ) -> Result<Vec<u8>, Refused> {
        let fail = |fault: Fault| Refused::Device {
            code: fault.code(),
            // Of what was refused one learns here that nothing was signed; the others say so themselves.
            text: match fault {
                Fault::Refused { .. } => format!("{}本次未签名。", self.words(&fault)),
                _ => self.words(&fault),
            },
        };
        let place = self.place().map_err(fail)?;
        let year = self.take(binding, what)?;
        let asked = place.ask(ask(self.config.wrapped).to_vec());
        drop(place);
        let signed = asked.and_then(|answer| message::signed(&answer)).and_then(|signature| {
            let verified = public.verify(Algorithm::Sm2, message, &signature);
            verified.map(|()| signature).map_err(|_| Fault::WrongSignature)
        });
        signed.map_err(|fault| {
            self.note(&fault);
            if let Err(refusal) = self.lost(binding, what, year, &fault) {
                // The count stays as it was: too high rather than too low.
                tracing::error!(sign.refusal = %refusal, "what became of an outside signature was not logged");
            }
            if fault == Fault::WrongSignature {
                self.suspect(binding);
            }
            fail(fault)
        })
    }

    /// Counts a signature that is about to be asked for, durably, or says that no more are to be.
    fn take(&self, binding: &BindingRow, what: &str) -> Result<Year, Refused> {
        let now = self.clock.now();
        let year = self.year(now);
        let taken = self.vault.write(|unit| {
            let before = unit.outside_use(&self.name, year.begins.as_seconds())?.asked;
            let agreed = self.contract.as_ref().map(|contract| contract.signatures);
            if let Some(contract) = &self.contract
                && contract.beyond == Beyond::Refuse
                && before >= contract.signatures
            {
                let detail = format!("{} {} of {}", self.name, before, contract.signatures);
                unit.log(now, "outside.used_up", &binding.signer, &detail)?;
                return Ok(None);
            }
            unit.outside_asked(&self.name, year.begins.as_seconds())?;
            let detail = format!("{} key {} number {} {what}", self.name, binding.key_index, before + 1);
            unit.log(now, "outside.asked", &binding.signer, &detail)?;
            if let Some(agreed) = agreed {
                self.warn(unit, now, before, agreed)?;
            }
            Ok(Some(year))
        });
        match taken {
            Ok(Some(year)) => Ok(year),
            Ok(None) => Err(Refused::Device {
                code: "outside_used_up",
                text: format!(
                    "外部签名服务器 {} 本合同年度的签名次数已用完，未签名，请联系管理员。",
                    self.name
                ),
            }),
            Err(_) => Err(Refused::Device {
                code: "outside_unlogged",
                text: "签名日志无法写入，未签名，请稍后重试或联系管理员。".to_owned(),
            }),
        }
    }

    /// Says once that a step towards what was agreed was made.
    fn warn(&self, unit: &Unit<'_>, now: Timestamp, before: u64, agreed: u64) -> Result<(), Refusal> {
        let level = Level::of(before + 1, agreed);
        if level == Level::of(before, agreed) {
            return Ok(());
        }
        tracing::warn!(outside.name = %self.name, outside.asked = before + 1, outside.agreed = agreed, "signatures agreed with an outside server");
        unit.log(now, "outside.quota", &self.name, &format!("{} of {agreed}", before + 1))
    }

    /// Logs that no signature came of what was asked for, and corrects the count where that is known.
    fn lost(&self, binding: &BindingRow, what: &str, year: Year, fault: &Fault) -> Result<(), Refusal> {
        let now = self.clock.now();
        let act = match fault.outcome() {
            Some(OutsideOutcome::Unsent) => "outside.unsent",
            Some(OutsideOutcome::Wrong) => "outside.wrong_signature",
            Some(_) => "outside.refused",
            None => "outside.unknown",
        };
        self.vault.write(|unit| {
            if let Some(outcome) = fault.outcome() {
                unit.outside_came_to(&self.name, year.begins.as_seconds(), outcome)?;
            }
            if fault.of_password()
                && let Some(mut row) = unit.outside_signer(&binding.signer)?
                && row.state == BindingState::Used.name()
            {
                row.state = BindingState::Locked.name().to_owned();
                unit.put_outside_signer(&row, now)?;
            }
            unit.log(now, act, &binding.signer, &format!("{} {what} {fault}", self.name))
        })
    }

    /// A signature did not verify: perhaps the key was exchanged, which its certificate would show.
    fn suspect(&self, binding: &BindingRow) {
        tracing::error!(outside.name = %self.name, sign.signer = binding.signer, "an outside server answered a wrong signature");
        if let Ok(der) = self.fetch(&binding.identification) {
            self.compare(binding, &der);
        }
    }

    /// The year of the contract.
    pub(super) fn year(&self, now: Timestamp) -> Year {
        quota::year(self.contract.as_ref(), now)
    }

    /// Counts one that came back and is being journaled, in that unit.
    pub(crate) fn made(&self, unit: &Unit<'_>, now: Timestamp) -> Result<(), Refusal> {
        let year = self.year(now);
        unit.outside_came_to(&self.name, year.begins.as_seconds(), OutsideOutcome::Made)
    }
}
