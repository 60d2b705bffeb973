//! The pharmacist's side over HTTP: queue, hints, signed opinion.

use axum::extract::State;
use base::permission::Reviews;
use base::session::Member;
use base::{ApiError, Ctx, Json, Page, Paged, Path, Query, Staff};
use records::document::{ReviewDocument, canonical};
use records::id::PrescriptionId;
use records::sign::Pin;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use store::Tx;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::policy::BuiltIn;
use super::{Case, CaseLine, Hint, ProblemClass, RulePort};
use crate::prescribing::policy::{Catalogue, years};
use crate::prescribing::store::{self as table, Chart, Rejection};
use crate::prescribing::view::{Eye, shown};
use crate::prescribing::{PrescriptionView, State as Stands};
use crate::signed::{self, Document as _};
use crate::signing::{self, Order, PinBody, Purpose};
use crate::{catalogue, dispensing, medical_record, visit};

/// How far back other prescriptions are looked at.
const LOOK_BACK: Duration = Duration::from_secs(90 * 24 * 3600);

/// A prescription as the pharmacist reads it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct CaseView {
    /// The prescription.
    #[serde(flatten)]
    pub(crate) prescription: PrescriptionView,
    /// Allergies as told by patient and record.
    pub(crate) allergies: String,
    /// 主诉 of the record.
    pub(crate) chief_complaint: String,
    /// What the patient takes otherwise, as told.
    pub(crate) medications: String,
    /// What the rules noticed.
    pub(crate) hints: Vec<Hint>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// State; the queue is `in_review`.
    state: Option<String>,
    /// From 1.
    page: Option<u32>,
    /// Up to 100.
    size: Option<u32>,
}

/// Prescriptions of the hospital by state, longest waiting first.
#[utoipa::path(get, path = "/pharmacist/prescriptions", tag = "review", params(Wanted),
    responses((status = 200, body = Paged<CaseView>)))]
async fn list(
    State(ctx): State<Ctx>,
    staff: Staff<Reviews>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Paged<CaseView>>, ApiError> {
    let state = wanted.state.as_deref().filter(|s| !s.is_empty());
    let state = match state {
        None => None,
        Some(word) => Some(Stands::parse(word).ok_or_else(|| ApiError::field("state", "没有这种处方状态"))?),
    };
    let page = Page {
        page: wanted.page.unwrap_or(1),
        size: wanted.size.unwrap_or(20),
    };
    let own = ctx.clone();
    let (items, total) = ctx
        .store
        .read(&staff.scope(), move |tx| {
            let ctx = own.clone();
            Box::pin(async move {
                let (charts, total) = table::in_state(tx, state, page).await?;
                let mut items = Vec::with_capacity(charts.len());
                for chart in charts {
                    items.push(case_view(tx, &ctx, chart).await?);
                }
                Ok::<_, ApiError>((items, total))
            })
        })
        .await?;
    Ok(Json(page.of(items, total)))
}

async fn find(tx: &mut Tx<'_>, id: &PrescriptionId) -> Result<Chart, ApiError> {
    let found = table::find(tx, id).await?.filter(|c| c.state != Stands::Draft);
    found.ok_or_else(ApiError::not_found)
}

/// A prescription with everything needed to judge it.
#[utoipa::path(get, path = "/pharmacist/prescriptions/{id}", tag = "review", params(("id" = String, Path)),
    responses((status = 200, body = CaseView)))]
async fn show(
    State(ctx): State<Ctx>,
    staff: Staff<Reviews>,
    Path(id): Path<String>,
) -> Result<Json<CaseView>, ApiError> {
    let id = PrescriptionId::parse(&id).ok_or_else(ApiError::not_found)?;
    let own = ctx.clone();
    let view = ctx
        .store
        .read(&staff.scope(), move |tx| {
            let (ctx, id) = (own.clone(), id.clone());
            Box::pin(async move {
                let chart = find(tx, &id).await?;
                case_view(tx, &ctx, chart).await
            })
        })
        .await?;
    Ok(Json(view))
}

