//! SQL of orders and their trail. A step writes row, trail and audit in one unit.

use base::ApiError;
use records::id::AccountId;
use records::{Ids, Timestamp};
use serde_json::{Value, json};
use store::{StoreError, Tx};

use super::facts::Sealed;
use super::{OrderId, State, Step};
use crate::patient::Marked;

store::row! {
    /// An order as stored.
    #[derive(Clone, Debug)]
    pub(crate) struct Order {
        pub(crate) id: OrderId,
        /// Its number for people, e.g. `HL202611220001`.
        pub(crate) no: String,
        pub(crate) state: State,
        pub(crate) service: String,
        /// When the nurse is expected.
        pub(crate) planned_at: Timestamp,
        pub(crate) patient_sealed: Vec<u8>,
        pub(crate) patient_masked: String,
        pub(crate) patient_name_index: String,
        pub(crate) patient_number_index: String,
        pub(crate) phone_index: String,
        /// Staff id; empty until assigned.
        pub(crate) nurse_id: String,
        pub(crate) nurse_name: String,
        /// The recorder the desk chose; empty: any.
        pub(crate) recorder: String,
        /// Its latest issue of a recorder; empty: none yet.
        pub(crate) issue_id: String,
        /// What the nurse wrote down, sealed.
        pub(crate) record_sealed: Option<Vec<u8>>,
        pub(crate) created_at: Timestamp,
        pub(crate) changed_at: Timestamp,
        pub(crate) started_at: Option<Timestamp>,
        pub(crate) finished_at: Option<Timestamp>,
    }
}

impl Order {
    /// The desk ended the visit and the nurse has not written down yet what was done.
    pub(super) const fn record_due(&self) -> bool {
        matches!(self.state, State::Finished) && self.record_sealed.is_none()
    }

    /// Goes to the state the step leads to; what the state forbids is refused in its words.
    pub(super) fn stepped(&mut self, step: Step) -> Result<(), ApiError> {
        let to = self.state.after(step);
        self.state = to.map_err(|why| ApiError::conflict("order_state", why))?;
        Ok(())
    }
}

store::row! {
    /// A step that was taken.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) struct Trail {
        pub(crate) step: String,
        pub(crate) state: State,
        pub(crate) at: Timestamp,
        pub(crate) actor_name: String,
        pub(crate) note: String,
    }
}

/// What the record is sealed for.
pub(crate) const RECORD: &str = "nursing.record";

/// The next number of a day: counted, so that two desks never give the same.
async fn next_no(tx: &mut Tx<'_>) -> Result<String, StoreError> {
    let (tenant, day) = (tx.tenant().clone(), tx.now().local_date().to_string().replace('-', ""));
    let (last,): (u64,) = tx
        .one(
            "INSERT INTO nursing_order_day(tenant_id, day, last) VALUES ($1, $2, 1)
             ON CONFLICT (tenant_id, day) DO UPDATE SET last = nursing_order_day.last + 1 RETURNING last",
            &[&tenant, &day],
        )
        .await?;
    Ok(format!("HL{day}{last:04}"))
}

/// What the desk orders.
#[derive(Clone, Debug)]
pub(crate) struct New {
    pub(crate) service: String,
    pub(crate) planned_at: Timestamp,
    pub(crate) sealed: Sealed,
    pub(crate) recorder: String,
}

/// A new order, not assigned.
pub(crate) async fn insert(tx: &mut Tx<'_>, ids: &Ids, new: &New) -> Result<OrderId, StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let (id, no) = (OrderId::generate(ids, now), next_no(tx).await?);
    tx.exec(
        "INSERT INTO nursing_order(tenant_id, id, no, state, service, planned_at, patient_sealed, patient_masked,
            patient_name_index, patient_number_index, phone_index, nurse_id, nurse_name, recorder, issue_id, created_at,
            changed_at)
         VALUES ($1, $2, $3, 'requested', $4, $5, $6, $7, $8, $9, $10, '', '', $11, '', $12, $12)",
        &[
            &tenant,
            &id,
            &no,
            &new.service,
            &new.planned_at,
            &new.sealed.body,
            &new.sealed.marked.masked,
            &new.sealed.marked.name_index,
            &new.sealed.marked.number_index,
            &new.sealed.phone_index,
            &new.recorder,
            &now,
        ],
    )
    .await?;
    Ok(id)
}

