//! The trail of a document: a line for each transition, in a table of the document's kind, and each in the audit.

use records::{Actor, Timestamp};
use serde::Serialize;
use store::{FromValue, StoreError, Tx};
use utoipa::ToSchema;

/// A line of a document's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<State, Command> {
    /// From.
    pub from: State,
    /// To.
    pub to: State,
    /// By which command.
    pub command: Command,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: Actor,
    /// Why, in plain words.
    pub note: String,
}

/// A line of the trail.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct StepView {
    /// State reached.
    pub state: String,
    /// In words.
    pub state_text: String,
    /// By what.
    pub command: String,
    /// When.
    #[schema(value_type = String)]
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// Why.
    pub note: String,
}

/// Where a kind of document keeps its trail, and the words of its states and commands.
#[derive(Debug)]
pub(crate) struct Trail<State, Command> {
    /// Its table.
    pub(crate) table: &'static str,
    /// The column that names the document.
    pub(crate) of: &'static str,
    /// First part of its acts in the audit: `order` of `order.sign`.
    pub(crate) audit: &'static str,
    /// Word of a state.
    pub(crate) word: fn(State) -> &'static str,
    /// A state for people.
    pub(crate) text: fn(State) -> &'static str,
    /// Word of a command.
    pub(crate) command: fn(Command) -> &'static str,
}

impl<State: Copy, Command: Copy> Trail<State, Command> {
    /// Writes the line of a transition, and its place in the audit.
    pub(crate) async fn append(
        &self,
        tx: &mut Tx<'_>,
        id: &str,
        event: &Event<State, Command>,
    ) -> Result<(), StoreError> {
        let (tenant, actor, command) = (tx.tenant().clone(), event.by.to_string(), (self.command)(event.command));
        let (from, to) = ((self.word)(event.from), (self.word)(event.to));
        let Self { table, of, .. } = self;
        let sql = format!(
            "INSERT INTO {table}(tenant_id, {of}, seq, at, actor, command, from_state, to_state, note) \
             SELECT $1, $2, COALESCE(MAX(seq), 0) + 1, CAST($3 AS BIGINT), $4, $5, $6, $7, $8 FROM {table} \
             WHERE tenant_id = $1 AND {of} = $2"
        );
        tx.exec(
            &sql,
            &[&tenant, &id, &event.at, &actor, &command, &from, &to, &event.note],
        )
        .await?;
        let action = format!("{}.{command}", self.audit);
        base::audit::record(tx, &action, id, serde_json::json!({ "to": to })).await
    }

    /// The trail of a document, oldest first; `who` names an actor for people.
    pub(crate) async fn read(
        &self,
        tx: &mut Tx<'_>,
        id: &str,
        who: impl Fn(&str) -> String + Send,
    ) -> Result<Vec<StepView>, StoreError>
    where
        State: FromValue + Send,
    {
        let tenant = tx.tenant().clone();
        let Self { table, of, .. } = self;
        let sql = format!(
            "SELECT at, actor, command, to_state, note FROM {table} WHERE tenant_id = $1 AND {of} = $2 ORDER BY seq"
        );
        let steps: Vec<(Timestamp, String, String, State, String)> = tx.all(&sql, &[&tenant, &id]).await?;
        let view = |(at, actor, command, to, note): (Timestamp, String, String, State, String)| StepView {
            state: (self.word)(to).to_owned(),
            state_text: (self.text)(to).to_owned(),
            command,
            at,
            by: who(&actor),
            note,
        };
        Ok(steps.into_iter().map(view).collect())
    }
}
