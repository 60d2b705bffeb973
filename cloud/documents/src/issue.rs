//! Makes the PDF of each approved prescription and of each signed record, once: print, prepare, have the digest sealed by the hospital's signature
//! server, check the seal, keep the file. Everything before the keeping can be done again with the same result: the same
//! sheet prints the same bytes, and the seal's key names them.

use std::sync::Arc;
use std::time::Duration;

use base::hospital::call as ask;
use base::{ApiError, Ctx};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use records::id::BlobId;
use records::sign::{SealPdf, SealRequest};
use records::{Outcome, TenantId, Timestamp};
use sha2::{Digest, Sha256};
use store::Scope;
use treatment::issue::{self, Due, SignedBy};
use treatment::medical_record::issue as record;

use crate::chart::Chart;
use crate::press::{Press, PressError};
use crate::seal::{Prepared, SealError, prepare};
use crate::sheet::{Sheet, Signatory};

/// Prescriptions, and records, per hospital and round.
const ROUND: u32 = 8;
/// The server seals in milliseconds; the line may need more.
const DEADLINE: Duration = Duration::from_secs(8);

/// Why a PDF was not made this time.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// Printing failed.
    #[error(transparent)]
    Press(#[from] PressError),
    /// The file could not take a seal.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The hospital cannot be reached, or did not answer in time; the next round asks again with the same key.
    #[error("the signature server does not answer")]
    NoAnswer,
    /// The signature server refused.
    #[error("the signature server refused: {0}")]
    Refused(String),
    /// The seal does not verify.
    #[error("the seal does not verify under the hospital's roots")]
    Invalid,
    /// Reading or keeping failed.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// A thread died.
    #[error("printing was interrupted")]
    Interrupted,
}

/// One round for every hospital. Idempotent.
pub async fn tick(ctx: &Ctx, press: &Arc<Press>) {
    let tenants = match base::tenants::all(&ctx.store).await {
        Ok(tenants) => tenants,
        Err(error) => return tracing::error!(%error, "hospitals not read"),
    };
    for tenant in tenants {
        if let Err(error) = round(ctx, press, &tenant.id).await {
            tracing::warn!(tenant.id = %tenant.id, %error, "documents not issued this round");
        }
    }
}

async fn round(ctx: &Ctx, press: &Arc<Press>, tenant: &TenantId) -> Result<(), IssueError> {
    for due in issue::due(ctx, tenant, ROUND).await? {
        let id = due.id.clone();
        match one(ctx, press, tenant, due).await {
            Ok(()) => {}
            // Without the appliance the others fail as well.
            Err(IssueError::NoAnswer) => return Err(IssueError::NoAnswer),
            Err(error) => tracing::error!(rx.id = %id, %error, "prescription not issued"),
        }
    }
    for due in record::due(ctx, tenant, ROUND).await? {
        let (id, version) = (due.visit.clone(), due.version);
        match chart(ctx, press, tenant, due).await {
            Ok(()) => {}
            Err(IssueError::NoAnswer) => return Err(IssueError::NoAnswer),
            Err(error) => tracing::error!(visit.id = %id, record.version = version, %error, "record not issued"),
        }
    }
    Ok(())
}

async fn one(ctx: &Ctx, press: &Arc<Press>, tenant: &TenantId, due: Due) -> Result<(), IssueError> {
    let id = due.id.clone();
    let order = Order {
        name: id.to_string(),
        hospital: due.document.hospital.clone(),
        reason: "处方笺电子签章",
        purpose: "prescription_pdf",
        at: due.pharmacist.signed_at,
    };
    let sheet = sheet(ctx, tenant, due).await?;
    let file = sealed(ctx, press, tenant, &order, move |press| press.print(&sheet)).await?;
    Ok(issue::issued(ctx, tenant, &id, &file.blob, &file.sha256).await?)
}

async fn chart(ctx: &Ctx, press: &Arc<Press>, tenant: &TenantId, due: record::Due) -> Result<(), IssueError> {
    let (visit, version) = (due.visit.clone(), due.version);
    let order = Order {
        name: format!("{visit}.record.{version}"),
        hospital: due.document.hospital.clone(),
        reason: "病历电子签章",
        purpose: "record_pdf",
        at: due.doctor.signed_at,
    };
    let chart = Chart {
        verify_url: format!("{}/verify/{}", ctx.site.public_url, due.verify_code),
        verify_code: due.verify_code,
        patient_number: due.patient_number,
        document_sm3: due.document_sm3,
        doctor: signatory(ctx, tenant, due.doctor).await?,
        document: due.document,
    };
    let file = sealed(ctx, press, tenant, &order, move |press| press.print_chart(&chart)).await?;
    Ok(record::issued(ctx, tenant, (visit, version), &file.blob, &file.sha256).await?)
}

