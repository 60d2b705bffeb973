//! SQL of recorders, issues and dockings; each change that the appliance must know of is appended in the same unit.

use base::hospital::appliance;
use records::footage::{DockingReport, IssueId, RecorderIssue, RecorderListed, RecorderReturn, RecorderUnlisted, kind};
use records::{Ids, Lane, PeerId, Timestamp};
use serde::Serialize;
use serde_json::Value;
use store::{StoreError, Tx};

use super::State;

store::row! {
    /// A recorder.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) struct Recorder {
        pub(crate) serial: String,
        pub(crate) model: String,
        pub(crate) note: String,
        pub(crate) state: State,
        pub(crate) listed: bool,
        pub(crate) changed_at: Timestamp,
    }
}

store::row! {
    /// An issue.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) struct Issue {
        pub(crate) id: IssueId,
        pub(crate) serial: String,
        pub(crate) holder: String,
        pub(crate) holder_name: String,
        pub(crate) order_no: String,
        pub(crate) issued_at: Timestamp,
        pub(crate) returned_at: Option<Timestamp>,
    }
}

/// Every recorder that is not deleted, by serial number.
pub(crate) async fn all(tx: &mut Tx<'_>) -> Result<Vec<Recorder>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {} FROM nursing_recorder WHERE tenant_id = $1 AND state <> 'deleted' ORDER BY serial",
        Recorder::COLUMNS
    );
    tx.all(&sql, &[&tenant]).await
}

pub(crate) async fn get(tx: &mut Tx<'_>, serial: &str) -> Result<Option<Recorder>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {} FROM nursing_recorder WHERE tenant_id = $1 AND serial = $2",
        Recorder::COLUMNS
    );
    tx.opt(&sql, &[&tenant, &serial]).await
}

/// Writes a recorder as it is now and tells the appliance.
pub(crate) async fn put(tx: &mut Tx<'_>, recorder: &Recorder) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let Recorder {
        serial,
        model,
        note,
        state,
        listed,
        ..
    } = recorder;
    tx.exec(
        "INSERT INTO nursing_recorder(tenant_id, serial, model, note, state, listed, created_at, changed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
         ON CONFLICT (tenant_id, serial) DO UPDATE SET model = EXCLUDED.model, note = EXCLUDED.note, state = EXCLUDED.state,
            listed = EXCLUDED.listed, changed_at = EXCLUDED.changed_at",
        &[&tenant, serial, model, note, state, listed, &now],
    )
    .await
    .map(drop)
}

/// Tells the appliance whether a recorder's footage is taken.
pub(crate) async fn announce(tx: &mut Tx<'_>, recorder: &Recorder) -> Result<(), StoreError> {
    let at = tx.now();
    let active = recorder.listed && matches!(recorder.state, State::Stock | State::Issued);
    if active {
        let hospital = base::tenants::by_id(tx).await?.name;
        let body = RecorderListed {
            serial: recorder.serial.clone(),
            model: recorder.model.clone(),
            hospital,
            at,
        };
        send(tx, kind::RECORDER_LISTED, &recorder.serial, &body).await
    } else {
        let reason = if recorder.listed {
            recorder.state.text()
        } else {
            "已移出白名单"
        };
        let body = RecorderUnlisted {
            serial: recorder.serial.clone(),
            reason: reason.to_owned(),
            at,
        };
        send(tx, kind::RECORDER_UNLISTED, &recorder.serial, &body).await
    }
}

/// Appends an entry for the hospital's appliance; a hospital without one has nobody to tell.
pub(crate) async fn send<T: Serialize + Sync>(
    tx: &mut Tx<'_>,
    kind: &'static str,
    entity: &str,
    body: &T,
) -> Result<(), StoreError> {
    match appliance(tx).await? {
        Some(peer) => send_to(tx, &peer, kind, entity, body).await,
        None => Ok(()),
    }
}

pub(crate) async fn send_to<T: Serialize + Sync>(
    tx: &mut Tx<'_>,
    peer: &PeerId,
    kind: &'static str,
    entity: &str,
    body: &T,
) -> Result<(), StoreError> {
    let body = serde_json::to_value(body).map_err(|e| StoreError::Constraint { message: e.to_string() })?;
    tx.append(peer, Lane::Clinical, kind, entity, &body).await.map(drop)
}

/// The issue that has not ended.
pub(crate) async fn open_issue(tx: &mut Tx<'_>, serial: &str) -> Result<Option<Issue>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {} FROM nursing_issue WHERE tenant_id = $1 AND serial = $2 AND returned_at IS NULL
         ORDER BY issued_at DESC LIMIT 1",
        Issue::COLUMNS
    );
    tx.opt(&sql, &[&tenant, &serial]).await
}

/// Issues of a recorder, newest first.
pub(crate) async fn issues(tx: &mut Tx<'_>, serial: &str) -> Result<Vec<Issue>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {} FROM nursing_issue WHERE tenant_id = $1 AND serial = $2 ORDER BY issued_at DESC, id DESC LIMIT 200",
        Issue::COLUMNS
    );
    tx.all(&sql, &[&tenant, &serial]).await
}

