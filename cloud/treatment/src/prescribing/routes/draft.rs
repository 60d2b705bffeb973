//! Drafts: written, written anew, thrown away.

use axum::extract::State;
use axum::http::StatusCode;
use base::permission::Prescribes;
use base::session::Member;
use base::{ApiError, Ctx, Json, Path, Staff};
use care::consultation::PartiesOfVisit;
use records::id::{PrescriptionId, VisitId};
use serde::{Deserialize, Deserializer, Serialize};
use store::Tx;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{diagnoses, objected};
use crate::prescribing::policy::{self, Circumstances, Wish, Written};
use crate::prescribing::store::{self as table, Chart};
use crate::prescribing::{Edit, HerbalWish, Kind, PrescriptionView, State as Stands};
use crate::signed::{Document as _, act, own};
use crate::{catalogue, visit};

/// A decimal that came as text or as number.
fn decimal<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Text(String),
        Number(serde_json::Number),
    }
    Ok(match Either::deserialize(d)? {
        Either::Text(text) => text,
        Either::Number(number) => number.to_string(),
    })
}

/// A line as it comes from the app.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct DraftLine {
    /// Drug or herb code.
    pub(crate) drug_code: String,
    /// Western: single dose.
    #[serde(default, deserialize_with = "decimal")]
    pub(crate) dose: String,
    /// Western: its unit.
    #[serde(default)]
    pub(crate) dose_unit: String,
    /// Western: route.
    #[serde(default)]
    pub(crate) route_code: String,
    /// Western: frequency.
    #[serde(default)]
    pub(crate) frequency_code: String,
    /// Western: days.
    #[serde(default)]
    pub(crate) days: u32,
    /// Western: packs.
    #[serde(default)]
    pub(crate) quantity: u32,
    /// Western: unit of the packs.
    #[serde(default)]
    pub(crate) quantity_unit: String,
    /// Herbal: grams per dose.
    #[serde(default)]
    pub(crate) dose_g: u32,
    /// Remark.
    #[serde(default)]
    pub(crate) note: String,
}

/// A prescription as it comes from the app.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct Draft {
    /// Western or herbal.
    pub(crate) kind: Kind,
    /// Lines.
    pub(crate) items: Vec<DraftLine>,
    /// Herbal part.
    #[serde(default)]
    pub(crate) herbal: Option<HerbalWish>,
}

impl Draft {
    fn wishes(&self) -> Result<Vec<Wish>, ApiError> {
        let long = |l: &DraftLine| l.note.chars().count() > 200;
        if self.items.len() > 60 || self.items.iter().any(long) {
            return Err(ApiError::field("items", "药品过多或备注过长（备注不超过200字）"));
        }
        if self.herbal.as_ref().is_some_and(|h| h.usage.chars().count() > 200) {
            return Err(ApiError::field("herbal.usage", "用法不超过200字"));
        }
        let wish = |l: &DraftLine| Wish {
            drug_code: l.drug_code.clone(),
            dose: l.dose.clone(),
            dose_unit: l.dose_unit.clone(),
            route_code: l.route_code.clone(),
            frequency_code: l.frequency_code.clone(),
            days: l.days,
            quantity: l.quantity,
            quantity_unit: l.quantity_unit.clone(),
            dose_g: l.dose_g,
            note: l.note.clone(),
        };
        Ok(self.items.iter().map(wish).collect())
    }
}

pub(super) async fn circumstances(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    parties: &PartiesOfVisit,
) -> Result<Circumstances, ApiError> {
    Ok(Circumstances {
        author: tx.actor().clone(),
        follow_up: visit::is_follow_up(parties),
        birth_date: parties.patient.birth_date,
        has_guardian: visit::children_have_guardians(tx).await?,
        diagnoses: diagnoses(tx, ctx, &parties.visit.id).await?,
        today: tx.now().local_date(),
    })
}

async fn written(tx: &mut Tx<'_>, ctx: &Ctx, parties: &PartiesOfVisit, draft: &Draft) -> Result<Written, ApiError> {
    let wishes = draft.wishes()?;
    let c = circumstances(tx, ctx, parties).await?;
    let catalogue = catalogue::of(tx, &wishes).await?;
    policy::write(draft.kind, &wishes, draft.herbal.as_ref(), &catalogue, &c).map_err(|o| objected(&o))
}

fn new_chart(id: PrescriptionId, parties: &PartiesOfVisit, member: &Member, kind: Kind, tx: &Tx<'_>) -> Chart {
    let v = &parties.visit;
    Chart {
        id,
        revision: 1,
        revises: None,
        edition: 1,
        visit_id: v.id.clone(),
        account_id: v.account_id.clone(),
        patient_id: v.patient_id.clone(),
        his_patient_id: parties.patient.his_patient_id.clone(),
        patient_masked: visit::masked(&parties.patient.name),
        doctor_id: member.id.clone(),
        doctor_code: v.doctor_code.clone(),
        doctor_name: member.name.clone(),
        doctor_title: member.title.clone(),
        department_code: v.department_code.clone(),
        department_name: v.department_name.clone(),
        kind,
        lines: serde_json::Value::Null,
        herbal: None,
        total_fen: records::Fen(0),
        state: Stands::Draft,
        written_at: tx.now(),
        valid_until: None,
        pharmacist_id: None,
        pharmacist_name: None,
        pharmacist_title: None,
        reviewed_at: None,
        opinion: None,
        his_number: None,
        bill_id: None,
        bill_fen: None,
        fulfilment: None,
        address_sealed: None,
        pickup_code: None,
        courier: None,
        waybill: None,
        collect_at: None,
        his_order_number: None,
        appeal: None,
        verify_code: None,
        needs_hand: None,
        retries: 0,
        pdf_blob: None,
        pdf_sha256: None,
        created_at: tx.now(),
    }
}

