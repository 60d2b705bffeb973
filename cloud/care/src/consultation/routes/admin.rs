//! The administrator's view: search, export, the whole trail.

use std::borrow::Cow;

use axum::extract::State;
use axum::response::Response;
use base::permission::Oversees;
use base::{ApiError, Ctx, Json, Page, Paged, Path, Query, Staff, audit, csv};
use money::{PaymentStep, PaymentView};
use records::{LocalDate, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::effects::SUBJECT;
use super::super::lists::{self, Filter};
use super::super::orders::{self, Order};
use super::super::trail::{self, Step};
use super::super::view::{Eyes, VisitView, view};
use super::super::{ConsultationSettings, VisitState, store as sql};
use super::{MaybeExtras, extras, views, visit_id};
use crate::CareError;
use crate::patients::store::NAME;

/// Rows of one export.
const EXPORTED: u32 = 10_000;

#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Visit id, HIS order number, doctor's name, or the patient's whole name.
    q: Option<String>,
    /// State, also the one it ended in before its money went back.
    state: Option<String>,
    /// Department.
    department_code: Option<String>,
    /// First day of booking (`YYYY-MM-DD`).
    from: Option<String>,
    /// Last day of booking.
    to: Option<String>,
    /// From 1.
    page: Option<u32>,
    /// Up to 100.
    size: Option<u32>,
}

fn day(field: &'static str, text: Option<&String>) -> Result<Option<LocalDate>, ApiError> {
    text.filter(|t| !t.is_empty())
        .map(|t| LocalDate::parse(t).map_err(|_| ApiError::field(field, "日期应为YYYY-MM-DD")))
        .transpose()
}

impl Wanted {
    fn filter(&self, ctx: &Ctx, tenant: &TenantId) -> Result<Filter, ApiError> {
        let text = self.q.as_deref().unwrap_or_default().trim().to_owned();
        let state = self.state.clone().unwrap_or_default();
        if !state.is_empty() && VisitState::parse(&state).is_none() {
            return Err(ApiError::field("state", "没有这种问诊状态"));
        }
        Ok(Filter {
            name_index: ctx.vault.index(tenant, NAME, &crate::patients::name::standard(&text))?,
            text,
            state,
            department: self.department_code.clone().unwrap_or_default(),
            from: day("from", self.from.as_ref())?,
            to: day("to", self.to.as_ref())?,
        })
    }
}

/// Visits of the hospital, newest first.
#[utoipa::path(get, path = "/admin/visits", tag = "admin", params(Wanted), responses((status = 200, body = Paged<VisitView>)))]
async fn list(
    State(ctx): State<Ctx>,
    given: MaybeExtras,
    staff: Staff<Oversees>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Paged<VisitView>>, ApiError> {
    let filter = wanted.filter(&ctx, &staff.tenant)?;
    let page = Page {
        page: wanted.page.unwrap_or(1),
        size: wanted.size.unwrap_or(20),
    };
    let (deps, extras) = (ctx.clone(), extras(given));
    let (items, total) = ctx
        .store
        .read(&staff.scope(), move |tx| {
            let (deps, extras, filter) = (deps.clone(), extras.clone(), filter.clone());
            Box::pin(async move {
                let (rows, total) = lists::of_hospital(tx, &filter, page.limit(), page.offset()).await?;
                Ok::<_, CareError>((views(tx, &deps, &extras, &rows, Eyes::Admin).await?, total))
            })
        })
        .await?;
    Ok(Json(page.of(items, total)))
}

/// A payment with its history.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct PaymentDetail {
    /// Payment.
    #[serde(flatten)]
    payment: PaymentView,
    /// Its history.
    history: Vec<PaymentStep>,
}

/// A line of the trail.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct TrailLine {
    /// When.
    at: String,
    /// Who, as an id.
    by: String,
    /// Who, in words.
    by_text: String,
    /// What happened.
    event: String,
    /// State before.
    from: String,
    /// State after.
    to: String,
    /// State after, in words.
    to_text: String,
    /// Why.
    note: String,
}

impl TrailLine {
    fn of(step: Step) -> Self {
        let by_text = match step.actor.split('_').next().unwrap_or_default() {
            "acc" => "患者",
            "stf" => "医护人员",
            "his" => "医院系统",
            "channel" => "支付渠道",
            "edg" => "前置机",
            _ => "系统",
        };
        Self {
            at: step.at.to_string(),
            by: step.actor,
            by_text: by_text.to_owned(),
            event: step.word,
            to_text: VisitState::parse(&step.to_state)
                .map_or("", VisitState::text)
                .to_owned(),
            from: step.from_state,
            to: step.to_state,
            note: step.note,
        }
    }
}