/// Gives a recorder out.
pub(crate) async fn issue(
    tx: &mut Tx<'_>,
    ids: &Ids,
    serial: &str,
    (holder, holder_name): (&str, &str),
    order: &str,
) -> Result<IssueId, StoreError> {
    let (tenant, now, by) = (tx.tenant().clone(), tx.now(), tx.actor().to_string());
    let id = IssueId::generate(ids, now);
    tx.exec(
        "INSERT INTO nursing_issue(tenant_id, id, serial, holder, holder_name, order_no, issued_at, issued_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        &[&tenant, &id, &serial, &holder, &holder_name, &order, &now, &by],
    )
    .await?;
    let body = RecorderIssue {
        id: id.clone(),
        serial: serial.to_owned(),
        holder: holder.to_owned(),
        holder_name: holder_name.to_owned(),
        order: order.to_owned(),
        at: now,
    };
    send(tx, kind::RECORDER_ISSUED, serial, &body).await?;
    Ok(id)
}

/// Ends an issue.
pub(crate) async fn give_back(tx: &mut Tx<'_>, issue: &Issue, at: Timestamp) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    tx.exec(
        "UPDATE nursing_issue SET returned_at = $3 WHERE tenant_id = $1 AND id = $2",
        &[&tenant, &issue.id, &at],
    )
    .await?;
    let body = RecorderReturn {
        id: issue.id.clone(),
        serial: issue.serial.clone(),
        at,
    };
    send(tx, kind::RECORDER_RETURNED, &issue.serial, &body).await
}

/// Keeps a docking as reported; docking a recorder returns it.
///
/// # Errors
/// Of the database.
pub async fn docked(tx: &mut Tx<'_>, from: &PeerId, report: &DockingReport) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    let body = serde_json::to_value(report).unwrap_or_default();
    tx.exec(
        "INSERT INTO nursing_docking(tenant_id, id, appliance, serial, state, arrived_at, changed_at, report)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (tenant_id, id) DO UPDATE SET serial = EXCLUDED.serial, state = EXCLUDED.state,
            changed_at = EXCLUDED.changed_at, report = EXCLUDED.report",
        &[
            &tenant,
            &report.id,
            from,
            &report.serial,
            &report.state,
            &report.arrived_at,
            &report.at,
            &body,
        ],
    )
    .await?;
    if report.serial.is_empty() || report.state != "copying" {
        return Ok(());
    }
    let (Some(mut recorder), Some(open)) = (get(tx, &report.serial).await?, open_issue(tx, &report.serial).await?)
    else {
        return Ok(());
    };
    if open.issued_at > report.arrived_at {
        return Ok(());
    }
    if let Ok(state) = recorder.state.after(super::Step::Return, recorder.listed) {
        recorder.state = state;
        put(tx, &recorder).await?;
        give_back(tx, &open, report.arrived_at).await?;
        let detail = serde_json::json!({ "issue": open.id, "docking": report.id });
        base::audit::record(tx, "recorder.return", &report.serial, detail).await?;
    }
    Ok(())
}

/// Dockings, newest first; of one recorder when its number is given.
pub(crate) async fn dockings(
    tx: &mut Tx<'_>,
    serial: &str,
    limit: u32,
    offset: u64,
) -> Result<(Vec<Value>, u64), StoreError> {
    let tenant = tx.tenant().clone();
    let wanted = "tenant_id = $1 AND ($2 = '' OR serial = $2)";
    let (total,): (u64,) = tx
        .one(
            &format!("SELECT COUNT(*) FROM nursing_docking WHERE {wanted}"),
            &[&tenant, &serial],
        )
        .await?;
    let rows: Vec<(Value,)> = tx
        .all(
            &format!(
                "SELECT report FROM nursing_docking WHERE {wanted} ORDER BY arrived_at DESC, id DESC LIMIT $3 OFFSET $4"
            ),
            &[&tenant, &serial, &limit, &offset],
        )
        .await?;
    Ok((rows.into_iter().map(|(r,)| r).collect(), total))
}

/// When each recorder was last docked.
pub(crate) async fn last_docked(tx: &mut Tx<'_>) -> Result<Vec<(String, Timestamp)>, StoreError> {
    let tenant = tx.tenant().clone();
    tx.all(
        "SELECT serial, MAX(arrived_at) FROM nursing_docking WHERE tenant_id = $1 AND serial <> '' GROUP BY serial",
        &[&tenant],
    )
    .await
}

/// Name of a member of staff.
pub(crate) async fn staff_name(tx: &mut Tx<'_>, id: &str) -> Result<Option<String>, StoreError> {
    let tenant = tx.tenant().clone();
    let row: Option<(String,)> = tx
        .opt(
            "SELECT name FROM base_staff WHERE tenant_id = $1 AND id = $2 AND disabled_at IS NULL",
            &[&tenant, &id],
        )
        .await?;
    Ok(row.map(|(name,)| name))
}