/// Changes what was ordered.
pub(crate) async fn change(tx: &mut Tx<'_>, id: &OrderId, new: &New) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.exec(
        "UPDATE nursing_order SET service = $3, planned_at = $4, patient_sealed = $5, patient_masked = $6,
            patient_name_index = $7, patient_number_index = $8, phone_index = $9, recorder = $10, changed_at = $11
         WHERE tenant_id = $1 AND id = $2",
        &[
            &tenant,
            id,
            &new.service,
            &new.planned_at,
            &new.sealed.body,
            &new.sealed.marked.masked,
            &new.sealed.marked.name_index,
            &new.sealed.marked.number_index,
            &new.sealed.phone_index,
            &new.recorder,
            &now,
        ],
    )
    .await
    .map(drop)
}

pub(crate) async fn get(tx: &mut Tx<'_>, id: &OrderId) -> Result<Option<Order>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {} FROM nursing_order WHERE tenant_id = $1 AND id = $2",
        Order::COLUMNS
    );
    tx.opt(&sql, &[&tenant, id]).await
}

/// By its id or its number.
pub(crate) async fn named(tx: &mut Tx<'_>, name: &str) -> Result<Option<Order>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {} FROM nursing_order WHERE tenant_id = $1 AND (id = $2 OR no = $2)",
        Order::COLUMNS
    );
    tx.opt(&sql, &[&tenant, &name]).await
}

/// Who takes a step.
#[derive(Clone, Debug)]
pub(crate) struct Who<'a> {
    /// Name for the trail; the unit knows the rest.
    pub(crate) name: &'a str,
    /// Why, in their words.
    pub(crate) note: &'a str,
}

/// Writes an order after a step that its state allowed: row, trail, audit.
pub(crate) async fn step(
    tx: &mut Tx<'_>,
    order: &Order,
    step: Step,
    who: Who<'_>,
    detail: Value,
) -> Result<(), StoreError> {
    let (tenant, now, actor) = (tx.tenant().clone(), tx.now(), tx.actor().to_string());
    tx.exec(
        "UPDATE nursing_order SET state = $3, nurse_id = $4, nurse_name = $5, recorder = $6, issue_id = $7, record_sealed = $8,
            started_at = $9, finished_at = $10, changed_at = $11 WHERE tenant_id = $1 AND id = $2",
        &[
            &tenant,
            &order.id,
            &order.state,
            &order.nurse_id,
            &order.nurse_name,
            &order.recorder,
            &order.issue_id,
            &order.record_sealed,
            &order.started_at,
            &order.finished_at,
            &now,
        ],
    )
    .await?;
    tx.exec(
        "INSERT INTO nursing_order_step(tenant_id, order_id, seq, step, state, at, actor, actor_name, note)
         VALUES ($1, $2, (SELECT COUNT(*) + 1 FROM nursing_order_step WHERE tenant_id = $1 AND order_id = $2),
            $3, $4, $5, $6, $7, $8)",
        &[
            &tenant,
            &order.id,
            &step.as_str(),
            &order.state,
            &now,
            &actor,
            &who.name,
            &who.note,
        ],
    )
    .await?;
    base::audit::record(tx, step.act(), order.id.as_str(), detail).await
}

/// What was done with an order, oldest first.
pub(crate) async fn trail(tx: &mut Tx<'_>, id: &OrderId) -> Result<Vec<Trail>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {} FROM nursing_order_step WHERE tenant_id = $1 AND order_id = $2 ORDER BY seq",
        Trail::COLUMNS
    );
    tx.all(&sql, &[&tenant, id]).await
}

/// Which orders a list shows; empty texts mean all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Whose: a nurse's staff id.
    pub(crate) nurse: String,
    /// `open`, `over`, or a state.
    pub(crate) state: String,
    /// Number of the order.
    pub(crate) no: String,
    /// The patient, by name or number.
    pub(crate) patient: Marked,
    /// The account's phone.
    pub(crate) phone_index: String,
    pub(crate) from: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
}

/// A finished order without its record waits for that: it is not over.
const WANTED: &str = "tenant_id = $1 AND ($2 = '' OR nurse_id = $2)
    AND ($3 = '' OR state = $3 OR ($3 = 'open' AND state <> 'cancelled' AND record_sealed IS NULL)
        OR ($3 = 'over' AND (state = 'cancelled' OR record_sealed IS NOT NULL)))
    AND ($4 = '' OR no = $4)
    AND ($5 = '' OR patient_name_index = $5 OR ($6 <> '' AND patient_number_index = $6))
    AND ($7 = '' OR phone_index = $7) AND planned_at >= $8 AND planned_at < $9";

