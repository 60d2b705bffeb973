//! Recorders, issues and dockings as the administrator sees them.

use records::Timestamp;
use records::footage::DockingReport;
use records::id::EdgeId;
use serde::Serialize;
use store::{StoreError, Tx};
use utoipa::ToSchema;

use super::standing::{self, Known, RecorderSettings};
use super::store::{self as sql, Issue, Recorder};

/// An issue.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct IssueView {
    /// Id.
    id: String,
    /// Who has it: staff id.
    holder: String,
    /// Name.
    pub(super) holder_name: String,
    /// Order number.
    pub(super) order: String,
    /// Whom it is for, masked; empty when nobody was named.
    pub(super) patient_masked: String,
    /// When it was given out.
    #[schema(value_type = String, format = DateTime)]
    pub(super) issued_at: Timestamp,
    /// When it came back.
    #[schema(value_type = Option<String>, format = DateTime)]
    returned_at: Option<Timestamp>,
}

impl From<Issue> for IssueView {
    fn from(i: Issue) -> Self {
        Self {
            id: i.id.into_string(),
            holder: i.holder,
            holder_name: i.holder_name,
            order: i.order_no,
            patient_masked: i.patient_masked,
            issued_at: i.issued_at,
            returned_at: i.returned_at,
        }
    }
}

/// A recorder.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct RecorderView {
    /// Serial number.
    pub(super) serial: String,
    /// Make and model.
    pub(super) model: String,
    /// Remark.
    pub(super) note: String,
    /// `stock`, `issued`, `retired`, `deleted`.
    state: String,
    /// In words.
    pub(super) state_text: String,
    /// On the white list: its footage is taken.
    pub(super) listed: bool,
    /// Where it is expected: `docked`, `out`, `overdue`, `away`, `missing`, `unwanted`.
    standing: &'static str,
    /// In words, e.g. 已26小时未入坞.
    pub(super) standing_text: String,
    /// Who has it now.
    pub(super) issue: Option<IssueView>,
    /// It should have come back.
    overdue: bool,
    /// It was in no dock for longer than the hospital allows.
    missing: bool,
    /// When it was last docked.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_docked_at: Option<Timestamp>,
    /// Its last docking: where, in which state, with which charge.
    pub(super) docking: Option<DockingView>,
}

impl RecorderView {
    pub(super) fn of(
        recorder: Recorder,
        issue: Option<Issue>,
        returned_at: Option<Timestamp>,
        docking: Option<DockingView>,
        (now, limits): (Timestamp, RecorderSettings),
    ) -> Self {
        let issued_at = issue.as_ref().map(|i| i.issued_at);
        let left = docking.as_ref().map(|d| d.at);
        let known = Known {
            state: recorder.state,
            listed: recorder.listed,
            docked: docking.as_ref().is_some_and(|d| d.docked),
            seen_at: [issued_at, returned_at, left]
                .into_iter()
                .flatten()
                .fold(recorder.created_at, Timestamp::max),
            issued_at,
        };
        let at = standing::standing(known, now, limits);
        Self {
            serial: recorder.serial,
            model: recorder.model,
            note: recorder.note,
            state: recorder.state.as_str().to_owned(),
            state_text: recorder.state.text().to_owned(),
            listed: recorder.listed,
            standing: at.as_str(),
            standing_text: at.text(),
            overdue: issued_at.is_some_and(|at| standing::overdue(at, now, limits)),
            missing: matches!(at, standing::Standing::Missing { .. }),
            issue: issue.map(IssueView::from),
            last_docked_at: docking.as_ref().map(|d| d.arrived_at),
            docking,
        }
    }
}

/// One recorder as it stands.
pub(super) async fn view(tx: &mut Tx<'_>, recorder: Recorder) -> Result<RecorderView, StoreError> {
    let limits = base::settings::get(tx).await?;
    let issue = sql::open_issue(tx, &recorder.serial).await?;
    let returned = sql::last_returned(tx, &recorder.serial).await?;
    let docking = sql::last_docking(tx, &recorder.serial).await?.and_then(docking_view);
    Ok(RecorderView::of(recorder, issue, returned, docking, (tx.now(), limits)))
}

/// Every recorder that is not deleted, by serial number.
pub(super) async fn views(tx: &mut Tx<'_>) -> Result<Vec<RecorderView>, StoreError> {
    let limits = base::settings::get(tx).await?;
    let (issues, returns, dockings) = (
        sql::open_issues(tx).await?,
        sql::last_returns(tx).await?,
        sql::last_dockings(tx).await?,
    );
    let (all, now) = (sql::all(tx).await?, tx.now());
    let mut dockings: Vec<DockingView> = dockings.into_iter().filter_map(docking_view).collect();
    let view = |recorder: Recorder| {
        let issue = issues.iter().find(|i| i.serial == recorder.serial).cloned();
        let returned = returns.iter().find(|(s, _)| *s == recorder.serial).map(|(_, at)| *at);
        let at = dockings.iter().position(|d| d.serial == recorder.serial);
        let docking = at.map(|at| dockings.swap_remove(at));
        RecorderView::of(recorder, issue, returned, docking, (now, limits))
    };
    Ok(all.into_iter().map(view).collect())
}

/// A recorder with its issues.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct RecorderDetail {
    /// The recorder.
    #[serde(flatten)]
    pub(super) recorder: RecorderView,
    /// Who had it, newest first.
    pub(super) issues: Vec<IssueView>,
}

/// A docking as the appliance reported it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct DockingView {
    /// Id.
    id: String,
    /// The appliance.
    appliance: String,
    /// Serial number; empty when it could not be told.
    pub(super) serial: String,
    /// Where.
    pub(super) place: String,
    /// State.
    state: String,
    /// It stands there now, as far as the appliance has told.
    docked: bool,
    /// Plain words.
    note: String,
    /// When it came.
    #[schema(value_type = String, format = DateTime)]
    arrived_at: Timestamp,
    /// Milliseconds its clock was ahead.
    clock_offset_ms: Option<i64>,
    /// Percent.
    pub(super) battery: Option<u8>,
    /// Files.
    clips: u64,
    /// Their bytes.
    bytes: u64,
    /// Files cleared.
    cleared: u64,
    /// Pauses in the footage.
    #[schema(value_type = Vec<Object>)]
    gaps: Vec<records::footage::FootageGap>,
    /// When it came to this.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

/// States in which the recorder stands in its bay. After `interrupted` nobody looks at it: the appliance stopped.
const PRESENT: [&str; 7] = ["arrived", "held", "copying", "waiting", "clearing", "ready", "kept"];

/// What an appliance's report says; nothing when it cannot be read.
pub(crate) fn docking_view((appliance, report): (EdgeId, serde_json::Value)) -> Option<DockingView> {
    let r: DockingReport = serde_json::from_value(report).ok()?;
    Some(DockingView {
        id: r.id.into_string(),
        appliance: appliance.into_string(),
        serial: r.serial,
        place: r.place,
        docked: PRESENT.contains(&r.state.as_str()),
        state: r.state,
        note: r.note,
        arrived_at: r.arrived_at,
        clock_offset_ms: r.clock_offset_ms,
        battery: r.battery,
        clips: r.clips,
        bytes: r.bytes,
        cleared: r.cleared,
        gaps: r.gaps,
        at: r.at,
    })
}
