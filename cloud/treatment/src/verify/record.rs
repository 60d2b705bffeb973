//! The public check of a medical record.

use ::store::Scope;
use base::{ApiError, Ctx};
use records::TenantId;
use records::id::VisitId;

use super::routes::{Case, Judge, Verified, VerifiedDocument, fault};
use crate::medical_record::RecordDocument;
use crate::medical_record::issue::{self, subject};
use crate::signing::{self, Purpose};
use crate::visit::masked;

/// Checks the doctor's signature over a version of a record, anew.
pub(super) async fn verify(ctx: &Ctx, tenant: &TenantId, visit: VisitId, version: u32) -> Result<Case, ApiError> {
    let scope = Scope::system(tenant.clone());
    let (kept, of_this, newest) = ctx
        .store
        .read(&scope, move |tx| {
            let visit = visit.clone();
            Box::pin(async move {
                let kept = signing::store::of_subject(tx, Purpose::Record, &subject(&visit, version)).await?;
                let of_this = issue::of_version(tx, &visit, version).await?;
                let newest = issue::newest(tx, &visit).await?.map_or(version, |n| n.version);
                let kept = kept.ok_or_else(ApiError::not_found)?;
                Ok::<_, ApiError>((kept, of_this, newest))
            })
        })
        .await?;
    let judge = Judge::of(ctx, &scope).await?;
    let bytes = kept.document(&ctx.vault, tenant)?;
    let document: RecordDocument = serde_json::from_slice(&bytes).map_err(ApiError::internal)?;
    let signature = judge.signature(&kept, &bytes);
    let reason = fault(&signature);
    // An older version stays what the doctor signed then; whoever holds it is told that there is a newer one.
    let state_text = if newest > version {
        format!("医师已签署更新的第 {newest} 版")
    } else {
        "最新版本".to_owned()
    };
    Ok(Case {
        verified: Verified {
            valid: reason.is_none(),
            reason,
            document: VerifiedDocument {
                kind: "record".to_owned(),
                hospital: document.hospital,
                number: format!("{} 第 {version} 版", document.visit),
                department: document.department,
                patient_name_masked: masked(&document.patient.name),
                written_at: document.saved_at,
                valid_until: None,
                state_text,
                items: Vec::new(),
            },
            signatures: vec![signature],
            file_is_issued: None,
            file_seal: None,
            file_seal_reason: None,
            file_stamped_at: None,
            file_seal_revocation: None,
        },
        pdf_sha256: of_this.and_then(|issue| issue.pdf_sha256),
    })
}
