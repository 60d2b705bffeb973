//! SQL of consilia and their trail.

use ::store::{StoreError, Tx};
use base::session::Member;
use base::{ApiError, Page, Vault};
use records::id::{StaffId, VisitId};
use records::{TenantId, Timestamp};
use serde_json::json;

use super::{Consilium, ConsiliumId, Event, State};

const QUESTION: &str = "consilium.question";
const SUMMARY: &str = "consilium.summary";
const REASON: &str = "consilium.reason";
const COMMENT: &str = "consilium.comment";

::store::row! {
    /// A consilium with everything around it.
    #[derive(Clone, Debug)]
    pub(crate) struct Row {
        pub(crate) id: ConsiliumId,
        pub(crate) visit_id: VisitId,
        pub(crate) inviter_id: StaffId,
        pub(crate) inviter_name: String,
        pub(crate) inviter_title: String,
        pub(crate) inviter_department: String,
        pub(crate) expert_id: StaffId,
        pub(crate) expert_name: String,
        pub(crate) expert_title: String,
        pub(crate) expert_department: String,
        pub(crate) question_sealed: Vec<u8>,
        pub(crate) summary_sealed: Vec<u8>,
        pub(crate) state: State,
        pub(crate) invited_at: Timestamp,
        pub(crate) until: Timestamp,
        pub(crate) accepted_at: Option<Timestamp>,
        pub(crate) ended_at: Option<Timestamp>,
        pub(crate) reason_sealed: Option<Vec<u8>>,
        pub(crate) score: Option<u32>,
        pub(crate) comment_sealed: Option<Vec<u8>>,
        pub(crate) evaluated_at: Option<Timestamp>,
    }
}

const COLUMNS: &str = Row::COLUMNS;

/// The clear words of a row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Words {
    pub(crate) question: String,
    pub(crate) summary: String,
    pub(crate) reason: Option<String>,
    pub(crate) comment: Option<String>,
}

impl Row {
    /// As that on which the transitions work.
    pub(crate) fn consilium(&self) -> Consilium {
        Consilium {
            inviter: self.inviter_id.clone(),
            expert: self.expert_id.clone(),
            state: self.state,
            until: self.until,
        }
    }

    /// What it says.
    pub(crate) fn words(&self, vault: &Vault, tenant: &TenantId) -> Result<Words, ApiError> {
        let open = |purpose, sealed: Option<&[u8]>| sealed.map(|s| vault.open_text(tenant, purpose, s)).transpose();
        Ok(Words {
            question: vault.open_text(tenant, QUESTION, &self.question_sealed)?,
            summary: vault.open_text(tenant, SUMMARY, &self.summary_sealed)?,
            reason: open(REASON, self.reason_sealed.as_deref())?,
            comment: open(COMMENT, self.comment_sealed.as_deref())?,
        })
    }
}

/// An invitation.
#[derive(Clone, Debug)]
pub(crate) struct Invitation {
    pub(crate) id: ConsiliumId,
    /// The inviter's own name of the request; a repeat adds nothing.
    pub(crate) key: String,
    pub(crate) visit: VisitId,
    pub(crate) question: String,
    pub(crate) summary: String,
    pub(crate) until: Timestamp,
}

/// Writes an invitation down.
pub(crate) async fn insert(
    tx: &mut Tx<'_>,
    vault: &Vault,
    wish: &Invitation,
    inviter: &Member,
    expert: &Member,
) -> Result<(), ApiError> {
    let (tenant, now, state) = (tx.tenant().clone(), tx.now(), State::Invited);
    let question = vault.seal(&tenant, QUESTION, wish.question.as_bytes())?;
    let summary = vault.seal(&tenant, SUMMARY, wish.summary.as_bytes())?;
    tx.exec(
        "INSERT INTO treatment_consilium(tenant_id, id, request_key, visit_id, inviter_id, inviter_name, inviter_title, \
         inviter_department, expert_id, expert_name, expert_title, expert_department, question_sealed, summary_sealed, \
         state, invited_at, until) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
        &[
            &tenant,
            &wish.id,
            &wish.key,
            &wish.visit,
            &inviter.id,
            &inviter.name,
            &inviter.title,
            &inviter.department_name,
            &expert.id,
            &expert.name,
            &expert.title,
            &expert.department_name,
            &question,
            &summary,
            &state,
            &now,
            &wish.until,
        ],
    )
    .await?;
    step(tx, &wish.id, "invite", State::Invited).await?;
    Ok(())
}

async fn step(tx: &mut Tx<'_>, id: &ConsiliumId, command: &str, to: State) -> Result<(), StoreError> {
    let (tenant, now, actor) = (tx.tenant().clone(), tx.now(), tx.actor().to_string());
    tx.exec(
        "INSERT INTO treatment_consilium_step(tenant_id, consilium_id, seq, at, actor, command, to_state) \
         SELECT $1, $2, COALESCE(MAX(seq), 0) + 1, CAST($3 AS BIGINT), $4, $5, $6 FROM treatment_consilium_step \
         WHERE tenant_id = $1 AND consilium_id = $2",
        &[&tenant, id, &now, &actor, &command, &to],
    )
    .await?;
    let action = format!("consilium.{command}");
    base::audit::record(tx, &action, id.as_str(), json!({ "to": to.as_str() })).await
}

/// What a transition leaves besides its state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    pub(crate) reason: Option<String>,
    /// Score and words.
    pub(crate) judgement: Option<(u32, String)>,
}

