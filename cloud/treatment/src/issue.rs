//! What the maker of the PDF needs: which prescriptions have none yet, everything printed on it, and where to keep it.

use base::{ApiError, Ctx};
use records::document::PrescriptionDocument;
use records::id::{BlobId, PrescriptionId, StaffId};
use records::{TenantId, Timestamp};
use store::{Scope, Tx};

use crate::prescribing::store as table;
use crate::signed::Document as _;
use crate::signing::{self, Purpose};

/// Somebody who signed.
#[derive(Clone, Debug)]
pub struct SignedBy {
    /// Name.
    pub name: String,
    /// Handwriting.
    pub handwriting: Option<BlobId>,
    /// Serial number of the certificate.
    pub certificate_serial: String,
    /// When.
    pub signed_at: Timestamp,
}

/// An approved prescription whose PDF is wanted.
#[derive(Clone, Debug)]
pub struct Due {
    /// Number.
    pub id: PrescriptionId,
    /// What the doctor signed.
    pub document: PrescriptionDocument,
    /// Identity number of the patient, masked.
    pub patient_number: String,
    /// Doctor.
    pub doctor: SignedBy,
    /// Pharmacist.
    pub pharmacist: SignedBy,
    /// Code of the public verification page.
    pub verify_code: String,
}

/// Prescriptions without PDF, oldest first.
///
/// # Errors
/// When the database fails or something kept cannot be read.
pub async fn due(ctx: &Ctx, tenant: &TenantId, most: u32) -> Result<Vec<Due>, ApiError> {
    let own = ctx.clone();
    ctx.store
        .read(&Scope::system(tenant.clone()), move |tx| {
            let ctx = own.clone();
            Box::pin(async move {
                let mut due = Vec::new();
                for chart in table::without_pdf(tx, most).await? {
                    due.extend(one(tx, &ctx, chart).await?);
                }
                Ok(due)
            })
        })
        .await
}

async fn one(tx: &mut Tx<'_>, ctx: &Ctx, chart: table::Chart) -> Result<Option<Due>, ApiError> {
    let tenant = tx.tenant().clone();
    let id = chart.id.as_str();
    let prescription = signing::store::of_subject(tx, Purpose::Prescription, id).await?;
    let review = signing::store::of_subject(tx, Purpose::Review, id).await?;
    let (Some(prescription), Some(review), Some(verify_code)) = (prescription, review, chart.verify_code) else {
        return Ok(None);
    };
    let bytes = prescription.document(&ctx.vault, &tenant)?;
    let parties = crate::visit::of(tx, &ctx.vault, &chart.visit_id).await?;
    Ok(Some(Due {
        document: serde_json::from_slice(&bytes).map_err(ApiError::internal)?,
        patient_number: parties.patient.id_number_masked.clone(),
        doctor: by(tx, prescription).await?,
        pharmacist: by(tx, review).await?,
        verify_code,
        id: chart.id,
    }))
}

pub(crate) async fn by(tx: &mut Tx<'_>, kept: signing::store::Kept) -> Result<SignedBy, ApiError> {
    let handwriting = picture(tx, &kept.signer_id).await?;
    Ok(SignedBy {
        name: kept.name,
        handwriting,
        certificate_serial: kept.certificate_serial,
        signed_at: kept.signed_at,
    })
}

async fn picture(tx: &mut Tx<'_>, staff: &StaffId) -> Result<Option<BlobId>, ApiError> {
    Ok(signing::store::signer(tx, staff).await?.map(|s| s.picture_blob))
}

/// Keeps the PDF as the one that was issued; a second one for the same prescription is not taken.
///
/// # Errors
/// When the database fails.
pub async fn issued(
    ctx: &Ctx,
    tenant: &TenantId,
    id: &PrescriptionId,
    blob: &BlobId,
    sha256: &str,
) -> Result<(), ApiError> {
    let (id, blob, sha256) = (id.clone(), blob.clone(), sha256.to_owned());
    let chart = ctx
        .store
        .write(&Scope::system(tenant.clone()), move |tx| {
            let (id, blob, sha256) = (id.clone(), blob.clone(), sha256.clone());
            Box::pin(async move {
                let mut chart = table::find(tx, &id).await?.ok_or_else(ApiError::not_found)?;
                if chart.pdf_blob.is_none() {
                    let detail = serde_json::json!({ "sha256": sha256 });
                    chart.pdf_blob = Some(blob.into_string());
                    chart.pdf_sha256 = Some(sha256);
                    table::save(tx, &chart).await?;
                    base::audit::record(tx, "prescription.issue", id.as_str(), detail).await?;
                }
                Ok::<_, ApiError>(chart)
            })
        })
        .await?;
    chart.announce(ctx, tenant);
    Ok(())
}

/// Whether a seal over the digest leads to a root of the hospital.
///
/// # Errors
/// When the database fails.
pub async fn seal_holds(ctx: &Ctx, tenant: &TenantId, digest: &[u8; 32], cms: &[u8]) -> Result<bool, ApiError> {
    let anchors = signing::anchors(ctx, &Scope::system(tenant.clone())).await?;
    let content = gm::cms::Content::Digest(digest);
    let now = ctx.now().offset();
    Ok(gm::cms::verify_stated(cms, content, Some(now), &anchors.seals, now).is_ok())
}
