//! The doctor's side over HTTP: write, sign, revise, appeal, revoke.

use axum::extract::State;
use axum::http::StatusCode;
use base::permission::Prescribes;
use base::session::Member;
use base::{ApiError, Audience, Ctx, Event as Notice, Json, Path, Staff};
use care::consultation::PartiesOfVisit;
use records::document::{DocumentHerbal, DocumentItem, DocumentPerson, PrescriptionDocument, canonical};
use records::his::Diagnosis;
use records::id::{PrescriptionId, VisitId};
use records::sign::Pin;
use records::{Actor, TenantId};
use serde::{Deserialize, Deserializer};
use store::Tx;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::policy::{self, Circumstances, Objection, VALID_DAYS, Wish, Written};
use super::store::{self as table, Chart};
use super::view::{self, Eye};
use super::{Herbal, Kind, PrescriptionView, Refusal, State as Stands};
use crate::signing::{self, Order, PinBody, Purpose};
use crate::{catalogue, dispensing, medical_record, visit};

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::conflict("prescription_state", refusal.to_string())
    }
}

/// All objections in one message; the field is that of the first line concerned.
pub(crate) fn objected(objections: &[Objection]) -> ApiError {
    let text: Vec<_> = objections.iter().map(ToString::to_string).collect();
    let line = objections.iter().find_map(|o| match o {
        Objection::Line { line, .. } => Some(format!("items[{line}]")),
        _ => None,
    });
    ApiError {
        field: line.map(Into::into),
        ..ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "prescription_refused",
            text.join("；"),
        )
    }
}

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
    pub(crate) herbal: Option<Herbal>,
}

/// A reason.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct Reason {
    /// In the doctor's words.
    pub(crate) reason: String,
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

/// The diagnoses of the newest version of the record.
pub(crate) async fn diagnoses(tx: &mut Tx<'_>, ctx: &Ctx, visit: &VisitId) -> Result<Vec<Diagnosis>, ApiError> {
    let saved = medical_record::store::latest(tx, &ctx.vault, visit).await?;
    Ok(saved.map(|s| s.record.diagnoses()).unwrap_or_default())
}

async fn circumstances(tx: &mut Tx<'_>, ctx: &Ctx, parties: &PartiesOfVisit) -> Result<Circumstances, ApiError> {
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

/// The doctor's own prescription; anybody else finds nothing.
async fn own(tx: &mut Tx<'_>, member: &Member, id: &PrescriptionId) -> Result<Chart, ApiError> {
    let found = table::find(tx, id).await?.filter(|c| c.doctor_id == member.id);
    found.ok_or_else(ApiError::not_found)
}

async fn shown(tx: &mut Tx<'_>, ctx: &Ctx, chart: &Chart) -> Result<PrescriptionView, ApiError> {
    let diagnoses = diagnoses(tx, ctx, &chart.visit_id).await?;
    Ok(view::of(tx, &ctx.vault, chart, diagnoses, Eye::Doctor).await?)
}

/// Tells everybody whom the prescription concerns; after the commit.
pub(crate) fn announce(ctx: &Ctx, tenant: &TenantId, chart: &Chart) {
    let notice = || Notice::new("prescription.changed", &chart.id);
    let tell = |audience| ctx.events.publish(tenant, audience, notice());
    tell(Audience::Staff(chart.doctor_id.clone()));
    tell(Audience::Visit(chart.visit_id.clone()));
    tell(Audience::Pharmacists);
    if chart.state != Stands::Draft {
        tell(Audience::Patient(chart.account_id.clone()));
    }
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

/// Prescriptions of a visit.
#[utoipa::path(get, path = "/doctor/visits/{id}/prescriptions", tag = "prescription", params(("id" = String, Path)),
    responses((status = 200, body = Vec<PrescriptionView>)))]
