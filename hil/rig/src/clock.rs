use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use time::format_description::BorrowedFormatItem;
use time::macros::{format_description, offset};
use time::{Duration, OffsetDateTime};

const MOMENT: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");

/// The peer's own clock: the machine's time plus an offset that control may move.
#[derive(Debug, Default)]
pub struct Clock {
    offset_s: AtomicI64,
}

impl Clock {
    /// Unix seconds, moved by the offset.
    pub fn unix(&self) -> i64 {
        self.now().unix_timestamp()
    }

    /// Beijing time, moved by the offset.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place of the bench that reads the machine's clock"
    )]
    pub fn now(&self) -> OffsetDateTime {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let machine = OffsetDateTime::UNIX_EPOCH + since;
        (machine + Duration::seconds(self.offset_s.load(Ordering::Relaxed))).to_offset(offset!(+8))
    }

    /// `2026-11-23 08:30:00`, Beijing time.
    pub fn moment(&self) -> String {
        Self::format(self.now())
    }

    /// Formats a time as the peers write it.
    pub fn format(at: OffsetDateTime) -> String {
        at.format(MOMENT).unwrap_or_default()
    }

    /// Moves the clock forward (or back).
    pub fn advance(&self, seconds: i64) {
        self.offset_s.fetch_add(seconds, Ordering::Relaxed);
    }

    /// Sets the distance to the machine's time.
    pub fn set_offset(&self, seconds: i64) {
        self.offset_s.store(seconds, Ordering::Relaxed);
    }

    /// The present distance to the machine's time.
    pub fn offset(&self) -> i64 {
        self.offset_s.load(Ordering::Relaxed)
    }
}
