//! Recorders over HTTP, for the administrator.

use std::time::Duration;

use axum::extract::State as Extract;
use axum::http::StatusCode;
use base::permission::{Configures, Oversees};
use base::{ApiError, Ctx, Json, Page, Paged, Path, Query, Staff, audit};
use records::Timestamp;
use records::footage::DockingReport;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Scope, StoreError, Tx};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::store::{self as sql, Issue, Recorder};
use super::{State, Step, serial};

/// An issue that has not come back after this is overdue (超期未还).
const OVERDUE: Duration = Duration::from_secs(24 * 3600);

/// An issue.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct IssueView {
    /// Id.
    id: String,
    /// Who has it: staff id.
    holder: String,
    /// Name.
    holder_name: String,
    /// Order number.
    order: String,
    /// When it was given out.
    #[schema(value_type = String, format = DateTime)]
    issued_at: Timestamp,
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
            issued_at: i.issued_at,
            returned_at: i.returned_at,
        }
    }
}

/// A recorder.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct RecorderView {
    /// Serial number.
    serial: String,
    /// Make and model.
    model: String,
    /// Remark.
    note: String,
    /// `stock`, `issued`, `retired`, `deleted`.
    state: String,
    /// In words.
    state_text: String,
    /// On the white list: its footage is taken.
    listed: bool,
    /// Who has it now.
    issue: Option<IssueView>,
    /// It should have come back.
    overdue: bool,
    /// When it was last docked.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_docked_at: Option<Timestamp>,
}

impl RecorderView {
    fn of(recorder: Recorder, issue: Option<Issue>, docked: Option<Timestamp>, now: Timestamp) -> Self {
        Self {
            serial: recorder.serial,
            model: recorder.model,
            note: recorder.note,
            state: recorder.state.as_str().to_owned(),
            state_text: recorder.state.text().to_owned(),
            listed: recorder.listed,
            overdue: issue.as_ref().is_some_and(|i| now.since(i.issued_at) > OVERDUE),
            issue: issue.map(IssueView::from),
            last_docked_at: docked,
        }
    }
}

async fn view(tx: &mut Tx<'_>, recorder: Recorder) -> Result<RecorderView, StoreError> {
    let issue = sql::open_issue(tx, &recorder.serial).await?;
    let docked = sql::last_docked(tx).await?;
    let docked = docked
        .into_iter()
        .find(|(s, _)| *s == recorder.serial)
        .map(|(_, at)| at);
    Ok(RecorderView::of(recorder, issue, docked, tx.now()))
}

/// The hospital's recorders.
#[utoipa::path(get, path = "/admin/recorders", tag = "nursing", responses((status = 200, body = Vec<RecorderView>)))]
async fn list(Extract(ctx): Extract<Ctx>, staff: Staff<Oversees>) -> Result<Json<Vec<RecorderView>>, ApiError> {
    let views = ctx
        .store
        .read(&staff.scope(), |tx| {
            Box::pin(async move {
                let docked = sql::last_docked(tx).await?;
                let mut views = Vec::new();
                for recorder in sql::all(tx).await? {
                    let issue = sql::open_issue(tx, &recorder.serial).await?;
                    let at = docked.iter().find(|(s, _)| *s == recorder.serial).map(|(_, at)| *at);
                    views.push(RecorderView::of(recorder, issue, at, tx.now()));
                }
                Ok::<_, StoreError>(views)
            })
        })
        .await?;
    Ok(Json(views))
}

/// A recorder with its issues.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct RecorderDetail {
    /// The recorder.
    #[serde(flatten)]
    recorder: RecorderView,
    /// Who had it, newest first.
    issues: Vec<IssueView>,
}

/// A recorder with who had it.
#[utoipa::path(get, path = "/admin/recorders/{serial}", tag = "nursing", params(("serial" = String, Path)),
    responses((status = 200, body = RecorderDetail), (status = 404, body = base::error::ErrorBody)))]