async fn case_view(tx: &mut Tx<'_>, ctx: &Ctx, chart: Chart) -> Result<CaseView, ApiError> {
    let parties = visit::of(tx, &ctx.vault, &chart.visit_id).await?;
    let saved = medical_record::store::latest(tx, &ctx.vault, &chart.visit_id).await?;
    let record = saved.map(|s| s.record).unwrap_or_default();
    let since = tx.now().minus(LOOK_BACK);
    let mut also_taking = Vec::new();
    for other in table::also_taking(tx, &chart, since).await? {
        also_taking.extend(other.lines()?.into_iter().map(|l| l.name));
    }
    let lines = chart.lines()?;
    let catalogue = catalogue::of_lines(tx, &lines).await?;
    let told = &parties.statement;
    let allergies = joined(&[&record.allergies, &told.allergies]);
    let case = Case {
        lines: lines.iter().map(|l| line(l, &catalogue)).collect(),
        also_taking,
        sex: parties.patient.sex.clone(),
        age_years: years(parties.patient.birth_date, tx.now().local_date()),
        diagnoses: record.diagnoses(),
        allergies: allergies.clone(),
        statement: joined(&[
            &told.complaint,
            &told.history,
            &record.chief_complaint,
            &record.present_history,
            &record.past_history,
        ]),
    };
    let mut prescription = shown(tx, ctx, &chart, Eye::Pharmacist).await?;
    prescription.patient.name = Some(parties.patient.name.clone());
    prescription.patient.sex = Some(parties.patient.sex.clone());
    prescription.patient.birth_date = Some(parties.patient.birth_date);
    prescription.patient.age = Some(parties.patient.age(tx.now().local_date()));
    Ok(CaseView {
        hints: BuiltIn.hints(&case),
        prescription,
        allergies,
        chief_complaint: record.chief_complaint,
        medications: told.medications.clone(),
    })
}

fn joined(parts: &[&str]) -> String {
    let mut seen: Vec<&str> = Vec::new();
    for part in parts.iter().map(|p| p.trim()).filter(|p| !p.is_empty()) {
        if !seen.contains(&part) {
            seen.push(part);
        }
    }
    seen.join("；")
}

fn line(l: &crate::prescribing::Line, catalogue: &Catalogue) -> CaseLine {
    CaseLine {
        name: l.name.clone(),
        specification: l.specification.clone(),
        dose: l.dose.clone(),
        dose_unit: l.dose_unit.clone(),
        route: l.route_name.clone(),
        drug: catalogue.drugs.get(&l.drug_code).cloned(),
        max_dose_g: catalogue.herbs.get(&l.drug_code).and_then(|h| h.max_dose_g),
    }
}

/// A rejection.
#[derive(Clone, Deserialize, ToSchema)]
pub(crate) struct RejectBody {
    /// Problem classes.
    pub(crate) reasons: Vec<ProblemClass>,
    /// Words for the doctor.
    #[serde(default)]
    pub(crate) comment: String,
    /// The pharmacist's PIN.
    pub(crate) pin: String,
}

#[derive(Clone, Debug)]
struct Opinion {
    approved: bool,
    reasons: Vec<ProblemClass>,
    comment: String,
}

/// Approves with a signature; the prescription goes to the HIS.
#[utoipa::path(post, path = "/pharmacist/prescriptions/{id}/approve", tag = "review", params(("id" = String, Path)),
    request_body = PinBody, responses((status = 200, body = PrescriptionView), (status = 409, body = base::error::ErrorBody)))]
async fn approve(
    State(ctx): State<Ctx>,
    staff: Staff<Reviews>,
    Path(id): Path<String>,
    Json(body): Json<PinBody>,
) -> Result<Json<PrescriptionView>, ApiError> {
    let opinion = Opinion {
        approved: true,
        reasons: Vec::new(),
        comment: String::new(),
    };
    decide(&ctx, &staff, &id, opinion, Pin(body.pin)).await
}

/// Rejects with reasons and a signature; the doctor revises or appeals.
#[utoipa::path(post, path = "/pharmacist/prescriptions/{id}/reject", tag = "review", params(("id" = String, Path)),
    request_body = RejectBody, responses((status = 200, body = PrescriptionView), (status = 409, body = base::error::ErrorBody)))]
async fn reject(
    State(ctx): State<Ctx>,
    staff: Staff<Reviews>,
    Path(id): Path<String>,
    Json(body): Json<RejectBody>,
) -> Result<Json<PrescriptionView>, ApiError> {
    if body.reasons.is_empty() {
        return Err(ApiError::field("reasons", "请选择不通过的原因"));
    }
    if body.comment.chars().count() > 500 {
        return Err(ApiError::field("comment", "说明不超过500字"));
    }
    let opinion = Opinion {
        approved: false,
        reasons: body.reasons,
        comment: body.comment.trim().to_owned(),
    };
    decide(&ctx, &staff, &id, opinion, Pin(body.pin)).await
}

