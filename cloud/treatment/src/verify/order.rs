//! The public check of an order of examinations or laboratory tests.

use ::store::Scope;
use base::{ApiError, Ctx};
use records::TenantId;
use records::document::OrderDocument;
use records::id::OrderId;

use super::routes::{Case, Judge, Verified, VerifiedDocument, VerifiedItem, fault};
use crate::orders::{Kind, store as table};
use crate::signing::{self, Purpose};
use crate::visit::masked;

/// Checks the doctor's signature over an order, anew, and whether the order still stands.
pub(super) async fn verify(ctx: &Ctx, tenant: &TenantId, id: OrderId) -> Result<Case, ApiError> {
    let scope = Scope::system(tenant.clone());
    let (kept, sheet) = ctx
        .store
        .read(&scope, move |tx| {
            let id = id.clone();
            Box::pin(async move {
                let kept = signing::store::of_subject(tx, Purpose::Order, id.as_str()).await?;
                let sheet = table::find(tx, &id).await?.ok_or_else(ApiError::not_found)?;
                Ok::<_, ApiError>((kept.ok_or_else(ApiError::not_found)?, sheet))
            })
        })
        .await?;
    let judge = Judge::of(ctx, &scope).await?;
    let bytes = kept.document(&ctx.vault, tenant)?;
    let document: OrderDocument = serde_json::from_slice(&bytes).map_err(ApiError::internal)?;
    let signature = judge.signature(&kept, &bytes);
    let void = || format!("{}{}", sheet.kind.text(), sheet.state.text());
    let reason = fault(&signature).or_else(|| sheet.state.is_void().then(void));
    let item = |i: records::document::OrderedItem| VerifiedItem {
        specification: [i.detail, i.specimen].concat(),
        quantity: format!("{} 元", i.amount_fen),
        usage: format!("执行科室 {}", i.department),
        name: i.name,
    };
    let kind = match sheet.kind {
        Kind::Exam => "exam_order",
        Kind::Lab => "lab_order",
    };
    let document = VerifiedDocument {
        kind: kind.to_owned(),
        hospital: document.hospital,
        number: document.number,
        department: document.department,
        patient_name_masked: masked(&document.patient.name),
        written_at: document.written_at,
        valid_until: None,
        state_text: sheet.state.text().to_owned(),
        items: document.items.into_iter().map(item).collect(),
    };
    Ok(Case {
        verified: Verified::of(document, vec![signature], reason),
        pdf_sha256: None,
    })
}