async fn show(
    Extract(ctx): Extract<Ctx>,
    staff: Staff<Oversees>,
    Path(number): Path<String>,
) -> Result<Json<RecorderDetail>, ApiError> {
    let detail = ctx
        .store
        .read(&staff.scope(), move |tx| {
            let number = number.clone();
            Box::pin(async move {
                let recorder = sql::get(tx, &number).await?.ok_or_else(ApiError::not_found)?;
                let issues = sql::issues(tx, &number).await?;
                Ok::<_, ApiError>(RecorderDetail {
                    recorder: view(tx, recorder).await?,
                    issues: issues.into_iter().map(IssueView::from).collect(),
                })
            })
        })
        .await?;
    Ok(Json(detail))
}

/// A new recorder, or what is known of one.
#[derive(Clone, Debug, Deserialize, ToSchema)]
struct NewRecorder {
    /// Serial number as the recorder itself says it.
    serial: String,
    /// Make and model.
    #[serde(default)]
    model: String,
    /// Remark.
    #[serde(default)]
    note: String,
    /// Put on the white list at once.
    #[serde(default = "yes")]
    listed: bool,
}

const fn yes() -> bool {
    true
}

fn short(field: &'static str, text: &str) -> Result<String, ApiError> {
    let text = text.trim();
    if text.chars().count() > 100 || text.chars().any(char::is_control) {
        return Err(ApiError::field(field, "最多100个字，不能含控制字符"));
    }
    Ok(text.to_owned())
}

/// Takes a recorder in (新增), or changes model and remark of a known one (维护).
#[utoipa::path(post, path = "/admin/recorders", tag = "nursing", request_body = NewRecorder,
    responses((status = 201, body = RecorderView), (status = 422, body = base::error::ErrorBody)))]
async fn register(
    Extract(ctx): Extract<Ctx>,
    staff: Staff<Configures>,
    Json(new): Json<NewRecorder>,
) -> Result<(StatusCode, Json<RecorderView>), ApiError> {
    let number =
        serial(&new.serial).ok_or_else(|| ApiError::field("serial", "序列号应为3到40个字母、数字、“-”或“_”"))?;
    let (model, note) = (short("model", &new.model)?, short("note", &new.note)?);
    let view = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (number, model, note, listed) = (number.clone(), model.clone(), note.clone(), new.listed);
            Box::pin(async move {
                let known = sql::get(tx, &number).await?.filter(|r| r.state != State::Deleted);
                let recorder = Recorder {
                    serial: number,
                    model,
                    note,
                    state: known.as_ref().map_or(State::Stock, |r| r.state),
                    listed: known.as_ref().map_or(listed, |r| r.listed),
                    changed_at: tx.now(),
                };
                sql::put(tx, &recorder).await?;
                sql::announce(tx, &recorder).await?;
                let act = if known.is_some() {
                    "recorder.change"
                } else {
                    "recorder.register"
                };
                let detail = json!({ "model": recorder.model, "listed": recorder.listed });
                audit::record(tx, act, &recorder.serial, detail).await?;
                view(tx, recorder).await.map_err(ApiError::from)
            })
        })
        .await?;
    Ok((StatusCode::CREATED, Json(view)))
}

/// What is done, and with what.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(tag = "act", rename_all = "snake_case")]
enum Act {
    /// 添加白名单.
    List,
    /// 移除白名单.
    Unlist,
    /// 发放.
    Issue {
        /// Staff id of who gets it.
        holder: String,
        /// Number of the order it is for; may be empty.
        #[serde(default)]
        order: String,
    },
    /// 归还.
    Return,
    /// 停用.
    Retire,
    /// 启用.
    Restore,
    /// 删除.
    Delete,
}

impl Act {
    const fn step(&self) -> (Step, &'static str) {
        match self {
            Self::List => (Step::List, "recorder.list"),
            Self::Unlist => (Step::Unlist, "recorder.unlist"),
            Self::Issue { .. } => (Step::Issue, "recorder.issue"),
            Self::Return => (Step::Return, "recorder.return"),
            Self::Retire => (Step::Retire, "recorder.retire"),
            Self::Restore => (Step::Restore, "recorder.restore"),
            Self::Delete => (Step::Delete, "recorder.delete"),
        }
    }
}

/// Does something with a recorder: white list, issue, return, retire, restore, delete.
#[utoipa::path(post, path = "/admin/recorders/{serial}/acts", tag = "nursing", params(("serial" = String, Path)), request_body = Act,
    responses((status = 200, body = RecorderView), (status = 404, body = base::error::ErrorBody),
        (status = 409, body = base::error::ErrorBody), (status = 422, body = base::error::ErrorBody)))]