impl Chart {
    fn fill(&mut self, kind: Kind, written: Written, tx: &Tx<'_>) {
        self.kind = kind;
        self.lines = serde_json::to_value(&written.lines).unwrap_or_default();
        self.herbal = written.herbal.as_ref().and_then(|h| serde_json::to_value(h).ok());
        self.total_fen = written.total_fen;
        self.written_at = tx.now();
    }
}

/// Writes a draft.
#[utoipa::path(post, path = "/doctor/visits/{id}/prescriptions", tag = "prescription", params(("id" = String, Path)),
    request_body = Draft, responses((status = 201, body = PrescriptionView), (status = 422, body = base::error::ErrorBody)))]
async fn create(
    State(ctx): State<Ctx>,
    staff: Staff<Prescribes>,
    Path(id): Path<String>,
    Json(draft): Json<Draft>,
) -> Result<(StatusCode, Json<PrescriptionView>), ApiError> {
    let id = VisitId::parse(&id).ok_or_else(ApiError::not_found)?;
    catalogue::ready(&ctx, &staff.tenant).await?;
    let (own_ctx, member) = (ctx.clone(), staff.member.clone());
    let number = PrescriptionId::generate(&ctx.ids, ctx.now());
    let view = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (ctx, member) = (own_ctx.clone(), member.clone());
            let (id, draft, number) = (id.clone(), draft.clone(), number.clone());
            Box::pin(async move {
                let parties = visit::of_doctor(tx, &ctx.vault, &id, &member.his_code).await?;
                visit::in_progress(&parties)?;
                let written = written(tx, &ctx, &parties, &draft).await?;
                let mut chart = new_chart(number, &parties, &member, draft.kind, tx);
                chart.fill(draft.kind, written, tx);
                table::insert(tx, &chart).await?;
                base::audit::record(tx, "prescription.write", chart.id.as_str(), serde_json::json!({})).await?;
                chart.shown(tx, &ctx, &member).await
            })
        })
        .await?;
    Ok((StatusCode::CREATED, Json(view)))
}

/// Writes the draft anew.
#[utoipa::path(put, path = "/doctor/prescriptions/{id}", tag = "prescription", params(("id" = String, Path)),
    request_body = Draft, responses((status = 200, body = PrescriptionView), (status = 409, body = base::error::ErrorBody)))]
async fn change(
    State(ctx): State<Ctx>,
    staff: Staff<Prescribes>,
    Path(id): Path<String>,
    Json(draft): Json<Draft>,
) -> Result<Json<PrescriptionView>, ApiError> {
    catalogue::ready(&ctx, &staff.tenant).await?;
    act(&ctx, &staff, &id, move |tx, ctx, mut chart: Chart| {
        let draft = draft.clone();
        Box::pin(async move {
            chart.prescription()?.may_edit(Edit::Change, &tx.actor().clone())?;
            let parties = visit::of(tx, &ctx.vault, &chart.visit_id).await?;
            let written = written(tx, &ctx, &parties, &draft).await?;
            chart.fill(draft.kind, written, tx);
            chart.edition += 1;
            table::save(tx, &chart).await?;
            Ok(chart)
        })
    })
    .await
}

/// Throws a draft away.
#[utoipa::path(delete, path = "/doctor/prescriptions/{id}", tag = "prescription", params(("id" = String, Path)),
    responses((status = 204), (status = 409, body = base::error::ErrorBody)))]
async fn discard(
    State(ctx): State<Ctx>,
    staff: Staff<Prescribes>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let id = PrescriptionId::parse(&id).ok_or_else(ApiError::not_found)?;
    let member = staff.member.clone();
    ctx.store
        .write(&staff.scope(), move |tx| {
            let (member, id) = (member.clone(), id.clone());
            Box::pin(async move {
                let chart: Chart = own(tx, &member, &id).await?;
                chart.prescription()?.may_edit(Edit::Discard, &tx.actor().clone())?;
                Ok::<_, ApiError>(table::discard(tx, &id).await?)
            })
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether the hospital decocts herbs (代煎), and for how much.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Decoction {
    /// It does.
    offered: bool,
    /// Fee per dose.
    fee_fen_per_dose: i64,
}

/// What the hospital takes for decocting, for the herbal prescription that is being written.
#[utoipa::path(get, path = "/doctor/decoction", tag = "prescription", responses((status = 200, body = Decoction)))]
async fn decoction(State(ctx): State<Ctx>, staff: Staff<Prescribes>) -> Result<Json<Decoction>, ApiError> {
    let fee = ctx
        .store
        .read(&staff.scope(), |tx| {
            Box::pin(async move { catalogue::decoction_fee(tx).await })
        })
        .await?;
    Ok(Json(Decoction {
        offered: fee.is_some(),
        fee_fen_per_dose: fee.unwrap_or_default().0,
    }))
}

pub(super) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(change, discard))
        .routes(routes!(decoction))
}