async fn list(
    State(ctx): State<Ctx>,
    staff: Staff<Prescribes>,
    Path(id): Path<String>,
) -> Result<Json<Vec<PrescriptionView>>, ApiError> {
    let id = VisitId::parse(&id).ok_or_else(ApiError::not_found)?;
    let (own_ctx, code) = (ctx.clone(), staff.his_code.clone());
    let views = ctx
        .store
        .read(&staff.scope(), move |tx| {
            let (ctx, id, code) = (own_ctx.clone(), id.clone(), code.clone());
            Box::pin(async move {
                visit::of_doctor(tx, &ctx.vault, &id, &code).await?;
                let mut views = Vec::new();
                for chart in table::of_visit(tx, &id).await? {
                    views.push(shown(tx, &ctx, &chart).await?);
                }
                Ok::<_, ApiError>(views)
            })
        })
        .await?;
    Ok(Json(views))
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
                shown(tx, &ctx, &chart).await
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
    act(&ctx, &staff, &id, move |tx, ctx, mut chart| {
        let draft = draft.clone();
        Box::pin(async move {
            chart.prescription()?.may_edit(&tx.actor().clone())?;
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

type Acted<'a> = store::BoxFuture<'a, Result<Chart, ApiError>>;

/// Does something to the doctor's own prescription, shows and announces it.
async fn act<F>(ctx: &Ctx, staff: &Staff<Prescribes>, id: &str, f: F) -> Result<Json<PrescriptionView>, ApiError>
where
    F: for<'a, 'c> Fn(&'a mut Tx<'c>, Ctx, Chart) -> Acted<'a> + Send + Sync + 'static,
{
    let id = PrescriptionId::parse(id).ok_or_else(ApiError::not_found)?;
    let (own_ctx, member) = (ctx.clone(), staff.member.clone());
    let f = std::sync::Arc::new(f);
    let (chart, view) = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (ctx, member, id, f) = (own_ctx.clone(), member.clone(), id.clone(), f.clone());
            Box::pin(async move {
                let chart = own(tx, &member, &id).await?;
                let chart = f(tx, ctx.clone(), chart).await?;
                let view = shown(tx, &ctx, &chart).await?;
                Ok::<_, ApiError>((chart, view))
            })
        })
        .await?;
    announce(ctx, &staff.tenant, &chart);
    Ok(Json(view))
}

/// One's own prescription.
#[utoipa::path(get, path = "/doctor/prescriptions/{id}", tag = "prescription", params(("id" = String, Path)),
    responses((status = 200, body = PrescriptionView)))]
async fn show(
    State(ctx): State<Ctx>,
    staff: Staff<Prescribes>,
    Path(id): Path<String>,
) -> Result<Json<PrescriptionView>, ApiError> {
    let id = PrescriptionId::parse(&id).ok_or_else(ApiError::not_found)?;
    let (own_ctx, member) = (ctx.clone(), staff.member.clone());
    let view = ctx
        .store
        .read(&staff.scope(), move |tx| {
            let (ctx, member, id) = (own_ctx.clone(), member.clone(), id.clone());
            Box::pin(async move {
                let chart = own(tx, &member, &id).await?;
                shown(tx, &ctx, &chart).await
            })
        })
        .await?;
    Ok(Json(view))
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
                let chart = own(tx, &member, &id).await?;
                chart.prescription()?.may_edit(&tx.actor().clone())?;
                Ok::<_, ApiError>(table::discard(tx, &id).await?)
            })
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Signs: the signature server is asked, its signature verified, and the prescription goes to the pharmacists.
#[utoipa::path(post, path = "/doctor/prescriptions/{id}/sign", tag = "prescription", params(("id" = String, Path)),
    request_body = PinBody, responses((status = 200, body = PrescriptionView), (status = 422, body = base::error::ErrorBody),
    (status = 504, description = "unknown outcome: enter the PIN again", body = base::error::ErrorBody)))]
async fn sign(
    State(ctx): State<Ctx>,
    staff: Staff<Prescribes>,
    Path(id): Path<String>,
    Json(body): Json<PinBody>,
) -> Result<Json<PrescriptionView>, ApiError> {
    let number = PrescriptionId::parse(&id).ok_or_else(ApiError::not_found)?;
    let (own_ctx, member) = (ctx.clone(), staff.member.clone());
    let attempt = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (ctx, member, number) = (own_ctx.clone(), member.clone(), number.clone());
            Box::pin(async move {
                let chart = own(tx, &member, &number).await?;
                let order = order(tx, &ctx, &member, &chart).await?;
                signing::store::begin(tx, &ctx.vault, &ctx.ids, &order).await
            })
        })
        .await?;
    let document: PrescriptionDocument = serde_json::from_slice(&attempt.document).map_err(ApiError::internal)?;
    let signed = signing::call(&ctx, &staff.scope(), attempt, Pin(body.pin)).await?;
    let name = staff.name.clone();
    act(&ctx, &staff, &id, move |tx, ctx, mut chart| {
        let (signed, name, document) = (signed.clone(), name.clone(), document.clone());
        Box::pin(async move {
            signing::store::keep(tx, &ctx.vault, &signed, "doctor", &name).await?;
            let (by, now) = (tx.actor().clone(), tx.now());
            let p = chart.prescription()?;
            table::moved(tx, &mut chart, p.sign(now, &by, document.valid_until)?).await?;
            let p = chart.prescription()?;
            table::moved(tx, &mut chart, p.submit(now, &by)?).await?;
            Ok(chart)
        })
    })
    .await
}

