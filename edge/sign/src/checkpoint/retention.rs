//! How long the log is kept. What goes is older than the limit, lies before a checkpoint, and was sent to the receiver
//! when there is one.

use std::time::Duration;

use crate::Refusal;
use crate::engine::Engine;
use crate::syslog;

/// Entries removed in one unit of work.
const STRIDE: u32 = 5_000;
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Engine {
    /// Removes what need not be kept any longer. Answers how many entries went.
    pub fn prune_log(&self) -> Result<u64, Refusal> {
        let settings = self.settings()?;
        let days = settings.log.keep_days;
        if days == 0 {
            return Ok(0);
        }
        let now = self.clock.now();
        let Some(checkpoint) = self.vault.read(|unit| unit.checkpoint_before(now.minus(DAY * days)))? else {
            return Ok(0);
        };
        let upto = if settings.syslog.enabled {
            checkpoint.seq.min(syslog::sent(self)?)
        } else {
            checkpoint.seq
        };
        let (mut from, mut to) = (None, 0);
        while let Some((first, last)) = self.vault.write(|unit| unit.prune_log(upto, STRIDE, now))? {
            from.get_or_insert(first);
            to = last;
        }
        let Some(from) = from else {
            return Ok(0);
        };
        let detail = format!("{from} to {to}, older than {days} days");
        self.vault.write(|unit| unit.log(now, "log.pruned", "signd", &detail))?;
        Ok(to.abs_diff(from) + 1)
    }
}
