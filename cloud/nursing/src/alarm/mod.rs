//! 一键报警 (SOS): a nurse in danger calls the desk. Raised at once with whatever is known, place and order added when they
//! come; the phone repeats the same press until it was heard, and that is one alarm.
//!
//! ```text
//! raised ──acknowledge──▶ acknowledged ──close──▶ closed
//! ```
//!
//! Nothing about an alarm is ever refused for its form: a place that is none is left out, an order that is not the nurse's
//! too.

mod routes;
mod store;

use std::str::FromStr;

use base::{ApiError, Ctx};
pub(crate) use routes::{AlarmView, routes};
use store::Alarm;

::records::id_type!(
    /// An alarm (报警).
    AlarmId,
    "alm"
);
::store::id_value!(AlarmId);

/// Where an alarm stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody has answered.
    Raised,
    /// Somebody at the desk looks after it.
    Acknowledged,
    /// Over.
    Closed,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Raised, Self::Acknowledged, Self::Closed];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Acknowledged => "acknowledged",
            Self::Closed => "closed",
        }
    }

    /// After somebody at the desk says they look after it; again is no harm.
    ///
    /// # Errors
    /// In plain words, when it is over.
    pub const fn acknowledge(self) -> Result<Self, &'static str> {
        match self {
            Self::Raised | Self::Acknowledged => Ok(Self::Acknowledged),
            Self::Closed => Err("该报警已处理完毕"),
        }
    }

    /// After it is over.
    ///
    /// # Errors
    /// In plain words, when nobody looked after it, or it is over.
    pub const fn close(self) -> Result<Self, &'static str> {
        match self {
            Self::Acknowledged => Ok(Self::Closed),
            Self::Raised => Err("请先确认报警，再填写处理结果"),
            Self::Closed => Err("该报警已处理完毕"),
        }
    }
}

impl FromStr for State {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|s| s.as_str() == text)
            .ok_or_else(|| format!("no alarm state {text}"))
    }
}

::store::text_value!(State);

/// Alarms of an order, latest first.
pub(crate) async fn of_order(tx: &mut ::store::Tx<'_>, ctx: &Ctx, order: &str) -> Result<Vec<AlarmView>, ApiError> {
    let alarms: Vec<Alarm> = store::of_order(tx, order).await?;
    let tenant = tx.tenant().clone();
    Ok(alarms.into_iter().map(|a| AlarmView::of(ctx, &tenant, a)).collect())
}

#[cfg(test)]
mod tests {
    use super::State;

    #[test]
    fn an_alarm_is_closed_only_by_who_looked_after_it() {
        let table: Vec<_> = State::ALL.map(|s| (s.acknowledge().ok(), s.close().ok())).to_vec();
        assert_eq!(
            table,
            [
                (Some(State::Acknowledged), None),
                (Some(State::Acknowledged), Some(State::Closed)),
                (None, None)
            ]
        );
    }
}
