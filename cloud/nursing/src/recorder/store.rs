//! SQL of recorders, issues and dockings; each change that the appliance must know of is appended in the same unit.

use base::hospital::appliance;
use records::footage::{DockingReport, IssueId, RecorderIssue, RecorderListed, RecorderReturn, RecorderUnlisted, kind};
use records::id::EdgeId;
use records::{Ids, Lane, PeerId, Timestamp};
use serde::Serialize;
use serde_json::Value;
use store::{StoreError, Tx};

use super::State;
use crate::patient::Marked;

store::row! {
    /// A recorder.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) struct Recorder {
        pub(crate) serial: String,
        pub(crate) model: String,
        pub(crate) note: String,
        pub(crate) state: State,
        pub(crate) listed: bool,
        /// When the hospital took it in; anew after it was deleted.
        pub(crate) created_at: Timestamp,
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
        pub(crate) patient_masked: String,
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
        created_at,
        ..
    } = recorder;
    tx.exec(
        "INSERT INTO nursing_recorder(tenant_id, serial, model, note, state, listed, created_at, changed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (tenant_id, serial) DO UPDATE SET model = EXCLUDED.model, note = EXCLUDED.note, state = EXCLUDED.state,
            listed = EXCLUDED.listed, created_at = EXCLUDED.created_at, changed_at = EXCLUDED.changed_at",
        &[&tenant, serial, model, note, state, listed, created_at, &now],
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

/// An issue by its id.
pub(crate) async fn issue_of(tx: &mut Tx<'_>, id: &str) -> Result<Option<Issue>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {} FROM nursing_issue WHERE tenant_id = $1 AND id = $2",
        Issue::COLUMNS
    );
    tx.opt(&sql, &[&tenant, &id]).await
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

/// Every issue that has not ended.
pub(crate) async fn open_issues(tx: &mut Tx<'_>) -> Result<Vec<Issue>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {} FROM nursing_issue WHERE tenant_id = $1 AND returned_at IS NULL ORDER BY issued_at DESC",
        Issue::COLUMNS
    );
    tx.all(&sql, &[&tenant]).await
}

/// When a recorder was last given back.
pub(crate) async fn last_returned(tx: &mut Tx<'_>, serial: &str) -> Result<Option<Timestamp>, StoreError> {
    let tenant = tx.tenant().clone();
    let (at,): (Option<Timestamp>,) = tx
        .one(
            "SELECT MAX(returned_at) FROM nursing_issue WHERE tenant_id = $1 AND serial = $2",
            &[&tenant, &serial],
        )
        .await?;
    Ok(at)
}

/// When each recorder was last given back.
pub(crate) async fn last_returns(tx: &mut Tx<'_>) -> Result<Vec<(String, Timestamp)>, StoreError> {
    let tenant = tx.tenant().clone();
    tx.all(
        "SELECT serial, MAX(returned_at) FROM nursing_issue WHERE tenant_id = $1 AND returned_at IS NOT NULL GROUP BY serial",
        &[&tenant],
    )
    .await
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

/// Whom an issue is for; nobody when the issue is not one of ours.
pub(crate) async fn patient_of(tx: &mut Tx<'_>, issue: &str) -> Result<Marked, StoreError> {
    let tenant = tx.tenant().clone();
    let row: Option<(String, String, String)> = tx
        .opt(
            "SELECT patient_masked, patient_name_index, patient_number_index FROM nursing_issue WHERE tenant_id = $1 AND id = $2",
            &[&tenant, &issue],
        )
        .await?;
    let marked = |(masked, name_index, number_index)| Marked {
        masked,
        name_index,
        number_index,
    };
    Ok(row.map(marked).unwrap_or_default())
}

/// Gives a recorder out.
pub(crate) async fn issue(
    tx: &mut Tx<'_>,
    ids: &Ids,
    serial: &str,
    (holder, holder_name): (&str, &str),
    order: &str,
    patient: &Marked,
) -> Result<IssueId, StoreError> {
    let (tenant, now, by) = (tx.tenant().clone(), tx.now(), tx.actor().to_string());
    let id = IssueId::generate(ids, now);
    tx.exec(
        "INSERT INTO nursing_issue(tenant_id, id, serial, holder, holder_name, order_no, issued_at, issued_by,
            patient_masked, patient_name_index, patient_number_index)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        &[
            &tenant,
            &id,
            &serial,
            &holder,
            &holder_name,
            &order,
            &now,
            &by,
            &patient.masked,
            &patient.name_index,
            &patient.number_index,
        ],
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
    send(tx, kind::RECORDER_RETURNED, &issue.serial, &body).await?;
    crate::order::store::recorder_back(tx, &issue.order_no, issue.id.as_str()).await
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
) -> Result<(Vec<(EdgeId, Value)>, u64), StoreError> {
    let tenant = tx.tenant().clone();
    let wanted = "tenant_id = $1 AND ($2 = '' OR serial = $2)";
    let (total,): (u64,) = tx
        .one(
            &format!("SELECT COUNT(*) FROM nursing_docking WHERE {wanted}"),
            &[&tenant, &serial],
        )
        .await?;
    let sql = format!(
        "SELECT appliance, report FROM nursing_docking WHERE {wanted} ORDER BY arrived_at DESC, id DESC LIMIT $3 OFFSET $4"
    );
    Ok((tx.all(&sql, &[&tenant, &serial, &limit, &offset]).await?, total))
}

/// The last docking of a recorder.
pub(crate) async fn last_docking(tx: &mut Tx<'_>, serial: &str) -> Result<Option<(EdgeId, Value)>, StoreError> {
    let (rows, _) = dockings(tx, serial, 1, 0).await?;
    Ok(rows.into_iter().next())
}

/// The last docking of each recorder.
pub(crate) async fn last_dockings(tx: &mut Tx<'_>) -> Result<Vec<(EdgeId, Value)>, StoreError> {
    let tenant = tx.tenant().clone();
    tx.all(
        "SELECT d.appliance, d.report FROM nursing_docking d WHERE d.tenant_id = $1 AND d.serial <> '' AND d.id =
            (SELECT l.id FROM nursing_docking l WHERE l.tenant_id = d.tenant_id AND l.serial = d.serial
             ORDER BY l.arrived_at DESC, l.id DESC LIMIT 1)",
        &[&tenant],
    )
    .await
}

/// One docking.
pub(crate) async fn docking(
    tx: &mut Tx<'_>,
    id: &records::footage::DockingId,
) -> Result<Option<(EdgeId, Value)>, StoreError> {
    let tenant = tx.tenant().clone();
    tx.opt(
        "SELECT appliance, report FROM nursing_docking WHERE tenant_id = $1 AND id = $2",
        &[&tenant, id],
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