/// Orders, those that are next first; what is over, latest first.
pub(crate) async fn search(
    tx: &mut Tx<'_>,
    filter: &Filter,
    limit: u32,
    offset: u64,
) -> Result<(Vec<Order>, u64), StoreError> {
    let tenant = tx.tenant().clone();
    let (from, until) = (
        filter.from.unwrap_or(Timestamp::from_micros(i64::MIN)),
        filter.until.unwrap_or(Timestamp::from_micros(i64::MAX)),
    );
    let wanted: [&dyn store::ToValue; 9] = [
        &tenant,
        &filter.nurse,
        &filter.state,
        &filter.no,
        &filter.patient.name_index,
        &filter.patient.number_index,
        &filter.phone_index,
        &from,
        &until,
    ];
    let (total,): (u64,) = tx
        .one(&format!("SELECT COUNT(*) FROM nursing_order WHERE {WANTED}"), &wanted)
        .await?;
    let sql = format!(
        "SELECT {} FROM nursing_order WHERE {WANTED}
         ORDER BY CASE WHEN state = 'cancelled' OR record_sealed IS NOT NULL THEN 1 ELSE 0 END,
            CASE WHEN state = 'cancelled' OR record_sealed IS NOT NULL THEN -planned_at ELSE planned_at END, id LIMIT $10 OFFSET $11",
        Order::COLUMNS
    );
    let mut page = wanted.to_vec();
    page.push(&limit);
    page.push(&offset);
    Ok((tx.all(&sql, &page).await?, total))
}

/// How many orders are in each state; of one nurse when their id is given. What is finished counts for the day it was.
pub(crate) async fn counts(
    tx: &mut Tx<'_>,
    nurse: &str,
    from: Timestamp,
    until: Timestamp,
) -> Result<Vec<(State, u64)>, StoreError> {
    let tenant = tx.tenant().clone();
    tx.all(
        "SELECT state, COUNT(*) FROM nursing_order WHERE tenant_id = $1 AND ($2 = '' OR nurse_id = $2)
            AND COALESCE(finished_at, planned_at) >= $3 AND COALESCE(finished_at, planned_at) < $4 GROUP BY state",
        &[&tenant, &nurse, &from, &until],
    )
    .await
}

/// The account that sees orders of this phone, when somebody signed in with it.
pub(crate) async fn account_of(tx: &mut Tx<'_>, phone_index: &str) -> Result<Option<AccountId>, StoreError> {
    let tenant = tx.tenant().clone();
    let row: Option<(AccountId,)> = tx
        .opt(
            "SELECT id FROM base_account WHERE tenant_id = $1 AND phone_index = $2",
            &[&tenant, &phone_index],
        )
        .await?;
    Ok(row.map(|(id,)| id))
}

/// By which an account's orders are found.
pub(crate) async fn phone_of(tx: &mut Tx<'_>, account: &AccountId) -> Result<String, StoreError> {
    let tenant = tx.tenant().clone();
    let (index,) = tx
        .one(
            "SELECT phone_index FROM base_account WHERE tenant_id = $1 AND id = $2",
            &[&tenant, account],
        )
        .await?;
    Ok(index)
}

/// Members of staff who may be given orders: id and name.
pub(crate) async fn nurses(tx: &mut Tx<'_>) -> Result<Vec<(String, String, String)>, StoreError> {
    let tenant = tx.tenant().clone();
    let all: Vec<(String, String, String, String)> = tx
        .all(
            "SELECT id, name, title, roles FROM base_staff WHERE tenant_id = $1 AND disabled_at IS NULL
                AND roles LIKE '%nurse%' ORDER BY name, id",
            &[&tenant],
        )
        .await?;
    let nurse = |roles: &str| roles.split(',').any(|r| r == base::Role::Nurse.as_str());
    Ok(all
        .into_iter()
        .filter(|(_, _, _, roles)| nurse(roles))
        .map(|(id, name, title, _)| (id, name, title))
        .collect())
}

/// The recorder of an order came back before its visit began: the nurse takes another.
pub(crate) async fn recorder_back(tx: &mut Tx<'_>, no: &str, issue: &str) -> Result<(), StoreError> {
    let Some(mut order) = named(tx, no).await?.filter(|o| o.issue_id == issue) else {
        return Ok(());
    };
    let Ok(state) = order.state.after(Step::PutBack) else {
        return Ok(());
    };
    order.state = state;
    let who = Who { name: "", note: "" };
    step(tx, &order, Step::PutBack, who, json!({ "issue": issue })).await
}

/// Finished visits of a nurse: service, beginning, end.
pub(crate) async fn finished(
    tx: &mut Tx<'_>,
    nurse: &str,
    from: Timestamp,
    until: Timestamp,
) -> Result<Vec<super::nurse::Done>, StoreError> {
    let tenant = tx.tenant().clone();
    tx.all(
        "SELECT service, started_at, finished_at FROM nursing_order WHERE tenant_id = $1 AND nurse_id = $2
            AND state = 'finished' AND finished_at >= $3 AND finished_at < $4",
        &[&tenant, &nurse, &from, &until],
    )
    .await
}
