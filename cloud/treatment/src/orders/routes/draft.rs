//! Drafts: written, written anew, thrown away. Nothing is opened by them.

use axum::extract::State;
use axum::http::StatusCode;
use base::permission::Prescribes;
use base::session::Member;
use base::{ApiError, Ctx, Json, Path, Staff};
use care::consultation::{PartiesOfVisit, VisitState};
use records::id::{OrderId, VisitId};
use serde::Deserialize;
use store::Tx;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{catalogue, objected};
use crate::orders::policy::{self, Circumstances, Wish, Written};
use crate::orders::store::{self as table, Sheet};
use crate::orders::view::{self, Eye};
use crate::orders::{Kind, OrderView, State as Stands};
use crate::signed::{act, own};
use crate::{prescribing, visit};

/// A line as it comes from the app.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[schema(as = OrderDraftLine)]
struct DraftLine {
    /// Code of the examination or test.
    code: String,
    /// Executing department the doctor confirmed.
    department_code: String,
    /// Specimen of a test.
    #[serde(default)]
    specimen_code: Option<String>,
    /// Remark.
    #[serde(default)]
    note: String,
}

/// An order as it comes from the app.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[schema(as = OrderDraft)]
struct Draft {
    /// Examination or test.
    kind: Kind,
    /// Lines.
    items: Vec<DraftLine>,
    /// Purpose and clinical summary.
    #[serde(default)]
    purpose: String,
}

impl Draft {
    fn wishes(&self) -> Vec<Wish> {
        let wish = |l: &DraftLine| Wish {
            code: l.code.clone(),
            department_code: l.department_code.clone(),
            specimen_code: l.specimen_code.clone(),
            note: l.note.clone(),
        };
        // One more than fits is enough to be refused.
        self.items.iter().take(policy::MOST_LINES + 1).map(wish).collect()
    }
}

/// Orders are begun only while the doctor is seeing the patient.
fn in_progress(parties: &PartiesOfVisit) -> Result<(), ApiError> {
    match parties.visit.state {
        VisitState::InProgress => Ok(()),
        VisitState::Finished => Err(ApiError::conflict("visit_finished", "问诊已结束，不能再开检查检验")),
        _ => Err(ApiError::conflict("visit_state", "请先接诊")),
    }
}

pub(super) async fn circumstances(tx: &mut Tx<'_>, ctx: &Ctx, visit: &VisitId) -> Result<Circumstances, ApiError> {
    Ok(Circumstances {
        author: tx.actor().clone(),
        diagnoses: prescribing::diagnoses(tx, ctx, visit).await?,
    })
}

async fn written(tx: &mut Tx<'_>, ctx: &Ctx, visit: &VisitId, draft: &Draft) -> Result<Written, ApiError> {
    let wishes = draft.wishes();
    let c = circumstances(tx, ctx, visit).await?;
    let catalogue = catalogue::of(tx, draft.kind, &wishes).await?;
    policy::write(draft.kind, &wishes, draft.purpose.trim(), &catalogue, &c).map_err(|o| objected(&o))
}

fn fill(sheet: &mut Sheet, ctx: &Ctx, draft: &Draft, written: &Written, tx: &Tx<'_>) -> Result<(), ApiError> {
    sheet.kind = draft.kind;
    sheet.lines = serde_json::to_value(&written.lines).map_err(ApiError::internal)?;
    sheet.purpose_sealed = table::seal(&ctx.vault, tx.tenant(), draft.purpose.trim())?;
    sheet.total_fen = written.total_fen;
    sheet.written_at = tx.now();
    Ok(())
}

