//! The record over HTTP: the doctor writes and signs, the patient reads.

use axum::extract::State;
use base::permission::Treats;
use base::session::Member;
use base::{ApiError, Ctx, Json, Path, Patient, Staff};
use care::consultation::VisitState;
use records::Timestamp;
use records::document::canonical;
use records::his::DiagnosisTerm;
use records::id::VisitId;
use records::sign::Pin;
use serde::Serialize;
use store::Scope;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::issue::{self, subject};
use super::store::{self as table, Saved};
use super::{Fault, Record, RecordDocument, RecordWish};
use crate::record_review::{self, RecordReviewBrief};
use crate::signing::{self, Order, Purpose};
use crate::{catalogue, signed, visit};

impl From<Fault> for ApiError {
    fn from(fault: Fault) -> Self {
        Self::field(fault.field(), fault.to_string())
    }
}

/// A record with its state.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct RecordView {
    /// Version; 0 when nothing was written yet.
    pub(crate) version: u32,
    /// What was written.
    #[serde(flatten)]
    pub(crate) record: Record,
    /// When.
    #[schema(value_type = Option<String>)]
    pub(crate) saved_at: Option<Timestamp>,
    /// The doctor may still write.
    pub(crate) editable: bool,
    /// This version carries the doctor's signature.
    pub(crate) signed: bool,
    /// How the review of the newest signed version stands, for the doctor.
    pub(crate) review: Option<RecordReviewBrief>,
    /// The doctor.
    pub(crate) doctor_name: String,
    /// Department.
    pub(crate) department_name: String,
}

/// The record of a visit.
#[utoipa::path(get, path = "/doctor/visits/{id}/record", tag = "record", params(("id" = String, Path)),
    responses((status = 200, body = RecordView)))]
async fn show(
    State(ctx): State<Ctx>,
    staff: Staff<Treats>,
    Path(id): Path<String>,
) -> Result<Json<RecordView>, ApiError> {
    let id = VisitId::parse(&id).ok_or_else(ApiError::not_found)?;
    let (own, code) = (ctx.clone(), staff.his_code.clone());
    let view = ctx
        .store
        .read(&staff.scope(), move |tx| {
            let (id, ctx, code) = (id.clone(), own.clone(), code.clone());
            Box::pin(async move {
                let parties = visit::of_doctor(tx, &ctx.vault, &id, &code).await?;
                let saved = table::latest(tx, &ctx.vault, &id).await?;
                view(tx, &ctx, &parties, saved).await
            })
        })
        .await?;
    Ok(Json(view))
}

/// Whether the doctor may still write: while they see the patient, and after it when the review sent the newest signed
/// version back.
async fn may_write(
    tx: &mut store::Tx<'_>,
    parties: &care::consultation::PartiesOfVisit,
) -> Result<Result<(), ApiError>, ApiError> {
    let refused = match visit::in_progress(parties) {
        Ok(()) => return Ok(Ok(())),
        Err(refused) => refused,
    };
    if parties.visit.state != VisitState::Finished {
        return Ok(Err(refused));
    }
    let newest = record_review::store::newest(tx, &parties.visit.id).await?;
    let returned = newest.is_some_and(|r| r.state == record_review::State::Returned);
    Ok(if returned { Ok(()) } else { Err(refused) })
}

async fn view(
    tx: &mut store::Tx<'_>,
    ctx: &Ctx,
    parties: &care::consultation::PartiesOfVisit,
    saved: Option<Saved>,
) -> Result<RecordView, ApiError> {
    let v = &parties.visit;
    let version = saved.as_ref().map_or(0, |s| s.version);
    let signature = signing::store::of_subject(tx, Purpose::Record, &subject(&v.id, version)).await?;
    let (tenant, editable) = (tx.tenant().clone(), may_write(tx, parties).await?.is_ok());
    let review = record_review::store::newest(tx, &v.id).await?;
    let review = review.map(|r| record_review::brief(ctx, &tenant, &r)).transpose()?;
    // What the patient told stands in the empty form; the doctor checks and saves it.
    let told = || Record {
        chief_complaint: parties.statement.complaint.clone(),
        past_history: parties.statement.history.clone(),
        allergies: parties.statement.allergies.clone(),
        ..Record::default()
    };
    Ok(RecordView {
        version,
        saved_at: saved.as_ref().map(|s| s.saved_at),
        record: saved.map_or_else(told, |s| s.record),
        editable,
        signed: signature.is_some(),
        review,
        doctor_name: v.doctor_name.clone(),
        department_name: v.department_name.clone(),
    })
}