/// A PDF that is to be made.
struct Order {
    /// Names the seal's call, together with the digest.
    name: String,
    hospital: String,
    /// What viewers show of the seal.
    reason: &'static str,
    /// Of the blob.
    purpose: &'static str,
    at: Timestamp,
}

/// A file that was kept.
struct Sealed {
    blob: BlobId,
    sha256: String,
}

async fn sealed(
    ctx: &Ctx,
    press: &Arc<Press>,
    tenant: &TenantId,
    order: &Order,
    print: impl FnOnce(&Press) -> Result<Vec<u8>, PressError> + Send + 'static,
) -> Result<Sealed, IssueError> {
    let (press, name, reason, at) = (press.clone(), order.hospital.clone(), order.reason, order.at);
    let prepared = tokio::task::spawn_blocking(move || -> Result<Prepared, IssueError> {
        Ok(prepare(print(&press)?, &name, reason, at)?)
    })
    .await
    .map_err(|_| IssueError::Interrupted)??;
    let digest = prepared.digest();
    let cms = seal(ctx, tenant, &order.name, order.hospital.clone(), &digest).await?;
    if !issue::seal_holds(ctx, tenant, &digest, &cms).await? {
        return Err(IssueError::Invalid);
    }
    let file = prepared.seal(&cms)?;
    let sha256 = hex::encode(Sha256::digest(&file));
    let blob = base::blobs::put(ctx, &Scope::system(tenant.clone()), order.purpose, &file).await?;
    Ok(Sealed { blob: blob.id, sha256 })
}

async fn seal(
    ctx: &Ctx,
    tenant: &TenantId,
    id: &str,
    organisation: String,
    digest: &[u8; 32],
) -> Result<Vec<u8>, IssueError> {
    let digest = hex::encode(digest);
    let key = format!("{id}.seal.{}", digest.get(..16).unwrap_or_default());
    let request = SealRequest {
        digest_sha256: digest,
        organisation,
    };
    match ask::<SealPdf>(&*ctx.hospital, tenant, &request, Some(&key), DEADLINE).await {
        Outcome::Done(seal) => BASE64.decode(&seal.cms).map_err(|_| IssueError::Invalid),
        Outcome::Refused { code, text } => Err(IssueError::Refused(format!("{code} {text}"))),
        Outcome::Later { .. } | Outcome::Unknown => Err(IssueError::NoAnswer),
    }
}

async fn sheet(ctx: &Ctx, tenant: &TenantId, due: Due) -> Result<Sheet, IssueError> {
    Ok(Sheet {
        verify_url: format!("{}/verify/{}", ctx.site.public_url, due.verify_code),
        verify_code: due.verify_code,
        patient_number: due.patient_number,
        doctor: signatory(ctx, tenant, due.doctor).await?,
        pharmacist: signatory(ctx, tenant, due.pharmacist).await?,
        document: due.document,
    })
}

async fn signatory(ctx: &Ctx, tenant: &TenantId, by: SignedBy) -> Result<Signatory, IssueError> {
    let handwriting = match by.handwriting {
        Some(id) => picture(ctx, tenant, id).await?,
        None => None,
    };
    Ok(Signatory {
        name: by.name,
        handwriting,
        certificate_serial: by.certificate_serial,
        signed_at: by.signed_at.local_text(),
    })
}

async fn picture(ctx: &Ctx, tenant: &TenantId, id: BlobId) -> Result<Option<Vec<u8>>, IssueError> {
    let found = ctx
        .store
        .read(&Scope::system(tenant.clone()), move |tx| {
            let id = id.clone();
            Box::pin(async move { Ok::<_, ApiError>(base::blobs::get(tx, &id).await?) })
        })
        .await?;
    let Some(blob) = found else { return Ok(None) };
    let bytes = ctx
        .blobs
        .read(tenant, &blob)
        .await
        .map_err(|e| IssueError::Api(ApiError::internal(e)))?;
    // A picture the printer cannot read must not stop the prescription: the name is printed instead.
    Ok(Press::can_print(&bytes).then(|| bytes.to_vec()))
}