async fn decide(
    ctx: &Ctx,
    staff: &Staff<Reviews>,
    id: &str,
    opinion: Opinion,
    pin: Pin,
) -> Result<Json<PrescriptionView>, ApiError> {
    let id = PrescriptionId::parse(id).ok_or_else(ApiError::not_found)?;
    let (member, wanted, said) = (staff.member.clone(), id.clone(), opinion.clone());
    let signed = signed::attempt(ctx, &staff.scope(), pin, move |tx, ctx| {
        let (member, id, opinion) = (member.clone(), wanted.clone(), said.clone());
        Box::pin(async move { order(tx, &ctx, &member, &id, &opinion).await })
    })
    .await?;
    let (own, member) = (ctx.clone(), staff.member.clone());
    let (chart, view) = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (ctx, member, id) = (own.clone(), member.clone(), id.clone());
            let (signed, opinion) = (signed.clone(), opinion.clone());
            Box::pin(async move {
                signing::store::keep(tx, &ctx.vault, &signed, "pharmacist", &member.name).await?;
                let chart = decided(tx, &ctx, &member, &id, &opinion).await?;
                let view = shown(tx, &ctx, &chart, Eye::Pharmacist).await?;
                Ok::<_, ApiError>((chart, view))
            })
        })
        .await?;
    chart.announce(ctx, &staff.tenant);
    Ok(Json(view))
}

/// The opinion as it is signed, bound to the doctor's bytes; refused at once when it could not count.
async fn order(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    member: &Member,
    id: &PrescriptionId,
    opinion: &Opinion,
) -> Result<Order, ApiError> {
    let chart = find(tx, id).await?;
    let (tenant, now, by) = (tx.tenant().clone(), tx.now(), tx.actor().clone());
    let prescriber = visit::of(tx, &ctx.vault, &chart.visit_id).await?.visit.doctor_code;
    if chart.doctor_id == member.id || prescriber == member.his_code {
        return Err(ApiError::conflict(
            "own_prescription",
            "不能审核自己开具的处方，请由其他药师审核",
        ));
    }
    let p = chart.prescription()?;
    if opinion.approved {
        p.approve(now, &by, "")?;
    } else {
        p.reject(now, &by, "")?;
    }
    let kept = signing::store::of_subject(tx, Purpose::Prescription, id.as_str()).await?;
    let kept = kept.ok_or_else(|| ApiError::internal("a prescription in review has no signature"))?;
    let document = kept.document(&ctx.vault, &tenant)?;
    // What is approved must be what the doctor signed: checked here, not believed.
    let roots = signing::anchors_in(tx).await?.signers;
    let checked = signing::check(&kept, &document, &roots, now);
    if opinion.approved && !checked.valid {
        return Err(ApiError::conflict(
            "signature_invalid",
            "医师签名未通过验证，不能审核通过",
        ));
    }
    let words: Vec<String> = opinion.reasons.iter().map(|r| r.as_str().to_owned()).collect();
    let review = ReviewDocument {
        format: "yiqiao.review/1".to_owned(),
        number: id.to_string(),
        revision: chart.revision,
        document_sm3: kept.document_sm3.clone(),
        approved: opinion.approved,
        reasons: words.clone(),
        comment: opinion.comment.clone(),
        pharmacist: signed::signer(member, &member.his_code),
        reviewed_at: now,
    };
    let intent = serde_json::json!([chart.state.as_str(), opinion.approved, words, opinion.comment]).to_string();
    Ok(Order {
        purpose: Purpose::Review,
        subject: id.to_string(),
        intent: hex::encode(gm::sm3(intent.as_bytes())),
        signer: member.id.clone(),
        document: canonical(&review).map_err(ApiError::internal)?,
    })
}

async fn decided(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    member: &Member,
    id: &PrescriptionId,
    opinion: &Opinion,
) -> Result<Chart, ApiError> {
    let mut chart = find(tx, id).await?;
    let (now, by) = (tx.now(), tx.actor().clone());
    let p = chart.prescription()?;
    chart.pharmacist_id = Some(member.id.clone());
    chart.pharmacist_name = Some(member.name.clone());
    chart.pharmacist_title = Some(member.title.clone());
    chart.reviewed_at = Some(now);
    if opinion.approved {
        let to = p.approve(now, &by, &opinion.comment)?;
        dispensing::approved(tx, ctx, &mut chart, to, &member.his_code).await?;
        return Ok(chart);
    }
    let reasons: Vec<_> = opinion.reasons.iter().map(|r| r.text()).collect();
    let note = [reasons.join("、"), opinion.comment.clone()];
    let note = note
        .into_iter()
        .filter(|n| !n.is_empty())
        .collect::<Vec<_>>()
        .join("：");
    table::moved(tx, &mut chart, p.reject(now, &by, &note)?).await?;
    let rejection = Rejection {
        reasons: serde_json::to_value(&opinion.reasons).unwrap_or_default(),
        comment: opinion.comment.clone(),
        by_name: format!("{} 药师", member.name),
        at: now,
    };
    table::reject(tx, &chart.id, &rejection).await?;
    Ok(chart)
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(approve))
        .routes(routes!(reject))
}
