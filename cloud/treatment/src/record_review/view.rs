//! How a review looks: in short for the doctor, in the reviewers' queue, and whole for the one who judges.

use base::{ApiError, Ctx};
use records::id::StaffId;
use records::{TenantId, Timestamp};
use serde::Serialize;
use store::Tx;
use utoipa::ToSchema;

use super::State as Stands;
use super::store::{self as table, Row};
use crate::medical_record::issue::subject;
use crate::medical_record::{Record, RecordDocument};
use crate::prescribing::store as prescription;
use crate::signing::{self, Purpose};
use crate::verify::{VerifiedSignature, shown};
use crate::visit::masked;

/// How the review of a signed version stands.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct RecordReviewBrief {
    /// Version.
    pub(crate) version: u32,
    /// `in_review`, `approved`, `returned` or `superseded`.
    pub(crate) state: String,
    /// In words.
    pub(crate) state_text: String,
    /// Why it was sent back.
    pub(crate) reason: Option<String>,
    /// Who decided.
    pub(crate) reviewer_name: Option<String>,
    /// When they decided.
    #[schema(value_type = Option<String>)]
    pub(crate) decided_at: Option<Timestamp>,
}

/// The review in short, for the doctor's own pages.
pub(crate) fn brief(ctx: &Ctx, tenant: &TenantId, row: &Row) -> Result<RecordReviewBrief, ApiError> {
    Ok(RecordReviewBrief {
        version: row.version,
        state: row.state.as_str().to_owned(),
        state_text: row.state.text().to_owned(),
        reason: row.reason(&ctx.vault, tenant)?,
        reviewer_name: row.reviewer_name.clone(),
        decided_at: row.decided_at,
    })
}

/// A signed version in the reviewers' queue.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct RecordReviewRow {
    /// Visit.
    pub(crate) visit_id: String,
    /// How it stands.
    #[serde(flatten)]
    pub(crate) review: RecordReviewBrief,
    /// When the doctor signed and submitted it.
    #[schema(value_type = String)]
    pub(crate) submitted_at: Timestamp,
    /// Patient, middle of the name hidden.
    pub(crate) patient_name_masked: String,
    /// `M` or `F`.
    pub(crate) patient_sex: String,
    /// Age in words.
    pub(crate) patient_age: String,
    /// Doctor.
    pub(crate) doctor_name: String,
    /// Department.
    pub(crate) department_name: String,
    /// 主诉.
    pub(crate) chief_complaint: String,
    /// Names of the diagnoses, main one first.
    pub(crate) diagnoses: Vec<String>,
    /// The one who looks is its author: somebody else decides.
    pub(crate) own: bool,
}

/// A prescription of the same visit, for the reviewer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ReviewedPrescription {
    /// Number.
    pub(crate) id: String,
    /// State in words.
    pub(crate) state_text: String,
    /// Names of the drugs.
    pub(crate) names: Vec<String>,
}

/// A signed version with everything needed to judge it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct RecordReviewCase {
    /// How it stands.
    #[serde(flatten)]
    pub(crate) row: RecordReviewRow,
    /// Patient in clear.
    pub(crate) patient_name: String,
    /// The record, read from the signed bytes.
    pub(crate) record: Record,
    /// When this version was written.
    #[schema(value_type = String)]
    pub(crate) saved_at: Timestamp,
    /// The doctor's signature, checked now.
    pub(crate) signature: VerifiedSignature,
    /// Prescriptions of the visit.
    pub(crate) prescriptions: Vec<ReviewedPrescription>,
    /// Reviews of the other versions, oldest first.
    pub(crate) others: Vec<RecordReviewBrief>,
    /// What may be done by the one who looks: `approve`, `return`.
    pub(crate) allowed: Vec<&'static str>,
}

/// The document as it was signed, with its signature.
pub(super) async fn signed(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    row: &Row,
) -> Result<(RecordDocument, VerifiedSignature), ApiError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let kept = signing::store::of_subject(tx, Purpose::Record, &subject(&row.visit_id, row.version)).await?;
    let kept = kept.ok_or_else(|| ApiError::internal("a record in review has no signature"))?;
    let bytes = kept.document(&ctx.vault, &tenant)?;
    let trust = signing::anchors_in(tx).await?.signers;
    let checked = signing::check(&kept, &bytes, &trust, now);
    let document = serde_json::from_slice(&bytes).map_err(ApiError::internal)?;
    Ok((document, shown(&kept, &checked)))
}

/// A row of the queue; `asks` is who looks.
pub(super) fn listed(
    ctx: &Ctx,
    tenant: &TenantId,
    row: &Row,
    document: &RecordDocument,
    asks: &StaffId,
) -> Result<RecordReviewRow, ApiError> {
    let names = document.record.diagnoses().into_iter().map(|d| d.name);
    Ok(RecordReviewRow {
        visit_id: row.visit_id.to_string(),
        review: brief(ctx, tenant, row)?,
        submitted_at: row.submitted_at,
        patient_name_masked: masked(&document.patient.name),
        patient_sex: document.patient.sex.clone(),
        patient_age: document.patient.age.clone(),
        doctor_name: document.doctor.name.clone(),
        department_name: document.department.clone(),
        chief_complaint: document.record.chief_complaint.clone(),
        diagnoses: names.collect(),
        own: row.doctor_id == *asks,
    })
}

/// A row with everything needed to judge it.
pub(super) async fn case(tx: &mut Tx<'_>, ctx: &Ctx, row: &Row, asks: &StaffId) -> Result<RecordReviewCase, ApiError> {
    let tenant = tx.tenant().clone();
    let (document, signature) = signed(tx, ctx, row).await?;
    let mut prescriptions = Vec::new();
    for chart in prescription::of_visit(tx, &row.visit_id).await? {
        if chart.state != crate::prescribing::State::Draft {
            prescriptions.push(ReviewedPrescription {
                id: chart.id.to_string(),
                state_text: chart.state.text().to_owned(),
                names: chart.lines()?.into_iter().map(|l| l.name).collect(),
            });
        }
    }
    let others = table::of_visit(tx, &row.visit_id).await?;
    let others = others.iter().filter(|o| o.version != row.version);
    let others = others.map(|o| brief(ctx, &tenant, o)).collect::<Result<_, _>>()?;
    let mut allowed = Vec::new();
    if row.state == Stands::InReview && row.doctor_id != *asks {
        if signature.valid {
            allowed.push("approve");
        }
        allowed.push("return");
    }
    Ok(RecordReviewCase {
        row: listed(ctx, &tenant, row, &document, asks)?,
        patient_name: document.patient.name,
        record: document.record,
        saved_at: document.saved_at,
        signature,
        prescriptions,
        others,
        allowed,
    })
}