/// Saves the record on top of the version that was shown; a new version when something changed. 409 `record_changed` when
/// another one was saved meanwhile: nothing is overwritten unseen.
#[utoipa::path(put, path = "/doctor/visits/{id}/record", tag = "record", params(("id" = String, Path)),
    request_body = RecordWish, responses((status = 200, body = RecordView), (status = 409, body = base::error::ErrorBody)))]
async fn save(
    State(ctx): State<Ctx>,
    staff: Staff<Treats>,
    Path(id): Path<String>,
    Json(wish): Json<RecordWish>,
) -> Result<Json<RecordView>, ApiError> {
    let id = VisitId::parse(&id).ok_or_else(ApiError::not_found)?;
    let wish = RecordWish {
        record: wish.record.checked()?,
        ..wish
    };
    if !wish.record.diagnoses.is_empty() {
        catalogue::ready(&ctx, &staff.tenant).await?;
    }
    let (own, code, doctor) = (ctx.clone(), staff.his_code.clone(), staff.id.clone());
    let view = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (id, ctx, code) = (id.clone(), own.clone(), code.clone());
            let (doctor, mut wish) = (doctor.clone(), wish.clone());
            Box::pin(async move {
                let parties = visit::of_doctor(tx, &ctx.vault, &id, &code).await?;
                may_write(tx, &parties).await??;
                named(tx, &mut wish.record).await?;
                let saved = table::add(tx, &ctx.vault, &id, &doctor, &wish).await?;
                view(tx, &ctx, &parties, Some(saved)).await
            })
        })
        .await?;
    Ok(Json(view))
}

/// Gives each diagnosis the name that the hospital's dictionary has for its code: what is signed and sent to the HIS never
/// says one thing by code and another in words.
async fn named(tx: &mut store::Tx<'_>, record: &mut Record) -> Result<(), ApiError> {
    for (n, diagnosis) in record.diagnoses.iter_mut().enumerate() {
        let known = care::dictionary::lookup::<DiagnosisTerm>(tx, &diagnosis.code).await?;
        let Some(term) = known else {
            let text = format!("诊断编码 {} 不在本院诊断目录中，请从目录中选择", diagnosis.code);
            return Err(ApiError::field(format!("diagnoses[{n}].code"), text));
        };
        diagnosis.name = term.name;
    }
    Ok(())
}

/// The signer's PIN and what they saw.
#[derive(Clone, Debug, serde::Deserialize, ToSchema)]
pub(crate) struct SignRecord {
    /// The signer's PIN.
    pin: String,
    /// The version on the screen; when another one is the newest, nothing is signed. Absent: the newest, whatever it says.
    #[serde(default)]
    version: Option<u32>,
}

/// Signs the newest version; possible until the visit is finished and after it.
#[utoipa::path(post, path = "/doctor/visits/{id}/record/sign", tag = "record", params(("id" = String, Path)),
    request_body = SignRecord, responses((status = 200, body = RecordView), (status = 409, body = base::error::ErrorBody)))]
async fn sign(
    State(ctx): State<Ctx>,
    staff: Staff<Treats>,
    Path(id): Path<String>,
    Json(body): Json<SignRecord>,
) -> Result<Json<RecordView>, ApiError> {
    let id = VisitId::parse(&id).ok_or_else(ApiError::not_found)?;
    let view = sign_version(&ctx, &staff.scope(), &staff.member, &id, body.version, Pin(body.pin)).await?;
    Ok(Json(view))
}