async fn act(
    Extract(ctx): Extract<Ctx>,
    staff: Staff<Configures>,
    Path(number): Path<String>,
    Json(wanted): Json<Act>,
) -> Result<Json<RecorderView>, ApiError> {
    let scope: Scope = staff.scope();
    let ids = ctx.ids.clone();
    let view = ctx
        .store
        .write(&scope, move |tx| {
            let (number, wanted, ids) = (number.clone(), wanted.clone(), ids.clone());
            Box::pin(async move {
                let mut recorder = sql::get(tx, &number).await?.ok_or_else(ApiError::not_found)?;
                let (step, word) = wanted.step();
                recorder.state = recorder
                    .state
                    .after(step, recorder.listed)
                    .map_err(|why| ApiError::conflict("recorder_state", why))?;
                let mut detail = json!({});
                match &wanted {
                    Act::List => recorder.listed = true,
                    Act::Unlist => recorder.listed = false,
                    Act::Issue { holder, order } => {
                        let order = short("order", order)?;
                        let name = sql::staff_name(tx, holder).await?;
                        let name = name.ok_or_else(|| ApiError::field("holder", "没有找到该人员"))?;
                        let id = sql::issue(tx, &ids, &number, (holder, &name), &order).await?;
                        detail = json!({ "issue": id, "holder": holder, "order": order });
                    }
                    Act::Return => {
                        if let Some(open) = sql::open_issue(tx, &number).await? {
                            let now = tx.now();
                            sql::give_back(tx, &open, now).await?;
                            detail = json!({ "issue": open.id });
                        }
                    }
                    Act::Retire | Act::Restore | Act::Delete => {}
                }
                sql::put(tx, &recorder).await?;
                if matches!(
                    step,
                    Step::List | Step::Unlist | Step::Retire | Step::Restore | Step::Delete
                ) {
                    sql::announce(tx, &recorder).await?;
                }
                audit::record(tx, word, &number, detail).await?;
                view(tx, recorder).await.map_err(ApiError::from)
            })
        })
        .await?;
    Ok(Json(view))
}

#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct WantedDockings {
    /// Of this recorder.
    serial: Option<String>,
    /// From 1.
    page: Option<u32>,
    /// Up to 100.
    size: Option<u32>,
}

/// A docking as the appliance reported it.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct DockingView {
    /// Id.
    id: String,
    /// Serial number; empty when it could not be told.
    serial: String,
    /// Where.
    place: String,
    /// State.
    state: String,
    /// Plain words.
    note: String,
    /// When it came.
    #[schema(value_type = String, format = DateTime)]
    arrived_at: Timestamp,
    /// Milliseconds its clock was ahead.
    clock_offset_ms: Option<i64>,
    /// Percent.
    battery: Option<u8>,
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

fn docking_view(report: Value) -> Option<DockingView> {
    let r: DockingReport = serde_json::from_value(report).ok()?;
    Some(DockingView {
        id: r.id.into_string(),
        serial: r.serial,
        place: r.place,
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

/// Dockings, newest first: also of recorders that are held because nobody knows them.
#[utoipa::path(get, path = "/admin/dockings", tag = "nursing", params(WantedDockings), responses((status = 200, body = Paged<DockingView>)))]
async fn dockings(
    Extract(ctx): Extract<Ctx>,
    staff: Staff<Oversees>,
    Query(wanted): Query<WantedDockings>,
) -> Result<Json<Paged<DockingView>>, ApiError> {
    let page = Page {
        page: wanted.page.unwrap_or(1),
        size: wanted.size.unwrap_or(20),
    };
    let number = wanted.serial.unwrap_or_default();
    let (rows, total) = ctx
        .store
        .read(&staff.scope(), move |tx| {
            let number = number.clone();
            Box::pin(async move { sql::dockings(tx, &number, page.limit(), page.offset()).await })
        })
        .await
        .map_err(|e: StoreError| e)?;
    Ok(Json(
        page.of(rows.into_iter().filter_map(docking_view).collect(), total),
    ))
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(list, register))
        .routes(routes!(show))
        .routes(routes!(act))
        .routes(routes!(dockings))
}
