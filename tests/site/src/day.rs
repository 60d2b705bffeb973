//! The hospital's day, for what is of today: registered today, reported in today.

use std::time::Duration;

use time::OffsetDateTime;
use time::macros::offset;

/// Ends when so much of the hospital's day (UTC+8) is left: at once, or when midnight has passed. What begins then does not
/// straddle midnight unless it takes longer.
pub async fn room_in_the_day(room: Duration) {
    tokio::time::sleep(until_room(OffsetDateTime::now_utc(), room)).await;
}

fn until_room(now: OffsetDateTime, room: Duration) -> Duration {
    let local = now.to_offset(offset!(+8));
    let midnight = (local.date() + time::Duration::DAY)
        .midnight()
        .assume_offset(offset!(+8));
    let left = Duration::try_from(midnight - local).unwrap_or_default();
    // A second more: clocks of others may be read a little behind.
    if left < room {
        left + Duration::from_secs(1)
    } else {
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const ROOM: Duration = Duration::from_secs(480);

    #[test]
    fn only_who_comes_shortly_before_midnight_in_china_waits_until_it_has_passed() {
        for (now, waits) in [
            (datetime!(2026-11-22 15:51:59 UTC), 0),
            (datetime!(2026-11-22 15:52:00 UTC), 0),
            (datetime!(2026-11-22 15:52:01 UTC), 480),
            (datetime!(2026-11-22 15:59:59 UTC), 2),
            (datetime!(2026-11-22 16:00:00 UTC), 0),
            (datetime!(2026-11-22 23:59:59 UTC), 0),
            // The last days of a month, of February and of the year.
            (datetime!(2026-11-30 15:59:30 UTC), 31),
            (datetime!(2028-02-29 15:59:30 UTC), 31),
            (datetime!(2026-12-31 15:59:30 UTC), 31),
        ] {
            assert_eq!(until_room(now, ROOM), Duration::from_secs(waits), "{now}");
        }
    }
}
