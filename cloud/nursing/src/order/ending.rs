//! 护理台代录: a visit under way whose nurse cannot say so herself is ended by the desk, or handed over to another nurse, by
//! the time the nurse tells. Her record stays due; it is written down by her afterwards.

use base::ApiError;
use records::Timestamp;
use serde_json::json;
use store::Tx;

use super::Step;
use super::part::{self, Part};
use super::store::{self as sql, Order, Who};
use super::view::words;

/// What the desk was told.
pub(super) struct Said<'a> {
    /// Who of the desk enters it, by name.
    pub(super) by: &'a str,
    /// Why the nurse cannot.
    pub(super) reason: &'a str,
    /// When her part ended, as she says.
    pub(super) ended_at: Timestamp,
}

/// Beginning and end of the part, when what was said can be.
fn span(started: Timestamp, said: Timestamp, now: Timestamp) -> Result<(Timestamp, Timestamp), ApiError> {
    const MINUTE: u64 = 60;
    let wrong = |text: String| ApiError::field("ended_at", text);
    if said > now {
        return Err(wrong("结束时间不能晚于现在".to_owned()));
    }
    // The desk writes minutes: that of the beginning is the beginning.
    if started.since(said).as_secs() >= MINUTE {
        return Err(wrong(format!("结束时间不能早于服务开始时间{}", minute(started))));
    }
    Ok((started, said.max(started)))
}

/// `2026-11-21 15:04`.
fn minute(at: Timestamp) -> String {
    at.local_text().chars().take(16).collect()
}

/// Ends the visit, or hands it over to the nurse with this staff id.
pub(super) async fn enter(
    tx: &mut Tx<'_>,
    order: &mut Order,
    said: &Said<'_>,
    to: Option<&str>,
) -> Result<(), ApiError> {
    let reason = words("reason", said.reason, 2, 200)?;
    let step = if to.is_some() { Step::HandOver } else { Step::End };
    order.stepped(step)?;
    let started = order
        .started_at
        .ok_or_else(|| ApiError::conflict("order_state", "服务尚未开始"))?;
    let (started_at, ended_at) = span(started, said.ended_at, tx.now())?;
    let next = match to {
        Some(id) => {
            let named = sql::nurses(tx).await?.into_iter().find(|(own, _, _)| own == id);
            let other = named.filter(|(own, _, _)| *own != order.nurse_id);
            let (id, name, _) = other.ok_or_else(|| ApiError::field("nurse", "请选择另一位在职护士"))?;
            Some((id, name))
        }
        None => None,
    };
    let part = Part {
        nurse_id: order.nurse_id.clone(),
        nurse_name: order.nurse_name.clone(),
        started_at,
        ended_at,
        issue_id: order.issue_id.clone(),
        handed_to: next.as_ref().map(|(_, name)| name.clone()).unwrap_or_default(),
        entered_by: said.by.to_owned(),
        entered_at: tx.now(),
        reason,
    };
    part::insert(tx, &order.id, &part).await?;
    let told = format!("护理台代录：护士{}称于{}", part.nurse_name, minute(ended_at));
    let note = if let Some((id, name)) = &next {
        order.nurse_id.clone_from(id);
        order.nurse_name.clone_from(name);
        // She begins anew, with a recorder of her own: the one before is still with whoever has it.
        (order.started_at, order.issue_id, order.recorder) = (None, String::new(), String::new());
        format!("{told}停止服务，转交{name}。原因：{}", part.reason)
    } else {
        order.finished_at = Some(ended_at);
        format!("{told}结束服务，服务记录待护士补写。原因：{}", part.reason)
    };
    let detail = json!({
        "nurse": part.nurse_id, "started_at": started_at, "ended_at": ended_at, "reason": part.reason,
        "to": next.map(|(id, _)| id),
    });
    let who = Who {
        name: said.by,
        note: &note,
    };
    Ok(sql::step(tx, order, step, who, detail).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_lies_between_the_beginning_and_now_and_a_minute_is_near_enough() {
        let [began, now] = [1_000_030, 1_003_600].map(Timestamp::from_seconds);
        let said = |at| span(began, Timestamp::from_seconds(at), now).map(|(_, end)| end.as_seconds());
        assert_eq!(said(1_001_000).ok(), Some(1_001_000));
        assert_eq!(said(1_003_600).ok(), Some(1_003_600));
        assert_eq!(said(1_000_000).ok(), Some(1_000_030), "the minute of the beginning");
        assert!(said(1_003_601).is_err());
        assert!(said(999_970).is_err());
    }
}
