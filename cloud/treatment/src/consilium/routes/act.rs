//! What each side does: accept, decline, sign the opinion; withdraw, judge.

use axum::extract::State;
use base::permission::Treats;
use base::session::Member;
use base::{ApiError, Ctx, Json, Path, Staff};
use records::document::{DocumentPerson, canonical};
use records::sign::Pin;
use records::{Actor, Timestamp};
use serde::Deserialize;
use store::Tx;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{number, words};
use crate::consilium::acts::Moved;
use crate::consilium::store::{self as table, Row, Said};
use crate::consilium::{Consilium, ConsiliumView, LONGEST_OPINION, LONGEST_WORDS, OpinionDocument};
use crate::signed::{self, act, own};
use crate::signing::{self, Order, Purpose};
use crate::{medical_record, visit};

/// The expert accepts and may read what the visit holds.
#[utoipa::path(post, path = "/doctor/consilia/{id}/accept", tag = "consilium", params(("id" = String, Path)),
    responses((status = 200, body = ConsiliumView), (status = 409, body = base::error::ErrorBody)))]
async fn accept(
    State(ctx): State<Ctx>,
    staff: Staff<Treats>,
    Path(id): Path<String>,
) -> Result<Json<ConsiliumView>, ApiError> {
    act(&ctx, &staff, &id, |tx, ctx, mut row: Row| {
        Box::pin(async move {
            let (now, by) = (tx.now(), tx.actor().clone());
            let to = row.consilium().accept(now, &by)?;
            table::moved(tx, &ctx.vault, &mut row, to, Said::default()).await?;
            Ok(row)
        })
    })
    .await
}

/// Why not.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct ConsiliumReason {
    /// In words for the other doctor.
    pub(crate) reason: String,
}

/// The expert declines, or gives an accepted one back.
#[utoipa::path(post, path = "/doctor/consilia/{id}/decline", tag = "consilium", params(("id" = String, Path)),
    request_body = ConsiliumReason,
    responses((status = 200, body = ConsiliumView), (status = 409, body = base::error::ErrorBody)))]
async fn decline(
    State(ctx): State<Ctx>,
    staff: Staff<Treats>,
    Path(id): Path<String>,
    Json(body): Json<ConsiliumReason>,
) -> Result<Json<ConsiliumView>, ApiError> {
    ended(&ctx, &staff, &id, &body, Consilium::decline).await
}

/// The inviter takes the invitation back; the expert reads no more.
#[utoipa::path(post, path = "/doctor/consilia/{id}/withdraw", tag = "consilium", params(("id" = String, Path)),
    request_body = ConsiliumReason,
    responses((status = 200, body = ConsiliumView), (status = 409, body = base::error::ErrorBody)))]
async fn withdraw(
    State(ctx): State<Ctx>,
    staff: Staff<Treats>,
    Path(id): Path<String>,
    Json(body): Json<ConsiliumReason>,
) -> Result<Json<ConsiliumView>, ApiError> {
    ended(&ctx, &staff, &id, &body, Consilium::withdraw).await
}

/// Ends a consilium before there is an opinion, with a reason, by the transition of one side.
async fn ended(
    ctx: &Ctx,
    staff: &Staff<Treats>,
    id: &str,
    body: &ConsiliumReason,
    by_side: fn(Consilium, Timestamp, &Actor, &str) -> Moved,
) -> Result<Json<ConsiliumView>, ApiError> {
    let reason = words("reason", "原因", &body.reason, LONGEST_WORDS)?;
    act(ctx, staff, id, move |tx, ctx, mut row: Row| {
        let reason = reason.clone();
        Box::pin(async move {
            let (now, by) = (tx.now(), tx.actor().clone());
            let to = by_side(row.consilium(), now, &by, &reason)?;
            let said = Said {
                reason: Some(reason),
                ..Said::default()
            };
            table::moved(tx, &ctx.vault, &mut row, to, said).await?;
            Ok(row)
        })
    })
    .await
}

/// An opinion with the expert's PIN.
#[derive(Clone, Deserialize, ToSchema)]
pub(crate) struct OpinionBody {
    /// What the expert says.
    pub(crate) opinion: String,
    /// The expert's PIN.
    pub(crate) pin: String,
}

/// The expert signs the opinion: the signature server is asked, its signature verified, and the consilium is concluded.
#[utoipa::path(post, path = "/doctor/consilia/{id}/opinion", tag = "consilium", params(("id" = String, Path)),
    request_body = OpinionBody,
    responses((status = 200, body = ConsiliumView), (status = 409, body = base::error::ErrorBody),
        (status = 422, body = base::error::ErrorBody),
        (status = 504, description = "unknown outcome: enter the PIN again", body = base::error::ErrorBody)))]