/// Writes a transition: the row and its line of the trail.
pub(crate) async fn moved(
    tx: &mut Tx<'_>,
    vault: &Vault,
    row: &mut Row,
    to: (Consilium, Event),
    said: Said,
) -> Result<(), ApiError> {
    let (tenant, (consilium, event)) = (tx.tenant().clone(), to);
    row.state = consilium.state;
    row.until = consilium.until;
    match event.to {
        State::Open => row.accepted_at = Some(event.at),
        State::Evaluated => row.evaluated_at = Some(event.at),
        State::Concluded | State::Declined | State::Withdrawn | State::Lapsed => row.ended_at = Some(event.at),
        State::Invited => {}
    }
    if let Some(reason) = said.reason {
        row.reason_sealed = Some(vault.seal(&tenant, REASON, reason.as_bytes())?);
    }
    if let Some((score, comment)) = said.judgement {
        row.score = Some(score);
        row.comment_sealed = Some(vault.seal(&tenant, COMMENT, comment.as_bytes())?);
    }
    tx.exec(
        "UPDATE treatment_consilium SET state = $3, until = $4, accepted_at = $5, ended_at = $6, reason_sealed = $7, \
         score = $8, comment_sealed = $9, evaluated_at = $10 WHERE tenant_id = $1 AND id = $2",
        &[
            &tenant,
            &row.id,
            &row.state,
            &row.until,
            &row.accepted_at,
            &row.ended_at,
            &row.reason_sealed,
            &row.score,
            &row.comment_sealed,
            &row.evaluated_at,
        ],
    )
    .await?;
    Ok(step(tx, &row.id, event.command.as_str(), event.to).await?)
}

/// The consilium of that number, in this hospital.
pub(crate) async fn find(tx: &mut Tx<'_>, id: &ConsiliumId) -> Result<Option<Row>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!("SELECT {COLUMNS} FROM treatment_consilium WHERE tenant_id = $1 AND id = $2");
    tx.opt(&sql, &[&tenant, id]).await
}

/// The one an inviter asked for with this key before, if they did.
pub(crate) async fn by_key(tx: &mut Tx<'_>, inviter: &StaffId, key: &str) -> Result<Option<Row>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {COLUMNS} FROM treatment_consilium WHERE tenant_id = $1 AND inviter_id = $2 AND request_key = $3"
    );
    tx.opt(&sql, &[&tenant, inviter, &key]).await
}

/// The consilia of a visit, newest first.
pub(crate) async fn of_visit(tx: &mut Tx<'_>, visit: &VisitId) -> Result<Vec<Row>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {COLUMNS} FROM treatment_consilium WHERE tenant_id = $1 AND visit_id = $2 \
         ORDER BY invited_at DESC, id DESC LIMIT 100"
    );
    tx.all(&sql, &[&tenant, visit]).await
}

/// A doctor's consilia on one side (`expert_id` or `inviter_id`), newest first.
async fn of_side(tx: &mut Tx<'_>, side: &str, who: &StaffId, page: Page) -> Result<(Vec<Row>, u64), StoreError> {
    let (tenant, limit, offset) = (tx.tenant().clone(), page.limit(), page.offset());
    let count = format!("SELECT COUNT(*) FROM treatment_consilium WHERE tenant_id = $1 AND {side} = $2");
    let (total,): (u64,) = tx.one(&count, &[&tenant, who]).await?;
    let sql = format!(
        "SELECT {COLUMNS} FROM treatment_consilium WHERE tenant_id = $1 AND {side} = $2 \
         ORDER BY invited_at DESC, id DESC LIMIT $3 OFFSET $4"
    );
    Ok((tx.all(&sql, &[&tenant, who, &limit, &offset]).await?, total))
}

/// Those to which a doctor was invited.
pub(crate) async fn asked(tx: &mut Tx<'_>, expert: &StaffId, page: Page) -> Result<(Vec<Row>, u64), StoreError> {
    of_side(tx, "expert_id", expert, page).await
}

/// Those to which a doctor invited.
pub(crate) async fn asking(tx: &mut Tx<'_>, inviter: &StaffId, page: Page) -> Result<(Vec<Row>, u64), StoreError> {
    of_side(tx, "inviter_id", inviter, page).await
}

/// How many wait for this expert.
pub(crate) async fn waiting(tx: &mut Tx<'_>, expert: &StaffId) -> Result<u64, StoreError> {
    let tenant = tx.tenant().clone();
    let (count,): (u64,) = tx
        .one(
            "SELECT COUNT(*) FROM treatment_consilium WHERE tenant_id = $1 AND expert_id = $2 \
             AND state IN ('invited', 'open')",
            &[&tenant, expert],
        )
        .await?;
    Ok(count)
}

/// Those whose time is over.
pub(crate) async fn overdue(tx: &mut Tx<'_>) -> Result<Vec<Row>, StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let sql = format!(
        "SELECT {COLUMNS} FROM treatment_consilium WHERE tenant_id = $1 AND state IN ('invited', 'open') \
         AND until <= $2 ORDER BY until LIMIT 50"
    );
    tx.all(&sql, &[&tenant, &now]).await
}

::store::row! {
    /// A line of the trail.
    #[derive(Clone, Debug)]
    pub(crate) struct Step {
        pub(crate) at: Timestamp,
        pub(crate) actor: String,
        pub(crate) command: String,
        pub(crate) to_state: State,
    }
}

pub(crate) async fn trail(tx: &mut Tx<'_>, id: &ConsiliumId) -> Result<Vec<Step>, StoreError> {
    let (tenant, columns) = (tx.tenant().clone(), Step::COLUMNS);
    let sql = format!(
        "SELECT {columns} FROM treatment_consilium_step WHERE tenant_id = $1 AND consilium_id = $2 ORDER BY seq"
    );
    tx.all(&sql, &[&tenant, id]).await
}
