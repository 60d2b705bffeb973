//! The trail of a visit: who moved it, when, from which state to which, and why.

use records::Timestamp;
use records::id::VisitId;
use serde::Serialize;
use store::{StoreError, Tx};
use utoipa::ToSchema;

use super::Event;

/// Appends a line.
pub(super) const NOTE: &str = "INSERT INTO care_visit_trail (tenant_id, visit_id, seq, at, actor, word, from_state, to_state, note) \
     SELECT $1, $2, COALESCE(MAX(seq), 0) + 1, CAST($3 AS BIGINT), $4, $5, $6, $7, $8 FROM care_visit_trail \
     WHERE tenant_id = $1 AND visit_id = $2";

pub(crate) async fn note(tx: &mut Tx<'_>, id: &VisitId, event: &Event) -> Result<(), StoreError> {
    let (tenant, actor) = (tx.tenant().clone(), event.by.to_string());
    tx.exec(
        NOTE,
        &[
            &tenant,
            id,
            &event.at,
            &actor,
            &event.word,
            &event.from,
            &event.to,
            &event.note,
        ],
    )
    .await?;
    Ok(())
}

store::row! {
    /// A line of a visit's trail.
    #[derive(Clone, Debug, Serialize, ToSchema)]
    pub struct Step {
        /// When.
        #[schema(value_type = String)]
        pub at: Timestamp,
        /// Who.
        pub actor: String,
        /// What happened.
        pub word: String,
        /// State before.
        pub from_state: String,
        /// State after.
        pub to_state: String,
        /// Why.
        pub note: String,
    }
}

pub(crate) async fn trail(tx: &mut Tx<'_>, id: &VisitId) -> Result<Vec<Step>, StoreError> {
    let tenant = tx.tenant().clone();
    tx.all(
        &format!(
            "SELECT {} FROM care_visit_trail WHERE tenant_id = $1 AND visit_id = $2 ORDER BY seq",
            Step::COLUMNS
        ),
        &[&tenant, id],
    )
    .await
}