async fn sign(
    State(ctx): State<Ctx>,
    staff: Staff<Treats>,
    Path(id): Path<String>,
    Json(body): Json<OpinionBody>,
) -> Result<Json<ConsiliumView>, ApiError> {
    let id = number(&id)?;
    let opinion = words("opinion", "会诊意见", &body.opinion, LONGEST_OPINION)?;
    let (member, wanted) = (staff.member.clone(), id.clone());
    let signed = signed::attempt(&ctx, &staff.scope(), Pin(body.pin), move |tx, ctx| {
        let (member, id, opinion) = (member.clone(), wanted.clone(), opinion.clone());
        Box::pin(async move {
            let row: Row = own(tx, &member, &id).await?;
            order(tx, &ctx, &member, &row, opinion).await
        })
    })
    .await?;
    let name = staff.name.clone();
    act(&ctx, &staff, id.as_str(), move |tx, ctx, mut row: Row| {
        let (signed, name) = (signed.clone(), name.clone());
        Box::pin(async move {
            let (now, by) = (tx.now(), tx.actor().clone());
            let opinion = signed.document::<OpinionDocument>()?.opinion;
            let to = row.consilium().sign(now, &by, &opinion)?;
            signing::store::keep(tx, &ctx.vault, &signed, "expert", &name).await?;
            table::moved(tx, &ctx.vault, &mut row, to, Said::default()).await?;
            Ok(row)
        })
    })
    .await
}

/// The opinion as it is signed; refused at once when it could not count.
async fn order(tx: &mut Tx<'_>, ctx: &Ctx, member: &Member, row: &Row, opinion: String) -> Result<Order, ApiError> {
    let (tenant, now, by) = (tx.tenant().clone(), tx.now(), tx.actor().clone());
    row.consilium().sign(now, &by, &opinion)?;
    let parties = visit::of(tx, &ctx.vault, &row.visit_id).await?;
    let record = medical_record::store::latest(tx, &ctx.vault, &row.visit_id).await?;
    let told = row.words(&ctx.vault, &tenant)?;
    let document = OpinionDocument {
        format: "yiqiao.consilium/1".to_owned(),
        number: row.id.to_string(),
        visit: row.visit_id.to_string(),
        hospital: base::tenants::by_id(tx).await?.name,
        patient: signed::patient(&parties, now),
        inviter_department: row.inviter_department.clone(),
        inviter: DocumentPerson {
            id: row.inviter_id.to_string(),
            code: parties.visit.doctor_code.clone(),
            name: row.inviter_name.clone(),
            title: row.inviter_title.clone(),
        },
        question: told.question,
        summary: told.summary,
        expert_department: member.department_name.clone(),
        expert: signed::signer(member, &member.his_code),
        record_version: record.map(|r| r.version),
        opinion,
        written_at: now,
    };
    // Another text, or another version of the record before the expert's eyes, is another document.
    let intent = serde_json::json!([document.opinion, document.record_version]).to_string();
    Ok(Order {
        purpose: Purpose::Consilium,
        subject: row.id.to_string(),
        intent: hex::encode(gm::sm3(intent.as_bytes())),
        signer: member.id.clone(),
        document: canonical(&document).map_err(ApiError::internal)?,
    })
}

/// The inviter's judgement.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct JudgementBody {
    /// 1 to 5.
    pub(crate) score: u32,
    /// Words.
    #[serde(default)]
    pub(crate) comment: String,
}

/// The inviter judges the opinion.
#[utoipa::path(post, path = "/doctor/consilia/{id}/evaluate", tag = "consilium", params(("id" = String, Path)),
    request_body = JudgementBody,
    responses((status = 200, body = ConsiliumView), (status = 409, body = base::error::ErrorBody)))]
async fn evaluate(
    State(ctx): State<Ctx>,
    staff: Staff<Treats>,
    Path(id): Path<String>,
    Json(body): Json<JudgementBody>,
) -> Result<Json<ConsiliumView>, ApiError> {
    if !(1..=5).contains(&body.score) {
        return Err(ApiError::field("score", "请打1到5分"));
    }
    let comment = body.comment.trim().to_owned();
    if comment.chars().count() > LONGEST_WORDS {
        return Err(ApiError::field("comment", format!("评价不超过{LONGEST_WORDS}字")));
    }
    let score = body.score;
    act(&ctx, &staff, &id, move |tx, ctx, mut row: Row| {
        let comment = comment.clone();
        Box::pin(async move {
            let (now, by) = (tx.now(), tx.actor().clone());
            let to = row.consilium().evaluate(now, &by)?;
            let said = Said {
                judgement: Some((score, comment)),
                ..Said::default()
            };
            table::moved(tx, &ctx.vault, &mut row, to, said).await?;
            Ok(row)
        })
    })
    .await
}

pub(super) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(accept))
        .routes(routes!(decline))
        .routes(routes!(withdraw))
        .routes(routes!(sign))
        .routes(routes!(evaluate))
}
