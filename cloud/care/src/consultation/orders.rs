//! SQL of the orders to the HIS that a visit made, beside what became of them.

use records::id::VisitId;
use records::{HisCommand, HisCommandResult, Outcome, Timestamp};
use serde::Serialize;
use store::{StoreError, Tx};
use utoipa::ToSchema;

/// Keeps an order to the HIS beside its visit.
pub(crate) async fn ordered(tx: &mut Tx<'_>, command: &HisCommand) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.exec(
        "INSERT INTO care_order (tenant_id, key, visit_id, method, ordered_at) VALUES ($1,$2,$3,$4,$5) \
         ON CONFLICT (tenant_id, key) DO NOTHING",
        &[&tenant, &command.key, &command.subject, &command.method, &now],
    )
    .await?;
    Ok(())
}

/// Keeps what became of an order.
pub(crate) async fn settled(tx: &mut Tx<'_>, result: &HisCommandResult) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    let outcome = match &result.outcome {
        _ if result.needs_hand => "needs_hand".to_owned(),
        Outcome::Done(_) => "done".to_owned(),
        Outcome::Refused { code, text } => format!("refused {code}: {text}"),
        Outcome::Later { .. } => "later".to_owned(),
        Outcome::Unknown => "unknown".to_owned(),
    };
    tx.exec(
        "UPDATE care_order SET settled_at = $3, outcome = $4 WHERE tenant_id = $1 AND key = $2",
        &[&tenant, &result.key, &result.at, &outcome],
    )
    .await?;
    Ok(())
}

/// How many orders of this kind the visit has had.
pub(crate) async fn count(tx: &mut Tx<'_>, id: &VisitId, method: &str) -> Result<i64, StoreError> {
    let tenant = tx.tenant().clone();
    let (count,): (i64,) = tx
        .one(
            "SELECT COUNT(*) FROM care_order WHERE tenant_id = $1 AND visit_id = $2 AND method = $3",
            &[&tenant, id, &method],
        )
        .await?;
    Ok(count)
}

store::row! {
    /// An order to the HIS and what became of it.
    #[derive(Clone, Debug, Serialize, ToSchema)]
    pub struct Order {
        /// Key.
        pub key: String,
        /// Operation.
        pub method: String,
        /// When it was ordered.
        #[schema(value_type = String)]
        pub ordered_at: Timestamp,
        /// When its outcome was known.
        #[schema(value_type = Option<String>)]
        pub settled_at: Option<Timestamp>,
        /// The outcome.
        pub outcome: Option<String>,
    }
}

pub(crate) async fn of_visit(tx: &mut Tx<'_>, id: &VisitId) -> Result<Vec<Order>, StoreError> {
    let tenant = tx.tenant().clone();
    tx.all(
        &format!(
            "SELECT {} FROM care_order WHERE tenant_id = $1 AND visit_id = $2 ORDER BY ordered_at, key",
            Order::COLUMNS
        ),
        &[&tenant, id],
    )
    .await
}