/// The document of a draft, its lines checked once more against today's catalogue.
async fn order(tx: &mut Tx<'_>, ctx: &Ctx, member: &Member, chart: &Chart) -> Result<Order, ApiError> {
    let p = chart.prescription()?;
    p.may_edit(&Actor::Staff(member.id.clone()))?;
    let parties = visit::of(tx, &ctx.vault, &chart.visit_id).await?;
    let c = circumstances(tx, ctx, &parties).await?;
    let again: Vec<Wish> = p.lines.iter().map(|l| wish_of(p.kind, l)).collect();
    let catalogue = catalogue::of(tx, &again).await?;
    let written = policy::write(p.kind, &again, p.herbal.as_ref(), &catalogue, &c).map_err(|o| objected(&o))?;
    if written.total_fen != p.total_fen {
        return Err(ApiError::conflict(
            "prices_changed",
            "药品目录价格已变化，请重新保存处方后再签名",
        ));
    }
    let (now, hospital) = (tx.now(), base::tenants::by_id(tx).await?.name);
    let today = now.local_date();
    let document = PrescriptionDocument {
        format: "yiqiao.prescription/1".to_owned(),
        number: chart.id.to_string(),
        revision: chart.revision,
        hospital,
        department: chart.department_name.clone(),
        visit: chart.visit_id.to_string(),
        patient: medical_record::patient(&parties, now),
        doctor: DocumentPerson {
            id: member.id.to_string(),
            code: chart.doctor_code.clone(),
            name: member.name.clone(),
            title: member.title.clone(),
        },
        diagnoses: c.diagnoses,
        kind: p.kind.as_str().to_owned(),
        items: p.lines.iter().map(item).collect(),
        herbal: p.herbal.as_ref().map(|h| DocumentHerbal {
            doses: h.doses,
            decoction: h.decoction,
            usage: h.usage.clone(),
        }),
        total_fen: p.total_fen,
        written_at: now,
        // The day of writing counts as the first.
        valid_until: today.plus_days(VALID_DAYS - 1),
    };
    Ok(Order {
        purpose: Purpose::Prescription,
        subject: chart.id.to_string(),
        // A new saving of the draft or of the record, or a new day, is another document.
        intent: format!("{}/{}/{today}", chart.edition, diagnoses_digest(&document.diagnoses)),
        signer: member.id.clone(),
        document: canonical(&document).map_err(ApiError::internal)?,
    })
}

fn diagnoses_digest(diagnoses: &[Diagnosis]) -> String {
    hex::encode(gm::sm3(&serde_json::to_vec(diagnoses).unwrap_or_default()))
}

fn wish_of(kind: Kind, line: &super::Line) -> Wish {
    Wish {
        drug_code: line.drug_code.clone(),
        dose: line.dose.clone(),
        dose_unit: line.dose_unit.clone(),
        route_code: line.route_code.clone(),
        frequency_code: line.frequency_code.clone(),
        days: line.days,
        quantity: line.quantity,
        quantity_unit: line.quantity_unit.clone(),
        dose_g: if kind == Kind::Herbal {
            line.dose.parse().unwrap_or(0)
        } else {
            0
        },
        note: line.note.clone(),
    }
}

fn item(line: &super::Line) -> DocumentItem {
    DocumentItem {
        code: line.drug_code.clone(),
        name: line.name.clone(),
        specification: line.specification.clone(),
        dose: line.dose.clone(),
        dose_unit: line.dose_unit.clone(),
        route: line.route_name.clone(),
        frequency: line.frequency_name.clone(),
        days: line.days,
        quantity: line.quantity,
        quantity_unit: line.quantity_unit.clone(),
        amount_fen: line.amount_fen,
        note: line.note.clone(),
    }
}