/// The doctor signs the newest version (`seen`, when it says which one was on the screen) and submits it for review.
pub(crate) async fn sign_version(
    ctx: &Ctx,
    scope: &Scope,
    member: &Member,
    id: &VisitId,
    seen: Option<u32>,
    pin: Pin,
) -> Result<RecordView, ApiError> {
    let (who, visit_id) = (member.clone(), id.clone());
    let signed = signed::attempt(ctx, scope, pin, move |tx, ctx| {
        let (member, id) = (who.clone(), visit_id.clone());
        Box::pin(async move { order(tx, &ctx, &member, &id, seen).await })
    })
    .await?;
    let (own, who, visit_id) = (ctx.clone(), member.clone(), id.clone());
    let view = ctx
        .store
        .write(scope, move |tx| {
            let (id, ctx, member) = (visit_id.clone(), own.clone(), who.clone());
            let signed = signed.clone();
            Box::pin(async move {
                signing::store::keep(tx, &ctx.vault, &signed, "doctor", &member.name).await?;
                let version = signed.document::<RecordDocument>()?.version;
                issue::order(tx, &id, version, signed.signed_at).await?;
                record_review::store::submit(tx, &id, version, &member.id).await?;
                let parties = visit::of_doctor(tx, &ctx.vault, &id, &member.his_code).await?;
                let saved = table::latest(tx, &ctx.vault, &id).await?;
                view(tx, &ctx, &parties, saved).await
            })
        })
        .await?;
    record_review::announce(ctx, &scope.tenant, id, member.id.clone());
    Ok(view)
}

async fn order(
    tx: &mut store::Tx<'_>,
    ctx: &Ctx,
    member: &Member,
    id: &VisitId,
    seen: Option<u32>,
) -> Result<Order, ApiError> {
    let parties = visit::of_doctor(tx, &ctx.vault, id, &member.his_code).await?;
    let saved = table::latest(tx, &ctx.vault, id).await?;
    if seen.is_some_and(|seen| seen != saved.as_ref().map_or(0, |s| s.version)) {
        return Err(table::changed(saved.as_ref()));
    }
    let saved = saved.filter(|s| s.record.is_complete());
    let saved = saved.ok_or_else(|| ApiError::conflict("record_incomplete", "请先填写主诉和诊断，再签名"))?;
    let subject = subject(id, saved.version);
    if signing::store::of_subject(tx, Purpose::Record, &subject)
        .await?
        .is_some()
    {
        return Err(ApiError::conflict("signed", "该版病历已签名"));
    }
    let hospital = base::tenants::by_id(tx).await?.name;
    let document = RecordDocument {
        format: "yiqiao.record/1".to_owned(),
        visit: id.to_string(),
        version: saved.version,
        hospital,
        department: parties.visit.department_name.clone(),
        patient: signed::patient(&parties, tx.now()),
        doctor: signed::signer(member, &member.his_code),
        record: saved.record,
        saved_at: saved.saved_at,
    };
    Ok(Order {
        purpose: Purpose::Record,
        intent: subject.clone(),
        subject,
        signer: member.id.clone(),
        document: canonical(&document).map_err(ApiError::internal)?,
    })
}

/// The patient reads the record of their visit: while the doctor still writes, only a version that is signed; afterwards
/// the newest.
#[utoipa::path(get, path = "/visits/{id}/record", tag = "record", params(("id" = String, Path)),
    responses((status = 200, body = RecordView)))]
async fn read(State(ctx): State<Ctx>, patient: Patient, Path(id): Path<String>) -> Result<Json<RecordView>, ApiError> {
    let id = VisitId::parse(&id).ok_or_else(ApiError::not_found)?;
    let (own, account) = (ctx.clone(), patient.account.clone());
    let view = ctx
        .store
        .read(&patient.scope(), move |tx| {
            let (id, ctx, account) = (id.clone(), own.clone(), account.clone());
            Box::pin(async move {
                let parties = visit::of(tx, &ctx.vault, &id).await?;
                if parties.visit.account_id != account {
                    return Err(ApiError::not_found());
                }
                let writing = visit::in_progress(&parties).is_ok();
                let saved = match table::latest_signed(tx, &ctx.vault, &id).await? {
                    None if !writing => table::latest(tx, &ctx.vault, &id).await?,
                    signed => signed,
                };
                let saved = saved.ok_or_else(|| ApiError::conflict("no_record", "医生尚未完成病历"))?;
                let mut view = view(tx, &ctx, &parties, Some(saved)).await?;
                view.editable = false;
                // The review is between the doctor and the hospital; the patient reads what the doctor signed.
                view.review = None;
                Ok(view)
            })
        })
        .await?;
    Ok(Json(view))
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(show, save))
        .routes(routes!(sign))
        .routes(routes!(read))
        .merge(super::pdf::routes())
}
