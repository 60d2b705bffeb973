//! Parts of a visit whose end the desk entered, because the nurse could not: who was there from when to when, by whose word.

use records::Timestamp;
use serde::Serialize;
use store::{StoreError, Tx};
use utoipa::ToSchema;

use super::OrderId;
use super::store::Order;
use crate::recorder::store as recorders;

store::row! {
    /// A part as stored.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(super) struct Part {
        /// Staff id of who was there.
        pub(super) nurse_id: String,
        pub(super) nurse_name: String,
        pub(super) started_at: Timestamp,
        /// As the nurse says.
        pub(super) ended_at: Timestamp,
        /// Issue of the recorder she had; empty: none.
        pub(super) issue_id: String,
        /// Name of the nurse who goes on; empty: the visit was over.
        pub(super) handed_to: String,
        /// Who entered it, by name.
        pub(super) entered_by: String,
        pub(super) entered_at: Timestamp,
        pub(super) reason: String,
    }
}

pub(super) async fn insert(tx: &mut Tx<'_>, order: &OrderId, part: &Part) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    tx.exec(
        "INSERT INTO nursing_part(tenant_id, order_id, seq, nurse_id, nurse_name, started_at, ended_at, issue_id, handed_to,
            entered_by, entered_at, reason)
         VALUES ($1, $2, (SELECT COUNT(*) + 1 FROM nursing_part WHERE tenant_id = $1 AND order_id = $2),
            $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        &[
            &tenant,
            order,
            &part.nurse_id,
            &part.nurse_name,
            &part.started_at,
            &part.ended_at,
            &part.issue_id,
            &part.handed_to,
            &part.entered_by,
            &part.entered_at,
            &part.reason,
        ],
    )
    .await
    .map(drop)
}

/// Parts of an order, oldest first.
pub(super) async fn of_order(tx: &mut Tx<'_>, order: &OrderId) -> Result<Vec<Part>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {} FROM nursing_part WHERE tenant_id = $1 AND order_id = $2 ORDER BY seq",
        Part::COLUMNS
    );
    tx.all(&sql, &[&tenant, order]).await
}

/// Beginnings and ends of a nurse's parts that somebody else went on with.
pub(super) async fn handed_on(
    tx: &mut Tx<'_>,
    nurse: &str,
    from: Timestamp,
    until: Timestamp,
) -> Result<Vec<(Timestamp, Timestamp)>, StoreError> {
    let tenant = tx.tenant().clone();
    tx.all(
        "SELECT started_at, ended_at FROM nursing_part WHERE tenant_id = $1 AND nurse_id = $2 AND handed_to <> ''
            AND ended_at >= $3 AND ended_at < $4",
        &[&tenant, &nurse, &from, &until],
    )
    .await
}

/// When a nurse was at the patient's: now or lately as the order's nurse, and in parts that are over.
pub(super) fn spans(order: &Order, parts: &[Part], nurse: &str, now: Timestamp) -> Vec<(Timestamp, Timestamp)> {
    let hers = parts.iter().filter(|p| p.nurse_id == nurse);
    let mut spans: Vec<_> = hers.map(|p| (p.started_at, p.ended_at)).collect();
    if order.nurse_id == nurse {
        spans.extend(order.started_at.map(|at| (at, order.finished_at.unwrap_or(now))));
    }
    spans
}

/// A part of a visit that the desk entered.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = NursingOrderPart)]
pub(super) struct PartView {
    /// Who was there.
    nurse_name: String,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    /// When it ended, as the nurse says.
    #[schema(value_type = String, format = DateTime)]
    ended_at: Timestamp,
    /// The recorder she had; empty: none.
    recorder: String,
    /// Whether that came back.
    recorder_returned: bool,
    /// Who went on; empty: the visit was over.
    handed_to: String,
    /// Who of the desk entered it.
    entered_by: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    entered_at: Timestamp,
    /// Why the nurse could not.
    reason: String,
}

/// Parts of an order for people.
pub(super) async fn views(tx: &mut Tx<'_>, order: &OrderId) -> Result<Vec<PartView>, StoreError> {
    let mut views = Vec::new();
    for part in of_order(tx, order).await? {
        let issue = recorders::issue_of(tx, &part.issue_id).await?;
        views.push(PartView {
            nurse_name: part.nurse_name,
            started_at: part.started_at,
            ended_at: part.ended_at,
            recorder_returned: issue.as_ref().is_none_or(|i| i.returned_at.is_some()),
            recorder: issue.map(|i| i.serial).unwrap_or_default(),
            handed_to: part.handed_to,
            entered_by: part.entered_by,
            entered_at: part.entered_at,
            reason: part.reason,
        });
    }
    Ok(views)
}