fn new_sheet(id: OrderId, parties: &PartiesOfVisit, member: &Member, kind: Kind, tx: &Tx<'_>) -> Sheet {
    let v = &parties.visit;
    Sheet {
        id,
        kind,
        edition: 1,
        visit_id: v.id.clone(),
        account_id: v.account_id.clone(),
        patient_id: v.patient_id.clone(),
        his_patient_id: parties.patient.his_patient_id.clone(),
        doctor_id: member.id.clone(),
        doctor_code: v.doctor_code.clone(),
        doctor_name: member.name.clone(),
        doctor_title: member.title.clone(),
        department_code: v.department_code.clone(),
        department_name: v.department_name.clone(),
        lines: serde_json::Value::Null,
        purpose_sealed: Vec::new(),
        total_fen: records::Fen(0),
        state: Stands::Draft,
        written_at: tx.now(),
        signed_at: None,
        his_number: None,
        bill_id: None,
        bill_fen: None,
        words: None,
        revoke_reason: None,
        verify_code: None,
        commands: 0,
        created_at: tx.now(),
    }
}

/// Writes a draft.
#[utoipa::path(post, path = "/doctor/visits/{id}/orders", tag = "order",
    params(("id" = String, Path)), request_body = Draft,
    responses((status = 201, body = OrderView), (status = 422, body = base::error::ErrorBody)))]
async fn create(
    State(ctx): State<Ctx>,
    staff: Staff<Prescribes>,
    Path(id): Path<String>,
    Json(draft): Json<Draft>,
) -> Result<(StatusCode, Json<OrderView>), ApiError> {
    let id = VisitId::parse(&id).ok_or_else(ApiError::not_found)?;
    catalogue::ready(&ctx, &staff.tenant).await?;
    let (own_ctx, member) = (ctx.clone(), staff.member.clone());
    let number = OrderId::generate(&ctx.ids, ctx.now());
    let view = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (ctx, member) = (own_ctx.clone(), member.clone());
            let (id, draft, number) = (id.clone(), draft.clone(), number.clone());
            Box::pin(async move {
                let parties = visit::of_doctor(tx, &ctx.vault, &id, &member.his_code).await?;
                in_progress(&parties)?;
                let written = written(tx, &ctx, &id, &draft).await?;
                let mut sheet = new_sheet(number, &parties, &member, draft.kind, tx);
                fill(&mut sheet, &ctx, &draft, &written, tx)?;
                table::insert(tx, &sheet).await?;
                base::audit::record(tx, "order.write", sheet.id.as_str(), serde_json::json!({})).await?;
                Ok::<_, ApiError>(view::of(tx, &ctx, &sheet, Eye::Doctor).await?)
            })
        })
        .await?;
    Ok((StatusCode::CREATED, Json(view)))
}

/// Writes the draft anew.
#[utoipa::path(put, path = "/doctor/orders/{id}", tag = "order",
    params(("id" = String, Path)), request_body = Draft,
    responses((status = 200, body = OrderView), (status = 409, body = base::error::ErrorBody)))]
async fn change(
    State(ctx): State<Ctx>,
    staff: Staff<Prescribes>,
    Path(id): Path<String>,
    Json(draft): Json<Draft>,
) -> Result<Json<OrderView>, ApiError> {
    catalogue::ready(&ctx, &staff.tenant).await?;
    act(&ctx, &staff, &id, move |tx, ctx, mut sheet: Sheet| {
        let draft = draft.clone();
        Box::pin(async move {
            sheet.order()?.may_edit(&tx.actor().clone())?;
            let written = written(tx, &ctx, &sheet.visit_id, &draft).await?;
            fill(&mut sheet, &ctx, &draft, &written, tx)?;
            sheet.edition += 1;
            table::save(tx, &sheet).await?;
            Ok(sheet)
        })
    })
    .await
}

/// Throws a draft away.
#[utoipa::path(delete, path = "/doctor/orders/{id}", tag = "order",
    params(("id" = String, Path)), responses((status = 204), (status = 409, body = base::error::ErrorBody)))]
async fn discard(
    State(ctx): State<Ctx>,
    staff: Staff<Prescribes>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let id = OrderId::parse(&id).ok_or_else(ApiError::not_found)?;
    let member = staff.member.clone();
    ctx.store
        .write(&staff.scope(), move |tx| {
            let (member, id) = (member.clone(), id.clone());
            Box::pin(async move {
                let sheet: Sheet = own(tx, &member, &id).await?;
                sheet.order()?.may_edit(&tx.actor().clone())?;
                Ok::<_, ApiError>(table::discard(tx, &id).await?)
            })
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(change, discard))
}
