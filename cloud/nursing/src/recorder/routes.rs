//! Recorders over HTTP, for the administrator.

use std::borrow::Cow;

use axum::extract::State as Extract;
use axum::http::StatusCode;
use axum::response::Response;
use base::permission::{Configures, Oversees};
use base::{ApiError, Ctx, Json, Page, Paged, Path, Query, Staff, audit, csv};
use records::Timestamp;
use serde::Deserialize;
use serde_json::json;
use store::{Scope, StoreError};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::store::{self as sql, Recorder};
use super::view::{DockingView, IssueView, RecorderDetail, RecorderView, docking_view, view, views};
use super::{State, Step, serial};
use crate::patient::Marked;

/// The hospital's recorders.
#[utoipa::path(get, path = "/admin/recorders", tag = "nursing", responses((status = 200, body = Vec<RecorderView>)))]
async fn list(Extract(ctx): Extract<Ctx>, staff: Staff<Oversees>) -> Result<Json<Vec<RecorderView>>, ApiError> {
    let all = ctx.store.read(&staff.scope(), |tx| Box::pin(views(tx))).await;
    Ok(Json(all.map_err(|e: StoreError| e)?))
}

fn table(recorders: &[RecorderView]) -> String {
    let head = [
        "序列号",
        "型号",
        "备注",
        "状态",
        "白名单",
        "去向",
        "持有人",
        "订单号",
        "就诊人",
        "发放时间",
        "最近卡位",
        "电量",
    ];
    let rows = recorders.iter().map(|r| {
        let issue = r.issue.as_ref();
        let docking = r.docking.as_ref();
        let row = [
            r.serial.clone(),
            r.model.clone(),
            r.note.clone(),
            r.state_text.clone(),
            if r.listed { "是" } else { "否" }.to_owned(),
            r.standing_text.clone(),
            issue.map(|i| i.holder_name.clone()).unwrap_or_default(),
            issue.map(|i| i.order.clone()).unwrap_or_default(),
            issue.map(|i| i.patient_masked.clone()).unwrap_or_default(),
            issue
                .map(|i| i.issued_at)
                .map(Timestamp::local_text)
                .unwrap_or_default(),
            docking.map(|d| d.place.clone()).unwrap_or_default(),
            docking
                .and_then(|d| d.battery)
                .map(|b| format!("{b}%"))
                .unwrap_or_default(),
        ];
        row.map(Cow::Owned).to_vec()
    });
    csv::table(std::iter::once(head.map(Cow::Borrowed).to_vec()).chain(rows))
}

/// All recorders as a table for spreadsheets.
#[utoipa::path(get, path = "/admin/recorders.csv", tag = "nursing",
    responses((status = 200, description = "text/csv, UTF-8 with BOM", body = String, content_type = "text/csv")))]
async fn export(Extract(ctx): Extract<Ctx>, staff: Staff<Oversees>) -> Result<Response, ApiError> {
    let all = ctx
        .store
        .write(&staff.scope(), |tx| {
            Box::pin(async move {
                let all = views(tx).await?;
                audit::record(tx, "recorder.export", "recorders.csv", json!({ "rows": all.len() })).await?;
                Ok::<_, StoreError>(all)
            })
        })
        .await?;
    Ok(csv::download("recorders.csv", table(&all)))
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
                    created_at: known.as_ref().map_or(tx.now(), |r| r.created_at),
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
#[derive(Clone, Deserialize, ToSchema)]
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
        /// Name of the patient it is for, by which the footage is found; only its mask is shown again. May be empty.
        #[serde(default)]
        patient_name: String,
        /// The patient's card or outpatient number; may be empty.
        #[serde(default)]
        patient_number: String,
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
    let (ids, deps) = (ctx.ids.clone(), ctx.clone());
    let view = ctx
        .store
        .write(&scope, move |tx| {
            let (number, wanted, ids, deps) = (number.clone(), wanted.clone(), ids.clone(), deps.clone());
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
                    Act::Issue {
                        holder,
                        order,
                        patient_name,
                        patient_number,
                    } => {
                        let order = short("order", order)?;
                        let patient = Marked::of(&deps, tx.tenant(), patient_name, patient_number)?;
                        let name = sql::staff_name(tx, holder).await?;
                        let name = name.ok_or_else(|| ApiError::field("holder", "没有找到该人员"))?;
                        let id = sql::issue(tx, &ids, &number, (holder, &name), &order, &patient).await?;
                        detail = json!({ "issue": id, "holder": holder, "order": order, "patient": patient.masked });
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
        .routes(routes!(export))
        .routes(routes!(show))
        .routes(routes!(act))
        .routes(routes!(dockings))
}
