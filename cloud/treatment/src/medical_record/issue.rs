//! What the maker of the PDF needs of signed records: which have none yet, everything printed on them, and where to keep
//! the file. Every signed version gets a PDF of its own; it stays when a newer version is signed.

use base::{ApiError, Ctx};
use records::id::{BlobId, VisitId};
use records::{TenantId, Timestamp};
use store::{Scope, StoreError, Tx};

use super::RecordDocument;
use crate::issue::SignedBy;
use crate::signing::{self, Purpose};

store::row! {
    /// The PDF of a signed version.
    #[derive(Clone, Debug)]
    pub(crate) struct Issue {
        pub(crate) visit_id: VisitId,
        pub(crate) version: u32,
        pub(crate) signed_at: Timestamp,
        pub(crate) verify_code: Option<String>,
        pub(crate) pdf_blob: Option<String>,
        pub(crate) pdf_sha256: Option<String>,
    }
}

/// A signed record whose PDF is wanted.
#[derive(Clone, Debug)]
pub struct Due {
    /// Visit.
    pub visit: VisitId,
    /// Version.
    pub version: u32,
    /// What the doctor signed.
    pub document: RecordDocument,
    /// SM3 of the bytes that were signed, hexadecimal.
    pub document_sm3: String,
    /// Identity number of the patient, masked.
    pub patient_number: String,
    /// Doctor.
    pub doctor: SignedBy,
    /// Code of the public verification page.
    pub verify_code: String,
}

/// Whether the version of a visit is the name of a signature's subject.
pub(crate) fn subject(visit: &VisitId, version: u32) -> String {
    format!("{visit}/{version}")
}

/// Orders the PDF of a version, in the unit that keeps its signature.
pub(crate) async fn order(
    tx: &mut Tx<'_>,
    visit: &VisitId,
    version: u32,
    signed_at: Timestamp,
) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    tx.exec(
        "INSERT INTO treatment_record_pdf(tenant_id, visit_id, version, signed_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT DO NOTHING",
        &[&tenant, visit, &version, &signed_at],
    )
    .await
    .map(drop)
}

/// The PDF of one version.
pub(crate) async fn of_version(tx: &mut Tx<'_>, visit: &VisitId, version: u32) -> Result<Option<Issue>, StoreError> {
    let (tenant, columns) = (tx.tenant().clone(), Issue::COLUMNS);
    let sql =
        format!("SELECT {columns} FROM treatment_record_pdf WHERE tenant_id = $1 AND visit_id = $2 AND version = $3");
    tx.opt(&sql, &[&tenant, visit, &version]).await
}

/// The newest signed version's PDF, made or wanted.
pub(crate) async fn newest(tx: &mut Tx<'_>, visit: &VisitId) -> Result<Option<Issue>, StoreError> {
    let (tenant, columns) = (tx.tenant().clone(), Issue::COLUMNS);
    let sql = format!(
        "SELECT {columns} FROM treatment_record_pdf WHERE tenant_id = $1 AND visit_id = $2 ORDER BY version DESC LIMIT 1"
    );
    tx.opt(&sql, &[&tenant, visit]).await
}

async fn wanted(tx: &mut Tx<'_>, most: u32) -> Result<Vec<Issue>, StoreError> {
    let (tenant, columns) = (tx.tenant().clone(), Issue::COLUMNS);
    let sql = format!(
        "SELECT {columns} FROM treatment_record_pdf WHERE tenant_id = $1 AND pdf_blob IS NULL ORDER BY signed_at LIMIT $2"
    );
    tx.all(&sql, &[&tenant, &most]).await
}

/// Signed records without PDF, longest waiting first.
///
/// # Errors
/// When the database fails or something kept cannot be read.
pub async fn due(ctx: &Ctx, tenant: &TenantId, most: u32) -> Result<Vec<Due>, ApiError> {
    let scope = Scope::system(tenant.clone());
    let wanted = ctx.store.read(&scope, move |tx| Box::pin(wanted(tx, most))).await?;
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let own = ctx.clone();
    ctx.store
        .write(&scope, move |tx| {
            let (ctx, wanted) = (own.clone(), wanted.clone());
            Box::pin(async move {
                let mut due = Vec::new();
                for issue in wanted {
                    due.extend(one(tx, &ctx, issue).await?);
                }
                Ok(due)
            })
        })
        .await
}

async fn one(tx: &mut Tx<'_>, ctx: &Ctx, issue: Issue) -> Result<Option<Due>, ApiError> {
    let tenant = tx.tenant().clone();
    let (visit, version) = (issue.visit_id.clone(), issue.version);
    let Some(kept) = signing::store::of_subject(tx, Purpose::Record, &subject(&visit, version)).await? else {
        return Ok(None);
    };
    let verify_code = match issue.verify_code {
        Some(code) => code,
        None => published(tx, ctx, &visit, version).await?,
    };
    let bytes = kept.document(&ctx.vault, &tenant)?;
    let parties = crate::visit::of(tx, &ctx.vault, &visit).await?;
    Ok(Some(Due {
        document: serde_json::from_slice(&bytes).map_err(ApiError::internal)?,
        document_sm3: kept.document_sm3.clone(),
        patient_number: parties.patient.id_number_masked.clone(),
        doctor: crate::issue::by(tx, kept).await?,
        verify_code,
        visit,
        version,
    }))
}

/// Gives a version its code; kept before anything is printed with it, so that a repeated round prints the same.
async fn published(tx: &mut Tx<'_>, ctx: &Ctx, visit: &VisitId, version: u32) -> Result<String, ApiError> {
    let tenant = tx.tenant().clone();
    let code = crate::dispensing::code::<16>(&ctx.ids);
    tx.exec(
        "UPDATE treatment_record_pdf SET verify_code = $4 WHERE tenant_id = $1 AND visit_id = $2 AND version = $3",
        &[&tenant, visit, &version, &code],
    )
    .await?;
    crate::verify::store::publish_record(tx, &code, visit, version).await?;
    Ok(code)
}

/// Keeps the PDF as the one that was issued; a second one for the same version is not taken.
///
/// # Errors
/// When the database fails.
pub async fn issued(
    ctx: &Ctx,
    tenant: &TenantId,
    due: (VisitId, u32),
    blob: &BlobId,
    sha256: &str,
) -> Result<(), ApiError> {
    let (visit, version) = due;
    let (id, blob, sha256) = (visit.clone(), blob.clone().into_string(), sha256.to_owned());
    ctx.store
        .write(&Scope::system(tenant.clone()), move |tx| {
            let (id, blob, sha256) = (id.clone(), blob.clone(), sha256.clone());
            Box::pin(async move {
                let tenant = tx.tenant().clone();
                let taken = tx
                    .exec(
                        "UPDATE treatment_record_pdf SET pdf_blob = $4, pdf_sha256 = $5 WHERE tenant_id = $1 \
                         AND visit_id = $2 AND version = $3 AND pdf_blob IS NULL",
                        &[&tenant, &id, &version, &blob, &sha256],
                    )
                    .await?;
                if taken > 0 {
                    let detail = serde_json::json!({ "version": version, "sha256": sha256 });
                    base::audit::record(tx, "record.issue", id.as_str(), detail).await?;
                }
                Ok::<_, ApiError>(())
            })
        })
        .await?;
    care::consultation::announce(ctx, tenant, &visit).await;
    Ok(())
}