/// A visit with everything that happened to it.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct VisitDetail {
    /// The visit.
    #[serde(flatten)]
    visit: VisitView,
    /// The HIS's order number.
    his_order_number: Option<String>,
    /// What the HIS knows.
    his: String,
    /// Each transition: who, when, why.
    trail: Vec<TrailLine>,
    /// Payments.
    payments: Vec<PaymentDetail>,
    /// Orders to the HIS and what became of them.
    commands: Vec<Order>,
}

/// A visit with its whole trail.
#[utoipa::path(get, path = "/admin/visits/{id}", tag = "admin", params(("id" = String, Path)), responses((status = 200, body = VisitDetail)))]
async fn show(
    State(ctx): State<Ctx>,
    given: MaybeExtras,
    staff: Staff<Oversees>,
    Path(id): Path<String>,
) -> Result<Json<VisitDetail>, ApiError> {
    let (id, deps, extras) = (visit_id(&id)?, ctx.clone(), extras(given));
    let detail = ctx
        .store
        .read(&staff.scope(), move |tx| {
            let (id, deps, extras) = (id.clone(), deps.clone(), extras.clone());
            Box::pin(async move {
                let visit = sql::get(tx, &id).await?;
                let rules: ConsultationSettings = base::settings::get(tx).await?;
                let mut payments = Vec::new();
                for payment in money::payments_of(tx, SUBJECT, id.as_str()).await? {
                    payments.push(PaymentDetail {
                        history: money::history(tx, &payment.id).await?,
                        payment: PaymentView::load(tx, payment).await?,
                    });
                }
                Ok::<_, CareError>(VisitDetail {
                    trail: trail::trail(tx, &id).await?.into_iter().map(TrailLine::of).collect(),
                    commands: orders::of_visit(tx, &id).await?,
                    his_order_number: visit.his_order_number.clone(),
                    his: visit.his.as_str().to_owned(),
                    visit: view(tx, &deps, &extras, &rules, &visit, Eyes::Admin).await?,
                    payments,
                })
            })
        })
        .await?;
    Ok(Json(detail))
}

fn table(visits: &[VisitView]) -> String {
    let head = [
        "问诊编号",
        "状态",
        "患者",
        "科室",
        "医生",
        "职称",
        "就诊日期",
        "时段",
        "费用（元）",
        "支付状态",
        "下单时间",
        "报到时间",
        "接诊时间",
        "结束时间",
        "说明",
    ];
    let rows = visits.iter().map(|v| {
        let time = |t: Option<records::Timestamp>| t.map(records::Timestamp::local_text).unwrap_or_default();
        let row = [
            v.id.clone(),
            v.state_text.clone(),
            v.patient.name_masked.clone(),
            v.department_name.clone(),
            v.doctor.name.clone(),
            v.doctor.title.clone(),
            v.slot.date.to_string(),
            format!("{}-{}", v.slot.begin, v.slot.end),
            records::Fen(v.fee_fen).to_string(),
            v.payment.as_ref().map(|p| p.state_text.clone()).unwrap_or_default(),
            v.created_at.local_text(),
            time(v.checked_in_at),
            time(v.accepted_at),
            time(v.finished_at),
            v.message.clone().unwrap_or_default(),
        ];
        row.map(Cow::Owned).to_vec()
    });
    csv::table(std::iter::once(head.map(Cow::Borrowed).to_vec()).chain(rows))
}

/// The same list as a table for spreadsheets.
#[utoipa::path(get, path = "/admin/visits.csv", tag = "admin", params(Wanted),
    responses((status = 200, description = "text/csv, UTF-8 with BOM", body = String, content_type = "text/csv")))]
async fn export(
    State(ctx): State<Ctx>,
    given: MaybeExtras,
    staff: Staff<Oversees>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, ApiError> {
    let filter = wanted.filter(&ctx, &staff.tenant)?;
    let (deps, extras) = (ctx.clone(), extras(given));
    let items = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (deps, extras, filter) = (deps.clone(), extras.clone(), filter.clone());
            Box::pin(async move {
                let (rows, total) = lists::of_hospital(tx, &filter, EXPORTED, 0).await?;
                audit::record(
                    tx,
                    "visit.export",
                    "visits.csv",
                    json!({ "rows": rows.len(), "total": total }),
                )
                .await?;
                views(tx, &deps, &extras, &rows, Eyes::Admin).await
            })
        })
        .await
        .map_err(ApiError::from)?;
    Ok(csv::download("visits.csv", table(&items)))
}

pub(super) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(export))
        .routes(routes!(show))
}