/// Accepts a rejection: a new draft with the same lines, one revision up.
#[utoipa::path(post, path = "/doctor/prescriptions/{id}/revise", tag = "prescription", params(("id" = String, Path)),
    responses((status = 200, body = PrescriptionView), (status = 409, body = base::error::ErrorBody)))]
async fn revise(
    State(ctx): State<Ctx>,
    staff: Staff<Prescribes>,
    Path(id): Path<String>,
) -> Result<Json<PrescriptionView>, ApiError> {
    let number = PrescriptionId::generate(&ctx.ids, ctx.now());
    act(&ctx, &staff, &id, move |tx, _, mut old| {
        let number = number.clone();
        Box::pin(async move {
            let (by, now) = (tx.actor().clone(), tx.now());
            let p = old.prescription()?;
            table::moved(tx, &mut old, p.revise(now, &by, &number)?).await?;
            dispensing::withdraw(tx, &old, "医生修改重开").await?;
            let new = Chart {
                id: number,
                revision: old.revision + 1,
                revises: Some(old.id.clone()),
                edition: 1,
                state: Stands::Draft,
                written_at: now,
                created_at: now,
                valid_until: None,
                pharmacist_id: None,
                pharmacist_name: None,
                pharmacist_title: None,
                reviewed_at: None,
                opinion: None,
                his_number: None,
                bill_id: None,
                bill_fen: None,
                appeal: None,
                verify_code: None,
                needs_hand: None,
                ..old
            };
            table::insert(tx, &new).await?;
            Ok(new)
        })
    })
    .await
}

/// Objects to a rejection.
#[utoipa::path(post, path = "/doctor/prescriptions/{id}/appeal", tag = "prescription", params(("id" = String, Path)),
    request_body = Reason, responses((status = 200, body = PrescriptionView), (status = 409, body = base::error::ErrorBody)))]
async fn appeal(
    State(ctx): State<Ctx>,
    staff: Staff<Prescribes>,
    Path(id): Path<String>,
    Json(body): Json<Reason>,
) -> Result<Json<PrescriptionView>, ApiError> {
    let reason = worded(body)?;
    act(&ctx, &staff, &id, move |tx, _, mut chart| {
        let reason = reason.clone();
        Box::pin(async move {
            if chart.his_number.is_some() {
                return Err(ApiError::conflict(
                    "refused_by_his",
                    "医院系统拒收的处方不能申诉，请修改重开",
                ));
            }
            let (by, now) = (tx.actor().clone(), tx.now());
            let p = chart.prescription()?;
            let to = p.appeal(now, &by, &reason)?;
            chart.appeal = Some(reason);
            table::moved(tx, &mut chart, to).await?;
            Ok(chart)
        })
    })
    .await
}

fn worded(body: Reason) -> Result<String, ApiError> {
    let reason = body.reason.trim().to_owned();
    if reason.is_empty() || reason.chars().count() > 500 {
        return Err(ApiError::field("reason", "请写明理由（不超过500字）"));
    }
    Ok(reason)
}

/// Takes a prescription back; money and HIS follow.
#[utoipa::path(post, path = "/doctor/prescriptions/{id}/revoke", tag = "prescription", params(("id" = String, Path)),
    request_body = Reason, responses((status = 200, body = PrescriptionView), (status = 409, body = base::error::ErrorBody)))]
async fn revoke(
    State(ctx): State<Ctx>,
    staff: Staff<Prescribes>,
    Path(id): Path<String>,
    Json(body): Json<Reason>,
) -> Result<Json<PrescriptionView>, ApiError> {
    let reason = worded(body)?;
    act(&ctx, &staff, &id, move |tx, ctx, mut chart| {
        let reason = reason.clone();
        Box::pin(async move {
            let (by, now) = (tx.actor().clone(), tx.now());
            let p = chart.prescription()?;
            table::moved(tx, &mut chart, p.revoke(now, &by, &reason)?).await?;
            dispensing::let_go(tx, &ctx, &chart, &reason).await?;
            Ok(chart)
        })
    })
    .await
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, change, discard))
        .routes(routes!(sign))
        .routes(routes!(revise))
        .routes(routes!(appeal))
        .routes(routes!(revoke))
}
